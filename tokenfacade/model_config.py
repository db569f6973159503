"""What the JSON files beside a vocabulary say about it: special tokens, added tokens, BOS and EOS.

The rules are those of transformers 5 (`PreTrainedTokenizerBase._from_pretrained`), found out by running it:
``special_tokens_map.json`` and ``added_tokens.json`` count only where ``tokenizer_config.json`` has no
``added_tokens_decoder``, and then come before it; a null there takes a name away.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeVar

from tokenfacade.encoding import SpecialTokens, mend_surrogates
from tokenfacade.errors import CorruptTokenizerError

if TYPE_CHECKING:
    from pathlib import Path

ROLES = ("bos", "eos", "unk", "sep", "pad", "cls", "mask")
"""The roles that transformers knows, in its order; a model may name more."""

_ROLE_NAMES = tuple(f"{role}_token" for role in ROLES)
_EXTRA = "extra_special_tokens"
_EXTRA_FORMERLY = "additional_special_tokens"
_MAX_DIGITS = 10
_Kind = TypeVar("_Kind")


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
        named: The token of each name, as ``bos_token``: first the roles in their order, then what else has one. They
            are special, whatever their flag says.
        extra: Special tokens without a name.
        lists_added_tokens: Whether ``tokenizer_config.json`` lists the added tokens. Where it doesn't, the flags in a
            ``tokenizer.json`` win over those here, but what has a name is special.
    """

    tokenizer: Mapping[str, Any] = field(default_factory=dict)
    model: Mapping[str, Any] = field(default_factory=dict)
    generation: Mapping[str, Any] = field(default_factory=dict)
    added_tokens: Mapping[int, AddedTokenConfig] = field(default_factory=dict)
    named: Mapping[str, AddedTokenConfig] = field(default_factory=dict)
    extra: tuple[AddedTokenConfig, ...] = ()
    lists_added_tokens: bool = False

    def with_names(self, names: Mapping[str, str]) -> ModelConfig:
        """The config with the names that a tokenizer's class brings along; a null in the files takes one away."""
        own = {name: AddedTokenConfig(names[name], special=True) for name in names if name not in self.tokenizer}
        return replace(self, named=_in_order({**own, **self.named}))

    @property
    def tokenizer_class(self) -> str | None:
        """The tokenizer's class by name, without the suffix ``Fast``; transformers treats both alike."""
        name = self.tokenizer.get("tokenizer_class") or self.model.get("tokenizer_class")
        return name.removesuffix("Fast") if isinstance(name, str) else None

    def special_tokens(self, ids: Mapping[str, int]) -> SpecialTokens:
        """The special tokens, given the ids of all that are flagged special."""
        roles = {role: self.named[f"{role}_token"].content for role in ROLES if f"{role}_token" in self.named}
        others = {name: token.content for name, token in self.named.items() if name not in _ROLE_NAMES}
        return SpecialTokens(**roles, named=others, ids=ids)

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
        CorruptTokenizerError: One of the files isn't a JSON object, or its added or extra tokens aren't tokens.
    """
    file = folder / "tokenizer_config.json"
    own = _read_object(file)
    lists_added_tokens = "added_tokens_decoder" in own
    legacy = {} if lists_added_tokens else _special(_read_object(folder / "special_tokens_map.json"))
    extra, named_extra = _extra_tokens(own, legacy, file)
    # In transformers, names of its own making that are plain strings come last, and win.
    plain = {name: value for name, value in own.items() if name not in _ROLE_NAMES and isinstance(value, str)}
    values = {**{name: value for name, value in own.items() if name not in plain}, **legacy, **plain}
    named = {
        name: token for name, value in values.items() if name.endswith("_token") and (token := _added_token(value))
    }
    named |= {name: token for name, value in named_extra.items() if (token := _added_token(value))}
    if lists_added_tokens:
        added = _listed_tokens(own["added_tokens_decoder"], file)
    else:
        special = {named[name].content for name in _ROLE_NAMES if name in named} | {token.content for token in extra}
        added = _legacy_tokens(folder / "added_tokens.json", special)
    return ModelConfig(
        tokenizer={**own, **legacy},
        model=_read_object(folder / "config.json"),
        generation=_read_object(folder / "generation_config.json"),
        added_tokens=added,
        named=_in_order(named),
        extra=tuple(extra),
        lists_added_tokens=lists_added_tokens,
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
    return dict(_expect(read_json(path), dict, "a JSON object", path)) if os.path.isfile(path) else {}


def _expect(value: object, kind: type[_Kind], what: str, path: Path) -> _Kind:
    if not isinstance(value, kind):
        raise CorruptTokenizerError(f"{path} should hold {what}, not {value!r:.80}", source=str(path))
    return value


def _added_token(value: object, *, special: bool = True) -> AddedTokenConfig | None:
    """A token as a string, or as an object that may say whether it is special; None for anything else."""
    flags = value if isinstance(value, Mapping) else {"content": value}
    content, normalized = flags.get("content"), flags.get("normalized")
    if not isinstance(content, str) or not content:
        return None
    return AddedTokenConfig(
        mend_surrogates(content),
        special=bool(flags.get("special", special)),
        single_word=bool(flags.get("single_word", False)),
        lstrip=bool(flags.get("lstrip", False)),
        rstrip=bool(flags.get("rstrip", False)),
        normalized=None if normalized is None else bool(normalized),
    )


def _in_order(named: Mapping[str, AddedTokenConfig]) -> dict[str, AddedTokenConfig]:
    return {name: named[name] for name in dict.fromkeys((*_ROLE_NAMES, *named)) if name in named}


def _special(tokens: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: {**value, "special": True} if isinstance(value, Mapping) and "content" in value else value
        for name, value in tokens.items()
    }


def _extra_tokens(
    own: Mapping[str, Any], legacy: Mapping[str, Any], path: Path
) -> tuple[list[AddedTokenConfig], dict[str, Any]]:
    """The special tokens under no name of their own: a list of them, or an object that names them after all."""
    values: list[object] = []
    named: dict[str, Any] = {}
    for source in (own, legacy):
        found = source.get(_EXTRA) or []
        if isinstance(found, Mapping):
            values, named, found = [], {**named, **found}, []
        found = found or (not values and source.get(_EXTRA_FORMERLY)) or []
        values += _expect(found, list, f"a list of {_EXTRA}", path)
    return [token for value in values if (token := _added_token(value))], named


def _listed_tokens(value: object, path: Path) -> dict[int, AddedTokenConfig]:
    tokens = {}
    for token_id, flags in _expect(value or {}, dict, "an object as added_tokens_decoder", path).items():
        token = _added_token(flags, special=False) if isinstance(flags, Mapping) else None
        if token is None or not (token_id.isascii() and token_id.isdigit() and len(token_id) <= _MAX_DIGITS):
            raise CorruptTokenizerError(
                f"{path} has no token under {token_id!r} of its added_tokens_decoder", source=str(path)
            )
        tokens[int(token_id)] = token
    return tokens


def _legacy_tokens(path: Path, special: Set[str]) -> dict[int, AddedTokenConfig]:
    tokens = {}
    for spelling, token_id in _read_object(path).items():
        content = mend_surrogates(spelling)
        is_special = content in special
        token = AddedTokenConfig(content, special=is_special, normalized=not is_special)
        tokens[_expect(token_id, int, f"an id for {content!r}", path)] = token
    return tokens
