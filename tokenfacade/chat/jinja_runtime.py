"""What the code of a chat template works with while it runs: its context, its namespaces and its loops."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from sys import getrefcount
from types import BuiltinMethodType, MethodType
from typing import TYPE_CHECKING, Any

from jinja2.exceptions import SecurityError
from jinja2.nodes import EvalContext
from jinja2.runtime import Context, LoopContext, Macro, Undefined, markup_join
from jinja2.utils import Namespace, missing

from tokenfacade.chat.costs import SEARCHING, charge_method, charge_percent, charge_replace
from tokenfacade.chat.limits import LONG, SHORT, Budget

if TYPE_CHECKING:
    from jinja2 import Template

    from tokenfacade.chat.jinja_sandbox import ChatEnvironment

STRING_METHODS: dict[str, Callable[..., Any]] = {
    name: getattr(str, name)
    for name in (
        *("capitalize", "casefold", "count", "endswith", "find", "index", "isalnum", "isalpha", "isascii", "isdecimal"),
        *("isdigit", "isidentifier", "islower", "isnumeric", "isprintable", "isspace", "istitle", "isupper", "lower"),
        *("lstrip", "partition", "removeprefix", "removesuffix", "rfind", "rindex", "rpartition", "rsplit", "rstrip"),
        *("split", "splitlines", "startswith", "strip", "swapcase", "title", "upper"),
    )
}
"""The methods of strings that are as they are; the others make more than they are given, or format."""

DICT_METHODS: dict[str, Callable[..., Any]] = {name: getattr(dict, name) for name in ("get", "items", "keys", "values")}


class ChatNamespace(Namespace):
    """Jinja's namespace, with the names refused that transformers refuses, and its attributes where they are found
    faster."""

    __slots__ = ("budget", "values")

    def __init__(*args: Any, **kwargs: Any) -> None:
        self, args = args[0], args[1:]
        values = dict(*args, **kwargs)
        for name in values:
            _check_name(name)
        Namespace.__init__(self, values)
        # Jinja keeps a copy; the two must be one.
        _set_values(self, object.__getattribute__(self, "_Namespace__attrs"))
        _set_budget(self, None)

    def __setitem__(self, name: str, value: Any) -> None:
        _check_name(name)
        values = values_of(self)
        old = values.get(name)
        if isinstance(old, str | list) and len(old) > LONG:
            # Templates grow texts so (``ns.text = ns.text + more``); what nobody holds any more takes no memory.
            del old
            if _holders(values, name) == _SOLE_HOLDER and (budget := _budget_of(self)) is not None:
                budget.refund(len(values[name]))
        values[name] = value

    def __repr__(self) -> str:
        # Namespaces that hold each other twice would take for ever to print.
        if (budget := _budget_of(self)) is not None:
            budget.tick()
            budget.weigh_text(values_of(self))
        return super().__repr__()


values_of: Callable[[ChatNamespace], dict[str, Any]] = ChatNamespace.__dict__["values"].__get__
"""The attributes of a namespace, past its own way of reading attributes: 40 ns for 400."""

_set_values = ChatNamespace.__dict__["values"].__set__
_budget_of = ChatNamespace.__dict__["budget"].__get__
_set_budget = ChatNamespace.__dict__["budget"].__set__
# Out of the sight of templates, which may look at the class.
del ChatNamespace.values, ChatNamespace.budget  # type: ignore[attr-defined]


def _holders(values: dict[str, Any], name: str) -> int:
    return getrefcount(values[name])


_SOLE_HOLDER = _holders({"text": "".join(("not", "a", "constant"))}, "text")


def _check_name(name: object) -> None:
    if isinstance(name, str) and name.startswith("_"):
        raise SecurityError(f"a namespace can't have an attribute {name!r}: names that begin with _ are private")


class Variables(dict[str, Any]):
    """Variables by name, with Jinja's mark for those that aren't there."""

    def __missing__(self, name: str) -> Any:
        return missing


class SequenceLoop(LoopContext):
    """Jinja's loop over a list, which needn't look ahead to know what comes."""

    _iterable: Sequence[Any]

    def __init__(
        self,
        iterable: Sequence[Any],
        undefined: type[Undefined],
        recurse: Any = None,
        depth0: int = 0,
    ) -> None:
        # As in the class above, without asking the iterable how it is gone through.
        self._iterable = iterable
        self._iterator = iter(iterable)
        self._undefined = undefined
        self._recurse = recurse
        self.depth0 = depth0
        self._length = len(iterable)

    def __iter__(self) -> Iterator[tuple[Any, LoopContext]]:  # type: ignore[override]
        for value in self._iterator:
            self.index0 += 1
            yield value, self

    def __next__(self) -> tuple[Any, LoopContext]:
        value = next(self._iterator)
        self.index0 += 1
        return value, self

    @property
    def last(self) -> bool:
        return self.index0 + 1 == self._length

    @property
    def previtem(self) -> Any:
        return self._iterable[self.index0 - 1] if self.index0 > 0 else self._undefined("there is no previous item")

    @property
    def nextitem(self) -> Any:
        after = self.index0 + 1
        return self._iterable[after] if after < len(self._iterable) else self._undefined("there is no next item")

    def __repr__(self) -> str:
        return f"<LoopContext {self.index}/{self.length}>"


class ChatContext(Context):
    """The variables of one rendering, and the operations that pay into its budget."""

    environment: ChatEnvironment
    budget: Budget
    clock: Callable[[], datetime]

    def derived(self, locals: dict[str, Any] | None = None) -> Context:
        context = super().derived(locals)
        if isinstance(context, ChatContext):
            context.parent = context.vars = Variables(context.parent)
            context.budget = self.budget
            context.clock = self.clock
        return context

    def text(self, value: Any) -> str:
        """What is printed of a value."""
        if not isinstance(value, str):
            self.budget.weigh_text(value)
        result = str(value)
        if len(result) > LONG:
            self.budget.charge(len(result))
        return result

    def charged(self, value: Any, _: None = None) -> Any:
        """The value, counted if it is long; the code gives up its own hold on it in the same call."""
        if isinstance(value, str | list | tuple | bytes) and len(value) > LONG:
            self.budget.charge(len(value))
            if not isinstance(value, str | bytes):
                self.budget.check_elements(len(value))
        return value

    def weighed(self, value: Any) -> Any:
        """The list or mapping, counted with what is in it."""
        self.budget.weigh(value)
        return value

    def kept(self, value: Any) -> Any:
        """What a macro or a block is going to print, counted."""
        if isinstance(value, str):
            self.budget.charge(len(value))
        else:
            self.budget.weigh_text(value)
        return value

    def compared(self, value: Any) -> Any:
        """What is going to be compared with something that may be as large."""
        self.budget.weigh_comparison(value)
        return value

    def searched(self, value: Any) -> Any:
        """What something is looked for in."""
        if isinstance(value, dict):
            return value
        return map(self.compared, value) if isinstance(value, Iterator) else self.compared(value)

    def concat(self, pieces: Sequence[str]) -> str:
        """What a macro or a block gives."""
        size = sum(map(len, pieces))
        if size > LONG:
            self.budget.charge(size)
        return "".join(pieces)

    def generation(self, text: str) -> str:
        """What the model says, by ``{% generation %}``: here just its text."""
        return text

    def join_text(self, values: Sequence[Any]) -> str:
        """What ``~`` gives."""
        text = self.text
        parts = [value if type(value) is str else text(value) for value in values]
        size = sum(map(len, parts))
        if size > LONG:
            self.budget.charge(size)
        return "".join(parts)

    def join_markup(self, values: Sequence[Any]) -> str:
        """What ``~`` gives where text is escaped."""
        return self.charged(markup_join(values))  # type: ignore[no-any-return]

    def multiply(self, left: Any, right: Any) -> Any:
        for sequence, times in ((left, right), (right, left)):
            if isinstance(sequence, str | list | tuple | bytes) and isinstance(times, int):
                self.budget.charge(len(sequence) * max(times, 0))
                if isinstance(sequence, list | tuple):
                    self.budget.check_elements(len(sequence) * max(times, 0))
                    return self.weighed(left * right)
        if isinstance(left, int) and isinstance(right, int):
            self.budget.check_bits(left.bit_length() + right.bit_length())
        return left * right

    def power(self, left: Any, right: Any) -> Any:
        if isinstance(left, int) and isinstance(right, int):
            self.budget.check_bits(left.bit_length() * abs(right))
        return left**right

    def modulo(self, left: Any, right: Any) -> Any:
        if isinstance(left, str | bytes):
            charge_percent(self.budget, left, right)
        return self.charged(left % right)

    def call_method(self, value: Any, name: str, *args: Any) -> Any:
        """Call a method without keyword arguments; the usual ones of strings and mappings directly."""
        self.budget.tick()
        kind = type(value)
        if kind is str:
            method = STRING_METHODS.get(name)
            if method is not None:
                if len(value) > LONG or (
                    args and name in SEARCHING and type(args[0]) in _SIZED and len(args[0]) > SHORT
                ):
                    charge_method(self.budget, value, name, args, {})
                result = method(value, *args)
                if type(result) is not bool and type(result) is not int and len(result) > LONG:
                    self.budget.charge(len(result))
                return result
            if name == "replace" and len(args) == 2 and type(args[0]) is type(args[1]) is str:
                if len(args[1]) > len(args[0]):
                    charge_replace(self.budget, value, *args)
                return self.charged(value.replace(*args))
        elif kind is dict:
            method = DICT_METHODS.get(name)
            if method is not None:
                return method(value, *args)
        return self.call_checked(self.environment.getattr(value, name), *args)

    def call_checked(self, function: Any, /, *args: Any, **kwargs: Any) -> Any:
        """Call anything, as the sandbox does."""
        self.budget.tick()
        if type(function) is Macro and not kwargs and len(args) == function._argument_count:
            # What Macro.__call__ comes to when there is nothing to sort out.
            if not (function.catch_kwargs or function.catch_varargs or function.caller or self.eval_ctx.autoescape):
                return function._func(*args)
        if function is ChatNamespace:
            namespace = ChatNamespace(*args, **kwargs)
            _set_budget(namespace, self.budget)
            return namespace
        if type(function) in _METHODS and isinstance(function.__self__, _BUILT_IN):
            args = self.check_method(function, args, kwargs)
        elif type(function) is not Macro or function.catch_varargs or function.catch_kwargs:
            # Jinja's own functions may compare what they are given, or look it up.
            self.budget.weigh_comparison((args, kwargs))
        return self.charged(self.environment.call(self, function, *args, **kwargs))

    def check_method(self, method: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, ...]:
        """Refuse beforehand what can't be interrupted; gives the arguments to call the method with."""
        return charge_method(self.budget, method.__self__, method.__name__, args, kwargs)


_SIZED = (str, tuple)
_METHODS = (BuiltinMethodType, MethodType)
_BUILT_IN = (str, bytes, int, float, list, tuple, dict, type)


def new_context(
    environment: ChatEnvironment,
    template: Template,
    common: Mapping[str, Any],
    eval_context: EvalContext | None,
    variables: Mapping[str, Any],
    budget: Budget,
    clock: Callable[[], datetime],
) -> ChatContext:
    """A context for one rendering: what `jinja2.runtime.new_context` makes, without what no chat template needs."""
    context = environment.context_class.__new__(environment.context_class)
    # One mapping for both: what a template sets hides what it is given.
    context.parent = context.vars = everything = Variables(common)
    everything.update(variables)
    context.environment = environment
    context.eval_ctx = EvalContext(environment, template.name) if eval_context is None else eval_context
    context.exported_vars = set()
    context.name = template.name
    context.globals_keys = set()
    context.blocks = {name: [block] for name, block in template.blocks.items()} if template.blocks else {}
    context.budget = budget
    context.clock = clock
    return context
