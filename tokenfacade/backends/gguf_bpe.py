"""Byte-pair encoding by merges (``gpt2``): a tokenizer of the `tokenizers` library with the vocabulary of the file."""

from __future__ import annotations

import re
from itertools import chain, filterfalse
from typing import TYPE_CHECKING

import tokenizers
from tokenizers import AddedToken, Regex, models, normalizers, pre_tokenizers

from tokenfacade.backends.gguf_fragments import FragmentEncoder, spans_of_lengths
from tokenfacade.backends.gguf_patterns import GPT2
from tokenfacade.backends.huggingface import HuggingFaceTokenizer
from tokenfacade.decoding.pieces import byte_alphabet
from tokenfacade.lazy import cached_property

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tokenfacade.backends.gguf_patterns import PreTokenizer
    from tokenfacade.backends.gguf_vocabulary import Vocabulary
    from tokenfacade.encoding import Span
    from tokenfacade.engine import Engine, EngineChoice

SPACE = "▁"
_LONG_S = "'\u017f"
_NEWLINES = re.compile(r"(\n+)")


class BytePairEncoder(FragmentEncoder):
    """The merges of a file, and how it divides text into words.

    The library wants what llama.cpp doesn't: that every character and the result of every merge is a token. What lacks
    becomes a token beyond the vocabulary, and each such id the ids that llama.cpp gives instead.

    Args:
        vocabulary: The vocabulary.
        engine: As for `create_tokenizer`.
        added: Tokens that the library shall find by itself: those of ``parse_special_tokens``, and those found always.
        token_bytes: The bytes of an id.
        source: What the tokenizers of the library call it.
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        engine: EngineChoice,
        added: tuple[Sequence[str], Sequence[str]],
        token_bytes: Callable[[int], bytes],
        source: str,
    ) -> None:
        self._pre = vocabulary.pre_tokenizer
        self._count = len(vocabulary.tokens)
        self._token_bytes = token_bytes
        self._added = added
        self._source = source
        self._model, self._instead = _model(vocabulary)
        self.usual = self._dividing_by(self._pre.usual or self._pre.patterns, engine)
        self._unmerged = self._newlines_that_merge_otherwise(vocabulary.ids) if self._pre.joins_newlines else {}

    @property
    def is_final(self) -> bool:
        """Whether the library gives the final ids."""
        return not (self._instead or self._unmerged)

    @property
    def engine(self) -> Engine:
        return self.usual.engine

    def wait_for_engine(self, *, timeout: float | None = None) -> Engine:
        return self.usual.wait_for_engine(timeout=timeout)

    def is_usual(self, text: str) -> bool:
        """Whether the published pattern divides this text as llama.cpp does."""
        return not self._pre.usual or (_LONG_S not in text if self._pre.usual_for == "all" else text.isascii())

    def engine_for(self, text: str) -> HuggingFaceTokenizer:
        """The tokenizer that divides this text as llama.cpp does."""
        return self.usual if self.is_usual(text) else self._exact

    def encode(self, text: str, *, is_first: bool) -> list[int]:
        if not self._unmerged or "\n" not in text:
            return self._encode_words(text)
        ids: list[int] = []
        for part in _NEWLINES.split(text):
            token_id = self._unmerged.get(part)
            ids += self._encode_words(part) if token_id is None else [token_id]
        return ids

    def _encode_words(self, text: str) -> list[int]:
        ids = self.engine_for(text).encode(text, parse_special_tokens=False).ids
        if not self._instead or max(ids, default=0) < self._count:
            return ids
        return list(chain.from_iterable([self._instead.get(token_id, (token_id,)) for token_id in ids]))

    def offsets(self, text: str, ids: list[int], *, is_first: bool) -> list[Span]:
        return spans_of_lengths(text, [len(self._token_bytes(token_id)) for token_id in ids])

    @cached_property
    def _exact(self) -> HuggingFaceTokenizer:
        return self._dividing_by(self._pre.patterns, "reference")

    def _dividing_by(self, patterns: tuple[str, ...], engine: EngineChoice) -> HuggingFaceTokenizer:
        tokenizer = tokenizers.Tokenizer(self._model)
        if self._pre.escapes_spaces:
            tokenizer.normalizer = normalizers.Replace(" ", SPACE)
        tokenizer.pre_tokenizer = word_divider(self._pre, patterns)
        parsed, always = self._added
        tokenizer.add_tokens([AddedToken(token, special=True, normalized=False) for token in parsed])
        tokenizer.add_tokens([AddedToken(token, special=False, normalized=False) for token in always])
        return HuggingFaceTokenizer.adopting(tokenizer, source=self._source, engine=engine)

    def _newlines_that_merge_otherwise(self, ids: Mapping[str, int]) -> dict[str, int]:
        runs = {token: token_id for token, token_id in ids.items() if not token.strip("\n")}
        return {run: token_id for run, token_id in runs.items() if self._encode_words(run) != [token_id]}


def word_divider(pre: PreTokenizer, patterns: tuple[str, ...]) -> pre_tokenizers.PreTokenizer:
    # ByteLevel's own pattern is that of GPT-2, and known to accelerated engines.
    divides = pre.is_byte_level and patterns[-1] == GPT2
    steps: list[pre_tokenizers.PreTokenizer] = []
    steps += [pre_tokenizers.Split(Regex(pattern), "isolated") for pattern in (patterns[:-1] if divides else patterns)]
    if pre.is_byte_level:
        steps.append(pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=divides))
    return steps[0] if len(steps) == 1 else pre_tokenizers.Sequence(steps)


def _model(vocabulary: Vocabulary) -> tuple[models.BPE, dict[int, list[int]]]:
    """The library's model, and what its ids beyond the vocabulary stand for."""
    ids, pre = vocabulary.ids, vocabulary.pre_tokenizer
    pairs = list(dict.fromkeys(map(_pair, vocabulary.merges)))
    alphabet = byte_alphabet() if pre.is_byte_level else [f"<0x{byte:02X}>" for byte in range(256)]
    needed = chain(alphabet, chain.from_iterable(pairs), map("".join, pairs))
    lacking = sorted(set(filterfalse(ids.__contains__, needed)))
    known = dict(ids)
    instead = {}
    for token in lacking:
        known[token] = len(known)
        instead[known[token]] = _without(token, ids, is_byte_level=pre.is_byte_level)
    model = models.BPE(vocab=known, merges=pairs, ignore_merges=pre.ignore_merges, byte_fallback=not pre.is_byte_level)
    return model, instead


def _pair(merge: str) -> tuple[str, str]:
    """The two tokens of a merge; there is a space between them, and the first may begin with one."""
    first, _, second = merge.partition(" ")
    if first:
        return first, second
    at = merge.find(" ", 1)
    return (merge[:at], merge[at + 1 :]) if at > 0 else ("", "")


def _without(token: str, ids: Mapping[str, int], *, is_byte_level: bool) -> list[int]:
    """The ids that llama.cpp gives for a word that is no token: those of its bytes, as far as they are tokens."""
    if is_byte_level:
        spelled = [character for character in token if character.isascii()]
    elif re.fullmatch("<0x[0-9A-F]{2}>", token):
        spelled = []
    else:
        spelled = [f"<0x{byte:02X}>" for byte in token.encode()]
    return [ids[character] for character in spelled if character in ids]
