"""Where a tokenizer of `tokenizers` comes from: a ``tokenizer.json``, or one of the caller, which is copied."""

from __future__ import annotations

from typing import TYPE_CHECKING

import tokenizers

from tokenfacade.backends.panics import is_failure
from tokenfacade.errors import ConfigurationError, CorruptTokenizerError, LoadError, UnsupportedFormatError
from tokenfacade.model_config import read_json

if TYPE_CHECKING:
    from pathlib import Path


def load_raw(file: Path) -> tokenizers.Tokenizer:
    """What a file holds.

    Raises:
        UnsupportedFormatError: It is JSON of another kind.
        CorruptTokenizerError: It is empty, cut off or contradictory.
    """
    if file.stat().st_size == 0:
        raise CorruptTokenizerError(f"{file} is empty: fetch it again", source=str(file))
    try:
        return tokenizers.Tokenizer.from_file(str(file))
    except BaseException as error:
        if not is_failure(error):
            raise
        raise _load_error(file, error) from error


def _load_error(file: Path, error: BaseException) -> LoadError:
    content = read_json(file)
    if not isinstance(content, dict) or not isinstance(content.get("model"), dict):
        return UnsupportedFormatError(
            f"{file} is JSON, but no tokenizer.json: it has no model. A bare vocabulary is loaded by its folder",
            source=str(file),
        )
    return CorruptTokenizerError(
        f"{file} can't be read as a tokenizer.json ({error}); it may be damaged, or made for a newer version of "
        f"tokenizers than {tokenizers.__version__}",
        source=str(file),
    )


def copied(raw: tokenizers.Tokenizer) -> tokenizers.Tokenizer:
    """A copy, by way of its JSON: half a second for 128,000 tokens.

    Raises:
        ConfigurationError: It can't be saved, or not as it is.
    """
    try:
        copy = tokenizers.Tokenizer.from_str(raw.to_str())
    except Exception as error:
        raise ConfigurationError(
            f"HuggingFaceTokenizer takes a tokenizers.Tokenizer that can be saved (the backend_tokenizer of one from "
            f"transformers), not this {type(raw).__name__}: {error}"
        ) from error
    if copy.get_added_tokens_decoder() != raw.get_added_tokens_decoder():
        raise ConfigurationError("the added tokens of this tokenizer have ids that they lose when it is saved")
    return copy
