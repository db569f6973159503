"""The Hugging Face backend: the ids, tokens and texts of the `tokenizers` library, for any text and any ids."""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import (
    AddedToken,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)

from tests.data import DATA, HAS_DATA
from tests.small import small_tokenizer
from tokenfacade import (
    DecodeError,
    EncodeError,
    HuggingFaceTokenizer,
)
from tokenfacade.backends.huggingface_long import IN_PARTS_CHARACTERS, MANY_IDS

if TYPE_CHECKING:
    from collections.abc import Callable

TEXTS = ["", "Hello world!", " <s>ünï</s> 世界😊  <tool>x", "\x00\r\n\t", "a" * 300, "\u00a0<|im_end|> don't"]
FLAGS = [(add, parse) for add, parse in product((False, True), repeat=2)]


def byte_level() -> Tokenizer:
    raw = Tokenizer(models.BPE())
    raw.normalizer = normalizers.NFC()
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=320, special_tokens=["<s>", "</s>"], initial_alphabet=alphabet, show_progress=False
    )
    raw.train_from_iterator(TEXTS, trainer)
    raw.add_tokens([AddedToken("<|im_end|>", special=True), AddedToken("<tool>", lstrip=True), "é"])
    raw.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A $B </s>", special_tokens=[("<s>", 0), ("</s>", 1)]
    )
    return raw


def with_gaps() -> Tokenizer:
    """Ids that leave gaps, below and above those of the added tokens."""
    raw = Tokenizer(models.WordLevel({"hello": 3, "world": 7, "<unk>": 20, "<s>": 31}, unk_token="<unk>"))
    raw.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    raw.add_tokens([AddedToken("<s>", special=True), AddedToken("</s>", special=True), "<tool>"])
    return raw


def without_unknown() -> Tokenizer:
    raw = Tokenizer(models.WordLevel({"hello": 0, "world": 1}))
    raw.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return raw


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "tokenizer.json"
    byte_level().save(str(path))
    return path


@pytest.fixture(scope="module")
def loaded(file: Path) -> HuggingFaceTokenizer:
    return HuggingFaceTokenizer.from_file(file.parent)


# Encoding


@pytest.mark.parametrize(("add", "parse"), FLAGS)
@pytest.mark.parametrize("make", [byte_level, with_gaps])
def test_ids_tokens_and_offsets_are_those_of_the_library(make: Callable[[], Tokenizer], add: Any, parse: Any) -> None:
    tokenizer, raw = HuggingFaceTokenizer(make()), make()
    raw.encode_special_tokens = not parse
    options = {"add_special_tokens": add, "parse_special_tokens": parse}
    for text in TEXTS:
        encoding, expected = tokenizer.encode(text, **options), raw.encode(text, add_special_tokens=add)
        assert (encoding.ids, encoding.offsets) == (expected.ids, expected.offsets)
        assert encoding.tokens == [token.strip() for token in expected.tokens]  # <tool> takes the spaces before it
        assert tokenizer.count_tokens(text, **options) == len(expected)
    assert tokenizer.encode_batch(TEXTS, **options) == [tokenizer.encode(text, **options) for text in TEXTS]
    assert [encoding.offsets for encoding in tokenizer.encode_batch(TEXTS, **options)] == [
        raw.encode(text, add_special_tokens=add).offsets for text in TEXTS
    ]


@given(text=st.text(max_size=40) | st.text("<s/>ol t|im_end", max_size=40))
def test_any_text_has_the_ids_of_the_library(text: str, loaded: HuggingFaceTokenizer) -> None:
    raw = RAW
    assert loaded.encode(text).ids == raw.encode(text, add_special_tokens=False).ids
    assert loaded.decode(loaded.encode(text), skip_special_tokens=False) == raw.decode(
        raw.encode(text, add_special_tokens=False).ids, skip_special_tokens=False
    )


RAW = byte_level()


@pytest.mark.parametrize(
    ("broken", "mended"),
    [
        ("a\ud83d\ude00b", "a😀b"),
        ("a\ud800", "a\ufffd"),
        ("\udfff<s>\ud83d", "\ufffd<s>\ufffd"),
        ("\ude00\ud83d", "\ufffd\ufffd"),
    ],
)
@pytest.mark.parametrize(("add", "parse"), FLAGS)
def test_surrogates_are_mended(broken: str, mended: str, add: Any, parse: Any, loaded: HuggingFaceTokenizer) -> None:
    options = {"add_special_tokens": add, "parse_special_tokens": parse}
    expected = loaded.encode(mended, **options)
    for encoding in (loaded.encode(broken, **options), *loaded.encode_batch([broken], **options)):
        assert (encoding, encoding.text, encoding.offsets) == (expected, mended, expected.offsets)
    assert loaded.count_tokens(broken, **options) == len(expected)


@pytest.mark.parametrize("text", [None, b"text", 5, 1.5, ["a", "b"], ("a", "b"), {"a": 1}, object()])
def test_what_is_no_text_is_refused(text: Any, loaded: HuggingFaceTokenizer) -> None:
    for parse in (False, True):
        for call in (loaded.encode, loaded.count_tokens):
            with pytest.raises(EncodeError, match="must be a str"):
                call(text, parse_special_tokens=parse)
        with pytest.raises(EncodeError, match="must be a str"):
            loaded.encode_batch(["fine", text], parse_special_tokens=parse)


def test_a_text_that_the_library_refuses_is_an_encode_error() -> None:
    tokenizer = HuggingFaceTokenizer(without_unknown())
    assert tokenizer.encode("hello world").ids == [0, 1]
    for call in (tokenizer.encode, tokenizer.count_tokens):
        with pytest.raises(EncodeError, match=r"refuses 'there'"):
            call("there")
    with pytest.raises(EncodeError, match="refuses"):
        tokenizer.encode_batch(["hello", "there"])


def test_a_panic_of_the_library_is_an_error_like_any_other(tmp_path: Path) -> None:
    content = json.loads(byte_level().to_str())
    content["post_processor"]["single"][0]["SpecialToken"]["id"] = "none such"
    content["decoder"] = {"type": "Strip", "content": "a", "start": 0, "stop": 3}
    (tmp_path / "tokenizer.json").write_text(json.dumps(content), encoding="utf-8")
    tokenizer = HuggingFaceTokenizer.from_file(tmp_path)
    for call in (tokenizer.encode, tokenizer.count_tokens):
        with pytest.raises(EncodeError):
            call("a", add_special_tokens=True)
    with pytest.raises(EncodeError):
        tokenizer.encode_batch(["a"], add_special_tokens=True)
    with pytest.raises(DecodeError, match="decoder"):
        tokenizer.decode(tokenizer.encode("a"))


def test_literal_texts_do_not_change_how_others_are_read(loaded: HuggingFaceTokenizer) -> None:
    before = loaded.encode("a<s>b").ids
    literal = loaded.encode("a<s>b", parse_special_tokens=False)
    assert 0 in before
    assert 0 not in literal
    assert loaded.encode("a<s>b").ids == before
    assert "".join(literal.tokens) == "a<s>b"


def test_literal_texts_keep_what_is_added_but_not_special(loaded: HuggingFaceTokenizer) -> None:
    assert loaded.encode("a <tool>", parse_special_tokens=False).tokens == ["a", "<tool>"]


# Decoding


@pytest.mark.parametrize("foreign", [-1, 100_000, 2**32 - 1, 2**32, 2**63, 2**64, -(2**70)])
def test_ids_that_the_vocabulary_lacks_contribute_nothing(foreign: int, loaded: HuggingFaceTokenizer) -> None:
    ids = loaded.encode("Hello world").ids
    mixed = [foreign, *ids[:1], foreign, *ids[1:], foreign]
    assert loaded.decode(mixed) == "Hello world"
    assert loaded.decode_batch([mixed, [foreign], []]) == ["Hello world", "", ""]
    assert loaded.decode_bytes(mixed) == b"Hello world"
    assert loaded.id_to_token(foreign) is None
    with pytest.raises(DecodeError):
        loaded.token_bytes(foreign)


@pytest.mark.parametrize("wrong", [None, "a", 1.5, [1], b"a"])
def test_what_is_no_id_is_refused(wrong: Any, loaded: HuggingFaceTokenizer) -> None:
    for call in (loaded.decode, loaded.decode_bytes):
        with pytest.raises(DecodeError, match="integer"):
            call([5, wrong])
        with pytest.raises(DecodeError, match="integer"):
            call([2**40, wrong])
    with pytest.raises(DecodeError, match="integer"):
        loaded.id_to_token(wrong)


def test_whatever_counts_as_an_integer_is_an_id(loaded: HuggingFaceTokenizer) -> None:
    class Index:
        def __index__(self) -> int:
            return 70

    ids: list[Any] = [True, Index(), 2**40]
    assert loaded.decode(iter(ids), skip_special_tokens=False) == loaded.decode([1, 70], skip_special_tokens=False)
    assert loaded.id_to_token(ids[0]) == "</s>"


def test_special_tokens_are_skipped_and_added_tokens_stay(loaded: HuggingFaceTokenizer) -> None:
    ids = loaded.encode("a<|im_end|><tool>é", add_special_tokens=True)
    assert loaded.decode(ids) == RAW.decode(ids.ids)
    assert loaded.decode(ids, skip_special_tokens=False) == RAW.decode(ids.ids, skip_special_tokens=False)
    assert "<tool>" in loaded.decode(ids)
    assert "<|im_end|>" not in loaded.decode(ids)


# The vocabulary


@pytest.mark.parametrize("make", [byte_level, with_gaps])
def test_ids_and_tokens_are_inverse(make: Callable[[], Tokenizer]) -> None:
    tokenizer, vocabulary = HuggingFaceTokenizer(make()), make().get_vocab()
    assert tokenizer.vocab_size == max(vocabulary.values()) + 1
    assert {token: tokenizer.token_to_id(token) for token in vocabulary} == vocabulary
    known = {tokenizer.id_to_token(token_id): token_id for token_id in range(tokenizer.vocab_size)}
    assert {token: token_id for token, token_id in known.items() if token is not None} == vocabulary
    assert tokenizer.token_to_id("no such token") is tokenizer.token_to_id("\ud800") is None


def test_an_empty_vocabulary_has_no_ids() -> None:
    tokenizer = HuggingFaceTokenizer(Tokenizer(models.BPE()))
    assert (tokenizer.vocab_size, tokenizer.decode([0, 1]), tokenizer.encode("abc").ids) == (0, "", [])


def test_special_tokens_are_those_with_the_flag() -> None:
    tokenizer = HuggingFaceTokenizer(with_gaps())
    assert dict(tokenizer.special_tokens.ids) == {token: with_gaps().token_to_id(token) for token in ("<s>", "</s>")}
    assert tokenizer.special_tokens.bos is None
    assert tokenizer.eos_token_ids == ()


@pytest.mark.skipif(not HAS_DATA, reason="needs the shared test data")
@pytest.mark.parametrize("name", ["all-minilm-l6-v2", "clip", "falcon", "minimind", "phi-3-mini", "t5-small"])
def test_real_files_have_the_ids_of_the_library(name: str) -> None:
    file = str(DATA / "models" / name / "tokenizer.json")
    raw, tokenizer = Tokenizer.from_file(file), HuggingFaceTokenizer(Tokenizer.from_file(file))
    raw.no_truncation()
    raw.no_padding()
    for (add, parse), text in product(FLAGS, TEXTS):
        raw.encode_special_tokens = not parse
        expected = raw.encode(text, add_special_tokens=add)
        encoding = tokenizer.encode(text, add_special_tokens=add, parse_special_tokens=parse)
        assert (encoding.ids, encoding.offsets) == (expected.ids, expected.offsets)
        assert tokenizer.decode(encoding) == raw.decode(expected.ids)


@pytest.mark.parametrize("name", ["byte_level", "byte_fallback", "metaspace", "word_piece"])
def test_the_ids_of_a_text_so_long_that_they_come_in_parts_are_those_of_the_library(name: str) -> None:
    made = small_tokenizer(name)
    assert isinstance(made, HuggingFaceTokenizer)
    raw = Tokenizer.from_str(made._raw.to_str())
    tokenizer = HuggingFaceTokenizer(raw, engine="reference")
    text = "the worker <|im_start|> streams é 世 tokens</s> back\n" * (IN_PARTS_CHARACTERS // 40)
    for parsed in (True, False):
        raw.encode_special_tokens = not parsed
        expected = raw.encode(text, add_special_tokens=False).ids
        assert len(expected) > MANY_IDS
        assert tokenizer.encode(text, parse_special_tokens=parsed).ids == expected
    assert tokenizer.encode(text + "\ud800").ids == tokenizer.encode(text + "\ufffd").ids
