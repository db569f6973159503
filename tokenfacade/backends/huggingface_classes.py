"""Tokenizers that come as ``vocab.json`` and ``merges.txt``: the pipelines of the classes that use them.

The pipelines are those of transformers 5 (``models/*/tokenization_*.py``); a test compares each with the class
itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

from tokenfacade.errors import CorruptTokenizerError, UnsupportedFormatError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from tokenfacade.model_config import ModelConfig

QWEN2_PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
CLIP_PATTERN = r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"

_END = "<|endoftext|>"


@dataclass(frozen=True, slots=True)
class VocabularyClass:
    """A class of transformers: the special tokens it names itself, its pipeline, and what it puts around a text."""

    names: Mapping[str, str]
    set_pipeline: Callable[[Tokenizer, ModelConfig], None]
    set_post_processor: Callable[[Tokenizer, ModelConfig], None]
    """To be called when the special tokens have been added, for it needs their ids."""
    end_of_word: str = ""
    knows_unknown: bool = False

    def build(self, folder: Path, config: ModelConfig) -> Tokenizer:
        """The tokenizer without added tokens and post-processor.

        Raises:
            CorruptTokenizerError: Vocabulary and merges don't fit together.
        """
        unknown = config.named.get("unk_token") if self.knows_unknown else None
        try:
            model = models.BPE.from_file(
                str(folder / "vocab.json"),
                str(folder / "merges.txt"),
                continuing_subword_prefix="",
                end_of_word_suffix=self.end_of_word,
                fuse_unk=False,
                **({"unk_token": unknown.content} if unknown else {}),
            )
        except Exception as error:
            raise CorruptTokenizerError(
                f"vocab.json and merges.txt in {folder} can't be read together: {error}", source=str(folder)
            ) from error
        raw = Tokenizer(model)
        self.set_pipeline(raw, config)
        return raw


def vocabulary_class(folder: Path, config: ModelConfig) -> VocabularyClass:
    """The class that says how to read a folder without ``tokenizer.json``.

    Raises:
        UnsupportedFormatError: Neither the tokenizer's class nor the type of the model names one that is known.
    """
    model_type = config.model.get("model_type")
    name = config.tokenizer_class or (_CLASS_OF_MODEL.get(model_type) if isinstance(model_type, str) else None)
    found = _CLASSES.get(name or "")
    if found is None:
        raise UnsupportedFormatError(
            f"{folder} has vocab.json and merges.txt, but its class ({name or 'not named'}) doesn't say how to split "
            f"and normalize text; known are {', '.join(_CLASSES)}. Use the model's tokenizer.json, or load it with "
            f"transformers and save it again, which writes one",
            source=str(folder),
        )
    return found


def _gpt2_pipeline(raw: Tokenizer, config: ModelConfig) -> None:
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=_adds_prefix_space(config))
    raw.decoder = decoders.ByteLevel()


def _qwen2_pipeline(raw: Tokenizer, config: ModelConfig) -> None:
    raw.normalizer = normalizers.NFC()
    raw.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(QWEN2_PATTERN), behavior="isolated", invert=False),
            pre_tokenizers.ByteLevel(add_prefix_space=_adds_prefix_space(config), use_regex=False),
        ]
    )
    raw.decoder = decoders.ByteLevel()


def _clip_pipeline(raw: Tokenizer, config: ModelConfig) -> None:
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


def _adds_prefix_space(config: ModelConfig) -> bool:
    return bool(config.tokenizer.get("add_prefix_space"))


def _bos_and_eos(raw: Tokenizer, config: ModelConfig) -> None:
    """``add_bos_token`` and ``add_eos_token``, which count where no ``tokenizer.json`` has a post-processor."""
    wanted = {name: config.tokenizer.get(f"add_{name}") and name in config.named for name in ("bos_token", "eos_token")}
    before = [_with_id(raw, config, "bos_token")] if wanted["bos_token"] else []
    after = [_with_id(raw, config, "eos_token")] if wanted["eos_token"] else []
    if before or after:
        single = [*(f"{token}:0" for token, _ in before), "$A:0", *(f"{token}:0" for token, _ in after)]
        pair = [*single, *(f"{token}:1" for token, _ in before), "$B:1", *(f"{token}:1" for token, _ in after)]
        raw.post_processor = processors.TemplateProcessing(
            single=single, pair=pair, special_tokens=list(dict.fromkeys([*before, *after]))
        )


def _cls_and_sep(raw: Tokenizer, config: ModelConfig) -> None:
    raw.post_processor = processors.RobertaProcessing(
        _with_id(raw, config, "sep_token"),
        _with_id(raw, config, "cls_token"),
        trim_offsets=bool(config.tokenizer.get("trim_offsets", True)),
        add_prefix_space=_adds_prefix_space(config),
    )


def _start_and_end(raw: Tokenizer, config: ModelConfig) -> None:
    raw.post_processor = processors.RobertaProcessing(
        _with_id(raw, config, "eos_token"),
        _with_id(raw, config, "bos_token"),
        trim_offsets=False,
        add_prefix_space=False,
    )


def _with_id(raw: Tokenizer, config: ModelConfig, name: str) -> tuple[str, int]:
    token = config.named.get(name)
    token_id = raw.token_to_id(token.content) if token else None
    if token is None or token_id is None:
        raise CorruptTokenizerError(f"the tokenizer's class needs a {name}, and the config takes it away")
    return token.content, token_id


_GPT2 = VocabularyClass(
    MappingProxyType(dict.fromkeys(("unk_token", "bos_token", "eos_token"), _END)), _gpt2_pipeline, _bos_and_eos
)
_ROBERTA = VocabularyClass(
    MappingProxyType(
        {
            "bos_token": "<s>",
            "eos_token": "</s>",
            "unk_token": "<unk>",
            "sep_token": "</s>",
            "pad_token": "<pad>",
            "cls_token": "<s>",
            "mask_token": "<mask>",
        }
    ),
    _gpt2_pipeline,
    _cls_and_sep,
)
_QWEN2 = VocabularyClass(
    MappingProxyType(dict.fromkeys(("unk_token", "eos_token", "pad_token"), _END)), _qwen2_pipeline, _bos_and_eos
)
_CLIP = VocabularyClass(
    MappingProxyType(
        {"unk_token": _END, "bos_token": "<|startoftext|>", "eos_token": _END, "pad_token": _END},
    ),
    _clip_pipeline,
    _start_and_end,
    end_of_word="</w>",
    knows_unknown=True,
)
_CLASSES: Mapping[str, VocabularyClass] = MappingProxyType(
    {
        "GPT2Tokenizer": _GPT2,
        **dict.fromkeys(("RobertaTokenizer", "BartTokenizer", "LEDTokenizer", "LongformerTokenizer"), _ROBERTA),
        "Qwen2Tokenizer": _QWEN2,
        "CLIPTokenizer": _CLIP,
    }
)
_CLASS_OF_MODEL: Mapping[str, str] = MappingProxyType(
    dict.fromkeys(("gpt2", "gpt_neo", "gptj", "opt", "phi", "codegen", "starcoder2"), "GPT2Tokenizer")
    | dict.fromkeys(("roberta", "bart", "led", "longformer", "roberta-prelayernorm"), "RobertaTokenizer")
    | dict.fromkeys(("qwen2", "qwen2_moe", "qwen2_vl", "qwen2_5_vl", "qwen3", "qwen3_moe"), "Qwen2Tokenizer")
    | dict.fromkeys(("clip", "clipseg", "owlvit", "owlv2"), "CLIPTokenizer")
)
