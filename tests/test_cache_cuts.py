"""Where a text may be cut: the rule for overlapping tokens, and tokenizers of each kind that looks around."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import AddedToken, models, normalizers, pre_tokenizers, processors
from tokenizers import Tokenizer as RawTokenizer

from tests.small import small_tokenizer
from tokenfacade import HuggingFaceTokenizer
from tokenfacade.cache import CacheConfig, CachedTokenizer
from tokenfacade.cache.segments import SHORTEST, SegmentCutter
from tokenfacade.cut_points import safe_cut_points

ALPHABET = sorted(pre_tokenizers.ByteLevel.alphabet())
LETTERS = [*"▁ abcdefghijklmnopqrstuvwxyzé世<>/|'", "th", "▁t", "▁a", "<s", "<s>"]


def byte_level(*tokens: AddedToken, add_prefix_space: bool = False) -> RawTokenizer:
    vocabulary = {letter: n for n, letter in enumerate([*ALPHABET, "th", "the", "Ġthe"])}
    raw = RawTokenizer(models.BPE(vocab=vocabulary, merges=[("t", "h"), ("th", "e"), ("Ġ", "the")]))
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=add_prefix_space)
    raw.add_tokens(list(tokens))
    return raw


def letters(
    normalizer: normalizers.Normalizer | None, pre_tokenizer: pre_tokenizers.PreTokenizer | None, *tokens: AddedToken
) -> RawTokenizer:
    raw = RawTokenizer(models.Unigram([("?", 0.0), *((letter, -len(letter)) for letter in LETTERS)], unk_id=0))
    if normalizer is not None:
        raw.normalizer = normalizer
    if pre_tokenizer is not None:
        raw.pre_tokenizer = pre_tokenizer
    raw.add_tokens(list(tokens or (token("<s>"), token("</s>"))))
    return raw


def token(content: str, **flags: bool) -> AddedToken:
    return AddedToken(content, **{"normalized": False, "special": True, **flags})


def with_template(raw: RawTokenizer, template: str) -> RawTokenizer:
    ids = [(name, raw.token_to_id(name)) for name in ("<s>", "</s>")]
    raw.post_processor = processors.TemplateProcessing(single=template, pair="$A $B", special_tokens=ids)
    return raw


PLAIN = token("<s>"), token("</s>")
BOTH = {"<s>", "</s>"}
KINDS: dict[str, tuple[RawTokenizer, set[str]]] = {
    "plain": (byte_level(*PLAIN), BOTH),
    "not special": (byte_level(token("<s>", special=False), PLAIN[1]), BOTH),
    "takes white space before it": (byte_level(token("<s>", lstrip=True), PLAIN[1]), {"</s>"}),
    "takes white space after it": (byte_level(token("<s>", rstrip=True), PLAIN[1]), BOTH),
    "begins with white space": (byte_level(token(" <s>"), PLAIN[1], token("<r>", rstrip=True)), {"</s>", "<r>"}),
    "found later": (byte_level(token("<s>", normalized=True), PLAIN[1], token("<r>", lstrip=True)), BOTH),
    "found later with white space": (byte_level(token("<s> ", normalized=True), PLAIN[1]), {"</s>"}),
    "found later and begun by another": (
        byte_level(token("<s>", normalized=True), token("<s", single_word=True), PLAIN[1]),
        {"</s>"},
    ),
    "found later and cut by another": (byte_level(token("<s>", normalized=True), token("s>x"), PLAIN[1]), {"</s>"}),
    "found later under another": (byte_level(token("<s>", normalized=True), token("x<"), PLAIN[1]), {"x<"}),
    "found after normalizing": (
        letters(normalizers.Lowercase(), None, token("<s>", normalized=True), PLAIN[1]),
        {"</s>"},
    ),
    "a word alone": (byte_level(token("<s>", single_word=True), PLAIN[1], token("word")), {"</s>"}),
    "a beginning of another": (byte_level(token("<s"), token("<s>"), token("</s>")), {"<s", *BOTH}),
    "a beginning of another that isn't": (byte_level(*PLAIN, token("</s>x", single_word=True)), {"<s>"}),
    "within another": (byte_level(*PLAIN, token("x<s>")), {"</s>", "x<s>"}),
    "over the edge of another": (byte_level(*PLAIN, token("x<")), {"x<"}),
    "over its own edge": (byte_level(token("aba"), PLAIN[0]), {"<s>"}),
    "a prefix space for each piece": (byte_level(*PLAIN, add_prefix_space=True), BOTH),
    "a space prepended": (letters(normalizers.Prepend("▁"), None), BOTH),
    "metaspace first": (letters(None, pre_tokenizers.Metaspace(prepend_scheme="first")), BOTH),
    "metaspace always": (letters(None, pre_tokenizers.Metaspace(prepend_scheme="always")), BOTH),
    "metaspace unsplit": (letters(None, pre_tokenizers.Metaspace(prepend_scheme="first", split=False)), BOTH),
    "lower case": (letters(normalizers.Lowercase(), None), BOTH),
    "white space folded": (letters(normalizers.Replace(" ", "▁"), None), BOTH),
    "a post-processor that repeats": (with_template(byte_level(*PLAIN), "$A $A </s>"), set()),
    "a post-processor that adds": (with_template(byte_level(*PLAIN), "<s> $A </s>"), BOTH),
    "no tokens": (byte_level(), set()),
}
"""Tokenizers, and before which of their tokens a text may be cut."""

FRAGMENTS = [
    "<s>",
    "</s>",
    "<s",
    "<s> ",
    "s>x",
    "s>",
    "<",
    ">",
    "x",
    " ",
    "  ",
    "\n",
    "the",
    " the",
    "word",
    "aba",
    "a",
    "<r>",
    "世",
    "é",
    "▁",
]
hostile = st.lists(st.sampled_from(FRAGMENTS), max_size=10).map("".join)


def test_dropout_is_never_cut() -> None:
    raw = byte_level(*PLAIN)
    raw.model.dropout = 0.5
    assert HuggingFaceTokenizer(raw).cut_points() == frozenset()


@pytest.mark.parametrize("kind", list(KINDS))
def test_a_text_is_cut_before_tokens_that_look_at_nothing_before_them(kind: str) -> None:
    raw, cuts = KINDS[kind]
    assert HuggingFaceTokenizer(raw).cut_points() == cuts


@pytest.mark.parametrize("kind", list(KINDS))
@given(data=st.data())
def test_cutting_there_changes_nothing(kind: str, data: st.DataObject) -> None:
    raw, cuts = KINDS[kind]
    before, after = data.draw(hostile), data.draw(hostile)
    cut = data.draw(st.sampled_from(sorted(cuts) or [""]))

    def encode(text: str) -> list[int]:
        ids: list[int] = raw.encode(text, add_special_tokens=False).ids
        return ids

    if cuts:
        assert encode(before + cut + after) == encode(before) + encode(cut + after)


@pytest.mark.parametrize("kind", list(KINDS))
@given(data=st.data())
def test_a_cache_around_it_changes_nothing(kind: str, data: st.DataObject) -> None:
    tokenizer = HuggingFaceTokenizer(KINDS[kind][0])
    cached = CachedTokenizer(tokenizer, CacheConfig(text_bytes=0))
    parts = data.draw(st.lists(hostile | hostile.map(lambda text: text * 40), max_size=5))
    added = data.draw(st.booleans())
    for length in range(1, len(parts) + 1):
        text = "".join(parts[:length])
        expected = tokenizer.encode(text, add_special_tokens=added)
        assert cached.encode(text, add_special_tokens=added) == expected


@pytest.mark.parametrize("name", ["byte_level", "byte_fallback", "metaspace", "tiktoken_small", "mock", "word_piece"])
def test_small_tokenizers_may_be_cut(name: str) -> None:
    assert {"<s>", "</s>", "<|im_start|>", "<|im_end|>"} <= small_tokenizer(name).cut_points()


some_tokens = st.lists(st.text("ab<", min_size=1, max_size=4), min_size=1, max_size=5)


@given(some_tokens, st.text("ab<", max_size=14))
def test_a_leftmost_search_finds_the_same_on_both_sides_of_a_cut(tokens: list[str], text: str) -> None:
    def found(text: str) -> list[str]:
        parts, at = [], 0
        while at < len(text):
            part = max((token for token in tokens if text.startswith(token, at)), key=len, default=text[at])
            parts.append(part)
            at += len(part)
        return parts

    for cut in safe_cut_points(tokens, tokens):
        for at in range(len(text)):
            if text.startswith(cut, at):
                assert found(text) == found(text[:at]) + found(text[at:])


@given(some_tokens, st.text("ab<", max_size=12).map(lambda text: text * 60))
def test_segments_join_to_the_text_and_begin_with_tokens(tokens: list[str], text: str) -> None:
    segments = SegmentCutter(tokens).segments(text.encode())
    assert b"".join(segments).decode() == text
    assert all(segment.decode().startswith(tuple(tokens)) for segment in segments[1:])
    assert all(len(segment) >= SHORTEST for segment in segments[:-1])


def test_a_text_that_grows_keeps_its_segments() -> None:
    cutter = SegmentCutter(["<user>", "<end>", "<end>!"])
    turns = [f"<user>{'word ' * (n % 90)}<end>" for n in range(300)]
    last: list[bytes] = []
    for length in range(1, 301, 7):
        segments = cutter.segments("".join(turns[:length]).encode())
        assert segments[: len(last) - 1] == last[:-1]
        last = segments


def test_thousands_of_tokens_make_one_pattern() -> None:
    tokens = [f"<|reserved_{n}|>" for n in range(5000)] + ["a" + "c" * n + "b" for n in range(300)]
    text = ("x < y " * 60 + "<|reserved_4999|>" + "y" * 300 + "accb") * 3
    assert len(SegmentCutter(tokens).segments(text.encode())) == 7


def test_a_vocabulary_of_too_many_added_tokens_is_not_looked_at() -> None:
    tokens = [f"<|reserved_{n}|>" for n in range(10_000)]
    assert safe_cut_points(tokens, tokens) == frozenset()
    assert safe_cut_points(["<a>", "b" * 500], ["<a>", "b" * 500]) == {"<a>"}
