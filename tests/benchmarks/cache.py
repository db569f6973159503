"""``python -m tests.benchmarks cache``: whole texts and growing chats through the cache, against encoding them anew."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.benchmarks.corpus import mixed_text
from tests.benchmarks.timing import Block, Row, interleaved, print_table
from tests.data import DATA
from tokenfacade import create_tokenizer
from tokenfacade.cache import CacheConfig, CachedTokenizer

if TYPE_CHECKING:
    from tokenfacade import Tokenizer
    from tokenfacade.engine import EngineChoice

TURNS = {
    "deepseek-v3": ("<｜User｜>{}<｜Assistant｜>", 800),
    "phi-3-mini": ("<|user|>\n{}<|end|>\n<|assistant|>\n", 600),
    "roberta-base": ("User: {}\nAssistant: ", 600),  # its special tokens are normalized: whole texts only
}
"""For each model a turn of a chat, and how many characters of text it has."""

CHAT_TOKENS = 32_000
ROUNDS = 12
BUDGET = CacheConfig(text_bytes=256 * 2**20, segment_bytes=256 * 2**20)


def run() -> None:
    for name, (form, length) in TURNS.items():
        for engine in _engines(name):
            tokenizer = create_tokenizer(DATA / "models" / name, engine=engine)
            turns = _chat(tokenizer, form, length)
            rows = [*_growing_chat(tokenizer, turns), *_whole_texts(tokenizer, turns), *_misses(tokenizer, form)]
            cuts = len(tokenizer.cut_points())
            print_table(f"{name}, engine {engine!s}, {cuts} tokens to cut before, chat of {len(turns)} turns", rows)
            _memory(tokenizer, turns)


def _engines(name: str) -> list[EngineChoice]:
    from tokenfacade import ConfigurationError, MissingDependencyError

    try:
        create_tokenizer(DATA / "models" / name, engine="fast")
    except (ConfigurationError, MissingDependencyError):
        return ["reference"]
    return ["reference", "fast"]


def _chat(tokenizer: Tokenizer, form: str, length: int) -> list[str]:
    """Turns that have `CHAT_TOKENS` together."""
    words = mixed_text(400_000, seed=3)
    turns: list[str] = []
    tokens = 0
    while tokens < CHAT_TOKENS:
        turns.append(form.format(words[len(turns) * length :][:length]))
        tokens += tokenizer.count_tokens(turns[-1])
    return turns


def _growing_chat(tokenizer: Tokenizer, turns: list[str]) -> list[Row]:
    """The last ten turns of the chat, each in a text of its own; every round writes them anew."""
    base = "".join(turns[:-10])

    def texts(new: int) -> list[str]:
        last = [turn.replace(" ", f" {new} ", 1) for turn in turns[-10:]]
        return [base + "".join(last[:length]) for length in range(1, 11)]

    cached = CachedTokenizer(tokenizer, BUDGET)
    cached.encode(base)
    best = _compare(tokenizer, cached, [texts(new) for new in range(ROUNDS + 1)])
    wanted = ">= 20 with the reference" if tokenizer.cut_points() else "whole texts only: each is new"
    name = "a turn more: cached (and how many times as long anew takes)"
    return [Row(name, best["cached"], best["anew"] / best["cached"], wanted)]


def _whole_texts(tokenizer: Tokenizer, turns: list[str]) -> list[Row]:
    cached = CachedTokenizer(tokenizer, BUDGET)
    rows = []
    for title, text in (("a turn", turns[0]), ("the whole chat", "".join(turns))):
        best = _compare(tokenizer, cached, [[text]] * (ROUNDS + 1))
        tokens = tokenizer.count_tokens(text)
        rows.append(Row(f"{title} again, {tokens:,} tokens: cached", best["cached"], best["anew"] / best["cached"]))
    return rows


def _misses(tokenizer: Tokenizer, form: str) -> list[Row]:
    """Texts that were never seen: what looking for them and keeping them costs."""
    rows = []
    for length in (200, 2_000, 32_000):
        some = max(2, 20_000 // length)
        whole = [mixed_text(length * some, seed=seed) for seed in range(ROUNDS + 1)]
        texts = [[form.format(text[at * length :][:length]) for at in range(some)] for text in whole]
        best = _compare(tokenizer, CachedTokenizer(tokenizer, BUDGET), texts)
        title = f"a new text of {length:,} characters: cached / uncached"
        added = best["cached"] - best["anew"]
        rows.append(Row(title, best["cached"], best["cached"] / best["anew"], f"{added:+,.0f} ns"))
    return rows


def _compare(tokenizer: Tokenizer, cached: CachedTokenizer, texts: list[list[str]]) -> dict[str, float]:
    """Nanoseconds per text; each round has texts of its own."""
    blocks = {"anew": _block(tokenizer, texts), "cached": _block(cached, texts)}
    return interleaved(blocks, units=len(texts[0]), rounds=len(texts) - 1)


def _memory(tokenizer: Tokenizer, turns: list[str]) -> None:
    cached = CachedTokenizer(tokenizer, BUDGET)
    for length in range(1, len(turns) + 1):
        cached.encode("".join(turns[:length]))
    for name, level in (("whole texts", cached.statistics.texts), ("segments", cached.statistics.segments)):
        each = level.bytes // max(1, level.entries)
        print(f"  {name}: {level.entries} entries, {level.bytes / 2**20:.2f} MiB, {each:,} bytes each")


def _block(tokenizer: Tokenizer, texts: list[list[str]]) -> Block:
    left = iter(texts)

    def block() -> None:
        for text in next(left):
            _ = tokenizer.encode(text).ids

    return block
