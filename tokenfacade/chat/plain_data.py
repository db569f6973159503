"""What a template may see: plain strings, numbers, lists and mappings, whatever the caller passed.

Objects with methods would be a way out of the sandbox, so transformers 5.23 rebuilds everything from plain types
(``_plain_template_data``), and so does this; but what is plain already, as the body of a request is, stays itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from operator import is_
from typing import Any

from tokenfacade.errors import ConfigurationError

_SCALARS = frozenset({str, int, float, bool, type(None)})


def plain(value: Any) -> Any:
    """The value made of exact plain types; the same object if it is already.

    Subclasses of strings and numbers become what they derive from, dataclasses and pydantic models mappings, other
    objects a placeholder that names their type: templates look whether an image is there, not at it.

    Raises:
        RecursionError: It contains itself.

    Example:
        >>> message = {"role": "user", "content": "Hi"}
        >>> plain(message) is message
        True
        >>> plain({"role": "user", "content": [{"type": "image", "image": object()}]})["content"]
        [{'type': 'image', 'image': '<object>'}]
    """
    kind = value.__class__
    if kind in _SCALARS:
        return value
    if kind is dict:
        return _plain_dict(value)
    if kind is list or kind is tuple:
        items = [plain(item) for item in value]
        if all(map(is_, items, value)):
            return value
        return items if kind is list else tuple(items)
    return _plain_object(value)


def plain_argument(what: str, value: Any) -> Any:
    """What a caller gave, made of plain types.

    Raises:
        ConfigurationError: It contains itself, or is nested too deeply.
    """
    try:
        return plain(value)
    except RecursionError as error:
        raise ConfigurationError(f"{what}: a value contains itself, or is nested too deeply") from error


def _plain_dict(value: dict[Any, Any]) -> dict[Any, Any]:
    for key, item in value.items():
        if key.__class__ is not str or (item.__class__ not in _SCALARS and plain(item) is not item):
            return {plain(key): plain(item) for key, item in value.items()}
    return value


def _plain_object(value: Any) -> Any:
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        return int.__int__(value)
    if isinstance(value, float):
        return float.__float__(value)
    if isinstance(value, Mapping):
        return {plain(key): plain(value[key]) for key in value}
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, tuple):
        return tuple(plain(item) for item in value)
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if callable(getattr(value, "model_dump", None)) and not isinstance(value, type):
        return plain(value.model_dump())
    if _is_numpy_scalar(value):
        return plain(value.item())
    return f"<{type(value).__name__}>"


def _is_numpy_scalar(value: object) -> bool:
    """Whether it is a scalar of numpy, without importing numpy: a false one must not become a true placeholder."""
    return any(kind.__module__ == "numpy" and kind.__name__ == "generic" for kind in type(value).__mro__)
