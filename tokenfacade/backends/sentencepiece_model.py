"""The file format of SentencePiece models: a reader and a writer of its protocol buffers, without that library.

Importing the message classes that other packages generate registers their descriptors, which clash when two packages
do. The format is a dozen of fields: numbers and defaults are those of ``sentencepiece_model.proto``.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from tokenfacade.errors import ConfigurationError, CorruptTokenizerError, UnsupportedFormatError

PieceKind = Literal["normal", "unknown", "control", "user_defined", "unused", "byte"]
"""What a piece is: ``"control"`` is never found in text, ``"user_defined"`` always, ``"byte"`` is spelled
``<0x0A>``."""

Algorithm = Literal["unigram", "bpe", "word", "char"]
"""How a model divides text."""

Role = Literal["bos", "eos", "pad"]
"""What a control piece is for."""

SPACE = "▁"
"""How pieces spell a space, U+2581."""

UNKNOWN_SURFACE = " \u2047 "
"""What the unknown piece decodes to, where a model doesn't say."""

BYTE_SPELLINGS = tuple(f"<0x{byte:02X}>" for byte in range(256))

_KINDS: Mapping[int, PieceKind] = {
    1: "normal",
    2: "unknown",
    3: "control",
    4: "user_defined",
    5: "unused",
    6: "byte",
}
_KIND_NUMBERS = {kind: number for number, kind in _KINDS.items()}
_ALGORITHMS: Mapping[int, Algorithm] = {1: "unigram", 2: "bpe", 3: "word", 4: "char"}
_ALGORITHM_NUMBERS = {algorithm: number for number, algorithm in _ALGORITHMS.items()}

_PIECES, _TRAINER, _NORMALIZER, _DENORMALIZER = 1, 2, 3, 5
_MODEL_TYPE, _AS_SUFFIX, _BYTE_FALLBACK, _UNK_SURFACE = 3, 24, 35, 44
_ROLES: Mapping[Role, tuple[int, int]] = {"bos": (41, 1), "eos": (42, 2), "pad": (43, -1)}
"""The field that holds the id of each role, and its default."""
_NO_ID = (1 << 64) - 1
"""-1, as the format writes it."""
_CHARSMAP, _DUMMY_PREFIX, _REMOVE_EXTRA, _ESCAPE = 2, 3, 4, 5

NO_DUMMY_PREFIX = b"\x1a\x02\x18\x00"
"""Appended to a model, it switches `add_dummy_prefix` off: messages that come twice are merged."""

_Fields = dict[int, "int | bytes"]


@dataclass(frozen=True, slots=True)
class SentencePiece:
    """One entry of a vocabulary; its position is its id.

    Attributes:
        text: Its spelling, with ``▁`` for a space.
        score: The log-probability (Unigram), or the priority among merges (BPE): the greater is merged first.
        kind: What it is.
    """

    text: str
    score: float = 0.0
    kind: PieceKind = "normal"


class Flags(NamedTuple):
    """What a model does to text beside dividing it."""

    add_dummy_prefix: bool = True
    remove_extra_whitespaces: bool = True
    escape_whitespaces: bool = True
    treat_whitespace_as_suffix: bool = False
    byte_fallback: bool = False


@dataclass(frozen=True, slots=True)
class SentencePieceModel:
    """What a model file says, but for the scores.

    Attributes:
        texts: The spelling of each piece, by id.
        kinds: The kind of each piece, by id.
        algorithm: How it divides text.
        flags: What else it does to text.
        unknown_surface: What the unknown piece decodes to.
        has_charsmap: Whether characters are rewritten before anything else.
        has_denormalizer: Whether decoded text is rewritten.
        roles: The spellings of ``"unk"``, ``"bos"``, ``"eos"`` and ``"pad"``, where the vocabulary has them.
    """

    texts: tuple[str, ...]
    kinds: tuple[PieceKind, ...]
    algorithm: Algorithm
    flags: Flags
    unknown_surface: str
    has_charsmap: bool
    has_denormalizer: bool
    roles: Mapping[str, str]


def read_model(data: bytes, source: str) -> SentencePieceModel:
    """Read a model, and refuse what the library can't work with.

    Raises:
        UnsupportedFormatError: It is no SentencePiece model.
        CorruptTokenizerError: It is empty, cut off or contradictory.

    Example:
        >>> data = write_model([SentencePiece("<unk>", kind="unknown"), SentencePiece("▁a")], algorithm="unigram")
        >>> read_model(data, "made here").texts
        ('<unk>', '▁a')
    """
    if not data:
        raise CorruptTokenizerError(f"{source} is empty: fetch it again", source=source)
    try:
        model = _read(data)
    except _MalformedError as error:
        if data[:1] != b"\x0a":
            raise UnsupportedFormatError(
                f"{source} is no SentencePiece model: it doesn't begin with a piece", source=source
            ) from error
        raise CorruptTokenizerError(
            f"{source} can't be read as a SentencePiece model: {error}; it may be cut off: fetch it again",
            source=source,
        ) from error
    if problem := _problem(model):
        raise CorruptTokenizerError(f"{source} is a SentencePiece model that {problem}: fetch it again", source=source)
    return model


def write_model(
    pieces: Sequence[SentencePiece],
    *,
    algorithm: Algorithm,
    add_dummy_prefix: bool = True,
    remove_extra_whitespaces: bool = False,
    escape_whitespaces: bool = True,
    treat_whitespace_as_suffix: bool = False,
    byte_fallback: bool | None = None,
    precompiled_charsmap: bytes = b"",
    unknown_surface: str = UNKNOWN_SURFACE,
    roles: Mapping[Role, int] | None = None,
) -> bytes:
    """A model file of these pieces; see `SentencePieceTokenizer.from_pieces`.

    Raises:
        ConfigurationError: The algorithm, a kind, a score or a role is none.
    """
    if byte_fallback is None:
        byte_fallback = any(piece.kind == "byte" for piece in pieces)
    try:
        written = b"".join([_block(_PIECES, _written_piece(piece)) for piece in pieces])
        trainer = _integer(_MODEL_TYPE, _ALGORITHM_NUMBERS[algorithm])
    except (KeyError, struct.error, UnicodeEncodeError, OverflowError) as error:
        raise ConfigurationError(f"a piece or the algorithm of a SentencePiece model can't be: {error!r}") from error
    trainer += _integer(_AS_SUFFIX, treat_whitespace_as_suffix) + _integer(_BYTE_FALLBACK, byte_fallback)
    trainer += _block(_UNK_SURFACE, unknown_surface.encode("utf-8", "replace"))
    ids = roles or {}
    if not (ids.keys() <= _ROLES.keys() and all(0 <= token_id < len(pieces) for token_id in ids.values())):
        raise ConfigurationError(f"roles takes the ids of {', '.join(_ROLES)}, not {roles!r:.80}")
    trainer += b"".join([_integer(number, ids.get(role, _NO_ID)) for role, (number, _) in _ROLES.items()])
    normalizer = _block(_CHARSMAP, precompiled_charsmap) + _integer(_DUMMY_PREFIX, add_dummy_prefix)
    normalizer += _integer(_REMOVE_EXTRA, remove_extra_whitespaces) + _integer(_ESCAPE, escape_whitespaces)
    return written + _block(_TRAINER, trainer) + _block(_NORMALIZER, normalizer)


class _MalformedError(ValueError):
    """Bytes that aren't a message."""


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """The fields of a message: numbers, or the bytes of texts, messages and floats."""
    at, end = 0, len(data)
    while at < end:
        tag, at = _varint(data, at)
        kind = tag & 7 if tag > 7 else 7
        if kind == 0:
            number, at = _varint(data, at)
            yield tag >> 3, number
            continue
        if kind == 2:
            length, at = _varint(data, at)
        elif kind in (1, 5):
            length = 8 if kind == 1 else 4
        else:
            raise _MalformedError(f"a field of kind {kind} at byte {at}")
        if length > end - at:
            raise _MalformedError(f"a field of {length} bytes where {end - at} are left")
        yield tag >> 3, data[at : at + length]
        at += length


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    for byte in data[at : at + 10]:
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
    raise _MalformedError("a number that doesn't end")


def _read(data: bytes) -> SentencePieceModel:
    texts: list[str] = []
    kinds: list[PieceKind] = []
    parts: dict[int, _Fields] = {_TRAINER: {}, _NORMALIZER: {}, _DENORMALIZER: {}}
    for number, value in _fields(data):
        if number != _PIECES and number not in parts:
            continue
        if isinstance(value, int):
            raise _MalformedError("a number where a message should be")
        if number == _PIECES:
            text, kind = _read_piece(value)
            texts.append(text)
            kinds.append(kind)
        else:
            parts[number].update(_fields(value))  # a message may come in several parts; the last of each field counts
    trainer, normalizer = parts[_TRAINER], parts[_NORMALIZER]
    return SentencePieceModel(
        texts=tuple(texts),
        kinds=tuple(kinds),
        algorithm=_ALGORITHMS.get(_number(trainer, _MODEL_TYPE, 1), "unigram"),
        flags=Flags(
            add_dummy_prefix=bool(_number(normalizer, _DUMMY_PREFIX, 1)),
            remove_extra_whitespaces=bool(_number(normalizer, _REMOVE_EXTRA, 1)),
            escape_whitespaces=bool(_number(normalizer, _ESCAPE, 1)),
            treat_whitespace_as_suffix=bool(_number(trainer, _AS_SUFFIX, 0)),
            byte_fallback=bool(_number(trainer, _BYTE_FALLBACK, 0)),
        ),
        unknown_surface=_text(trainer, _UNK_SURFACE, UNKNOWN_SURFACE),
        has_charsmap=bool(normalizer.get(_CHARSMAP)),
        has_denormalizer=bool(parts[_DENORMALIZER].get(_CHARSMAP)),
        roles=_roles(texts, kinds, trainer),
    )


def _read_piece(data: bytes) -> tuple[str, PieceKind]:
    # Nearly all are a short text and a score, perhaps with a kind: three times as fast without the generator.
    if len(data) > 1 and data[0] == 0x0A and (end := 2 + data[1]) <= 0x81:
        rest = data[end:]
        if len(rest) == 5 and rest[0] == 0x15:
            return _decoded(data[2:end], rest[1:]), "normal"
        if len(rest) == 7 and rest[0] == 0x15 and rest[5] == 0x18 and rest[6] < 0x80:
            return _decoded(data[2:end], rest[1:5]), _KINDS.get(rest[6], "normal")
    text, score, kind = b"", b"\0\0\0\0", 1
    for number, value in _fields(data):
        if number == 1 and isinstance(value, bytes):
            text = value
        elif number == 2 and isinstance(value, bytes) and len(value) == 4:
            score = value
        elif number == 3 and isinstance(value, int):
            kind = value if value in _KINDS else kind
        elif number in (1, 2, 3):
            raise _MalformedError("a piece whose fields have the wrong types")
    return _decoded(text, score), _KINDS[kind]


def _decoded(text: bytes, score: bytes) -> str:
    if score[3] & 0x7F == 0x7F and score[2] & 0x80:
        raise _MalformedError(f"the score of the piece {text[:40]!r} is no finite number")
    try:
        return text.decode()
    except UnicodeDecodeError as error:
        raise _MalformedError(f"the piece {text[:40]!r} is not UTF-8") from error


def _number(fields: _Fields, number: int, default: int) -> int:
    value = fields.get(number, default)
    if isinstance(value, bytes):
        raise _MalformedError("bytes where a number should be")
    value &= 0xFFFFFFFF
    return value - (1 << 32) if value >> 31 else value


def _text(fields: _Fields, number: int, default: str) -> str:
    value = fields.get(number, default)
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else default


def _roles(texts: Sequence[str], kinds: Sequence[PieceKind], trainer: _Fields) -> dict[str, str]:
    """The pieces under the ids that the trainer named, where they are control pieces."""
    roles = {"unk": texts[kinds.index("unknown")]} if "unknown" in kinds else {}
    for role, (number, default) in _ROLES.items():
        token_id = _number(trainer, number, default)
        if 0 <= token_id < len(texts) and kinds[token_id] == "control":
            roles[role] = texts[token_id]
    return roles


def _problem(model: SentencePieceModel) -> str | None:
    """What is contradictory in a model, if anything."""
    texts, kinds = model.texts, model.kinds
    if not texts:
        return "has no pieces"
    if kinds.count("unknown") != 1:
        return f"has {kinds.count('unknown')} unknown pieces, where one is needed"
    if "" in texts:
        return "has a piece without a text"
    if len(set(texts)) != len(texts):
        return "has a piece twice"
    spelled = {text for text, kind in zip(texts, kinds, strict=True) if kind == "byte"}
    if not spelled <= set(BYTE_SPELLINGS):
        return f"has byte pieces that are no bytes, like {min(spelled - set(BYTE_SPELLINGS))!r:.40}"
    if model.flags.byte_fallback and len(spelled) < 256:
        return f"falls back to bytes and lacks {256 - len(spelled)} of them"
    return None


def _written_piece(piece: SentencePiece) -> bytes:
    body = _block(1, piece.text.encode()) + b"\x15" + struct.pack("<f", piece.score)
    return body if piece.kind == "normal" else body + _integer(3, _KIND_NUMBERS[piece.kind])


def _block(number: int, data: bytes) -> bytes:
    return _written_varint(number << 3 | 2) + _written_varint(len(data)) + data


def _integer(number: int, value: int) -> bytes:
    return _written_varint(number << 3) + _written_varint(value)


def _written_varint(value: int) -> bytes:
    written = bytearray()
    while value > 0x7F:
        written.append(value & 0x7F | 0x80)
        value >>= 7
    written.append(value)
    return bytes(written)
