"""What messages hold, read with care: they come from requests, so anything may be anywhere in them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from tokenfacade.errors import TemplateRenderError


def refusal(words: str) -> TemplateRenderError:
    """The error for messages of a shape that a format can't take."""
    return TemplateRenderError(words, reason="content")


def read_role(message: Mapping[str, Any]) -> str:
    role = message.get("role")
    if not isinstance(role, str):
        raise refusal(f"a message needs a role that is text, not {role!r:.80}")
    return role


def read_text(holder: Mapping[str, Any], key: str) -> str:
    """The text under `key`; nothing there is an empty text.

    Raises:
        TemplateRenderError: It is no text.
    """
    value = holder.get(key)
    if value is None:
        return ""
    if not isinstance(value, str):
        hint = '; content="shape" joins the parts of a message' if isinstance(value, list | tuple) else ""
        raise refusal(f"{key!r} must be text in this prompt format, not {type(value).__name__}{hint}")
    return value


def read_calls(message: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The tool calls of a message, each the mapping with its ``name`` and ``arguments``."""
    return [read_function(call, "a tool call") for call in read_list(message.get("tool_calls") or (), "'tool_calls'")]


def read_function(tool: object, what: str) -> Mapping[str, Any]:
    """What stands under ``function`` in a tool, or in a call of one.

    Raises:
        TemplateRenderError: There is none, or it has no name.
    """
    function = read_mapping(read_mapping(tool, what).get("function"), f"the 'function' of {what}")
    if not isinstance(function.get("name"), str):
        raise refusal(f"{what} needs a name that is text, not {function.get('name')!r:.80}")
    return function


def read_mapping(value: object, what: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise refusal(f"{what} must be a mapping, not {type(value).__name__}")
    return value


def read_list(value: object, what: str) -> Sequence[Any]:
    if not isinstance(value, list | tuple):
        raise refusal(f"{what} must be a list, not {type(value).__name__}")
    return value


def to_json(value: Any) -> str:
    """JSON in the words of Python's `json`, characters as they are.

    Raises:
        TemplateRenderError: The value holds what JSON doesn't have.
    """
    try:
        return json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise refusal(f"what should be written as JSON isn't JSON: {error}") from error
