"""Rendering a chat template with an account of who said what: the template, or a message.

Strings of messages are `MessageText`, which keeps its account through its own methods and operators. What Jinja does
with strings beside those (joining output, filters, calls, formatting, escaping) is done here so that the account is
kept, for the operations that are known; the result of everything else counts as said by a message as soon as anything
given to it was. Whatever a template does, it can be found to have said less than it did, but never more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from types import BuiltinMethodType, MethodType
from typing import TYPE_CHECKING, Any

from jinja2 import pass_context
from jinja2.ext import Extension
from jinja2.runtime import Context, LoopContext, Macro, Markup  # type: ignore[attr-defined]
from jinja2.runtime import escape as escape_markup  # type: ignore[attr-defined]
from jinja2.utils import Cycler, Joiner, _PassArg

from tokenfacade.chat.jinja_environment import compile_template
from tokenfacade.chat.jinja_filter_checks import attribute_values, listed
from tokenfacade.chat.jinja_filters import TemplateDict
from tokenfacade.chat.jinja_runtime import ChatContext, ChatNamespace
from tokenfacade.chat.jinja_sandbox import ChatEnvironment
from tokenfacade.chat.jinja_tracing_code import TracingCodeGenerator
from tokenfacade.chat.limits import Budget, TemplateLimits
from tokenfacade.chat.provenance import (
    MessageText,
    holds_message,
    join_texts,
    merge_spans,
    message_spans,
    plain,
    said_by_message,
    said_by_messages,
)
from tokenfacade.chat.renderer import RenderedChat

if TYPE_CHECKING:
    from tokenfacade.chat.continuation import Continuation
    from tokenfacade.encoding import Span

_HANDS_ON = frozenset(
    (
        *("abs", "attr", "batch", "count", "d", "default", "dictsort", "first", "float", "groupby", "int", "items"),
        *("last", "length", "list", "map", "max", "min", "random", "reject", "rejectattr", "reverse", "round"),
        *("select", "selectattr", "slice", "sort", "sum", "unique", "wordcount"),
    )
)
"""The filters that give numbers, or the very objects that they were given, or strings cut out of those."""

_TEXT = frozenset({"capitalize", "center", "lower", "replace", "string", "trim", "upper"})
"""The filters that are one method of their first argument, as a string."""

_JOINED = 64  # what joining a text to others costs, in characters read
_CALLED = (Macro, LoopContext, Joiner, TemplateDict)
_OWNERS = (MessageText, dict, list, tuple, LoopContext, Cycler, TemplateDict, Extension)
"""What these give when they, or methods of theirs, are called has the account that it should."""


class MessageMarkup(Markup):
    """Escaped text in which a message said something; all of it counts as said. (`Markup` alone is the template's.)"""

    def __iter__(self) -> Iterator[str]:
        return map(MessageText, super().__iter__())

    def __repr__(self) -> str:
        return repr(Markup(self))


class TracingContext(ChatContext):
    """The variables of one rendering, and the operations that keep the account.

    Attributes:
        trace: How far the template has got.
    """

    environment: TracingEnvironment
    trace: Trace

    def derived(self, locals: dict[str, Any] | None = None) -> Context:
        context = super().derived(locals)
        if isinstance(context, TracingContext):
            context.trace = self.trace
        return context

    def text(self, value: Any) -> str:
        """What is printed of a value."""
        if value.__class__ is str or isinstance(value, MessageText):
            return value
        text = plain(super().text(value))
        return text if type(value) is Markup or not holds_message(value) else MessageText(text)

    def settled(self, result: Any, *given: Any) -> Any:
        """A result of which nothing is known but what it was made of."""
        return _as_said(result) if holds_message(given) else result

    def as_markup(self, value: Any) -> str:
        """Text that needs no escaping."""
        return MessageMarkup(value) if holds_message(value) else Markup(value)

    def escaped(self, value: Any) -> str:
        """What is printed of a value where text is escaped, or may be."""
        if not self.eval_ctx.autoescape:
            return self.text(value)
        return self.settled(escape_markup(_bare(self.kept(value))), value)  # type: ignore[no-any-return]

    def concat(self, pieces: Sequence[str]) -> str:
        return self.join_text(pieces)

    def join_text(self, values: Sequence[Any]) -> str:
        texts = [self.text(value) for value in values]
        self.budget.charge(sum(map(len, texts)))
        self.budget.spend(_JOINED * len(texts))
        return join_texts(texts)

    def join_markup(self, values: Sequence[Any]) -> str:
        return self.settled(super().join_markup([_bare(value) for value in values]), *values)  # type: ignore[no-any-return]

    def add(self, left: Any, right: Any) -> Any:
        """What ``+`` gives."""
        if isinstance(left, Markup) or isinstance(right, Markup):
            return self.charged(self.settled(_bare(left) + _bare(right), left, right))
        return self.charged(left + right)

    def modulo(self, left: Any, right: Any) -> Any:
        if not isinstance(left, str):
            return super().modulo(left, right)
        return self.settled(super().modulo(_bare(left), right), left, right)

    def call_checked(self, function: Any, /, *args: Any, **kwargs: Any) -> Any:
        is_method = type(function) in (MethodType, BuiltinMethodType)
        owner: Any = function.__self__ if is_method else None
        if type(owner) in (str, MessageText):
            name = function.__name__
            args = self.check_method(getattr(plain(owner), name), args, kwargs)
            owner = MessageText(plain(owner), message_spans(owner))
            function = getattr(owner, name)
        result = super().call_checked(function, *args, **kwargs)
        if isinstance(function, _CALLED) or isinstance(owner, _OWNERS):
            # A macro makes markup without asking the context, so there is no account.
            return _as_said(result) if type(result) is Markup else result
        if function is ChatNamespace or isinstance(function, _Format):
            return result
        if type(owner) in (int, float, bool, Markup) or self.environment.is_global(function):
            return self.settled(result, args, kwargs)
        return _as_said(result)

    def generation(self, text: str) -> str:
        start = self.trace.length
        self.trace.assistant_spans.append((start, start + len(text)))
        return text


class Trace:
    """How far a template has got.

    Attributes:
        length: Characters of the prompt that it has given out.
        assistant_spans: The ``{% generation %}`` blocks so far. As in transformers they begin where the output stood
            when they ended, which is wrong within macros and the like.
    """

    __slots__ = ("assistant_spans", "length")

    def __init__(self) -> None:
        self.length = 0
        self.assistant_spans: list[Span] = []


class TracedFilters(dict[str, Any]):
    """The filters of an environment; whichever is taken out keeps the account."""

    def __getitem__(self, name: str) -> Any:
        return _traced_filter(name, super().__getitem__(name))

    def get(self, name: str, default: Any = None) -> Any:
        return self[name] if name in self else default


class TracingEnvironment(ChatEnvironment):
    """The sandbox for chat templates, with an account of who said what."""

    code_generator_class = TracingCodeGenerator  # type: ignore[assignment]
    context_class = TracingContext

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.filters = TracedFilters(self.filters)

    @staticmethod
    def concat(pieces: Iterable[str]) -> str:
        """What Jinja's own objects join, past the context: nothing is known about it."""
        return MessageText("".join(pieces))

    def is_global(self, function: object) -> bool:
        """Whether it is a function that every template has: it knows nothing but what it is given."""
        return any(function is known for known in self.globals.values())

    def wrap_str_format(self, value: Any) -> Callable[..., str] | None:
        wrapped = super().wrap_str_format(value)
        return None if wrapped is None else _Format(wrapped, value.__self__)


class _Format:
    """The method ``format`` of a string."""

    __slots__ = ("_format", "_text")

    def __init__(self, format: Callable[..., str], text: str) -> None:
        self._format = format
        self._text = text

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        result = self._format(*args, **kwargs)
        return _as_said(result) if holds_message((self._text, args, kwargs)) else result


def _bare(value: Any) -> Any:
    return plain(value) if isinstance(value, MessageText) else value


def _as_said(value: Any) -> Any:
    """The value with all text in it marked as said by a message."""
    if isinstance(value, str):
        return MessageMarkup(value) if isinstance(value, Markup) else MessageText(plain(value))
    if type(value) is dict:
        return {_as_said(key): _as_said(item) for key, item in value.items()}
    if type(value) in (list, tuple):
        return type(value)(map(_as_said, value))
    return map(_as_said, value) if isinstance(value, Iterator) else value


def _traced_filter(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """The filter, so that its result has the account that it should."""
    pass_arg = _PassArg.from_obj(function)

    @pass_context
    def traced(context: TracingContext, value: Any, /, *args: Any, **kwargs: Any) -> Any:
        is_escaping = context.eval_ctx.autoescape or any(isinstance(given, Markup) for given in (value, *args))
        if name == "join" and not is_escaping:
            return _join(context, value, *args, **kwargs)
        is_text = name in _TEXT and not is_escaping
        if is_text:
            value = context.text(value)
            value = MessageText(plain(value), message_spans(value))
        first = {
            None: (),
            _PassArg.context: (context,),
            _PassArg.eval_context: (context.eval_ctx,),
            _PassArg.environment: (context.environment,),
        }[pass_arg]
        result = function(*first, value, *args, **kwargs)
        return result if is_text or name in _HANDS_ON else context.settled(result, value, args, kwargs)

    return traced


def _join(context: TracingContext, value: Any, d: Any = "", attribute: str | int | None = None) -> str:
    if attribute is not None:
        value = attribute_values(context, value, attribute)
    parts = [context.text(part) for part in listed(context, value)]
    separator = context.text(d)
    context.budget.charge(len(separator) * len(parts) + sum(map(len, parts)))
    context.budget.spend(_JOINED * len(parts))
    return MessageText(plain(separator), message_spans(separator)).join(parts)


def trace(
    template: str,
    variables: dict[str, Any],
    *,
    marked: Sequence[str],
    continuation: Continuation | None,
    limits: TemplateLimits,
    clock: Callable[[], datetime],
    name: str | None,
) -> RenderedChat:
    """Render a template, and tell where the characters of the prompt came from.

    Args:
        template: The template.
        variables: What it sees.
        marked: The variables whose strings count as said by messages.
        continuation: How to end the prompt within the final message.
        limits: How much the rendering may take.
        clock: The time for ``strftime_now``.
        name: The template's name, for error messages.

    Raises:
        TemplateRenderError: The template failed.
        TemplateLimitError: It took too much.
    """
    compiled = compile_template(template, TracingEnvironment)
    budget = Budget(limits)
    try:
        said = {key: said_by_message(variables[key]) for key in marked if key != "messages"}
        said["messages"] = said_by_messages(variables["messages"])
        context: Any = compiled.context({**variables, **said}, budget, clock)
        context.trace = Trace()
        prompt = _prompt(context, compiled.pieces(context))
    except Exception as error:
        raise compiled.failure(error, name) from error
    if continuation is not None:
        prompt = continuation.cut(prompt)
    end = len(prompt)
    spans = tuple((min(first, end), min(last, end)) for first, last in context.trace.assistant_spans)
    return RenderedChat(plain(prompt), spans, merge_spans(message_spans(prompt)))


def _prompt(context: TracingContext, pieces: Iterator[str]) -> str:
    parts = []
    for piece in pieces:
        parts.append(context.text(piece))
        context.trace.length += len(piece)
        context.budget.check_output(context.trace.length)
    context.budget.spend(_JOINED * len(parts))
    return join_texts(parts)
