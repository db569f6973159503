"""Conversations for trial runs of templates: their structure is known, the words in them are not."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tokenfacade.chat.trial.symbols import Sample, Text, words_of

Message = dict[str, Any]
Conversation = list[Message]

ROLES = ("system", "developer", "user", "assistant", "tool")
TOOL_WORDS = "tool definition"
DOCUMENT_WORDS = "document"
ARGUMENT_WORDS = "tool call arguments"
PART_WORDS = "part type"
VALUE_WORDS = "value of a part"
FOCUS_WORDS = "words"
CALL_ID = "a1b2c3d4e"
"""Some templates insist on nine characters."""


def message(role: str, content: Any = None) -> Message:
    """A message whose words are named after its role, unless it has a content of its own."""
    extra = {"tool_call_id": CALL_ID, "name": words_of("tool name")} if role == "tool" else {}
    return {"role": role, "content": words_of(role) if content is None else content, **extra}


def text_part(source: str) -> Message:
    return {"type": "text", "text": words_of(source)}


def calling_message(arguments: Any, content: Any) -> Message:
    """An assistant's message that calls a tool."""
    function = {"name": words_of("called tool"), "arguments": arguments}
    calls = [{"id": CALL_ID, "type": "function", "function": function}]
    return {"role": "assistant", "content": content, "tool_calls": calls}


def conversations_around(focus: Message, others: dict[str, Message]) -> list[Conversation]:
    """Conversations with the message in its usual places; `others` are the messages around it by role."""
    system, user, assistant = others["system"], others["user"], others["assistant"]
    role = focus["role"]
    if role in ("system", "developer"):
        return [[focus, user], [focus, user, assistant, user]]
    if role == "user":
        return [[focus], [system, focus], [focus, assistant, user]]
    if role == "assistant" and "tool_calls" not in focus:
        return [[user, focus], [user, focus, user]]
    if role == "assistant":
        result = message("tool")
        return [[user, focus, result], [user, focus, result, assistant, user], [user, focus]]
    call = calling_message({"place": words_of(ARGUMENT_WORDS)}, words_of("assistant"))
    textual = calling_message(words_of(ARGUMENT_WORDS), words_of("assistant"))
    return [[user, call, focus], [user, textual, focus], [user, call, focus, assistant, user], [user, assistant, focus]]


def tools() -> list[dict[str, Any]]:
    """One tool, as JSON schema."""
    words = words_of(TOOL_WORDS)
    place = {"type": "string", "description": words}
    parameters = {"type": "object", "properties": {"place": place}, "required": ["place"]}
    return [{"type": "function", "function": {"name": words, "description": words, "parameters": parameters}}]


def documents(keys: Iterable[str] = ()) -> list[Sample]:
    """One document, with the keys that templates read, and these."""
    words = words_of(DOCUMENT_WORDS)
    usual = dict.fromkeys(("title", "text", "content", "contents", "source"), words)
    return [Sample({**dict.fromkeys(keys, words), "doc_id": 1, **usual})]


def part_of_type(kind: str | Text) -> Sample:
    """A part that isn't text; what a template asks it for is written down."""
    return Sample({"type": kind, kind: words_of(VALUE_WORDS)} if isinstance(kind, str) else {"type": kind})
