"""Byte-pair encoding by scores (``llama``): the `sentencepiece` library, with the pieces of the file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokenfacade.backends.gguf_fragments import FragmentEncoder
from tokenfacade.backends.sentencepiece_model import BYTE_SPELLINGS, SentencePiece
from tokenfacade.errors import MissingDependencyError

if TYPE_CHECKING:
    from tokenfacade.backends.gguf_vocabulary import Vocabulary
    from tokenfacade.encoding import Span


class ScoredEncoder(FragmentEncoder):
    """The pieces of a file, all of which merges can reach: llama.cpp doesn't look at their types there.

    So every piece is a normal one, but for those that stand for bytes. The library wants exactly one that is unknown,
    which it doesn't reach; it goes under another spelling here, and the real one comes again after the last id.

    Args:
        vocabulary: The vocabulary.
        source: What error messages call it.

    Raises:
        MissingDependencyError: The `sentencepiece` package is not installed.
    """

    def __init__(self, vocabulary: Vocabulary, source: str) -> None:
        from tokenfacade.backends.sentencepiece import SentencePieceTokenizer

        self._add_space_prefix = vocabulary.add_space_prefix
        self._count = len(vocabulary.tokens)
        self._unknown = vocabulary.roles["unk"]
        bytes_ = set(BYTE_SPELLINGS) & vocabulary.ids.keys()
        scores = vocabulary.scores or [0.0] * self._count
        pieces = [
            SentencePiece(text, score, "byte" if text in bytes_ else "normal")
            for text, score in zip(vocabulary.tokens, scores, strict=True)
        ]
        unknown = pieces[self._unknown]
        pieces[self._unknown] = SentencePiece(_absent(vocabulary), 0.0, "unknown")
        pieces.append(SentencePiece(unknown.text, unknown.score, unknown.kind))
        if bytes_:
            pieces += [SentencePiece(text, 0.0, "byte") for text in BYTE_SPELLINGS if text not in bytes_]
        try:
            self._tokenizer = SentencePieceTokenizer.from_pieces(pieces, algorithm="bpe", add_dummy_prefix=False)
        except MissingDependencyError as error:
            raise _missing(source) from error

    def encode(self, text: str, *, is_first: bool) -> list[int]:
        ids = self._tokenizer.encode(self._prefixed(text, is_first=is_first), parse_special_tokens=False).ids
        if max(ids) < self._count:
            return ids
        return [token_id if token_id < self._count else self._unknown for token_id in ids]

    def offsets(self, text: str, ids: list[int], *, is_first: bool) -> list[Span]:
        prefixed = self._prefixed(text, is_first=is_first)
        before = len(prefixed) - len(text)
        spans = self._tokenizer.encode(prefixed, parse_special_tokens=False).offsets
        return [(max(start - before, 0), max(end - before, 0)) for start, end in spans]

    def _prefixed(self, text: str, *, is_first: bool) -> str:
        return f" {text}" if is_first and self._add_space_prefix else text


def _absent(vocabulary: Vocabulary) -> str:
    """A spelling that the vocabulary lacks."""
    spelling = "<unknown>"
    while spelling in vocabulary.ids:
        spelling += ">"
    return spelling


def _missing(source: str) -> MissingDependencyError:
    return MissingDependencyError(
        f'{source} has a vocabulary of the kind "llama", which the package sentencepiece encodes: '
        f'pip install "tokenfacade[gguf]"',
        extra="gguf",
    )
