"""What filters are about to make, worked out before they run: most of it can't be interrupted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jinja2 import pass_context

from tokenfacade.chat.costs import charge_percent, charge_replace

if TYPE_CHECKING:
    from tokenfacade.chat.jinja_runtime import ChatContext
    from tokenfacade.chat.limits import Budget


@pass_context
def to_text(context: ChatContext, value: Any) -> str:
    """The value as a string, which a string is already."""
    return value if isinstance(value, str) else context.text(value)


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
