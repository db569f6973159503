"""Leaving the final message open, so that the model goes on with it.

As transformers 5.23 does it: a tag goes behind the message's text, and the prompt is cut at the tag.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tokenfacade.errors import ConfigurationError, TemplateRenderError

REASONING_FIELDS = ("reasoning_content", "thinking", "reasoning")
"""The names under which a message's reasoning goes; the first is what templates read."""

_TAG = "CONTINUE_FINAL_MESSAGE_TAG "


def _refusal(reason: str) -> TemplateRenderError:
    return TemplateRenderError(f"continue_final_message: {reason}", reason="content")


@dataclass(frozen=True, slots=True)
class Continuation:
    """A conversation whose final message carries the tag.

    Attributes:
        messages: The messages, the last one a copy with the tag.
        text: What the final message says.
    """

    messages: list[dict[str, Any]]
    text: str

    def cut(self, prompt: str) -> str:
        """The prompt as far as the final message goes.

        Raises:
            TemplateRenderError: The template left the final message out.
        """
        tag = _TAG.strip()
        if self.text.strip() not in prompt or tag not in prompt:
            raise _refusal(
                "the template leaves the final message out, or parts of it, so there is nothing to go on with"
            )
        at = prompt.rindex(tag)
        # The template may have trimmed the message, and the tag's own space with it.
        return prompt[:at] if prompt[at : at + len(_TAG)] == _TAG else prompt[:at].rstrip()


def open_final_message(messages: list[dict[str, Any]], which: bool | str, template: str) -> Continuation:  # noqa: FBT001
    """Mark the end of the final message's text.

    Args:
        messages: The messages, as the template will see them.
        which: The field to go on with; True for ``"content"``.
        template: The template's text, which must mention the field.

    Raises:
        TemplateRenderError: There is no such text, or the template knows no such field.
    """
    field = which if isinstance(which, str) else "content"
    final = dict(messages[-1])
    value = final.get(field)
    if value is None:
        raise _refusal(f"the final message has no {field!r} to go on with")
    fields = [field]
    if field in REASONING_FIELDS:
        fields = [name for name in REASONING_FIELDS if _is_same(final.get(name), value)]
    if not any(name in template for name in fields):
        raise _refusal(f"the template knows no field {field!r}")
    if isinstance(value, list | tuple):
        value, text = _open_part(value)
    elif isinstance(value, str):
        value, text = value + _TAG, value
    else:
        raise _refusal(f"the final message's {field!r} is no text, but {type(value).__name__}")
    for name in fields:
        final[name] = value
    return Continuation([*messages[:-1], final], text)


def _is_same(one: object, other: object) -> bool:
    return one == other if isinstance(other, str) else one is other


def _open_part(parts: list[Any] | tuple[Any, ...]) -> tuple[list[Any] | tuple[Any, ...], str]:
    for at in reversed(range(len(parts))):
        part = parts[at]
        try:
            if "text" in part:
                opened = [*parts[:at], {**part, "text": part["text"] + _TAG}, *parts[at + 1 :]]
                return opened if isinstance(parts, list) else tuple(opened), part["text"]
        except TypeError as error:
            raise _refusal(f"the final message's last part is no text, but {part!r:.80}") from error
    raise _refusal("the final message has no text to go on with")


def check_continuation(*, add_generation_prompt: object, continue_final_message: object) -> None:
    """Refuse what asks for a new message and for going on with the last one.

    Raises:
        ConfigurationError: It does.
    """
    if continue_final_message and add_generation_prompt:
        raise ConfigurationError(
            "continue_final_message goes on with the last message, add_generation_prompt begins a new one: pass one of "
            "them"
        )
