"""Which tokenizers the accelerated engine can be trusted with, told by their parts.

Each rule stands for a way in which the engine was seen to give other ids than the reference, or for parts that it was
never compared on. What passes is compared once more when it is loaded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from tokenfacade.decoding.pieces import byte_alphabet

Part = Mapping[str, Any]
"""A part of a pipeline, as it stands in a ``tokenizer.json``."""

_CONTRACTIONS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
_WORD = r"[^\r\n\p{L}\p{N}]?\p{L}+"
_CAPITALS = r"\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}"
_SMALL_LETTERS = r"\p{Ll}\p{Lm}\p{Lo}\p{M}"
_SPACES = r"\s*[\r\n]+|\s+(?!\S)|\s+"
_HAN = r"&&[^\p{Han}]"

KNOWN_SPLITS = {
    "Llama 3": rf"{_CONTRACTIONS}|{_WORD}|\p{{N}}{{1,3}}| ?[^\s\p{{L}}\p{{N}}]+[\r\n]*|{_SPACES}",
    "Qwen 2": rf"{_CONTRACTIONS}|{_WORD}|\p{{N}}| ?[^\s\p{{L}}\p{{N}}]+[\r\n]*|{_SPACES}",
    "Qwen 3.5": (
        rf"{_CONTRACTIONS}|[^\r\n\p{{L}}\p{{N}}]?[\p{{L}}\p{{M}}]+|\p{{N}}"
        rf"| ?[^\s\p{{L}}\p{{M}}\p{{N}}]+[\r\n]*|{_SPACES}"
    ),
    "o200k": (
        rf"[^\r\n\p{{L}}\p{{N}}]?[{_CAPITALS}]*[{_SMALL_LETTERS}]+{_CONTRACTIONS}?"
        rf"|[^\r\n\p{{L}}\p{{N}}]?[{_CAPITALS}]+[{_SMALL_LETTERS}]*{_CONTRACTIONS}?"
        rf"|\p{{N}}{{1,3}}| ?[^\s\p{{L}}\p{{N}}]+[\r\n/]*|{_SPACES}"
    ),
    "Tekken": (
        rf"[^\r\n\p{{L}}\p{{N}}]?[{_CAPITALS}]*[{_SMALL_LETTERS}]+|[^\r\n\p{{L}}\p{{N}}]?[{_CAPITALS}]+[{_SMALL_LETTERS}]*"
        rf"|\p{{N}}| ?[^\s\p{{L}}\p{{N}}]+[\r\n/]*|{_SPACES}"
    ),
    "Kimi": (
        rf"[\p{{Han}}]+"
        rf"|[^\r\n\p{{L}}\p{{N}}]?[{_CAPITALS}{_HAN}]*[{_SMALL_LETTERS}{_HAN}]+{_CONTRACTIONS}?"
        rf"|[^\r\n\p{{L}}\p{{N}}]?[{_CAPITALS}{_HAN}]+[{_SMALL_LETTERS}{_HAN}]*{_CONTRACTIONS}?"
        rf"|\p{{N}}{{1,3}}| ?[^\s\p{{L}}\p{{N}}]+[\r\n]*|{_SPACES}"
    ),
}
"""The regexes of pre-tokenizers that the engine was compared on; in one that is not byte-identical, an engine of
another make reads ``\\w`` or ``\\s`` otherwise."""

_DEEPSEEK_SPLITS = (
    r"\p{N}{1,3}",
    "[\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+",
    (
        "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+"
        "| ?[\\p{P}\\p{S}]+[\r\n]*|\\s*[\r\n]+|\\s+(?!\\S)|\\s+"
    ),
)


@dataclass(frozen=True, slots=True)
class Pipeline:
    """What decides: all of a ``tokenizer.json`` but its vocabulary, which is asked for as far as needed."""

    model: Part
    normalizer: Part | None
    pre_tokenizer: Part | None
    post_processor: Part | None
    added_tokens: Sequence[Part]
    id_of: Callable[[str], int | None]
    tokens: Callable[[], Iterable[str]]


def to_special_tokens(tokens: Iterable[str]) -> str | None:
    """What speaks against special tokens that tiktoken looks for; None if nothing does."""
    if any(after.startswith(before) for before, after in pairwise(sorted(tokens))):
        # The library looks for the first of them in an order of its own, the engine for the longest.
        return "one of its special tokens begins with another"
    return None


def objection(pipeline: Pipeline) -> str | None:
    """Why the engine isn't used with this pipeline; None if it is."""
    return next(_objections(pipeline), None)


def _objections(pipeline: Pipeline) -> Iterator[str]:
    yield from _to_model(pipeline.model)
    yield from _to_post_processor(pipeline.post_processor)
    is_sentencepiece = pipeline.model["byte_fallback"]
    yield from (_to_sentencepiece_form if is_sentencepiece else _to_byte_level_form)(pipeline)
    yield from _to_added_tokens(pipeline)


def _to_model(model: Part) -> Iterator[str]:
    if model["type"] != "BPE":
        yield f"its model is {model['type']}, not BPE"
    elif model["dropout"]:
        yield "its merges drop out at random"
    elif model["continuing_subword_prefix"] or model["end_of_word_suffix"]:
        yield "its tokens mark the inside or the end of words"


def _to_post_processor(part: Part | None) -> Iterator[str]:
    kinds = {step["type"] for step in _steps(part, "processors")}
    unknown = sorted(kinds - {"ByteLevel", "TemplateProcessing", "RobertaProcessing"})
    if unknown or ("RobertaProcessing" in kinds and len(kinds) > 1):
        yield f"its post-processor is none of the known ones: {', '.join(sorted(kinds))}"


def _steps(part: Part | None, key: str) -> list[Part]:
    if part is None:
        return []
    return [step for inner in part[key] for step in _steps(inner, key)] if part["type"] == "Sequence" else [part]


def _to_byte_level_form(pipeline: Pipeline) -> Iterator[str]:
    normalizers = [step["type"] for step in _steps(pipeline.normalizer, "normalizers")]
    if normalizers not in ([], ["NFC"]):
        yield f"its normalizer is none of the known ones: {', '.join(normalizers)}"
    if not _splits_as_known(pipeline.pre_tokenizer):
        yield "its pre-tokenizer is none of the known ones"
    missing = sum(pipeline.id_of(character) is None for character in byte_alphabet())
    if missing:
        yield f"its vocabulary lacks {missing} of the 256 bytes"


def _splits_as_known(part: Part | None) -> bool:
    *splits, last = _steps(part, "pretokenizers") or [{"type": "none"}]
    if last["type"] != "ByteLevel" or last["add_prefix_space"]:
        return False
    if last["use_regex"]:
        return not splits
    if not all(_is_isolated_split(split) for split in splits):
        return False
    regexes = tuple(split["pattern"]["Regex"] for split in splits)
    return regexes == _DEEPSEEK_SPLITS or (len(regexes) == 1 and regexes[0] in KNOWN_SPLITS.values())


def _is_isolated_split(part: Part) -> bool:
    return (
        part["type"] == "Split"
        and part["behavior"] == "Isolated"
        and not part["invert"]
        and part["pattern"].keys() == {"Regex"}
    )


_SPACE_TO_MARK = {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}
_MARK_BEFORE = {"type": "Prepend", "prepend": "▁"}
_SPLIT_AT_SPACES = {
    "type": "Split",
    "pattern": {"String": " "},
    "behavior": "MergedWithPrevious",
    "invert": False,
}


def _to_sentencepiece_form(pipeline: Pipeline) -> Iterator[str]:
    normalizers = _steps(pipeline.normalizer, "normalizers")
    splits = _steps(pipeline.pre_tokenizer, "pretokenizers")
    if (normalizers, splits) not in (
        ([_MARK_BEFORE, _SPACE_TO_MARK], []),
        ([_SPACE_TO_MARK], []),
        ([_SPACE_TO_MARK], [_SPLIT_AT_SPACES]),
    ):
        yield "its normalizer and pre-tokenizer are not those of Llama 2 or Gemma"
    missing = sum(pipeline.id_of(f"<0x{byte:02X}>") is None for byte in range(256))
    if missing:
        yield f"its vocabulary lacks {missing} of the 256 byte tokens"
    unknown = pipeline.model["unk_token"]
    if unknown is None or pipeline.id_of(unknown) is None:
        yield "it has no unknown token"
    characters = {character for token in pipeline.tokens() for character in token}
    if any(pipeline.id_of(character) is None for character in characters):
        yield "its vocabulary lacks characters of its own tokens"


def _to_added_tokens(pipeline: Pipeline) -> Iterator[str]:
    tokens = pipeline.added_tokens
    stripping = (token["content"] for token in tokens if token["lstrip"] or token["rstrip"])
    if any(content != content.strip() for content in stripping):
        yield "an added token that strips white space has some itself"
    if pipeline.normalizer is None:
        if any(token["single_word"] for token in tokens):
            yield "an added token is found only as a whole word"
        if len({token["normalized"] for token in tokens}) > 1:
            yield "some added tokens are normalized and others not, and there is no normalizer"
