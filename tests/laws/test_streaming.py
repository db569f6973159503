"""Join, Prompt, Final, Context and Constant, on every backend and for any ids."""

from __future__ import annotations

import copy
import sys
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.oracles import run_steps, stream_text
from tests.strategies import UNKNOWN_IDS, cuts_of, ids_of, ids_of_byte
from tokenfacade import DecodeError
from tokenfacade.decoding.transducer import MAX_ENTRIES, Transducer

if TYPE_CHECKING:
    from tokenfacade import Tokenizer


def whole(tokenizer: Tokenizer, ids: list[int], *, skip: bool) -> str:
    """What a stream gives out in all: `decode`, but for the one rule of ByteFallback, which an oracle knows."""
    pieces = tokenizer.pieces(skip_special_tokens=skip)
    if pieces is not None and pieces.invalid == "run":
        return stream_text(tokenizer, [], ids, skip=skip)
    return tokenizer.decode(ids, skip_special_tokens=skip)


@given(data=st.data())
def test_chunks_and_flush_join_to_decode_however_ids_are_cut_into_steps(
    tokenizer: Tokenizer, data: st.DataObject
) -> None:
    ids = data.draw(ids_of(tokenizer))
    skip = data.draw(st.booleans())
    stream = tokenizer.decode_stream(skip_special_tokens=skip)
    chunks = [stream.step_batch(part) or "" for part in data.draw(cuts_of(ids))]
    assert "".join(chunks) + (stream.flush() or "") == whole(tokenizer, ids, skip=skip)
    assert stream.flush() is None


@given(data=st.data())
def test_single_steps_equal_one_batch(tokenizer: Tokenizer, data: st.DataObject) -> None:
    ids = data.draw(ids_of(tokenizer))
    one, other = tokenizer.decode_stream(), tokenizer.decode_stream()
    assert "".join(run_steps(one.step, ids)) == (other.step_batch(ids) or "")
    assert one.flush() == other.flush()


@given(data=st.data())
def test_a_character_leaves_in_the_step_that_completes_it(exact_tokenizer: Tokenizer, data: st.DataObject) -> None:
    ids = data.draw(ids_of(exact_tokenizer))
    stream = exact_tokenizer.decode_stream()
    given_out = ""
    for count, token_id in enumerate(ids, 1):
        given_out += stream.step(token_id) or ""
        tail = copy.copy(stream).flush() or ""
        assert given_out + tail == stream_text(exact_tokenizer, [], ids[:count], skip=True)
        assert len(tail) <= 3
        assert not tail.strip("\ufffd")


@given(data=st.data())
def test_what_was_given_out_is_never_changed_by_what_follows(tokenizer: Tokenizer, data: st.DataObject) -> None:
    ids = data.draw(ids_of(tokenizer))
    more = data.draw(ids_of(tokenizer))
    first, longer = tokenizer.decode_stream(), tokenizer.decode_stream()
    begun = first.step_batch(ids) or ""
    assert (longer.step_batch([*ids, *more]) or "").startswith(begun)


@given(data=st.data())
def test_a_prompt_gives_context_and_never_comes_out(tokenizer: Tokenizer, data: st.DataObject) -> None:
    prompt, ids = data.draw(ids_of(tokenizer)), data.draw(ids_of(tokenizer))
    skip = data.draw(st.booleans())
    stream = tokenizer.decode_stream(prompt, skip_special_tokens=skip)
    chunks = "".join(run_steps(stream.step, ids)) + (stream.flush() or "")
    if tokenizer.pieces(skip_special_tokens=skip) is not None:
        assert chunks == stream_text(tokenizer, prompt, ids, skip=skip)
    elif "\ufffd" not in (before := tokenizer.decode(prompt, skip_special_tokens=skip)):
        assert before + chunks == tokenizer.decode([*prompt, *ids], skip_special_tokens=skip)


def test_a_prompt_alone_gives_nothing(tokenizer: Tokenizer) -> None:
    for text in ("hello world", "😊", ""):
        ids = tokenizer.encode(text).ids
        for length in range(len(ids) + 1):
            assert tokenizer.decode_stream(ids[:length]).flush() is None


def test_only_the_character_that_straddles_the_border_comes_out_whole(byte_tokenizer: Tokenizer) -> None:
    ids = [token_id for byte in "😊".encode() for token_id in ids_of_byte(byte_tokenizer, byte)]
    prompt = byte_tokenizer.encode("the worker").ids
    for border in range(1, 4):
        stream = byte_tokenizer.decode_stream([*prompt, *ids[:border]])
        assert run_steps(stream.step, ids[border:])[-1] == "😊"
        stream = byte_tokenizer.decode_stream([*prompt, *ids[:border]])
        assert stream.step_batch(prompt) == byte_tokenizer.decode_stream(prompt).step_batch(prompt)


@pytest.mark.parametrize("unknown", UNKNOWN_IDS)
def test_unknown_ids_contribute_nothing(tokenizer: Tokenizer, unknown: int) -> None:
    ids = tokenizer.encode("the worker").ids
    stream = tokenizer.decode_stream()
    assert stream.step(unknown) is None
    text = "".join(run_steps(stream.step, [unknown, *ids, unknown]))
    assert text + (stream.flush() or "") == tokenizer.decode(ids) == tokenizer.decode([unknown, *ids, unknown])


def test_unknown_ids_raise_when_errors_are_strict(tokenizer: Tokenizer) -> None:
    ids = tokenizer.encode("the worker").ids
    stream = tokenizer.decode_stream(errors="strict")
    begun = stream.step(ids[0]) or ""
    with pytest.raises(DecodeError) as caught:
        stream.step(2**32)
    assert caught.value.token_id == 2**32
    with pytest.raises(DecodeError):
        stream.step_batch([*ids[1:], -1])
    assert begun + (stream.step_batch(ids[1:]) or "") + (stream.flush() or "") == tokenizer.decode(ids)


@pytest.mark.parametrize("not_an_id", [None, "a", 1.5, b"", [1], object()])
def test_what_is_no_integer_is_refused_and_changes_nothing(tokenizer: Tokenizer, not_an_id: Any) -> None:
    stream = tokenizer.decode_stream()
    with pytest.raises(DecodeError):
        stream.step(not_an_id)
    with pytest.raises(DecodeError):
        stream.step_batch([not_an_id])
    with pytest.raises(DecodeError):
        tokenizer.decode_stream([not_an_id])
    ids = tokenizer.encode("the").ids
    assert (stream.step_batch(ids) or "") + (stream.flush() or "") == tokenizer.decode(ids)


def test_unknown_ids_are_logged_once(tokenizer: Tokenizer, caplog: pytest.LogCaptureFixture) -> None:
    del tokenizer.stream_tables
    for _ in range(3):
        stream = tokenizer.decode_stream()
        stream.step_batch([-1, -2, 2**40])
    assert len([record for record in caplog.records if "contribute nothing" in record.message]) == 1


def test_a_copy_goes_its_own_way(tokenizer: Tokenizer) -> None:
    ids = tokenizer.encode("the 😊 worker").ids
    middle = len(ids) // 2
    stream = tokenizer.decode_stream()
    begun = stream.step_batch(ids[:middle]) or ""
    for twin in (copy.copy(stream), copy.deepcopy(stream)):
        twin.step_batch(tokenizer.encode("another way").ids)
        twin.flush()
    assert begun + (stream.step_batch(ids[middle:]) or "") + (stream.flush() or "") == tokenizer.decode(ids)


def test_a_stream_goes_on_after_a_flush(tokenizer: Tokenizer) -> None:
    ids = tokenizer.encode("the worker the worker").ids
    stream = tokenizer.decode_stream()
    chunks = ""
    for token_id in ids:
        chunks += (stream.step(token_id) or "") + (stream.flush() or "")
    if "\ufffd" not in chunks:
        assert chunks == tokenizer.decode(ids)


def test_a_million_invalid_bytes_leave_nothing_behind(byte_tokenizer: Tokenizer) -> None:
    ids = [token_id for byte in (0x80, 0xF0, 0xFF) for token_id in ids_of_byte(byte_tokenizer, byte)]
    stream = byte_tokenizer.decode_stream()
    for _ in range(3):
        stream.step_batch(ids)
    states = len(_states(byte_tokenizer))
    many = ids * 1000
    assert sum(len(stream.step_batch(many) or "") for _ in range(1_000_000 // len(many))) >= 990_000
    assert len(_states(byte_tokenizer)) == states
    assert sys.getsizeof(stream) < 200


def _states(tokenizer: Tokenizer) -> dict[object, object]:
    transducer = tokenizer.stream_tables.transducer(skip_special_tokens=True, errors="ignore")
    assert isinstance(transducer, Transducer)
    states: dict[object, object] = vars(transducer)["_states"]
    return states


def test_a_window_stays_bounded() -> None:
    from tests.small import small_tokenizer
    from tokenfacade.decoding.window import LONGEST, Window

    tokenizer = small_tokenizer("windowed_mock")
    for ids in ([0x80], [0xF0], [tokenizer.vocab_size - 1], tokenizer.encode("the").ids):
        stream = tokenizer.decode_stream()
        for _ in range(200):
            stream.step_batch(ids)
        assert isinstance(stream.state, Window)
        assert len(stream.state.ids) <= LONGEST


def test_a_full_table_is_forgotten_and_the_stream_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.small import small_tokenizer

    monkeypatch.setattr("tokenfacade.decoding.transducer.MAX_ENTRIES", 20)
    assert MAX_ENTRIES > 1000
    tokenizer = small_tokenizer("byte_level")
    del tokenizer.stream_tables
    ids = tokenizer.encode("the 😊 worker streams tokens back, x != y. 世界 " * 5).ids
    stream = tokenizer.decode_stream()
    assert "".join(run_steps(stream.step, ids)) == tokenizer.decode(ids)
    del tokenizer.stream_tables
