"""``python -m tests.benchmarks encode``: the accelerated engine against the references, and what the facade adds to it,
on texts not seen before."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import tiktoken
from tokenizers import Tokenizer as RawTokenizer

from tests.benchmarks.corpus import mixed_text
from tests.benchmarks.timing import Row, interleaved_fresh, print_table
from tests.data import DATA
from tokenfacade import HuggingFaceTokenizer, TiktokenTokenizer
from tokenfacade.backends.tiktoken_families import FAMILIES

if TYPE_CHECKING:
    from tokenfacade import Tokenizer

TOKENS = (20, 200, 2_000, 32_000)
BYTE_LEVEL = {2_000: 15, 32_000: 25}
SENTENCEPIECE = {2_000: 4, 32_000: 4}
TIKTOKEN = {2_000: 3, 32_000: 3}
SYLLABLES = ("ka", "tor", "min", "el", "ing", "pre", "st", "o", "ver", "ch", "lum", "ß", "né", "qu", "ix", "ör", "дом")


@dataclass(frozen=True)
class Case:
    """A tokenizer with the fast engine, the reference that it must equal, and how many times as fast it must be."""

    name: str
    tokenizer: Tokenizer
    reference: Callable[[str], Any]
    fast: Any
    at_least: dict[int, int]


def run() -> None:
    for make in (
        partial(_hugging_face, "deepseek-v3", BYTE_LEVEL),
        partial(_hugging_face, "phi-3-mini", SENTENCEPIECE),
        partial(_tiktoken, "cl100k_base"),
        partial(_tiktoken, "o200k_base"),
    ):
        case = make()
        rows = [row for tokens in TOKENS for row in _compare(case, tokens)]
        print_table(f"{case.name}: encode, per text, and how many times as fast as the reference", rows)


def _hugging_face(name: str, at_least: dict[int, int]) -> Case:
    tokenizer = HuggingFaceTokenizer.from_file(DATA / "models" / name, engine="fast")
    raw = RawTokenizer.from_file(str(DATA / "models" / name / "tokenizer.json"))
    encode = partial(raw.encode, add_special_tokens=False)
    return Case(name, tokenizer, lambda text: encode(text).ids, tokenizer._accelerator._fast, at_least)


def _tiktoken(name: str) -> Case:
    encoding = tiktoken.get_encoding("cl100k_base")
    title = name
    if name == "o200k_base":  # its ranks are not in the test data
        ranks, title = encoding._mergeable_ranks, "the pattern of o200k_base over the ranks of cl100k_base"
        encoding = tiktoken.Encoding(
            name, pat_str=FAMILIES[name].pattern, mergeable_ranks=ranks, special_tokens=encoding._special_tokens
        )
    tokenizer = TiktokenTokenizer(encoding, engine="fast")
    reference = partial(encoding.encode, allowed_special="all", disallowed_special=())
    return Case(title, tokenizer, reference, tokenizer._accelerator._fast, TIKTOKEN)


def _compare(case: Case, tokens: int) -> list[Row]:
    sample = _new_text(20_000)
    length = round(len(sample) / case.tokenizer.count_tokens(sample) * tokens)
    count = max(1, min(100, 20_000 // tokens))
    encode_fast, encode, count_tokens = case.fast.encode, case.tokenizer.encode, case.tokenizer.count_tokens
    best = interleaved_fresh(
        {
            "reference": case.reference,
            "engine": lambda text: encode_fast(text, False, False).ids,  # noqa: FBT003
            "ours": lambda text: encode(text).ids,
            "count": count_tokens,
        },
        lambda: _new_texts(length, count),
        rounds=100 if tokens < 2_000 else 30,
    )
    added = best["ours"] - best["engine"]
    wanted = f"at least {case.at_least[tokens]}; " if tokens in case.at_least else ""
    target = f"{wanted}{added:+,.0f} ns ({added / best['engine']:+.1%}) over the engine; at most 5 % or 1,000 ns"
    return [
        Row(f"{tokens:,} tokens", best["ours"], best["reference"] / best["ours"], target),
        Row(f"{tokens:,} tokens: count_tokens", best["count"], best["reference"] / best["count"]),
    ]


def _new_texts(length: int, count: int) -> list[str]:
    whole = _new_text(length * count)
    return [whole[at : at + length] for at in range(0, length * count, length)]


def _new_text(characters: int) -> str:
    """Half of it prose, code and data in a new order, half words that nobody has seen."""
    parts, length = [], 0
    while length < characters:
        part = mixed_text(150, seed=random.randrange(10**9)) + " ".join(_new_word() for _ in range(20)) + ".\n"
        parts.append(part)
        length += len(part)
    return "".join(parts)[:characters]


def _new_word() -> str:
    return "".join(random.choices(SYLLABLES, k=random.randrange(1, 5)))
