"""Sixteen threads on one tokenizer, with mixed options: the ids of a single thread, and no errors."""

from __future__ import annotations

import random
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from tests.benchmarks.corpus import mixed_text

if TYPE_CHECKING:
    from tokenfacade import Tokenizer

THREADS = 16


def work(tokenizer: Tokenizer, text: str, option: int) -> Any:
    """One of the ways of asking, by number."""
    added, parsed, way = bool(option & 1), bool(option & 2), option >> 2
    flags = {"add_special_tokens": added, "parse_special_tokens": parsed}
    if way == 0:
        return tokenizer.encode(text, **flags).ids
    if way == 1:
        return [encoding.ids for encoding in tokenizer.encode_batch([text, text[:50], ""], **flags)]
    if way == 2:
        return tokenizer.count_tokens(text, **flags)
    if way == 3:
        return tokenizer.encode(text[:300], **flags).offsets
    if way == 4:
        return tokenizer.truncate(text[:300], 20, add_special_tokens=added)
    ids = tokenizer.encode(text, **flags).ids
    return tokenizer.decode(ids, skip_special_tokens=parsed), tokenizer.decode_bytes(ids, skip_special_tokens=parsed)


def test_threads_get_what_one_gets(tokenizer: Tokenizer) -> None:
    special = [*tokenizer.special_tokens.ids][:3]
    texts = [f"{special[number % len(special)]}{mixed_text(60 * 5**number, seed=number)}\ud800" for number in range(4)]
    cases = [(text, option) for text in texts for option in range(24)]
    expected = {case: work(tokenizer, *case) for case in cases}
    together = threading.Barrier(THREADS)

    def client(seed: int) -> list[tuple[tuple[str, int], Any]]:
        mine = random.Random(seed).sample(cases, 24)
        together.wait(30)
        return [(case, work(tokenizer, *case)) for case in mine]

    with ThreadPoolExecutor(THREADS) as threads:
        for found in threads.map(client, range(THREADS)):
            assert all(expected[case] == result for case, result in found)
