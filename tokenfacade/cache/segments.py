"""Cutting a text before special tokens, so that each segment can be remembered by itself."""

from __future__ import annotations

from collections.abc import Iterable

from tokenfacade.spellings import longest_first_bytes_pattern

SHORTEST = 256
"""Bytes that a segment has at least, but for the last: an entry takes some 300 beside its text and ids."""


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
        self._find = longest_first_bytes_pattern(_without_longer(spelled)).search

    def segments(self, text: bytes) -> list[bytes]:
        """The parts of a text, in order; only one where it has no such token, or is short."""
        begin = 0
        parts = []
        while match := self._find(text, begin + SHORTEST):
            at = match.start()
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
