"""The prompt format of gpt-oss, Harmony, for copies of the models that come without their chat template.

Each message is written as the ``openai-harmony`` renderer writes it. A chat becomes such messages as follows: system
and developer messages are instructions in a developer message, the first with the functions; what an assistant thinks
goes to the channel "analysis", what it says beside tool calls and the calls themselves to "commentary", answers to
"final". Thoughts before the last answer are dropped, as the format demands.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tokenfacade.chat.inspect import TemplateTraits
from tokenfacade.chat.renderers.base import Chat, CodeRenderer
from tokenfacade.chat.renderers.reading import (
    read_calls,
    read_function,
    read_list,
    read_role,
    read_text,
    refusal,
    to_json,
)
from tokenfacade.chat.renderers.typescript import declare_function

if TYPE_CHECKING:
    from tokenfacade.chat.renderers.prompt import Prompt

_IDENTITY = "You are ChatGPT, a large language model trained by OpenAI."
_CHANNELS = "# Valid channels: analysis, commentary, final. Channel must be included for every message."
_FUNCTIONS_NOTE = "\nCalls to these tools must go to the commentary channel: 'functions'."
_ROLES = ("system", "developer", "user", "assistant", "tool")
_EFFORTS = ("low", "medium", "high")

_BROWSER = """\
## browser

// Tool for browsing.
// The `cursor` appears in brackets before each browsing display: `[{cursor}]`.
// Cite information from the tool using the following format:
// `【{cursor}†L{line_start}(-L{line_end})?】`, for example: `【6†L9-L11】` or `【8†L3】`.
// Do not quote more than 10 words directly from the tool output.
// sources=web (default: web)
namespace browser {

// Searches for information related to `query` and displays `topn` results.
type search = (_: {
query: string,
topn?: number, // default: 10
source?: string,
}) => any;

// Opens the link `id` from the page indicated by `cursor` starting at line number `loc`, showing `num_lines` lines.
// Valid link ids are displayed with the formatting: `【{id}†.*】`.
// If `cursor` is not provided, the most recent page is implied.
// If `id` is a string, it is treated as a fully qualified URL associated with `source`.
// If `loc` is not provided, the viewport will be positioned at the beginning of the document or centered on the most \
relevant passage, if available.
// Use this function without `id` to scroll to a new location of an opened page.
type open = (_: {
id?: number | string, // default: -1
cursor?: number, // default: -1
loc?: number, // default: -1
num_lines?: number, // default: -1
view_source?: boolean, // default: false
source?: string,
}) => any;

// Finds exact matches of `pattern` in the current page, or the page given by `cursor`.
type find = (_: {
pattern: string,
cursor?: number, // default: -1
}) => any;

} // namespace browser

"""
_PYTHON = """\
## python

Use this tool to execute Python code in your chain of thought. The code will not be shown to the user. This tool \
should be used for internal reasoning, but not for code that is intended to be visible to the user (e.g. when \
creating plots, tables, or files).

When you send a message containing Python code to python, it will be executed in a stateful Jupyter notebook \
environment. python will respond with the output of the execution or time out after 120.0 seconds. The drive at \
'/mnt/data' can be used to save and persist user files. Internet access for this session is UNKNOWN. Depends on the \
cluster.

"""


@dataclass(frozen=True, slots=True)
class HarmonyRenderer(CodeRenderer):
    """Renders chats for gpt-oss.

    Keyword arguments of a rendering: ``reasoning_effort`` (``"low"``, ``"medium"``, ``"high"``; medium by default),
    ``model_identity``, and ``builtin_tools``, a list of ``"browser"`` and ``"python"``. In `render_traced`, the
    assistant's spans are all that follows its first ``<|start|>assistant`` in each of its messages, as far as the end.

    Args:
        clock: The time for "Current date"; the local time now, unless a prompt must be the same tomorrow.

    Example:
        >>> from datetime import datetime
        >>> renderer = HarmonyRenderer(clock=lambda: datetime(2025, 6, 28))
        >>> prompt = renderer.render([{"role": "user", "content": "Hi"}], add_generation_prompt=True)
        >>> print(prompt)
        <|start|>system<|message|>You are ChatGPT, a large language model trained by OpenAI.
        Knowledge cutoff: 2024-06
        Current date: 2025-06-28
        <BLANKLINE>
        Reasoning: medium
        <BLANKLINE>
        # Valid channels: analysis, commentary, final. Channel must be included for every \
message.<|end|><|start|>user<|message|>Hi<|end|><|start|>assistant
    """

    clock: Callable[[], datetime.datetime] | None = None

    @property
    def identity(self) -> str:
        return "renderer:harmony"

    @property
    def traits(self) -> TemplateTraits:
        return TemplateTraits(
            content_format="string",
            part_types=frozenset(),
            thinking=None,
            opens_thinking=False,
            supports_tools=True,
            supports_documents=False,
            supports_system_role=True,
            tool_arguments="text",
            has_generation_blocks=True,
            variables=frozenset({"model_identity", "reasoning_effort", "builtin_tools"}),
            string_roles=frozenset(_ROLES),
        )

    def write(self, chat: Chat, prompt: Prompt) -> None:
        now = datetime.datetime.now() if self.clock is None else self.clock()
        _write_system(prompt, chat, now.strftime("%Y-%m-%d"))
        roles = [read_role(message) for message in chat.messages]
        if chat.tools and roles[0] not in ("system", "developer"):
            _write_developer(prompt, {}, chat.tools)
        last_answer = max((at for at, message in enumerate(chat.messages) if _is_answer(message)), default=-1)
        calls = _Calls()
        for at, (role, message) in enumerate(zip(roles, chat.messages, strict=True)):
            prompt.begin_message()
            if role in ("system", "developer"):
                _write_developer(prompt, message, chat.tools if at == 0 else ())
            elif role == "user":
                prompt.write("<|start|>user<|message|>")
                prompt.quote(read_text(message, "content"), field="content")
                prompt.write("<|end|>")
            elif role == "assistant":
                is_open = at == len(roles) - 1 and not chat.add_generation_prompt
                calls.note(message)
                _write_assistant(
                    prompt,
                    message,
                    thinks=at > last_answer or is_open,
                    end="<|return|>" if is_open else "<|end|>",
                )
            elif role == "tool":
                _write_tool_result(prompt, message, calls.name_for(message))
            else:
                raise refusal(f"Harmony has no role {role!r:.80}; it has {', '.join(_ROLES)}")
        if chat.add_generation_prompt:
            prompt.write("<|start|>assistant")


class _Calls:
    """Which functions the assistant called, to name the results."""

    def __init__(self) -> None:
        self._names_by_id: dict[str, str] = {}
        self._latest: list[str] = []
        self._answered = 0

    def note(self, message: Mapping[str, Any]) -> None:
        self._latest, self._answered = [], 0
        for entry, call in zip(message.get("tool_calls") or (), read_calls(message), strict=True):
            self._latest.append(call["name"])
            if isinstance(entry.get("id"), str):
                self._names_by_id[entry["id"]] = call["name"]

    def name_for(self, result: Mapping[str, Any]) -> str:
        """The function whose result this is: by the id of the call, else by name, else the next one in order.

        Raises:
            TemplateRenderError: Nothing was called.
        """
        self._answered += 1
        call_id = result.get("tool_call_id")
        if isinstance(call_id, str) and call_id in self._names_by_id:
            return self._names_by_id[call_id]
        if name := read_text(result, "name"):
            return name.removeprefix("functions.")
        if not self._latest:
            raise refusal("a tool message follows no tool call that it could answer")
        return self._latest[min(self._answered, len(self._latest)) - 1]


def _is_answer(message: Mapping[str, Any]) -> bool:
    """Whether an assistant's message goes to the channel "final": all that neither calls nor only thinks."""
    if message["role"] != "assistant" or message.get("tool_calls"):
        return False
    return bool(message.get("content")) or not message.get("reasoning_content")


def _write_system(prompt: Prompt, chat: Chat, date: str) -> None:
    identity, effort = chat.arguments.get("model_identity"), chat.arguments.get("reasoning_effort")
    prompt.write("<|start|>system<|message|>")
    if identity is None:
        prompt.write(_IDENTITY)
    else:
        prompt.quote(read_text(chat.arguments, "model_identity"))
    prompt.write(f"\nKnowledge cutoff: 2024-06\nCurrent date: {date}\n\nReasoning: ")
    if effort is None or effort in _EFFORTS:
        prompt.write(effort or "medium")
    elif isinstance(effort, str) and effort.isalnum():
        prompt.quote(effort)
    else:
        raise refusal(f"'reasoning_effort' is one word, such as {', '.join(_EFFORTS)}; not {effort!r:.80}")
    prompt.write("\n\n")
    builtin_tools = read_list(chat.arguments.get("builtin_tools") or (), "'builtin_tools'")
    if builtin_tools:
        prompt.write("# Tools\n\n" + _BROWSER * ("browser" in builtin_tools) + _PYTHON * ("python" in builtin_tools))
    prompt.write(_CHANNELS + (_FUNCTIONS_NOTE if chat.tools else "") + "<|end|>")


def _write_developer(prompt: Prompt, message: Mapping[str, Any], tools: Sequence[Any]) -> None:
    instructions = read_text(message, "content")
    if not instructions and not tools:
        return
    prompt.write("<|start|>developer<|message|>")
    if instructions:
        prompt.write("# Instructions\n\n")
        prompt.quote(instructions, field="content")
    if tools:
        prompt.write("\n\n# Tools" if instructions else "# Tools")
        prompt.write("\n\n## functions\n\nnamespace functions {\n\n")
        for tool in tools:
            function = read_function(tool, "a tool")
            prompt.quote(
                declare_function(function["name"], read_text(function, "description"), function.get("parameters"))
            )
            prompt.write("\n\n")
        prompt.write("} // namespace functions")
    prompt.write("<|end|>")


def _write_assistant(prompt: Prompt, message: Mapping[str, Any], *, thinks: bool, end: str) -> None:
    content, thought, calls = (
        read_text(message, "content"),
        read_text(message, "reasoning_content"),
        read_calls(message),
    )
    channels = []
    if thinks and thought:
        channels.append(("analysis", thought, "reasoning_content", "<|end|>"))
    if calls and content:
        channels.append(("commentary", content, "content", "<|end|>"))
    elif _is_answer(message):
        channels.append(("final", content, "content", end))
    start: int | None = None
    for channel, words, field, closing in channels:
        prompt.write("<|start|>assistant")
        start = len(prompt) if start is None else start
        prompt.write(f"<|channel|>{channel}<|message|>")
        prompt.quote(words, field=field)
        prompt.write(closing)
    for call in calls:
        prompt.write("<|start|>assistant")
        start = len(prompt) if start is None else start
        _write_call(prompt, call)
    if start is not None:
        prompt.end_assistant(start)


def _write_call(prompt: Prompt, call: Mapping[str, Any]) -> None:
    arguments = call.get("arguments")
    prompt.write(" to=functions.")
    prompt.quote(call["name"])
    prompt.write("<|channel|>commentary json<|message|>")
    prompt.quote(
        read_text(call, "arguments") if arguments is None or isinstance(arguments, str) else to_json(arguments)
    )
    prompt.write("<|call|>")


def _write_tool_result(prompt: Prompt, message: Mapping[str, Any], name: str) -> None:
    prompt.write("<|start|>functions.")
    prompt.quote(name)
    prompt.write(" to=assistant<|channel|>commentary<|message|>")
    prompt.quote(read_text(message, "content"), field="content")
    prompt.write("<|end|>")
