"""A tokenizer that remembers what it encoded."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from tokenfacade.cache.delegate import DelegatingTokenizer
from tokenfacade.cache.level import ID_BYTES, CacheStatistics, Level, packed, unpacked
from tokenfacade.cache.segments import SHORTEST, SegmentCutter
from tokenfacade.encoding import Encoding
from tokenfacade.errors import ConfigurationError
from tokenfacade.lazy import cached_property
from tokenfacade.protocols import Tokenizer, checked_texts

if TYPE_CHECKING:
    from tokenfacade.cache.level import Key

MEBIBYTE = 2**20

MOST_TRIED = 8
"""Tokens that are tried for one that the post-processor doesn't add."""


@dataclass(frozen=True, slots=True)
class CacheConfig:
    """What a `CachedTokenizer` may take, in bytes of memory with all that is kept around texts and ids; 0 switches a
    level off.

    An entry of more than an eighth of its level's budget isn't kept.

    Attributes:
        text_bytes: For whole texts: a 32,000-token prompt takes about 250 kB.
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
        self._vocabulary = ""
        self._texts = Level(config.text_bytes)
        self._segments = Level(config.segment_bytes)

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
        other._vocabulary = self._vocabulary if is_same else fingerprint
        other._texts, other._segments = self._texts, self._segments
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

    def encode(self, text: str, *, add_special_tokens: bool = False, parse_special_tokens: bool = True) -> Encoding:
        if type(text) is not str:  # refused, or of a class that may compare as it likes
            return super().encode(
                text, add_special_tokens=add_special_tokens, parse_special_tokens=parse_special_tokens
            )
        key = self._key(text, added=add_special_tokens, parsed=parse_special_tokens)
        ids = self._texts.get(key)
        if ids is None:
            segments = self._segments_of(key)
            if not segments:
                encoding = super().encode(
                    text, add_special_tokens=add_special_tokens, parse_special_tokens=parse_special_tokens
                )
                self._texts.put(key, packed(encoding.ids))
                return encoding
            ids = self._joined(key, segments, self._ids_of(segments, self._encode_each))
            self._texts.put(key, ids)
        return self._encoding(key, text, ids)

    def encode_batch(
        self, texts: Sequence[str], *, add_special_tokens: bool = False, parse_special_tokens: bool = True
    ) -> list[Encoding]:
        texts = checked_texts(texts)
        if not all(type(text) is str for text in texts):
            return super().encode_batch(
                texts, add_special_tokens=add_special_tokens, parse_special_tokens=parse_special_tokens
            )
        keys = [self._key(text, added=add_special_tokens, parsed=parse_special_tokens) for text in texts]
        known = {key: ids for key in dict.fromkeys(keys) if (ids := self._texts.get(key)) is not None}
        cut = {key: self._segments_of(key) for key in keys if key not in known}
        new = self._encode_whole([key for key, segments in cut.items() if not segments])
        parts = self._ids_of((part for segments in cut.values() for part in segments), self._tokenizer.encode_batch)
        new |= {key: self._joined(key, segments, parts) for key, segments in cut.items() if segments}
        for key, ids in new.items():
            self._texts.put(key, ids)
        known |= new
        return [self._encoding(key, text, known[key]) for key, text in zip(keys, texts, strict=True)]

    def count_tokens(self, text: str, *, add_special_tokens: bool = False, parse_special_tokens: bool = True) -> int:
        if type(text) is str:
            key = self._key(text, added=add_special_tokens, parsed=parse_special_tokens)
            ids = self._texts.get(key)
            if ids is not None:
                return len(ids) // ID_BYTES
            segments = self._segments_of(key)
            if segments:
                return len(self._joined(key, segments, self._ids_of(segments, self._encode_each))) // ID_BYTES
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
        """The encodings of texts that are all known as a whole: so fast that an event loop can wait for it."""
        if isinstance(texts, str) or not all(type(text) is str for text in texts):
            return None
        keys = [self._key(text, added=added, parsed=parsed) for text in texts]
        found = self._texts.get_all(keys)
        if found is None:
            return None
        return [self._encoding(key, text, ids) for key, text, ids in zip(keys, texts, found, strict=True)]

    def _key(self, text: str, *, added: bool, parsed: bool) -> Key:
        return text.encode("utf-8", "surrogatepass"), bool(added), bool(parsed), self._vocabulary

    def _encoding(self, key: Key, text: str, ids: bytes) -> Encoding:
        _, added, parsed, _ = key
        return Encoding(unpacked(ids), text, self, add_special_tokens=added, parse_special_tokens=parsed)

    @cached_property
    def _cutter(self) -> SegmentCutter | None:
        # Made for the first text that is long enough: for 1,283 added tokens it takes 40 ms.
        tokens = self._tokenizer.cut_points() if self._segments.is_on else None
        return SegmentCutter(tokens) if tokens else None

    @cached_property
    def _around(self) -> tuple[bytes, bytes] | None:
        """What ``add_special_tokens`` puts before and after every text, where one token shows it."""
        for token in sorted(self._tokenizer.cut_points())[:MOST_TRIED]:
            alone = self._tokenizer.encode(token).ids
            ids = self._tokenizer.encode(token, add_special_tokens=True).ids
            if len(alone) == 1 and ids.count(alone[0]) == 1:
                at = ids.index(alone[0])
                return packed(ids[:at]), packed(ids[at + 1 :])
        return None

    def _segments_of(self, key: Key) -> list[bytes]:
        """The segments of a text; none where it is better encoded as a whole, or must be."""
        data, added, parsed, _ = key
        if not parsed or len(data) < 2 * SHORTEST or self._cutter is None or (added and self._around is None):
            return []
        segments = self._cutter.segments(data)
        return segments if len(segments) > 1 else []

    def _ids_of(self, segments: Iterable[bytes], encode: Callable[[list[str]], list[Encoding]]) -> dict[bytes, bytes]:
        """The packed ids of segments, of which those that aren't known are encoded."""
        keys = {segment: (segment, False, True, self._vocabulary) for segment in segments}
        known = {segment: ids for segment, key in keys.items() if (ids := self._segments.get(key)) is not None}
        missing = [segment for segment in keys if segment not in known]
        if missing:
            encodings = encode([_text(segment) for segment in missing])
            for segment, encoding in zip(missing, encodings, strict=True):
                known[segment] = packed(encoding.ids)
                self._segments.put(keys[segment], known[segment])
        return known

    def _encode_each(self, texts: list[str]) -> list[Encoding]:
        # Not as a batch: that would take all processors for one text.
        return list(map(self._tokenizer.encode, texts))

    def _encode_whole(self, keys: list[Key]) -> dict[Key, bytes]:
        if not keys:
            return {}
        _, added, parsed, _ = keys[0]
        texts = [_text(data) for data, _, _, _ in keys]
        encodings = super().encode_batch(texts, add_special_tokens=added, parse_special_tokens=parsed)
        return {key: packed(encoding.ids) for key, encoding in zip(keys, encodings, strict=True)}

    def _joined(self, key: Key, segments: list[bytes], known: dict[bytes, bytes]) -> bytes:
        ids = b"".join([known[segment] for segment in segments])
        if not key[1] or self._around is None:
            return ids
        before, after = self._around
        return before + ids + after

    def __reduce__(self) -> tuple[object, ...]:
        return CachedTokenizer, (self._tokenizer, self._config)


def _checked(tokenizer: Tokenizer) -> Tokenizer:
    if Tokenizer not in type(tokenizer).__mro__:
        raise ConfigurationError(f"a CachedTokenizer is made around a Tokenizer, not {tokenizer!r}")
    return tokenizer


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogatepass")
