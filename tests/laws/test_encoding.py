"""Total, offsets, flags and truncation, on every backend: the published laws, and a million characters in a row."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given

from tests.data import HAS_DATA
from tests.real import REAL_NAMES, real_tokenizer
from tests.small import SMALL, small_tokenizer
from tokenfacade.encoding import mend_surrogates, spans_of_bytes
from tokenfacade.testing import EncodingLaws
from tokenfacade.testing.oracles import mended, touched
from tokenfacade.testing.strategies import texts

if TYPE_CHECKING:
    from tokenfacade import Tokenizer

KEEP_TEXT = (
    *("tiktoken_small", "mock", "mock_words", "windowed_mock"),
    *("deepseek-v3", "minimind", "cl100k_base", "p50k_base", "gpt2-tiktoken", "qwen-tiktoken"),
)


class TestEncoding(EncodingLaws):
    """On every tokenizer of `tests.small` and `tests.real`."""

    round_trip = "lossy"


@pytest.mark.parametrize("name", [name for name in KEEP_TEXT if name in (*SMALL, *REAL_NAMES)])
def test_vocabularies_of_all_bytes_lose_nothing(name: str) -> None:
    tokenizer = small_tokenizer(name) if name in SMALL else real_tokenizer(name)
    EncodingLaws().test_decoding_gives_back_the_text(tokenizer)


@given(texts)
def test_surrogates_are_mended_as_an_oracle_says(text: str) -> None:
    assert mend_surrogates(text) == mended(text)


@given(texts)
def test_spans_of_bytes_are_what_an_oracle_says(text: str) -> None:
    text = mended(text)
    data = text.encode()
    parts = [data[at : at + 2] for at in range(0, len(data), 2)]
    assert spans_of_bytes(text, parts) == touched(text, parts)


LONG = [" " * 1_000_001 + "x", "\n" * 300_000, "a" * 1_000_000, "\x00" * 1000, "世" * 100_000]


@pytest.mark.parametrize("name", ["byte_level", "byte_fallback", "metaspace", "tiktoken_small", "mock"])
@pytest.mark.parametrize("text", LONG, ids=["spaces", "newlines", "letters", "nul", "ideographs"])
def test_a_million_unbroken_characters_encode(name: str, text: str) -> None:
    ids = small_tokenizer(name).encode(text).ids
    assert len(ids) >= 1


@pytest.mark.skipif(not HAS_DATA, reason="the test data is not here; .ci/run insists on it")
@pytest.mark.parametrize("name", ["deepseek-v3", "phi-3-mini", "t5-small", "cl100k_base", "qwen-tiktoken"])
def test_long_white_space_encodes_on_real_tokenizers(name: str) -> None:
    tokenizer: Tokenizer = real_tokenizer(name)
    assert tokenizer.decode(tokenizer.encode(LONG[0])).strip() == "x"
