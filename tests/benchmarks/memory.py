"""``python -m tests.benchmarks memory``: how much a process grows by encoding 20,000 long texts, each a new one."""

from __future__ import annotations

import gc
import os
import random
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
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
        grown = growth(load(), CHARACTERS, warm_up=WARM_UP, texts=TEXTS)
        print(f"  {name:<30}{grown / 1e6:+8.1f} MB")


def growth(tokenizer: Tokenizer, characters: int, *, warm_up: int, texts: int, threads: int = 1) -> int:
    """How many bytes of memory are in use after encoding some texts that weren't before, beyond what caches hold.

    Args:
        tokenizer: What encodes.
        characters: How many each text has.
        warm_up: How many texts each thread encodes before.
        texts: How many it encodes then.
        threads: How many threads do that at once.
    """
    sizes: list[int] = []
    turn_ends = threading.Barrier(threads, action=lambda: sizes.append(_resident_without_garbage()))

    def encode_in_two_turns(seed: int) -> None:
        texts_to_come = unique_texts(characters, seed)
        try:
            for number in (warm_up, texts):
                for text in islice(texts_to_come, number):
                    tokenizer.encode(text)
                turn_ends.wait()
        except BaseException:
            turn_ends.abort()
            raise

    with ThreadPoolExecutor(threads) as executor:
        list(executor.map(encode_in_two_turns, range(threads)))
    return sizes[1] - sizes[0]


def _resident_without_garbage() -> int:
    gc.collect()
    return resident()


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
