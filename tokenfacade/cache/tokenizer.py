"""A tokenizer that remembers what it encoded."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields
from itertools import chain, islice

from tokenfacade.cache.delegate import DelegatingTokenizer
from tokenfacade.cache.ids import SharedIds
from tokenfacade.cache.level import CacheStatistics, Level
from tokenfacade.cache.segments import SHORTEST, SegmentCutter
from tokenfacade.encoding import Encoding
from tokenfacade.errors import ConfigurationError
from tokenfacade.lazy import cached_property
from tokenfacade.protocols import Tokenizer, checked_texts
from tokenfacade.threads import HUGE_CHARACTERS, count_characters

MEBIBYTE = 2**20

SHARED_PART = 4
"""The integers that ids share may take this part of the larger budget at most, in which they count."""

MOST_TRIED = 8
"""Tokens that are tried for one that the post-processor doesn't add."""


@dataclass(frozen=True, slots=True)
class CacheConfig:
    """What a `CachedTokenizer` may take, in bytes of memory with all that is kept around texts and ids; 0 switches a
    level off.

    An entry of more than an eighth of its level's budget isn't kept. What ids have in common, some 70 bytes for each
    different one, counts in the larger budget and takes a quarter of it at most; ids beyond that are packed: half the
    size, and slower to give.

    Attributes:
        text_bytes: For whole texts: a 32,000-token prompt takes about 350 kB, 8 bytes for each token beside its UTF-8.
        segment_bytes: For the segments that texts with special tokens have in common.

    Raises:
        ConfigurationError: A budget is negative or no integer.

    Example:
        >>> CacheConfig(segment_bytes=0).text_bytes
        67108864
    """

    text_bytes: int = 64 * MEBIBYTE
    segment_bytes: int = 64 * MEBIBYTE

    def __post_init__(self) -> None:
        for field in fields(self):
            budget = getattr(self, field.name)
            if not isinstance(budget, int) or isinstance(budget, bool) or budget < 0:
                raise ConfigurationError(f"{field.name} is a number of bytes, 0 or more, not {budget!r}")


class CachedTokenizer(DelegatingTokenizer):
    """A tokenizer around another one, that gives the same ids and remembers them: of whole texts, and of segments.

    A text that isn't known as a whole is cut before special tokens, and only the segments that are new are encoded: so
    the next turn of a chat costs what it adds, and prompts that begin with the same system message share it. A
    tokenizer for which such cuts aren't proven to change nothing (`cut_points` is empty) keeps whole texts only.

    What comes out belongs to the caller: changing it does not change what is remembered. Threads may share it; a
    forked process goes on with a copy; a pickled one arrives empty. `truncate`, and what asks for offsets, go past the
    cache.

    Args:
        tokenizer: The tokenizer that encodes what isn't known. One that encodes at random (dropout) is no use here.
        config: The budgets.

    Raises:
        ConfigurationError: `tokenizer` is no `Tokenizer`, or `config` no `CacheConfig`.

    Example:
        >>> from tokenfacade import MockTokenizer
        >>> tokenizer = CachedTokenizer(MockTokenizer(), CacheConfig(text_bytes=2**20))
        >>> tokenizer.encode("hello world").ids == tokenizer.encode("hello world").ids
        True
        >>> tokenizer.statistics.texts.hits, tokenizer.statistics.texts.misses
        (1, 1)
    """

    def __init__(self, tokenizer: Tokenizer, config: CacheConfig | None = None) -> None:
        config = CacheConfig() if config is None else config
        if not isinstance(config, CacheConfig):
            raise ConfigurationError(f"the config of a CachedTokenizer is a CacheConfig, not {config!r}")
        self._tokenizer = _checked(tokenizer)
        self._config = config
        self._vocabulary = b""
        are_texts_larger = config.text_bytes >= config.segment_bytes
        self._shared = SharedIds(max(config.text_bytes, config.segment_bytes) // SHARED_PART)
        self._texts = Level(config.text_bytes, self._shared if are_texts_larger else None)
        self._segments = Level(config.segment_bytes, None if are_texts_larger else self._shared)
        self._larger = self._texts if are_texts_larger else self._segments

    def sharing(self, tokenizer: Tokenizer) -> CachedTokenizer:
        """Another tokenizer behind the same cache, so that both live within one budget.

        They find each other's texts if their vocabularies are the same, which takes their fingerprints: up to a second
        for a large vocabulary. (A twin by `with_chat_template` shares the cache too, for nothing.)

        Raises:
            ConfigurationError: `tokenizer` is no `Tokenizer`.

        Example:
            >>> from tokenfacade import MockTokenizer
            >>> one = CachedTokenizer(MockTokenizer())
            >>> other = one.sharing(MockTokenizer(["router"]))
            >>> one.encode("router") == other.encode("router"), one.statistics.texts.entries
            (False, 2)
        """
        fingerprint = _checked(tokenizer).vocabulary_fingerprint
        other = CachedTokenizer(tokenizer, self._config)
        is_same = fingerprint == self.vocabulary_fingerprint
        other._vocabulary = self._vocabulary if is_same else fingerprint.encode()
        other._texts, other._segments = self._texts, self._segments
        other._shared, other._larger = self._shared, self._larger
        return other

    @property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer inside."""
        return self._tokenizer

    @property
    def config(self) -> CacheConfig:
        """The budgets."""
        return self._config

    @property
    def statistics(self) -> CacheStatistics:
        """What the cache did until now, for all tokenizers that share it."""
        return CacheStatistics(self._texts.statistics, self._segments.statistics)

    def clear(self) -> None:
        """Forget all texts; what was counted stays."""
        self._texts.clear()
        self._segments.clear()
        self._shared.clear()

    def encode(self, text: str, *, add_special_tokens: bool = False, parse_special_tokens: bool = True) -> Encoding:
        if type(text) is not str:  # refused, or of a class that may compare as it likes
            return super().encode(
                text, add_special_tokens=add_special_tokens, parse_special_tokens=parse_special_tokens
            )
        data = _utf8(text)
        key = self._key(data, added=add_special_tokens, parsed=parse_special_tokens)
        known = self._texts.get(key)
        if known is not None:
            return self._encoding(text, list(known), added=add_special_tokens, parsed=parse_special_tokens)
        segments = self._segments_of(data, added=add_special_tokens, parsed=parse_special_tokens)
        if not segments:
            encoding = super().encode(
                text, add_special_tokens=add_special_tokens, parse_special_tokens=parse_special_tokens
            )
            self._keep(self._texts, key, encoding.ids)
            return encoding
        ids = self._joined(key, self._ids_of(segments, self._encode_each), added=add_special_tokens)
        return self._encoding(text, ids, added=add_special_tokens, parsed=parse_special_tokens)

    def encode_batch(
        self, texts: Sequence[str], *, add_special_tokens: bool = False, parse_special_tokens: bool = True
    ) -> list[Encoding]:
        texts = checked_texts(texts)
        if not all(type(text) is str for text in texts):
            return super().encode_batch(
                texts, add_special_tokens=add_special_tokens, parse_special_tokens=parse_special_tokens
            )
        added, parsed = add_special_tokens, parse_special_tokens
        data = list(map(_utf8, texts))
        keys = [self._key(each, added=added, parsed=parsed) for each in data]
        different = dict(zip(keys, zip(data, texts, strict=True), strict=True))
        found = dict(zip(different, self._texts.get_each(list(different)), strict=True))
        known: dict[bytes, Sequence[int]] = {key: ids for key, ids in found.items() if ids is not None}
        new = {key: each for key, each in different.items() if key not in known}
        known |= self._encode_new(new, added=added, parsed=parsed)
        return [
            self._encoding(text, list(known[key]), added=added, parsed=parsed)
            for key, text in zip(keys, texts, strict=True)
        ]

    def count_tokens(self, text: str, *, add_special_tokens: bool = False, parse_special_tokens: bool = True) -> int:
        if type(text) is str:
            data = _utf8(text)
            ids = self._texts.get(self._key(data, added=add_special_tokens, parsed=parse_special_tokens))
            if ids is not None:
                return len(ids)
            segments = self._segments_of(data, added=add_special_tokens, parsed=parse_special_tokens)
            if segments:
                around = self._around if add_special_tokens else None
                return sum(map(len, chain(around or (), self._ids_of(segments, self._encode_each))))
        return super().count_tokens(
            text, add_special_tokens=add_special_tokens, parse_special_tokens=parse_special_tokens
        )

    async def encode_async(
        self, text: str, *, add_special_tokens: bool = False, parse_special_tokens: bool = True
    ) -> Encoding:
        found = self._all_known([text], added=add_special_tokens, parsed=parse_special_tokens)
        if found:
            return found[0]
        return await super().encode_async(
            text, add_special_tokens=add_special_tokens, parse_special_tokens=parse_special_tokens
        )

    async def encode_batch_async(
        self, texts: Sequence[str], *, add_special_tokens: bool = False, parse_special_tokens: bool = True
    ) -> list[Encoding]:
        if isinstance(texts, Iterable):
            texts = texts if isinstance(texts, str) else list(texts)
            found = self._all_known(texts, added=add_special_tokens, parsed=parse_special_tokens)
            if found:
                return found
        return await super().encode_batch_async(
            texts, add_special_tokens=add_special_tokens, parse_special_tokens=parse_special_tokens
        )

    def _all_known(self, texts: Sequence[str], *, added: bool, parsed: bool) -> list[Encoding] | None:
        """The encodings of texts that are all known as a whole, and few: so fast that an event loop can wait for it."""
        if isinstance(texts, str) or not all(type(text) is str for text in texts):
            return None
        if count_characters(texts, HUGE_CHARACTERS) > HUGE_CHARACTERS:
            return None
        found = self._texts.get_all([self._key(_utf8(text), added=added, parsed=parsed) for text in texts])
        if found is None:
            return None
        return [
            self._encoding(text, list(ids), added=added, parsed=parsed) for text, ids in zip(texts, found, strict=True)
        ]

    def _key(self, data: bytes, *, added: bool, parsed: bool) -> bytes:
        """A text with its flags and vocabulary, behind a byte that UTF-8 has nowhere."""
        return b"%b\xff%d%d%b" % (data, bool(added), bool(parsed), self._vocabulary)

    def _encoding(self, text: str, ids: list[int], *, added: bool, parsed: bool) -> Encoding:
        return Encoding(ids, text, self, add_special_tokens=added, parse_special_tokens=parsed)

    @cached_property
    def _cutter(self) -> SegmentCutter | None:
        # Made for the first text that is long enough: for 1,283 added tokens it takes 40 ms.
        tokens = self._tokenizer.cut_points() if self._segments.is_on else None
        return SegmentCutter(tokens) if tokens else None

    @cached_property
    def _around(self) -> tuple[tuple[int, ...], tuple[int, ...]] | None:
        """What ``add_special_tokens`` puts before and after every text, where one token shows it."""
        for token in sorted(self._tokenizer.cut_points())[:MOST_TRIED]:
            alone = self._tokenizer.encode(token).ids
            ids = self._tokenizer.encode(token, add_special_tokens=True).ids
            if len(alone) == 1 and ids.count(alone[0]) == 1:
                at = ids.index(alone[0])
                return tuple(ids[:at]), tuple(ids[at + 1 :])
        return None

    def _segments_of(self, data: bytes, *, added: bool, parsed: bool) -> list[bytes]:
        """The segments of a text; none where it is better encoded as a whole, or must be."""
        if not parsed or len(data) < 2 * SHORTEST or self._cutter is None or (added and self._around is None):
            return []
        segments = self._cutter.segments(data)
        return segments if len(segments) > 1 else []

    def _ids_of(self, segments: list[bytes], encode: Callable[[list[str]], list[Encoding]]) -> list[Sequence[int]]:
        """The ids of segments, of which those that aren't known are encoded."""
        vocabulary = self._vocabulary
        keys = [b"%b\xff%b" % (segment, vocabulary) for segment in segments] if vocabulary else segments
        found = self._segments.get_each(keys)
        missing = {key: segment for key, segment, ids in zip(keys, segments, found, strict=True) if ids is None}
        new: dict[bytes, Sequence[int]] = {}
        if missing:
            encodings = encode(list(map(_text, missing.values())))
            for key, encoding in zip(missing, encodings, strict=True):
                new[key] = self._keep(self._segments, key, encoding.ids)
        return [new[key] if ids is None else ids for key, ids in zip(keys, found, strict=True)]

    def _encode_new(
        self, texts: dict[bytes, tuple[bytes, str]], *, added: bool, parsed: bool
    ) -> dict[bytes, Sequence[int]]:
        """The ids of texts that aren't known as a whole."""
        cut = {key: self._segments_of(data, added=added, parsed=parsed) for key, (data, _) in texts.items()}
        whole = {key: text for key, (_, text) in texts.items() if not cut[key]}
        new: dict[bytes, Sequence[int]] = {}
        if whole:
            encodings = super().encode_batch(
                list(whole.values()), add_special_tokens=added, parse_special_tokens=parsed
            )
            for key, encoding in zip(whole, encodings, strict=True):
                new[key] = self._keep(self._texts, key, encoding.ids)
        parts = iter(self._ids_of(list(chain.from_iterable(cut.values())), self._tokenizer.encode_batch))
        for key, segments in cut.items():
            if segments:
                new[key] = self._joined(key, list(islice(parts, len(segments))), added=added)
        return new

    def _encode_each(self, texts: list[str]) -> list[Encoding]:
        # Not as a batch: that would take all processors for one text.
        return list(map(self._tokenizer.encode, texts))

    def _joined(self, key: bytes, parts: list[Sequence[int]], *, added: bool) -> list[int]:
        """The ids of a text, which are kept."""
        ids: list[int] = []
        for part in parts:
            ids += part
        if added and self._around is not None:
            before, after = self._around
            ids = [*before, *ids, *after]
        if set(map(type, parts)) != {tuple}:
            self._keep(self._texts, key, ids)
        elif self._texts.has_room(key, len(ids)):
            self._texts.put(key, tuple(ids))
        return ids

    def _keep(self, level: Level, key: bytes, ids: list[int]) -> Sequence[int]:
        """Keep new ids, unless they are too many; what is returned nobody changes."""
        if not level.has_room(key, len(ids)):
            return ids
        kept = self._shared.kept(ids)
        level.put(key, kept)
        if level is not self._larger:
            self._larger.trim()
        return kept

    def __reduce__(self) -> tuple[object, ...]:
        return CachedTokenizer, (self._tokenizer, self._config)


def _checked(tokenizer: Tokenizer) -> Tokenizer:
    if Tokenizer not in type(tokenizer).__mro__:
        raise ConfigurationError(f"a CachedTokenizer is made around a Tokenizer, not {tokenizer!r}")
    return tokenizer


def _utf8(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogatepass")
