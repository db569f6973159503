"""Shaping messages to what a template reads, so that no Python repr of a list or a mapping gets into a prompt.

Clients say the same thing in several shapes: a text as a string or as a list with one part, the arguments of a tool
call as a mapping or as JSON text. Templates know some of them, and print ``[{'type': 'text', ...}]`` for the others, or
fail. `shape_messages` changes what a template doesn't know, and nothing else:

- **Text in parts, for a template that prints the content**: the texts, joined by line breaks as vLLM, llama.cpp and smg
  do. Parts of type ``input_text``, ``output_text`` and ``refusal`` and bare strings in the list are texts too; a part
  whose text is None says nothing.
- **A string, for a template that reads nothing but parts**: one text part.
- **Images, audio, video**: as they are where the template knows their type, else as another type of the same medium
  that it knows (``image_url`` as ``image``), else an error. What is in them is never looked at, let alone printed.
- **Thinking parts**, where the template doesn't know them: the message's ``reasoning_content``, as llama.cpp does.
- **A tool result that is a mapping, or a list of what aren't parts**: JSON text, unless the template makes JSON of it.
- **Arguments of tool calls**: JSON text parsed for templates that read a mapping, a mapping dumped for those that print
  text; a template that takes both gets what was given. Empty text means no arguments; text that is not a JSON object
  stays as it is.

Other contents have no meaning for a template: they are a `TemplateRenderError` with ``reason="content"``. Numbers stay:
a template prints them as anyone would write them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from operator import is_
from typing import TYPE_CHECKING, Any

from tokenfacade.chat.continuation import REASONING_FIELDS
from tokenfacade.chat.messages import OrdinaryMessages
from tokenfacade.chat.plain_data import plain
from tokenfacade.errors import ConfigurationError, TemplateRenderError

if TYPE_CHECKING:
    from tokenfacade.chat.inspect import TemplateTraits

_TEXTS = {"text": "text", "input_text": "text", "output_text": "text", "refusal": "refusal"}
"""Types of parts that are text, and the key that it is under."""

_MEDIA = (
    ("image", "image_url", "input_image"),
    ("audio", "audio_url", "input_audio"),
    ("video", "video_url", "input_video"),
)
"""Types of parts that mean the same medium, what most templates read first."""

_UNTYPED = ("text", *(kind for kinds in _MEDIA for kind in kinds))
"""Keys that say what a part is when it has no type."""

_ROLES = frozenset({"system", "developer", "user", "assistant", "tool"})
"""The roles that `TemplateTraits` tells apart."""


class _UnfitError(ValueError):
    """What can't be shaped, said without the message's place."""


class _UnknownTypeError(_UnfitError):
    """A part of a type that isn't known here."""

    def __init__(self, problem: str, *, kind: str | None) -> None:
        super().__init__(problem)
        self.kind = kind


def shape_messages(messages: Sequence[Mapping[str, Any]], traits: TemplateTraits) -> list[Mapping[str, Any]]:
    """The messages as a template with these traits reads them.

    Nothing of the caller's is changed: messages that have to change are copied as far as they do, the others are the
    caller's own objects, and a list of which no message changes comes back itself. Shaping twice is shaping once.

    Raises:
        ConfigurationError: `messages` is not a list of messages.
        TemplateRenderError: a message has a content that the template can't show (``reason="content"``); the error
            says which message, and what the template knows.

    Example:
        >>> from tokenfacade.chat.inspect import inspect_template
        >>> traits = inspect_template("{% for m in messages %}{{ m.role + ': ' + m.content }}{% endfor %}")
        >>> shape_messages([{"role": "user", "content": [{"type": "text", "text": "Hello"}]}], traits)
        [{'role': 'user', 'content': 'Hello'}]
    """
    given: object = messages  # what the annotation says isn't so yet
    if not isinstance(given, Sequence) or isinstance(given, (str, bytes)):
        raise ConfigurationError(f"messages is a list of messages, not {_name(messages)}; one message is [message]")
    strings_fit = traits.part_roles <= traits.string_roles
    if strings_fit and type(messages) is OrdinaryMessages:
        return messages  # type: ignore[return-value]
    changed: dict[int, Mapping[str, Any]] = {}
    for index, message in enumerate(messages):
        # Nearly every message of a long chat is a role and a string, and costs a tenth of a microsecond here.
        if (
            strings_fit
            and type(message) is dict
            and len(message) == 2
            and type(message.get("content")) is str
            and "role" in message
        ):
            continue
        try:
            shaped = _shape_message(message, traits)
        except _UnfitError as unfit:
            raise TemplateRenderError(f"message {index} {unfit}", reason="content") from None
        except RecursionError:
            raise TemplateRenderError(f"message {index} is nested too deeply", reason="content") from None
        if shaped is not message:
            changed[index] = shaped
    if not changed and type(messages) in (list, OrdinaryMessages):
        return messages  # type: ignore[return-value]
    return [changed.get(index, message) for index, message in enumerate(messages)]


def _shape_message(original: Any, traits: TemplateTraits) -> Any:
    message = _mapping(original)
    if message is None:
        raise _UnfitError(f"is {_name(original)}; a message is a mapping with a role and a content")
    changes: dict[str, Any] = {}
    content = message.get("content")
    if isinstance(content, (list, tuple)) and any(_is_thinking(part, traits) for part in content):
        thoughts = [_thought(part) for part in content if _is_thinking(part, traits)]
        content = [part for part in content if not _is_thinking(part, traits)]
        if all(message.get(field) is None for field in REASONING_FIELDS):
            changes["reasoning_content"] = "\n".join(thoughts)
    shaped = _shape_content(content, message, traits)
    if shaped is not message.get("content"):
        changes["content"] = shaped
    for field in REASONING_FIELDS:
        if isinstance(message.get(field), (list, tuple)):
            changes[field] = _joined(message[field])
    for field, shape in (("tool_calls", _shape_calls), ("function_call", _shape_function)):
        given = message.get(field)
        if given and (shaped := shape(given, traits)) is not given:
            changes[field] = shaped
    return {**message, **changes} if changes else original


# Content


def _shape_content(content: Any, message: Mapping[str, Any], traits: TemplateTraits) -> Any:
    role = _role_of(message)
    reads_parts = role in traits.part_roles
    if isinstance(content, str):
        return [{"type": "text", "text": content}] if reads_parts and role not in traits.string_roles else content
    is_data = role == "tool" and _is_data(content)
    if is_data and role in traits.mapping_roles:
        return content
    if isinstance(content, (list, tuple)) and not is_data:
        return _shape_parts(content, traits) if reads_parts else _joined(content, role, traits)
    rebuilt = plain(content)
    if rebuilt is None or type(rebuilt) in (int, float):
        return content
    if role != "tool" or isinstance(rebuilt, str):
        raise _UnfitError(f"has {_name(content)} as content; a content is a text or a list of parts")
    return _shape_content(_json(rebuilt), message, traits)


def _role_of(message: Mapping[str, Any]) -> str:
    """The role, as far as traits tell roles apart: templates treat the others as they treat users, or refuse them."""
    role = message.get("role")
    return role if isinstance(role, str) and role in _ROLES else "user"


def _is_data(result: Any) -> bool:
    """Whether a tool gave back something of its own, and not parts: a mapping, or mappings without types."""
    if isinstance(result, (list, tuple)):
        return bool(result) and all(isinstance(item, Mapping) and _type_of(item) is None for item in result)
    return isinstance(result, Mapping)


def _shape_parts(parts: Sequence[Any], traits: TemplateTraits) -> Sequence[Any]:
    """The parts that a template with these traits reads: the same object where that is what was given."""
    shaped = [_shape_part(part, traits.part_types) for part in parts]
    if _all_same(shaped, parts):
        return parts
    return [part for part in shaped if part is not None]


def _joined(parts: Sequence[Any], role: str | None = None, traits: TemplateTraits | None = None) -> str:
    """The texts of the parts, for a template that prints the content.

    The role and the traits are for the error: what the template doesn't take from this role it may take from another.
    """
    try:
        shaped = [_shape_part(part, frozenset()) for part in parts]
    except _UnknownTypeError as unknown:
        if role is None or traits is None or not _reads_type(unknown.kind, traits):
            raise
        takers = ", ".join(sorted(traits.part_roles))
        raise _UnfitError(
            f"has a part of type {unknown.kind!r:.40}, which this chat template doesn't take from the role {role!r}: "
            f"from that it takes text only, and parts of other types from {takers}"
        ) from None
    if not all("text" in part for part in shaped if part is not None):
        raise _UnfitError("has a text part without a text")
    return "\n".join([part["text"] for part in shaped if part is not None])


def _shape_part(part: Any, known: frozenset[str]) -> Any:
    """The part as a template that knows these types, and text, reads it; None if it says nothing."""
    if type(part) is dict and part.get("type") == "text" and type(part.get("text")) is str:
        return part  # nearly every part
    if isinstance(part, str):
        return {"type": "text", "text": part}
    fields = _mapping(part)
    if fields is None:
        raise _UnfitError(f"has {_name(part)} in its content; a part is a text or a mapping with a type")
    kind = _type_of(fields)
    if kind == "text" or (kind in _TEXTS and kind not in known):
        return _shape_text(part, fields, kind)
    if kind in known:
        return part if "type" in fields else {**fields, "type": kind}
    for other in next((kinds for kinds in _MEDIA if kind in kinds), ()):
        if other in known:
            return {**fields, "type": other}
    knows = ", ".join(sorted(known | {"text"}))
    raise _UnknownTypeError(
        f"has a part of type {kind!r:.40}, which this chat template doesn't know; it knows: {knows}", kind=kind
    )


def _reads_type(kind: str | None, traits: TemplateTraits) -> bool:
    """Whether the template knows the type, or another for the same medium, in the content of some role."""
    same = next((kinds for kinds in _MEDIA if kind in kinds), (kind,))
    return not traits.part_types.isdisjoint(same)


def _shape_text(part: Any, fields: Mapping[str, Any], kind: str) -> Any:
    if kind == "text" and "text" not in fields:
        return part  # a few templates read other keys
    text = fields.get(_TEXTS[kind])
    if isinstance(text, str):
        return part if fields.get("type") == "text" else {"type": "text", "text": text}
    if text is None:
        return None
    raise _UnfitError(f"has a part whose text is {_name(text)}")


def _type_of(part: Mapping[str, Any]) -> str | None:
    kind = part.get("type")
    if kind is None:
        return next((key for key in _UNTYPED if key in part), None)
    return kind if isinstance(kind, str) else str(kind)


# Thinking


def _is_thinking(part: Any, traits: TemplateTraits) -> bool:
    fields = part if type(part) is dict else _mapping(part)
    kind = None if fields is None else fields.get("type")
    return kind in REASONING_FIELDS and kind not in traits.part_types


def _thought(part: Any) -> str:
    """What a thinking part says: a text (Anthropic) or a list of text parts (Mistral)."""
    fields = _mapping(part) or {}
    text = fields.get(fields["type"], fields.get("text"))
    return _joined(text if isinstance(text, (list, tuple)) else [text or ""])


# Tool calls


def _shape_calls(calls: Any, traits: TemplateTraits) -> Any:
    if not isinstance(calls, (list, tuple)):
        return calls
    shaped = [_shape_call(call, traits) for call in calls]
    return calls if _all_same(shaped, calls) else shaped


def _shape_call(original: Any, traits: TemplateTraits) -> Any:
    call = _mapping(original)
    if call is None:
        return original
    if call.get("function") is None:  # some clients leave the level out
        return _shape_function(original, traits)
    function = _shape_function(call["function"], traits)
    return original if function is call["function"] else {**call, "function": function}


def _shape_function(original: Any, traits: TemplateTraits) -> Any:
    function = _mapping(original)
    if function is None:
        return original
    arguments = function.get("arguments")
    if traits.either_arguments and not (isinstance(arguments, str) and not arguments.strip()):
        return original
    if traits.tool_arguments == "mapping":
        shaped = _parsed(arguments) if isinstance(arguments, str) else arguments
    else:
        shaped = _json(arguments) if isinstance(arguments, (Mapping, list, tuple)) else arguments
    return original if shaped is arguments else {**function, "arguments": shaped}


def _parsed(arguments: str) -> Any:
    if not arguments.strip():
        return {}
    try:
        parsed = json.loads(arguments)
    except (ValueError, RecursionError):
        return arguments
    return parsed if isinstance(parsed, dict) else arguments


def _json(value: Any) -> str:
    try:
        return json.dumps(plain(value), ensure_ascii=False)
    except (TypeError, ValueError) as error:
        raise _UnfitError(f"has {_name(value)} that JSON can't hold ({error})") from None


# Values


def _all_same(shaped: Sequence[Any], given: Sequence[Any]) -> bool:
    return all(map(is_, shaped, given))


def _mapping(value: Any) -> Mapping[str, Any] | None:
    """The value as a mapping, also if it is a dataclass or a pydantic model; None if it isn't one."""
    if type(value) is dict or isinstance(value, Mapping):
        return value
    rebuilt = plain(value)
    return rebuilt if isinstance(rebuilt, dict) else None


def _name(value: Any) -> str:
    return f"a {type(value).__name__}"
