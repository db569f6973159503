"""SentencePiece model files: finding and reading them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from tokenfacade.detect import detect_format
from tokenfacade.errors import ConfigurationError, CorruptTokenizerError, TokenizerNotFoundError, UnsupportedFormatError

if TYPE_CHECKING:
    from pathlib import Path

LARGEST = 1 << 26
"""Bytes of a file that is read; the largest model known has 16 MB."""


def find_model_file(path: Path) -> Path:
    """The file itself, or the one model in a folder.

    Raises:
        TokenizerNotFoundError: There is none.
        ConfigurationError: There are several.
    """
    if os.path.isfile(path):  # unlike the method, False for what can't be a path at all
        return path
    if not os.path.isdir(path):
        raise TokenizerNotFoundError(f"there is no file {path}", source=str(path))
    if os.path.isfile(path / "tokenizer.model"):
        return path / "tokenizer.model"
    named = [file for file in sorted(path.glob("*.model")) if file.is_file()]
    # Without any the rest is returned, for the error that says what it is.
    found = [file for file in named if detect_format(file) == "sentencepiece"] or named
    if not found:
        raise TokenizerNotFoundError(
            f"there is no tokenizer.model, nor another SentencePiece model, in {path}", source=str(path)
        )
    if len(found) > 1:
        names = ", ".join(file.name for file in found)
        raise ConfigurationError(f"{path} holds several models ({names}): pass the path of one")
    return found[0]


def read_model_file(file: Path) -> bytes:
    """The content of a model file.

    Raises:
        CorruptTokenizerError: It can't be read.
        UnsupportedFormatError: It is too large for one, or something else by its first bytes.
    """
    kind = detect_format(file)
    if kind == "lfs":
        raise CorruptTokenizerError(
            f"{file} is a Git LFS pointer, not the file itself: run git lfs pull", source=str(file)
        )
    if kind not in ("sentencepiece", "unknown", "empty"):
        raise UnsupportedFormatError(f"{file} is no SentencePiece model, but of the format {kind}", source=str(file))
    try:
        if os.path.getsize(file) > LARGEST:
            raise UnsupportedFormatError(f"{file} is too large for a SentencePiece model", source=str(file))
        return file.read_bytes()
    except OSError as error:
        raise CorruptTokenizerError(f"{file} can't be read: {error}", source=str(file)) from error
