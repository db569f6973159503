"""JSON schemas as the TypeScript-like types in which Harmony declares functions.

The text is that of the ``openai-harmony`` renderer, which is the format's definition, with its ways of spacing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from math import isfinite
from typing import Any

from tokenfacade.chat.renderers.reading import refusal

_SIMPLE = {"string": "string", "number": "number", "integer": "number", "boolean": "boolean"}


def declare_function(name: str, description: str, parameters: object) -> str:
    """A function as a type, its description above it.

    Example:
        >>> print(declare_function("add", "Adds.", {"type": "object", "properties": {"a": {"type": "integer"}}}))
        // Adds.
        type add = (_: {
        a?: number,
        }) => any;

    Raises:
        TemplateRenderError: The parameters are nested too deeply, or hold what JSON doesn't have.
    """
    try:
        argument = "" if parameters is None else f"_: {_type_of(parameters, '')}"
    except RecursionError as error:
        raise refusal(f"the parameters of the tool {name} are nested too deeply") from error
    return "".join(f"// {line}\n" for line in _lines(description)) + f"type {name} = ({argument}) => any;"


def _lines(text: str) -> list[str]:
    lines = text.split("\n")
    last = lines.pop()
    return [line.removesuffix("\r") for line in lines] + ([last] if last else [])


def _type_of(schema: object, indent: str) -> str:
    if not isinstance(schema, Mapping):
        return "any"
    if isinstance(variants := schema.get("oneOf"), list | tuple):
        return "".join(f"\n{indent} | {_variant(variant, indent)}" for variant in variants)
    kind = schema.get("type")
    if isinstance(kind, list | tuple):
        names = ["number" if name == "integer" else name for name in kind if isinstance(name, str)]
        return " | ".join(names) if names else "any"
    if kind == "object":
        return _object(schema, indent)
    if kind == "array":
        return f"{_type_of(schema['items'], indent)}[]" if "items" in schema else "Array<any>"
    if kind == "string" and (values := [value for value in _items(schema, "enum") if isinstance(value, str)]):
        return " | ".join(f'"{value}"' for value in values)
    return _SIMPLE.get(kind, "any") if isinstance(kind, str) else "any"


def _variant(variant: object, indent: str) -> str:
    """One of the types of a ``oneOf`` that isn't a property's own."""
    words = []
    if (description := _text(variant, "description")) is not None:
        words.append(description)
    if isinstance(variant, Mapping) and "default" in variant:
        default = variant["default"]
        is_plain = isinstance(default, str) and not _items(variant, "enum")
        words.append(f'default: "{default}"' if is_plain else f"default: {_json(default)}")
    return _nullable(variant, indent + "   ") + _comment(words)


def _object(schema: Mapping[str, Any], indent: str) -> str:
    required = {name for name in _items(schema, "required") if isinstance(name, str)}
    properties = schema.get("properties")
    written = [_note(_text(schema, "description"), indent), "{\n"]
    for name, value in properties.items() if isinstance(properties, Mapping) else ():
        key = name if name in required else f"{name}?"
        written.append(_property(key, value, indent))
    return "".join(written) + indent + "}"


def _property(key: str, schema: object, indent: str) -> str:
    above = ""
    if (title := _text(schema, "title")) is not None:
        above += f"{indent}// {title}\n{indent}//\n"
    has_variants = isinstance(schema, Mapping) and "oneOf" in schema
    if not has_variants:
        above += _note(_text(schema, "description"), indent)
    if examples := _items(schema, "examples"):
        above += f"{indent}// Examples:\n"
        above += "".join(f'{indent}// - "{example}"\n' for example in examples if isinstance(example, str))
    if isinstance(schema, Mapping) and isinstance(schema.get("oneOf"), list | tuple):
        return above + _property_of_variants(key, schema, indent)
    default = [] if has_variants else _default(schema)
    return above + f"{indent}{key}: {_nullable(schema, indent + '    ')},{_comment(default)}\n"


def _property_of_variants(key: str, schema: Mapping[str, Any], indent: str) -> str:
    variants, description = schema["oneOf"], _text(schema, "description")
    is_above = description is not None and not (variants and _text(variants[0], "description") == description)
    written = [_note(description if is_above else None, indent)]
    written += [f"{indent}// {default}\n" for default in _default(schema)]
    written.append(f"{indent}{key}:\n")
    for number, variant in enumerate(variants):
        own = _text(variant, "description")
        words = [] if own is None or own == description or (number == 0 and is_above) else [own]
        written.append(f"{indent} | {_nullable(variant, indent + '   ')}{_comment(words + _default(variant))}\n")
    return "".join(written) + f"{indent},\n"


def _nullable(schema: object, indent: str) -> str:
    written = _type_of(schema, indent)
    is_nullable = isinstance(schema, Mapping) and schema.get("nullable") is True
    return f"{written} | null" if is_nullable and "null" not in written else written


def _default(schema: object) -> list[str]:
    if not isinstance(schema, Mapping) or "default" not in schema:
        return []
    default = schema["default"]
    if not isinstance(default, str):
        return [f"default: {_json(default)}"]
    return [f"default: {default}" if _items(schema, "enum") else f'default: "{default}"']


def _note(text: str | None, indent: str) -> str:
    return "" if text is None else f"{indent}// {text}\n"


def _comment(words: Sequence[str]) -> str:
    return f" // {' '.join(words)}" if words else ""


def _text(schema: object, key: str) -> str | None:
    value = schema.get(key) if isinstance(schema, Mapping) else None
    return value if isinstance(value, str) else None


def _items(schema: object, key: str) -> Sequence[Any]:
    value = schema.get(key) if isinstance(schema, Mapping) else None
    return value if isinstance(value, list | tuple) else ()


def _json(value: object) -> str:
    """JSON as ``serde_json`` writes it: without spaces, and numbers in its own words."""
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{_json(str(key))}:{_json(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(_json, value)) + "]"
    if isinstance(value, float) and not isfinite(value):
        raise refusal("a default in a tool is a number that JSON doesn't have")
    return _float(value) if isinstance(value, float) else json.dumps(value, ensure_ascii=False)


def _float(value: float) -> str:
    mantissa, _, exponent = repr(value).partition("e")
    if exponent == "-05":
        return format(Decimal(repr(value)), "f")  # Python goes over to exponents one digit earlier
    return f"{mantissa}e{int(exponent)}" if exponent else mantissa
