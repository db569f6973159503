"""Messages as templates and renderers see them: plain data, checked once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from tokenfacade.chat.continuation import REASONING_FIELDS
from tokenfacade.chat.plain_data import plain
from tokenfacade.errors import ConfigurationError, TemplateRenderError


class PreparedMessages(list[dict[str, Any]]):
    """Messages as templates see them."""

    __slots__ = ()


class OrdinaryMessages(PreparedMessages):
    """Messages of which each is a role and a content, both of them strings: nothing about them has to change."""

    __slots__ = ()


def prepare_messages(messages: Any) -> PreparedMessages:
    """The messages as templates see them: plain mappings without empty keys, with reasoning under its usual names.

    Raises:
        ConfigurationError: It is no list of messages, or an empty one.
        TemplateRenderError: One of them is no mapping, or contains itself.
    """
    if isinstance(messages, PreparedMessages):
        return messages
    ordinary = ordinary_messages(messages)
    if ordinary is not None:
        return ordinary
    return PreparedMessages([_prepared(message, at) for at, message in enumerate(messages)])


def ordinary_messages(messages: Any) -> OrdinaryMessages | None:
    """The messages, if they are ordinary; nearly all are.

    Raises:
        ConfigurationError: It is no list of messages, or an empty one.
    """
    if not isinstance(messages, Sequence) or isinstance(messages, str | bytes):
        raise ConfigurationError(
            f"messages is a list of mappings with role and content, not {type(messages).__name__}; one message is "
            f"[message]"
        )
    if not messages:
        raise ConfigurationError("there are no messages: a prompt needs at least one")
    for message in messages:
        if type(message) is not dict or len(message) != 2:
            return None
        # One by one: that takes half the time of any loop over them.
        (first, one), (second, other) = message.items()
        if not (type(first) is str and type(second) is str and type(one) is str and type(other) is str):
            return None
        if not ((first == "role" and second == "content") or (first == "content" and second == "role")):
            return None
    return OrdinaryMessages(messages)


def _prepared(message: Any, at: int) -> dict[str, Any]:
    try:
        message = plain(message)
    except RecursionError as error:
        raise TemplateRenderError(f"message {at} contains itself, or is nested too deeply", reason="content") from error
    if not isinstance(message, dict):
        raise TemplateRenderError(
            f"message {at} is no mapping with role and content, but {type(message).__name__}", reason="content"
        )
    if None in message.values():
        message = {key: value for key, value in message.items() if value is not None}
    reasoning = next((message[name] for name in REASONING_FIELDS if name in message), None)
    if reasoning is None:
        return cast("dict[str, Any]", message)
    # `thinking` first, as in transformers: templates that print messages as JSON keep the order.
    return {"thinking": reasoning, **message, "reasoning_content": reasoning}
