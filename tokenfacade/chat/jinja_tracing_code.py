"""The code that a chat template becomes when it is to be known who said what."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jinja2.compiler import CodeGenerator, Frame, operators

from tokenfacade.chat.jinja_code import PayingCodeGenerator

if TYPE_CHECKING:
    from jinja2 import nodes

_COMMONS = (
    *("concat = context.concat", "str_join = context.join_text", "markup_join = context.join_markup"),
    "Markup = context.as_markup",
)
"""Local names of each function, in place of what the generated module imports."""


class TracingCodeGenerator(PayingCodeGenerator):
    """Jinja's own code, with every operation on strings met by the context."""

    def write_commons(self) -> None:
        super().write_commons()
        for line in _COMMONS:
            self.writeline(line)

    def visit_Add(self, node: nodes.BinExpr, frame: Frame) -> None:
        self._write_operation("add", node, frame)

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

    def visit_Call(self, node: nodes.Call, frame: Frame, forward_caller: bool = False) -> None:  # noqa: FBT001, FBT002
        self.write("context.call_checked(")
        self.visit(node.node, frame)
        self.signature(node, frame, {"caller": "caller"} if forward_caller else None)
        self.write(")")

    def _output_child_pre(self, node: nodes.Expr, frame: Frame, finalize: CodeGenerator._FinalizeInfo) -> None:
        is_escaping = frame.eval_ctx.volatile or frame.eval_ctx.autoescape
        self.write("context.escaped(" if is_escaping else "context.text(")

    def _output_child_post(self, node: nodes.Expr, frame: Frame, finalize: CodeGenerator._FinalizeInfo) -> None:
        self.write(")")
