"""``python -m tests.benchmarks load``: what loading costs beside the engine's own, and what importing costs."""

from __future__ import annotations

import subprocess
import sys

import tiktoken
from tokenizers import Tokenizer as RawTokenizer

from tests.benchmarks.timing import Block, Row, interleaved, print_table
from tests.data import DATA
from tokenfacade import HuggingFaceTokenizer, TiktokenTokenizer, create_tokenizer

NAMES = ("deepseek-v3", "phi-3-mini", "minimind")


def run() -> None:
    _imports()
    rows = []
    for name in NAMES:
        folder = DATA / "models" / name
        best = interleaved(
            {
                "engine": lambda file=str(folder / "tokenizer.json"): RawTokenizer.from_file(file),  # type: ignore[misc]
                "ours": lambda folder=folder: create_tokenizer(folder),  # type: ignore[misc]
            },
            units=1,
            rounds=12,
        )
        added = (best["ours"] - best["engine"]) / 1e6
        rows.append(
            Row(f"create_tokenizer({name})", best["ours"], best["ours"] / best["engine"], f"{added:+.2f} ms (< 5)")
        )
    print_table("Loading, and how many times the engine's own time it is", [*rows, _wrapped(), _first_stream()])


def _wrapped() -> Row:
    """Named encodings are loaded by tiktoken itself, so what we add is what wrapping one takes."""
    encoding = tiktoken.get_encoding("cl100k_base")
    best = interleaved({"ours": lambda: TiktokenTokenizer(encoding)}, units=1, rounds=20)
    return Row("TiktokenTokenizer(cl100k_base)", best["ours"], None, "< 5 ms")


def _first_stream() -> Row:
    tokenizer = HuggingFaceTokenizer.from_file(DATA / "models" / "deepseek-v3")

    def first() -> None:
        vars(tokenizer).pop("stream_tables", None)
        tokenizer.decode_stream()

    return Row("the first stream of a tokenizer", interleaved({"first": first}, units=1, rounds=20)["first"])


def _imports() -> None:
    code = "import time; start = time.perf_counter(); import {}; print(time.perf_counter() - start)"
    blocks: dict[str, Block] = {}
    seconds: dict[str, list[float]] = {"tokenfacade": [], "tokenizers": [], "asyncio": []}
    for module in seconds:
        blocks[module] = lambda module=module: seconds[module].append(_run(code.format(module)))  # type: ignore[misc]
    interleaved(blocks, units=1, rounds=10)
    rows = [Row(f"import {module}", min(values) * 1e9) for module, values in seconds.items()]
    print_table("Importing (tokenfacade: under 100 ms)", rows)


def _run(code: str) -> float:
    return float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)
