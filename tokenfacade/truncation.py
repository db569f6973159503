"""The longest part of a text whose token count fits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenfacade.encoding import Encoding

SLACK = 8
"""How many tokens fewer a part may have than the whole has over the same characters: a cut word is tokenized anew."""


def longest_fit(
    text: str, encoding: Encoding, max_tokens: int, side: Literal["right", "left"], count: Callable[[str], int]
) -> str:
    """The longest prefix (``side="right"`` is cut) or suffix of a text that `count` finds to be of at most
    `max_tokens`.

    Counts don't grow steadily with length (a whole word may be one token and its beginning two), so the candidates
    are tried from the longest down, beginning a little above what the offsets of the whole text suggest.
    """
    if len(encoding) <= max_tokens:
        return text
    spans = encoding.offsets
    if side == "right":
        longest = max((end for _, end in spans[: max_tokens + SLACK]), default=0)
        parts = (text[:kept] for kept in range(longest, 0, -1))
    else:
        begin = min((start for start, end in spans[-max_tokens - SLACK :] if end), default=len(text))
        parts = (text[start:] for start in range(begin, len(text)))
    return next((part for part in parts if count(part) <= max_tokens), "")
