"""What a config says about the special tokens of an encoding, and what it leaves unsaid."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from tokenfacade.model_config import AddedTokenConfig, ModelConfig

if TYPE_CHECKING:
    from collections.abc import Mapping

    import tiktoken

END_TOKENS = ("<|endoftext|>", "<|end_of_text|>", "[EOS]")
HARMONY_END_TOKENS = ("<|return|>", "<|endoftext|>", "<|call|>")
"""As in the generation_config of gpt-oss."""


def openai_config(encoding: tiktoken.Encoding) -> ModelConfig:
    """What the configs of OpenAI's models would say, had they any."""
    ends = HARMONY_END_TOKENS if "<|return|>" in encoding.special_tokens_set else END_TOKENS
    ids = [encoding.encode_single_token(token) for token in ends if token in encoding.special_tokens_set]
    return with_end_token(ModelConfig(generation={"eos_token_id": ids}), encoding)


def with_end_token(config: ModelConfig, encoding: tiktoken.Encoding) -> ModelConfig:
    """The config with the token that ends a text, where it doesn't name one and the vocabulary has a usual one."""
    present = [token for token in END_TOKENS if token in encoding.special_tokens_set]
    if "eos_token" in config.named or not present:
        return config
    return replace(config, named={**config.named, "eos_token": AddedTokenConfig(present[0], special=True)})


def not_special(config: ModelConfig) -> frozenset[str]:
    """The added tokens that aren't flagged special, nor named or listed as such."""
    listed = {token.content for token in (*config.named.values(), *config.extra)}
    return frozenset(token.content for token in config.added_tokens.values() if not token.special) - listed


def ids_to_add(config: ModelConfig, special: Mapping[str, int], name: str) -> list[int]:
    """The ids that ``add_bos_token`` or ``add_eos_token`` adds."""
    token = config.named.get(name)
    return (
        [special[token.content]] if config.tokenizer.get(f"add_{name}") and token and token.content in special else []
    )
