"""What a method or a format would make, worked out before it runs: one call of Python can't be interrupted.

What is found pays into the `Budget` of the rendering, which refuses what is too much.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tokenfacade.chat.limits import LONG, Budget

_COMPARING = frozenset({"lstrip", "rfind", "rindex", "rpartition", "rsplit", "rstrip", "strip"})
"""The methods of strings that may compare each character with each one of their argument."""

_WIDENING = frozenset({"center", "expandtabs", "ljust", "rjust", "to_bytes", "zfill"})
_SLOW = frozenset({"striptags", "unescape"})  # of escaped text
_SPLITTING = frozenset({"rsplit", "split", "splitlines"})
_TAKING_ANY_ITERABLE = frozenset({"from_bytes", "fromkeys", "join"})
_TAKING_SEVERAL = frozenset({"endswith", "startswith"})
SEARCHING = _COMPARING | _TAKING_SEVERAL
"""The methods of strings that take longer for a large argument."""

_WHITE_SPACE = (
    " \t\n\r\x0b\x0c\x1c\x1d\x1e\x1f\x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)
_FAST_ENCODINGS = frozenset(
    {"ascii", "latin-1", "utf-8", "utf8", "utf-16", "utf-32", "ignore", "replace", "strict", "backslashreplace"}
)
_PART = 16  # of a split string: what an object takes, in characters
_NUMBER = re.compile("[0-9]+")
_CONVERSION = re.compile(
    r"%(?:\((?P<key>[^()]*)\))?[-#0 +]*(?P<width>\*|\d*)(?:\.(?P<precision>\*|\d*))?[hlL]?(?P<kind>.)"
)


def charge_method(
    budget: Budget, value: Any, name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> tuple[Any, ...]:
    """Count what a method of a built-in type is going to make and to read.

    Returns:
        The positional arguments to call it with: an iterator, whose length nobody knows, has become a list.

    Raises:
        TemplateLimitError: It is too much.
    """
    if name in _TAKING_ANY_ITERABLE and args and not isinstance(args[0], str | bytes | Sequence | Mapping):
        args = (_listed(args[0]), *args[1:])
    given = (*args, *kwargs.values())
    size = len(value) if isinstance(value, str | bytes | list | tuple | dict) else 0
    budget.spend(size)
    if not isinstance(value, str | bytes | int):
        # Counting or finding a value in a list compares it with each element.
        budget.weigh_comparison(value)
        budget.weigh_comparison(given)
    elif name in _TAKING_SEVERAL:
        budget.weigh_comparison(given)
    elif name in _COMPARING:
        budget.check_comparisons(size * _longest(given))
    elif name in _SLOW:
        budget.check_elements(size)
    if name in _WIDENING:
        budget.check_width(*given)
        width = max((number for number in given if isinstance(number, int)), default=8)
        tab: Any = "\t" if isinstance(value, str) else b"\t"
        budget.charge(max(width, 0) * (value.count(tab) if name == "expandtabs" else 1))
    elif name in _SPLITTING and size > LONG:
        _charge_parts(budget, value, name, args, kwargs)
    elif name == "replace" and len(args) >= 2:
        charge_replace(budget, value, *args[:2])
    elif name == "join" and args:
        parts = _texts(args[0])
        budget.charge(size * len(parts) + _escaped(value) * sum(map(len, parts)))
    elif name == "translate" and args:
        table = args[0].values() if isinstance(args[0], Mapping) else args[0]
        budget.charge(size * (max(map(len, _texts(table)), default=1) if isinstance(table, Iterable) else 1))
    elif name == "from_bytes" and args and isinstance(args[0], Sequence):
        budget.check_bits(8 * len(args[0]))
    elif name in ("decode", "encode") and size > LONG and not _FAST_ENCODINGS.issuperset(_words(given)):
        # Punycode, and so the names of domains, take the square of the length.
        budget.check_comparisons(size * size)
    elif name == "fromkeys" and args and isinstance(args[0], Iterable):
        budget.check_keys(args[0])
    return args


def charge_replace(budget: Budget, value: Any, old: Any, new: Any) -> None:
    """Count what replacing will make of a string."""
    kind = str if isinstance(value, str) else bytes
    if isinstance(old, kind) and isinstance(new, kind):
        length = len(new) * _escaped(value)
        if length > len(old):
            budget.charge(len(value) + value.count(old) * (length - len(old)))


def charge_percent(budget: Budget, template: str | bytes, values: object) -> None:
    """Count what ``template % values`` will make.

    Raises:
        TemplateLimitError: It is too much.
    """
    text = template if isinstance(template, str) else template.decode("latin-1")
    listed = values if isinstance(values, tuple) else ()
    most = max((number for number in listed if isinstance(number, int)), default=0)
    for count, conversion in enumerate(_CONVERSION.finditer(text), 1):
        if count % LONG == 0:
            budget.spend(LONG * LONG)
        for width in (conversion["width"], conversion["precision"]):
            if width:
                number = most if width == "*" else _number(width)
                budget.check_width(number)
                budget.charge(max(number, 0))
        if isinstance(values, Mapping) and conversion["kind"] != "%":
            key = conversion["key"]
            budget.weigh_text(values[key] if key in values else values)
    if not isinstance(values, Mapping):
        budget.weigh_text(values)


def charge_field(budget: Budget, value: object, specification: str) -> None:
    """Count what formatting one value by ``{:specification}`` will make.

    Raises:
        TemplateLimitError: It is too much.
    """
    budget.tick()
    budget.weigh_text(value)
    for width in _NUMBER.findall(specification):
        budget.check_width(_number(width))
        budget.charge(_number(width))


def _charge_parts(
    budget: Budget, value: str | bytes, name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> None:
    """Count the strings that a string is split into."""
    text: Any = value
    separator: Any = kwargs.get("sep", args[0] if args else None)
    most = kwargs.get("maxsplit", args[1] if len(args) > 1 else -1)
    if name == "splitlines" or not isinstance(separator, type(value)) or not separator:
        spaces: Any = _WHITE_SPACE if isinstance(value, str) else _WHITE_SPACE[:6].encode()
        parts = sum(text.count(spaces[at : at + 1]) for at in range(len(spaces)))
    else:
        parts = text.count(separator)
    if name != "splitlines" and isinstance(most, int) and most >= 0:
        parts = min(parts, most)
    budget.check_elements(parts)
    budget.charge(len(value) + _PART * parts)


def _number(digits: str) -> int:
    """The number, or a large one instead of a larger one."""
    return int(digits.lstrip("0")[:9] or 0)


def _escaped(value: object) -> int:
    """How many characters one may become beside a string: escaped text escapes what it meets."""
    return 1 if value.__class__ is str or value.__class__ is bytes else 6


def _words(given: Iterable[object]) -> list[str]:
    return [word.lower() for word in given if isinstance(word, str)]


def _listed(value: Any) -> Any:
    return list(value) if isinstance(value, Iterable) else value


def _texts(values: Iterable[Any]) -> list[Any]:
    return [part for part in values if isinstance(part, str | bytes)]


def _longest(given: Iterable[object]) -> int:
    return max((len(part) for part in given if isinstance(part, str | bytes)), default=0)
