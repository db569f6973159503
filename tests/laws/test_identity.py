"""Pickles, copies, threads, processes and async, on every backend: the published laws, and how small a pickle is."""

from __future__ import annotations

import pickle

import pytest

from tests.data import DATA, HAS_DATA
from tests.real import REAL_NAMES, real_tokenizer
from tokenfacade import create_tokenizer
from tokenfacade.testing import AsyncLaws, IdentityLaws

IN_MEMORY = 100_000
"""Bytes of a pickled tokenizer that has no source; the real ones of the Tiktoken files carry their special tokens."""


class TestIdentity(IdentityLaws):
    """On every tokenizer of `tests.small` and `tests.real`; those made in memory pickle by content."""

    largest_pickle = IN_MEMORY


class TestAsync(AsyncLaws):
    """On every tokenizer of `tests.small` and `tests.real`."""


SOURCES = [
    "mock:",
    "examples/tokenizer",
    *(["tiktoken:cl100k_base", str(DATA / "models" / "falcon")] if HAS_DATA else []),
]


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: str(source).rpartition("/")[2])
def test_what_is_loaded_from_a_source_pickles_small(source: str) -> None:
    tokenizer = create_tokenizer(source)
    assert len(pickle.dumps(tokenizer)) < 1000
    assert create_tokenizer(tokenizer.source).fingerprint == tokenizer.fingerprint


@pytest.mark.parametrize("name", [name for name in REAL_NAMES if name != "qwen-tiktoken"])
def test_real_tokenizers_pickle_by_source(name: str) -> None:
    assert len(pickle.dumps(real_tokenizer(name))) < 1000
