"""Where a text may be cut so that the ids of its parts, joined, are the ids of the whole."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

MOST_CHARACTERS = 100_000
"""More in all the tokens together are not looked at: it takes a second for a million."""

LONGEST = 200
"""Characters of a token before which a text may be cut."""


def safe_cut_points(found: Iterable[str], candidates: Iterable[str]) -> frozenset[str]:
    """Those candidates that never begin inside another token that is found, nor where one begins that is no candidate.

    For a tokenizer that looks for its added tokens first, from left to right, and encodes what lies between them piece
    by piece: if no token that begins earlier can reach over the beginning of this one, then a search that ends there,
    and another that begins there, find what one search finds.

    Args:
        found: All tokens that are looked for.
        candidates: Those of them that are found whatever is before them, and that change nothing before them.

    Example:
        >>> sorted(safe_cut_points(["<s>", "</s>", "<|a|>", "x<s", "<<s>"], ["<s>", "</s>", "<|a|>"]))
        ['</s>', '<|a|>']
    """
    found = list(found)
    if sum(map(len, found)) > MOST_CHARACTERS:
        return frozenset()
    safe = {candidate for candidate in candidates if 0 < len(candidate) <= LONGEST}
    beginnings: dict[str, set[str]] = defaultdict(set)
    for candidate in safe:
        for end in range(1, len(candidate) + 1):
            beginnings[candidate[:end]].add(candidate)
    for token in set(found) - safe:
        safe -= {token[:end] for end in range(1, min(len(token), LONGEST) + 1)}
    for token in found:
        for at in range(1, len(token)):
            safe -= _begun_at(token, at, beginnings, safe)
    return frozenset(safe)


def undisturbed(tokens: Iterable[str], others: Iterable[str]) -> list[str]:
    """Those tokens inside which none of the others can begin, whatever text they stand in.

    Example:
        >>> undisturbed(["<think>", "<｜a｜>", "a<b"], ["<s>", "｜a"])
        ['<think>', 'a<b']
    """
    whole = set(others)
    beginnings = {other[:end] for other in whole for end in range(1, min(len(other), LONGEST) + 1)}

    def is_free(token: str, at: int) -> bool:
        ends = range(at + 1, len(token) + 1) if token[at] in beginnings else ()
        return token[at:] not in beginnings and not any(token[at:end] in whole for end in ends)

    return [
        token for token in tokens if len(token) <= LONGEST and all(is_free(token, at) for at in range(1, len(token)))
    ]


def _begun_at(token: str, at: int, beginnings: dict[str, set[str]], safe: set[str]) -> set[str]:
    """The candidates that a text can have from here on, if the token stands in it."""
    if token[at] not in beginnings:
        return set()
    ends = range(at + 1, min(len(token), at + LONGEST) + 1)
    whole = {token[at:end] for end in ends} & safe
    # Popped, because once is enough: the same ending of many tokens would make this quadratic.
    return whole | beginnings.pop(token[at:], set())
