"""Golden outputs of the reference libraries: ids, decoded texts and streams of real tokenizers.

Where a reference differs from the laws, and ours follows them, what it gave is read as the laws would have it:

- sentencepiece writes one U+FFFD for each byte that is no UTF-8, and ours one for each maximal subpart of such bytes: a
  run of them counts as one. It can't show control tokens, so it has no text for those that aren't skipped.
- An id that the vocabulary lacks is an error, an undefined value or, for Python's negative indices, another id. It
  contributes nothing here.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from tests.data import DATA, HAS_DATA, records
from tests.oracles import run_steps, stream_text
from tests.real import REAL_NAMES, golden_meta, golden_tokenizer, real_tokenizer
from tokenfacade.backends.fast import Accelerated

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tokenfacade import Tokenizer

pytestmark = pytest.mark.skipif(not HAS_DATA, reason="the test data is not here; .ci/run insists on it")


def test_every_model_of_the_data_is_here() -> None:
    assert {path.stem for path in (DATA / "goldens" / "encode").glob("*.jsonl")} == set(REAL_NAMES)
    assert {path.stem for path in (DATA / "goldens" / "stream").glob("*.jsonl")} == set(REAL_NAMES)


@pytest.mark.parametrize("name", REAL_NAMES)
def test_ids_and_decoded_texts_equal_the_reference(name: str) -> None:
    tokenizer = golden_tokenizer(name)
    checked = 0
    for record in records(DATA / "goldens" / "encode" / f"{name}.jsonl"):
        _check_ids(tokenizer, record)
        for skip in (True, False):
            _check_text(tokenizer, name, record, skip=skip)
        checked += 1
    assert checked >= 150


@pytest.mark.parametrize("name", REAL_NAMES)
def test_streams_join_to_the_reference(name: str) -> None:
    tokenizer = golden_tokenizer(name)
    checked = 0
    for record in records(DATA / "goldens" / "stream" / f"{name}.jsonl"):
        for skip in (True, False):
            _check_text(tokenizer, name, record, skip=skip)
            _check_stream(tokenizer, record["ids"], skip=skip)
        checked += 1
    assert checked >= 70


def _check_ids(tokenizer: Tokenizer, record: dict[str, Any]) -> None:
    encoding = tokenizer.encode(
        record["text"],
        add_special_tokens=record["add_special_tokens"],
        # A reference that has no such switch (null) never finds special tokens in a text.
        parse_special_tokens=record["parse_special"] is True,
    )
    assert encoding.ids == record["ids"], record["text"]


def _check_text(tokenizer: Tokenizer, name: str, record: dict[str, Any], *, skip: bool) -> None:
    ids, expected = record["ids"], record["decoded_skip" if skip else "decoded_noskip"]
    decoded = tokenizer.decode(ids, skip_special_tokens=skip)
    kind = golden_meta(name)["kind"]
    known = [token_id for token_id in ids if tokenizer.id_to_token(token_id) is not None]
    if expected is None or (known != ids and kind != "hf"):
        assert decoded == tokenizer.decode(known, skip_special_tokens=skip), record
    elif kind == "sentencepiece":
        if skip or not set(ids) & set(tokenizer.special_tokens.ids.values()):
            assert _runs_as_one(decoded) == _runs_as_one(expected), record
    else:
        assert decoded == expected, record


def _runs_as_one(text: str) -> str:
    return re.sub("\ufffd+", "\ufffd", text)


def _check_stream(tokenizer: Tokenizer, ids: Sequence[int], *, skip: bool) -> None:
    expected = tokenizer.decode(ids, skip_special_tokens=skip)
    pieces = tokenizer.pieces(skip_special_tokens=skip)
    if pieces is not None and pieces.invalid == "run" and "\ufffd" in expected:
        expected = stream_text(tokenizer, [], ids, skip=skip)
    stream = tokenizer.decode_stream(skip_special_tokens=skip)
    assert "".join(run_steps(stream.step, ids)) + (stream.flush() or "") == expected, ids


def test_the_rule_of_byte_fallback_is_the_only_difference_and_keeps_what_was_given_out() -> None:
    tokenizer = golden_tokenizer("phi-3-mini")
    ids = [tokenizer.token_to_id(token) for token in ("<0xE6>", "<0xAD>", "<0xAA>", "<0xFF>", "▁x")]
    known = [token_id for token_id in ids if token_id is not None]
    assert tokenizer.decode(known) == "\ufffd\ufffd\ufffd\ufffd x"
    assert run_steps(tokenizer.decode_stream().step, known) == ["", "", "歪", "\ufffd", " x"]


@pytest.mark.parametrize("name", [name for name in REAL_NAMES if name != "torchtitan-test"])
def test_neither_what_lies_beside_a_file_nor_the_fast_engine_changes_a_golden(name: str) -> None:
    tokenizer = real_tokenizer(name)
    if isinstance(tokenizer, Accelerated):
        tokenizer.wait_for_engine()
    for record in records(DATA / "goldens" / "encode" / f"{name}.jsonl"):
        _check_ids(tokenizer, record)


def test_special_tokens_that_stand_only_in_the_config_count_as_in_transformers() -> None:
    tokenizer = real_tokenizer("torchtitan-test")
    cases = 0
    for line in (DATA / "goldens" / "chat_model" / "torchtitan-test.json").read_text().splitlines():
        record = line.strip().rstrip(",")
        if not record.startswith("{"):
            continue
        case = json.loads(record)
        if case.get("expected_ids") is not None:
            assert tokenizer.encode(case["expected"]).ids == case["expected_ids"]
            cases += 1
    assert cases > 10
