"""Join, Prompt, Final, Context and Constant, on every backend: the published laws, and what the tables keep."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from tests.small import small_tokenizer
from tokenfacade.decoding.transducer import MAX_ENTRIES, Transducer
from tokenfacade.decoding.window import LONGEST, Window
from tokenfacade.testing import StreamingLaws
from tokenfacade.testing.oracles import run_steps
from tokenfacade.testing.strategies import byte_ids

if TYPE_CHECKING:
    import pytest

    from tokenfacade import Tokenizer


class TestStreaming(StreamingLaws):
    """On every tokenizer of `tests.small` and `tests.real`."""


def test_unknown_ids_are_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    tokenizer = small_tokenizer("mock")
    vars(tokenizer).pop("stream_tables", None)
    for _ in range(3):
        tokenizer.decode_stream().step_batch([-1, -2, 2**40])
    assert [record.message for record in caplog.records if "contribute nothing" in record.message] == [
        "<MockTokenizer 'mock:'> has no token -1; ids like it contribute nothing to a stream (said once)"
    ]


def test_a_million_invalid_bytes_leave_nothing_behind(tokenizer: Tokenizer) -> None:
    single = byte_ids(tokenizer)
    ids = [single[byte] for byte in (0x80, 0xF0, 0xFF) if byte in single]
    if not ids:
        return  # a vocabulary without tokens for bytes
    stream = tokenizer.decode_stream()
    for _ in range(3):
        stream.step_batch(ids)
    states = len(_states(tokenizer))
    many = ids * 1000
    assert sum(len(stream.step_batch(many) or "") for _ in range(1_000_000 // len(many))) >= 990_000
    assert len(_states(tokenizer)) == states
    assert sys.getsizeof(stream) < 200


def _states(tokenizer: Tokenizer) -> dict[object, object]:
    transducer = tokenizer.stream_tables.transducer(skip_special_tokens=True, errors="ignore")
    assert isinstance(transducer, Transducer)
    states: dict[object, object] = vars(transducer)["_states"]
    return states


def test_a_window_stays_bounded() -> None:
    tokenizer = small_tokenizer("windowed_mock")
    for ids in ([0x80], [0xF0], [tokenizer.vocab_size - 1], tokenizer.encode("the").ids):
        stream = tokenizer.decode_stream()
        for _ in range(200):
            stream.step_batch(ids)
        assert isinstance(stream.state, Window)
        assert len(stream.state.ids) <= LONGEST


def test_a_full_table_is_forgotten_and_the_stream_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tokenfacade.decoding.transducer.MAX_ENTRIES", 20)
    assert MAX_ENTRIES > 1000
    tokenizer = small_tokenizer("byte_level")
    del tokenizer.stream_tables
    ids = tokenizer.encode("the 😊 worker streams tokens back, x != y. 世界 " * 5).ids
    stream = tokenizer.decode_stream()
    assert "".join(run_steps(stream.step, ids)) == tokenizer.decode(ids)
    del tokenizer.stream_tables
