"""SentencePieceTokenizer against the library itself: ids, texts, streams, offsets, and the goldens."""

from __future__ import annotations

import pickle
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest
import sentencepiece
from hypothesis import given
from hypothesis import strategies as st

from tests.benchmarks.corpus import mixed_text
from tests.data import DATA, records
from tests.oracles import run_steps
from tests.sentencepiece_models import ALL, REAL, SMALL, library, model_data, tokenizer_of, train
from tests.strategies import FRAGMENTS
from tokenfacade import ConfigurationError, EncodeError
from tokenfacade.backends import sentencepiece_library
from tokenfacade.backends.sentencepiece import SentencePieceTokenizer
from tokenfacade.backends.sentencepiece_library import SLICE, Library
from tokenfacade.backends.sentencepiece_model import SentencePiece
from tokenfacade.encoding import mend_surrogates

OWN = ["foo", "<tag>", "<ctl>", "<turn>", " the ", "the", "quick", "ａ", "ﬁ", "\u3000", "\u00a0", "<unk>", "<0x41>"]
texts = st.lists(st.sampled_from([*FRAGMENTS, *OWN]), max_size=8).map("".join) | st.text(max_size=20)
MILLION = 1_000_000


def expected_text(tokenizer: SentencePieceTokenizer, name: str, ids: list[int]) -> str:
    """What the library decodes, but with runs of byte pieces by the rule of Unicode: the law is that of all
    backends, and the library gives a U+FFFD for each byte."""
    processor = library(name)
    if "\ufffd" not in processor.decode(ids):
        return str(processor.decode(ids))
    text, run = "", b""
    # A run of bytes is never the first word: what precedes it says whether the next word is.
    for position, token_id in enumerate(ids):
        if processor.is_byte(token_id):
            run += bytes([int(processor.id_to_piece(token_id)[3:5], 16)])
            continue
        text += run.decode("utf-8", "replace") + processor.decode(ids[: position + 1]).removeprefix(
            processor.decode(ids[:position])
        )
        run = b""
    return text + run.decode("utf-8", "replace")


@st.composite
def ids_of(draw: st.DrawFn, name: str) -> list[int]:
    size = library(name).vocab_size()
    some = draw(st.lists(st.integers(0, size - 1), max_size=6))
    special = draw(st.lists(st.integers(0, min(size - 1, 8)), max_size=3))
    return [*special, *some, *tokenizer_of(name).encode(draw(texts)).ids]


class TestLibrary:
    @pytest.mark.parametrize("name", ALL)
    @given(text=texts)
    def test_ids_are_the_librarys(self, name: str, text: str) -> None:
        tokenizer = tokenizer_of(name)
        expected = library(name).EncodeAsIds(mend_surrogates(text))
        encoding = tokenizer.encode(text, parse_special_tokens=False)
        assert encoding.ids == expected
        assert tokenizer.count_tokens(text, parse_special_tokens=False) == len(expected)

    @pytest.mark.parametrize("name", ALL)
    @given(data=st.data())
    def test_texts_are_the_librarys_and_streams_join_to_them(self, name: str, data: st.DataObject) -> None:
        tokenizer = tokenizer_of(name)
        ids = data.draw(ids_of(name))
        assert tokenizer.decode(ids) == expected_text(tokenizer, name, ids)
        for skip in (True, False):
            stream = tokenizer.decode_stream(skip_special_tokens=skip)
            streamed = "".join(run_steps(stream.step, ids)) + (stream.flush() or "")
            assert streamed == tokenizer.decode(ids, skip_special_tokens=skip)
        assert tokenizer.decode([-1, *ids, tokenizer.vocab_size, 2**70]) == tokenizer.decode(ids)

    @pytest.mark.parametrize("name", ALL)
    def test_the_vocabulary_is_the_librarys(self, name: str) -> None:
        processor, tokenizer = library(name), tokenizer_of(name)
        assert tokenizer.vocab_size == processor.vocab_size()
        for token_id in range(tokenizer.vocab_size):
            token = processor.id_to_piece(token_id)
            assert tokenizer.id_to_token(token_id) == token
            assert tokenizer.token_to_id(token) == token_id
            assert (token in tokenizer.special_tokens.ids) == processor.is_control(token_id)

    @pytest.mark.parametrize("flags", range(16))
    @given(text=texts)
    def test_every_combination_of_flags_is_the_librarys(self, flags: int, text: str) -> None:
        prefix, extra, escape, suffix = (flags >> bit & 1 for bit in range(4))
        normalizer = bytes([0x18, prefix, 0x20, extra, 0x28, escape])
        changed = model_data("bpe bytes") + b"\x1a\x06" + normalizer + b"\x12\x03" + bytes([0xC0, 1, suffix])
        processor = sentencepiece.SentencePieceProcessor(model_proto=changed)
        tokenizer = SentencePieceTokenizer(changed)
        ids = tokenizer.encode(text, parse_special_tokens=False).ids
        assert ids == processor.EncodeAsIds(mend_surrogates(text))
        assert tokenizer.decode(ids) == processor.DecodeIds(ids)

    def test_a_model_that_rewrites_what_it_decodes_does_so_in_streams_too(self, tmp_path: Any) -> None:
        rules = tmp_path / "rules.tsv"
        rules.write_text("74\t54\n")
        data = train(model_type="bpe", denormalization_rule_tsv=str(rules))
        tokenizer = SentencePieceTokenizer(data)
        ids = [*tokenizer.encode("the test").ids, 2]
        assert tokenizer.decode(ids) == "The TesT"
        assert tokenizer.decode(ids, skip_special_tokens=False) == "The TesT</s>"
        stream = tokenizer.decode_stream()
        assert "".join(run_steps(stream.step, ids)) + (stream.flush() or "") == "The TesT"


class TestGoldens:
    @pytest.mark.parametrize("name", REAL)
    def test_ids_and_texts(self, name: str) -> None:
        tokenizer, checked = tokenizer_of(name), 0
        for record in records(DATA / "goldens" / "encode" / f"{name}.jsonl"):
            assert tokenizer.encode(record["text"], parse_special_tokens=False).ids == record["ids"], record["text"]
            assert tokenizer.decode(record["ids"]) == record["decoded_skip"]
            checked += 1
        assert checked >= 170

    @pytest.mark.parametrize("name", REAL)
    def test_streams(self, name: str) -> None:
        # Two rules are ours, and not the library's: bytes that are no character are replaced by maximal subparts, and
        # control pieces are spelled where special tokens aren't skipped. (It has no such option.)
        tokenizer, checked = tokenizer_of(name), 0
        for record in records(DATA / "goldens" / "stream" / f"{name}.jsonl"):
            known = [token_id for token_id in record["ids"] if tokenizer.id_to_token(token_id) is not None]
            expected = record["decoded_skip"]
            if expected is None or "\ufffd" in expected:
                expected = expected_text(tokenizer, name, known)
            stream = tokenizer.decode_stream()
            assert "".join(run_steps(stream.step, record["ids"])) + (stream.flush() or "") == expected, record["kind"]
            checked += 1
        assert checked >= 70


class TestLongTexts:
    @pytest.mark.parametrize("name", [name for name in ALL if name.startswith("bpe") or name in REAL])
    @given(text=texts, other=texts, size=st.integers(1, 12))
    def test_slices_give_the_ids_of_the_whole(self, name: str, text: str, other: str, size: int) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sentencepiece_library, "SLICE", size)
            sliced = Library(model_data(name), name) if name in SMALL else tokenizer_of(name)._library
            whole = mend_surrogates(text + other)
            assert sliced.encode(whole) == library(name).EncodeAsIds(whole)

    def test_a_library_without_arrays_gives_the_same_ids(self) -> None:
        class Older(sentencepiece.SentencePieceProcessor):
            def __getattribute__(self, name: str) -> Any:
                if name == "_processor":
                    raise AttributeError(name)
                return super().__getattribute__(name)

            def encode(self, text: str) -> list[int]:  # type: ignore[override]
                return [len(text)]

        assert sentencepiece_library._encode_whole("the", Older.__new__(Older)) == [3]

    def test_a_library_whose_arrays_want_other_arguments_gives_the_same_ids(self) -> None:
        def encode_as_buffer(text: str, options: object) -> bytes:
            raise NotImplementedError

        class Newer:
            _processor = SimpleNamespace(_EncodeAsBuffer=encode_as_buffer)

            def encode(self, text: str) -> list[int]:
                return [len(text)]

        newer: Any = Newer()
        assert sentencepiece_library._encode_whole("the", newer) == [3]

    def test_which_models_are_cut(self) -> None:
        cut = {name for name in ALL if tokenizer_of(name)._library.can_be_cut}
        assert cut == {"bpe as_llama", "bpe as_gemma", "bpe phrases", *REAL[:2]}

    @pytest.mark.parametrize("name", ["bpe as_llama", "unigram plain", *REAL])
    def test_a_long_text_has_the_librarys_ids(self, name: str) -> None:
        text = mixed_text(20 * SLICE)
        assert tokenizer_of(name).encode(text, parse_special_tokens=False).ids == library(name).EncodeAsIds(text)

    @pytest.mark.parametrize("name", ["bpe as_llama", "unigram plain", *REAL])
    @pytest.mark.parametrize(
        "text",
        [" " * MILLION + "x", "a" * MILLION, "\n" * 300_000, "\x00" * 1000, "世" * 300_000, "<s" * 300_000],
        ids=["spaces", "letters", "newlines", "nul", "ideographs", "beginnings"],
    )
    def test_unbroken_texts_have_the_librarys_ids(self, name: str, text: str) -> None:
        tokenizer = tokenizer_of(name)
        assert tokenizer.encode(text, parse_special_tokens=False).ids == library(name).EncodeAsIds(text)
        assert tokenizer.encode(text).ids == library(name).EncodeAsIds(text)


class TestOffsets:
    @pytest.mark.parametrize("name", ALL)
    @given(text=texts, added=st.booleans(), parsed=st.booleans())
    def test_spans_cover_the_text_in_order(self, name: str, text: str, *, added: bool, parsed: bool) -> None:
        encoding = tokenizer_of(name).encode(text, add_special_tokens=added, parse_special_tokens=parsed)
        assert len(encoding.offsets) == len(encoding)
        last = 0
        for start, end in encoding.offsets:
            assert 0 <= start <= end <= len(encoding.text)
            assert end >= last
            last = end

    @pytest.mark.parametrize("name", ["bpe as_llama", *REAL[:2]])
    @given(text=texts)
    def test_spans_are_what_the_tokens_decode_to(self, name: str, text: str) -> None:
        encoding = tokenizer_of(name).encode(text, parse_special_tokens=False)
        for token, (start, end) in zip(encoding.tokens, encoding.offsets, strict=True):
            if start < end and not token.startswith("<0x"):
                spelled = encoding.text[start:end].replace(" ", "▁")
                assert token in (spelled, f"▁{spelled}")

    def test_the_bytes_of_a_character_share_it(self) -> None:
        encoding = tokenizer_of("bpe as_llama").encode("x 😀😀", add_special_tokens=True)
        spelled = [f"<0x{byte:02X}>" for byte in "😀".encode()]
        assert encoding.tokens[-8:] == spelled * 2
        assert encoding.offsets[-8:] == [(2, 3)] * 4 + [(3, 4)] * 4
        assert encoding.offsets[0] == (0, 0)


class TestTokenizer:
    def test_a_processor_is_copied_without_its_options(self) -> None:
        processor = sentencepiece.SentencePieceProcessor(
            model_proto=model_data("bpe plain"), add_bos=True, reverse=True
        )
        tokenizer = SentencePieceTokenizer(processor)
        assert tokenizer.encode("the fox").ids == library("bpe plain").EncodeAsIds("the fox")
        neither: Any = "a path"
        with pytest.raises(ConfigurationError, match="SentencePieceProcessor, not str"):
            SentencePieceTokenizer(neither)

    @pytest.mark.parametrize("wrong", [None, b"the", 5, ["the"], ("a",)])
    def test_what_the_library_would_take_is_refused(self, wrong: Any) -> None:
        for parse in (True, False):
            with pytest.raises(EncodeError):
                tokenizer_of("bpe plain").encode(wrong, parse_special_tokens=parse)

    def test_pieces_make_a_model(self) -> None:
        pieces = [SentencePiece("<unk>", kind="unknown"), SentencePiece("<s>", kind="control")]
        pieces += [SentencePiece(f"<0x{byte:02X}>", kind="byte") for byte in range(256)]
        pieces += [SentencePiece(text, -float(n)) for n, text in enumerate(["▁a", "b", "▁", "a", "▁ab"])]
        tokenizer = SentencePieceTokenizer.from_pieces(pieces, algorithm="bpe", roles={"bos": 1})
        assert tokenizer.encode("ab é", add_special_tokens=True).tokens == ["<s>", "▁ab", "▁", "<0xC3>", "<0xA9>"]
        assert tokenizer.special_tokens.ids == {"<s>": 1}
        again = pickle.loads(pickle.dumps(tokenizer))
        assert again.fingerprint == tokenizer.fingerprint
        bare = SentencePieceTokenizer.from_pieces(pieces, algorithm="bpe", add_dummy_prefix=False)
        assert bare.encode("ab", add_special_tokens=True).tokens == ["a", "b"]
        assert bare.fingerprint != tokenizer.fingerprint

    def test_bos_is_added_or_eos_where_there_is_no_bos(self) -> None:
        llama, t5 = tokenizer_of("bpe plain"), tokenizer_of("unigram as_t5")
        assert llama.encode("the", add_special_tokens=True).tokens[0] == "<s>"
        assert llama.added_around() == (1, 0)
        assert t5.encode("the", add_special_tokens=True).tokens[-1] == "</s>"
        assert t5.added_around() == (0, 1)
        assert (llama.eos_token_ids, t5.eos_token_ids) == ((2,), (1,))

    def test_control_pieces_are_parsed_and_spelled_and_break_bytes(self) -> None:
        tokenizer = tokenizer_of("bpe as_llama")
        ids = tokenizer.encode("<s>the</s>").ids
        assert (ids[0], ids[-1]) == (1, 2)
        assert tokenizer.decode(ids) == "the"
        assert tokenizer.decode(ids, skip_special_tokens=False) == "<s> the</s>"
        first, second = tokenizer.token_to_id("<0xC3>"), tokenizer.token_to_id("<0xA9>")
        assert first is not None
        assert second is not None
        assert tokenizer.decode([first, second]) == "é"
        assert tokenizer.decode([first, 1, second]) == "\ufffd\ufffd"
        assert tokenizer.decode_bytes([first, 1, second]) == "é".encode()

    def test_the_unknown_piece_is_text(self) -> None:
        tokenizer = tokenizer_of("bpe plain")
        assert tokenizer.special_tokens.unk == "<unk>"
        assert "<unk>" not in tokenizer.special_tokens.ids
        assert tokenizer.decode([0, 0]) == " \u2047  \u2047 "
        assert tokenizer.token_bytes(0) == " \u2047 ".encode()
        assert tokenizer_of("bpe as_t5").decode([2]) == "?"

    def test_user_defined_pieces_are_found_in_any_text(self) -> None:
        tokenizer = tokenizer_of("bpe symbols")
        found = tokenizer.token_to_id("<tag>")
        assert found in tokenizer.encode("a<tag>b", parse_special_tokens=False).ids
        assert tokenizer.added_tokens["<tag>"] == found

    def test_threads_and_batches_give_the_same_ids(self) -> None:
        tokenizer = tokenizer_of("bpe as_llama")
        batch = [f"the quick {number} <s> 世😀 \ud800 " * 400 for number in range(30)]
        expected = [tokenizer.encode(text) for text in batch]
        assert tokenizer.encode_batch(batch) == expected
        with ThreadPoolExecutor(16) as pool:
            assert list(pool.map(tokenizer.encode, batch)) == expected

    @given(text=texts, added=st.booleans(), parsed=st.booleans())
    def test_counts_are_lengths(self, text: str, *, added: bool, parsed: bool) -> None:
        for name in ("bpe as_llama", "unigram as_t5"):
            tokenizer = tokenizer_of(name)
            for spelled in (text, f"<s>{text}</s>"):
                encoding = tokenizer.encode(spelled, add_special_tokens=added, parse_special_tokens=parsed)
                count = tokenizer.count_tokens(spelled, add_special_tokens=added, parse_special_tokens=parsed)
                assert count == len(encoding)
