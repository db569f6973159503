"""What the files beside a SentencePiece model say, read as the slow classes of transformers read them.

Facts, from transformers 4.57 and 5.23: a class has default names, adds BOS or EOS, and some treat the text after a
special token anew (``legacy=False``); tokens that the model lacks get ids after its last. Otherwise here: EOS is added
to a text that ends with one too, as by T5's fast class, and no two added tokens share an id.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from tokenfacade.errors import UnsupportedFormatError
from tokenfacade.model_config import AddedTokenConfig, ModelConfig

if TYPE_CHECKING:
    from tokenfacade.backends.sentencepiece_model import SentencePieceModel

Prefix = Literal["library", "none", "space"]
"""What precedes a text: what the model itself says; nothing; or a space, unless it begins with a special token
(``legacy=False``: then nothing precedes what follows a special token)."""


@dataclass(frozen=True, slots=True)
class _Class:
    """What a tokenizer class brings along."""

    names: Mapping[str, str]
    add_bos: bool = False
    add_eos: bool = False
    legacy: Literal["config", "always", "never"] = "config"
    extra_ids: int = 0


_LLAMA = _Class({"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}, add_bos=True)
_T5 = _Class({"eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}, add_eos=True, extra_ids=100)
_GEMMA = _Class(
    {"bos_token": "<bos>", "eos_token": "<eos>", "unk_token": "<unk>", "pad_token": "<pad>"},
    add_bos=True,
    legacy="always",
)
_CLASSES = {
    "LlamaTokenizer": _LLAMA,
    "CodeLlamaTokenizer": replace(_LLAMA, legacy="never"),
    "GemmaTokenizer": _GEMMA,
    "T5Tokenizer": _T5,
    "MT5Tokenizer": _T5,
}
_CLASS_OF_MODEL = {
    "llama": "LlamaTokenizer",
    "mistral": "LlamaTokenizer",
    "mixtral": "LlamaTokenizer",
    "gemma": "GemmaTokenizer",
    "gemma2": "GemmaTokenizer",
    "gemma3": "GemmaTokenizer",
    "gemma3_text": "GemmaTokenizer",
    "t5": "T5Tokenizer",
    "mt5": "T5Tokenizer",
    "umt5": "T5Tokenizer",
}
_OTHER_WAYS = frozenset(
    f"{name}Tokenizer"
    for name in (
        *("Barthez", "Bartpho", "Camembert", "LayoutXLM", "M2M100", "MBart", "MBart50", "Marian", "Nllb", "PLBart"),
        *("Pegasus", "SeamlessM4T", "XGLM", "XLMRoberta", "XLMProphetNet"),
        *("Albert", "Cpm", "GPTSw3", "Siglip", "XLNet"),
    )
)
"""Classes that number the pieces in another way than the model file does, or change the text before."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What a tokenizer does beside the library.

    Attributes:
        config: The config, with the names that the class brings along.
        added: The tokens found in text, by id.
        special: The ids of the special tokens, by spelling.
        named: The tokens that have a name, or are listed without one.
        before: The ids that ``add_special_tokens`` puts before a text.
        after: The ids that it puts after it.
        prefix: What precedes a text in which special tokens are parsed.
    """

    config: ModelConfig = field(default_factory=ModelConfig)
    added: Mapping[int, AddedTokenConfig] = field(default_factory=dict)
    special: Mapping[str, int] = field(default_factory=dict)
    named: frozenset[str] = frozenset()
    before: tuple[int, ...] = ()
    after: tuple[int, ...] = ()
    prefix: Prefix = "library"


def read_rules(model: SentencePieceModel, config: ModelConfig, source: str) -> Rules:
    """The rules for a model and the config beside it.

    Without a config the control pieces are the special tokens, and BOS is added as Llama's class does, or EOS, as
    T5's, where the model has no BOS.

    Raises:
        UnsupportedFormatError: The config names a class that has a way of its own with pieces or text.
    """
    name = config.tokenizer_class or _CLASS_OF_MODEL.get(str(config.model.get("model_type")))
    if name in _OTHER_WAYS:
        raise UnsupportedFormatError(
            f"{source} belongs to a {name}, which numbers the pieces or prepares text in a way of its own; load its "
            f"tokenizer.json instead",
            source=source,
        )
    known = _CLASSES.get(name or "")
    config = config.with_names(_names(model, known))
    sentinels = _sentinels(len(model.texts), config, known)
    added = _added(model, config, sentinels)
    ids = {token.content: token_id for token_id, token in added.items()}
    special = {
        text: token_id
        for token_id, (text, kind) in enumerate(zip(model.texts, model.kinds, strict=True))
        if kind == "control" and ids.get(text, token_id) == token_id
    }
    unknown = model.texts[model.kinds.index("unknown")]
    special |= {token.content: n for n, token in added.items() if token.special and token.content != unknown}
    flags = config.tokenizer
    return Rules(
        config,
        added,
        special,
        frozenset(token.content for token in (*config.named.values(), *config.extra, *sentinels.values())),
        before=tuple(ids[token] for token in _around(model, config, known, "bos")),
        after=tuple(ids[token] for token in _around(model, config, known, "eos")),
        prefix=_prefix(flags, known),
    )


def _names(model: SentencePieceModel, known: _Class | None) -> Mapping[str, str]:
    return known.names if known else {f"{role}_token": text for role, text in model.roles.items()}


def _added(
    model: SentencePieceModel, config: ModelConfig, sentinels: Mapping[int, AddedTokenConfig]
) -> dict[int, AddedTokenConfig]:
    """The tokens that are found in text: by explicit ids, then by name, at their piece or after the last id."""
    added = {**sentinels, **config.added_tokens}
    ids = {token.content: token_id for token_id, token in added.items()}
    pieces = {text: token_id for token_id, text in enumerate(model.texts)}
    own = [text for text, kind in zip(model.texts, model.kinds, strict=True) if kind == "control"]
    bare = (
        [AddedTokenConfig(text, special=True) for text in own] if not (config.tokenizer or config.added_tokens) else []
    )
    following = len(pieces.keys() | ids.keys())
    for token in (*config.named.values(), *config.extra, *bare):
        if token.content in ids:
            continue
        token_id = pieces.get(token.content)
        if token_id is None:
            while following in added:
                following += 1
            token_id, following = following, following + 1
        ids[token.content] = token_id
        added[token_id] = replace(token, special=True)
    return dict(sorted(added.items()))


def _sentinels(size: int, config: ModelConfig, known: _Class | None) -> dict[int, AddedTokenConfig]:
    """The ``<extra_id_0>`` of T5's class: as many as the config lists, or says, or a hundred; the first has the last
    id."""
    if known is None or not known.extra_ids:
        return {}
    count = sum("<extra_id_" in token.content for token in config.extra)
    own = config.tokenizer.get("extra_ids", known.extra_ids)
    count = count or (own if isinstance(own, int) and 0 <= own <= 10_000 else known.extra_ids)
    return {
        size + count - 1 - n: AddedTokenConfig(f"<extra_id_{n}>", special=True, lstrip=True, rstrip=True)
        for n in range(count)
    }


def _around(model: SentencePieceModel, config: ModelConfig, known: _Class | None, role: str) -> tuple[str, ...]:
    """The token that is added for a role, by its spelling: as the config says, else the class, else the model."""
    if known:
        is_added = known.add_bos if role == "bos" else known.add_eos
    else:
        is_added = role == ("bos" if "bos" in model.roles else "eos") and role in model.roles
    wanted = config.tokenizer.get(f"add_{role}_token")
    token = config.named.get(f"{role}_token")
    return (token.content,) if token and (is_added if wanted is None else wanted) else ()


def _prefix(flags: Mapping[str, Any], known: _Class | None) -> Prefix:
    how = known.legacy if known else "config"
    legacy = flags.get("legacy")
    if how == "always" or (how == "config" and (legacy is None or legacy)):
        return "library"
    return "none" if flags.get("add_prefix_space") is False else "space"
