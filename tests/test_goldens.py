"""Golden outputs of the reference libraries: ids, decoded texts and streams of real tokenizers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.data import DATA, HAS_DATA, records
from tests.oracles import run_steps, stream_text
from tests.real import REAL_NAMES, golden_tokenizer, real_tokenizer

if TYPE_CHECKING:
    from tokenfacade import Tokenizer

pytestmark = pytest.mark.skipif(not HAS_DATA, reason="the test data is not here; .ci/run insists on it")


@pytest.mark.parametrize("name", REAL_NAMES)
def test_ids_and_decoded_texts_equal_the_reference(name: str) -> None:
    tokenizer = golden_tokenizer(name)
    checked = 0
    for record in records(DATA / "goldens" / "encode" / f"{name}.jsonl"):
        parsed = record["parse_special"] is not False
        encoding = tokenizer.encode(
            record["text"], add_special_tokens=record["add_special_tokens"], parse_special_tokens=parsed
        )
        assert encoding.ids == record["ids"], record["text"]
        assert tokenizer.decode(record["ids"]) == record["decoded_skip"], record["text"]
        assert tokenizer.decode(record["ids"], skip_special_tokens=False) == record["decoded_noskip"], record["text"]
        checked += 1
    assert checked >= 150


@pytest.mark.parametrize("name", REAL_NAMES)
def test_streams_join_to_the_reference(name: str) -> None:
    tokenizer = golden_tokenizer(name)
    checked = 0
    for record in records(DATA / "goldens" / "stream" / f"{name}.jsonl"):
        for skip, key in ((True, "decoded_skip"), (False, "decoded_noskip")):
            _check_stream(tokenizer, record, record[key], skip=skip)
        checked += 1
    assert checked >= 70


def _check_stream(tokenizer: Tokenizer, record: dict[str, Any], expected: str | None, *, skip: bool) -> None:
    ids = record["ids"]
    if expected is None:  # the reference raises on unknown ids; here they contribute nothing
        known = [token_id for token_id in ids if tokenizer.id_to_token(token_id) is not None]
        expected = tokenizer.decode(known, skip_special_tokens=skip)
    pieces = tokenizer.pieces(skip_special_tokens=skip)
    if pieces is not None and pieces.invalid == "run" and "\ufffd" in expected:
        expected = stream_text(tokenizer, [], ids, skip=skip)
    stream = tokenizer.decode_stream(skip_special_tokens=skip)
    assert "".join(run_steps(stream.step, ids)) + (stream.flush() or "") == expected, record["kind"]


def test_the_rule_of_byte_fallback_is_the_only_difference_and_keeps_what_was_given_out() -> None:
    tokenizer = golden_tokenizer("phi-3-mini")
    ids = [tokenizer.token_to_id(token) for token in ("<0xE6>", "<0xAD>", "<0xAA>", "<0xFF>", "▁x")]
    known = [token_id for token_id in ids if token_id is not None]
    assert tokenizer.decode(known) == "\ufffd\ufffd\ufffd\ufffd x"
    assert run_steps(tokenizer.decode_stream().step, known) == ["", "", "歪", "\ufffd", " x"]


@pytest.mark.parametrize("name", [name for name in REAL_NAMES if name not in ("torchtitan-test",)])
def test_what_lies_beside_a_file_changes_no_golden(name: str) -> None:
    tokenizer = real_tokenizer(name)
    for record in records(DATA / "goldens" / "encode" / f"{name}.jsonl"):
        parsed = record["parse_special"] is not False
        encoding = tokenizer.encode(
            record["text"], add_special_tokens=record["add_special_tokens"], parse_special_tokens=parsed
        )
        assert encoding.ids == record["ids"], record["text"]


def test_special_tokens_that_stand_only_in_the_config_count_as_in_transformers() -> None:
    tokenizer = real_tokenizer("torchtitan-test")
    cases = 0
    for line in (DATA / "goldens" / "chat_model" / "torchtitan-test.json").read_text().splitlines():
        record = line.strip().rstrip(",")
        if not record.startswith("{"):
            continue
        import json

        case = json.loads(record)
        if case.get("expected_ids") is not None:
            assert tokenizer.encode(case["expected"]).ids == case["expected_ids"]
            cases += 1
    assert cases > 10
