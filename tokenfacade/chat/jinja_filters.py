"""The filters and globals of chat templates: those that transformers gives them, and Jinja's, kept within limits."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import update_wrapper
from types import GeneratorType
from typing import TYPE_CHECKING, Any

from jinja2 import pass_context
from jinja2.exceptions import TemplateError
from jinja2.utils import _PassArg, generate_lorem_ipsum

from tokenfacade.chat.costs import charge_method
from tokenfacade.chat.jinja_filter_checks import (
    NUMBER,
    attribute_values,
    check_attribute,
    check_compared,
    check_format,
    check_indent,
    check_int,
    check_layout,
    check_replace,
    check_urlize,
    check_wordwrap,
    listed,
    to_text,
)
from tokenfacade.chat.jinja_runtime import ChatContext, ChatNamespace
from tokenfacade.chat.limits import LONG, MAX_WIDTH, SHORT, Budget
from tokenfacade.errors import TemplateLimitError

if TYPE_CHECKING:
    from tokenfacade.chat.jinja_sandbox import ChatEnvironment

_AS_THEY_ARE = frozenset({"abs", "attr", "count", "d", "default", "first", "items", "last", "length", "random"})
"""The filters that take no longer for more, and make nothing."""

_LAZY = frozenset({"map", "reject", "rejectattr", "select", "selectattr"})
"""The filters that do their work when their result is gone through: what they are given pays as it goes by."""

_TAKING_APART = frozenset({*_LAZY, "batch", "dictsort", "groupby", "list", "max", "min", "slice", "sort", "unique"})
"""The filters that go through a list, or through a string as through a list of characters."""

_COMPARING = frozenset({"dictsort", "groupby", "max", "min", "sort", "unique"})

_PRINTING = frozenset(
    (
        *("capitalize", "center", "e", "escape", "filesizeformat", "float", "forceescape", "format", "indent", "int"),
        *("lower", "pprint", "replace", "safe", "striptags", "title", "truncate", "upper", "urlencode", "urlize"),
        *("wordcount", "wordwrap", "xmlattr"),
    )
)
"""The filters that make a string of whatever they are given."""

_COMPARING_TESTS = (
    *("!=", "<", "<=", "==", ">", ">=", "eq", "equalto", "ge", "greaterthan", "gt", "in", "le", "lessthan", "lt", "ne"),
)

_SLOW = frozenset({"int", "pprint", "striptags", "title", "urlencode", "urlize", "wordcount", "wordwrap"})
"""The filters that take up to a microsecond for each character."""

_WIDENING = frozenset({"batch", "center", "round", "slice", "truncate", "wordwrap"})
"""The filters that take a number which could be too large."""

_FEW = 1024  # elements that cost no more than a step
_POINTER = 2  # what an element of a list takes, in characters


class RaisedByTemplate(TemplateError):
    """The template called ``raise_exception``."""


def set_up(environment: ChatEnvironment) -> None:
    """Give an environment the filters and globals of chat templates."""
    for name, function in environment.filters.items():
        if name in _LAZY:
            environment.filters[name] = _ticking(function)
        elif name not in _AS_THEY_ARE:
            environment.filters[name] = _counted(name, function)
    environment.filters |= {
        "format": _checked(environment.filters["format"], check_format),
        "indent": _checked(environment.filters["indent"], check_indent),
        "int": _checked(environment.filters["int"], check_int),
        "join": join,
        "replace": _checked(environment.filters["replace"], check_replace),
        "string": to_text,
        "sum": total,
        "tojson": tojson,
        "trim": trim,
        "urlize": _checked(environment.filters["urlize"], check_urlize),
        "wordwrap": _checked(environment.filters["wordwrap"], check_wordwrap),
    }
    tests: dict[str, Any] = environment.tests
    for name in _COMPARING_TESTS:
        tests[name] = _counted_test(name, tests[name])
    for name in ("lower", "upper"):
        tests[name] = _printing_test(tests[name])
    environment.globals |= {
        "dict": TemplateDict(),
        "lipsum": lipsum,
        "namespace": ChatNamespace,
        "raise_exception": raise_exception,
        "strftime_now": strftime_now,
    }


@pass_context
def raise_exception(context: ChatContext, message: object) -> str:
    """Refuse the messages."""
    context.budget.weigh_text(message)
    raise RaisedByTemplate(str(message))


@pass_context
def strftime_now(context: ChatContext, format: str) -> str:
    """The time now, where the renderer is, as `format` says."""
    if isinstance(format, str):
        # The C library fills up to 256 times as much, and a width in the format isn't known here.
        context.budget.check_width(256 * len(format))
    return context.clock().strftime(format)


class TemplateDict:
    """``dict`` as templates may use it: to call, and ``dict.fromkeys``."""

    @pass_context
    def __call__(self, context: ChatContext, /, *args: Any, **kwargs: Any) -> dict[Any, Any]:
        args = tuple(map(_pairs, args))
        context.budget.weigh_comparison((args, kwargs))
        for pairs in args:
            if isinstance(pairs, list):
                context.budget.check_keys(pair[0] for pair in pairs if isinstance(pair, list | tuple) and pair)
        made = dict(*args, **kwargs)
        context.budget.weigh(made)
        return made

    @pass_context
    def fromkeys(self, context: ChatContext, /, *args: Any, **kwargs: Any) -> dict[Any, Any]:
        args = charge_method(context.budget, dict, "fromkeys", args, kwargs)
        made = dict.fromkeys(*args, **kwargs)
        context.budget.weigh(made)
        return made


def lipsum(n: int = 5, html: bool = True, min: int = 20, max: int = 100) -> str:  # noqa: FBT001, FBT002
    """Jinja's filler text, of a bounded length."""
    if n > MAX_WIDTH or n * (abs(max) + 1) > MAX_WIDTH:
        raise TemplateLimitError(f"the chat template asks for more than {MAX_WIDTH} words of filler text")
    return generate_lorem_ipsum(n, html, min, max)


@pass_context
def tojson(
    context: ChatContext,
    value: Any,
    ensure_ascii: bool = False,  # noqa: FBT001, FBT002
    indent: int | str | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,  # noqa: FBT001, FBT002
) -> str:
    """JSON as Python writes it: unlike Jinja's own filter it escapes no HTML."""
    budget = context.budget
    size = budget.weigh_text(value)
    if ensure_ascii:
        budget.charge(size)
    if indent is not None or separators is not None:
        check_layout(budget, value, indent, separators)
    result = json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)
    return context.charged(result)  # type: ignore[no-any-return]


@pass_context
def trim(context: ChatContext, value: Any, chars: str | None = None) -> str:
    """Strip white space, or the given characters."""
    text = value if type(value) is str else to_text(context, value)
    if chars is not None:
        charge_method(context.budget, text, "strip", (chars,), {})
    result = text.strip(chars)
    if result is not text and len(result) > SHORT:
        context.budget.charge(len(result))
    return result


@pass_context
def join(context: ChatContext, value: Any, d: Any = "", attribute: str | int | None = None) -> str:
    """Join what there is with a separator."""
    if attribute is not None:
        value = attribute_values(context, value, attribute)
    parts = [to_text(context, part) for part in listed(context, value)]
    separator = to_text(context, d)
    context.budget.charge(len(separator) * len(parts) + sum(map(len, parts)))
    if context.eval_ctx.autoescape:
        from jinja2.filters import sync_do_join

        return sync_do_join(context.eval_ctx, parts, d)
    # As in Jinja, a separator that is markup escapes nothing here.
    return str(separator).join(parts)


@pass_context
def total(context: ChatContext, iterable: Any, attribute: str | int | None = None, start: Any = 0) -> Any:
    """The sum of what there is."""
    if attribute is not None:
        iterable = attribute_values(context, iterable, attribute)
    values = listed(context, iterable)
    # Each sum of lists is a new list.
    sizes = [len(part) for part in (start, *values) if isinstance(part, list | tuple)]
    context.budget.charge(sum(sizes) * len(sizes))
    return sum(values, start)


def _pairs(given: Any) -> Any:
    """What a mapping is made of, with each iterator as a list."""
    if isinstance(given, Mapping | str) or not isinstance(given, Iterable):
        return given
    return [list(pair) if isinstance(pair, Iterator) else pair for pair in given]


def _counted(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """The filter, with what it is given weighed and what it makes counted."""
    pass_arg = _PassArg.from_obj(function)
    is_slow, is_widening, is_taking_apart = name in _SLOW, name in _WIDENING, name in _TAKING_APART
    is_comparing = name in _COMPARING

    def counted(context: ChatContext, value: Any, /, *args: Any, **kwargs: Any) -> Any:
        budget = context.budget
        budget.tick()
        if isinstance(value, str):
            budget.spend(len(value))
            if is_slow or is_taking_apart:
                budget.check_elements(len(value))
        elif name in _PRINTING:
            size = budget.weigh_text(value)
            budget.check_elements(size if is_slow else 0)
        elif is_comparing:
            if isinstance(value, Iterator):
                value = list(value)
            budget.weigh(value)
        if isinstance(value, range):
            # Its numbers are made now.
            budget.charge(NUMBER * len(value))
        given = (*args, *kwargs.values())
        if given:
            budget.weigh(given)
        if is_widening:
            _check_widths(budget, value, given)
        if is_comparing:
            check_compared(name, context, value, *args, **kwargs)
        result = function(*_first(pass_arg, context), value, *args, **kwargs)
        if type(value) is GeneratorType:
            budget.check_chain(value, result)
        return _charged(context, result)

    update_wrapper(counted, function)
    return pass_context(counted)


def _check_widths(budget: Budget, value: Any, given: tuple[Any, ...]) -> None:
    budget.check_width(*given)
    widest = max((number for number in given if isinstance(number, int)), default=0)
    size = len(value) if isinstance(value, str | list | tuple | dict | range) else 0
    budget.charge(_POINTER * max(widest, 0) + size)


def _ticking(function: Callable[..., Any]) -> Callable[..., Any]:
    """The lazy filter, with a step for each element that it goes through."""
    pass_arg = _PassArg.from_obj(function)

    def ticking(context: ChatContext, value: Any, *args: Any, **kwargs: Any) -> Any:
        budget = context.budget
        budget.tick()
        if isinstance(value, str):
            budget.check_elements(len(value))
        budget.weigh((args, kwargs))
        check_attribute(budget, kwargs.get("attribute", args[0] if args else None))
        # A short list is one step, a generator has paid already; what is no iterable is left to the filter.
        is_long = type(value) not in (list, GeneratorType) or (type(value) is list and len(value) > _FEW)
        source = _stepping(value, budget.tick) if is_long and value and isinstance(value, Iterable) else value
        result = function(*_first(pass_arg, context), source, *args, **kwargs)
        if type(value) is GeneratorType:
            budget.check_chain(value, result)
        return result

    update_wrapper(ticking, function)
    return pass_context(ticking)


def _stepping(values: Iterable[Any], tick: Callable[[], object]) -> Iterator[Any]:
    for value in values:
        tick()
        yield value


def _counted_test(name: str, function: Callable[..., bool]) -> Callable[..., bool]:
    """The test, with what it compares with counted."""
    is_search = name == "in"

    @pass_context
    def counted(context: ChatContext, value: Any, other: Any) -> bool:
        if type(other) is not str or len(other) > LONG:
            other = context.searched(other) if is_search else context.compared(other)
        return function(value, other)

    return counted


def _printing_test(function: Callable[..., bool]) -> Callable[..., bool]:
    """The test, with what it looks at counted as it would be printed."""

    @pass_context
    def counted(context: ChatContext, value: Any) -> bool:
        return function(context.text(value))

    return counted


def _first(pass_arg: _PassArg | None, context: ChatContext) -> tuple[Any, ...]:
    """What a filter asks for before the value."""
    if pass_arg is None:
        return ()
    return (
        {
            _PassArg.context: context,
            _PassArg.eval_context: context.eval_ctx,
            _PassArg.environment: context.environment,
        }[pass_arg],
    )


def _charged(context: ChatContext, result: Any) -> Any:
    if isinstance(result, str):
        context.budget.charge(len(result))
    elif isinstance(result, list):
        context.budget.check_elements(len(result))
        context.budget.charge(_POINTER * len(result))
    return result


def _checked(function: Callable[..., Any], check: Callable[..., None]) -> Callable[..., Any]:
    """The filter, with a check before it of what it is about to make."""

    def checked(context: ChatContext, value: Any, /, *args: Any, **kwargs: Any) -> Any:
        check(context, value, *args, **kwargs)
        return function(context, value, *args, **kwargs)

    update_wrapper(checked, function)
    return pass_context(checked)
