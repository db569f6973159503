"""What comparisons, items and tests give for values that may be partly unknown, as Jinja gives them for known ones."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

from tokenfacade.chat.trial.symbols import (
    CYCLED,
    Builtin,
    Method,
    Namespace,
    Piece,
    Several,
    Stream,
    Text,
    TrialFailure,
    Undefined,
    Unknown,
    in_form,
    is_known,
    is_textual,
    pieces_of,
    sources_of,
    text_of,
    unknown_of,
)

TEXT_METHODS = frozenset(
    "capitalize count encode endswith find format index isalnum isalpha isascii isdecimal isdigit islower isnumeric "
    "isspace istitle isupper join ljust lower lstrip partition removeprefix removesuffix replace rfind rindex rjust "
    "rpartition rsplit rstrip split splitlines startswith strip swapcase title upper zfill".split()
)
MAPPING_METHODS = frozenset("copy get items keys values pop update setdefault clear".split())
LIST_METHODS = frozenset("append clear copy count extend index insert pop remove reverse sort".split())


class Run(Protocol):
    """What the operations need of the trial that they are part of."""

    def ask(self, value: Any) -> bool | Unknown: ...
    def text(self, *values: Any) -> str | Text: ...
    def joined_text(self, pieces: Iterable[Piece]) -> str | Text: ...
    def compare(self, name: str, left: Any, right: Any) -> bool | Unknown: ...
    def item(self, owner: Any, key: Any) -> Any: ...
    def spend(self, steps: int = 1) -> None: ...
    def call_macro(self, macro: Any, positional: list[Any], named: dict[str, Any]) -> Any: ...
    def new_namespace(self, values: Mapping[str, Any]) -> Namespace: ...


def guarded(operation: Callable[..., Any], *operands: Any) -> Any:
    """The operation on known values. Raises: TrialFailure, where Python raises."""
    if any(isinstance(operand, (Undefined, Text)) for operand in operands):
        raise TrialFailure("an operation on what isn't there, or isn't a number")
    try:
        return operation(*operands)
    except (TypeError, ValueError, ArithmeticError, LookupError) as error:
        raise TrialFailure(str(error)) from error


def along(run: Run, value: Any, attribute: Any) -> Any:
    """The attribute of an attribute ..., with dots between their names, as filters take them."""
    for name in str(attribute).split(".") if isinstance(attribute, str) else [attribute]:
        value = run.item(value, int(name) if isinstance(name, str) and name.isdecimal() and name.isascii() else name)
    return value


def negated(truth: bool | Unknown, condition: bool) -> bool | Unknown:  # noqa: FBT001 - truth values are its subject
    """The opposite of the truth if the condition holds."""
    if isinstance(truth, Unknown):
        return Unknown(truth.sources, likely=truth.likely != condition)
    return truth != condition


def has_method(owner: Any, name: str) -> bool:
    if is_textual(owner):
        return name in TEXT_METHODS
    if isinstance(owner, Mapping):
        called = ("next", "reset") if CYCLED in owner else ("cycle",) if "index0" in owner else ()
        return name in MAPPING_METHODS or name in called
    return isinstance(owner, (list, tuple, Several)) and name in LIST_METHODS


def item(owner: Any, key: Any) -> Any:
    """What ``owner[key]`` is; undefined where there is no such item, as in Jinja."""
    if isinstance(owner, Unknown):
        return owner
    if isinstance(owner, Several):
        return owner.item if isinstance(key, (int, Unknown)) else Undefined()
    if isinstance(owner, Mapping):
        return owner.get(key, Undefined()) if is_known(key) else unknown_of(owner)
    if isinstance(owner, Text):
        return _character(owner) if isinstance(key, (int, Unknown)) else Undefined()
    if isinstance(owner, tuple) and len(owner) == 2 and key in ("grouper", "list"):
        return owner[key == "list"]
    if isinstance(owner, (str, list, tuple)):
        if isinstance(key, Unknown):
            return owner[0] if len(owner) == 1 else unknown_of(owner)
        return owner[key] if type(key) is int and -len(owner) <= key < len(owner) else Undefined()
    return Undefined()


def _character(text: Text) -> Text:
    sources = tuple(piece for piece in text.pieces if piece.source)
    return Text(tuple(in_form(sources, "character")) or (Piece(literal="?"),))


def items_of(value: Any) -> list[Any]:
    """What a loop over the value goes through; one item stands for all of an unknown number."""
    if isinstance(value, Mapping):
        return list(value)
    if isinstance(value, (list, tuple, str)):
        return list(value)
    if isinstance(value, Text):
        return [_character(value)]
    if isinstance(value, Several):
        return [value.item]
    if isinstance(value, Stream):
        return list(value.items)
    if isinstance(value, Unknown):
        return [value]
    if isinstance(value, Undefined):
        return []
    raise TrialFailure(f"{type(value).__name__} can't be gone through")


def paid_items_of(run: Run, value: Any) -> list[Any]:
    """`items_of`, paid for: a text of known characters can have very many. Raises: OutOfFuel."""
    if isinstance(value, (str, list, tuple, Mapping)):
        run.spend(len(value) // 16)
    elif isinstance(value, Stream):
        run.spend(len(value.items) // 16)
    return items_of(value)


def loop_state(items: list[Any], position: int) -> dict[str, Any]:
    """The variable ``loop``."""
    count = len(items)
    return {
        "index": position + 1,
        "index0": position,
        "revindex": count - position,
        "revindex0": count - position - 1,
        "first": position == 0,
        "last": position == count - 1,
        "length": count,
        "depth": 1,
        "depth0": 0,
        "previtem": items[position - 1] if position else Undefined(),
        "nextitem": items[position + 1] if position + 1 < count else Undefined(),
    }


def equal(left: Any, right: Any) -> bool | Unknown:
    """Whether two values are equal; words are not expected to equal anything."""
    if isinstance(left, Unknown) or isinstance(right, Unknown):
        return Unknown(sources_of(left) | sources_of(right), likely=False)
    if isinstance(left, Text) or isinstance(right, Text):
        if not (is_textual(left) and is_textual(right)):
            return False
        if left == "" or right == "":
            other = right if left == "" else left
            return Unknown(sources_of(other), likely=not any(piece.expected for piece in pieces_of(other)))
        return Unknown(sources_of(left) | sources_of(right), likely=left == right)
    if is_known(left) and is_known(right):
        return bool(left == right)
    if isinstance(left, (list, tuple, Mapping)) and isinstance(right, (list, tuple, Mapping)):
        if len(left) != len(right) or isinstance(left, Mapping) != isinstance(right, Mapping):
            return False
        return True if not left or left is right else Unknown(likely=False)
    return isinstance(left, Undefined) and isinstance(right, Undefined)


def contains(run: Run, container: Any, element: Any) -> bool | Unknown:
    """Whether ``element in container``."""
    if isinstance(container, str) and isinstance(element, str):
        run.spend(len(container) // 256)
        return element in container
    if isinstance(container, (Text, str)) and is_textual(element):
        run.spend(sum(len(piece.literal) for piece in pieces_of(container)) // 256)
        known = isinstance(element, str) and any(element in piece.literal for piece in pieces_of(container))
        return True if known else Unknown(sources_of(container) | sources_of(element), likely=False)
    if isinstance(container, (Unknown, Several)) or isinstance(element, Unknown):
        return Unknown(sources_of(container) | sources_of(element), likely=False)
    if is_textual(container):
        raise TrialFailure("only a text can be in a text")
    if isinstance(container, Mapping) and is_known(element):
        return element in container
    outcomes = [equal(element, other) for other in paid_items_of(run, container)]
    if True in outcomes:
        return True
    uncertain = [outcome for outcome in outcomes if isinstance(outcome, Unknown)]
    return uncertain[0] if uncertain else False


COMPARING_TESTS = {
    **dict.fromkeys(("eq", "equalto", "=="), "eq"),
    **dict.fromkeys(("ne", "!="), "ne"),
    **dict.fromkeys(("lt", "lessthan", "<"), "lt"),
    **dict.fromkeys(("gt", "greaterthan", ">"), "gt"),
    **dict.fromkeys(("le", "<="), "lteq"),
    **dict.fromkeys(("ge", ">="), "gteq"),
    "sameas": "eq",
    "in": "in",
}

SEQUENCE = (Mapping, list, tuple, Several, Undefined)
ITERABLE = (*SEQUENCE, Stream)

TYPE_TESTS: Mapping[str, Callable[[Any], bool]] = {
    "none": lambda value: value is None,
    "string": is_textual,
    "mapping": lambda value: isinstance(value, Mapping),
    "sequence": lambda value: is_textual(value) or isinstance(value, SEQUENCE),
    "iterable": lambda value: is_textual(value) or isinstance(value, ITERABLE),
    "number": lambda value: isinstance(value, (int, float)),
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "float": lambda value: isinstance(value, float),
    "boolean": lambda value: isinstance(value, bool),
    "true": lambda value: value is True,
    "false": lambda value: value is False,
    "callable": lambda value: isinstance(value, (Builtin, Method)),
    "odd": lambda value: bool(guarded(lambda number: number % 2 == 1, value)),
    "even": lambda value: bool(guarded(lambda number: number % 2 == 0, value)),
}


def test(run: Run, name: str, value: Any, others: list[Any]) -> bool | Unknown:
    """What ``value is name`` gives; a type test of the unknown is expected to find a text."""
    if name in ("defined", "undefined"):
        return isinstance(value, Undefined) != (name == "defined")
    if name in COMPARING_TESTS:
        return run.compare(COMPARING_TESTS[name], value, others[0] if others else Undefined())
    if isinstance(value, Unknown):
        if name in ("true", "false", "boolean"):
            run.ask(value)
        return Unknown(value.sources, likely=name in ("string", "true", "iterable", "sequence"))
    if name == "divisibleby" and others and not isinstance(others[0], Unknown):
        return bool(guarded(lambda number, divisor: number % divisor == 0, value, others[0]))
    check = TYPE_TESTS.get(name)
    return Unknown(sources_of(value), likely=False) if check is None else check(value)


def lines_of(text: Text) -> Several:
    """The parts into which a text of unknown words is split."""
    return Several(text_of(piece for piece in text.pieces if piece.source))
