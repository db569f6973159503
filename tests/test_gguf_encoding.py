"""The ids of GGUF vocabularies: against what llama.cpp gave, and against its algorithms written plainly."""

from __future__ import annotations

import json
import struct
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.data import DATA, HAS_DATA, records
from tests.gguf_files import (
    CONTROL,
    UNUSED,
    USER_DEFINED,
    Typed,
    byte_level,
    charsmap,
    scored,
    unigram,
    wordpiece,
    write,
)
from tests.gguf_oracles import merged_by_score, most_probable, parts, words_from_the_longest
from tests.real import scratch_folder
from tokenfacade import CorruptTokenizerError, EncodeError
from tokenfacade.backends.gguf import GGUFTokenizer
from tokenfacade.backends.gguf_bpe import word_divider
from tokenfacade.backends.gguf_charsmap import read_charsmap
from tokenfacade.backends.gguf_partition import Partition, can_overlap
from tokenfacade.backends.gguf_patterns import DEFAULT, pre_tokenizer_named
from tokenfacade.backends.gguf_vocabulary import StripRules

REAL = ("gpt-2", "deepseek-coder", "llama-spm", "bert-bge")
WORDS = json.loads((Path(__file__).parent / "gguf_words.json").read_text())
BETWEEN = "\n__ggml_vocab_test__\n"
needs_data = pytest.mark.skipif(not HAS_DATA, reason="the test data is not here; .ci/run insists on it")


@cache
def small(name: str) -> GGUFTokenizer:
    """A small vocabulary by name, loaded once."""
    return GGUFTokenizer.from_file(write(scratch_folder(), SMALL[name], name=f"{name}.gguf"), engine="reference")


@cache
def real(name: str) -> GGUFTokenizer:
    return GGUFTokenizer.from_file(DATA / "models" / f"gguf-{name}", engine="reference")


SMALL: dict[str, dict[str, Any]] = {
    "bytes": byte_level(("<s>", CONTROL), ("<t>", USER_DEFINED), words=["Ġab", "ba", "ĊĊ"], bos_token_id=262),
    "overlapping": byte_level(*((token, CONTROL) for token in ("[a]", "a][", "]b", "bb"))),
    "unmergeable": byte_level(words=["ab"], merges=["a b", "b c", "Ġ x", "bc d", "c"]),
    "scores": scored(("<t>", USER_DEFINED), words=["▁ab", "ba", "</s", "▁▁", "<unk"]),
    "ties": scored(words=["▁ab", "bab", "aa", "▁b"], scores=[0.0] * 259 + [-1.0] * 200),
    "bare": scored(words=["▁ab"], add_space_prefix=False, add_eos_token=True),
    "probable": unigram(
        {"▁": -2.0, "a": -3.0, "b": -3.5, "▁ab": -4.0, "ba": -5.5, "abab": -9.0}, add_space_prefix=True
    ),
    "merging": unigram({"▁": -2.0, "a": -3.0, "▁a": -4.0}, add_space_prefix=True, remove_extra_whitespaces=True),
    "words": wordpiece(["▁a", "▁", "a", "b", "ba", "▁ba", "▁!", "é", "e"]),
}


@needs_data
@pytest.mark.parametrize("name", REAL)
def test_the_vectors_of_llama_cpp(name: str) -> None:
    folder = DATA / "goldens" / "llama_cpp_vectors"
    texts = (folder / f"ggml-vocab-{name}.gguf.inp").read_bytes().decode().split(BETWEEN)
    expected = (folder / f"ggml-vocab-{name}.gguf.out").read_text().split("\n")
    assert len(texts) == len(expected) == 47
    for text, line in zip(texts, expected, strict=True):
        assert real(name).encode(text, parse_special_tokens=False).ids == [int(number) for number in line.split()]


@needs_data
@pytest.mark.parametrize("name", REAL)
def test_the_goldens_of_llama_cpp(name: str) -> None:
    tokenizer = real(name)
    meta = json.loads((DATA / "goldens" / "encode" / f"gguf-{name}.meta.json").read_text())
    assert tokenizer.vocab_size == meta["n_vocab"]
    assert set(tokenizer.eos_token_ids) == set(meta["eog_ids"])
    assert len(tokenizer.special_tokens.ids) == meta["control_ids"] + (name == "llama-spm")  # and the unknown
    for record in records(DATA / "goldens" / "encode" / f"gguf-{name}.jsonl"):
        encoding = tokenizer.encode(
            record["text"],
            add_special_tokens=record["add_special_tokens"],
            parse_special_tokens=record["parse_special"],
        )
        assert encoding.ids == record["ids"], record["text"]
        assert len(encoding.offsets) == len(encoding)
        assert tokenizer.decode(encoding.ids) == record["decoded_skip"]
        assert tokenizer.decode(encoding.ids, skip_special_tokens=False) == record["decoded_noskip"]


@pytest.mark.parametrize("name", WORDS["words"])
def test_words_are_those_of_llama_cpp(name: str) -> None:
    """What llama.cpp gave for vocabularies in which every part of these texts is a token."""
    pre = pre_tokenizer_named(name) or DEFAULT
    for text, expected in zip(WORDS["texts"], WORDS["words"][name], strict=True):
        found = word_divider(pre, pre.patterns).pre_tokenize_str(text)
        assert [text[start:end] for _, (start, end) in found] == expected
        if pre.usual and (pre.usual_for == "all" or text.isascii()):
            usual = word_divider(pre, pre.usual).pre_tokenize_str(text)
            assert [text[start:end] for _, (start, end) in usual] == expected


@given(text=st.text(st.sampled_from("aZé1 \n\t'sſ.ÉΩ中½\u0301😊\u3000")))
@pytest.mark.parametrize("name", ["llama3", "qwen2", "qwen35", "gpt-4o", "tekken"])
def test_the_usual_pattern_divides_like_the_exact_one_where_it_is_used(name: str, text: str) -> None:
    pre = pre_tokenizer_named(name)
    assert pre is not None
    if "'ſ" not in text if pre.usual_for == "all" else text.isascii():
        exact, usual = (word_divider(pre, patterns).pre_tokenize_str(text) for patterns in (pre.patterns, pre.usual))
        assert exact == usual


def test_a_long_s_is_no_contraction(tmp_path: Path) -> None:
    file = write(tmp_path, byte_level(words=["'Å¿a"], pre="llama3"))
    tokenizer = GGUFTokenizer.from_file(file, engine="reference")
    assert tokenizer.encode("'ſa").tokens == ["'Å¿a"]
    assert [encoding.tokens for encoding in tokenizer.encode_batch(["'ſa", "'s"])] == [["'Å¿a"], ["'", "s"]]


token_texts = st.text(st.sampled_from("ab[] "), min_size=1, max_size=4)


def joined(*pieces: str) -> st.SearchStrategy[str]:
    return st.lists(st.sampled_from(pieces), max_size=25).map("".join)


texts = joined("a", "b", " ", "  ", "▁", "é", "😊", "<", "</s", ">", "<unk>", "\n", "!")


@given(tokens=st.lists(token_texts, max_size=6, unique=True), text=st.text(st.sampled_from("ab[] x"), max_size=20))
def test_special_tokens_are_found_as_one_by_one(tokens: list[str], text: str) -> None:
    # Of the tokens of one length llama.cpp takes any first.
    ids = {token: n for n, token in enumerate(tokens)}
    found = Partition.of(ids, StripRules()).parts(text)
    spelled = [text[start:end] if token_id is None else token_id for start, end, token_id in found]
    assert "".join(text[start:end] for start, end, _ in found) == text
    assert spelled == parts(text, ids)


@given(
    tokens=st.lists(st.sampled_from(["<a>", "<b>", "<ab>", " <c>"]), min_size=1, unique=True),
    text=st.lists(st.sampled_from(["<a>", "<b>", "<ab>", " <c>", " ", "\n", "x", "\u00a0"])).map("".join),
    sides=st.tuples(st.sets(st.integers(0, 3)), st.sets(st.integers(0, 3))),
)
def test_tokens_that_take_white_space(tokens: list[str], text: str, sides: tuple[set[int], set[int]]) -> None:
    ids = {token: n for n, token in enumerate(tokens)}
    left, right = map(frozenset, sides)
    found = Partition.of(ids, StripRules(left, right)).parts(text)
    spelled = [text[start:end] if token_id is None else token_id for start, end, token_id in found]
    assert spelled == parts(text, ids, left=left, right=right)


def test_which_tokens_overlap() -> None:
    assert not can_overlap([])
    assert not can_overlap(["<|a|>", "<|ab|>", "|a"])
    assert not can_overlap(["  ", "   ", "\n\n"])
    assert can_overlap(["  ", " a"])
    assert can_overlap(["aba"])
    assert can_overlap(["a" * 600])
    many = {"<" * n + ">": n for n in range(1, 400)}
    assert Partition.of(many, StripRules()).parts("a<<<>")[-1] == (1, 5, 3)


@given(text=texts)
@pytest.mark.parametrize("name", ["scores", "ties", "bare"])
def test_scores_merge_as_in_llama_cpp(name: str, text: str) -> None:
    tokenizer, values = small(name), SMALL[name]
    tokens, scores = values["tokenizer.ggml.tokens"], values["tokenizer.ggml.scores"]
    prefix = "" if name == "bare" else " "
    expected = merged_by_score(prefix + text, tokens, scores) if text else []
    assert tokenizer.encode(text, parse_special_tokens=False).ids == expected
    around = tokenizer.encode(text, add_special_tokens=True, parse_special_tokens=False).ids
    assert around == [1, *expected, *([2] if name == "bare" else [])]


def test_a_space_begins_what_follows_a_special_token() -> None:
    tokenizer = small("scores")
    assert tokenizer.encode("ab</s>ab<t>ab").tokens == ["▁ab", "</s>", "▁ab", "<t>", "▁ab"]
    assert tokenizer.encode("ab</s>", parse_special_tokens=False).tokens == ["▁ab", "</s>"]
    parts_of = [("ab", None), ("</s>", 2), ("ab", None), ("ab", None)]
    encoding = tokenizer.encode_parts(parts_of)
    assert encoding.tokens == ["▁ab", "</s>", "▁ab", "a", "b"]
    assert encoding.offsets == [(0, 2), (2, 6), (6, 8), (8, 9), (9, 10)]


@given(text=texts)
def test_sums_of_scores_are_greatest(text: str) -> None:
    values = SMALL["probable"]
    tokens, scores = values["tokenizer.ggml.tokens"], values["tokenizer.ggml.scores"]
    known = {token: (n, scores[n]) for n, token in enumerate(tokens) if n > 2}
    words = text.lstrip(" ")
    prefixed = text[: len(text) - len(words)] + (" " if words else "") + words
    expected = most_probable(prefixed.replace(" ", "▁"), known, 2)
    encoding = small("probable").encode(text, parse_special_tokens=False)
    assert encoding.ids == expected
    _check_offsets(encoding.offsets, text)
    merged = "".join(f"▁{word}" for word in text.split(" ") if word)
    known = {"▁": (3, -2.0), "a": (4, -3.0), "▁a": (5, -4.0)}
    encoding = small("merging").encode(text, parse_special_tokens=False)
    assert encoding.ids == most_probable(merged, known, 2)
    _check_offsets(encoding.offsets, text)


@given(text=joined("a", "b", "B", "é", "É", "e\u0301", " ", "\u3000", "!", "中", "\0", "\u200b", "x"))
def test_words_are_divided_from_the_longest_token(text: str) -> None:
    plain = text.replace("\0", "").replace("\u200b", "").replace("\u0301", "").replace("\u3000", " ")
    spaced = "".join(f" {letter} " if letter in "!中" else letter for letter in plain)
    words = spaced.lower().replace("é", "e").split()
    ids = {token: n for n, token in enumerate(SMALL["words"]["tokenizer.ggml.tokens"])}
    encoding = small("words").encode(text, parse_special_tokens=False)
    assert encoding.ids == words_from_the_longest(words, ids, 1)
    _check_offsets(encoding.offsets, text)
    assert small("words").encode(text, add_special_tokens=True, parse_special_tokens=False).ids == [2, *encoding.ids, 3]


def _check_offsets(offsets: list[tuple[int, int]], text: str) -> None:
    assert all(0 <= start <= end <= len(text) for start, end in offsets)
    assert [start for start, _ in offsets] == sorted(start for start, _ in offsets)


def test_accents_and_capitals_stay_where_the_file_says_so(tmp_path: Path) -> None:
    words = ["▁É", "▁é", "▁e"]
    for lowercase, strip, expected in [(True, True, "▁e"), (True, False, "▁é"), (False, False, "▁É")]:
        options = {"normalizer.lowercase": lowercase, "normalizer.strip_accents": strip}
        named = {f"tokenizer.ggml.{key}": value for key, value in options.items()}
        tokenizer = GGUFTokenizer.from_file(write(tmp_path, wordpiece(words, **named)))
        assert tokenizer.encode("É").tokens == [expected]


def test_what_no_token_can_spell_is_dropped_as_in_llama_cpp() -> None:
    tokenizer = small("unmergeable")
    # "bc" is no token, although merges lead to it: its bytes are. "Ġx" has a byte outside ASCII, which is none.
    assert tokenizer.encode("abc").tokens == ["ab", "c"]
    assert tokenizer.encode("bc").tokens == ["b", "c"]
    assert tokenizer.encode("bcd x").tokens == ["b", "c", "d", "x"]
    assert len(tokenizer.encode("bcd x").offsets) == 4


@given(text=joined("[a]", "a][", "]b", "b", "x", "[", " "))
def test_overlapping_tokens_are_taken_longest_first(text: str) -> None:
    tokenizer = small("overlapping")
    expected: list[str] = []
    for part in parts(text, tokenizer.added_tokens):
        expected += [tokenizer.id_to_token(part) or ""] if isinstance(part, int) else list(part.replace(" ", "Ġ"))
    encoding = tokenizer.encode(text)
    assert encoding.tokens == expected
    assert tokenizer.decode(encoding, skip_special_tokens=False) == text
    assert tokenizer.count_tokens(text) == len(encoding)


@pytest.mark.parametrize("name", SMALL)
def test_every_text_encodes_in_every_way(name: str) -> None:
    tokenizer = small(name)
    texts = ["", "a", "\ud83d\ude00", "\ud800x", "\0", " " * 50_000, "ab" * 20_000, "<s>" * 5_000, "\n" * 20_000, "'ſ"]
    for added in (False, True):
        encodings = [tokenizer.encode(text, add_special_tokens=added) for text in texts]
        batch = tokenizer.encode_batch(texts, add_special_tokens=added)
        assert [encoding.ids for encoding in batch] == [encoding.ids for encoding in encodings]
        counts = [tokenizer.count_tokens(text, add_special_tokens=added) for text in texts]
        assert counts == [len(encoding) for encoding in encodings]
        for encoding in encodings:
            assert len(encoding.offsets) == len(encoding)
    assert tokenizer.encode("\ud800").ids == tokenizer.encode("\ufffd").ids
    for wrong in (None, 5, b"a", ["a"]):
        with pytest.raises(EncodeError):
            tokenizer.encode(wrong)  # type: ignore[arg-type]


@given(text=texts)
@pytest.mark.parametrize("name", SMALL)
def test_a_text_may_be_cut_before_these_tokens(name: str, text: str) -> None:
    tokenizer = small(name)
    for token in tokenizer.cut_points():
        whole = tokenizer.encode(f"{text}{token}{text}").ids
        assert whole == tokenizer.encode(text).ids + tokenizer.encode(token + text).ids
    assert bool(tokenizer.cut_points()) == (name not in ("overlapping", "unmergeable"))


def test_bytes_join_over_what_is_skipped() -> None:
    tokenizer = small("scores")
    face = [3 + byte for byte in "😀".encode()]
    ids = [*face[:2], 2, *face[2:]]
    assert tokenizer.decode(ids) == "😀"
    assert tokenizer.decode(ids, skip_special_tokens=False) == "\ufffd</s>\ufffd\ufffd"
    stream = tokenizer.decode_stream()
    assert [stream.step(token_id) for token_id in ids] == [None, None, None, None, "😀"]
    assert tokenizer.token_bytes(face[0]) == b"\xf0"


def test_rules_of_normalization(tmp_path: Path) -> None:
    rules = {"A": "a", "B": "b", "é": "e", "e\u0301": "e", "\u3000": " ", "xy": "ab"}
    data = charsmap(rules)
    assert read_charsmap(data, "made here") == rules
    values = unigram({"▁": -1.0, "a": -2.0, "b": -2.0, "e": -3.0, "▁ab": -2.5}, ("Bx", USER_DEFINED), ("y", UNUSED))
    values |= {"tokenizer.ggml.precompiled_charsmap": Typed("u8", data, is_array=True)}
    values |= {"tokenizer.ggml.add_space_prefix": True}
    tokenizer = GGUFTokenizer.from_file(write(tmp_path, values))
    encoding = tokenizer.encode("xyA\u3000é e\u0301xy")
    assert encoding.tokens == ["▁ab", "a", "▁", "e", "▁", "e", "a", "b"]
    assert encoding.offsets == [(0, 2), (2, 3), (3, 4), (4, 5), (5, 6), (6, 8), (8, 10), (8, 10)]
    # A user-defined token is kept, and so is whatever it begins with.
    assert tokenizer.encode("BBx").tokens == ["▁", "<unk>", "Bx"]
    assert tokenizer.encode("xBx").tokens == ["▁", "<unk>", "Bx"]


@pytest.mark.parametrize(
    "damage", [b"\1", b"\4\0\0\0", struct.pack("<I", 2**31) + bytes(9), struct.pack("<I", 6) + bytes(20)]
)
def test_damaged_rules_are_refused(tmp_path: Path, damage: bytes) -> None:
    with pytest.raises(CorruptTokenizerError, match="rules of normalization"):
        read_charsmap(damage, "made here")


@given(data=st.binary(max_size=400))
def test_any_rules_are_read_or_refused(data: bytes) -> None:
    content = struct.pack("<I", len(data) // 8 * 4) + data
    try:
        rules = read_charsmap(content, "made here")
    except CorruptTokenizerError:
        return
    assert all(isinstance(key, str) and isinstance(text, str) for key, text in rules.items())
