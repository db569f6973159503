"""Encoding ever new texts takes no more memory than encoding the first thousands did."""

from __future__ import annotations

import sys

import pytest

from tests.benchmarks.memory import growth, unique_texts
from tests.small import small_tokenizer

MOST_BYTES = 6_000_000
"""2,000 texts of 500 characters with their ids take 9 MB if they are kept."""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux says how much memory a process has in a file")
@pytest.mark.parametrize(
    "name", ["byte_level", "byte_fallback", "metaspace", "word_piece", "no_decoder", "tiktoken_small", "mock"]
)
def test_unique_texts_leave_nothing_behind(name: str) -> None:
    tokenizer = small_tokenizer(name)
    assert growth(tokenizer, unique_texts(500), warm_up=2_000, texts=2_000) < MOST_BYTES
