"""Encoding ever new texts takes no more memory than encoding the first thousands did, in one thread and in several."""

from __future__ import annotations

import sys

import pytest

from tests.benchmarks.memory import growth
from tests.small import small_tokenizer

MOST_BYTES = 6_000_000
"""2,000 texts of 500 characters with their ids take 9 MB if they are kept."""


pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="only Linux says how much memory a process has in a file"
)


@pytest.mark.parametrize(
    "name", ["byte_level", "byte_fallback", "metaspace", "word_piece", "no_decoder", "tiktoken_small", "mock"]
)
def test_unique_texts_leave_nothing_behind(name: str) -> None:
    assert growth(small_tokenizer(name), 500, warm_up=2_000, texts=2_000) < MOST_BYTES


@pytest.mark.parametrize("name", ["byte_level", "byte_fallback", "tiktoken_small", "sentencepiece_bpe"])
def test_nor_do_they_in_four_threads(name: str) -> None:
    tokenizer = small_tokenizer(name)
    tokenizer.wait_for_engine()
    assert growth(tokenizer, 500, warm_up=1_000, texts=700, threads=4) < MOST_BYTES
