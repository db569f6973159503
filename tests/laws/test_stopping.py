"""First to complete, Least held, Hidden and Visible, on every backend: the published laws, and examples from users."""

from __future__ import annotations

import pytest

from tests.small import small_tokenizer
from tokenfacade import Held, MockTokenizer, Stopped, Text
from tokenfacade.encoding import mend_surrogates
from tokenfacade.testing import StoppingLaws
from tokenfacade.testing.stopping import given_out


class TestStopping(StoppingLaws):
    """On every tokenizer of `tests.small` and `tests.real`."""


def test_a_skipped_special_token_comes_out_where_it_is_a_visible_stop() -> None:
    tokenizer = MockTokenizer()
    ids = tokenizer.encode("hello</s>world").ids
    eos = tokenizer.eos_token_ids[0]
    decoder = tokenizer.stop_decoder(visible_stop_token_ids=[eos])
    assert given_out(decoder, ids) == "hello</s>"
    assert decoder.matched_stop == eos


@pytest.mark.parametrize(
    ("stops", "text", "expected", "matched"),
    [
        (["DEFGHIJ"], "ABCDEFGHIJK", "ABC", "DEFGHIJ"),
        (["re", "he"], "there", "t", "he"),
        (["he", "re"], "there", "t", "he"),
        (["abcd", "b"], "abcd", "a", "b"),
        (["bcd", "abcd"], "xabcde", "x", "abcd"),
        (["five"], "four, five, six", "four, ", "five"),
        (["aab"], "aaab", "a", "aab"),
        (["abab!"], "ababab!", "ab", "abab!"),
        (["ab", "abc"], "abc", "", "ab"),
        (["\n<|endoftext|>"], "a\nb\n<|endoftext|>", "a\nb", "\n<|endoftext|>"),
        (["Pari"], "in Paris", "in ", "Pari"),
        (["<|sep|>"], "a<|se<|sep|>", "a<|se", "<|sep|>"),
        (["😊"], "hi 😊 there", "hi ", "😊"),
        (["\ud83d\ude0a"], "hi 😊 there", "hi ", "\ud83d\ude0a"),
    ],
)
def test_examples_from_users(stops: list[str], text: str, expected: str, matched: str) -> None:
    bytes_alone, whole_text = MockTokenizer([]), MockTokenizer([text])
    for tokenizer in (bytes_alone, whole_text, small_tokenizer("byte_level"), small_tokenizer("tiktoken_small")):
        decoder = tokenizer.stop_decoder(stops)
        ids = tokenizer.encode(text).ids if tokenizer is not whole_text else [tokenizer.token_to_id(text) or 0]
        assert given_out(decoder, ids) + decoder.flush().text == expected
        assert decoder.matched_stop == mend_surrogates(matched)


def test_the_flushed_tail_may_complete_a_stop() -> None:
    tokenizer = MockTokenizer()
    decoder = tokenizer.stop_decoder(["x\ufffd"])
    assert decoder.process_tokens([0x61, 0x78, 0xF0]) == [Text("a"), Held(), Held()]
    assert decoder.flush() is Stopped()
    assert decoder.matched_stop == "x\ufffd"
