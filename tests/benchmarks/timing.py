"""Fair timing on a noisy machine: candidates take turns in short blocks, and each one's best block counts."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

Block = Callable[[], object]
"""One run of the work that is timed."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a table: what was measured, in nanoseconds for one unit of work, and against what."""

    name: str
    nanoseconds: float
    ratio: float | None = None
    target: str = ""


def interleaved(blocks: Mapping[str, Block], *, units: int, rounds: int = 40) -> dict[str, float]:
    """Nanoseconds per unit of each block: the best of `rounds` runs, taken in turn."""
    best = dict.fromkeys(blocks, float("inf"))
    for block in blocks.values():
        block()
    gc.collect()
    gc.disable()
    try:
        for _ in range(rounds):
            for name, block in blocks.items():
                start = time.perf_counter_ns()
                block()
                best[name] = min(best[name], (time.perf_counter_ns() - start) / units)
    finally:
        gc.enable()
    return best


def interleaved_fresh(
    candidates: Mapping[str, Callable[[str], object]], texts: Callable[[], list[str]], *, rounds: int = 40
) -> dict[str, float]:
    """Nanoseconds per text of each candidate: the best of `rounds` runs, taken in turn, each on texts made for it alone
    so that none of them has been seen before."""
    best = dict.fromkeys(candidates, float("inf"))
    gc.collect()
    gc.disable()
    try:
        for _ in range(rounds):
            for name, candidate in candidates.items():
                unseen = texts()
                start = time.perf_counter_ns()
                for text in unseen:
                    candidate(text)
                best[name] = min(best[name], (time.perf_counter_ns() - start) / len(unseen))
    finally:
        gc.enable()
    return best


def print_table(title: str, rows: list[Row]) -> None:
    print(f"\n{title}")
    for row in rows:
        ratio = "" if row.ratio is None else f"{row.ratio:8.2f} x"
        print(f"  {row.name:<58}{row.nanoseconds:12,.0f} ns {ratio:>11}  {row.target}")
