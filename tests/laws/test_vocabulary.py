"""Tokens, ids and bytes, on every backend: the published laws."""

from __future__ import annotations

from tokenfacade.testing import VocabularyLaws


class TestVocabulary(VocabularyLaws):
    """On every tokenizer of `tests.small` and `tests.real`."""
