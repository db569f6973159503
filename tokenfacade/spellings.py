"""Finding tokens in a text by their spelling: one pattern for all of them, and what they have in common."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from itertools import groupby
from typing import AnyStr


def longest_first_pattern(tokens: Iterable[str]) -> re.Pattern[str]:
    """A pattern that finds the leftmost of some tokens, and of those that begin together the longest.

    It branches where the tokens do: an alternation would try thousands of them at each place. Without tokens it finds
    nothing; an empty token is left out.

    Example:
        >>> longest_first_pattern(["<s>", "</s>", "a", "aa"]).findall("<s>aaa</s")
        ['<s>', 'aa', 'a']
    """
    return _compiled(tokens, re.compile)


def longest_first_bytes_pattern(tokens: Iterable[bytes]) -> re.Pattern[bytes]:
    """As `longest_first_pattern`, for tokens and texts that are bytes.

    Example:
        >>> longest_first_bytes_pattern([b"a", b"aa"]).findall(b"baaa")
        [b'aa', b'a']
    """
    # Each byte is one character of Latin-1, and what a pattern escapes is ASCII.
    texts = (token.decode("latin-1") for token in tokens)
    return _compiled(texts, lambda pattern: re.compile(pattern.encode("latin-1")))


def common_beginning(tokens: Iterable[str]) -> str:
    """What all of some tokens begin with; nothing where there are none.

    Example:
        >>> common_beginning(["<|user|>", "<|end|>"])
        '<|'
    """
    some = list(tokens)
    first, last = min(some, default=""), max(some, default="")
    return first[: _where_they_part(first, last, 0)]


def _compiled(tokens: Iterable[str], compiled: Callable[[str], re.Pattern[AnyStr]]) -> re.Pattern[AnyStr]:
    # In this order a token stands before its own beginnings.
    ordered = sorted(filter(None, set(tokens)), reverse=True)
    if not ordered:
        return compiled("(?!)")
    try:
        return compiled(_branches(ordered, 0))
    except (RecursionError, OverflowError):  # hundreds of tokens, each the beginning of the next
        return compiled("|".join(map(re.escape, ordered)))


def _branches(tokens: Sequence[str], depth: int) -> str:
    """The pattern of what follows the first characters that these tokens, which are in order, have in common."""
    common = _where_they_part(tokens[0], tokens[-1], depth)
    begun = re.escape(tokens[0][depth:common])
    if len(tokens) == 1:
        return begun
    groups = groupby(tokens, key=lambda token: token[common : common + 1])
    return f"{begun}(?:{'|'.join(_branches(list(group), common) for _, group in groups)})"


def _where_they_part(one: str, other: str, start: int) -> int:
    end = min(len(one), len(other))
    return next((at for at in range(start, end) if one[at] != other[at]), end)
