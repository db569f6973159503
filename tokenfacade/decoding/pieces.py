"""What each id contributes to the text, for the vocabularies where that is known exactly."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

logger = logging.getLogger(__name__)

Piece = bytes | str | None
"""The contribution of one id: bytes, that join the bytes of their neighbours to characters; a text, that is complete
in itself and ends a run of bytes; or None, nothing at all, not even a break in a run of bytes."""

InvalidRule = Literal["subpart", "run"]
"""What becomes of bytes that aren't UTF-8: ``"subpart"``, each maximal subpart is one U+FFFD (Unicode 15, section
3.9, as in Python's own decoder); ``"run"``, every byte of the run of byte tokens is one U+FFFD, the valid ones too
(the ByteFallback of Hugging Face)."""


@dataclass(frozen=True, slots=True, eq=False)
class Pieces:
    """A vocabulary in which every id contributes the same wherever it stands, but for the start of the text.

    Attributes:
        piece: The contribution of an id; raises `KeyError` for one that the vocabulary lacks.
        first: The same for the first id that contributes, where that differs (Metaspace drops the space of the first
            word).
        strip: A character of which up to `strip_count` are removed from the start of the text.
        strip_count: How many.
        invalid: What becomes of bytes that aren't UTF-8.
    """

    piece: Callable[[int], Piece]
    first: Callable[[int], Piece] | None = None
    strip: str = " "
    strip_count: int = 0
    invalid: InvalidRule = "subpart"


def contribution(piece: Piece) -> bytes:
    """The bytes of a piece, whichever kind it is."""
    return piece if isinstance(piece, bytes) else (piece or "").encode()


def join_bytes(pieces: Pieces, token_ids: Sequence[int]) -> bytes:
    """The bytes of a whole text; ids that the vocabulary lacks contribute nothing."""
    joined = bytearray()
    first, strip = pieces.first is not None, pieces.strip_count
    for token_id in token_ids:
        try:
            piece = pieces.first(token_id) if first and pieces.first else pieces.piece(token_id)
        except KeyError:
            continue
        if piece is None:
            continue
        first = False
        data = contribution(piece)
        while strip and data.startswith(pieces.strip.encode()):
            data, strip = data[len(pieces.strip.encode()) :], strip - 1
        strip = 0 if data else strip
        joined += data
    return bytes(joined)


def agrees(pieces: Pieces, decode: Callable[[list[int]], str], token_ids: Sequence[int]) -> bool:
    """Whether the pieces of a sample of ids join to what the backend itself decodes.

    The pieces are exact by construction; this is the net below, for a backend that has changed its mind. A sample
    whose bytes aren't UTF-8 is compared by what precedes them.
    """
    ours, theirs = join_bytes(pieces, token_ids).decode("utf-8", "replace"), decode(list(token_ids))
    clean = ours.partition("\ufffd")[0]
    if theirs.startswith(clean) and (ours == theirs or "\ufffd" in ours):
        return True
    logger.warning(
        "decoding ids piece by piece differs from the backend, so streams decode windows instead: %r, %r", ours, theirs
    )
    return False


def byte_alphabet() -> dict[str, int]:
    """The characters by which byte-level vocabularies spell bytes (GPT-2): printable Latin-1 as itself, the rest from
    U+0100 on.

    Example:
        >>> alphabet = byte_alphabet()
        >>> alphabet["A"], alphabet["Ġ"], len(alphabet)
        (65, 32, 256)
    """
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(256 + n): byte for n, byte in enumerate(others)}


def bytes_of(token: str, alphabet: Mapping[str, int]) -> bytes:
    """The bytes of a byte-level token; a token with a character outside the alphabet was added, and is text."""
    try:
        return bytes([alphabet[character] for character in token])
    except KeyError:
        return token.encode()
