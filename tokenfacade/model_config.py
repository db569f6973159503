"""What the JSON files beside a vocabulary say about it: special tokens, added tokens, BOS and EOS.

The rules are those of transformers 5 (`PreTrainedTokenizerBase._from_pretrained`), found out by running it:
``special_tokens_map.json`` and ``added_tokens.json`` count only where ``tokenizer_config.json`` has no
``added_tokens_decoder``, and then come before it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from tokenfacade.encoding import SpecialTokens
from tokenfacade.errors import CorruptTokenizerError

if TYPE_CHECKING:
    from pathlib import Path

ROLES = ("bos", "eos", "unk", "pad", "sep", "cls", "mask")
"""The roles that transformers knows; a model may name more."""


@dataclass(frozen=True, slots=True)
class AddedTokenConfig:
    """One token as a config describes it; None where it leaves a flag to the default."""

    content: str
    special: bool = False
    single_word: bool = False
    lstrip: bool = False
    rstrip: bool = False
    normalized: bool | None = None


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """The merged JSON files of a model folder.

    Attributes:
        tokenizer: ``tokenizer_config.json``, with ``special_tokens_map.json`` merged in where it counts.
        model: ``config.json``.
        generation: ``generation_config.json``.
        added_tokens: Tokens with explicit ids, by id.
        named: The token of each name that ends in ``_token``, as ``bos_token``.
        extra: Special tokens without a name.
    """

    tokenizer: Mapping[str, Any] = field(default_factory=dict)
    model: Mapping[str, Any] = field(default_factory=dict)
    generation: Mapping[str, Any] = field(default_factory=dict)
    added_tokens: Mapping[int, AddedTokenConfig] = field(default_factory=dict)
    named: Mapping[str, AddedTokenConfig] = field(default_factory=dict)
    extra: tuple[AddedTokenConfig, ...] = ()

    @property
    def tokenizer_class(self) -> str | None:
        """The tokenizer's class by name, without the suffix ``Fast``; transformers treats both alike."""
        name = self.tokenizer.get("tokenizer_class") or self.model.get("tokenizer_class")
        return name.removesuffix("Fast") if isinstance(name, str) else None

    def added_token_ids(self) -> dict[str, int]:
        """The added tokens that are flagged special, with their explicit ids."""
        return {token.content: token_id for token_id, token in self.added_tokens.items() if token.special}

    def special_tokens(self, ids: Mapping[str, int]) -> SpecialTokens:
        """The special tokens, given the ids of all that are flagged special."""
        roles = {role: self.named[f"{role}_token"].content for role in ROLES if f"{role}_token" in self.named}
        others = {name: token.content for name, token in self.named.items() if name.removesuffix("_token") not in ROLES}
        bos, eos, unk, pad, sep, cls, mask = map(roles.get, ROLES)
        return SpecialTokens(bos, eos, unk, pad, sep, cls, mask, others, ids)

    def eos_token_ids(self, token_to_id: Callable[[str], int | None]) -> tuple[int, ...]:
        """The ids that end a generation: the ordered union of tokenizer_config, generation_config and config."""
        eos = self.named.get("eos_token")
        found = [token_to_id(eos.content)] if eos else []
        text_config = self.model.get("text_config")
        for config in (self.generation, self.model, text_config if isinstance(text_config, Mapping) else {}):
            ids = config.get("eos_token_id")
            found += ids if isinstance(ids, list) else [ids]
        valid = (token_id for token_id in found if type(token_id) is int and token_id >= 0)
        return tuple(dict.fromkeys(valid))


def read_model_config(folder: Path) -> ModelConfig:
    """Read what there is in a folder; files that are absent say nothing.

    Raises:
        CorruptTokenizerError: One of the files isn't a JSON object.
    """
    tokenizer = _read_object(folder / "tokenizer_config.json")
    added: dict[int, AddedTokenConfig] = {}
    if "added_tokens_decoder" in tokenizer:
        for token_id, value in _mapping(tokenizer["added_tokens_decoder"]).items():
            token = _added_token(value)
            if token is not None and str(token_id).isdigit():
                added[int(token_id)] = token
    else:
        tokenizer = {**tokenizer, **_special(_read_object(folder / "special_tokens_map.json"))}
        added = dict(_legacy_added_tokens(_read_object(folder / "added_tokens.json"), tokenizer))
    extra = tokenizer.get("extra_special_tokens") or tokenizer.get("additional_special_tokens") or []
    named = {name: token for name, value in tokenizer.items() if (token := _named_token(name, value))}
    if isinstance(extra, Mapping):
        named.update((name, token) for name, value in extra.items() if (token := _added_token(value)))
        extra = []
    return ModelConfig(
        tokenizer=tokenizer,
        model=_read_object(folder / "config.json"),
        generation=_read_object(folder / "generation_config.json"),
        added_tokens=added,
        named=named,
        extra=tuple(token for value in extra if (token := _added_token(value))),
    )


def read_json(path: Path) -> Any:
    """The content of a JSON file.

    Raises:
        CorruptTokenizerError: It can't be read as JSON.
    """
    try:
        return json.loads(path.read_bytes().decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise CorruptTokenizerError(
            f"{path} is not valid JSON ({error}); it may be cut off: fetch it again", source=str(path)
        ) from error
    except OSError as error:
        raise CorruptTokenizerError(f"{path} can't be read: {error}", source=str(path)) from error


def _read_object(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    content = read_json(path)
    if not isinstance(content, dict):
        raise CorruptTokenizerError(f"{path} should hold a JSON object, not {type(content).__name__}", source=str(path))
    return content


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _added_token(value: object) -> AddedTokenConfig | None:
    if isinstance(value, str) and value:
        return AddedTokenConfig(value, special=True)
    if not isinstance(value, Mapping) or not isinstance(value.get("content"), str) or not value["content"]:
        return None
    normalized = value.get("normalized")
    return AddedTokenConfig(
        value["content"],
        special=bool(value.get("special", False)),
        single_word=bool(value.get("single_word", False)),
        lstrip=bool(value.get("lstrip", False)),
        rstrip=bool(value.get("rstrip", False)),
        normalized=None if normalized is None else bool(normalized),
    )


def _named_token(name: str, value: object) -> AddedTokenConfig | None:
    """A named token is special, whatever its flag says; ``add_bos_token`` and the like are no tokens."""
    if not name.endswith("_token"):
        return None
    token = _added_token(value)
    if token is None or token.special:
        return token
    return replace(token, special=True)


def _special(tokens: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: {**value, "special": True} if isinstance(value, Mapping) and "content" in value else value
        for name, value in tokens.items()
    }


def _legacy_added_tokens(
    ids: Mapping[str, Any], tokenizer: Mapping[str, Any]
) -> Iterator[tuple[int, AddedTokenConfig]]:
    special = {token.content for name, value in tokenizer.items() if (token := _named_token(name, value))}
    for value in tokenizer.get("extra_special_tokens") or tokenizer.get("additional_special_tokens") or ():
        token = _added_token(value)
        if token is not None:
            special.add(token.content)
    for content, token_id in ids.items():
        if type(token_id) is int:
            is_special = content in special
            yield token_id, AddedTokenConfig(content, special=is_special, normalized=not is_special)
