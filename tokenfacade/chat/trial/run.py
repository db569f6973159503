"""A trial run of a template's syntax tree on messages whose words nobody knows yet.

Where a condition depends on those words, both branches run: the one that ordinary words take as expected, the other as
a possibility. So one run stands for all messages of its shape, and says where their words would come out, whether the
template would refuse them, and how the prompt ends. Nothing is compiled, no attribute of a Python object is read, and
the steps are counted, by the length of what they go through, so a hostile template costs no more than a long one; the
processor time is limited too.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from jinja2 import nodes

from tokenfacade.chat.trial import functions, operations
from tokenfacade.chat.trial.expressions import Expressions, Questions
from tokenfacade.chat.trial.symbols import (
    Builtin,
    Namespace,
    OutOfFuel,
    Piece,
    Text,
    TrialFailure,
    Undefined,
    Unknown,
    bounded,
    joined,
    likely,
    pieces_of,
)

DEEPEST_CALLS = 12
"""Macros that call each other deeper than this are taken to print nothing more."""

TrialNode = nodes.Template
"""What a trial runs, by a name for modules that know nothing of Jinja."""

State = tuple[list[dict[str, Any]], list[dict[str, Any]]]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a trial run found.

    Attributes:
        pieces: What comes out, in order.
        failed: The template raises, whatever the words are.
        questions: What it asked about what isn't known.
        steps: What it took.
    """

    pieces: tuple[Piece, ...]
    failed: bool
    questions: Questions
    steps: int


@dataclass(frozen=True, slots=True, eq=False)
class Macro:
    """A macro, or the body of a ``{% call %}``, with the scopes that it sees."""

    parameters: tuple[str, ...]
    defaults: tuple[nodes.Expr, ...]
    body: tuple[nodes.Node, ...]
    scopes: tuple[dict[str, Any], ...]


class RecursiveLoop(dict[str, Any]):
    """The variable ``loop`` of a loop that may be called, which runs it for other items."""

    parameters = ("iterable",)

    def __init__(self, state: Mapping[str, Any], node: nodes.For, scopes: tuple[dict[str, Any], ...]) -> None:
        super().__init__(state)
        self.node = node
        self.scopes = scopes


class _LoopLeft(Exception):
    """A ``{% break %}`` or ``{% continue %}``."""

    def __init__(self, *, ended: bool) -> None:
        super().__init__()
        self.ended = ended


def run_trial(
    tree: nodes.Template,
    arguments: Mapping[str, Any],
    builtins: frozenset[str],
    *,
    fuel: int,
    deadline: float = math.inf,
) -> Outcome:
    """Runs the template with these arguments, in at most `fuel` steps; what is cut off there counts as not printed.

    So does what is cut off at `deadline`, a `time.thread_time` in seconds.
    """
    return Trial(arguments, builtins, fuel=fuel, deadline=deadline).run(tree)


class Trial(Expressions):
    """Runs statements; each method is named after its node."""

    def __init__(
        self, arguments: Mapping[str, Any], builtins: frozenset[str], *, fuel: int, deadline: float = math.inf
    ) -> None:
        super().__init__(arguments, builtins, fuel=fuel, deadline=deadline)
        self._output: list[Piece] = []
        self._expected = True
        self._depth = 0

    def run(self, tree: nodes.Template) -> Outcome:
        printed, fuel = self._output, self.fuel
        failed = False
        try:
            self._body(tree.body)
        except TrialFailure:
            failed = True
        except (OutOfFuel, RecursionError, _LoopLeft):
            pass
        return Outcome(tuple(printed), failed, self.questions, fuel - self.fuel)

    def _body(self, statements: list[nodes.Node] | tuple[nodes.Node, ...]) -> None:
        for statement in statements:
            self.spend()
            method = getattr(self, "_run_" + type(statement).__name__.lower(), None)
            if method is None:
                raise TrialFailure(f"{type(statement).__name__} can't work without a loader")
            method(statement)

    def _print(self, value: Any) -> None:
        pieces = list(bounded(pieces_of(value)))
        self.spend(len(pieces) + sum(len(piece.literal) for piece in pieces) // 64)
        self._output.extend(pieces if self._expected else (replace(piece, expected=False) for piece in pieces))

    @contextmanager
    def _scope(self, values: Mapping[str, Any]) -> Iterator[None]:
        self._scopes.append(dict(values))
        try:
            yield
        finally:
            self._scopes.pop()

    @contextmanager
    def _captured(self) -> Iterator[list[Piece]]:
        outer, self._output = self._output, []
        try:
            yield self._output
        finally:
            self._output = outer

    def _run_output(self, node: nodes.Output) -> None:
        for part in node.nodes:
            self._print(self.evaluate(part))

    def _run_if(self, node: nodes.If) -> None:
        truth = self.ask(self.evaluate(node.test))
        if not isinstance(truth, Unknown):
            return self._body(node.body) if truth else self._otherwise(node)
        before = self._state()
        first, second = (self._then, self._otherwise) if truth.likely else (self._otherwise, self._then)
        problem = self._problem(first, node)
        after_first = self._state()
        self._restore(before)
        expected, self._expected = self._expected, False
        try:
            other_problem = self._problem(second, node)
        finally:
            self._expected = expected
        if isinstance(problem, TrialFailure):
            # Words that are less ordinary don't make the template fail: it is not the template that refuses.
            if other_problem is not None:
                raise problem
        elif other_problem is not None:
            self._restore(after_first)
        else:
            self._join(after_first)
        if isinstance(problem, _LoopLeft):
            raise problem
        return None

    def _problem(self, branch: Any, node: nodes.If) -> Exception | None:
        try:
            branch(node)
        except (TrialFailure, _LoopLeft) as problem:
            return problem
        return None

    def _then(self, node: nodes.If) -> None:
        self._body(node.body)

    def _otherwise(self, node: nodes.If) -> None:
        for position, other in enumerate(node.elif_):
            # The rest of the chain belongs to the first of them, as if it were written nested.
            rest = nodes.If(other.test, other.body, node.elif_[position + 1 :], node.else_, lineno=other.lineno)
            return self._run_if(rest)
        return self._body(node.else_)

    def _state(self) -> State:
        values = sum(map(len, self._scopes)) + sum(1 + len(space.values) for space in self._namespaces)
        self.spend(values // 8)
        return [dict(scope) for scope in self._scopes], [dict(space.values) for space in self._namespaces]

    def _restore(self, state: State) -> None:
        for scope, values in zip(self._scopes, state[0], strict=True):
            scope.clear()
            scope.update(values)
        for namespace, values in zip(self._namespaces, state[1], strict=False):
            namespace.values = dict(values)

    def _join(self, expected: State) -> None:
        """Makes the present state, of the branch that isn't expected, one with the state that is."""
        for scope, values in zip(self._scopes, expected[0], strict=True):
            _join_values(scope, values)
        for namespace, values in zip(self._namespaces, expected[1], strict=False):
            _join_values(namespace.values, values)

    def _run_for(self, node: nodes.For) -> None:
        return self._loop(node, operations.paid_items_of(self, self.evaluate(node.iter)))

    def _loop(self, node: nodes.For, items: list[Any]) -> None:
        if node.test is not None:
            items = [item for item in items if self._is_kept(node, item)]
        if not items:
            return self._body(node.else_)
        for position, item in enumerate(items):
            state = operations.loop_state(items, position)
            if node.recursive:
                state = RecursiveLoop(state, node, tuple(self._scopes))
            with self._scope({"loop": state}):
                self._assign(node.target, item)
                try:
                    self._body(node.body)
                except _LoopLeft as left:
                    if left.ended:
                        break
        return None

    def _is_kept(self, node: nodes.For, item: Any) -> bool:
        with self._scope({}):
            self._assign(node.target, item)
            return node.test is not None and likely(self.ask(self.evaluate(node.test)))

    def _run_break(self, node: nodes.Break) -> None:
        raise _LoopLeft(ended=True)

    def _run_continue(self, node: nodes.Continue) -> None:
        raise _LoopLeft(ended=False)

    def _run_assign(self, node: nodes.Assign) -> None:
        self._assign(node.target, self.evaluate(node.node))

    def _run_assignblock(self, node: nodes.AssignBlock) -> None:
        value = self._printed(node.body)
        if node.filter is not None:
            value = self._through(node.filter, value)
        self._assign(node.target, value)

    def _printed(self, body: list[nodes.Node] | tuple[nodes.Node, ...]) -> str | Text:
        with self._captured() as pieces:
            self._body(body)
        return self.joined_text(pieces)

    def _through(self, node: nodes.Filter, value: Any) -> Any:
        inner = self._through(node.node, value) if isinstance(node.node, nodes.Filter) else value
        return self.filtered(node, inner)

    def _assign(self, target: nodes.Node, value: Any) -> None:
        self.spend()
        if isinstance(target, nodes.Name):
            self._scopes[-1][target.name] = value
        elif isinstance(target, nodes.NSRef):
            namespace = self.evaluate(nodes.Name(target.name, "load"))
            if not isinstance(namespace, Namespace):
                raise TrialFailure(f"{target.name} is no namespace")
            namespace.values[target.attr] = value
        elif isinstance(target, (nodes.Tuple, nodes.List)):
            parts = [value] * len(target.items) if isinstance(value, Unknown) else operations.paid_items_of(self, value)
            if len(parts) != len(target.items):
                raise TrialFailure(f"{len(parts)} values for {len(target.items)} names")
            for part, item in zip(target.items, parts, strict=True):
                self._assign(part, item)

    def _run_with(self, node: nodes.With) -> None:
        values = [self.evaluate(value) for value in node.values]
        with self._scope({}):
            for target, value in zip(node.targets, values, strict=True):
                self._assign(target, value)
            self._body(node.body)

    def _run_macro(self, node: nodes.Macro) -> None:
        self._scopes[-1][node.name] = self._macro(node)

    def _macro(self, node: nodes.Macro | nodes.CallBlock) -> Macro:
        names = tuple(argument.name for argument in node.args)
        return Macro(names, tuple(node.defaults), tuple(node.body), tuple(self._scopes))

    def call_macro(self, macro: Macro | RecursiveLoop, positional: list[Any], named: dict[str, Any]) -> Any:
        if self._depth >= DEEPEST_CALLS:
            return Unknown()
        if isinstance(macro, RecursiveLoop):
            return self._call_loop(macro, positional[0] if positional else Undefined())
        values: dict[str, Any] = dict(zip(macro.parameters, positional, strict=False))
        further = {name: value for name, value in named.items() if name not in macro.parameters}
        caller = {"caller": further.pop("caller")} if "caller" in further else {}
        values |= {"varargs": tuple(positional[len(macro.parameters) :]), "kwargs": further, **caller}
        values |= {name: value for name, value in named.items() if name in macro.parameters}
        outer, self._scopes = self._scopes, [*macro.scopes, values]
        self._depth += 1
        try:
            self._add_defaults(macro, values)
            return self._printed(macro.body)
        finally:
            self._scopes = outer
            self._depth -= 1

    def _call_loop(self, loop: RecursiveLoop, value: Any) -> str | Text:
        items = operations.paid_items_of(self, value)
        outer, self._scopes = self._scopes, list(loop.scopes)
        self._depth += 1
        try:
            with self._captured() as pieces:
                self._loop(loop.node, items)
            return self.joined_text(pieces)
        finally:
            self._scopes = outer
            self._depth -= 1

    def _add_defaults(self, macro: Macro, values: dict[str, Any]) -> None:
        first_default = len(macro.parameters) - len(macro.defaults)
        for position, name in enumerate(macro.parameters):
            if name not in values:
                default = macro.defaults[position - first_default] if position >= first_default else None
                values[name] = Undefined() if default is None else self.evaluate(default)

    def _run_callblock(self, node: nodes.CallBlock) -> None:
        if not isinstance(node.call.node, nodes.ExtensionAttribute):
            caller = self._macro(node)
            called = self.evaluate(node.call.node)
            positional, named = self._call_arguments(node.call)
            self._print(functions.call(self, called, positional, {**named, "caller": caller}))
        else:
            self._print(self._printed(node.body))

    def _run_filterblock(self, node: nodes.FilterBlock) -> None:
        self._print(self._through(node.filter, self._printed(node.body)))

    def _run_exprstmt(self, node: nodes.ExprStmt) -> None:
        self.evaluate(node.node)

    def _run_scope(self, node: nodes.Scope | nodes.Block) -> None:
        with self._scope({}):
            self._body(node.body)

    _run_block = _run_scopedevalcontextmodifier = _run_scope

    def _extensionattribute(self, node: nodes.ExtensionAttribute) -> Any:
        return Builtin(node.name)


def _join_values(present: dict[str, Any], expected: Mapping[str, Any]) -> None:
    for name in {**present, **expected}:
        present[name] = joined(expected.get(name, Undefined()), present.get(name, Undefined()))
