"""A writer of GGUF files: small vocabularies, both byte orders, and headers that lie."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from tokenfacade.decoding.pieces import byte_alphabet

Kind = Literal["u8", "i8", "u16", "i16", "u32", "i32", "f32", "bool", "string", "array", "u64", "i64", "f64"]

KINDS: Mapping[Kind, int] = {
    **{"u8": 0, "i8": 1, "u16": 2, "i16": 3, "u32": 4, "i32": 5, "f32": 6, "bool": 7, "string": 8, "array": 9},
    **{"u64": 10, "i64": 11, "f64": 12},
}
LAYOUTS: Mapping[Kind, str] = {
    **{"u8": "B", "i8": "b", "u16": "H", "i16": "h", "u32": "I", "i32": "i", "f32": "f", "bool": "?"},
    **{"u64": "Q", "i64": "q", "f64": "d"},
}
BYTES = list(byte_alphabet())
"""The spellings of the 256 bytes."""

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = 1, 2, 3, 4, 5, 6


@dataclass(frozen=True)
class Typed:
    """A value of a kind that the value itself doesn't show; of an array, the kind of what is in it."""

    kind: Kind
    value: Any
    is_array: bool = False


def gguf(values: Mapping[str, Any] | Iterable[tuple[str, Any]], *, order: str = "<", version: int = 3) -> bytes:
    """A file of these keys; numbers are 32 bits wide unless they say otherwise."""
    pairs = list(values.items() if isinstance(values, Mapping) else values)
    head = b"GGUF" + struct.pack(f"{order}IQQ", version, 0, len(pairs))
    return head + b"".join(_string(key, order) + _typed(value, order) for key, value in pairs)


def _typed(value: Any, order: str) -> bytes:
    kind = _kind(value)
    return struct.pack(f"{order}I", KINDS[kind]) + _written(value, kind, order)


def _kind(value: Any) -> Kind:
    if isinstance(value, Typed):
        return "array" if value.is_array else value.kind
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, str | bytes):
        return "string"
    if isinstance(value, list | tuple):
        return "array"
    return "f32" if isinstance(value, float) else "u32" if value >= 0 else "i32"


def _written(value: Any, kind: Kind, order: str) -> bytes:
    content = value.value if isinstance(value, Typed) else value
    if kind == "string":
        return _string(content, order)
    if kind != "array":
        return struct.pack(f"{order}{LAYOUTS[kind]}", content)
    inner = value.kind if isinstance(value, Typed) else _kind(content[0]) if content else "string"
    head = struct.pack(f"{order}IQ", KINDS[inner], len(content))
    return head + b"".join(_written(item, inner, order) for item in content)


def _string(text: str | bytes, order: str) -> bytes:
    data = text if isinstance(text, bytes) else text.encode()
    return struct.pack(f"{order}Q", len(data)) + data


def metadata(model: str, tokens: Sequence[tuple[str, int]], **values: Any) -> dict[str, Any]:
    """The keys of a vocabulary: tokens with their types, and any other keys of ``tokenizer.ggml``."""
    return {
        "general.architecture": "llama",
        "tokenizer.ggml.model": model,
        "tokenizer.ggml.tokens": [token for token, _ in tokens],
        "tokenizer.ggml.token_type": Typed("i32", [kind for _, kind in tokens], is_array=True),
        **{key if "." in key else f"tokenizer.ggml.{key}": value for key, value in values.items()},
    }


def byte_level(*special: tuple[str, int], words: Sequence[str] = (), **values: Any) -> dict[str, Any]:
    """A ``gpt2`` vocabulary: all bytes, these words with the merges that lead to them, and the special tokens."""
    merges = [f"{word[:end]} {word[end]}" for word in words for end in range(1, len(word))]
    merged = [word[: end + 1] for word in words for end in range(1, len(word))]
    tokens = [*BYTES, *dict.fromkeys(merged)]
    return metadata(
        "gpt2",
        [*((token, NORMAL) for token in tokens), *special],
        **{"merges": list(dict.fromkeys(merges)), "pre": "gpt-2", **values},
    )


def scored(*special: tuple[str, int], words: Sequence[str] = (), **values: Any) -> dict[str, Any]:
    """A ``llama`` vocabulary: unknown, BOS, EOS, bytes, ASCII characters, and words of them with what leads there."""
    base = [("<unk>", UNKNOWN), ("<s>", CONTROL), ("</s>", CONTROL), *((f"<0x{n:02X}>", BYTE) for n in range(256))]
    letters = [chr(n) for n in range(0x21, 0x7F)] + ["▁"]
    grown = dict.fromkeys(word[:end] for word in words for end in range(2, len(word) + 1))
    tokens = [*base, *((word, NORMAL) for word in grown), *((letter, NORMAL) for letter in letters), *special]
    scores = [0.0] * len(base) + [-1.0 - n for n in range(len(tokens) - len(base))]
    return metadata("llama", tokens, **{"scores": scores, **values})


def unigram(words: Mapping[str, float], *special: tuple[str, int], **values: Any) -> dict[str, Any]:
    """A ``t5`` vocabulary."""
    tokens = [("<pad>", CONTROL), ("</s>", CONTROL), ("<unk>", UNKNOWN), *((word, NORMAL) for word in words), *special]
    scores = [0.0, 0.0, 0.0, *words.values(), *([0.0] * len(special))]
    return metadata("t5", tokens, **{"scores": scores, **values})


def wordpiece(words: Sequence[str], **values: Any) -> dict[str, Any]:
    """A ``bert`` vocabulary, in which words begin with ``▁``."""
    special = [(f"[{name}]", CONTROL) for name in ("PAD", "UNK", "CLS", "SEP", "MASK")]
    roles = {"unknown_token_id": 1, "bos_token_id": 2, "cls_token_id": 2, "seperator_token_id": 3, "mask_token_id": 4}
    return metadata("bert", [*special, *((word, NORMAL) for word in words)], **{**roles, **values})


def write(folder: Path, values: Mapping[str, Any], *, name: str = "model.gguf", order: str = "<") -> Path:
    """Write a file into a folder."""
    path = folder / name
    path.write_bytes(gguf(values, order=order))
    return path


def charsmap(rules: Mapping[str, str]) -> bytes:
    """SentencePiece's compiled form of these rules: a double array, and the texts that its values point to."""
    texts = b"".join(text.encode() + b"\0" for text in rules.values())
    places = {}
    at = 0
    for key, text in rules.items():
        places[key.encode()] = at
        at += len(text.encode()) + 1
    units: dict[int, int] = {0: 0}
    nodes = [(b"", 0)]
    while nodes:
        prefix, index = nodes.pop(0)
        following = sorted({key[len(prefix)] for key in places if key.startswith(prefix) and key != prefix})
        base = next(n for n in range(1, 1 << 20) if not any(n ^ label in units for label in (0, *following)))
        units[index] |= (index ^ base) << 10 | (prefix in places) << 8
        units[base] = places.get(prefix, 0) | 1 << 31
        for label in following:
            units[base ^ label] = label
            nodes.append((prefix + bytes((label,)), base ^ label))
    array = [units.get(n, 1 << 31) for n in range(max(units) + 1)]
    return struct.pack(f"<I{len(array)}I", 4 * len(array), *array) + texts
