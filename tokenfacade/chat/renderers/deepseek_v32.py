"""The prompt format of DeepSeek V3.2, which its makers publish as code.

The text is that of their ``encoding_dsv32.encode_messages``, called as vLLM calls it: the tools stand before all
messages, and every question ends with the header of the answer, asked for or not, for the format has no other end.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tokenfacade.chat.inspect import TemplateTraits, ThinkingToggle
from tokenfacade.chat.renderers.base import Chat, CodeRenderer
from tokenfacade.chat.renderers.reading import (
    read_calls,
    read_list,
    read_mapping,
    read_role,
    read_text,
    refusal,
    to_json,
)

if TYPE_CHECKING:
    from tokenfacade.chat.renderers.prompt import Prompt

_BEGIN, _END = "<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>"
_USER, _ASSISTANT = "<｜User｜>", "<｜Assistant｜>"
_THINK, _THOUGHT = "<think>", "</think>"
_CALLS, _CALLS_END = "<｜DSML｜function_calls>", "</｜DSML｜function_calls>"
_INVOKE, _INVOKE_END = "<｜DSML｜invoke", "</｜DSML｜invoke>"
_PARAMETER, _PARAMETER_END = "<｜DSML｜parameter", "</｜DSML｜parameter>"

_TOOLS = f"""## Tools
You have access to a set of tools you can use to answer the user's question.
You can invoke functions by writing a "{_CALLS}" block like the following as part of your reply to the user:
{_CALLS}
{_INVOKE} name="$FUNCTION_NAME">
{_PARAMETER} name="$PARAMETER_NAME" string="true|false">$PARAMETER_VALUE{_PARAMETER_END}
...
{_INVOKE_END}
{_INVOKE} name="$FUNCTION_NAME2">
...
{_INVOKE_END}
{_CALLS_END}
String and scalar parameters should be specified as is without any escaping or quotes, while lists and objects should \
use JSON format. The "string" attribute should be set to "true" for string type parameters and "false" for other types \
(numbers, booleans, arrays, objects).
If the thinking_mode is enabled, then after function results you should strongly consider outputting a thinking block. \
Here is an example:
{_CALLS}
...
{_CALLS_END}
<function_results>
...
</function_results>
{_THINK}...thinking about results{_THOUGHT}
Here are the functions available in JSONSchema format:
<functions>
"""
_TOOLS_END = "\n</functions>\n"
_RESPONSE_FORMAT = "## Response Format:\n\nYou MUST strictly adhere to the following schema to reply:\n"


@dataclass(frozen=True, slots=True)
class DeepSeekV32Renderer(CodeRenderer):
    """Renders chats for DeepSeek V3.2.

    Keyword arguments of a rendering: ``thinking`` (or ``enable_thinking``; off by default) opens the answer with a
    thought; ``drop_thinking`` says whether developer messages before the last question are left out, which the format
    can't do, so that they are an error (by default where the last message is the user's, as in vLLM). System and
    developer messages may bring ``tools`` and a ``response_format`` of their own. In `render_traced`, the assistant's
    spans are all that its messages say, from the thought to the end token.

    Example:
        >>> DeepSeekV32Renderer().render([{"role": "user", "content": "Hi"}], thinking=True)
        '<｜begin▁of▁sentence｜><｜User｜>Hi<｜Assistant｜><think>'
    """

    @property
    def identity(self) -> str:
        return "renderer:deepseek_v32"

    @property
    def traits(self) -> TemplateTraits:
        return TemplateTraits(
            content_format="string",
            part_types=frozenset(),
            thinking=ThinkingToggle(variable="thinking", default=False),
            opens_thinking=False,
            supports_tools=True,
            supports_documents=False,
            supports_system_role=True,
            tool_arguments="text",
            has_generation_blocks=True,
            variables=frozenset({"thinking", "enable_thinking", "drop_thinking"}),
            string_roles=frozenset(_WRITERS),
        )

    def write(self, chat: Chat, prompt: Prompt) -> None:
        turns = _read_turns(chat)
        prompt.write(_BEGIN)
        _write_tools(prompt, chat.tools)
        for index, role in enumerate(turns.roles):
            if role not in _WRITERS:
                raise refusal(f"DeepSeek V3.2 has no role {role!r:.80}; it has {', '.join(_WRITERS)}")
            prompt.begin_message()
            _WRITERS[role](prompt, turns, index)


@dataclass(frozen=True, slots=True)
class _Turns:
    """The messages, and what each of them has to know of the others."""

    messages: Sequence[Mapping[str, Any]]
    roles: Sequence[str]
    last_question: int
    thinking: bool

    def answer_header_end(self, *, thinks: bool) -> str:
        return _THINK if self.thinking and thinks else _THOUGHT


def _read_turns(chat: Chat) -> _Turns:
    roles = [read_role(message) for message in chat.messages]
    last_question = max((index for index, role in enumerate(roles) if role in ("user", "developer")), default=-1)
    thinking = bool(chat.arguments.get("thinking") or chat.arguments.get("enable_thinking"))
    drop_thinking = chat.arguments.get("drop_thinking")
    if drop_thinking is None:
        drop_thinking = roles[-1] == "user"
    if thinking and drop_thinking and "developer" in roles[: max(last_question, 0)]:
        raise refusal(
            "in thinking mode, DeepSeek V3.2 takes no developer message before the last question: send it as a system "
            "message, or pass drop_thinking=False"
        )
    return _Turns(messages=chat.messages, roles=roles, last_question=last_question, thinking=thinking)


def _write_tools(prompt: Prompt, tools: object) -> None:
    if not tools:
        return
    prompt.write("\n\n" + _TOOLS)
    functions = [read_mapping(tool, "a tool").get("function") for tool in read_list(tools, "'tools'")]
    for index, function in enumerate(functions):
        prompt.write("\n" if index else "")
        prompt.quote(to_json(read_mapping(function, "the 'function' of a tool")))
    prompt.write(_TOOLS_END)


def _write_extras(prompt: Prompt, message: Mapping[str, Any]) -> None:
    _write_tools(prompt, message.get("tools"))
    if message.get("response_format"):
        prompt.write("\n\n" + _RESPONSE_FORMAT)
        prompt.quote(to_json(message["response_format"]))


def _write_system(prompt: Prompt, turns: _Turns, index: int) -> None:
    prompt.quote(read_text(turns.messages[index], "content"), field="content")
    _write_extras(prompt, turns.messages[index])


def _write_developer(prompt: Prompt, turns: _Turns, index: int) -> None:
    content = read_text(turns.messages[index], "content")
    if not content:
        raise refusal("a developer message needs content")
    prompt.write(_USER)
    _write_extras(prompt, turns.messages[index])
    prompt.write("\n\n# The user's message is: ")
    prompt.quote(content, field="content")
    prompt.write(_ASSISTANT + turns.answer_header_end(thinks=index == turns.last_question))


def _write_user(prompt: Prompt, turns: _Turns, index: int) -> None:
    prompt.write(_USER)
    prompt.quote(read_text(turns.messages[index], "content"), field="content")
    prompt.write(_ASSISTANT + turns.answer_header_end(thinks=index == turns.last_question))


def _write_tool_result(prompt: Prompt, turns: _Turns, index: int) -> None:
    caller = index - 1
    while caller >= 0 and turns.roles[caller] == "tool":
        caller -= 1
    calls: Sequence[Any] = ()
    if caller >= 0 and turns.roles[caller] == "assistant":
        calls = read_calls(turns.messages[caller])
    number = index - caller
    if number > len(calls):
        raise refusal("there are more tool results than the assistant made calls")
    prompt.write("\n\n<function_results>\n<result>" if number == 1 else "\n<result>")
    prompt.quote(read_text(turns.messages[index], "content"), field="content")
    prompt.write("</result>")
    if number == len(calls):
        prompt.write("\n</function_results>\n\n" + turns.answer_header_end(thinks=index >= turns.last_question))


def _write_assistant(prompt: Prompt, turns: _Turns, index: int) -> None:
    message, start = turns.messages[index], len(prompt)
    calls = read_calls(message)
    if turns.thinking and index > turns.last_question:
        thought = read_text(message, "reasoning_content")
        if not thought and not calls:
            raise refusal("in thinking mode, an answer to the last question needs reasoning_content or tool calls")
        prompt.quote(thought, field="reasoning_content")
        prompt.write(_THOUGHT)
    prompt.quote(read_text(message, "content"), field="content")
    if calls:
        _write_calls(prompt, calls)
    prompt.write(_END)
    prompt.end_assistant(start)


def _write_calls(prompt: Prompt, calls: Sequence[Mapping[str, Any]]) -> None:
    prompt.write(f"\n\n{_CALLS}\n")
    for call in calls:
        prompt.write(f'{_INVOKE} name="')
        prompt.quote(call["name"])
        prompt.write('">\n')
        for number, (name, value) in enumerate(_read_arguments(call).items()):
            prompt.write(f'\n{_PARAMETER} name="' if number else f'{_PARAMETER} name="')
            prompt.quote(name)
            prompt.write(f'" string="{"true" if isinstance(value, str) else "false"}">')
            prompt.quote(value if isinstance(value, str) else to_json(value))
            prompt.write(_PARAMETER_END)
        prompt.write(f"\n{_INVOKE_END}\n")
    prompt.write(_CALLS_END)


def _read_arguments(call: Mapping[str, Any]) -> Mapping[str, Any]:
    arguments = call.get("arguments")
    if isinstance(arguments, str) and arguments:
        try:
            arguments = json.loads(arguments)
        except (ValueError, RecursionError) as error:
            raise refusal(f"the arguments of a tool call aren't JSON: {error}") from error
    found = read_mapping({} if arguments is None or arguments == "" else arguments, "the arguments of a tool call")
    if not all(isinstance(name, str) for name in found):
        raise refusal("the names of a tool call's arguments must be text")
    return found


_WRITERS: Mapping[str, Callable[[Prompt, _Turns, int], None]] = {
    "system": _write_system,
    "developer": _write_developer,
    "user": _write_user,
    "assistant": _write_assistant,
    "tool": _write_tool_result,
}
