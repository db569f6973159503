"""Cutting a text before special tokens, so that each segment can be remembered by itself."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import groupby

SHORTEST = 256
"""Bytes that a segment has at least, but for the last: an entry takes some 300 beside its text and ids."""

DEEPEST = 16
"""How often a pattern branches before it lists what is left."""


class SegmentCutter:
    r"""Cuts texts before some tokens.

    A segment is cut off once it has `SHORTEST` bytes: from left to right, so that a text that grows keeps all of its
    segments but the last.

    Args:
        tokens: Each may be cut before, wherever it stands in a text.

    Example:
        >>> cutter = SegmentCutter(["<user>", "<assistant>"])
        >>> segments = cutter.segments(b"<user>" + b"a" * 300 + b"<assistant>" + b"b" * 300 + b"<user>")
        >>> [segment[:12] for segment in segments]
        [b'<user>aaaaaa', b'<assistant>b', b'<user>']
    """

    def __init__(self, tokens: Iterable[str]) -> None:
        spelled = sorted(token.encode() for token in tokens)
        self._find = re.compile(_any_of(_without_longer(spelled), DEEPEST)).finditer

    def segments(self, text: bytes) -> list[bytes]:
        """The parts of a text, in order; only one where it has no such token, or is short."""
        begin = 0
        parts = []
        for match in self._find(text, SHORTEST):
            at = match.start()
            if at - begin >= SHORTEST:
                parts.append(text[begin:at])
                begin = at
        parts.append(text[begin:])
        return parts


def _without_longer(tokens: Iterable[bytes]) -> list[bytes]:
    """Sorted tokens without those that begin with another: that one is found in the same place."""
    kept: list[bytes] = []
    for token in tokens:
        if not kept or not token.startswith(kept[-1]):
            kept.append(token)
    return kept


def _any_of(tokens: list[bytes], depth: int) -> bytes:
    """A pattern that tries what tokens have in common once: with 1,283 of them one by one, each ``<`` takes 10 µs."""
    if len(tokens) < 2 or not depth:
        return b"|".join(map(re.escape, tokens))
    branches = []
    for _, group in groupby(tokens, key=lambda token: token[:1]):
        some = list(group)
        common = _common_beginning(some[0], some[-1])
        rest = _any_of([token[len(common) :] for token in some], depth - 1)
        branches.append(re.escape(common) + (b"(?:" + rest + b")" if rest else b""))
    return b"|".join(branches)


def _common_beginning(first: bytes, last: bytes) -> bytes:
    """What all of a sorted list begin with, by its ends."""
    length = next((n for n, pair in enumerate(zip(first, last, strict=False)) if pair[0] != pair[1]), len(first))
    return first[:length]
