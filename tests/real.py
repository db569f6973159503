"""The real tokenizers of the test data, each loaded once."""

from __future__ import annotations

import atexit
import gzip
import json
import shutil
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING, Any

import tokenizers

from tests.data import DATA, HAS_DATA
from tokenfacade import HuggingFaceTokenizer, TiktokenTokenizer, create_tokenizer

if TYPE_CHECKING:
    from tokenfacade import Tokenizer
    from tokenfacade.engine import EngineChoice

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
SENTENCEPIECE_NAMES = ("llama2-spm", "mistral-spm-v1", "spm-test-en")
TEKKEN_NAMES = ("tekken-240911",)
GGUF_NAMES = ("gguf-bert-bge", "gguf-deepseek-coder", "gguf-gpt-2", "gguf-llama-spm")
_ALL_NAMES = (*HUGGING_FACE_NAMES, *TIKTOKEN_NAMES, *SENTENCEPIECE_NAMES, *TEKKEN_NAMES, *GGUF_NAMES)
REAL_NAMES = _ALL_NAMES if HAS_DATA else ()


@cache
def scratch_folder() -> Path:
    """A folder for files that tokenizers of the whole session come from."""
    folder = mkdtemp(prefix="tokenfacade-tests-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)


@cache
def model_folder(name: str) -> Path:
    """The folder of a model; what is compressed in the test data, a copy of it that isn't."""
    folder = DATA / "models" / name
    if not any(folder.glob("*.gz")):
        return folder
    unzipped = scratch_folder() / name
    unzipped.mkdir()
    for file in folder.iterdir():
        content = file.read_bytes()
        is_compressed = file.suffix == ".gz"
        (unzipped / (file.stem if is_compressed else file.name)).write_bytes(
            gzip.decompress(content) if is_compressed else content
        )
    return unzipped


@cache
def real_tokenizer(name: str, engine: EngineChoice = "auto") -> Tokenizer:
    """The tokenizer as a user loads it: with what lies beside its file."""
    if name in OPENAI_NAMES:
        return create_tokenizer(f"tiktoken:{name}", engine=engine)
    if name in TIKTOKEN_NAMES:
        special_tokens = golden_meta(name)["special_tokens"]
        return TiktokenTokenizer.from_file(model_folder(name), special_tokens=special_tokens, engine=engine)
    return create_tokenizer(model_folder(name), engine=engine)


@cache
def golden_tokenizer(name: str) -> Tokenizer:
    """The tokenizer as the goldens were made, by the reference: those of Hugging Face without what lies beside the
    file."""
    if name not in HUGGING_FACE_NAMES:
        return real_tokenizer(name, "reference")
    raw = tokenizers.Tokenizer.from_file(str(model_folder(name) / "tokenizer.json"))
    return HuggingFaceTokenizer(raw, engine="reference")


@cache
def golden_meta(name: str) -> dict[str, Any]:
    """How the goldens of a model were made."""
    meta: dict[str, Any] = json.loads((DATA / "goldens" / "encode" / f"{name}.meta.json").read_text())
    return meta
