"""The code that a chat template becomes: Jinja's own generator, with shorter ways for what chat templates do most.

Every access still goes through the sandbox (`jinja_sandbox`); what differs is which function is called for it, chosen
here, once, by what stands in the template. Turns of loops and calls pay steps, and what makes long strings is counted.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from jinja2 import nodes
from jinja2.compiler import CodeGenerator, Frame, operators

from tokenfacade.chat.jinja_syntax import constant_key, has_text, is_constant, is_plain_name, only_tested, operands
from tokenfacade.chat.limits import LONG, SHORT

_BLOCKS = (nodes.Macro, nodes.CallBlock, nodes.FilterBlock, nodes.AssignBlock, nodes.Block, nodes.For)
_MODIFIERS = (nodes.EvalContextModifier, nodes.ScopedEvalContextModifier, nodes.Extends, nodes.Block)
_COMMONS: tuple[tuple[str, tuple[type[nodes.Node], ...]], ...] = (
    ("resolve = context.vars.__getitem__", ()),
    ("text = context.text", (nodes.Output,)),
    ("tick = context.budget.tick", (nodes.For,)),
    ("LoopContext = environment.loop_context", (nodes.For,)),
    ("SequenceLoop = environment.sequence_loop", (nodes.Getattr, nodes.Getitem)),
    ("concat = context.concat", _BLOCKS),
    ("str_join = context.join_text", (nodes.Concat,)),
    ("markup_join = context.join_markup", _MODIFIERS),
    ("charged = context.charged", (nodes.Add, nodes.Output)),
    ("kept = context.kept", (nodes.Output,)),
    ("compared = context.compared", (nodes.Compare,)),
    ("searched = context.searched", (nodes.Compare,)),
    ("call = context.call_checked", (nodes.Call,)),
    ("call_method = context.call_method", (nodes.Call,)),
    ("field = environment.field", (nodes.Getattr,)),
    ("item = environment.item", (nodes.Getitem,)),
    ("peek = environment.peek", (nodes.Getattr, nodes.Getitem)),
    ("has_field = environment.has_field", (nodes.Test,)),
)
"""Local names of each function, and what makes them needed; some take the place of a name that Jinja imports."""

_READS_VARIABLES = (nodes.Block, nodes.Extends, nodes.Include, nodes.Import, nodes.FromImport)
"""What reads the variables that other parts of a template have set, past their names in the code."""

_LOOP_FIELDS = {"index0": "w.index0", "index": "w.index0 + 1", "first": "w.index0 == 0", "last": "w.last"}
_INLINE_TESTS = frozenset({"defined", "undefined", "none", "string"})
_NO_LITERALS = (nodes.Name, nodes.Getattr, nodes.Getitem, nodes.Call, nodes.Filter)
"""What ``is`` may follow; Python warns of literals there."""

_MOST_JOINED = 8
"""Strings that are joined before their length is counted: all that was joined before is copied for each."""
_MOST_INLINE = 8
"""Comparisons in a row that are each written out: so much code takes long to compile."""


class PayingCodeGenerator(CodeGenerator):
    """Jinja's code generator, with every turn of a loop, and what can make much of little, met by the context."""

    def writeline(self, x: str, node: nodes.Node | None = None, extra: int = 0) -> None:
        # This line begins the body of every loop, and no other line is the same. Tests hold that loops pay.
        if x == "_loop_vars = {}":
            super().writeline("context.budget.tick()", node, extra)
        super().writeline(x, node, extra)

    def visit_Getitem(self, node: nodes.Getitem, frame: Frame) -> None:
        if isinstance(node.arg, nodes.Slice):
            self._write_within("charged", super().visit_Getitem, node, frame)
        else:
            super().visit_Getitem(node, frame)

    def visit_Mul(self, node: nodes.BinExpr, frame: Frame) -> None:
        self._write_operation("multiply", node, frame)

    def visit_Pow(self, node: nodes.BinExpr, frame: Frame) -> None:
        self._write_operation("power", node, frame)

    def visit_Mod(self, node: nodes.BinExpr, frame: Frame) -> None:
        self._write_operation("modulo", node, frame)

    def visit_List(self, node: nodes.List, frame: Frame) -> None:
        self._write_within("weighed", super().visit_List, node, frame)

    def visit_Dict(self, node: nodes.Dict, frame: Frame) -> None:
        self._write_within("weighed", super().visit_Dict, node, frame)

    def visit_Tuple(self, node: nodes.Tuple, frame: Frame) -> None:
        if node.ctx == "load":
            self._write_within("weighed", super().visit_Tuple, node, frame)
        else:
            super().visit_Tuple(node, frame)

    def _write_operation(self, name: str, node: nodes.BinExpr, frame: Frame) -> None:
        self.write(f"context.{name}(")
        self.visit(node.left, frame)
        self.write(", ")
        self.visit(node.right, frame)
        self.write(")")

    def _write_within(self, name: str, visit: Callable[[Any, Frame], None], node: nodes.Node, frame: Frame) -> None:
        self.write(f"context.{name}(")
        visit(node, frame)
        self.write(")")


class ChatCodeGenerator(PayingCodeGenerator):
    """The code that renders: calls of the sandbox's fast paths, or none."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._commons: list[str] = []
        self._keeps_variables = True

    def visit_Template(self, node: nodes.Template, frame: Frame | None = None) -> None:
        kinds = {type(part) for part in node.find_all(nodes.Node)}
        self._commons = [line for line, users in _COMMONS if not users or not kinds.isdisjoint(users)]
        self._keeps_variables = not kinds.isdisjoint(_READS_VARIABLES)
        for tested in only_tested(node):
            tested.is_only_tested = True
        super().visit_Template(node, frame)

    def write_commons(self) -> None:
        super().write_commons()
        for line in self._commons:
            self.writeline(line)

    def writeline(self, x: str, node: nodes.Node | None = None, extra: int = 0) -> None:
        if x == "_loop_vars = {}" and not self._keeps_variables:
            x = "tick()"
        super().writeline(x, node, extra)

    def pop_assign_tracking(self, frame: Frame) -> None:
        if self._keeps_variables:
            super().pop_assign_tracking(frame)
        else:
            self._assign_stack.pop()

    def visit_Name(self, node: nodes.Name, frame: Frame) -> None:
        if getattr(node, "is_only_tested", False):
            reference = frame.symbols.ref(node.name)
            self.write(f"(None if {reference} is missing else {reference})")
        else:
            super().visit_Name(node, frame)

    def visit_Getattr(self, node: nodes.Getattr, frame: Frame) -> None:
        if is_plain_name(node.attr):
            self._write_read("field", node, node.attr, frame)
            return
        self.write("environment.getattr(")
        self.visit(node.node, frame)
        self.write(f", {node.attr!r})")

    def visit_Getitem(self, node: nodes.Getitem, frame: Frame) -> None:
        if isinstance(node.arg, nodes.Slice):
            super().visit_Getitem(node, frame)
            return
        if isinstance(node.arg, nodes.Const) and is_plain_name(node.arg.value):
            self._write_read("item", node, node.arg.value, frame)
            return
        self.write("item(")
        self.visit(node.node, frame)
        self.write(", ")
        self.visit(node.arg, frame)
        self.write(")")

    def _write_read(self, function: str, node: nodes.Getattr | nodes.Getitem, name: str, frame: Frame) -> None:
        """Read what has a plain name; of a mapping without a call, which saves half of the time."""
        if isinstance(node.node, nodes.Name) and node.node.name == "loop" and name in _LOOP_FIELDS:
            self.write(f"({_LOOP_FIELDS[name]} if type(w := ")
            self.visit(node.node, frame)
            self.write(f") is SequenceLoop else {function}(w, {name!r}))")
            return
        is_only_tested = getattr(node, "is_only_tested", False)
        self.write("(w")
        self.write(f".get({name!r})" if is_only_tested else f"[{name!r}]")
        self.write(" if type(w := ")
        self.visit(node.node, frame)
        self.write(") is dict ")
        if not is_only_tested:
            self.write(f"and {name!r} in w ")
        self.write(f"else {'peek' if is_only_tested else function}(w, {name!r}))")

    def visit_Test(self, node: nodes.Test, frame: Frame) -> None:
        # The commonest tests without a call, and without the object that stands for what is undefined: 400 ns.
        key = constant_key(node.node)
        if node.args or node.kwargs or node.dyn_args or node.dyn_kwargs or node.name not in _INLINE_TESTS:
            super().visit_Test(node, frame)
        elif node.name == "string":
            self._write_around("isinstance(", node.node, ", str)", frame)
        elif node.name == "none" and isinstance(node.node, _NO_LITERALS):
            self._write_around("(", node.node, " is None)", frame)
        elif isinstance(node.node, nodes.Name):
            reference = frame.symbols.ref(node.node.name)
            negation = "not " if node.name == "undefined" else ""
            self.write(f"({negation}({reference} is not missing and not isinstance({reference}, Undefined)))")
        elif node.name != "none" and is_plain_name(key):
            is_attribute = isinstance(node.node, nodes.Getattr)
            negation = "not " if node.name == "undefined" else ""
            holder: nodes.Expr = node.node.node  # type: ignore[attr-defined]
            self._write_around(f"({negation}has_field(", holder, f", {key!r}, {is_attribute}))", frame)
        else:
            super().visit_Test(node, frame)

    def _write_around(self, before: str, node: nodes.Expr, after: str, frame: Frame) -> None:
        self.write(before)
        self.visit(node, frame)
        self.write(after)

    def visit_Call(self, node: nodes.Call, frame: Frame, forward_caller: bool = False) -> None:  # noqa: FBT001, FBT002
        # Jinja would also pass the variables of the loop, for functions that ask for the context. None does here.
        callee = node.node
        if isinstance(callee, nodes.Getattr) and not (
            node.kwargs or node.dyn_args or node.dyn_kwargs or forward_caller
        ):
            self.write("call_method(")
            self.visit(callee.node, frame)
            self.write(f", {callee.attr!r}")
        else:
            self.write("call(")
            self.visit(callee, frame)
        self.signature(node, frame, {"caller": "caller"} if forward_caller else None)
        self.write(")")

    def visit_Add(self, node: nodes.BinExpr, frame: Frame) -> None:
        if has_text(node):
            self.write("(v if len(v := ")
            self._write_sum(node, frame)
            self.write(f") < {LONG} else charged(v, (v := None)))")
        else:
            self.write("charged(")
            self._write_sum(node, frame)
            self.write(")")

    def _write_sum(self, node: nodes.Expr, frame: Frame) -> None:
        """A chain of additions, of which the result is counted by who asks, and what comes before it now and then."""
        parts = operands(node)
        self.write("charged(" * ((len(parts) - 1) // _MOST_JOINED) + "(")
        for at, operand in enumerate(parts):
            counted = ")" if at and at % _MOST_JOINED == 0 else ""
            self.write(f"{counted} + " if at else "")
            self.visit(operand, frame)
        self.write(")")

    def visit_Compare(self, node: nodes.Compare, frame: Frame) -> None:
        # Comparing costs no more than the smaller of two values is large: a constant is small.
        if isinstance(node.expr, nodes.Const) and all(operand.op in ("eq", "ne") for operand in node.ops):
            super().visit_Compare(node, frame)
            return
        self.write("(")
        self.visit(node.expr, frame)
        for operand in node.ops:
            self.write(f" {operators[operand.op]} ")
            is_search = operand.op in ("in", "notin")
            if is_constant(operand.expr) or isinstance(operand.expr, nodes.Compare | nodes.Test | nodes.Not):
                self.visit(operand.expr, frame)
            elif len(node.ops) > _MOST_INLINE:
                self._write_around("searched(" if is_search else "compared(", operand.expr, ")", frame)
            elif is_search:
                self._write_around(
                    "(w if type(w := ",
                    operand.expr,
                    f") is dict or type(w) is str and len(w) < {LONG} else searched(w))",
                    frame,
                )
            else:
                self._write_around(
                    "(w if type(w := ",
                    operand.expr,
                    f") is int or type(w) is str and len(w) < {LONG} else compared(w))",
                    frame,
                )
        self.write(")")

    def visit_Mod(self, node: nodes.BinExpr, frame: Frame) -> None:
        if isinstance(node.right, nodes.Const) and isinstance(node.right.value, int) and node.right.value:
            self.write("(v % ")
            self.visit(node.right, frame)
            self.write(" if type(v := ")
            self.visit(node.left, frame)
            self.write(f") is int else context.modulo(v, {node.right.value!r}))")
            return
        super().visit_Mod(node, frame)

    def visit_Output(self, node: nodes.Output, frame: Frame) -> None:
        if frame.require_output_check or frame.eval_ctx.volatile or frame.eval_ctx.autoescape:
            super().visit_Output(node, frame)
            return
        parts = self._merged(node, frame)
        for first in range(0, len(parts), _MOST_JOINED):
            self._write_piece(parts[first : first + _MOST_JOINED], node, frame)

    def _write_piece(self, parts: list[str | nodes.Expr], node: nodes.Output, frame: Frame) -> None:
        """One piece of output instead of several: each would take the generator to be resumed."""
        # What goes to a macro or a block stays in memory until that ends, so shorter pieces are counted.
        is_kept = frame.buffer is not None
        first = parts[0]
        self.start_write(frame, node if isinstance(first, str) else first)
        if len(parts) == 1 and not isinstance(first, str) and not is_kept and has_text(first):
            self.visit(first, frame)
        elif len(parts) == 1 and (isinstance(first, str) or not is_kept):
            self._write_part(first, frame)
        else:
            self.write("(v if len(v := ")
            for at, part in enumerate(parts):
                if not isinstance(part, str):
                    self.newline(part)  # so that an error tells its line
                self.write(" + " if at else "")
                self._write_part(part, frame)
            self.write(f") < {SHORT} else kept(v))" if is_kept else f") < {LONG} else charged(v, (v := None)))")
        self.end_write(frame)

    def _merged(self, node: nodes.Output, frame: Frame) -> list[str | nodes.Expr]:
        """The parts of an output, with neighbouring constants as one string."""
        finalize = self._make_finalize()
        parts: list[str | nodes.Expr] = []
        for child in node.nodes:
            try:
                constant = self._output_child_to_const(child, frame, finalize)
            except Exception:  # not constant, or better found out at run time, as Jinja does
                parts.append(child)
                continue
            if parts and isinstance(parts[-1], str):
                parts[-1] += constant
            else:
                parts.append(constant)
        return parts

    def _write_part(self, part: str | nodes.Expr, frame: Frame) -> None:
        if isinstance(part, str):
            self.write(repr(part))
        elif isinstance(part, nodes.Concat):
            # Not a sum with text in it, which is markup if any part of it is, and would escape its neighbours.
            self.visit(part, frame)
        else:
            self._write_around("(v if type(v := ", part, ") is str else text(v))", frame)

    def _output_child_pre(self, node: nodes.Expr, frame: Frame, finalize: CodeGenerator._FinalizeInfo) -> None:
        super()._output_child_pre(node, frame, finalize)
        self.write("kept(")

    def _output_child_post(self, node: nodes.Expr, frame: Frame, finalize: CodeGenerator._FinalizeInfo) -> None:
        self.write(")")
        super()._output_child_post(node, frame, finalize)
