"""What a template's expressions stand for before anybody has written a message: known values, and unknown words.

A `Text` is a string of pieces: some literal, some standing for whatever a message, a tool or an argument will say. So a
trial run (see `run`) can tell where a message's words would end up, and in which form, for all words at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any, Literal

Form = Literal["plain", "json", "repr", "character", "unknown"]
"""How a source's words come out: as they are, inside JSON, inside a Python repr, cut into single characters, or maybe
as they are and maybe with the list or mapping that they were in."""

NOTHING: frozenset[str] = frozenset()

MOST_PIECES = 512
"""Of one value; a template can build containers whose text is exponentially long."""

LARGEST_NUMBER = 2**64
"""Numbers beyond it are unknown, so that no template can make the trial compute with giant ones."""

LONGEST_TEXT = 100_000
"""Texts beyond it are cut, for the same reason; in characters."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A literal run of characters, or (where `source` is set) the unknown words of one source.

    `expected` is false for what comes out only on a path that ordinary words don't take.
    """

    literal: str = ""
    source: str = ""
    form: Form = "plain"
    expected: bool = True


@dataclass(frozen=True, slots=True)
class Text:
    """A string that is not wholly known."""

    pieces: tuple[Piece, ...]


@dataclass(frozen=True, slots=True)
class Unknown:
    """A value of which only the sources are known; `likely` is the truth value that ordinary words give it.

    `mixed` is true if it was made of a container, so that nobody knows whether it is one.
    """

    sources: frozenset[str] = NOTHING
    likely: bool = True
    mixed: bool = False


@dataclass(frozen=True, slots=True)
class Several:
    """A sequence of unknown length whose items are all like `item`, such as the lines of a text."""

    item: Any


@dataclass(frozen=True, slots=True)
class Stream:
    """What ``map``, ``select`` and the like give: to be gone through, but without length, items or JSON."""

    items: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Undefined:
    """What Jinja gives for a name, attribute or item that isn't there."""


CYCLED = "cycled"
"""Under this key the mapping that stands for a ``cycler`` of one value has it."""


class Sample(dict[str, Any]):
    """A mapping that stands for one of unknown kind: which keys a template asks it for is written down."""


@dataclass(slots=True)
class Namespace:
    """A ``namespace(...)`` of the template: the only value that can change."""

    values: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Method:
    """A method of a value, not called yet."""

    owner: Any
    name: str


@dataclass(frozen=True, slots=True)
class Builtin:
    """A function that every template has."""

    name: str


class TrialFailure(Exception):
    """The template would raise here, whatever the words are."""


class OutOfFuel(Exception):
    """The trial took too many steps; what it found so far still counts."""


def words_of(source: str) -> Text:
    """The unknown words of one source."""
    return Text((Piece(source=source),))


def text_of(pieces: Iterable[Piece]) -> str | Text:
    """Pieces as one value: a plain `str` where every character is known."""
    kept = tuple(piece for piece in pieces if piece.literal or piece.source)
    if all(piece.expected and not piece.source for piece in kept):
        return "".join(piece.literal for piece in kept)
    return Text(kept)


def is_textual(value: Any) -> bool:
    return isinstance(value, (str, Text))


def is_known(value: Any) -> bool:
    """Whether the value is a scalar that is wholly known."""
    return value is None or isinstance(value, (str, int, float))


def pieces_of(value: Any) -> Iterator[Piece]:
    """The pieces that come out when the value is printed."""
    if isinstance(value, str):
        yield Piece(literal=value)
    elif isinstance(value, Text):
        yield from value.pieces
    elif isinstance(value, Unknown):
        form: Form = "unknown" if value.mixed else "plain"
        yield from (Piece(source=source, form=form) for source in sorted(value.sources))
    elif isinstance(value, Several):
        yield from in_form(pieces_of(value.item), "repr")
    elif isinstance(value, Stream):
        yield Piece(literal="<generator object>")
    elif isinstance(value, (Mapping, list, tuple)):
        yield Piece(literal="{" if isinstance(value, Mapping) else "[")
        yield from in_form(_pieces_within(value), "repr")
        yield Piece(literal="}" if isinstance(value, Mapping) else "]")
    elif is_known(value):
        yield Piece(literal=str(value) if not isinstance(value, int) or abs(value) < LARGEST_NUMBER else "0")


def json_pieces(value: Any) -> Iterator[Piece]:
    """The pieces that come out of ``tojson``."""
    if isinstance(value, (Mapping, list, tuple)):
        return in_form(_pieces_within(value), "json")
    return in_form(pieces_of(value), "json")


def _pieces_within(container: Any) -> Iterator[Piece]:
    items: Iterable[Any] = container
    if isinstance(container, Mapping):
        items = (part for pair in container.items() for part in pair)
    for item in items:
        if isinstance(item, (Mapping, list, tuple)):
            yield from _pieces_within(item)
        else:
            yield from pieces_of(item)
        yield Piece(literal=" ")


def in_form(pieces: Iterable[Piece], form: Form) -> Iterator[Piece]:
    """The pieces with their sources in this form, unless they are in another already."""
    for piece in pieces:
        yield replace(piece, form=form) if piece.source and piece.form == "plain" else piece


def sources_of(value: Any) -> frozenset[str]:
    """Every source that has words in the value, or in the first pieces of a giant one."""
    if isinstance(value, Unknown):
        return value.sources
    return frozenset(piece.source for piece in islice(pieces_of(value), MOST_PIECES) if piece.source)


def bounded(pieces: Iterable[Piece]) -> Iterator[Piece]:
    """The first pieces, as many as a value may have and no more characters."""
    characters = 0
    for piece in islice(pieces, MOST_PIECES):
        room = LONGEST_TEXT - characters
        if len(piece.literal) > room:
            yield replace(piece, literal=piece.literal[:room])
            return
        characters += len(piece.literal)
        yield piece


def unknown_of(*values: Any, likely: bool = True) -> Unknown:
    """What is made of the values in a way that isn't followed."""
    sources = NOTHING.union(*map(sources_of, values))
    return Unknown(sources, likely, mixed=any(map(_is_mixed, values)))


def _is_mixed(value: Any) -> bool:
    return value.mixed if isinstance(value, Unknown) else isinstance(value, (Mapping, list, tuple, Several, Stream))


def truth_of(value: Any) -> bool | Unknown:
    """The truth of a value: known, or unknown with what is likely. Words count as not empty."""
    if isinstance(value, Unknown):
        return value
    if isinstance(value, Undefined):
        return False
    if isinstance(value, Text):
        if any(piece.expected for piece in value.pieces):
            return True
        return Unknown(sources_of(value), likely=False)
    if is_known(value) or isinstance(value, (Mapping, list, tuple)):
        return bool(value)
    return True


def likely(truth: bool | Unknown) -> bool:  # noqa: FBT001 - a truth value is what this is about
    return truth.likely if isinstance(truth, Unknown) else truth


def joined(expected: Any, other: Any) -> Any:
    """What a variable holds after a branch that might not be taken: the expected value, and what else may be in it."""
    if expected is other or (type(expected) is type(other) and is_known(expected) and expected == other):
        return expected
    if is_textual(expected) and is_textual(other):
        present = sources_of(expected)
        added = (replace(piece, expected=False) for piece in pieces_of(other) if piece.source not in present)
        return text_of((*bounded(pieces_of(expected)), *bounded(piece for piece in added if piece.source)))
    if is_known(expected) or isinstance(expected, (Unknown, Undefined)):
        if isinstance(other, (Text, str)) and not isinstance(expected, Unknown):
            return text_of(replace(piece, expected=False) for piece in bounded(pieces_of(other))) or expected
        if is_known(other) or isinstance(other, (Unknown, Undefined, Text)):
            return unknown_of(expected, other, likely=likely(truth_of(expected)))
    return expected
