"""Encoding long texts with tiktoken so that other threads run meanwhile."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokenfacade.encoding import mend_surrogates

if TYPE_CHECKING:
    from collections.abc import Set

    import tiktoken

IDS_AT_ONCE = 1 << 16
BYTES_OF_ID = 4


def long_text_ids(encoding: tiktoken.Encoding, text: str, allowed_special: Set[str]) -> list[int]:
    """The ids that `encode` gives, as it does without looking for special tokens that aren't allowed.

    The library makes the list of them all in one go, which holds the interpreter's lock for 20 ns each; the buffer that
    its `encode_to_numpy` reads becomes lists in pieces.
    """
    found = memoryview(_buffer(encoding, text, allowed_special)).cast("I")
    ids: list[int] = []
    for start in range(0, len(found), IDS_AT_ONCE):
        ids += found[start : start + IDS_AT_ONCE].tolist()
    return ids


def long_text_count(encoding: tiktoken.Encoding, text: str, allowed_special: Set[str]) -> int:
    """How many ids there are, of which no list is made."""
    return len(_buffer(encoding, text, allowed_special)) // BYTES_OF_ID


def _buffer(encoding: tiktoken.Encoding, text: str, allowed_special: Set[str]) -> bytes:
    buffer = encoding._core_bpe.encode_to_tiktoken_buffer(mend_surrogates(text), allowed_special)
    # Joining asks for nothing but the bytes. A memoryview also asks for the shape, which tiktoken 0.14 gets wrong.
    return b"".join([buffer])
