"""The added tokens that the files beside a ``tokenizer.json`` name."""

from __future__ import annotations

from typing import TYPE_CHECKING

import tokenizers

if TYPE_CHECKING:
    from collections.abc import Mapping, Set

    from tokenfacade.model_config import AddedTokenConfig, ModelConfig


def tokens_to_add(own: Mapping[int, tokenizers.AddedToken], config: ModelConfig) -> list[tokenizers.AddedToken]:
    """What the config has beside the file's `own` added tokens, in the order of transformers: by id, then by name, then
    the rest."""
    if not (config.named or config.added_tokens or config.extra):
        return []
    names = {token.content for token in config.named.values()}
    by_id = {token_id: _added_token(token, names) for token_id, token in config.added_tokens.items()}
    if not config.lists_added_tokens:
        by_id |= {token_id: _made_special(token) if str(token) in names else token for token_id, token in own.items()}
    known = {str(token): token for token in own.values()}
    present = known.keys() | {str(token) for token in by_id.values()}
    others = dict.fromkeys(token for token in (*config.named.values(), *config.extra) if token.content not in present)
    tokens = [*(by_id[token_id] for token_id in sorted(by_id)), *(_added_token(token, names) for token in others)]
    return [token for token in tokens if known.get(str(token)) != token]


def _added_token(token: AddedTokenConfig, names: Set[str]) -> tokenizers.AddedToken:
    flags = {} if token.normalized is None else {"normalized": token.normalized}
    return tokenizers.AddedToken(
        token.content,
        single_word=token.single_word,
        lstrip=token.lstrip,
        rstrip=token.rstrip,
        special=token.special or token.content in names,
        **flags,
    )


def _made_special(token: tokenizers.AddedToken) -> tokenizers.AddedToken:
    return tokenizers.AddedToken(**{**token.__getstate__(), "special": True})
