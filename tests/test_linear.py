"""Every text encodes in time that grows with its length: no text is so unusual that a backend gives up or crawls.

Nothing here reads a clock: what grows with the square of the length takes minutes for one of these texts, and the
suite's own limit of time ends it.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from tests.data import HAS_DATA
from tests.real import real_tokenizer
from tests.small import SMALL, small_tokenizer
from tokenfacade.encoding import mend_surrogates

if TYPE_CHECKING:
    from tokenfacade import Tokenizer

CHARACTERS = 100_000
CHANCE = random.Random(4)
BASE64 = "".join(CHANCE.choices("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", k=20_000))
IDEOGRAPHS = "".join(chr(CHANCE.randrange(0x4E00, 0x9FA0)) for _ in range(20_000))

UNITS = {
    "one letter": "a",
    "letters without spaces": BASE64.lower(),
    "base64": BASE64,
    "spaces": " ",
    "newlines": "\n",
    "other line ends": "\r\n",
    "no-break spaces": "\u00a0",
    "NUL": "\x00",
    "digits": "0123456789",
    "punctuation": ".",
    "combining marks": "\u0301",
    "one ideograph": "世",
    "ideographs": IDEOGRAPHS,
    "joined emoji": "👩\u200d👩\u200d👧",
    "an expanding ligature": "ﷺ",
    "lone surrogates": "\ud800",
    "special tokens": "<|im_start|></s><s>[CLS]<|endoftext|>",
    "nearly special tokens": "<|im_start|<|im_start<s</",
    "stand-ins for spaces": "▁",
    "words": "the worker ",
}


def text_of(unit: str, characters: int) -> str:
    return (UNITS[unit] * (characters // len(UNITS[unit]) + 1))[:characters]


def encodes(tokenizer: Tokenizer, text: str) -> None:
    ids = tokenizer.encode(text).ids
    assert all(0 <= token_id < tokenizer.vocab_size for token_id in ids)
    assert tokenizer.count_tokens(text) == len(ids)
    literal = tokenizer.encode(text, parse_special_tokens=False)
    assert literal.text == mend_surrogates(text)


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("name", [name for name in SMALL if not name.startswith("windowed")])
def test_unusual_texts_encode(name: str, unit: str) -> None:
    encodes(small_tokenizer(name), text_of(unit, CHARACTERS // 4))


REAL = ["deepseek-v3", "phi-3-mini", "t5-small", "all-minilm-l6-v2", "cl100k_base", "llama2-spm", "tekken-240911"]


@pytest.mark.skipif(not HAS_DATA, reason="the test data is not here; .ci/run insists on it")
@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("name", REAL)
def test_unusual_texts_encode_on_real_tokenizers(name: str, unit: str) -> None:
    encodes(real_tokenizer(name), text_of(unit, CHARACTERS // 4))


@pytest.mark.parametrize("unit", ["one letter", "spaces", "digits", "combining marks"])
@pytest.mark.parametrize("name", ["byte_level", "byte_fallback", "metaspace", "tiktoken_small", "mock"])
def test_a_million_of_them_encode(name: str, unit: str) -> None:
    text = text_of(unit, 1_000_000)
    assert small_tokenizer(name).encode(text).text == text


@pytest.mark.parametrize("name", ["byte_level", "tiktoken_small", "mock"])
def test_offsets_of_long_texts_too(name: str) -> None:
    for unit in ("base64", "joined emoji", "combining marks"):
        encoding = small_tokenizer(name).encode(text_of(unit, CHARACTERS // 4))
        assert encoding.offsets[-1][1] == CHARACTERS // 4


@pytest.mark.parametrize("name", ["byte_level", "metaspace", "tiktoken_small", "mock"])
def test_truncating_long_texts_too(name: str) -> None:
    tokenizer = small_tokenizer(name)
    for unit in ("base64", "spaces", "one ideograph"):
        text = text_of(unit, CHARACTERS)
        assert tokenizer.count_tokens(tokenizer.truncate(text, 100)) <= 100
        assert text.endswith(tokenizer.truncate(text, 100, side="left"))
