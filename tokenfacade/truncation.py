"""The longest part of a text whose token count fits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenfacade.encoding import Encoding

SLACK = 8
"""How many tokens fewer a part may have than the whole has over the same characters: a cut word is tokenized anew."""

NEAR = (256, 64, 3 * SLACK)
"""How many tokens before the cut are counted anew for each candidate: the most that are at most `NEAR_CHARACTERS`."""

NEAR_CHARACTERS = 2000


def longest_fit(
    text: str,
    max_tokens: int,
    side: Literal["right", "left"],
    encode: Callable[[str], Encoding],
    count: Callable[[str], int],
) -> str:
    """The longest prefix (``side="right"`` is cut) or suffix of a text that has at most `max_tokens`, as `count`
    says.

    Counts don't grow steadily with length (a whole word may be one token and its beginning two), so the candidates
    are tried from the longest down, beginning a little above what the offsets suggest.
    """
    text, encoding = _enough(text, max_tokens, side, encode)
    if len(encoding) <= max_tokens:
        return text
    parts = _Parts(text, side, [end if side == "right" else len(text) - start for start, end in encoding.offsets])
    # Characters that the vocabulary lacks altogether may be missing from the offsets, which are then too short by as
    # many.
    missing = len(text) - parts.length_of(len(encoding))
    longest = parts.length_of(max_tokens + SLACK) + missing
    estimate = _estimate(parts, max_tokens, longest, count)
    for length in range(longest, 0, -1):
        if estimate(length) <= max_tokens and count(parts.part(length)) <= max_tokens:
            return parts.part(length)
    return ""


def _enough(
    text: str, max_tokens: int, side: Literal["right", "left"], encode: Callable[[str], Encoding]
) -> tuple[str, Encoding]:
    """As much of a text as the longest part can need: a budget of ten tokens needs no look at a megabyte."""
    length = 1000 + 8 * max_tokens
    while length < len(text):
        part = text[:length] if side == "right" else text[-length:]
        encoding = encode(part)
        if len(encoding) > max_tokens + 2 * SLACK:
            return part, encoding
        length *= 4
    return text, encode(text)


@dataclass(frozen=True, slots=True)
class _Parts:
    """The prefixes of a text, or its suffixes, by their length in characters."""

    text: str
    side: Literal["right", "left"]
    reach: list[int]
    """For each token, how long a part is that ends with it."""

    def length_of(self, tokens: int) -> int:
        """How long a part is that has about so many tokens."""
        reach = self.reach if self.side == "right" else self.reach[::-1]
        return max(reach[: max(tokens, 0)], default=0)

    def part(self, length: int, *, without: int = 0) -> str:
        """The part of this length; without so many characters at its fixed end."""
        if self.side == "right":
            return self.text[without:length]
        return self.text[len(self.text) - length : len(self.text) - without]


def _estimate(parts: _Parts, max_tokens: int, longest: int, count: Callable[[str], int]) -> Callable[[int], int]:
    """Counts of long parts from what is near the cut, if that is right at both ends of the candidates; else none, and
    all are counted."""
    near = next((near for near in NEAR if longest - parts.length_of(max_tokens - near) <= NEAR_CHARACTERS), NEAR[-1])
    far = parts.length_of(max_tokens - near)
    shortest = parts.length_of(max_tokens - SLACK)
    if not far:
        return lambda length: 0
    rest = count(parts.part(longest)) - count(parts.part(longest, without=far))
    if rest != count(parts.part(shortest)) - count(parts.part(shortest, without=far)):
        return lambda length: 0
    return lambda length: rest + count(parts.part(length, without=far))
