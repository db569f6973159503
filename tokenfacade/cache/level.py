"""One level of the cache: texts and their ids, within a budget of bytes; what is unused for longest goes first."""

from __future__ import annotations

import os
import sys
from array import array
from collections import OrderedDict
from collections.abc import Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from threading import RLock

from tokenfacade.errors import EncodeError

Key = tuple[bytes, bool, bool, str]
"""A text as UTF-8, the two flags of `encode`, and the vocabulary."""

ID_BYTES = 4

LARGEST_SHARE = 8
"""An entry may take this part of the budget at most, so that one text never pushes out all others."""


@dataclass(frozen=True, slots=True)
class LevelStatistics:
    """What one level of a cache did since it was made.

    Attributes:
        hits: Look-ups that found their text.
        misses: Look-ups that didn't.
        entries: Texts that it holds.
        bytes: What they take, with their ids and all that is kept around them.
        evictions: Texts that had to go because the budget was spent.
        tokens_reused: Tokens that hits gave.
    """

    hits: int = 0
    misses: int = 0
    entries: int = 0
    bytes: int = 0
    evictions: int = 0
    tokens_reused: int = 0


@dataclass(frozen=True, slots=True)
class CacheStatistics:
    """What a cache did: its level of whole texts, and its level of segments.

    Each text is looked up once among the whole ones, and if it isn't there, each of its segments.
    """

    texts: LevelStatistics
    segments: LevelStatistics


class Level:
    """A least recently used cache of ids by text, which threads and forked processes may share.

    Args:
        budget: The most bytes that it may take; 0 keeps nothing.
    """

    # UTF-8 and packed ids: a `str` takes up to 4 bytes a character, and grows when an engine asks for its UTF-8. Ids
    # as a tuple take 40 bytes each, packed 4, and all but the small ones are objects of their own; 32,000 come out as
    # a list in 0.32 ms, where copying a tuple takes 0.05 ms and encoding them 80 ms.

    def __init__(self, budget: int) -> None:
        self._budget = budget
        self._entries: OrderedDict[Key, bytes] = OrderedDict()
        self._entry_bytes = 0
        self._hits = self._misses = self._evictions = self._tokens_reused = 0
        self._process = os.getpid()
        self._locks: dict[int, AbstractContextManager[bool]] = {}

    @property
    def is_on(self) -> bool:
        """Whether it keeps anything."""
        return self._budget > 0

    def get(self, key: Key) -> bytes | None:
        """The packed ids of a text, which thereby is the one used last."""
        if not self._budget:
            return None
        with self._lock():
            ids = self._entries.get(key)
            if ids is None:
                self._misses += 1
                return None
            self._use(key, ids)
            return ids

    def get_all(self, keys: Iterable[Key]) -> list[bytes] | None:
        """The packed ids of several texts; if one is missing, None, and nothing is counted."""
        with self._lock():
            found: list[bytes] = []
            keys = list(keys)
            for key in keys:
                ids = self._entries.get(key)
                if ids is None:
                    return None
                found.append(ids)
            for key, ids in zip(keys, found, strict=True):
                self._use(key, ids)
            return found

    def put(self, key: Key, ids: bytes) -> None:
        """Keep the packed ids of a text, unless they are too many."""
        size = _size(key, ids)
        if size > self._budget // LARGEST_SHARE:
            return
        with self._lock():
            if key in self._entries:
                return
            self._entries[key] = ids
            self._entry_bytes += size
            while self._entries and self._bytes > self._budget:
                self._entry_bytes -= _size(*self._entries.popitem(last=False))
                self._evictions += 1
            if not self._entries:
                self._forget()

    def clear(self) -> None:
        """Forget all texts; what was counted stays."""
        with self._lock():
            self._forget()

    @property
    def statistics(self) -> LevelStatistics:
        """What it did until now."""
        with self._lock():
            return LevelStatistics(
                hits=self._hits,
                misses=self._misses,
                entries=len(self._entries),
                bytes=self._bytes if self._entries else 0,
                evictions=self._evictions,
                tokens_reused=self._tokens_reused,
            )

    @property
    def _bytes(self) -> int:
        return self._entry_bytes + sys.getsizeof(self._entries)

    def _use(self, key: Key, ids: bytes) -> None:
        self._entries.move_to_end(key)
        self._hits += 1
        self._tokens_reused += len(ids) // ID_BYTES

    def _forget(self) -> None:
        self._entries = OrderedDict()  # a cleared one would keep its table
        self._entry_bytes = 0

    def _lock(self) -> AbstractContextManager[bool]:
        """The lock of this process: a fork may leave that of its parent locked for ever, and a sum half done.

        It may be taken again by who has it, as a finalizer or signal handler that encodes would do.
        """
        process = os.getpid()
        lock = self._locks.get(process) or self._locks.setdefault(process, RLock())
        if process != self._process:
            with lock:
                if process != self._process:
                    self._entry_bytes = sum(_size(key, ids) for key, ids in self._entries.items())
                    self._process = process
        return lock


def packed(ids: list[int]) -> bytes:
    """Ids of 4 bytes each.

    Raises:
        EncodeError: One doesn't fit.

    Example:
        >>> unpacked(packed([1, 70000]))
        [1, 70000]
    """
    try:
        return array("I", ids).tobytes()
    except OverflowError:
        raise EncodeError("a cache keeps ids of 32 bits, and this tokenizer gives others") from None


def unpacked(ids: bytes) -> list[int]:
    """A new list of ids that `packed` packed."""
    return array("I", ids).tolist()


def _size(key: Key, ids: bytes) -> int:
    """The bytes of an entry beside its place in the table."""
    return sys.getsizeof(key) + sys.getsizeof(key[0]) + sys.getsizeof(ids)
