"""What filters are about to make, worked out before they run: most of it can't be interrupted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from jinja2 import pass_context
from jinja2.filters import make_attrgetter, make_multi_attrgetter

from tokenfacade.chat.costs import charge_percent, charge_replace

if TYPE_CHECKING:
    from tokenfacade.chat.jinja_runtime import ChatContext
    from tokenfacade.chat.limits import Budget


NUMBER = 8
"""What an integer takes, in characters."""

_ATTRIBUTE_AT = {"groupby": 0, "max": 1, "min": 1, "sort": 2, "unique": 1}
"""Which argument tells the attribute that a filter compares."""


@pass_context
def to_text(context: ChatContext, value: Any) -> str:
    """The value as a string, which a string is already."""
    return value if isinstance(value, str) else context.text(value)


def listed(context: ChatContext, values: Any) -> list[Any]:
    """What there is, as a list."""
    if isinstance(values, str):
        context.budget.check_elements(len(values))
    elif isinstance(values, range):
        context.budget.charge(NUMBER * len(values))
    return list(values)


def check_attribute(budget: Budget, attribute: object, times: int = 1) -> int:
    """Refuse to follow a path of names that is too long, so many times."""
    if not isinstance(attribute, str):
        return 1
    budget.check_width(len(attribute))
    parts = 1 + attribute.count(".") + attribute.count(",")
    budget.check_elements(parts * times)
    return parts


def attribute_values(context: ChatContext, values: Any, attribute: Any, default: Any = None) -> list[Any]:
    """The attribute of each value."""
    items = listed(context, values)
    check_attribute(context.budget, attribute, len(items))
    return list(map(make_attrgetter(context.environment, attribute, default=default), items))


def check_compared(name: str, context: ChatContext, value: Any, /, *args: Any, **kwargs: Any) -> None:
    """Count what sorting, grouping and the like compares, of which Jinja makes a lower-case copy."""
    budget = context.budget
    if name == "dictsort":
        by = kwargs.get("by", args[1] if len(args) > 1 else "key")
        compared = listed(context, value.values() if by == "value" else value) if isinstance(value, Mapping) else []
    elif not isinstance(value, Iterable):
        return
    else:
        at = _ATTRIBUTE_AT[name]
        attribute = kwargs.get("attribute", args[at] if len(args) > at else None)
        if attribute is None:
            compared = listed(context, value)
        elif name == "sort":
            items = listed(context, value)
            check_attribute(budget, attribute, len(items))
            compared = list(map(make_multi_attrgetter(context.environment, attribute), items))
        else:
            default = kwargs.get("default", args[1] if len(args) > 1 else None) if name == "groupby" else None
            compared = attribute_values(context, value, attribute, default)
    size = budget.weigh_text(compared)
    budget.check_comparisons(size * len(compared).bit_length())
    if name == "unique":
        budget.check_keys(compared)


def check_format(context: ChatContext, value: Any, /, *args: Any, **kwargs: Any) -> None:
    """Count what a ``%`` format makes."""
    charge_percent(context.budget, to_text(context, value), kwargs or args)


def check_indent(context: ChatContext, value: Any, width: Any = 4, *args: Any, **kwargs: Any) -> None:
    """Count the white space of an indent."""
    context.budget.check_width(width)
    size = len(width) if isinstance(width, str) else width if isinstance(width, int) else 0
    # Line breaks of every kind.
    context.budget.charge(max(size, 0) * (len(to_text(context, value).splitlines()) + 1))


def check_int(context: ChatContext, value: Any, default: Any = 0, base: Any = 10) -> None:
    """Refuse to read an integer that is too large."""
    if isinstance(value, str | bytes) and base != 10:
        context.budget.check_bits(6 * len(value))


def check_layout(budget: Budget, value: Any, indent: object, separators: object) -> None:
    """Count the white space and the separators of JSON."""
    elements, depth = extent(budget, value)
    width = len(indent) if isinstance(indent, str) else indent if isinstance(indent, int) else 0
    between = (
        [len(part) for part in separators if isinstance(part, str)] if isinstance(separators, list | tuple) else []
    )
    budget.check_width(width, *between)
    budget.charge(elements * (max(width, 0) * depth + sum(between)))


def extent(budget: Budget, value: Any) -> tuple[int, int]:
    """How many elements there are in nested lists and mappings, and how deep they are nested."""
    budget.weigh(value)
    elements, depth = 1, 0
    level = [value]
    while level:
        depth += 1
        level = [
            child
            for item in level
            if isinstance(item, list | tuple | dict)
            for child in (item.values() if isinstance(item, dict) else item)
        ]
        elements += len(level)
    return elements, depth


def check_replace(context: ChatContext, value: Any, old: Any = "", new: Any = "", *args: Any, **kwargs: Any) -> None:
    """Count what a replacement makes."""
    charge_replace(context.budget, *(str(to_text(context, part)) for part in (value, old, new)))


def check_urlize(context: ChatContext, value: Any, *args: Any, **kwargs: Any) -> None:
    """Count the tags around links."""
    longest = max((len(given) for given in (*args, *kwargs.values()) if isinstance(given, str)), default=1)
    context.budget.charge(len(to_text(context, value)) * longest)


def check_wordwrap(
    context: ChatContext,
    value: Any,
    width: int = 79,
    break_long_words: bool = True,  # noqa: FBT001, FBT002
    wrapstring: str | None = None,
    *args: Any,
    **kwargs: Any,
) -> None:
    """Count what breaking lines makes and copies."""
    text, width = to_text(context, value), max(width, 1)
    # A word that is broken is copied for each of its lines.
    longest = max(map(len, text.split()), default=0)
    context.budget.check_comparisons(longest * longest // width)
    if isinstance(wrapstring, str):
        context.budget.charge((len(text) // width + text.count("\n") + 1) * len(wrapstring))
