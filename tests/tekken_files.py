"""Small Tekken vocabularies as files hold them."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import TYPE_CHECKING, Any

from tests import rank_files

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

PATTERN = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
    r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*"
    r"|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
UNREACHABLE = (b"wor", b"\xef\xbf\xbd")
"""No merge of two tokens leads to these; the fast engine refuses a vocabulary that has one."""

TOKENS = tuple(token for token in rank_files.RANKS if token not in UNREACHABLE)
N_SPECIAL = 30
N_TOKENS = len(TOKENS) - 3
"""Files list more tokens than they use."""

VERSION_13_TOKENS = ("<unk>", "<s>", "</s>", "[INST]", "[/INST]", "[TOOL_CALLS]", "<pad>", "[ARGS]", "[THINK]")


def special_tokens(*tokens: str) -> list[dict[str, Any]]:
    """Special tokens as a file lists them; every other one is flagged as no control token."""
    return [
        {"rank": token_id, "token_str": token, "is_control": token_id % 2 == 0} for token_id, token in enumerate(tokens)
    ]


def tekken_content(
    *,
    version: str = "v3",
    tokens: Sequence[bytes] = TOKENS,
    special: Sequence[str] | None = None,
    config: Mapping[str, Any] | None = None,
    **members: Any,
) -> dict[str, Any]:
    """What a file with the small vocabulary holds; `config` and `members` replace what it would have."""
    usual = {
        "pattern": PATTERN,
        "num_vocab_tokens": len(tokens),
        "default_vocab_size": N_SPECIAL + N_TOKENS,
        "default_num_special_tokens": N_SPECIAL,
        "version": version,
    }
    vocabulary = [
        {"rank": rank, "token_bytes": b64encode(token).decode(), "token_str": token.decode("utf-8", "ignore") or None}
        for rank, token in enumerate(tokens)
    ]
    listed = None if special is None else special_tokens(*special)
    return {"config": {**usual, **(config or {})}, "vocab": vocabulary, "special_tokens": listed, **members}


def write_tekken(folder: Path, content: object = None, *, name: str = "tekken.json", **configs: object) -> Path:
    """A model folder with a vocabulary, and JSON files beside it; returns the file of the vocabulary."""
    folder.mkdir(parents=True, exist_ok=True)
    for stem, config in configs.items():
        (folder / f"{stem}.json").write_text(json.dumps(config), encoding="utf-8")
    (folder / name).write_text(json.dumps(tekken_content() if content is None else content), encoding="utf-8")
    return folder / name
