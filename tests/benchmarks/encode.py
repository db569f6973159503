"""``python -m tests.benchmarks encode``: what the facade adds to the engine that encodes, on texts not seen before."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import TYPE_CHECKING

import tiktoken
from tokenizers import Tokenizer as RawTokenizer

from tests.benchmarks.corpus import mixed_text
from tests.benchmarks.timing import Block, Row, interleaved, print_table
from tests.benchmarks.tokenizers_to_measure import NAMES, load
from tests.data import DATA

if TYPE_CHECKING:
    from tokenfacade import Tokenizer

LENGTHS = (20, 200, 2_000, 32_000)


def run() -> None:
    for name in NAMES:
        tokenizer = load(name)
        engine = _engine(name)
        rows = [row for length in LENGTHS for row in _compare(tokenizer, engine, length)]
        print_table(f"{name}: encode, per text, and how many times the engine's own time it is", rows)


def _engine(name: str) -> Callable[[str], list[int]]:
    if name == "cl100k_base":
        encoding = tiktoken.get_encoding(name)
        return lambda text: encoding.encode(text, allowed_special="all", disallowed_special=())
    raw = RawTokenizer.from_file(str(DATA / "models" / name / "tokenizer.json"))
    encode = raw.encode
    return lambda text: encode(text, add_special_tokens=False).ids


def _compare(tokenizer: Tokenizer, engine: Callable[[str], list[int]], length: int) -> list[Row]:
    count = max(4, 40_000 // length)
    whole = mixed_text(count * length, seed=random.randrange(10**6))
    texts = [whole[at : at + length] for at in range(0, count * length, length)]
    best = interleaved(
        {"engine": _block(engine, texts), "ours": _block(lambda text: tokenizer.encode(text).ids, texts)},
        units=len(texts),
        rounds=60,
    )
    added = best["ours"] - best["engine"]
    target = f"{added:+,.0f} ns; at most 3 % or 1,000 ns more"
    return [Row(f"{length:,} characters", best["ours"], best["ours"] / best["engine"], target)]


def _block(encode: Callable[[str], list[int]], texts: list[str]) -> Block:
    def block() -> None:
        for text in texts:
            encode(text)

    return block
