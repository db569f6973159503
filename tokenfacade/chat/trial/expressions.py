"""What an expression of a template comes to in a trial run (see `run`), and what it asks on the way."""

from __future__ import annotations

import math
import operator
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any

from jinja2 import nodes

from tokenfacade.chat.trial import functions, operations
from tokenfacade.chat.trial.symbols import (
    LARGEST_NUMBER,
    MOST_PIECES,
    Builtin,
    Method,
    Namespace,
    OutOfFuel,
    Piece,
    Sample,
    Several,
    Text,
    TrialFailure,
    Undefined,
    Unknown,
    bounded,
    is_textual,
    joined,
    likely,
    pieces_of,
    sources_of,
    text_of,
    truth_of,
    unknown_of,
    words_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

STEPS_BETWEEN_LOOKS = 128
"""How many steps the trial takes between two looks at the clock."""

ARITHMETIC: Mapping[type[nodes.BinExpr], Callable[[Any, Any], Any]] = {
    nodes.Sub: operator.sub,
    nodes.Mul: operator.mul,
    nodes.Div: operator.truediv,
    nodes.FloorDiv: operator.floordiv,
    nodes.Mod: operator.mod,
}

COMPARISONS: Mapping[str, Callable[[Any, Any], bool]] = {
    "lt": operator.lt,
    "lteq": operator.le,
    "gt": operator.gt,
    "gteq": operator.ge,
}


@dataclass(slots=True)
class Questions:
    """What a template asked of values that are not known."""

    truths: set[str] = field(default_factory=set)
    """Sources whose truth it asked for, or which it compared with a truth value."""
    compared: dict[str, set[object]] = field(default_factory=dict)
    """By source the constants that it compared the words with."""
    keys: set[str] = field(default_factory=set)
    """Keys that it looked for in a `Sample`."""


class Expressions:
    """Evaluates expressions; statements and macros are `Trial`'s."""

    def __init__(
        self, arguments: Mapping[str, Any], builtins: frozenset[str], *, fuel: int, deadline: float = math.inf
    ) -> None:
        self.questions = Questions()
        self.fuel = fuel
        self._deadline = deadline
        self._scopes: list[dict[str, Any]] = [{}]
        self._namespaces: list[Namespace] = []
        self._arguments = arguments
        self._builtins = builtins

    def call_macro(self, macro: Any, positional: list[Any], named: dict[str, Any]) -> Any:
        """What a macro prints when it is called so."""
        raise NotImplementedError

    def new_namespace(self, values: Mapping[str, Any]) -> Namespace:
        """A namespace whose changes are undone with the branch that made them."""
        namespace = Namespace(dict(values))
        self._namespaces.append(namespace)
        return namespace

    def spend(self, steps: int = 1) -> None:
        """Pays for steps. Raises: OutOfFuel, also after the deadline: not all steps take the same time."""
        before = self.fuel
        self.fuel -= steps
        if self.fuel < 0 or (before // STEPS_BETWEEN_LOOKS != self.fuel // STEPS_BETWEEN_LOOKS and self._is_late()):
            raise OutOfFuel

    def _is_late(self) -> bool:
        return time.thread_time() > self._deadline

    def ask(self, value: Any) -> bool | Unknown:
        """The truth of a value, which counts as a question if it isn't known."""
        truth = truth_of(value)
        if isinstance(truth, Unknown):
            self.questions.truths |= truth.sources
        return truth

    def evaluate(self, node: nodes.Node) -> Any:
        self.spend()
        method = getattr(self, "_" + type(node).__name__.lower(), None)
        return method(node) if method is not None else Unknown()

    def text(self, *values: Any) -> str | Text:
        """The values printed one after the other."""
        return self.joined_text(piece for value in values for piece in islice(pieces_of(value), MOST_PIECES))

    def joined_text(self, pieces: Iterable[Piece]) -> str | Text:
        """The first of the pieces as one text, paid for."""
        kept = list(bounded(pieces))
        self.spend(1 + len(kept) // 16 + sum(len(piece.literal) for piece in kept) // 256)
        return text_of(kept)

    def item(self, owner: Any, key: Any) -> Any:
        """What ``owner[key]`` is."""
        if isinstance(owner, (Undefined, type(None))):
            if owner is None:
                return Undefined()
            raise TrialFailure(f"{key!r} of what isn't there")
        if isinstance(owner, Sample) and isinstance(key, str):
            self.questions.keys.add(key)
        return operations.item(owner, key)

    def _const(self, node: nodes.Const) -> Any:
        return node.value

    def _templatedata(self, node: nodes.TemplateData) -> Any:
        return node.data

    def _name(self, node: nodes.Name) -> Any:
        for scope in reversed(self._scopes):
            if node.name in scope:
                return scope[node.name]
        if node.name in self._arguments:
            return self._arguments[node.name]
        if node.name in self._builtins:
            return Builtin(node.name)
        return words_of(node.name) if node.name.endswith("_token") else Undefined()

    def _list(self, node: nodes.List) -> Any:
        return [self.evaluate(item) for item in node.items]

    def _tuple(self, node: nodes.Tuple) -> Any:
        return tuple(self.evaluate(item) for item in node.items)

    def _dict(self, node: nodes.Dict) -> Any:
        entries = ((self.evaluate(pair.key), self.evaluate(pair.value)) for pair in node.items)
        return {key: value for key, value in entries if isinstance(key, (str, int, float, type(None)))}

    def _getattr(self, node: nodes.Getattr) -> Any:
        owner = self.evaluate(node.node)
        if isinstance(owner, Undefined):
            raise TrialFailure(f"{node.attr} of what isn't there")
        if isinstance(owner, Namespace):
            return owner.values.get(node.attr, Undefined())
        if operations.has_method(owner, node.attr):
            return Method(owner, node.attr)
        return self.item(owner, node.attr)

    def _getitem(self, node: nodes.Getitem) -> Any:
        owner = self.evaluate(node.node)
        if isinstance(node.arg, nodes.Slice):
            return self._slice_of(owner, node.arg)
        key = self.evaluate(node.arg)
        found = self.item(owner, key)
        if isinstance(found, Undefined) and isinstance(key, str) and operations.has_method(owner, key):
            return Method(owner, key)
        return found

    def _slice_of(self, owner: Any, node: nodes.Slice) -> Any:
        bounds = [None if bound is None else self.evaluate(bound) for bound in (node.start, node.stop, node.step)]
        if isinstance(owner, Undefined):
            raise TrialFailure("a part of what isn't there")
        if isinstance(owner, (str, list, tuple)) and all(bound is None or type(bound) is int for bound in bounds):
            self.spend(len(owner) // (256 if isinstance(owner, str) else 16))
            return owner[slice(*bounds)] if bounds[2] != 0 else Unknown()
        if owner is None or isinstance(owner, (int, float, Mapping)):
            raise TrialFailure("only texts and lists have parts")
        return owner

    def _condexpr(self, node: nodes.CondExpr) -> Any:
        truth = self.ask(self.evaluate(node.test))
        branches = (node.expr1, node.expr2)
        if not isinstance(truth, Unknown):
            return self._branch(branches[0] if truth else branches[1])
        expected, other = branches if truth.likely else branches[::-1]
        value = self._branch(expected)
        try:
            return joined(value, self._branch(other))
        except TrialFailure:
            return value

    def _branch(self, node: nodes.Node | None) -> Any:
        return Undefined() if node is None else self.evaluate(node)

    def _and(self, node: nodes.And) -> Any:
        left = self.evaluate(node.left)
        truth = self.ask(left)
        if truth is False:
            return left
        right = self.evaluate(node.right) if truth is True else self._attempt(node.right)
        if truth is True:
            return right
        right_truth = self.ask(right)
        if right_truth is False:
            return False
        return unknown_of(left, right, likely=likely(truth) and likely(right_truth))

    def _or(self, node: nodes.Or) -> Any:
        left = self.evaluate(node.left)
        truth = self.ask(left)
        if truth is True:
            return left
        right = self.evaluate(node.right) if truth is False else self._attempt(node.right)
        return right if truth is False else joined(*((left, right) if likely(truth) else (right, left)))

    def _attempt(self, node: nodes.Node) -> Any:
        try:
            return self.evaluate(node)
        except TrialFailure:
            return Unknown()

    def _not(self, node: nodes.Not) -> Any:
        truth = self.ask(self.evaluate(node.node))
        return Unknown(truth.sources, likely=not truth.likely) if isinstance(truth, Unknown) else not truth

    def _compare(self, node: nodes.Compare) -> Any:
        left = self.evaluate(node.expr)
        result: bool | Unknown = True
        for operand in node.ops:
            right = self.evaluate(operand.expr)
            outcome = self.compare(operand.op, left, right)
            if outcome is False:
                return False
            result = outcome if isinstance(outcome, Unknown) else result
            left = right
        return result

    def compare(self, name: str, left: Any, right: Any) -> bool | Unknown:
        """One comparison, as Jinja's parser names them; what unknown words are compared with is written down."""
        for asked, constant in ((left, right), (right, left)):
            for source in () if isinstance(asked, (list, dict)) else sources_of(asked):
                self._note(source, constant)
        if isinstance(right, Sample) and name in ("in", "notin") and isinstance(left, str):
            self.questions.keys.add(left)
        if name in ("in", "notin"):
            return operations.negated(operations.contains(self, right, left), name == "notin")
        if name in ("eq", "ne"):
            return operations.negated(operations.equal(left, right), name == "ne")
        if isinstance(left, (Unknown, Text)) or isinstance(right, (Unknown, Text)):
            return Unknown(sources_of(left) | sources_of(right), likely=name in ("gt", "gteq"))
        return bool(operations.guarded(COMPARISONS[name], left, right))

    def _note(self, source: str, constant: Any) -> None:
        constants = list(constant[:MOST_PIECES]) if isinstance(constant, (list, tuple)) else [constant]
        self.spend(len(constants) // 4)
        for value in constants:
            if isinstance(value, bool):
                self.questions.truths.add(source)
            elif isinstance(value, (str, int, float)):
                self.questions.compared.setdefault(source, set()).add(value)

    def _concat(self, node: nodes.Concat) -> Any:
        return self.text(*[self.evaluate(part) for part in node.nodes])

    def _add(self, node: nodes.Add) -> Any:
        left, right = self.evaluate(node.left), self.evaluate(node.right)
        if (is_textual(left) and isinstance(right, (str, Text, Unknown))) or (
            isinstance(left, Unknown) and is_textual(right)
        ):
            return self.text(left, right)
        return self._calculated(operator.add, left, right)

    def _binary(self, node: nodes.BinExpr) -> Any:
        left, right = self.evaluate(node.left), self.evaluate(node.right)
        if is_textual(left) and isinstance(node, nodes.Mod):
            return self.text(left, *(right if isinstance(right, tuple) else (right,)))
        if isinstance(node, nodes.Mul) and not (isinstance(left, (int, float)) and isinstance(right, (int, float))):
            return left if isinstance(right, (int, Unknown)) else unknown_of(left, right)
        return self._calculated(ARITHMETIC[type(node)], left, right)

    _sub = _mul = _div = _floordiv = _mod = _binary

    def _calculated(self, operation: Callable[[Any, Any], Any], left: Any, right: Any) -> Any:
        if isinstance(left, (Unknown, Several)) or isinstance(right, (Unknown, Several)):
            return unknown_of(left, right)
        if isinstance(left, (list, tuple)) and type(left) is type(right):
            self.spend(len(left) + len(right))
        result = operations.guarded(operation, left, right)
        return Unknown() if isinstance(result, (int, float)) and abs(result) > LARGEST_NUMBER else result

    def _neg(self, node: nodes.Neg) -> Any:
        value = self.evaluate(node.node)
        return value if isinstance(value, Unknown) else operations.guarded(operator.neg, value)

    def _pos(self, node: nodes.Pos) -> Any:
        return self.evaluate(node.node)

    def _test(self, node: nodes.Test) -> Any:
        value = self.evaluate(node.node)
        others = [self.evaluate(argument) for argument in node.args]
        return operations.test(self, node.name, value, others)

    def _filter(self, node: nodes.Filter) -> Any:
        value = self.evaluate(node.node) if node.node is not None else ""
        return self.filtered(node, value)

    def filtered(self, node: nodes.Filter, value: Any) -> Any:
        """The value through a filter whose arguments are still to be evaluated."""
        return functions.filtered(self, node.name, value, *self._call_arguments(node))

    def _call(self, node: nodes.Call) -> Any:
        called = self.evaluate(node.node)
        positional, named = self._call_arguments(node)
        return functions.call(self, called, positional, named)

    def _call_arguments(self, node: nodes.Call | nodes.Filter) -> tuple[list[Any], dict[str, Any]]:
        positional = [self.evaluate(argument) for argument in node.args]
        named = {str(pair.key): self.evaluate(pair.value) for pair in node.kwargs}
        if node.dyn_args is not None:
            positional += operations.paid_items_of(self, self.evaluate(node.dyn_args))
        further = None if node.dyn_kwargs is None else self.evaluate(node.dyn_kwargs)
        if isinstance(further, Mapping):
            self.spend(len(further) // 16)
            named |= {str(key): value for key, value in further.items()}
        return positional, named
