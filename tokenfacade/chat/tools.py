"""Tools for a prompt: JSON schemas as they are, and Python functions turned into schemas.

A function becomes a schema as `transformers` makes one: types from the hints, words from a Google docstring.
"""

from __future__ import annotations

import inspect
import json
import re
import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import Enum
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from tokenfacade.errors import ConfigurationError

_BASIC_TYPES: Mapping[Any, str | None] = types.MappingProxyType(
    {
        int: "integer",
        float: "number",
        str: "string",
        bool: "boolean",
        type(None): "null",
        list: "array",
        tuple: "array",
        dict: "object",
        Any: None,
    }
)
_FOREIGN_TYPES = types.MappingProxyType({("PIL.Image", "Image"): "image", ("torch", "Tensor"): "audio"})
_SCALARS = (int, float, str, bool, type(None))

_SECTION = re.compile("Args:|Returns:|Raises:")
_AFTER_ARGS = re.compile("Returns:|Raises:")
_AFTER_RETURNS = re.compile("Raises:")
_ENTRY = re.compile(r"([ \t]*)(\w+):")
_CHOICES = re.compile(r"\(choices:\s*(.*)\)$", re.IGNORECASE)


def tool_schemas(tools: Sequence[Mapping[str, Any] | Callable[..., Any]] | None) -> list[Any] | None:
    """The tools as JSON schemas; mappings are taken as they are, functions and methods are converted.

    A function needs a type hint and a docstring entry for each argument; a ``(choices: [...])`` at the end of an entry
    lists the values that are allowed.

    Raises:
        ConfigurationError: A tool is neither, or a function that lacks a docstring, hints or descriptions.

    Example:
        >>> def weather(city: str, days: int = 1) -> str:
        ...     '''The weather of the next days.
        ...
        ...     Args:
        ...         city: Where.
        ...         days: How many days ahead.
        ...     '''
        >>> [schema] = tool_schemas([weather])
        >>> schema["function"]["parameters"]["properties"]["days"]
        {'type': 'integer', 'description': 'How many days ahead.'}
        >>> schema["function"]["parameters"]["required"]
        ['city']
    """
    if tools is None:
        return None
    if isinstance(tools, str | bytes | Mapping) or not isinstance(tools, Iterable):
        raise ConfigurationError(f"tools must be a list of JSON schemas or functions, not {type(tools).__name__}.")
    return [_schema_of_tool(tool, position) for position, tool in enumerate(tools)]


def _schema_of_tool(tool: object, position: int) -> Any:
    if isinstance(tool, Mapping):
        return tool
    if inspect.isfunction(tool) or inspect.ismethod(tool):
        return _schema_of_function(tool)
    raise ConfigurationError(
        f"tools[{position}] is a {type(tool).__name__}: pass a JSON schema (a mapping), or a Python function or method "
        "with type hints and a docstring."
    )


def _schema_of_function(function: Callable[..., Any]) -> dict[str, Any]:
    name = getattr(function, "__name__", "operation")
    documentation = inspect.getdoc(function)
    if not documentation:
        raise ConfigurationError(f"The tool {name} has no docstring; write one that says what it does.")
    documentation = documentation.strip()
    try:
        signature, hints = inspect.signature(function), get_type_hints(function)
    except Exception as error:
        # Hints in quotes are code of the caller's, so anything may come out of reading them.
        raise ConfigurationError(f"The hints of the tool {name} can't be read: {error!r}.") from error
    schema = {
        "name": name,
        "description": _SECTION.split(documentation, maxsplit=1)[0].strip(),
        "parameters": _schema_of_parameters(name, signature, hints, _argument_descriptions(documentation)),
    }
    if "return" in hints and (returned := _schema_of_return(name, hints["return"])) is not None:
        description = _section(documentation, "Returns:", _AFTER_RETURNS)
        schema["return"] = returned if description is None else {**returned, "description": description.strip()}
    return {"type": "function", "function": schema}


def _schema_of_parameters(
    name: str, signature: inspect.Signature, hints: Mapping[str, Any], descriptions: Mapping[str, str]
) -> dict[str, Any]:
    parameters = list(signature.parameters.values())
    receiver = parameters[0].name if parameters and _is_receiver(parameters[0]) else None
    required = []
    for parameter in parameters[1 if receiver else 0 :]:
        if parameter.annotation is inspect.Parameter.empty:
            raise ConfigurationError(f"The argument {parameter.name} of the tool {name} has no type hint.")
        if parameter.default is inspect.Parameter.empty:
            required.append(parameter.name)
    properties = {
        argument: _schema_of_argument(name, argument, hint, descriptions)
        for argument, hint in hints.items()
        if argument not in ("return", receiver)
    }
    return {"type": "object", "properties": properties} | ({"required": required} if required else {})


def _is_receiver(parameter: inspect.Parameter) -> bool:
    return parameter.name in ("self", "cls") and parameter.annotation is inspect.Parameter.empty


def _schema_of_argument(name: str, argument: str, hint: Any, descriptions: Mapping[str, str]) -> dict[str, Any]:
    try:
        schema = _schema_of_hint(hint)
    except (ConfigurationError, TypeError) as error:
        raise ConfigurationError(f"The argument {argument} of the tool {name}: {error}") from error
    if argument not in descriptions:
        raise ConfigurationError(f"The docstring of the tool {name} doesn't describe its argument {argument}.")
    description = descriptions[argument]
    if (choices := _CHOICES.search(description)) is not None:
        schema["enum"] = _parse_choices(name, argument, choices[1])
        description = description[: choices.start()].strip()
    schema["description"] = description
    return schema


def _schema_of_return(name: str, hint: Any) -> dict[str, Any] | None:
    try:
        return _schema_of_hint(hint)
    except ConfigurationError:
        return None  # no model writes the return value, so a hint that has no schema is left out
    except TypeError as error:
        raise ConfigurationError(f"The return value of the tool {name}: {error}") from error


def _parse_choices(name: str, argument: str, text: str) -> list[Any]:
    try:
        return [choice.strip() if isinstance(choice, str) else choice for choice in json.loads(text)]
    except (ValueError, TypeError, RecursionError) as error:
        raise ConfigurationError(
            f"The choices of the argument {argument} of the tool {name} aren't a JSON list: {text[:80]}"
        ) from error


def _schema_of_hint(hint: Any) -> dict[str, Any]:
    """The schema of a type hint.

    Raises:
        ConfigurationError: There is none.
        TypeError: The hint can't be a type.
    """
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is None:
        return _schema_of_class(hint)
    if origin is Union or origin is types.UnionType:
        return _schema_of_union(arguments)
    if origin is Literal:
        return _schema_of_values(hint, list(arguments))
    if origin is list:
        return {"type": "array"} | ({"items": _schema_of_hint(arguments[0])} if arguments else {})
    if origin is tuple:
        return _schema_of_tuple(hint, arguments)
    if origin is dict:
        extra = {"additionalProperties": _schema_of_hint(arguments[1])} if len(arguments) == 2 else {}
        return {"type": "object"} | extra
    raise ConfigurationError(_no_schema(hint))


def _schema_of_class(hint: Any) -> dict[str, Any]:
    if isinstance(hint, type) and issubclass(hint, Enum):
        return _schema_of_values(hint, [member.value for member in hint])
    if hint in _BASIC_TYPES:
        basic = _BASIC_TYPES[hint]
        return {} if basic is None else {"type": basic}
    foreign = _FOREIGN_TYPES.get((getattr(hint, "__module__", ""), getattr(hint, "__qualname__", "")))
    if foreign is None or not isinstance(hint, type):
        raise ConfigurationError(_no_schema(hint))
    return {"type": foreign}


def _schema_of_values(hint: Any, values: list[Any]) -> dict[str, Any]:
    if not values or any(type(value) not in _SCALARS for value in values):
        raise ConfigurationError(f"{hint!r} must list at least one value, each an int, float, str, bool or None.")
    names = list(dict.fromkeys(_BASIC_TYPES[type(value)] for value in values))
    return {"type": names[0] if len(names) == 1 else names, "enum": values}


def _schema_of_union(members: Sequence[Any]) -> dict[str, Any]:
    schemas = [_schema_of_hint(member) for member in members if member is not type(None)]
    if len(schemas) == 1:
        schema = schemas[0]
    elif all(list(schema) == ["type"] and isinstance(schema["type"], str) for schema in schemas):
        names = sorted({schema["type"] for schema in schemas})
        schema = {"type": names[0] if len(names) == 1 else names}
    else:
        schema = {"anyOf": schemas}
    if type(None) in members:
        schema["nullable"] = True
    return schema


def _schema_of_tuple(hint: Any, members: Sequence[Any]) -> dict[str, Any]:
    if len(members) == 1 or ... in members:
        raise ConfigurationError(f"{hint!r} has one element, or any number: write a list, or the element alone.")
    return {"type": "array"} | ({"prefixItems": [_schema_of_hint(member) for member in members]} if members else {})


def _no_schema(hint: Any) -> str:
    return (
        f"{hint!r} has no JSON schema. Use int, float, str, bool, an Enum, Literal, or list, tuple, dict and unions of "
        "them, or pass the tool as a JSON schema."
    )


def _argument_descriptions(documentation: str) -> dict[str, str]:
    section = _section(documentation, "Args:", _AFTER_ARGS)
    lines = [line for line in (section or "").split("\n") if line.strip()]
    descriptions = {}
    start = 0
    while start < len(lines):
        entry = _ENTRY.match(lines[start])
        end = start + 1
        if entry is not None:
            end = _end_of_entry(lines, start, entry)
            parts = [lines[start][entry.end() :], *lines[start + 1 : end]]
            descriptions[entry[2]] = " ".join(part.strip() for part in parts).strip()
        start = end
    return descriptions


def _end_of_entry(lines: Sequence[str], start: int, entry: re.Match[str]) -> int:
    """Where the next entry starts that isn't deeper; an empty entry takes the next line in any case."""
    deeper = (entry[1] + " ", entry[1] + "\t")
    end = start + 1 if lines[start][entry.end() :].strip() else start + 2
    while end < len(lines) and (lines[end].startswith(deeper) or not _ENTRY.match(lines[end])):
        end += 1
    return min(end, len(lines))


def _section(documentation: str, title: str, end: re.Pattern[str]) -> str | None:
    """What stands below a title that has a line for itself, and isn't the first line."""
    found = re.search(rf"\n\s*{title}\n", documentation)
    return None if found is None else end.split(documentation[found.end() :], maxsplit=1)[0]
