"""The real tokenizers of the test data, each loaded once."""

from __future__ import annotations

import json
from functools import cache
from typing import TYPE_CHECKING, Any

import tokenizers

from tests.data import DATA, HAS_DATA
from tokenfacade import HuggingFaceTokenizer, TiktokenTokenizer, create_tokenizer

if TYPE_CHECKING:
    from tokenfacade import Tokenizer

OPENAI_NAMES = ("cl100k_base", "p50k_base")
TIKTOKEN_NAMES = (*OPENAI_NAMES, "gpt2-tiktoken", "qwen-tiktoken")
HUGGING_FACE_NAMES = (
    "all-minilm-l6-v2",
    "clip",
    "deepseek-v3",
    "falcon",
    "minimind",
    "phi-3-mini",
    "roberta-base",
    "t5-small",
    "torchtitan-test",
)
REAL_NAMES = (*HUGGING_FACE_NAMES, *TIKTOKEN_NAMES) if HAS_DATA else ()


@cache
def real_tokenizer(name: str) -> Tokenizer:
    """The tokenizer as a user loads it: with what lies beside its file."""
    if name in OPENAI_NAMES:
        return create_tokenizer(f"tiktoken:{name}")
    if name in TIKTOKEN_NAMES:
        return TiktokenTokenizer.from_file(DATA / "models" / name, special_tokens=golden_meta(name)["special_tokens"])
    return create_tokenizer(DATA / "models" / name)


@cache
def golden_tokenizer(name: str) -> Tokenizer:
    """The tokenizer as the goldens were made: those of Hugging Face without what lies beside the file."""
    if name in TIKTOKEN_NAMES:
        return real_tokenizer(name)
    raw = tokenizers.Tokenizer.from_file(str(DATA / "models" / name / "tokenizer.json"))
    return HuggingFaceTokenizer(raw)


def golden_meta(name: str) -> dict[str, Any]:
    """How the goldens of a model were made."""
    meta: dict[str, Any] = json.loads((DATA / "goldens" / "encode" / f"{name}.meta.json").read_text())
    return meta
