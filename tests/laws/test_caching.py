"""Cached equals uncached, and a text may be cut where a tokenizer says so, on every backend."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.small import SMALL, small_tokenizer
from tests.strategies import texts
from tokenfacade.cache import CacheConfig, CachedTokenizer
from tokenfacade.testing import AsyncLaws, EncodingLaws, IdentityLaws

if TYPE_CHECKING:
    from tokenfacade import Tokenizer

FLAGS = [(added, parsed) for added in (False, True) for parsed in (False, True)]
WORDS = "the worker é 世界 streams tokens back, and the router 😊 waits. "
"""Repeated, they make segments long enough to be cut off."""

CONFIGS = [
    CacheConfig(),
    CacheConfig(text_bytes=0),
    CacheConfig(segment_bytes=0),
    CacheConfig(text_bytes=30_000, segment_bytes=20_000),
    CacheConfig(text_bytes=1, segment_bytes=8_000),
]


def spelled(tokenizer: Tokenizer) -> list[str]:
    """Tokens that a text may be cut before, others that are found in it, and parts and neighbours of both."""
    cuts = sorted(tokenizer.cut_points())[:8]
    added = sorted(tokenizer.added_tokens)[:8]
    parts = [token[at:] for token in [*cuts, *added] for at in (1, len(token) // 2)]
    parts += [token[:-at] for token in [*cuts, *added] for at in (1, len(token) // 2)]
    return [*cuts, *cuts, *added, *parts, *(f" {token} " for token in added), *(f"\n{token}a" for token in cuts)]


def hostile_texts(tokenizer: Tokenizer) -> st.SearchStrategy[str]:
    """Special tokens, their parts and look-alikes, white space, and enough words to fill segments."""
    tokens = st.sampled_from(spelled(tokenizer) or [""])
    words = st.integers(4, 6).map(lambda count: WORDS * count)
    return st.lists(tokens | texts | words, max_size=7).map("".join)


@given(data=st.data())
def test_ids_of_parts_join_where_a_tokenizer_may_be_cut(tokenizer: Tokenizer, data: st.DataObject) -> None:
    cuts = sorted(tokenizer.cut_points())
    before, after = data.draw(hostile_texts(tokenizer)), data.draw(hostile_texts(tokenizer))
    cut = data.draw(st.sampled_from(cuts or [""]))
    whole = tokenizer.encode(before + cut + after).ids
    if cuts:
        assert whole == tokenizer.encode(before).ids + tokenizer.encode(cut + after).ids


@given(data=st.data())
def test_cached_equals_uncached(tokenizer: Tokenizer, data: st.DataObject) -> None:
    config = data.draw(st.sampled_from(CONFIGS))
    cached = CachedTokenizer(tokenizer, config)
    known = data.draw(st.lists(hostile_texts(tokenizer), min_size=1, max_size=2))
    for _ in range(data.draw(st.integers(1, 5))):
        text = data.draw(st.sampled_from(known)) + data.draw(st.just("") | hostile_texts(tokenizer))
        added, parsed = data.draw(st.sampled_from(FLAGS))
        expected = tokenizer.encode(text, add_special_tokens=added, parse_special_tokens=parsed)
        found = cached.encode(text, add_special_tokens=added, parse_special_tokens=parsed)
        assert (found, found.text) == (expected, expected.text)
        assert type(found.ids) is list
        found.ids[:] = [0] * 3
        again = cached.encode_batch([text, "", text], add_special_tokens=added, parse_special_tokens=parsed)
        assert again[0] == again[2] == expected
        assert again[1] == tokenizer.encode("", add_special_tokens=added, parse_special_tokens=parsed)
        again[0].ids.clear()
        assert cached.count_tokens(text, add_special_tokens=added, parse_special_tokens=parsed) == len(expected)
        known.append(text)
        for level, budget in (("texts", config.text_bytes), ("segments", config.segment_bytes)):
            assert getattr(cached.statistics, level).bytes <= budget


def test_a_chat_that_grows_is_encoded_only_where_it_is_new(tokenizer: Tokenizer) -> None:
    cuts = sorted(tokenizer.cut_points())
    cached = CachedTokenizer(tokenizer, CacheConfig(text_bytes=0))
    turns = [f"{cuts[n % len(cuts)] if cuts else ''}turn {n}: {WORDS * 20}" for n in range(12)]
    for length in range(1, 13):
        text = "".join(turns[:length])
        for added in (False, True):
            assert cached.encode(text, add_special_tokens=added) == tokenizer.encode(text, add_special_tokens=added)
    segments = cached.statistics.segments
    if not cuts:
        assert segments.hits == segments.misses == 0
    else:
        assert segments.misses <= 2 * 12
        assert segments.hits > 60  # with one flag alone, where its only token is what the post-processor adds


def test_threads_share_a_cache(tokenizer: Tokenizer) -> None:
    cut = next(iter(sorted(tokenizer.cut_points())), "<s>")
    turns = [cut + f"{n} {WORDS}" * 6 for n in range(24)]
    cases = [("".join(turns[n % 5 : n]), *FLAGS[n % 4]) for n in range(24)] * 3
    expected = [tokenizer.encode(text, add_special_tokens=a, parse_special_tokens=p).ids for text, a, p in cases]
    cached = CachedTokenizer(tokenizer, CacheConfig(text_bytes=100_000, segment_bytes=50_000))

    def work(case: tuple[str, bool, bool]) -> list[int]:
        text, added, parsed = case
        ids = cached.encode(text, add_special_tokens=added, parse_special_tokens=parsed).ids
        result = list(ids)
        ids.clear()
        return result

    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(work, cases)) == expected
    assert cached.statistics.texts.bytes <= 100_000
    assert cached.statistics.segments.bytes <= 50_000


class TestCached(EncodingLaws, IdentityLaws, AsyncLaws):
    """A tokenizer with a cache obeys the same laws."""

    round_trip = "lossy"
    largest_pickle = None  # those made in memory pickle by content

    @pytest.fixture(params=list(SMALL))
    def tokenizer(self, request: pytest.FixtureRequest) -> Tokenizer:
        return CachedTokenizer(small_tokenizer(request.param), CacheConfig(text_bytes=100_000))
