"""Small GGUF files: a header with metadata, and no tensors."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

Value = int | float | bool | str | list[str] | list[int] | list[float]

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, BYTE = 1, 2, 3, 4, 6
"""Types of tokens."""


def write_gguf(file: Path, metadata: Mapping[str, Value]) -> Path:
    """Write a file of version 3; returns it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    entries = b"".join(_string(key) + _typed(value) for key, value in metadata.items())
    file.write_bytes(b"GGUF" + struct.pack("<IQQ", 3, 0, len(metadata)) + entries)
    return file


def vocabulary(model: str, tokens: Sequence[tuple[str, int]], **others: Value) -> dict[str, Value]:
    """The metadata of a tokenizer: tokens with their types, and more under ``tokenizer.ggml``."""
    own: dict[str, Value] = {"model": model, "tokens": [text for text, _ in tokens]}
    own["token_type"] = [kind for _, kind in tokens]
    return {"general.architecture": "llama"} | {f"tokenizer.ggml.{key}": value for key, value in (own | others).items()}


def _string(text: str) -> bytes:
    data = text.encode()
    return struct.pack("<Q", len(data)) + data


def _typed(value: Value) -> bytes:
    if isinstance(value, list):
        kind, _ = _plain(value[0])
        return struct.pack("<IIQ", 9, kind, len(value)) + b"".join(_plain(item)[1] for item in value)
    kind, data = _plain(value)
    return struct.pack("<I", kind) + data


def _plain(value: object) -> tuple[int, bytes]:
    if isinstance(value, bool):
        return 7, struct.pack("<?", value)
    if isinstance(value, int):
        return 5, struct.pack("<i", value)
    if isinstance(value, float):
        return 6, struct.pack("<f", value)
    return 8, _string(str(value))
