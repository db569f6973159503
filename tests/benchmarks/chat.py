"""``python -m tests.benchmarks chat``: messages to prompts, against transformers and against plain Jinja.

All templates of the test data take part that render an ordinary conversation; every prompt is compared first.
"""

from __future__ import annotations

from functools import partial
from math import exp, log
from typing import TYPE_CHECKING, Any

from tests.benchmarks.corpus import mixed_text
from tests.benchmarks.timing import Block, Row, interleaved, print_table
from tests.data import DATA
from tokenfacade import ChatTemplate, MockTokenizer
from tokenfacade.errors import ChatTemplateError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

LENGTHS = (3, 41, 401)
TOKENS: dict[str, Any] = {"bos_token": "<s>", "eos_token": "</s>"}
ENOUGH_MICROSECONDS = 1_000
"""Rendering is repeated until a block takes about this long."""


def run() -> None:
    reference = _reference()
    ratios: dict[int, list[tuple[float, float]]] = {length: [] for length in LENGTHS}
    count = 0
    for path in sorted((DATA / "chat_templates").glob("*.jinja")):
        text = path.read_text(encoding="utf-8")
        rows = []
        for length in LENGTHS:
            row, pair = _compare(reference, text, length)
            if row is None or pair is None:
                break
            rows.append(row)
            ratios[length].append(pair)
        if rows:
            count += 1
            print_table(path.stem, rows)
    everything = [pair for pairs in ratios.values() for pair in pairs]
    groups: list[tuple[object, list[tuple[float, float]]]] = [*ratios.items(), ("all", everything)]
    for label, pairs in groups:
        print(
            f"geometric mean over {len(pairs)} cells, {label} messages: {_mean(pair[0] for pair in pairs):.2f} times "
            f"transformers (target 2.5), {_mean(pair[1] for pair in pairs):.2f} times plain Jinja (target 1.7)"
        )
    print(f"{count} templates")


def conversation(length: int) -> list[dict[str, str]]:
    """User and assistant in turn; the user has the first word and, as the length is odd, the last."""
    words = mixed_text(100_000)
    messages = []
    for at in range(length):
        content = words[at * 200 % 90_000 :][: 40 + at * 37 % 200].strip() or "yes"
        messages.append({"role": "assistant" if at % 2 else "user", "content": content})
    return messages


def _compare(
    reference: PreTrainedTokenizerFast, text: str, length: int
) -> tuple[Row, tuple[float, float]] | tuple[None, None]:
    from transformers.utils.chat_template_utils import _compile_jinja_template

    tokenizer = MockTokenizer(chat_template=text)
    messages: list[dict[str, Any]] = list(conversation(length))
    if ChatTemplate(text).traits.requires_parts:
        messages = [{**m, "content": [{"type": "text", "text": m["content"]}]} for m in messages]
    ours = partial(tokenizer.apply_chat_template, messages, add_generation_prompt=True, **TOKENS)
    try:
        prompt = ours()
    except ChatTemplateError:
        return None, None
    theirs = partial(
        reference.apply_chat_template,
        messages,
        chat_template=text,
        tokenize=False,
        add_generation_prompt=True,
        **TOKENS,
    )
    variables: dict[str, Any] = {"tools": None, "documents": None, "add_generation_prompt": True, **TOKENS}
    plain = partial(_compile_jinja_template(text).render, messages=messages, **variables)
    if not prompt == theirs() == plain():
        raise AssertionError(f"prompts differ for {text[:60]!r}")
    times = max(1, round(ENOUGH_MICROSECONDS / (20 + 3 * length)))
    blocks: dict[str, Block] = {
        name: partial(_repeat, render, times) for name, render in {"o": ours, "t": theirs, "p": plain}.items()
    }
    best = interleaved(blocks, units=times, rounds=15)
    pair = best["t"] / best["o"], best["p"] / best["o"]
    name = f"{len(messages)} messages: transformers / ours (plain / ours {pair[1]:.2f})"
    return Row(name, best["o"], pair[0]), pair


def _repeat(render: Any, times: int) -> None:
    for _ in range(times):
        render()


def _mean(ratios: Any) -> float:
    logs = [log(ratio) for ratio in ratios]
    return exp(sum(logs) / len(logs))


def _reference() -> PreTrainedTokenizerFast:
    import tokenizers
    from transformers import PreTrainedTokenizerFast

    empty = tokenizers.Tokenizer(tokenizers.models.WordLevel({"?": 0}, unk_token="?"))
    make: Any = PreTrainedTokenizerFast
    return make(tokenizer_object=empty)  # type: ignore[no-any-return]
