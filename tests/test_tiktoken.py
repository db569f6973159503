"""tiktoken's encodings: ids as the library gives them, for every text, and back."""

from __future__ import annotations

import pickle
import unicodedata
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import pytest
import tiktoken
from hypothesis import example, given
from hypothesis import strategies as st
from tokenizers.pre_tokenizers import ByteLevel

from tests.data import HAS_DATA
from tests.hub_fixtures import in_new_process
from tests.rank_files import MERGES, PATTERN, RANKS, SPECIAL, slow_ids, small_encoding
from tests.strategies import UNKNOWN_IDS, texts
from tokenfacade import ConfigurationError, DecodeError, EncodeError, TiktokenTokenizer
from tokenfacade.backends.tiktoken_families import FAMILIES
from tokenfacade.encoding import mend_surrogates
from tokenfacade.threads import SHORT_CHARACTERS

NEEDS_DATA = pytest.mark.skipif(not HAS_DATA, reason="reads the shared test data")
NAMES = [
    "small",
    *(pytest.param(name, marks=NEEDS_DATA) for name in ("cl100k_base", "p50k_base", "p50k_edit")),
]
PATTERNS = {family.pattern: family.name for family in FAMILIES.values()}
MILLION = 1_000_000
special_texts = st.lists(texts | st.sampled_from([*SPECIAL, "<|endoftext|", "<|fim_prefix|>"]), max_size=5).map("".join)


def old_only(text: str) -> str:
    """Without characters that the regular expressions of two libraries may class differently, as Unicode grew."""
    characters = mend_surrogates(text).replace("\u0295", "")
    return "".join(c for c in characters if unicodedata.ucd_3_2_0.category(c) != "Cn")


old_texts = special_texts.map(old_only)


@cache
def with_pattern(pattern: str) -> TiktokenTokenizer:
    return TiktokenTokenizer(small_encoding(pattern=pattern))


@cache
def reference(name: str) -> tiktoken.Encoding:
    return small_encoding() if name == "small" else tiktoken.get_encoding(name)


@cache
def tokenizer_of(name: str) -> TiktokenTokenizer:
    return TiktokenTokenizer(small_encoding()) if name == "small" else TiktokenTokenizer.from_encoding(name)


class TestEncode:
    @pytest.mark.parametrize("name", NAMES)
    @given(text=special_texts)
    @example(text="<|endoftext|>")
    @example(text="\x00")
    @example(text="\ufeff\ud83d\ude00\ud800")
    def test_ids_are_the_librarys(self, name: str, text: str) -> None:
        tokenizer = tokenizer_of(name)
        assert tokenizer.encode(text).ids == reference(name).encode(text, allowed_special="all")
        literal = tokenizer.encode(text, parse_special_tokens=False)
        assert literal.ids == reference(name).encode_ordinary(text)
        assert tokenizer.decode(literal) == mend_surrogates(text)

    @given(text=old_texts)
    def test_ids_are_those_of_slow_byte_pair_encoding(self, text: str) -> None:
        assert tokenizer_of("small").encode(text, parse_special_tokens=False).ids == slow_ids(text)

    @pytest.mark.parametrize("pattern", PATTERNS, ids=PATTERNS.values())
    @given(text=old_texts)
    def test_the_way_around_the_librarys_regular_expressions_gives_the_same_ids(self, pattern: str, text: str) -> None:
        tokenizer = with_pattern(pattern)
        for parse in (True, False):
            around = tokenizer._reference.ids_by_pieces(text, parse_special_tokens=parse)
            assert around == tokenizer.encode(text, parse_special_tokens=parse).ids

    def test_special_tokens_in_a_text_are_parsed_or_are_text(self) -> None:
        tokenizer = tokenizer_of("small")
        text = "the<|endoftext|><|im_end|>"
        assert tokenizer.encode(text).ids == [RANKS[b"the"], 400, 405]
        literal = tokenizer.encode(text, parse_special_tokens=False)
        assert not set(literal) & set(SPECIAL.values())
        assert tokenizer.decode(literal) == text

    @pytest.mark.parametrize("wrong", [None, b"bytes", 5, ["a"], ["a"] * 3000, b"x" * 3000, {"a": 1}])
    def test_what_is_no_text_is_an_error_of_ours(self, wrong: Any) -> None:
        tokenizer = tokenizer_of("small")
        for parse in (True, False):
            with pytest.raises(EncodeError, match="must be a str"):
                tokenizer.encode(wrong, parse_special_tokens=parse)
            with pytest.raises(EncodeError, match="must be a str"):
                tokenizer.encode_batch(["a", wrong], parse_special_tokens=parse)
            with pytest.raises(EncodeError, match="must be a str"):
                tokenizer.count_tokens(wrong, parse_special_tokens=parse)

    @pytest.mark.parametrize("text", ["the<|im_end|> \ud800" * 500, "é" * SHORT_CHARACTERS, " " * MILLION + "x"])
    def test_long_texts_are_counted_as_they_are_encoded(self, text: str) -> None:
        tokenizer = tokenizer_of("small")
        for parse in (True, False):
            assert tokenizer.count_tokens(text, parse_special_tokens=parse) == len(
                tokenizer.encode(text, parse_special_tokens=parse)
            )

    @given(batch=st.lists(special_texts, max_size=5), parse=st.booleans())
    def test_a_batch_is_its_texts(self, batch: list[str], *, parse: bool) -> None:
        tokenizer = tokenizer_of("small")
        one_by_one = [tokenizer.encode(text, parse_special_tokens=parse) for text in batch]
        assert tokenizer.encode_batch(batch, parse_special_tokens=parse) == one_by_one
        assert [tokenizer.count_tokens(text, parse_special_tokens=parse) for text in batch] == list(
            map(len, one_by_one)
        )

    def test_a_batch_long_enough_for_threads_is_its_texts_in_order(self) -> None:
        tokenizer = tokenizer_of("small")
        batch = [f"{number} the<|im_end|>\ud800" * 2000 for number in range(12)]
        encodings = tokenizer.encode_batch(batch)
        assert encodings == [tokenizer.encode(text) for text in batch]
        assert [encoding.text for encoding in encodings] == [mend_surrogates(text) for text in batch]

    def test_offsets_are_the_characters_of_each_token(self) -> None:
        encoding = tokenizer_of("small").encode("the 😀<|im_end|>世\ud800")
        assert encoding.tokens == ["the", "Ġ", "ðŁĺ", "Ģ", "<|im_end|>", "ä¸ĸ", "ï¿½"]
        assert encoding.offsets == [(0, 3), (3, 4), (4, 5), (4, 5), (5, 15), (15, 16), (16, 17)]


class TestExtremeTexts:
    @pytest.mark.parametrize("pattern", PATTERNS, ids=PATTERNS.values())
    def test_a_million_spaces_before_a_word_encode_although_the_library_gives_up(self, pattern: str) -> None:
        encoding = small_encoding(pattern=pattern)
        tokenizer = TiktokenTokenizer(encoding)

        def expected(count: int) -> list[int]:
            """All spaces but the last are one piece, and that belongs to the word."""
            return encoding._encode_single_piece(" " * (count - 1)) + encoding.encode_ordinary(" x")

        assert expected(1000) == encoding.encode_ordinary(" " * 1000 + "x")
        assert tokenizer.encode(" " * MILLION + "x").ids == expected(MILLION)

    def test_special_tokens_among_a_million_spaces_are_parsed_or_are_text(self) -> None:
        tokenizer = tokenizer_of("small")
        text = " " * MILLION + "<|im_end|>" + " " * MILLION + "x<|endoftext|>"
        eight = RANKS[b" " * 8]
        parsed = tokenizer.encode(text).ids
        assert parsed[: MILLION // 8 + 1] == [*[eight] * (MILLION // 8), 405]
        assert parsed[-1] == 400
        assert tokenizer.decode(parsed, skip_special_tokens=False) == text
        literal = tokenizer.encode(text, parse_special_tokens=False)
        assert not set(literal) & set(SPECIAL.values())
        assert tokenizer.decode(literal) == text
        assert tokenizer.encode_batch([text, "the"]) == [tokenizer.encode(text), tokenizer.encode("the")]

    def test_of_special_tokens_that_begin_alike_the_longest_is_found_where_the_library_gives_up(self) -> None:
        special = {"<|a|>": 400, "<|a|>b": 401, "<|a": 402}
        tokenizer = TiktokenTokenizer(small_encoding(special=special))
        ids = tokenizer.encode("<|a|>b<|a|>c<|ad" + " " * MILLION + "x").ids
        assert ids[:6] == [401, 400, ord("c"), 402, ord("d"), RANKS[b" " * 8]]

    @pytest.mark.parametrize("character", [" ", "\n", "a"])
    def test_a_run_of_one_character_is_merged_as_far_as_it_goes(self, character: str) -> None:
        longest = max((token for token in MERGES if set(token) == set(character.encode())), key=len)
        count = 1_100_000 // len(longest)
        ids = tokenizer_of("small").encode(character * (count * len(longest))).ids
        assert ids == [RANKS[longest]] * count

    @pytest.mark.parametrize("text", ["\n " * 500_000, "x" + "\t" * MILLION + "\n", "^" * MILLION, "\x00" * MILLION])
    def test_a_million_of_anything_comes_back(self, text: str) -> None:
        tokenizer = tokenizer_of("small")
        assert tokenizer.decode(tokenizer.encode(text)) == text

    @NEEDS_DATA
    def test_a_million_spaces_before_a_word_encode_in_a_real_encoding(self) -> None:
        tokenizer, encoding = tokenizer_of("cl100k_base"), reference("cl100k_base")
        expected = [*encoding._encode_single_piece(" " * (MILLION - 1)), *encoding.encode_ordinary(" x")]
        assert tokenizer.encode(" " * MILLION + "x").ids == expected

    def test_a_pattern_that_only_the_library_knows_is_an_error_of_ours_where_it_gives_up(self) -> None:
        tokenizer = TiktokenTokenizer(small_encoding(pattern=r"\w+|\s+(?!\S)|\s+|\x{21}+|."))
        assert tokenizer.encode("the").ids == [RANKS[b"the"]]
        with pytest.raises(EncodeError, match="1000001 characters"):
            tokenizer.encode(" " * MILLION + "!")

    @given(text=texts)
    def test_a_vocabulary_without_all_bytes_encodes_or_raises_an_error_of_ours(self, text: str) -> None:
        letters = {bytes([byte]): byte for byte in range(0x20, 0x7F)}
        tokenizer = TiktokenTokenizer(small_encoding(ranks=letters))
        if mend_surrogates(text).isascii() and mend_surrogates(text).isprintable():
            assert tokenizer.decode(tokenizer.encode(text, parse_special_tokens=False)) == text
            return
        for call in (tokenizer.encode, tokenizer.count_tokens):
            with pytest.raises(EncodeError, match="can't encode"):
                call(text)
        with pytest.raises(EncodeError, match="can't encode"):
            tokenizer.encode_batch([text])


class TestDecode:
    def test_special_tokens_are_skipped_or_shown(self) -> None:
        tokenizer = tokenizer_of("small")
        ids = [400, *tokenizer.encode("the"), 405]
        assert tokenizer.decode(ids) == "the"
        assert tokenizer.decode(ids, skip_special_tokens=False) == "<|endoftext|>the<|im_end|>"
        assert tokenizer.decode_batch([ids, []]) == ["the", ""]

    def test_unknown_ids_contribute_nothing(self) -> None:
        tokenizer = tokenizer_of("small")
        unknown = [*UNKNOWN_IDS, 399, 402, 406]
        for skip in (True, False):
            assert tokenizer.decode([RANKS[b"th"], *unknown, RANKS[b"er"]], skip_special_tokens=skip) == "ther"
            assert tokenizer.decode(unknown, skip_special_tokens=skip) == ""
        assert [tokenizer.id_to_token(token_id) for token_id in unknown] == [None] * len(unknown)
        for token_id in unknown:
            with pytest.raises(DecodeError):
                tokenizer.token_bytes(token_id)

    @pytest.mark.parametrize("wrong", [None, "a", 1.5, b"a", [1]])
    def test_what_is_no_integer_is_an_error_of_ours(self, wrong: Any) -> None:
        tokenizer = tokenizer_of("small")
        for skip in (True, False):
            with pytest.raises(DecodeError):
                tokenizer.decode([65, wrong], skip_special_tokens=skip)
        with pytest.raises(DecodeError):
            tokenizer.id_to_token(wrong)
        with pytest.raises(DecodeError):
            tokenizer.token_bytes(wrong)

    def test_any_collection_of_integers_decodes_and_nothing_else(self) -> None:
        tokenizer = tokenizer_of("small")
        ids = tokenizer.encode("the worker").ids
        for collection in (ids, tuple(ids), iter(ids), tokenizer.encode("the worker")):
            assert tokenizer.decode(collection) == "the worker"
        for wrong in (None, 5, "a"):
            with pytest.raises(DecodeError):
                tokenizer.decode(wrong)  # type: ignore[arg-type]

    def test_true_is_the_integer_that_python_says_it_is(self) -> None:
        assert tokenizer_of("small").decode([True]) == "\x01"

    @given(data=st.data())
    def test_ids_decode_as_the_library_decodes_them(self, data: st.DataObject) -> None:
        known = sorted([*RANKS.values(), *SPECIAL.values()])
        ids = data.draw(st.lists(st.sampled_from(known), max_size=12))
        assert tokenizer_of("small").decode(ids, skip_special_tokens=False) == reference("small").decode(ids)


class TestVocabulary:
    @pytest.mark.parametrize("name", NAMES)
    def test_tokens_and_ids_are_inverse_and_gaps_have_no_token(self, name: str) -> None:
        tokenizer, encoding = tokenizer_of(name), reference(name)
        data = {**{rank: token for token, rank in encoding._mergeable_ranks.items()}}
        data |= {token_id: token.encode() for token, token_id in encoding._special_tokens.items()}
        spelled = {token_id: tokenizer.id_to_token(token_id) for token_id in range(tokenizer.vocab_size)}
        assert tokenizer.vocab_size == max(data) + 1
        assert {token_id for token_id, token in spelled.items() if token is None} == set(spelled) - set(data)
        for token_id, expected in data.items():
            token = spelled[token_id]
            assert token is not None
            assert tokenizer.token_to_id(token) == token_id
            assert tokenizer.token_bytes(token_id) == expected
        assert len(set(filter(None, spelled.values()))) == len(data)

    def test_tokens_are_spelled_as_in_hugging_faces_byte_level_vocabularies(self) -> None:
        tokenizer = tokenizer_of("small")
        assert {tokenizer.id_to_token(byte) for byte in range(256)} == set(ByteLevel.alphabet())
        level = ByteLevel(add_prefix_space=False, use_regex=False)
        for token, rank in RANKS.items():
            if token.decode(errors="ignore").encode() == token:
                [(spelled, _)] = level.pre_tokenize_str(token.decode())
                assert tokenizer.id_to_token(rank) == spelled

    @pytest.mark.parametrize("token", ["", "no such token", "ĀĀĀ", "世", "\ud800", "<|fim_prefix|>"])
    def test_an_unknown_token_has_no_id(self, token: str) -> None:
        assert tokenizer_of("small").token_to_id(token) is None

    def test_a_special_token_that_is_spelled_like_a_rank_keeps_its_own_id(self) -> None:
        tokenizer = TiktokenTokenizer(small_encoding(special={"the": 400}))
        assert tokenizer.special_tokens.ids == {"the": 400}
        assert tokenizer.encode("the").ids == [400] == [tokenizer.token_to_id("the")]
        assert tokenizer.decode([400, RANKS[b"the"]]) == "the"

    def test_special_tokens_that_share_an_id_both_lead_to_it(self) -> None:
        tokenizer = TiktokenTokenizer(small_encoding(special={"<|one|>": 400, "<|two|>": 400}))
        assert tokenizer.encode("<|one|><|two|>").ids == [400, 400]
        assert tokenizer.id_to_token(400) == tokenizer.decode([400], skip_special_tokens=False)

    def test_a_special_token_on_the_id_of_a_rank_is_refused(self) -> None:
        with pytest.raises(ConfigurationError, match="ranks"):
            TiktokenTokenizer(small_encoding(special={"<|end|>": 65}))

    def test_an_encoding_without_special_tokens_works(self) -> None:
        tokenizer = TiktokenTokenizer(small_encoding(special={}))
        assert tokenizer.decode(tokenizer.encode("the<|endoftext|>", add_special_tokens=True)) == "the<|endoftext|>"
        assert (tokenizer.special_tokens.ids, tokenizer.eos_token_ids) == ({}, ())


class TestIdentity:
    def test_equal_content_has_an_equal_fingerprint(self) -> None:
        shuffled = dict(reversed(RANKS.items()))
        again = small_encoding(ranks=shuffled, special=dict(reversed(SPECIAL.items())))
        assert TiktokenTokenizer(again).fingerprint == tokenizer_of("small").fingerprint

    @pytest.mark.parametrize(
        "changed",
        [
            {"pattern": PATTERN + "|x"},
            {"special": {**SPECIAL, "<|new|>": 500}},
            {"special": {**SPECIAL, "<|im_end|>": 404}},
            {"ranks": {**RANKS, b"new": 300}},
            {"ranks": {**RANKS, b"th": RANKS[b"he"], b"he": RANKS[b"th"]}},
        ],
        ids=["pattern", "another special token", "another special id", "another rank", "other order"],
    )
    def test_different_content_has_a_different_fingerprint(self, changed: dict[str, Any]) -> None:
        assert TiktokenTokenizer(small_encoding(**changed)).fingerprint != tokenizer_of("small").fingerprint

    def test_an_encoding_in_memory_pickles_by_content(self) -> None:
        tokenizer = tokenizer_of("small")
        again = pickle.loads(pickle.dumps(tokenizer))
        assert again.fingerprint == tokenizer.fingerprint
        assert "small" in repr(again)
        assert again.encode("the<|im_end|>") == tokenizer.encode("the<|im_end|>")

    @NEEDS_DATA
    def test_a_named_encoding_pickles_by_its_name(self) -> None:
        tokenizer = tokenizer_of("p50k_edit")
        data = pickle.dumps(tokenizer)
        assert len(data) < 200
        again = pickle.loads(data)
        assert (again.source, again.fingerprint) == ("tiktoken:p50k_edit", tokenizer.fingerprint)


class TestSharing:
    def test_sixteen_threads_share_a_tokenizer(self) -> None:
        tokenizer = TiktokenTokenizer(small_encoding())
        batch = [f"the {number} worker<|im_end|>" * number for number in range(64)]
        expected = [tokenizer.encode(text).ids for text in batch]
        with ThreadPoolExecutor(16) as pool:
            found = [list(pool.map(lambda text: tokenizer.encode(text).ids, batch)) for _ in range(8)]
            decoded = list(pool.map(lambda ids: tokenizer.decode(ids, skip_special_tokens=False), expected))
        assert found == [expected] * 8
        assert decoded == batch

    def test_a_forked_process_goes_on_with_it(self) -> None:
        code = """if True:
            import os
            from tests.rank_files import small_encoding
            from tokenfacade import TiktokenTokenizer
            tokenizer = TiktokenTokenizer(small_encoding())
            before = tokenizer.encode_batch(["the<|im_end|>" * 20_000] * 2)
            if os.fork() == 0:
                os._exit(0 if tokenizer.encode_batch(["the<|im_end|>" * 20_000] * 2) == before else 1)
            print(os.wait()[1])
        """
        assert in_new_process(code) == "0"
