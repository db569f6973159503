"""The code that a chat template becomes when it is to be known who said what."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from jinja2.compiler import CodeGenerator, Frame, operators, optimizeconst

if TYPE_CHECKING:
    from jinja2 import nodes

_COMMONS = (
    *("concat = context.concat", "str_join = context.join_text", "markup_join = context.join_markup"),
    "Markup = context.as_markup",
)
"""Local names of each function, in place of what the generated module imports."""


class TracingCodeGenerator(CodeGenerator):
    """Jinja's own code, with every operation on strings, and every turn of a loop, met by the context."""

    def write_commons(self) -> None:
        super().write_commons()
        for line in _COMMONS:
            self.writeline(line)

    def writeline(self, x: str, node: nodes.Node | None = None, extra: int = 0) -> None:
        # This line begins the body of every loop, and no other line is the same.
        if x == "_loop_vars = {}":
            super().writeline("context.budget.tick()", node, extra)
        super().writeline(x, node, extra)

    @optimizeconst
    def visit_Add(self, node: nodes.BinExpr, frame: Frame) -> None:
        self._write_operation("add", node, frame)

    @optimizeconst
    def visit_Mul(self, node: nodes.BinExpr, frame: Frame) -> None:
        self._write_operation("multiply", node, frame)

    @optimizeconst
    def visit_Pow(self, node: nodes.BinExpr, frame: Frame) -> None:
        self._write_operation("power", node, frame)

    @optimizeconst
    def visit_Mod(self, node: nodes.BinExpr, frame: Frame) -> None:
        self._write_operation("modulo", node, frame)

    @optimizeconst
    def visit_Compare(self, node: nodes.Compare, frame: Frame) -> None:
        self.write("(")
        self.visit(node.expr, frame)
        for operand in node.ops:
            self.write(
                f" {operators[operand.op]} context.{'searched' if operand.op in ('in', 'notin') else 'compared'}("
            )
            self.visit(operand.expr, frame)
            self.write(")")
        self.write(")")

    def _write_operation(self, name: str, node: nodes.BinExpr, frame: Frame) -> None:
        self.write(f"context.{name}(")
        self.visit(node.left, frame)
        self.write(", ")
        self.visit(node.right, frame)
        self.write(")")

    @optimizeconst
    def visit_Call(self, node: nodes.Call, frame: Frame, forward_caller: bool = False) -> None:  # noqa: FBT001, FBT002
        self.write("context.call_checked(")
        self.visit(node.node, frame)
        self.signature(node, frame, {"caller": "caller"} if forward_caller else None)
        self.write(")")

    @optimizeconst
    def visit_Getitem(self, node: nodes.Getitem, frame: Frame) -> None:
        self._write_within("charged", super().visit_Getitem, node, frame)

    def visit_List(self, node: nodes.List, frame: Frame) -> None:
        self._write_within("weighed", super().visit_List, node, frame)

    def visit_Dict(self, node: nodes.Dict, frame: Frame) -> None:
        self._write_within("weighed", super().visit_Dict, node, frame)

    def visit_Tuple(self, node: nodes.Tuple, frame: Frame) -> None:
        if node.ctx == "load":
            self._write_within("weighed", super().visit_Tuple, node, frame)
        else:
            super().visit_Tuple(node, frame)

    def _write_within(self, function: str, visit: Callable[[Any, Frame], None], node: nodes.Node, frame: Frame) -> None:
        self.write(f"context.{function}(")
        visit(node, frame)
        self.write(")")

    def _output_child_pre(self, node: nodes.Expr, frame: Frame, finalize: CodeGenerator._FinalizeInfo) -> None:
        is_escaping = frame.eval_ctx.volatile or frame.eval_ctx.autoescape
        self.write("context.escaped(" if is_escaping else "context.text(")

    def _output_child_post(self, node: nodes.Expr, frame: Frame, finalize: CodeGenerator._FinalizeInfo) -> None:
        self.write(")")
