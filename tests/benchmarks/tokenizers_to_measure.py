"""The real tokenizers that benchmarks run on, from the test data."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.data import DATA
from tokenfacade import HuggingFaceTokenizer, TiktokenTokenizer

if TYPE_CHECKING:
    from tokenfacade import Tokenizer

NAMES = ("deepseek-v3", "phi-3-mini", "cl100k_base")


def load(name: str) -> Tokenizer:
    """One of `NAMES`: byte-level, byte fallback, tiktoken."""
    if name == "cl100k_base":
        return TiktokenTokenizer.from_encoding(name)
    return HuggingFaceTokenizer.from_file(DATA / "models" / name)
