"""One level of the cache: texts and their ids, within a budget of bytes; what is unused for longest goes first."""

from __future__ import annotations

import os
import sys
from collections import OrderedDict
from contextlib import AbstractContextManager
from dataclasses import dataclass
from threading import RLock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tokenfacade.cache.ids import Ids, SharedIds

ID_BYTES = 8

LARGEST_SHARE = 8
"""An entry may take this part of the budget at most, so that one text never pushes out all others."""


@dataclass(frozen=True, slots=True)
class LevelStatistics:
    """What one level of a cache did since it was made.

    Attributes:
        hits: Look-ups that found their text.
        misses: Look-ups that didn't.
        entries: Texts that it holds.
        bytes: What they take, with their ids and all that is kept around them. The integers that ids share count in
            the level with the larger budget.
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
        shared: Integers that count in this budget; whoever adds to them calls `trim`.
    """

    # Keys are UTF-8: a `str` takes up to 4 bytes a character, and grows when an engine asks for its UTF-8. What tells
    # texts of other flags apart is in the bytes too, which know their hash, where a tuple works it out each time.

    def __init__(self, budget: int, shared: SharedIds | None = None) -> None:
        self._budget = budget
        self._shared = shared
        self._entries: OrderedDict[bytes, Ids] = OrderedDict()
        self._entry_bytes = 0
        self._hits = self._misses = self._evictions = self._tokens_reused = 0
        self._process = os.getpid()
        self._locks: dict[int, AbstractContextManager[bool]] = {}

    @property
    def is_on(self) -> bool:
        """Whether it keeps anything."""
        return self._budget > 0

    def get(self, key: bytes) -> Ids | None:
        """The ids of a text, which thereby is the one used last."""
        return self.get_each([key])[0]

    def get_each(self, keys: Sequence[bytes]) -> list[Ids | None]:
        """The ids of several texts, None for each that is missing."""
        if not self._budget:
            return [None] * len(keys)
        with self._lock():
            found = list(map(self._entries.get, keys))
            self._use(keys, found)
            return found

    def get_all(self, keys: Sequence[bytes]) -> list[Ids] | None:
        """The ids of several texts; if one is missing, None, and nothing is counted."""
        with self._lock():
            found = [ids for ids in map(self._entries.get, keys) if ids is not None]
            if len(found) < len(keys):
                return None
            self._use(keys, found)
            return found

    def has_room(self, key: bytes, tokens: int) -> bool:
        """Whether a text of so many tokens may be kept."""
        return len(key) + tokens * ID_BYTES <= self._budget // LARGEST_SHARE

    def put(self, key: bytes, ids: Ids) -> None:
        """Keep the ids of a text, unless they are too many."""
        size = _size(key, ids)
        if size > self._budget // LARGEST_SHARE:
            return
        with self._lock():
            if key in self._entries:
                return
            self._entries[key] = ids
            self._entry_bytes += size
            self.trim()

    def trim(self) -> None:
        """Drop texts until all is within the budget again, after the shared integers became more."""
        with self._lock():
            if self._bytes <= self._budget:
                return
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
                bytes=self._bytes,
                evictions=self._evictions,
                tokens_reused=self._tokens_reused,
            )

    @property
    def _bytes(self) -> int:
        shared = self._shared.bytes if self._shared else 0
        return shared + (self._entry_bytes + sys.getsizeof(self._entries) if self._entries else 0)

    def _use(self, keys: Sequence[bytes], found: Sequence[Ids | None]) -> None:
        """Count look-ups, and make what they found what was used last."""
        for key, ids in zip(keys, found, strict=True):
            if ids is None:
                self._misses += 1
                continue
            self._hits += 1
            self._tokens_reused += len(ids)
            try:
                self._entries.move_to_end(key)
            except KeyError:  # a finalizer that encodes has pushed it out just now
                continue

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


def _size(key: bytes, ids: Ids) -> int:
    """The bytes of an entry beside its place in the table."""
    return sys.getsizeof(key) + sys.getsizeof(ids)
