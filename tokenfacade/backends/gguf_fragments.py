"""What the four algorithms of GGUF vocabularies have in common: they encode text between special tokens."""

from __future__ import annotations

from abc import abstractmethod
from bisect import bisect_right
from itertools import accumulate
from typing import TYPE_CHECKING, Protocol

from tokenfacade.engine import Engine

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tokenfacade.encoding import Span


class FragmentEncoder(Protocol):
    """An algorithm that turns text without special tokens into ids."""

    @abstractmethod
    def encode(self, text: str, *, is_first: bool) -> list[int]:
        """The ids of a text, which is never empty; `is_first` if nothing or a special token is before it."""

    @abstractmethod
    def offsets(self, text: str, ids: list[int], *, is_first: bool) -> list[Span]:
        """Where in the text each of its ids stands."""

    @property
    def engine(self) -> Engine:
        """The engine that encodes."""
        return Engine("reference", reason="a vocabulary of this kind has one engine")

    def wait_for_engine(self, *, timeout: float | None = None) -> Engine:
        """The engine, once it is settled or after so many seconds."""
        return self.engine


def spans_of_lengths(text: str, lengths: Iterable[int], *, before: int = 0) -> list[Span]:
    """Character spans of pieces that have so many bytes of a text, the first `before` of which aren't in it.

    As `spans_of_bytes`, but pieces may go on where the text has ended.

    Example:
        >>> spans_of_lengths("é b", [1, 1, 2, 9]), spans_of_lengths("ab", [2, 1], before=1)
        ([(0, 1), (0, 1), (1, 3), (3, 3)], [(0, 1), (1, 2)])
    """
    ends = list(accumulate(len(character.encode()) for character in text))
    total = ends[-1] if ends else 0
    spans = []
    at = -before
    for length in lengths:
        start, end = min(max(at, 0), total), min(max(at + length, 0), total)
        at += length
        first = bisect_right(ends, start)
        spans.append((first, bisect_right(ends, end - 1) + 1 if end > start else first))
    return spans
