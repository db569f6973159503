"""Making the accelerated engine's own tokenizers, from what the reference libraries hold."""

from __future__ import annotations

from base64 import b64encode
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tokenfacade.backends.fast import FastTokenizer


def from_json(text: str) -> FastTokenizer:
    """The engine of a ``tokenizer.json``."""
    import fastokens  # type: ignore[import-untyped]

    made: FastTokenizer = fastokens.Tokenizer.from_json_str(text)
    return made


def from_ranks(
    ranks: Mapping[bytes, int], special_tokens: Mapping[str, int], *, pattern: str | None, preset: str | None
) -> FastTokenizer:
    """The engine of a tiktoken vocabulary, with a pattern or with one that the engine knows by name."""
    import fastokens

    in_order = sorted(ranks.items(), key=lambda item: item[1])
    # It reads a file only. This one isn't the file that the ranks came from, which may have changed, or not exist.
    with TemporaryDirectory(prefix="tokenfacade-") as folder:
        file = Path(folder) / "ranks.tiktoken"
        file.write_bytes(b"".join([b64encode(token) + b" %d\n" % rank for token, rank in in_order]))
        made: FastTokenizer = fastokens.Tokenizer.from_tiktoken(
            str(file), pattern=pattern, special_tokens=dict(special_tokens), encoding=preset
        )
    return made
