"""What chat templates do, observed by rendering them with transformers on conversations with unmistakable words."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

Message = dict[str, Any]

CALL_ID = "a1b2c3d4e"
SPECIAL_TOKENS = {"bos_token": "<BOS>", "eos_token": "<EOS>", "pad_token": "<PAD>", "unk_token": "<UNK>"}
TOOL = {
    "type": "function",
    "function": {"name": "look", "description": "looks", "parameters": {"type": "object", "properties": {}}},
}
PLACES = {
    "system": ("Fu", "FuAu"),
    "developer": ("Fu", "FuAu"),
    "user": ("F", "sF", "FAu"),
    "assistant": ("uF", "uFu"),
    "tool": ("ucF", "utF", "ucFAu", "uAF"),
}
"""Conversations by the role in focus: F is its message, the other letters are messages around it."""


def render(template: str, messages: list[Message], **arguments: Any) -> str | None:
    """The prompt that transformers makes, with a tool if it fails without one; None if it fails."""
    prompt = _rendered(template, messages, arguments)
    if prompt is None and "tools" not in arguments:
        return _rendered(template, messages, {**arguments, "tools": [TOOL]})
    return prompt


def _rendered(template: str, messages: list[Message], arguments: dict[str, Any]) -> str | None:
    from transformers.utils.chat_template_utils import render_jinja_template

    try:
        rendered: Any = render_jinja_template([messages], chat_template=template, **{**SPECIAL_TOKENS, **arguments})
    except Exception:
        return None
    return str(rendered[0][0])


def plain(role: str, *, as_parts: bool) -> Message:
    """A message that says nothing of interest."""
    words = f"some {role} words"
    return {"role": role, "content": [{"type": "text", "text": words}] if as_parts else words}


def calling(arguments: Any, content: Any = "some words") -> Message:
    call = {"id": CALL_ID, "type": "function", "function": {"name": "look", "arguments": arguments}}
    return {"role": "assistant", "content": content, "tool_calls": [call]}


def message(role: str, content: Any) -> Message:
    extra = {"tool_call_id": CALL_ID, "name": "look"} if role == "tool" else {}
    return {"role": role, "content": content, **extra}


def conversations(places: tuple[str, ...], focus: Message) -> Iterator[list[Message]]:
    for as_parts in (False, True):
        letters = {
            "F": focus,
            "s": plain("system", as_parts=as_parts),
            "u": plain("user", as_parts=as_parts),
            "A": plain("assistant", as_parts=as_parts),
            "c": calling({"place": "Rome"}),
            "t": calling('{"place": "Rome"}'),
            "r": message("tool", "some result"),
        }
        for place in places:
            yield [letters[letter] for letter in place]


@lru_cache
def takes_string(template: str, role: str) -> bool:
    """Whether a string comes out as it is, or inside JSON for a tool's result."""
    prompts = (render(template, chat) for chat in conversations(PLACES[role], message(role, "ZQfirstZQ")))
    return any(prompt is not None and "ZQfirstZQ" in prompt for prompt in prompts)


@lru_cache
def takes_parts(template: str, role: str) -> bool:
    """Whether the texts of a list of parts come out as they are; one text is enough where a string is not taken."""
    counts = (2,) if takes_string(template, role) else (2, 1)
    return any(_takes_texts(template, role, ["ZQfirstZQ", "ZQsecondZQ"][:count]) for count in counts)


def _takes_texts(template: str, role: str, texts: list[str]) -> bool:
    parts = [{"type": "text", "text": text} for text in texts]
    for chat in conversations(PLACES[role], message(role, parts)):
        prompt = render(template, chat)
        if prompt is not None and all(text in prompt for text in texts) and not re.search("""['"]text['"]""", prompt):
            return True
    return False


def _openings(template: str) -> list[list[Message]]:
    as_parts = not takes_string(template, "user")
    user = plain("user", as_parts=as_parts)
    return [[user], [plain("system", as_parts=as_parts), user]]


def takes_tools(template: str) -> bool:
    schema = {"type": "object", "properties": {"place": {"type": "string", "description": "ZQplaceZQ"}}}
    function = {"name": "ZQnameZQ", "description": "ZQtoolZQ", "parameters": {**schema, "required": ["place"]}}
    tools = [{"type": "function", "function": function}]
    prompts = (render(template, chat, tools=tools) for chat in _openings(template))
    return any(prompt is not None and "ZQ" in prompt for prompt in prompts)


def takes_documents(template: str) -> bool:
    documents = [{"doc_id": 1, "title": "ZQtitleZQ", "text": "ZQtextZQ", "contents": "ZQcontentsZQ"}]
    prompts = (render(template, chat, documents=documents) for chat in _openings(template))
    return any(prompt is not None and "ZQ" in prompt for prompt in prompts)


def argument_forms(template: str) -> set[str]:
    """Which of ``"mapping"`` and ``"text"`` come out as they should: as no repr, and as no JSON within JSON."""
    forms = {"mapping": {"place": "ZQargumentZQ"}, "text": '{"place": "ZQargumentZQ"}'}
    return {name for name, arguments in forms.items() if _comes_out_well(template, arguments)}


def _comes_out_well(template: str, arguments: Any) -> bool:
    for content in ("some words", "", None, [{"type": "text", "text": "some words"}]):
        for chat in conversations(("uFr", "uFrAu", "uF"), calling(arguments, content)):
            prompt = render(template, chat)
            if prompt is not None and "ZQargumentZQ" in prompt:
                return "'ZQargumentZQ'" not in prompt and r"\"ZQargumentZQ" not in prompt
    return False


def handles_part(template: str, role: str, kind: str) -> bool:
    """Whether a part of this type comes out otherwise than one of a type that nobody knows, and isn't refused."""
    prompts = []
    for name in (kind, f"{kind}ZQ"):
        parts = [{"type": name, name: "some media"}, {"type": "text", "text": "ZQfirstZQ"}]
        rendered = [render(template, chat) for chat in conversations(PLACES[role], message(role, parts))]
        prompts.append([None if prompt is None else prompt.replace("ZQ", "") for prompt in rendered])
    pairs = zip(*prompts, strict=True)
    return any(known is not None and known != unknown for known, unknown in pairs)


def generation_prompt(template: str, **arguments: Any) -> str:
    """What comes after the last message of a conversation where it is the model's turn."""
    for chat in _openings(template):
        prompt = render(template, chat, add_generation_prompt=True, **arguments)
        if prompt is not None:
            return prompt.rpartition("some user words")[2]
    return ""


def opening_prompts(template: str, **arguments: Any) -> list[str | None]:
    """The prompts of conversations where it is the model's turn, without and with a tool."""
    return [
        render(template, chat, add_generation_prompt=True, tools=tools, **arguments)
        for chat in _openings(template)
        for tools in (None, [TOOL])
    ]
