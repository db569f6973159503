"""The `sentencepiece` library: loading a model into it, and asking it for ids and offsets."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokenfacade.backends.sentencepiece_model import BYTE_SPELLINGS, NO_DUMMY_PREFIX, SPACE, read_model
from tokenfacade.errors import CorruptTokenizerError, MissingDependencyError
from tokenfacade.lazy import cached_property

if TYPE_CHECKING:
    import sentencepiece

    from tokenfacade.backends.sentencepiece_model import SentencePieceModel
    from tokenfacade.encoding import Span

SLICE = 1 << 12
"""Characters of a long text that are encoded at a time, where cutting it changes no id."""

LISTED = 1 << 16
"""Ids that are listed at a time."""


class Library:
    """One model in the library, and its twin that puts no space before a text.

    Attributes:
        model: What the file says.
        can_be_cut: Whether there are places in a text where cutting it changes no id.

    Args:
        data: The content of the model file.
        source: What error messages call it.

    Raises:
        MissingDependencyError: The package is not installed.
        UnsupportedFormatError: It is no SentencePiece model.
        CorruptTokenizerError: It is cut off or contradictory.
    """

    def __init__(self, data: bytes, source: str) -> None:
        self.data = data
        # Read here first: the library takes some broken models, and fails on the first text.
        self.model = read_model(data, source)
        self._processor = _processor(data, source)
        self.can_be_cut = _can_be_cut(self.model)

    @cached_property
    def _twin(self) -> sentencepiece.SentencePieceProcessor:
        if not self.model.flags.add_dummy_prefix:
            return self._processor
        return _processor(self.data + NO_DUMMY_PREFIX, "the model without its prefix")

    def encode(self, text: str) -> list[int]:
        """The ids of a text without lone surrogates: those that the library itself gives."""
        if len(text) <= SLICE:
            ids: list[int] = self._processor.encode(text)
            return ids
        return self._encode_long(text, self._processor)

    def encode_inside(self, text: str) -> list[int]:
        """The ids of a text that goes on after something: no space is put before it."""
        if len(text) <= SLICE:
            ids: list[int] = self._twin.encode(text)
            return ids
        return self._encode_long(text, self._twin)

    def spans(self, text: str, *, inside: bool = False) -> list[Span]:
        """The characters that each id of a text stands for."""
        processor = self._twin if inside else self._processor
        found = processor.encode(text, out_type="offset_mapping")
        return _shared(found["pieces"], found["offsets"])

    def decode(self, ids: list[int]) -> str:
        """What the library decodes; every id must be one of the model's."""
        text: str = self._processor.decode(ids)
        return text

    def _encode_long(self, text: str, first: sentencepiece.SentencePieceProcessor) -> list[int]:
        return self._in_slices(text, first) if self.can_be_cut else _encode_whole(text, first)

    def _in_slices(self, text: str, first: sentencepiece.SentencePieceProcessor) -> list[int]:
        """The same ids, from slices. The library's queue of merges slows down as it grows: 5 MB take a third of the
        time."""
        ids: list[int] = []
        processor, start = first, 0
        while len(text) - start > SLICE:
            end = self._place_to_cut(text, start + SLICE)
            ids += processor.encode(text[start:end])
            processor, start = self._twin, end
        if start < len(text):
            ids += processor.encode(text[start:])
        return ids

    def _place_to_cut(self, text: str, start: int) -> int:
        """The first place from `start` on that no piece has inside: merges make pieces, so none crosses it."""
        inside = self._inside_pieces
        for at in range(start, len(text)):
            if text[at - 1 : at + 1] not in inside:
                return at
        return len(text)

    @cached_property
    def _inside_pieces(self) -> frozenset[str]:
        """Every two characters that follow each other in a piece, with a space spelled either way."""
        pairs = {text[at : at + 2] for text in self.model.texts for at in range(len(text) - 1)}
        pairs |= {f"{one}{other}" for pair in pairs for one in _spellings(pair[0]) for other in _spellings(pair[1])}
        return frozenset(pairs)


def _can_be_cut(model: SentencePieceModel) -> bool:
    """Whether there are places in a text where cutting it changes no id.

    The text must get to the merges as it is, but for the spelling of spaces; and unknown characters that follow each
    other must not become one piece. (Unigram chooses by sums of floats from the beginning of the text on, whose
    rounding depends on all that precedes.)
    """
    flags = model.flags
    as_it_is = flags.escape_whitespaces and not (
        flags.remove_extra_whitespaces or flags.treat_whitespace_as_suffix or model.has_charsmap
    )
    return model.algorithm == "bpe" and flags.byte_fallback and as_it_is


def _encode_whole(text: str, processor: sentencepiece.SentencePieceProcessor) -> list[int]:
    """The ids as the library's arrays for numpy hold them, listed a part at a time: to list a million at once holds
    the interpreter's lock for 30 ms."""
    encode = getattr(getattr(processor, "_processor", None), "_EncodeAsBuffer", None)
    no_sampling = False, -1, 0.1
    no_bos_no_eos_no_reverse = False, False, False
    try:
        found = memoryview(encode(text, *no_sampling, *no_bos_no_eos_no_reverse))  # type: ignore[misc]
    except TypeError:  # it is private: another release may lack it, or want other arguments
        listed: list[int] = processor.encode(text)
        return listed
    ids = []
    for start in range(0, len(found), LISTED):
        ids += found[start : start + LISTED].tolist()
    return ids


def _spellings(character: str) -> str:
    return f" {SPACE}" if character in (" ", SPACE) else character


def _processor(data: bytes, source: str) -> sentencepiece.SentencePieceProcessor:
    try:
        import sentencepiece
    except ImportError as error:
        raise MissingDependencyError(
            f"{source} is a SentencePiece model, which needs the extra 'sentencepiece': "
            f"pip install 'tokenfacade[sentencepiece]'",
            extra="sentencepiece",
        ) from error
    processor = sentencepiece.SentencePieceProcessor()
    try:
        processor.LoadFromSerializedProto(data)
    except Exception as error:
        raise CorruptTokenizerError(
            f"the sentencepiece library refuses {source} ({error}); it may be damaged: fetch it again", source=source
        ) from error
    return processor


_BYTES = frozenset(BYTE_SPELLINGS)


def _shared(pieces: list[str], offsets: list[Span]) -> list[Span]:
    """The spans, but those of the bytes of one character all alike: the library gives it to the last."""
    spans = list(offsets)
    for index in range(len(spans) - 2, -1, -1):
        start, end = spans[index]
        if start == end and pieces[index] in _BYTES and pieces[index + 1] in _BYTES and spans[index + 1][0] == start:
            spans[index] = spans[index + 1]
    return spans
