"""What each id of a GGUF vocabulary contributes to a text: the bytes that ``llama_token_to_piece`` gives."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tokenfacade.backends.gguf_vocabulary import BYTE, NORMAL, USER_DEFINED
from tokenfacade.decoding.pieces import byte_alphabet, bytes_of

if TYPE_CHECKING:
    from tokenfacade.backends.gguf_vocabulary import Vocabulary

_HEXADECIMAL = re.compile("[0-9A-Fa-f]{2}")


class PieceTable(dict[int, bytes]):
    """The bytes of each id; worked out when it is first asked for. Raises `KeyError` for one that there isn't.

    A token that is a character outside the byte alphabet is its own text; llama.cpp writes ``[UNK_BYTE_0x…]``. One
    that is unused, or has no type, is empty.
    """

    def __init__(self, vocabulary: Vocabulary) -> None:
        super().__init__()
        self._vocabulary = vocabulary
        spelled_in_bytes = vocabulary.model == "gpt2" and not vocabulary.pre_tokenizer.escapes_spaces
        self._alphabet = byte_alphabet() if spelled_in_bytes else None

    def __missing__(self, token_id: int) -> bytes:
        vocabulary = self._vocabulary
        if not 0 <= token_id < len(vocabulary.tokens):
            raise KeyError(token_id)
        found = self[token_id] = self._bytes(token_id, vocabulary.tokens[token_id])
        return found

    def _bytes(self, token_id: int, token: str) -> bytes:
        vocabulary = self._vocabulary
        kind = NORMAL if token_id in vocabulary.plain else vocabulary.types[token_id]
        if token_id in vocabulary.control or token_id in vocabulary.user_defined or kind == USER_DEFINED:
            return token.encode()
        if kind == BYTE:
            digits = _HEXADECIMAL.match(token[3:5])
            return bytes((int(digits[0], 16),)) if digits else token.encode()
        if kind != NORMAL:
            return b""
        return token.replace("▁", " ").encode() if self._alphabet is None else bytes_of(token, self._alphabet)
