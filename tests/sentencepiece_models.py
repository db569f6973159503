"""SentencePiece models for tests: small ones of every kind, trained here, and the real ones of the test data."""

from __future__ import annotations

import io
import json
from functools import cache
from typing import TYPE_CHECKING, Any

import sentencepiece

from tests.data import DATA, HAS_DATA
from tokenfacade.backends.sentencepiece import SentencePieceTokenizer

if TYPE_CHECKING:
    from pathlib import Path

REAL = ("llama2-spm", "mistral-spm-v1", "spm-test-en") if HAS_DATA else ()

_TEXTS = [
    "the quick brown fox jumps over the lazy dog",
    "hello world, this is a test of the tokens and words.",
    "日本語 世界 the world",
    "x = y + 1; foo(bar)  two  spaces",
    "the the the and and and",
]

_AS_IT_IS = {"normalization_rule_name": "identity", "remove_extra_whitespaces": False}
_BYTES = {"byte_fallback": True, "vocab_size": 400}
_KINDS: dict[str, dict[str, Any]] = {
    "plain": {},
    "bytes": _BYTES,
    "symbols": {"user_defined_symbols": ["<tag>", "foo", "▁▁", " the "], "control_symbols": ["<ctl>", "<x>"]},
    "suffix": {"treat_whitespace_as_suffix": True},
    "no_prefix": {"add_dummy_prefix": False},
    "spaces": {"remove_extra_whitespaces": False},
    "as_llama": {**_AS_IT_IS, **_BYTES},
    "as_gemma": {**_AS_IT_IS, **_BYTES, "add_dummy_prefix": False, "user_defined_symbols": ["<turn>", "\n\n"]},
    "phrases": {**_AS_IT_IS, "byte_fallback": True, "vocab_size": 420, "split_by_whitespace": False},
    "as_t5": {"bos_id": -1, "pad_id": 0, "eos_id": 1, "unk_id": 2, "unk_surface": "?"},
}
_FEW_KINDS = ("plain", "bytes", "symbols", "suffix", "as_llama")
SMALL = [f"{algorithm} {kind}" for algorithm in ("bpe", "unigram") for kind in _KINDS]
SMALL += [f"{algorithm} {kind}" for algorithm in ("char", "word") for kind in _FEW_KINDS]
ALL = [*SMALL, *REAL]


@cache
def model_data(name: str) -> bytes:
    """The content of a model file: ``"bpe bytes"`` is trained, ``"llama2-spm"`` read."""
    if name in REAL:
        return (DATA / "models" / name / "tokenizer.model").read_bytes()
    algorithm, _, kind = name.partition(" ")
    return train(model_type=algorithm, **_KINDS[kind])


def train(**options: Any) -> bytes:
    """A small model."""
    written = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(_TEXTS * 20),
        model_writer=written,
        **{"vocab_size": 120, "hard_vocab_limit": False, "minloglevel": 3, **options},
    )
    return written.getvalue()


@cache
def library(name: str) -> sentencepiece.SentencePieceProcessor:
    """The model in the library itself."""
    return sentencepiece.SentencePieceProcessor(model_proto=model_data(name))


@cache
def tokenizer_of(name: str) -> SentencePieceTokenizer:
    """The model here, without any files beside it."""
    return SentencePieceTokenizer(model_data(name))


def write_folder(folder: Path, name: str, config: dict[str, Any] | None = None) -> Path:
    """A model folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tokenizer.model").write_bytes(model_data(name))
    if config is not None:
        (folder / "tokenizer_config.json").write_text(json.dumps(config))
    return folder
