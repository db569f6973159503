"""Texts on which tiktoken's own regex engine gives up: runs of a million white spaces."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokenfacade.backends.panics import is_failure
from tokenfacade.errors import EncodeError

if TYPE_CHECKING:
    from collections.abc import Mapping

    import tiktoken


def encode_by_pieces(encoding: tiktoken.Encoding, text: str, special_tokens: Mapping[str, int]) -> list[int]:
    """The ids of a text, of which the library encodes one piece at a time.

    Args:
        encoding: The encoding.
        text: The text, without lone surrogates.
        special_tokens: Those to find in the text.

    Raises:
        EncodeError: A piece is too much for the library as well.
    """
    # A dependency of tiktoken. Its version 1 knows the same classes within classes as tiktoken's engine; the two
    # differ only in characters that are newer than the Unicode of one of them.
    import regex

    try:
        splitter = regex.compile(encoding._pat_str, regex.V1)
    except regex.error as error:
        raise EncodeError(f"{encoding!r} can't encode a text of {len(text)} characters: {error}") from None
    parts = [text]
    if special_tokens:
        longest_first = sorted(special_tokens, key=len, reverse=True)
        parts = regex.split("(" + "|".join(map(regex.escape, longest_first)) + ")", text)
    ids: list[int] = []
    for position, part in enumerate(parts):
        if position % 2:
            ids.append(special_tokens[part])
            continue
        for match in splitter.finditer(part):
            ids += _encode_piece(encoding, match.group())
    return ids


def _encode_piece(encoding: tiktoken.Encoding, piece: str) -> list[int]:
    try:
        return encoding._encode_single_piece(piece)
    except BaseException as error:
        if not is_failure(error):
            raise
        raise EncodeError(f"{encoding!r} can't encode {piece[:40]!r}: {error}") from None
