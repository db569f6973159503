"""``python -m tests.benchmarks memory``: how much a process grows by encoding 20,000 long texts, each a new one."""

from __future__ import annotations

import gc
import os
import random
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from tests.benchmarks.loop import TOKENIZERS

if TYPE_CHECKING:
    from tokenfacade import Tokenizer

WARM_UP = 25_000
TEXTS = 20_000
CHARACTERS = 4_000


def run() -> None:
    print(f"\nGrowth by {TEXTS:,} texts of {CHARACTERS:,} characters, after {WARM_UP:,} others")
    for name, load in TOKENIZERS.items():
        grown = growth(load(), unique_texts(CHARACTERS), warm_up=WARM_UP, texts=TEXTS)
        print(f"  {name:<30}{grown / 1e6:+8.1f} MB")


def growth(tokenizer: Tokenizer, texts_to_come: Iterator[str], *, warm_up: int, texts: int) -> int:
    """How many bytes of memory are in use after encoding some texts that weren't before, beyond what caches hold."""
    encode: Callable[[str], object] = tokenizer.encode
    for text in islice(texts_to_come, warm_up):
        encode(text)
    gc.collect()
    before = resident()
    for text in islice(texts_to_come, texts):
        encode(text)
    gc.collect()
    return resident() - before


def unique_texts(characters: int, seed: int = 0) -> Iterator[str]:
    """Texts of new words, of numbers, and of one word as long as the text: what fills caches."""
    chance = random.Random(seed)
    number = 0
    while True:
        number += 1
        yield (f"{number} {number}-{chance.random()} " * characters)[:characters]
        words = ["".join(chance.choices("abcdefghijklmnopqrstuvwxyzäöüß世界", k=8)) for _ in range(characters // 9)]
        yield " ".join(words)
        yield "".join(words)


def resident() -> int:
    """The memory that this process has, in bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
