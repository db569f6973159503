"""The mock: what people who test routers rely on."""

from __future__ import annotations

import pickle

import pytest
from hypothesis import given

from tests.strategies import texts
from tokenfacade import ConfigurationError, MockTokenizer
from tokenfacade.encoding import mend_surrogates


@given(texts)
def test_every_text_survives(text: str) -> None:
    tokenizer = MockTokenizer()
    assert tokenizer.decode(tokenizer.encode(text), skip_special_tokens=False) == mend_surrogates(text)
    assert tokenizer.decode(tokenizer.encode(text, parse_special_tokens=False)) == mend_surrogates(text)


def test_bytes_come_first_then_words_then_special_tokens() -> None:
    tokenizer = MockTokenizer(["alpha", "beta"], special_tokens=["<s>", "</s>"])
    assert [tokenizer.id_to_token(n) for n in (0, 65, 255)] == ["<0x00>", "<0x41>", "<0xFF>"]
    assert [tokenizer.id_to_token(256 + n) for n in range(6)] == ["alpha", " alpha", "beta", " beta", "<s>", "</s>"]
    assert tokenizer.vocab_size == 262
    assert tokenizer.special_tokens.ids == {"<s>": 260, "</s>": 261}
    assert tokenizer.eos_token_ids == (261,)


def test_it_is_deterministic_and_its_fingerprint_tells_vocabularies_apart() -> None:
    assert MockTokenizer().fingerprint == MockTokenizer().fingerprint
    assert MockTokenizer(["a"]).fingerprint != MockTokenizer(["b"]).fingerprint
    assert MockTokenizer(special_tokens=["</s>"]).fingerprint != MockTokenizer().fingerprint


def test_a_vocabulary_of_ones_own_survives_pickling() -> None:
    tokenizer = MockTokenizer(["alpha"], special_tokens=["<x>"])
    again = pickle.loads(pickle.dumps(tokenizer))
    assert again.encode("alpha<x>") == tokenizer.encode("alpha<x>")


def test_begin_of_sequence_is_added_where_there_is_one() -> None:
    assert MockTokenizer().encode("hello", add_special_tokens=True).tokens == ["<s>", "hello"]
    assert MockTokenizer().encode("hello", add_special_tokens=True).offsets == [(0, 0), (0, 5)]
    bare = MockTokenizer(special_tokens=[])
    assert bare.encode("hello", add_special_tokens=True).tokens == ["hello"]
    assert bare.eos_token_ids == ()


def test_the_longest_special_token_is_parsed() -> None:
    tokenizer = MockTokenizer(special_tokens=["<a>", "<a><b>"])
    assert tokenizer.encode("<a><b><a>").tokens == ["<a><b>", "<a>"]


@pytest.mark.parametrize(
    ("words", "special"), [(["a", "a"], []), ([""], []), (["a"], ["a"]), (["<0x41>"], []), ([], [""])]
)
def test_a_vocabulary_that_can_not_be_is_refused(words: list[str], special: list[str]) -> None:
    with pytest.raises(ConfigurationError):
        MockTokenizer(words, special_tokens=special)
