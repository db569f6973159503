"""Tokenizers that come as ``vocab.json`` and ``merges.txt``: the pipelines of the classes that use them.

The pipelines are those of transformers 5 (``models/*/tokenization_*.py``); a test compares each with the class
itself.
"""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

from tokenfacade.errors import CorruptTokenizerError, UnsupportedFormatError
from tokenfacade.model_config import AddedTokenConfig, ModelConfig

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

QWEN2_PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
CLIP_PATTERN = r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"

_END = "<|endoftext|>"
_DEFAULT_NAMES: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "GPT2Tokenizer": {"unk_token": _END, "bos_token": _END, "eos_token": _END},
        "RobertaTokenizer": {
            "bos_token": "<s>",
            "eos_token": "</s>",
            "unk_token": "<unk>",
            "sep_token": "</s>",
            "pad_token": "<pad>",
            "cls_token": "<s>",
            "mask_token": "<mask>",
        },
        "Qwen2Tokenizer": {"unk_token": _END, "eos_token": _END, "pad_token": _END},
        "CLIPTokenizer": {"unk_token": _END, "bos_token": "<|startoftext|>", "eos_token": _END, "pad_token": _END},
    }
)
_ALIASES: Mapping[str, str] = MappingProxyType(
    {"BartTokenizer": "RobertaTokenizer", "LEDTokenizer": "RobertaTokenizer", "LongformerTokenizer": "RobertaTokenizer"}
)
_CLASS_OF_MODEL: Mapping[str, str] = MappingProxyType(
    dict.fromkeys(("gpt2", "gpt_neo", "gptj", "opt", "phi", "codegen", "starcoder2"), "GPT2Tokenizer")
    | dict.fromkeys(("roberta", "bart", "led", "longformer", "roberta-prelayernorm"), "RobertaTokenizer")
    | dict.fromkeys(("qwen2", "qwen2_moe", "qwen2_vl", "qwen2_5_vl", "qwen3", "qwen3_moe"), "Qwen2Tokenizer")
    | dict.fromkeys(("clip", "clipseg", "owlvit", "owlv2"), "CLIPTokenizer")
)


def build_from_vocabulary(folder: Path, config: ModelConfig) -> tuple[Tokenizer, ModelConfig]:
    """The tokenizer of a folder without ``tokenizer.json``, and its config with the class's own names for special
    tokens filled in.

    Raises:
        UnsupportedFormatError: Neither the tokenizer's class nor the type of the model says how to read the
            vocabulary.
        CorruptTokenizerError: Vocabulary and merges don't fit together.
    """
    model_type = config.model.get("model_type")
    name = config.tokenizer_class or (_CLASS_OF_MODEL.get(model_type) if isinstance(model_type, str) else None)
    name = _ALIASES.get(name or "", name or "")
    if name not in _DEFAULT_NAMES:
        raise UnsupportedFormatError(
            f"{folder} has vocab.json and merges.txt, but its class ({name or 'not named'}) doesn't say how to split and normalize "
            f"text; "
            f"known are {', '.join([*_DEFAULT_NAMES, *_ALIASES])}. Use the model's tokenizer.json, or load it with "
            f"transformers "
            f"and save it again, which writes one",
            source=str(folder),
        )
    named = {role: AddedTokenConfig(token, special=True) for role, token in _DEFAULT_NAMES[name].items()}
    config = replace(config, named={**named, **config.named})
    unknown = config.named["unk_token"].content if name == "CLIPTokenizer" else None
    raw = Tokenizer(_read_model(folder, "</w>" if name == "CLIPTokenizer" else "", unknown))
    raw.add_special_tokens([AddedToken(token.content, special=True) for token in config.named.values()])
    _BUILDERS[name](raw, config)
    return raw, config


def _read_model(folder: Path, end_of_word: str, unknown: str | None) -> models.BPE:
    options = {"unk_token": unknown} if unknown else {}
    try:
        return models.BPE.from_file(
            str(folder / "vocab.json"),
            str(folder / "merges.txt"),
            continuing_subword_prefix="",
            end_of_word_suffix=end_of_word,
            fuse_unk=False,
            **options,
        )
    except Exception as error:
        raise CorruptTokenizerError(
            f"vocab.json and merges.txt in {folder} can't be read together: {error}", source=str(folder)
        ) from error


def _gpt2(raw: Tokenizer, config: ModelConfig) -> None:
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=_adds_prefix_space(config))
    raw.decoder = decoders.ByteLevel()
    _add_bos_and_eos(raw, config)


def _roberta(raw: Tokenizer, config: ModelConfig) -> None:
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=_adds_prefix_space(config))
    raw.decoder = decoders.ByteLevel()
    raw.post_processor = processors.RobertaProcessing(
        _with_id(raw, config, "sep_token"),
        _with_id(raw, config, "cls_token"),
        trim_offsets=bool(config.tokenizer.get("trim_offsets", True)),
        add_prefix_space=_adds_prefix_space(config),
    )


def _qwen2(raw: Tokenizer, config: ModelConfig) -> None:
    raw.normalizer = normalizers.NFC()
    raw.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(QWEN2_PATTERN), behavior="isolated", invert=False),
            pre_tokenizers.ByteLevel(add_prefix_space=_adds_prefix_space(config), use_regex=False),
        ]
    )
    raw.decoder = decoders.ByteLevel()
    _add_bos_and_eos(raw, config)


def _clip(raw: Tokenizer, config: ModelConfig) -> None:
    raw.normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()]
    )
    raw.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(CLIP_PATTERN), behavior="removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    raw.decoder = decoders.ByteLevel()
    raw.post_processor = processors.RobertaProcessing(
        _with_id(raw, config, "eos_token"),
        _with_id(raw, config, "bos_token"),
        trim_offsets=False,
        add_prefix_space=False,
    )


_BUILDERS: Mapping[str, Callable[[Tokenizer, ModelConfig], None]] = MappingProxyType(
    {"GPT2Tokenizer": _gpt2, "RobertaTokenizer": _roberta, "Qwen2Tokenizer": _qwen2, "CLIPTokenizer": _clip}
)


def _adds_prefix_space(config: ModelConfig) -> bool:
    return bool(config.tokenizer.get("add_prefix_space"))


def _with_id(raw: Tokenizer, config: ModelConfig, name: str) -> tuple[str, int]:
    token = config.named[name].content
    token_id = raw.token_to_id(token)
    if token_id is None:
        raise CorruptTokenizerError(f"the {name} {token!r} is not in the vocabulary")
    return token, token_id


def _add_bos_and_eos(raw: Tokenizer, config: ModelConfig) -> None:
    """``add_bos_token`` and ``add_eos_token``, which count where no ``tokenizer.json`` has a post-processor."""
    before = (
        [_with_id(raw, config, "bos_token")]
        if config.tokenizer.get("add_bos_token") and "bos_token" in config.named
        else []
    )
    after = (
        [_with_id(raw, config, "eos_token")]
        if config.tokenizer.get("add_eos_token") and "eos_token" in config.named
        else []
    )
    if before or after:
        single = [*(f"{token}:0" for token, _ in before), "$A:0", *(f"{token}:0" for token, _ in after)]
        pair = [*single, *(f"{token}:1" for token, _ in before), "$B:1", *(f"{token}:1" for token, _ in after)]
        raw.post_processor = processors.TemplateProcessing(
            single=single, pair=pair, special_tokens=list(dict.fromkeys([*before, *after]))
        )
