"""``python -m tests.benchmarks loop``: how long an event loop stands still while clients encode 5 MB each."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from tests.benchmarks.corpus import mixed_text
from tests.data import DATA
from tests.real import model_folder
from tokenfacade import MockTokenizer, TiktokenTokenizer, create_tokenizer

if TYPE_CHECKING:
    from tokenfacade import Tokenizer

CLIENTS = 16
FEW_CLIENTS = 4
BYTES = 5_000_000
MOST_MILLISECONDS = 50

TOKENIZERS: dict[str, Callable[[], Tokenizer]] = {
    "huggingface, byte level": lambda: create_tokenizer(DATA / "models" / "deepseek-v3", engine="reference"),
    "huggingface, byte fallback": lambda: create_tokenizer(DATA / "models" / "phi-3-mini", engine="reference"),
    "huggingface, unigram": lambda: create_tokenizer(DATA / "models" / "t5-small", engine="reference"),
    "huggingface, fast": lambda: create_tokenizer(DATA / "models" / "deepseek-v3", engine="fast"),
    "tiktoken": lambda: TiktokenTokenizer.from_encoding("cl100k_base", engine="reference"),
    "tiktoken, fast": lambda: TiktokenTokenizer.from_encoding("cl100k_base", engine="fast"),
    "sentencepiece": lambda: create_tokenizer(model_folder("llama2-spm")),
    "tekken": lambda: create_tokenizer(model_folder("tekken-240911"), engine="reference"),
    "gguf": lambda: create_tokenizer(model_folder("gguf-gpt-2"), engine="reference"),
    "mock": MockTokenizer,
}


BOTH_ENGINES: dict[str, Callable[[], Tokenizer]] = {
    "huggingface": lambda: create_tokenizer(DATA / "models" / "deepseek-v3"),
    "tiktoken": lambda: TiktokenTokenizer.from_encoding("cl100k_base"),
}


def run() -> None:
    text = mixed_text(BYTES).encode()[:BYTES].decode("utf-8", "ignore")
    print(f"\nThe longest stall of an event loop while {CLIENTS} clients encode {BYTES / 1e6:.0f} MB each (< 50 ms)")
    for name, load in TOKENIZERS.items():
        _print_row(name, load(), text, CLIENTS)
    print(f"The same for {FEW_CLIENTS} clients, while the fast engine is made in the background, and after that")
    for name, load in BOTH_ENGINES.items():
        _print_row(f"{name}, just loaded", load(), text, FEW_CLIENTS)
        settled = load()
        settled.wait_for_engine()
        _print_row(f"{name}, settled", settled, text, FEW_CLIENTS)


def _print_row(name: str, tokenizer: Tokenizer, text: str, clients: int) -> None:
    start = time.perf_counter()
    longest, tokens = asyncio.run(_measure(tokenizer, text, clients))
    seconds = time.perf_counter() - start
    verdict = "" if longest < MOST_MILLISECONDS else "  TOO LONG"
    print(
        f"  {name:<30}{longest:8.1f} ms{tokens:12,} tokens each, {seconds:6.1f} s in all, {tokenizer.engine}{verdict}"
    )


async def _measure(tokenizer: Tokenizer, text: str, number: int) -> tuple[float, int]:
    clients = [asyncio.create_task(_client(tokenizer, text)) for _ in range(number)]
    longest, last = 0.0, time.perf_counter()
    for _ in _while_any_runs(clients):
        await asyncio.sleep(0.001)
        now = time.perf_counter()
        longest, last = max(longest, now - last - 0.001), now
    return longest * 1e3, clients[0].result()


def _while_any_runs(clients: list[asyncio.Task[int]]) -> Iterator[None]:
    while not all(client.done() for client in clients):
        yield


async def _client(tokenizer: Tokenizer, text: str) -> int:
    return len(await tokenizer.encode_async(text))
