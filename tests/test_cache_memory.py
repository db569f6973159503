"""What a `CachedTokenizer` counts in its budgets is what it takes, with the integers that ids share."""

from __future__ import annotations

import gc
import tracemalloc
from zlib import crc32

import pytest

from tests.test_cache import chat_text
from tokenfacade import MockTokenizer
from tokenfacade.cache import CacheConfig, CachedTokenizer
from tokenfacade.encoding import Encoding


@pytest.mark.parametrize(("count", "words"), [(300, 2), (60, 100), (20, 300)])
@pytest.mark.parametrize("letter", ["a", "é", "世", "😊"])
def test_the_budget_is_what_memory_is_taken(count: int, words: int, letter: str) -> None:
    tokenizer = MockTokenizer()
    budget = 100_000
    cached = CachedTokenizer(tokenizer, CacheConfig(text_bytes=budget, segment_bytes=budget))

    def fill(count: int) -> None:
        for number in range(count):
            cached.encode(f"{number} {letter} " * words + chat_text(1 + number % 2))

    fill(10)
    cached.clear()
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    fill(count)
    gc.collect()
    taken = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    counted = cached.statistics.texts.bytes + cached.statistics.segments.bytes
    assert cached.statistics.texts.bytes <= budget
    assert cached.statistics.segments.bytes <= budget
    # The interpreter keeps some freed lists for later, and other threads of the suite may be at work.
    assert taken <= counted * 1.05 + 16_000
    assert counted <= taken * 1.1


class Wide(MockTokenizer):
    """One whose texts have ids of their own."""

    def encode(self, text: str, *, add_special_tokens: bool = False, parse_special_tokens: bool = True) -> Encoding:
        first = crc32(text.encode()) % 300_000
        ids = [*range(first, first + len(text) // 3)]
        return Encoding(ids, text, self, add_special_tokens=False, parse_special_tokens=True)


@pytest.mark.parametrize("budget", [30_000, 400_000, 8_000_000])
def test_the_integers_that_ids_share_count_too(budget: int) -> None:
    cached = CachedTokenizer(Wide(), CacheConfig(text_bytes=budget, segment_bytes=0))
    texts = [f"{number} " * 150 for number in range(400)]
    for text in texts[:10]:
        cached.encode(text)
    cached.clear()
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for text in texts:
        assert cached.encode(text) == cached.encode(text) == Wide().encode(text)
    gc.collect()
    taken = tracemalloc.get_traced_memory()[0] - before
    counted = cached.statistics.texts.bytes
    assert counted <= budget
    assert taken <= counted * 1.05 + 16_000
    assert counted <= taken * 1.1
    cached.clear()
    gc.collect()
    assert tracemalloc.get_traced_memory()[0] - before < 16_000
    tracemalloc.stop()


def test_integers_that_segments_add_push_texts_out() -> None:
    cached = CachedTokenizer(Wide(), CacheConfig(text_bytes=300_000, segment_bytes=300_000))
    while not cached.statistics.texts.evictions:
        cached.encode(chr(0x4E00 + cached.statistics.texts.entries))  # without ids
    full = cached.statistics.texts
    cached.count_tokens(chat_text(20))  # remembers segments, and no whole texts
    statistics = cached.statistics
    assert statistics.segments.entries > 10
    assert statistics.texts.bytes <= 300_000
    assert statistics.texts.evictions > full.evictions


def test_many_ids_are_looked_up_in_parts() -> None:
    cached = CachedTokenizer(Wide())
    text = "hello " * 25_000
    assert cached.encode(text) == cached.encode(text) == Wide().encode(text)
    assert cached.statistics.texts.tokens_reused == len(text) // 3


def test_small_texts_leave_no_table_behind_that_large_ones_pay_for() -> None:
    cached = CachedTokenizer(MockTokenizer(), CacheConfig(text_bytes=200_000, segment_bytes=0))
    for words in (1, 400):
        for number in range(1500 // words + 50):
            cached.encode(f"{number} " * words)
            assert cached.statistics.texts.bytes <= 200_000
