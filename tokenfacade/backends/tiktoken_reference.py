"""Encoding with the tiktoken library itself: every text, whatever its length, and many of them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from tokenfacade.backends.panics import is_failure
from tokenfacade.backends.tiktoken_long import long_text_count, long_text_ids
from tokenfacade.backends.tiktoken_refused import encode_by_pieces
from tokenfacade.protocols import checked_text
from tokenfacade.spellings import common_beginning
from tokenfacade.threads import SHORT_CHARACTERS, map_in_pool

if TYPE_CHECKING:
    from collections.abc import Sequence

    import tiktoken

PARALLEL_CHARACTERS = 100_000
"""A batch of fewer is encoded sooner than threads would take it over."""

_NONE: frozenset[str] = frozenset()


class TiktokenReference:
    """An encoding of the library, and the way around where it gives up."""

    __slots__ = ("_encoding", "_marker", "_special_tokens")

    def __init__(self, encoding: tiktoken.Encoding) -> None:
        self._encoding = encoding
        self._special_tokens = frozenset(encoding._special_tokens)
        # Special tokens begin alike ("<|"): a text without that beginning has none, and is spared the search.
        self._marker = common_beginning(self._special_tokens)

    def ids(self, text: str, *, parse_special_tokens: bool) -> list[int]:
        """The ids of a text.

        Raises:
            EncodeError: It is no `str`, or a piece of it is too much for the library.
        """
        try:
            allowed = self._allowed(text) if parse_special_tokens else _NONE
            # Not encode_ordinary, which panics (BaseException) where this raises ValueError.
            if len(text) > SHORT_CHARACTERS:
                return long_text_ids(self._encoding, text, allowed)
            return self._encoding.encode(text, allowed_special=allowed, disallowed_special=())
        except BaseException as error:
            if not is_failure(error):
                raise
            return self.ids_by_pieces(checked_text(text), parse_special_tokens=parse_special_tokens)

    def ids_by_pieces(self, text: str, *, parse_special_tokens: bool) -> list[int]:
        """The same, the way around the library's regular expressions, for a text without lone surrogates."""
        return encode_by_pieces(self._encoding, text, self._encoding._special_tokens if parse_special_tokens else {})

    def count(self, text: str, *, parse_special_tokens: bool) -> int:
        """How many ids there are; of a long text they are only counted."""
        if isinstance(text, str) and len(text) > SHORT_CHARACTERS:
            try:
                return long_text_count(self._encoding, text, self._allowed(text) if parse_special_tokens else _NONE)
            except BaseException as error:
                if not is_failure(error):
                    raise
        return len(self.ids(text, parse_special_tokens=parse_special_tokens))

    def batch(self, texts: Sequence[str], *, parse_special_tokens: bool) -> list[list[int]]:
        """The ids of several texts, in parallel if they are long."""
        ids = partial(self.ids, parse_special_tokens=parse_special_tokens)
        return list(map(ids, texts)) if sum(map(len, texts)) < PARALLEL_CHARACTERS else map_in_pool(ids, texts)

    def _allowed(self, text: str) -> frozenset[str]:
        return self._special_tokens if self._marker in text else _NONE
