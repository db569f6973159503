"""The sandbox that chat templates run in: Jinja's own, with shorter ways for what it would allow anyway.

Each fast path knows the exact type that it is given and does what `ImmutableSandboxedEnvironment` would come to for it;
everything else, and everything that the sandbox would refuse, goes to the sandbox. The tests run the same escapes
through both.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import update_wrapper
from typing import Any

from jinja2.runtime import LoopContext, Undefined
from jinja2.sandbox import ImmutableSandboxedEnvironment, SandboxedEscapeFormatter, SandboxedFormatter
from markupsafe import Markup

from tokenfacade.chat.costs import charge_field
from tokenfacade.chat.jinja_code import ChatCodeGenerator
from tokenfacade.chat.jinja_runtime import ChatContext, ChatNamespace, SequenceLoop, values_of
from tokenfacade.chat.jinja_syntax import is_plain_name
from tokenfacade.chat.limits import Budget, TemplateLimits

_LOOP_FIELDS = frozenset(
    {"index0", "index", "first", "last", "length", "previtem", "nextitem", "revindex", "revindex0", "depth", "depth0"}
)
_STRING_ATTRIBUTES = frozenset(dir(str))
_PLAIN = frozenset({str, bool, int, float, list, dict, type(None)})


class ChatEnvironment(ImmutableSandboxedEnvironment):
    """Jinja's immutable sandbox for chat templates; `jinja_environment` builds it.

    Attributes:
        field: ``x.name``, for names that no mapping has as an attribute.
        item: ``x[key]``.
        peek: As `field` where only the truth of the result counts: None for what isn't there.
        has_field: Whether ``x.name`` or ``x["name"]`` is defined.
    """

    code_generator_class = ChatCodeGenerator
    context_class: type[ChatContext] = ChatContext
    sequence_loop = SequenceLoop  # for the code of templates, which looks its fields up directly
    # Not folded when a template is compiled, where there is no budget.
    intercepted_binops = frozenset({"*", "**", "%"})

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.field = _field_reader(self)
        self.item: Callable[[Any, Any], Any] = _item_reader(self)
        self.peek = _peeker(self)
        self.has_field = _field_test(self)
        # For the filters that read attributes.
        self.getitem = self.item  # type: ignore[method-assign, assignment]

    def loop_context(
        self, iterable: Any, undefined: type[Undefined], recurse: Any = None, depth0: int = 0
    ) -> LoopContext:
        """The ``loop`` of a ``for``."""
        kind: type[LoopContext] = SequenceLoop if type(iterable) in (list, tuple) else LoopContext
        return kind(iterable, undefined, recurse, depth0)

    def wrap_str_format(self, value: Any) -> Callable[..., str] | None:
        """As the sandbox does, with a formatter that refuses what is too much."""
        if super().wrap_str_format(value) is None:
            return None
        text, is_map = value.__self__, value.__name__ == "format_map"

        def format_checked(*args: Any, **kwargs: Any) -> str:
            if is_map:
                if kwargs or len(args) != 1:
                    raise TypeError("format_map() takes exactly one argument, and no keyword arguments")
                kwargs, args = args[0], ()
            escaping = isinstance(text, Markup)
            formatter = _EscapingFormatter(self, escape=text.escape) if escaping else _CountingFormatter(self)
            return type(text)(formatter.vformat(text, args, kwargs))  # type: ignore[no-any-return]

        return update_wrapper(format_checked, value)


class _CountingFormatter(SandboxedFormatter):
    """Counts what a format makes, by itself: the method that is called doesn't know the rendering."""

    def __init__(self, environment: ChatEnvironment, **kwargs: Any) -> None:
        super().__init__(environment, **kwargs)
        self._budget = Budget(TemplateLimits())

    def convert_field(self, value: Any, conversion: Any) -> Any:
        self._budget.weigh_text(value)
        return super().convert_field(value, conversion)

    def format_field(self, value: Any, format_spec: str) -> str:
        charge_field(self._budget, value, format_spec)
        result: str = super().format_field(value, format_spec)
        self._budget.charge(len(result))
        return result


class _EscapingFormatter(_CountingFormatter, SandboxedEscapeFormatter):
    """The same for text that escapes what it is given."""


def _field_reader(environment: ChatEnvironment) -> Callable[[Any, str], Any]:
    undefined, getattr_checked = environment.undefined, environment.getattr

    def field(value: Any, name: str) -> Any:
        kind = type(value)
        if kind is dict:
            return value[name] if name in value else undefined(obj=value, name=name)
        if kind is ChatNamespace:
            values = values_of(value)
            if name in values and type(values[name]) in _PLAIN:
                return values[name]
        elif kind is SequenceLoop and name in _LOOP_FIELDS:
            return getattr(value, name)
        elif kind is str and name not in _STRING_ATTRIBUTES:
            return undefined(obj=value, name=name)
        return getattr_checked(value, name)

    return field


def _item_reader(environment: ChatEnvironment) -> Callable[[Any, Any], Any]:
    undefined, getitem_checked = environment.undefined, environment.getitem

    def item(value: Any, key: Any) -> Any:
        kind = type(value)
        if kind is dict:
            if type(key) is str:
                if key in value:
                    return value[key]
                if is_plain_name(key):
                    return undefined(obj=value, name=key)
        elif (kind is list or kind is str or kind is tuple) and type(key) is int:
            try:
                return value[key]
            except IndexError:
                return undefined(obj=value, name=key)  # type: ignore[arg-type]
        return getitem_checked(value, key)

    return item


def _peeker(environment: ChatEnvironment) -> Callable[[Any, str], Any]:
    field = environment.field

    def peek(value: Any, name: str) -> Any:
        return value.get(name) if type(value) is dict else field(value, name)

    return peek


def _field_test(environment: ChatEnvironment) -> Callable[..., bool]:
    field, getitem_checked = environment.field, environment.getitem

    def has_field(value: Any, name: str, is_attribute: bool) -> bool:  # noqa: FBT001
        if type(value) is dict:
            return name in value and not isinstance(value[name], Undefined)
        found = field(value, name) if is_attribute else getitem_checked(value, name)
        return not isinstance(found, Undefined)

    return has_field
