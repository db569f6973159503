"""A small vocabulary of byte pairs, the files that hold it, and byte-pair encoding done the slow way."""

from __future__ import annotations

import hashlib
import json
from base64 import b64encode
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import regex
import tiktoken

from tokenfacade.backends import tiktoken_names
from tokenfacade.backends.tiktoken_families import FAMILIES, RankFile

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import pytest

PATTERN = FAMILIES["cl100k_base"].pattern
SPECIAL = {"<|endoftext|>": 400, "<|im_start|>": 401, "<|im_end|>": 405}
MERGES = (
    *(b"th", b"he", b"the", b" the", b"er", b"in", b" w", b"ll", b"hell", b"wor", b"'s", b"!=", b"12", b"xy"),
    *(b"  ", b" " * 4, b" " * 8, b"\n\n", b"\n" * 4, b"aa", b"aaaa", b"a" * 8),
    *(b"\xc3\xa9", b"\xe4\xb8", b"\xe4\xb8\x96", b"\xf0\x9f", b"\xf0\x9f\x98", b"\xef\xbf\xbd"),
)
RANKS = {token: rank for rank, token in enumerate((*(bytes([byte]) for byte in range(256)), *MERGES))}


def small_encoding(
    *, pattern: str = PATTERN, ranks: Mapping[bytes, int] = RANKS, special: Mapping[str, int] = SPECIAL
) -> tiktoken.Encoding:
    """An encoding of the library with the small vocabulary."""
    return tiktoken.Encoding("small", pat_str=pattern, mergeable_ranks=dict(ranks), special_tokens=dict(special))


def content_of(ranks: Mapping[bytes, int] = RANKS) -> bytes:
    """What a file with these ranks holds."""
    return b"".join(b64encode(token) + b" %d\n" % rank for token, rank in ranks.items())


def write_model(folder: Path, name: str, **configs: Mapping[str, Any]) -> Path:
    """A model folder with the small vocabulary in the file `name`, and JSON files beside it; returns that file."""
    folder.mkdir(parents=True, exist_ok=True)
    for stem, config in configs.items():
        (folder / f"{stem}.json").write_text(json.dumps(config), encoding="utf-8")
    (folder / name).write_bytes(content_of())
    return folder / name


def publish(monkeypatch: pytest.MonkeyPatch, name: str, *others: str) -> RankFile:
    """Pretend that the small vocabulary is what OpenAI published as these encodings."""
    digest = hashlib.sha256(content_of()).hexdigest()
    published = RankFile(f"{name}.tiktoken", cache_name=hashlib.sha1(name.encode()).hexdigest(), sha256=digest)
    monkeypatch.setattr(tiktoken_names, "RANK_FILES", dict.fromkeys((name, *others), published))
    return published


def slow_ids(text: str, *, pattern: str = PATTERN, ranks: Mapping[bytes, int] = RANKS) -> list[int]:
    """The ids of a text without special tokens: merge the pair of the lowest rank, again and again."""
    return [token_id for piece in regex.findall(pattern, text, regex.V1) for token_id in _merged(piece.encode(), ranks)]


def _merged(piece: bytes, ranks: Mapping[bytes, int]) -> list[int]:
    if piece in ranks:
        return [ranks[piece]]
    parts = [piece[at : at + 1] for at in range(len(piece))]
    while True:
        pairs = [(ranks[left + right], at) for at, (left, right) in enumerate(pairwise(parts)) if left + right in ranks]
        if not pairs:
            return [ranks[part] for part in parts]
        at = min(pairs)[1]
        parts[at : at + 2] = [parts[at] + parts[at + 1]]
