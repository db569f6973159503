"""Tokenizers for the tests of the accelerated engine: real ones, small ones that it takes, and some just beyond its
gate."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from tokenizers import AddedToken, Regex, decoders, models, normalizers, pre_tokenizers, processors, trainers
from tokenizers import Tokenizer as RawTokenizer

from tests.data import HAS_DATA
from tests.real import real_tokenizer
from tests.small import TEXT
from tokenfacade.backends.fast import Accelerated
from tokenfacade.backends.fast_gate import KNOWN_SPLITS
from tokenfacade.backends.fast_probe import difference
from tokenfacade.backends.huggingface_fast import HuggingFacePlan
from tokenfacade.decoding.pieces import byte_alphabet

if TYPE_CHECKING:
    from tokenfacade.backends.fast import Accelerator, FastTokenizer, Plan

REAL_ELIGIBLE = (
    *("deepseek-v3", "minimind", "phi-3-mini", "roberta-base"),
    *("cl100k_base", "gpt2-tiktoken", "qwen-tiktoken", "tekken-240911"),
)
REAL_INELIGIBLE = {
    "all-minilm-l6-v2": "model is WordPiece",
    "clip": "mark the inside or the end of words",
    "falcon": "pre-tokenizer is none of the known",
    "t5-small": "model is Unigram",
    "torchtitan-test": "lacks 162 of the 256 bytes",
    "p50k_base": "ranks have gaps",
}
ALPHABET = sorted(pre_tokenizers.ByteLevel.alphabet())
SPECIAL = ["<s>", "</s>", "<unk>", "<|im_start|>"]


def byte_level() -> RawTokenizer:
    """A byte-level tokenizer that the gate lets through."""
    raw = RawTokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=360, initial_alphabet=ALPHABET, show_progress=False)
    raw.train_from_iterator(TEXT * 3, trainer)
    raw.add_special_tokens([AddedToken(token, normalized=False) for token in SPECIAL])
    return raw


def sentencepiece_like(
    *, without: str = "", extra: tuple[str, ...] = (), unk_token: str | None = "<unk>"
) -> RawTokenizer:
    """As Llama 2: one that the gate lets through, unless it lacks some token."""
    byte_tokens = [f"<0x{byte:02X}>" for byte in range(256)]
    letters = {letter for text in [*TEXT, *SPECIAL, *byte_tokens] for letter in text.replace(" ", "▁")}
    merges = [("▁", "t"), ("▁t", "h"), ("▁th", "e"), ("e", "r"), ("▁", "w"), ("o", "r"), ("▁", "▁")]
    tokens = dict.fromkeys([*SPECIAL, *byte_tokens, *sorted(letters), *(a + b for a, b in merges), *extra])
    tokens.pop(without, None)
    vocabulary = {token: token_id for token_id, token in enumerate(tokens)}
    raw = RawTokenizer(models.BPE(vocabulary, merges, unk_token=unk_token, fuse_unk=True, byte_fallback=True))
    raw.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    raw.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    raw.add_special_tokens([AddedToken(token, normalized=False) for token in SPECIAL])
    return raw


def known_split(name: str) -> RawTokenizer:
    """The byte-level tokenizer with one of the known regexes."""
    return _split(KNOWN_SPLITS[name])


def _split(regex: str, behavior: str = "isolated", *, invert: bool = False) -> RawTokenizer:
    raw = byte_level()
    split = pre_tokenizers.Split(Regex(regex), behavior, invert)
    byte_steps = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    raw.pre_tokenizer = pre_tokenizers.Sequence([split, byte_steps])
    return raw


def gemma_like() -> RawTokenizer:
    raw = sentencepiece_like()
    raw.normalizer = normalizers.Replace(" ", "▁")
    raw.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    return raw


def with_nfc() -> RawTokenizer:
    raw = known_split("Qwen 2")
    raw.normalizer = normalizers.NFC()
    return raw


def with_empty_normalizer() -> RawTokenizer:
    """As DeepSeek: here flags of added tokens may be mixed."""
    raw = byte_level()
    raw.normalizer = normalizers.Sequence([])
    raw.add_tokens([AddedToken("<tool>", normalized=True), AddedToken("é", normalized=True)])
    return raw


def with_roberta_processing() -> RawTokenizer:
    raw = byte_level()
    ids = raw.get_vocab()
    raw.post_processor = processors.RobertaProcessing(("</s>", ids["</s>"]), ("<s>", ids["<s>"]))
    return raw


INSIDE: dict[str, Callable[[], RawTokenizer]] = {
    "byte level": byte_level,
    "as Llama 2": sentencepiece_like,
    "as Gemma": gemma_like,
    "NFC": with_nfc,
    "empty normalizer": with_empty_normalizer,
    "Roberta's post-processor": with_roberta_processing,
    **{name: lambda name=name: known_split(name) for name in KNOWN_SPLITS},  # type: ignore[misc]
}


def trained_ranks() -> dict[bytes, int]:
    """Ranks that are the order of merges, as those of every real file are."""
    vocabulary = byte_level().get_vocab(with_added_tokens=False)
    alphabet = byte_alphabet()
    return {bytes(alphabet[character] for character in token): rank for token, rank in vocabulary.items()}


class Outside(NamedTuple):
    """A tokenizer just beyond the gate, and a part of what the gate says of it."""

    make: Callable[[], RawTokenizer]
    reason: str
    differs: bool = True
    """Whether the engine, if it were let, would refuse or be seen to give other ids."""


def _changed(make: Callable[[], RawTokenizer], **parts: object) -> Callable[[], RawTokenizer]:
    def changed() -> RawTokenizer:
        raw = make()
        for name, part in parts.items():
            setattr(raw, name, part)
        return raw

    return changed


def _with_model(**options: object) -> Callable[[], RawTokenizer]:
    def made() -> RawTokenizer:
        raw = byte_level()
        for name, value in options.items():
            setattr(raw.model, name, value)
        return raw

    return made


def _with_added(*tokens: AddedToken) -> Callable[[], RawTokenizer]:
    def made() -> RawTokenizer:
        raw = byte_level()
        raw.add_tokens(list(tokens))
        return raw

    return made


def _incomplete_alphabet() -> RawTokenizer:
    vocabulary = {character: number for number, character in enumerate(ALPHABET) if character != "Q"}
    raw = RawTokenizer(models.BPE(vocabulary, []))
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    return raw


def _without_ascii() -> RawTokenizer:
    byte_tokens = {f"<0x{byte:02X}>": byte for byte in range(256)}
    raw = RawTokenizer(models.BPE(byte_tokens | {"<unk>": 256}, [], unk_token="<unk>", byte_fallback=True))
    raw.normalizer = normalizers.Replace(" ", "▁")
    return raw


def _word_piece() -> RawTokenizer:
    return RawTokenizer(models.WordPiece({"[UNK]": 0, "a": 1}, unk_token="[UNK]"))


def _unigram() -> RawTokenizer:
    return RawTokenizer(models.Unigram([("<unk>", 0.0), ("a", -1.0)], unk_id=0, byte_fallback=False))


_ALMOST_QWEN = KNOWN_SPLITS["Qwen 2"].replace(r"\p{N}|", r"\p{N}{1,2}|", 1)
OUTSIDE = {
    "WordPiece": Outside(_word_piece, "model is WordPiece"),
    "Unigram": Outside(_unigram, "model is Unigram"),
    "dropout": Outside(_with_model(dropout=0.5), "drop out at random"),
    "prefix": Outside(_with_model(continuing_subword_prefix="##"), "inside or the end of words"),
    "suffix": Outside(_with_model(end_of_word_suffix="</w>"), "inside or the end of words", differs=False),
    "NFKC": Outside(_changed(byte_level, normalizer=normalizers.NFKC()), "normalizer is none of the known"),
    "lower case": Outside(
        _changed(byte_level, normalizer=normalizers.Lowercase()), "normalizer is none of the known", differs=False
    ),
    "unknown regex": Outside(lambda: _split(_ALMOST_QWEN), "pre-tokenizer is none of the known", differs=False),
    "regex with \\w": Outside(lambda: _split(r"\w+|\W"), "pre-tokenizer is none of the known", differs=False),
    "removing split": Outside(
        lambda: _split(KNOWN_SPLITS["Qwen 2"], "removed", invert=True),
        "pre-tokenizer is none of the known",
        differs=False,
    ),
    "prefix space": Outside(
        _changed(byte_level, pre_tokenizer=pre_tokenizers.ByteLevel(add_prefix_space=True)),
        "pre-tokenizer is none of the known",
        differs=False,
    ),
    "no pre-tokenizer": Outside(_changed(byte_level, pre_tokenizer=None), "pre-tokenizer is none of the known"),
    "incomplete alphabet": Outside(_incomplete_alphabet, "lacks 1 of the 256 bytes"),
    "post-processor": Outside(
        _changed(byte_level, post_processor=processors.BertProcessing(("</s>", 361), ("<s>", 360))),
        "post-processor is none of the known",
    ),
    "white space at the edge": Outside(
        _with_added(AddedToken("\n", lstrip=True, rstrip=True, normalized=False)), "strips white space has some itself"
    ),
    "whole word": Outside(
        _with_added(AddedToken("foo", single_word=True, normalized=False)), "only as a whole word", differs=False
    ),
    "mixed flags": Outside(
        _with_added(AddedToken("oof", normalized=True), AddedToken("foo", normalized=False)),
        "some added tokens are normalized",
    ),
    "missing byte": Outside(
        lambda: sentencepiece_like(without="<0xE4>"), "lacks 1 of the 256 byte tokens", differs=False
    ),
    "no unknown token": Outside(lambda: sentencepiece_like(unk_token=None), "no unknown token", differs=False),
    "missing character": Outside(lambda: sentencepiece_like(extra=("日本",)), "lacks characters of its own tokens"),
    "no ASCII": Outside(_without_ascii, "lacks characters of its own tokens"),
    "prepended only": Outside(
        _changed(sentencepiece_like, normalizer=normalizers.Prepend("▁")),
        "not those of Llama 2 or Gemma",
        differs=False,
    ),
    "Metaspace": Outside(
        _changed(sentencepiece_like, normalizer=None, pre_tokenizer=pre_tokenizers.Metaspace()),
        "not those of Llama 2 or Gemma",
    ),
}


def plan_of(raw: RawTokenizer) -> HuggingFacePlan:
    return HuggingFacePlan(raw, [list(dict(sorted(raw.get_added_tokens_decoder().items())).values())])


def fast_ids(fast: FastTokenizer, text: str, *, add_special_tokens: bool, parse_special_tokens: bool) -> list[int]:
    """What the engine gives, without guard and fallback."""
    return fast.encode(text, add_special_tokens, not parse_special_tokens).ids


def is_caught(plan: Plan) -> bool:
    """Whether the engine refuses, or the probe sees other ids, without the gate."""
    try:
        return difference(plan, plan.build(), lambda: True) is not None
    except BaseException as error:
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        return True


@cache
def compared(name: str) -> tuple[Plan, FastTokenizer]:
    """A tokenizer of `ELIGIBLE`: the plan, and the engine without guard and fallback."""
    plan: Plan = plan_of(INSIDE[name]()) if name in INSIDE else accelerator_of(name)._plan
    return plan, plan.build()


def accelerator_of(name: str) -> Accelerator:
    tokenizer = real_tokenizer(name)
    if not isinstance(tokenizer, Accelerated):
        raise TypeError(f"{tokenizer!r} has one engine")
    return tokenizer._accelerator


ELIGIBLE = (*INSIDE, *(REAL_ELIGIBLE if HAS_DATA else ()))
