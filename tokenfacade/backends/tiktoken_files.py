"""Files of ranks: finding, reading and checking them, and telling their family."""

from __future__ import annotations

import hashlib
import os
from binascii import Error as Base64Error
from binascii import a2b_base64
from typing import TYPE_CHECKING

import tiktoken

from tokenfacade.backends.tiktoken_families import FAMILIES, RANK_FILES, family_of_config
from tokenfacade.errors import ConfigurationError, CorruptTokenizerError, TokenizerNotFoundError, UnsupportedFormatError

if TYPE_CHECKING:
    from collections.abc import Container, Mapping
    from pathlib import Path

    from tokenfacade.model_config import ModelConfig

Ranks = dict[bytes, int]

MAX_ID = 2**32 - 2
"""tiktoken keeps ids in 32 bits, and the last number for itself."""


def find_rank_file(path: Path) -> Path:
    """The file itself, or the one file of ranks in a folder.

    Raises:
        TokenizerNotFoundError: There is none.
        ConfigurationError: There are several.
    """
    if os.path.isfile(path):  # unlike the method, False for what can't be a path at all
        return path
    if not os.path.isdir(path):
        raise TokenizerNotFoundError(f"there is no file {path}", source=str(path))
    found = sorted({*path.glob("*.tiktoken"), *path.glob("tiktoken.model")})
    if not found and (path / "tokenizer.model").is_file():
        return path / "tokenizer.model"
    if not found:
        raise TokenizerNotFoundError(
            f"there is no *.tiktoken, tiktoken.model or tokenizer.model in {path}", source=str(path)
        )
    if len(found) > 1:
        names = ", ".join(file.name for file in found)
        raise ConfigurationError(f"{path} holds several files of ranks ({names}): pass the path of one")
    return found[0]


def read_ranks(file: Path) -> Ranks:
    """The ranks of a file whose lines are a token in base64 and its rank.

    Raises:
        CorruptTokenizerError: The file is empty or cut off, a rank occurs twice, or a byte is missing that texts
            need.
    """
    lines = read_bytes(file).splitlines()
    try:
        # The token may be empty: the last line of Whisper's multilingual file is "= 50256".
        pairs = [(a2b_base64(token), int(rank)) for token, rank in (line.split() for line in lines if line)]
    except (ValueError, Base64Error) as error:
        raise CorruptTokenizerError(
            f"{file} is no file of ranks, lines of base64 and a number ({error}); if it is one, it is cut off: fetch "
            f"it again",
            source=str(file),
        ) from error
    ranks = dict(pairs)
    _check_ranks(file, ranks, len(pairs))
    return ranks


def read_bytes(file: Path) -> bytes:
    """The content of a file.

    Raises:
        CorruptTokenizerError: It can't be read.
    """
    try:
        return file.read_bytes()
    except OSError as error:
        raise CorruptTokenizerError(f"{file} can't be read: {error}", source=str(file)) from error


def _check_ranks(file: Path, ranks: Ranks, n_lines: int) -> None:
    problem = None
    missing = [byte for byte in range(256) if bytes([byte]) not in ranks]
    if not ranks:
        problem = "is empty"
    elif len(set(ranks.values())) != n_lines:
        problem = "has a rank or a token twice"
    elif min(ranks.values()) < 0 or max(ranks.values()) > MAX_ID:
        problem = "has a rank that is negative or too large"
    elif missing:
        problem = f"lacks {len(missing)} of the 256 single bytes, so not every text could be encoded"
    if problem:
        raise CorruptTokenizerError(f"{file} {problem}; it may be cut off: fetch it again", source=str(file))


def folder_of_config(file: Path) -> Path:
    """The folder whose JSON files and templates belong to a file: its own; for Meta's own files, which the repositories
    of Llama 3 keep in ``original/``, the one above."""
    folder = file.absolute().parent
    configs = ("tokenizer_config.json", "special_tokens_map.json", "config.json")
    is_bare = not any(os.path.isfile(folder / name) for name in configs)
    return folder.parent if is_bare and folder.name == "original" else folder


def family_of_file(file: Path, config: ModelConfig, *, is_required: bool) -> str | None:
    """The family that the config beside a file shows, or the file's own name or content if OpenAI published it.

    Raises:
        UnsupportedFormatError: It is unknown, and `is_required`.
    """
    name = family_of_config(config.tokenizer, config.model)
    if name is None and file.suffix == ".tiktoken" and file.stem in FAMILIES:
        name = file.stem
    name = name or _published_family(file)
    if name is None and is_required:
        raise UnsupportedFormatError(
            f"{file} holds ranks, but nothing says how its family splits text and which special tokens it has: there "
            f"is no "
            f"tokenizer_config.json or config.json of a known family beside it. Pass family= (one of "
            f"{', '.join(FAMILIES)}), or "
            f"pattern= and special_tokens=, to TiktokenTokenizer.from_file",
            source=str(file),
        )
    return name


def _published_family(file: Path) -> str | None:
    digest = hashlib.sha256(read_bytes(file)).hexdigest()
    return next((name for name, known in RANK_FILES.items() if known.sha256 == digest and name in FAMILIES), None)


def make_encoding(file: Path, pattern: str, ranks: Ranks, special_tokens: Mapping[str, int]) -> tiktoken.Encoding:
    """The encoding of a file.

    Raises:
        ConfigurationError: A special token has no spelling, no id that can be one, or an id that is a rank; or the
            pattern is no regular expression.
    """
    taken = set(ranks.values())
    wrong = [token for token, token_id in special_tokens.items() if not _can_be_special(token, token_id, taken)]
    if wrong:
        raise ConfigurationError(
            f"special tokens {wrong[:5]} have no spelling, no id from 0 to {MAX_ID}, or one that is a rank of {file} "
            f"already"
        )
    try:
        return tiktoken.Encoding(file.name, pat_str=pattern, mergeable_ranks=ranks, special_tokens=dict(special_tokens))
    except (ValueError, TypeError) as error:
        raise ConfigurationError(
            f"the pattern {pattern!r} is no regular expression that tiktoken takes: {error}"
        ) from error


def _can_be_special(token: object, token_id: object, taken: Container[int]) -> bool:
    spelled = isinstance(token, str) and token != ""
    return spelled and isinstance(token_id, int) and 0 <= token_id <= MAX_ID and token_id not in taken
