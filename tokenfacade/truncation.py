"""The longest part of a text whose token count fits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenfacade.encoding import Encoding

SHORT = 400
"""Texts of so many characters are searched length by length."""

NEARBY = 32
"""How many lengths above a bisected one are tried: a word may be one token, and its beginning two."""


def longest_fit(
    text: str,
    max_tokens: int,
    side: Literal["right", "left"],
    encode: Callable[[str], Encoding],
    count: Callable[[str], int],
) -> str:
    """The longest prefix (``side="right"`` is cut) or suffix of a text that has at most `max_tokens`, as `count`
    says.

    Counts don't grow steadily with length. A short text is searched from its whole length down, which is exact. A
    longer one is bisected, and then the next lengths are tried: some fifty counts, and exact unless a token is longer
    than `NEARBY`.
    """
    text = _enough(text, max_tokens, side, encode)

    def part(length: int) -> str:
        return text[:length] if side == "right" else text[len(text) - length :]

    def fits(length: int) -> bool:
        return count(part(length)) <= max_tokens

    if len(text) <= SHORT or fits(len(text)):
        return part(next((length for length in range(len(text), 0, -1) if fits(length)), 0))
    low, high = 0, len(text)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    longer = range(min(low + NEARBY, len(text)), low, -1)
    return part(next((length for length in longer if fits(length)), low))


def _enough(text: str, max_tokens: int, side: Literal["right", "left"], encode: Callable[[str], Encoding]) -> str:
    """As much of a text as the longest part can need: a budget of ten tokens needs no look at a megabyte."""
    length = SHORT + 8 * max_tokens
    while length < len(text):
        part = text[:length] if side == "right" else text[-length:]
        encoding = encode(part)
        if len(encoding) > max_tokens + 16:
            return _reach(part, encoding, max_tokens + 16, side)
        length *= 4
    return text


def _reach(part: str, encoding: Encoding, tokens: int, side: Literal["right", "left"]) -> str:
    """The characters of the first (or last) so many tokens, and as many more as the offsets of all tokens miss."""
    spans = encoding.offsets
    missing = len(part) - max((end for _, end in spans), default=0)
    if side == "right":
        return part[: max(end for _, end in spans[:tokens]) + missing]
    begin = min((start for start, end in spans[-tokens:] if end), default=len(part))
    return part[max(0, begin - missing) :]
