"""The file format of SentencePiece: reading and writing it, and what hostile files do."""

from __future__ import annotations

import random
import struct
from typing import Any

import pytest
import sentencepiece
from hypothesis import given
from hypothesis import strategies as st

from tests.sentencepiece_models import ALL, library, model_data, tokenizer_of
from tokenfacade import ConfigurationError, CorruptTokenizerError, TokenFacadeError, UnsupportedFormatError
from tokenfacade.backends.sentencepiece import SentencePieceTokenizer
from tokenfacade.backends.sentencepiece_model import (
    BYTE_SPELLINGS,
    NO_DUMMY_PREFIX,
    SentencePiece,
    read_model,
    write_model,
)

UNKNOWN = SentencePiece("<unk>", kind="unknown")


def block(number: int, data: bytes) -> bytes:
    """A field of bytes, written apart from the code under test."""
    size, written = len(data), b""
    while size > 127:
        written, size = written + bytes([size % 128 + 128]), size // 128
    return bytes([number * 8 + 2]) + written + bytes([size]) + data


class TestReader:
    @pytest.mark.parametrize("name", ALL)
    def test_what_is_read_is_what_the_library_says(self, name: str) -> None:
        model, processor = read_model(model_data(name), name), library(name)
        ids = range(processor.vocab_size())
        assert list(model.texts) == [processor.id_to_piece(token_id) for token_id in ids]
        for kind, is_of_kind in (
            ("control", processor.is_control),
            ("unknown", processor.is_unknown),
            ("byte", processor.is_byte),
            ("unused", processor.is_unused),
        ):
            assert [known == kind for known in model.kinds] == [is_of_kind(token_id) for token_id in ids]
        roles = {"bos": processor.bos_id(), "eos": processor.eos_id(), "pad": processor.pad_id()}
        found = {role: model.texts.index(text) for role, text in model.roles.items() if role != "unk"}
        assert found == {role: token_id for role, token_id in roles.items() if token_id >= 0}

    def test_flags_are_read_and_defaults_known(self) -> None:
        assert read_model(model_data("bpe plain"), "").flags == (True, True, True, False, False)
        assert read_model(model_data("bpe as_gemma"), "").flags == (False, False, True, False, True)
        assert read_model(model_data("bpe suffix"), "").flags.treat_whitespace_as_suffix
        bare = block(1, block(1, b"<unk>") + b"\x18\x02")
        assert read_model(bare, "").flags == (True, True, True, False, False)
        assert read_model(bare, "").algorithm == "unigram"
        assert read_model(model_data("unigram as_t5"), "").unknown_surface == "?"

    def test_messages_in_parts_are_merged_and_unknown_fields_ignored(self) -> None:
        data = model_data("bpe plain")
        assert not read_model(data + NO_DUMMY_PREFIX, "").flags.add_dummy_prefix
        assert read_model(data + NO_DUMMY_PREFIX, "").flags.remove_extra_whitespaces
        more = b"\xc2\x3e\x03abc" + b"\xd8\x3e\x80\x80\x01" + b"\xd9\x3e12345678" + b"\xdd\x3e1234"
        assert read_model(data + more, "") == read_model(data, "")
        twin = sentencepiece.SentencePieceProcessor(model_proto=data + NO_DUMMY_PREFIX + more)
        assert twin.encode("the", out_type=str)[0] != library("bpe plain").encode("the", out_type=str)[0]

    def test_fields_in_any_order_and_long_texts_are_read(self) -> None:
        odd = b"\x18\x04" + b"\x15" + struct.pack("<f", -1.5) + block(1, b"x" * 300)
        model = read_model(block(1, block(1, b"<unk>") + b"\x18\x02") + block(1, odd), "")
        assert model.texts == ("<unk>", "x" * 300)
        assert model.kinds == ("unknown", "user_defined")


class TestWriter:
    @given(
        texts=st.lists(st.text(st.characters(codec="utf-8"), min_size=1, max_size=300), max_size=6, unique=True),
        score=st.floats(width=32, allow_nan=False, allow_infinity=False),
        algorithm=st.sampled_from(["unigram", "bpe", "word", "char"]),
    )
    def test_what_is_written_is_read(self, texts: list[str], score: float, algorithm: Any) -> None:
        kinds: Any = ["normal", "control", "user_defined", "unused"]
        pieces = [SentencePiece(text, score, kinds[n % 4]) for n, text in enumerate(texts) if text != "<unk>"]
        data = write_model([UNKNOWN, *pieces], algorithm=algorithm, escape_whitespaces=False)
        model = read_model(data, "")
        assert list(zip(model.texts, model.kinds, strict=True)) == [(p.text, p.kind) for p in [UNKNOWN, *pieces]]
        assert (model.algorithm, model.flags) == (algorithm, (True, False, False, False, False))

    @pytest.mark.parametrize("name", ["bpe as_llama", "unigram as_llama", "char as_llama", "word as_llama"])
    def test_a_model_written_anew_gives_the_same_ids(self, name: str) -> None:
        model, processor = read_model(model_data(name), name), library(name)
        pieces = [
            SentencePiece(text, processor.get_score(n), kind)
            for n, (text, kind) in enumerate(zip(model.texts, model.kinds, strict=True))
        ]
        tokenizer = SentencePieceTokenizer.from_pieces(pieces, algorithm=model.algorithm)
        for text in ("the quick fox 世界 😀", " ", "x=y;  the\n"):
            assert tokenizer.encode(text, parse_special_tokens=False).ids == processor.EncodeAsIds(text)

    @pytest.mark.parametrize(
        ("pieces", "options"),
        [
            ([UNKNOWN, SentencePiece("\ud800")], {}),
            ([UNKNOWN, SentencePiece("a", 1e300)], {}),
            ([UNKNOWN, SentencePiece("a", kind="odd")], {}),  # type: ignore[arg-type]
            ([UNKNOWN], {"algorithm": "wordpiece"}),
            ([UNKNOWN], {"roles": {"bos": 1}}),
            ([UNKNOWN], {"roles": {"unk": 0}}),
        ],
    )
    def test_what_can_not_be_is_refused(self, pieces: list[SentencePiece], options: Any) -> None:
        with pytest.raises(ConfigurationError):
            write_model(pieces, **{"algorithm": "bpe", **options})


BROKEN: dict[str, tuple[bytes, type[TokenFacadeError]]] = {
    "empty": (b"", CorruptTokenizerError),
    "text": (b"hello world", UnsupportedFormatError),
    "zeros": (bytes(100), UnsupportedFormatError),
    "a length that lies": (b"\x0a\xff\xff\xff\xff\x0f<unk>", CorruptTokenizerError),
    "a huge number": (b"\x0a" + b"\xff" * 30, CorruptTokenizerError),
    "a group": (block(1, b"\x0a\x01a") + b"\x0b" * 10_000, CorruptTokenizerError),
    "a number as a piece": (b"\x08\x01" * 3, UnsupportedFormatError),
    "no pieces": (b"\x12\x02\x18\x02", CorruptTokenizerError),
    "no unknown": (block(1, block(1, b"a")), CorruptTokenizerError),
    "two unknown": (write_model([UNKNOWN, SentencePiece("b", kind="unknown")], algorithm="bpe"), CorruptTokenizerError),
    "a piece twice": (write_model([UNKNOWN, *[SentencePiece("b")] * 2], algorithm="bpe"), CorruptTokenizerError),
    "a piece without text": (write_model([UNKNOWN, SentencePiece("")], algorithm="bpe"), CorruptTokenizerError),
    "no bytes": (write_model([UNKNOWN], algorithm="bpe", byte_fallback=True), CorruptTokenizerError),
    "odd bytes": (write_model([UNKNOWN, SentencePiece("<0xZZ>", kind="byte")], algorithm="bpe"), CorruptTokenizerError),
    "few bytes": (write_model([UNKNOWN, SentencePiece("<0x00>", kind="byte")], algorithm="bpe"), CorruptTokenizerError),
    "not UTF-8": (block(1, block(1, b"\xff\xfe")), CorruptTokenizerError),
    "a score that is no number": (
        write_model([UNKNOWN, SentencePiece("a", float("nan"))], algorithm="unigram"),
        CorruptTokenizerError,
    ),
    "an infinite score": (
        write_model([UNKNOWN, SentencePiece("a", float("-inf"))], algorithm="unigram"),
        CorruptTokenizerError,
    ),
    "a broken charsmap": (
        write_model([UNKNOWN], algorithm="bpe", precompiled_charsmap=b"\xff\xff\xff\x7fabc"),
        CorruptTokenizerError,
    ),
    "bytes without fallback": (
        write_model(
            [UNKNOWN, *[SentencePiece(b, kind="byte") for b in BYTE_SPELLINGS]], algorithm="bpe", byte_fallback=False
        ),
        CorruptTokenizerError,
    ),
}


class TestHostileFiles:
    @pytest.mark.parametrize("name", BROKEN)
    def test_a_broken_model_is_an_error_of_ours(self, name: str) -> None:
        data, error = BROKEN[name]
        with pytest.raises(error):
            SentencePieceTokenizer(data)

    @pytest.mark.parametrize("name", ["bpe symbols", "bpe as_llama"])
    def test_a_model_cut_off_anywhere_is_refused_or_works(self, name: str) -> None:
        data = model_data(name)
        refused = 0
        for end in range(0, len(data), max(1, len(data) // 300)):
            try:
                tokenizer = SentencePieceTokenizer(data[:end])
            except (CorruptTokenizerError, UnsupportedFormatError):
                refused += 1
                continue
            # Cut between two fields it is whole, with other defaults.
            assert tokenizer.decode(tokenizer.encode("the"))
        assert refused > 200

    @pytest.mark.parametrize("name", ["bpe plain", "bpe as_llama", "unigram as_t5", "unigram as_llama"])
    def test_bytes_changed_at_random_crash_nothing(self, name: str) -> None:
        chance = random.Random(name)
        for _ in range(150):
            data = bytearray(model_data(name))
            for _ in range(chance.choice([1, 2, 20, 200])):
                place = chance.randrange(len(data))
                data[place : place + chance.randrange(3)] = chance.randbytes(chance.randrange(3))
            try:
                tokenizer = SentencePieceTokenizer(bytes(data))
            except TokenFacadeError:
                continue
            ids = tokenizer.encode("the 世界 ﬁ\x00<s>").ids
            assert isinstance(tokenizer.decode([*ids, *range(tokenizer.vocab_size)]), str)

    def test_a_normalizer_changed_at_random_crashes_nothing(self) -> None:
        chance = random.Random(1)
        whole = model_data("bpe plain")
        begin = whole.index(b"nmt_nfkc")
        text = "".join(map(chr, range(0xA0, 0x500))) + "ﬁ ａ ﷺ"
        for _ in range(100):
            data = bytearray(whole)
            for _ in range(chance.choice([1, 5, 50, 5000])):
                data[chance.randrange(begin, len(data))] = chance.randrange(256)
            try:
                tokenizer = SentencePieceTokenizer(bytes(data))
            except TokenFacadeError:
                continue
            assert isinstance(tokenizer.decode(tokenizer.encode(text)), str)

    def test_the_models_of_these_tests_are_fine(self) -> None:
        assert tokenizer_of("bpe plain").encode("the")
