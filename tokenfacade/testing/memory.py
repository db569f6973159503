"""What a piece of work leaves behind in memory."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable
from itertools import pairwise

STRETCHES = 3


def kept_by(work: Callable[[], object]) -> int:
    """How many bytes each repetition of some work leaves behind: the least of three, since other threads allocate too.

    The first repetition, which may fill tables, isn't counted.

    Example:
        >>> kept: list[bytes] = []
        >>> kept_by(lambda: kept.append(bytes(100_000))) >= 100_000
        True
        >>> kept_by(lambda: bytes(100_000)) < 1000
        True
    """
    was_tracing = tracemalloc.is_tracing()
    if not was_tracing:
        tracemalloc.start()
    gc.freeze()  # so that collecting looks only at what the work makes: 1 ms instead of 130
    try:
        sizes = [_size_after(work) for _ in range(1 + STRETCHES)]
        return min(after - before for before, after in pairwise(sizes))
    finally:
        gc.unfreeze()
        if not was_tracing:
            tracemalloc.stop()


def _size_after(work: Callable[[], object]) -> int:
    work()
    gc.collect()  # empties the free lists of CPython too, which grow for a while
    return tracemalloc.get_traced_memory()[0]
