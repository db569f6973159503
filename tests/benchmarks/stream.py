"""``python -m tests.benchmarks stream``: ids to text, against the streams of `tokenizers` and a window decoded
twice."""

from __future__ import annotations

import sys
import tracemalloc
from typing import TYPE_CHECKING

from tokenizers import Tokenizer as RawTokenizer
from tokenizers.decoders import DecodeStream as RawDecodeStream

from tests.benchmarks.corpus import mixed_text
from tests.benchmarks.timing import Block, Row, interleaved, print_table
from tests.benchmarks.tokenizers_to_measure import NAMES, load
from tests.data import DATA

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tokenfacade import Tokenizer

TARGETS = {"deepseek-v3": 7, "phi-3-mini": 15}


def run() -> None:
    for name in NAMES:
        tokenizer = load(name)
        ids = tokenizer.encode(mixed_text(40_000)).ids
        _compare(name, tokenizer, ids)
    _memory(load("deepseek-v3"))
    _invalid_bytes(load("phi-3-mini"))


def _compare(name: str, tokenizer: Tokenizer, ids: list[int]) -> None:
    batches = [ids[at : at + 4] for at in range(0, len(ids), 4)]
    blocks: dict[str, Block] = {
        "step": _steps(lambda: tokenizer.decode_stream().step, ids),
        "step_batch of 4": _steps(lambda: tokenizer.decode_stream().step_batch, batches),
        "window decoded twice": lambda: window_twice(tokenizer, ids),
    }
    if name != "cl100k_base":
        raw = RawTokenizer.from_file(str(DATA / "models" / name / "tokenizer.json"))
        blocks["tokenizers DecodeStream"] = _raw_steps(raw, ids)
        blocks["tokenizers DecodeStream, lists of 4"] = _raw_steps(raw, batches)
    best = interleaved(blocks, units=len(ids))
    step, batch = best["step"], best["step_batch of 4"]
    rows = [
        Row("DecodeStream.step", step),
        Row("DecodeStream.step_batch, 4 ids", batch),
        Row("window decoded twice", best["window decoded twice"], best["window decoded twice"] / step, ">= 12"),
    ]
    if name in TARGETS:
        single, lists = best["tokenizers DecodeStream"], best["tokenizers DecodeStream, lists of 4"]
        rows.append(Row("tokenizers DecodeStream.step", single, single / step, f">= {TARGETS[name]}"))
        rows.append(Row("tokenizers DecodeStream.step, lists of 4", lists, lists / batch, ">= 7"))
    print_table(f"{name}: {len(ids)} tokens of mixed text, per token, and how many times ours it is", rows)


def _steps(new_step: Callable[[], Callable[..., object]], items: Sequence[object]) -> Block:
    def block() -> None:
        step = new_step()
        for item in items:
            step(item)

    return block


def _raw_steps(raw: RawTokenizer, items: Sequence[object]) -> Block:
    def block() -> None:
        step = RawDecodeStream(skip_special_tokens=True).step
        for item in items:
            step(raw, item)

    return block


def window_twice(tokenizer: Tokenizer, ids: list[int]) -> None:
    """The usual way: decode the last few ids with and without the new one, and take the difference."""
    begin = read = 0
    decode = tokenizer.decode
    for end in range(1, len(ids) + 1):
        before, text = decode(ids[begin:read]), decode(ids[begin:end])
        if len(text) > len(before) and not text.endswith("\ufffd"):
            begin, read = read, end


def _memory(tokenizer: Tokenizer) -> None:
    stream = tokenizer.decode_stream()
    tokenizer.decode_stream()
    tracemalloc.start()
    streams = [tokenizer.decode_stream() for _ in range(10_000)]
    used = tracemalloc.get_traced_memory()[0] / len(streams)
    tracemalloc.stop()
    print(f"\nA stream's own state: {sys.getsizeof(stream)} bytes, {used:.0f} with its place in a list (< 200)")


def _invalid_bytes(tokenizer: Tokenizer) -> None:
    byte = tokenizer.token_to_id("<0x80>")
    if byte is None:
        raise LookupError("no byte token")
    step = tokenizer.decode_stream().step
    some = [byte] * 100_000

    def block() -> None:
        for token_id in some:
            step(token_id)

    first = interleaved({"invalid": block}, units=len(some), rounds=1)["invalid"]
    tracemalloc.start()
    best = interleaved({"invalid": block}, units=len(some), rounds=10)["invalid"]
    grown = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    print(f"A million steps of an invalid byte: {first:.0f} ns a step at first, {best:.0f} at last; {grown} bytes more")
