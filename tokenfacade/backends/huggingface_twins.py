"""What a tokenizer of `tokenizers` is made of: its parts as JSON, and twins that share them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import tokenizers

if TYPE_CHECKING:
    from collections.abc import Sequence


def state(part: Any) -> dict[str, Any] | None:
    """A part as it stands in a ``tokenizer.json``."""
    if part is None:
        return None
    found: dict[str, Any] = json.loads(part.__getstate__())
    return found


def bare_twin(raw: tokenizers.Tokenizer) -> tokenizers.Tokenizer:
    """A tokenizer that shares the model and the pipeline, without added tokens."""
    twin = tokenizers.Tokenizer(raw.model)
    for part in ("normalizer", "pre_tokenizer", "post_processor", "decoder"):
        if getattr(raw, part) is not None:
            setattr(twin, part, getattr(raw, part))
    return twin


def literal_twin(raw: tokenizers.Tokenizer, added: Sequence[list[tokenizers.AddedToken]]) -> tokenizers.Tokenizer:
    """A twin that takes special tokens in the text literally; a setter on the one that others use would change it
    under them. It shares the model: 4 ms for 128,000 tokens, where a copy takes 500."""
    twin = bare_twin(raw)
    for tokens in added:
        twin.add_tokens(tokens)
    twin.encode_special_tokens = True
    return twin
