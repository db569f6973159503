"""What a template's syntax tree says before its code is written: names, sums of text, and what is only tested."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from jinja2 import nodes

DICT_ATTRIBUTES = frozenset(dir(dict))
"""For these names a mapping's own attribute comes before its key."""


def is_plain_name(name: object) -> bool:
    """Whether a mapping has only a key of that name, and the sandbox has nothing to say about it."""
    return isinstance(name, str) and not name.startswith("_") and name not in DICT_ATTRIBUTES


def has_text(node: nodes.Expr) -> bool:
    """Whether the value can only be text, as a sum is that has text in it."""
    if isinstance(node, nodes.Add):
        return has_text(node.left) or has_text(node.right)
    return isinstance(node, nodes.Concat) or is_string(node)


def operands(node: nodes.Expr) -> list[nodes.Expr]:
    """The parts of a sum from left to right; strings that stand side by side are one."""
    right: list[nodes.Expr] = []
    while isinstance(node, nodes.Add):
        right.append(node.right)
        node = node.left
    parts = [node]
    for operand in reversed(right):
        last = parts[-1]
        if is_string(last) and is_string(operand):
            parts[-1] = nodes.Const(last.value + operand.value)  # type: ignore[attr-defined]
        else:
            parts.append(operand)
    return parts


def is_string(node: nodes.Expr) -> bool:
    """Whether it is a string that stands in the template."""
    return isinstance(node, nodes.Const) and isinstance(node.value, str)


def is_constant(node: nodes.Expr) -> bool:
    """Whether it is a constant, or a list of constants."""
    if isinstance(node, nodes.List | nodes.Tuple):
        return all(map(is_constant, node.items))
    return isinstance(node, nodes.Const)


def constant_key(node: nodes.Node) -> object:
    """The name in ``x.name`` or ``x["name"]``; None for anything else."""
    if isinstance(node, nodes.Getattr):
        return node.attr
    if isinstance(node, nodes.Getitem) and isinstance(node.arg, nodes.Const):
        return node.arg.value
    return None


def only_tested(template: nodes.Template) -> Iterator[Any]:
    """The reads of a name whose result is only tested for truth, or compared with a string; there None does as well as
    an object that stands for what is undefined."""
    for branching in (nodes.If, nodes.CondExpr, nodes.For):
        for node in template.find_all(branching):
            if node.test is not None:  # type: ignore[attr-defined]
                yield from _tested(node.test)  # type: ignore[attr-defined]
    for node in template.find_all(nodes.Not):
        yield from _tested(node.node)
    for node in template.find_all(nodes.Compare):
        is_equality = len(node.ops) == 1 and node.ops[0].op in ("eq", "ne")
        if is_equality and isinstance(node.ops[0].expr, nodes.Const) and isinstance(node.ops[0].expr.value, str):
            yield from _tested(node.expr)


def _tested(node: nodes.Node) -> Iterator[nodes.Node]:
    stack = [node]
    while stack:
        node = stack.pop()
        if isinstance(node, nodes.And | nodes.Or):
            stack += (node.left, node.right)
        elif isinstance(node, nodes.Getattr | nodes.Getitem | nodes.Name):
            yield node
