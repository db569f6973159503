"""``python -m tests.benchmarks stop``: stop strings, as a multiple of the bare stream."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

from tests.benchmarks.corpus import mixed_text
from tests.benchmarks.timing import Block, Row, interleaved, print_table
from tests.benchmarks.tokenizers_to_measure import NAMES, load

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenfacade import Tokenizer

STOPS = ["<|stop|>", "\n\nHuman:", "###", "END OF ANSWER"]


def run() -> None:
    for name in NAMES:
        tokenizer = load(name)
        text = mixed_text(40_000)
        near = "\n\nHuma #END OF ANSWE <|stop| \n\nHu ##" * 600
        rows = _compare(tokenizer, text, STOPS, "4 stops, mixed text")
        rows += _compare(tokenizer, near, STOPS, "4 stops, near matches everywhere")
        rows += _compare(tokenizer, text, [f"{stop}{n}" for n in range(16) for stop in STOPS], "64 stops, mixed text")
        rows += _new_set(tokenizer)
        print_table(f"{name}: StopSequenceDecoder.process_token, per token, as a multiple of DecodeStream.step", rows)


def _compare(tokenizer: Tokenizer, text: str, stops: list[str], title: str) -> list[Row]:
    ids = tokenizer.encode(text).ids
    blocks: dict[str, Block] = {
        "stream": _block(lambda: tokenizer.decode_stream().step, ids),
        "stop": _block(lambda: tokenizer.stop_decoder(stops).process_token, ids),
    }
    best = interleaved(blocks, units=len(ids))
    return [Row(title, best["stop"], best["stop"] / best["stream"], "<= 2")]


def _block(new_step: Callable[[], Callable[[int], object]], ids: list[int]) -> Block:
    def block() -> None:
        step = new_step()
        for token_id in ids:
            step(token_id)

    return block


def _new_set(tokenizer: Tokenizer) -> list[Row]:
    fresh = count()
    rounds = 200

    def new() -> None:
        for _ in range(rounds):
            n = next(fresh)
            tokenizer.stop_decoder([f"{stop}{n}" for stop in STOPS])

    def known() -> None:
        for _ in range(rounds):
            tokenizer.stop_decoder(STOPS)

    best = interleaved({"new": new, "known": known}, units=rounds, rounds=20)
    return [
        Row("a decoder with a new set of 4 stops, made", best["new"], None, "< 30,000 ns"),
        Row("a decoder with 4 stops seen before, made", best["known"]),
    ]
