"""Special tokens in a text against transformers: its slow classes, which split at them and encode what is between."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tokenizers import AddedToken
from transformers.tokenization_utils_sentencepiece import SentencePieceBackend

from tests.sentencepiece_models import REAL, library, model_data, write_folder
from tokenfacade.backends import sentencepiece_added
from tokenfacade.backends.sentencepiece import SentencePieceTokenizer
from tokenfacade.backends.sentencepiece_added import AddedTokens
from tokenfacade.encoding import mend_surrogates
from tokenfacade.model_config import AddedTokenConfig

if TYPE_CHECKING:
    from pathlib import Path

NAMES = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
FRAGMENTS = [
    *("the", " the", "▁", " ", "  ", "foo", "<s>", "</s>", "<unk>", "<pad>", "世界", "é", "😀", "\t", "\n", "quick"),
    *(" word", "word", "wordy", " wordy ", "two", "  two  x", "<mask>", " <mask> ", "<|im_start|>", "<|im_end|>"),
    *("<|im", "[INST]", "<extra_id_0>", "hello", "world.", "\x00", "</s", " <s> ", "<s>.", "\ud800"),
]
texts = st.lists(st.sampled_from(FRAGMENTS), max_size=8).map("".join) | st.text(max_size=20)

NO_FLAGS: dict[str, bool] = {}
ADDED: dict[str, dict[str, dict[str, bool]]] = {
    "none": {},
    "plain": {"<pad>": NO_FLAGS, "<|im_start|>": NO_FLAGS, "<|im_end|>": {"special": False}, "[INST]": NO_FLAGS},
    "flags": {
        "<s>": {"lstrip": True, "rstrip": True},
        "<mask>": {"lstrip": True},
        "word": {"single_word": True},
        "wordy": {"rstrip": True, "single_word": True},
        " two": {"special": False},
        "two  x": {"special": False},
    },
    "nested": {
        "the": {"special": False},
        "the quick": NO_FLAGS,
        "<|im": NO_FLAGS,
        "<|im_start|>": NO_FLAGS,
        "x": NO_FLAGS,
    },
}
MODELS = ["bpe plain", "bpe as_llama", "bpe as_gemma", "unigram plain", *REAL[::2]]


class Slow(SentencePieceBackend):
    """The slow classes: their common base in transformers 5, and, for ``legacy=False``, what `LlamaTokenizer` and
    `T5Tokenizer` of transformers 4.57 do beside it."""

    add_prefix_space = True

    def tokenize(self, text: str, **options: Any) -> list[str]:  # type: ignore[override]
        if self.legacy or not text:
            tokens: list[str] = super().tokenize(text, **options)
            return tokens
        text = text.replace("▁", " ")
        tokens = super().tokenize(f"▁{text}" if self.add_prefix_space else text, **options)
        if len(tokens) > 1 and tokens[0] == "▁" and tokens[1] in self.all_special_tokens:
            return tokens[1:]
        return tokens


def added_config(name: str, added: dict[str, dict[str, bool]]) -> dict[int, dict[str, Any]]:
    """The added tokens with ids: that of their piece, or beyond the model with a gap."""
    processor = library(name)
    listed, following = {}, processor.vocab_size() + 3
    for content, flags in {**dict.fromkeys(NAMES.values(), NO_FLAGS), **added}.items():
        token_id = processor.piece_to_id(content)
        if processor.id_to_piece(token_id) != content:
            token_id, following = following, following + 1
        listed[token_id] = {
            "content": content,
            "normalized": False,
            "special": True,
            **dict.fromkeys(("lstrip", "rstrip", "single_word"), False),
            **flags,
        }
    return listed


def load_both(
    folder: Path, name: str, added: dict[str, dict[str, bool]], *, legacy: bool, prefix: bool = True
) -> tuple[SentencePieceTokenizer, Slow]:
    listed = added_config(name, added)
    config = {
        **NAMES,
        "tokenizer_class": "LlamaTokenizer",
        "legacy": legacy,
        "add_prefix_space": prefix,
        "added_tokens_decoder": {str(token_id): flags for token_id, flags in listed.items()},
    }
    write_folder(folder, name, config)
    tokens = {token_id: AddedToken(**flags) for token_id, flags in listed.items()}
    slow = Slow(  # type: ignore[no-untyped-call]
        vocab_file=str(folder / "tokenizer.model"), legacy=legacy, added_tokens_decoder=tokens, **NAMES
    )
    slow.add_prefix_space = prefix
    return SentencePieceTokenizer.from_file(folder), slow


def check(tokenizer: SentencePieceTokenizer, slow: Slow, text: str) -> None:
    expected = slow.convert_tokens_to_ids(slow.tokenize(mend_surrogates(text)))
    encoding = tokenizer.encode(text)
    assert encoding.ids == expected
    assert len(encoding.offsets) == len(expected)
    assert tokenizer.encode_batch([text, text]) == [encoding, encoding]


@pytest.fixture(scope="module", params=MODELS)
def model(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("slow")


@cache
def both(folder: Path, name: str, added: str, *, legacy: bool, prefix: bool) -> tuple[SentencePieceTokenizer, Slow]:
    return load_both(folder / f"{name}-{added}-{legacy}-{prefix}", name, ADDED[added], legacy=legacy, prefix=prefix)


@pytest.mark.parametrize("added", ADDED)
@pytest.mark.parametrize(("legacy", "prefix"), [(True, True), (False, True), (False, False)])
@given(text=texts)
@example(text=" ")
@example(text="▁<s>")
@example(text=" <s> the")
def test_ids_are_those_of_the_slow_classes(
    folder: Path, model: str, added: str, text: str, *, legacy: bool, prefix: bool
) -> None:
    check(*both(folder, model, added, legacy=legacy, prefix=prefix), text)


flag = st.booleans()
# None ends inside another's beginning: see `test_a_token_is_found_where_a_longer_one_began_and_ended_too_soon`.
any_tokens = st.dictionaries(
    st.sampled_from(["the", " the", "a", "ab", "<|a|>", "<|ab|>", "  ", "▁", "\n", "😀", "fox jumps", "he"]),
    st.fixed_dictionaries({"lstrip": flag, "rstrip": flag, "single_word": flag, "special": flag}),
    max_size=6,
)


@given(added=any_tokens, some=st.lists(texts, max_size=6), legacy=flag)
def test_any_added_tokens_with_any_flags(
    folder: Path, added: dict[str, dict[str, bool]], some: list[str], *, legacy: bool
) -> None:
    tokenizer, slow = load_both(folder / "any", "bpe as_llama", added, legacy=legacy)
    for text in [*some, "".join(added), " ".join(added), "x".join(added), "".join(some), "the fox jumps  ab"]:
        check(tokenizer, slow, text)


@given(text=texts, size=st.integers(1, 5))
def test_a_search_in_windows_finds_the_same(text: str, size: int) -> None:
    tokens = [AddedTokenConfig(content) for content in ("<s>", "</s>", "the", "the<s>", "two  x")]
    whole = AddedTokens(tokens).split(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sentencepiece_added, "WINDOW", size)
        assert AddedTokens(tokens).split(text) == whole
    assert "".join(part.text for part in whole) == text
    assert [part.start for part in whole] == [len("".join(p.text for p in whole[:n])) for n in range(len(whole))]


def test_a_token_is_found_where_a_longer_one_began_and_ended_too_soon() -> None:
    """The trie of transformers 5.23 takes ``" t he"`` for ``" the"``, and then for text."""
    tokens = [AddedTokenConfig(content) for content in (" the", "t")]
    assert [(part.text, part.is_token) for part in AddedTokens(tokens).split(" t he")] == [
        (" ", False),
        ("t", True),
        (" he", False),
    ]


def test_hundreds_of_tokens_each_longer_by_one_are_searched_for() -> None:
    tokens = AddedTokens(AddedTokenConfig("a" * length) for length in range(1, 700))
    assert [len(part.text) for part in tokens.split("a" * 1000 + "b")] == [699, 301, 1]


def test_thousands_of_added_tokens_do_not_slow_down_a_text() -> None:
    tokens = AddedTokens(AddedTokenConfig(f"<unused{number}>") for number in range(6000))
    text = "<unused" * 50_000 + "<unused5999>"
    assert [(part.text, part.is_token) for part in tokens.split(text)[1:]] == [("<unused5999>", True)]


def test_offsets_of_texts_with_tokens_in_them(tmp_path: Path) -> None:
    added = {"<mask>": {"lstrip": True}, "[INST]": NO_FLAGS}
    for legacy in (True, False):
        tokenizer, _ = load_both(tmp_path, "bpe as_llama", added, legacy=legacy)
        encoding = tokenizer.encode("the <mask>[INST] the 😀<s>", add_special_tokens=True)
        text = [encoding.text[start:end] for start, end in encoding.offsets]
        assert text[:4] == ["", "the", "<mask>", "[INST]"]
        assert text[-1] == "<s>"
        assert "".join(dict.fromkeys(text[4:-1])).strip() == "the 😀"


def test_tokens_beyond_the_model_are_tokens_like_any_other(tmp_path: Path) -> None:
    tokenizer, slow = load_both(tmp_path, "bpe plain", ADDED["plain"], legacy=True)
    size = library("bpe plain").vocab_size()
    assert tokenizer.vocab_size == max(slow.added_tokens_decoder) + 1 > size
    assert tokenizer.id_to_token(size) is None
    for token in ("<pad>", "<|im_end|>"):
        token_id = tokenizer.token_to_id(token)
        assert token_id == slow.convert_tokens_to_ids(token)
        assert token_id is not None
        assert tokenizer.id_to_token(token_id) == token
        assert tokenizer.token_bytes(token_id) == token.encode()
        assert tokenizer.decode([token_id], skip_special_tokens=False) == token
    ids = tokenizer.encode("the<pad>fox<|im_end|>").ids
    assert tokenizer.decode(ids) == "the fox<|im_end|>"
    assert set(tokenizer.special_tokens.ids) == {"<s>", "</s>", "<pad>", "<|im_start|>", "[INST]"}


def test_a_piece_that_a_config_moves_has_the_id_of_the_config(tmp_path: Path) -> None:
    name = "bpe as_llama"
    config = {**NAMES, "added_tokens_decoder": {"900": {"content": "▁the", "special": False}}}
    write_folder(tmp_path, name, config)
    tokenizer = SentencePieceTokenizer.from_file(tmp_path)
    old = library(name).piece_to_id("▁the")
    assert tokenizer.encode("the").ids == [900]
    assert tokenizer.encode("the", parse_special_tokens=False).ids == [old]
    assert tokenizer.token_to_id("▁the") == 900
    assert tokenizer.id_to_token(old) is None
    assert tokenizer.decode([old]) == "the"


@pytest.mark.parametrize(
    ("config", "before", "after"),
    [
        ({"tokenizer_class": "LlamaTokenizer"}, ["<s>"], []),
        ({"tokenizer_class": "LlamaTokenizerFast", "add_bos_token": False, "add_eos_token": True}, [], ["</s>"]),
        ({"tokenizer_class": "T5Tokenizer", "extra_ids": 2, "pad_token": "<s>"}, [], ["</s>"]),
        ({"tokenizer_class": "Unknown"}, ["<s>"], []),
        ({"bos_token": None}, [], []),
        (None, ["<s>"], []),
    ],
)
def test_what_is_added_around(
    tmp_path: Path, config: dict[str, Any] | None, before: list[str], after: list[str]
) -> None:
    tokenizer = SentencePieceTokenizer.from_file(write_folder(tmp_path, "bpe plain", config))
    inner = tokenizer.encode("the fox")
    encoding = tokenizer.encode("the fox", add_special_tokens=True)
    assert encoding.tokens == [*before, *inner.tokens, *after]
    assert tokenizer.added_around() == (len(before), len(after))
    assert encoding.offsets[len(before) : len(encoding) - len(after)] == inner.offsets


def test_the_sentinels_of_t5_follow_the_model_backwards(tmp_path: Path) -> None:
    config = {"tokenizer_class": "T5Tokenizer", "pad_token": "<s>"}
    tokenizer = SentencePieceTokenizer.from_file(write_folder(tmp_path, "unigram plain", config))
    size = library("unigram plain").vocab_size()
    assert tokenizer.vocab_size == size + 100
    assert (tokenizer.token_to_id("<extra_id_0>"), tokenizer.token_to_id("<extra_id_99>")) == (size + 99, size)
    words = [tokenizer.encode(word).tokens for word in ("the", "fox")]
    assert tokenizer.encode("the  <extra_id_1> fox").tokens == [*words[0], "<extra_id_1>", *words[1]]


CUT = {
    "<|im_start|>": NO_FLAGS,
    "<|im": NO_FLAGS,
    "<mask>": {"lstrip": True, "rstrip": True},
    "[INST]": {"rstrip": True},
    " two": NO_FLAGS,
    "wo<": NO_FLAGS,
}
cut_texts = st.lists(st.sampled_from([*FRAGMENTS, *CUT, " ", "\n"]), max_size=8).map("".join)


@pytest.mark.parametrize("name", ["bpe plain", "bpe as_llama", "bpe as_gemma", "unigram as_t5"])
@given(before=cut_texts, after=cut_texts)
def test_ids_of_parts_join_where_a_text_may_be_cut(folder: Path, name: str, before: str, after: str) -> None:
    tokenizer = cut_tokenizer(folder, name)
    cuts = tokenizer.cut_points()
    assert "[INST]" in cuts
    assert cuts.isdisjoint({"<mask>", " two", "<|im_start|>", "<|im", "<s>"})
    for cut in cuts:
        ids = tokenizer.encode(before).ids + tokenizer.encode(cut + after).ids
        assert tokenizer.encode(before + cut + after).ids == ids


@cache
def cut_tokenizer(folder: Path, name: str) -> SentencePieceTokenizer:
    """A tokenizer whose added tokens stand in each other's way."""
    return load_both(folder / f"cut {name}", name, CUT, legacy=True)[0]


def test_a_text_is_cut_nowhere_if_it_matters_what_precedes(tmp_path: Path) -> None:
    for name, added, legacy in (("prefix", NO_FLAGS, False), ("word", {"single_word": True}, True)):
        tokenizer, _ = load_both(tmp_path / name, "bpe as_llama", {"<pad>": added}, legacy=legacy)
        assert tokenizer.cut_points() == frozenset()


def test_flags_of_a_token_count_as_they_stand() -> None:
    token = AddedTokenConfig("<a>")
    text = "x <a> y"
    assert [part.text for part in AddedTokens([token]).split(text)] == ["x ", "<a>", " y"]
    assert [part.text for part in AddedTokens([replace(token, lstrip=True)]).split(text)] == ["x", "<a>", " y"]
    right = AddedTokens([replace(token, rstrip=True)]).split(text)
    assert [(part.text, part.start) for part in right] == [("x ", 0), ("<a>", 2), ("y", 6)]


def test_model_files_without_a_config_have_their_control_pieces_parsed() -> None:
    tokenizer = SentencePieceTokenizer(model_data("bpe symbols"))
    assert [*tokenizer.encode("<ctl><x>").ids] == [tokenizer.token_to_id("<ctl>"), tokenizer.token_to_id("<x>")]
