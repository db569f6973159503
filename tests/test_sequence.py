"""A growing text and its ids, together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.small import small_tokenizer
from tests.strategies import ids_of
from tokenfacade import DecodeError, MockTokenizer

if TYPE_CHECKING:
    from tokenfacade import Tokenizer


@given(data=st.data())
def test_text_is_what_the_stream_of_its_ids_gives(tokenizer: Tokenizer, data: st.DataObject) -> None:
    prompt, ids = data.draw(ids_of(tokenizer)), data.draw(ids_of(tokenizer))
    sequence, stream = tokenizer.sequence(prompt), tokenizer.decode_stream(prompt)
    for token_id in ids:
        assert sequence.append_token(token_id) == (stream.step(token_id) or "")
    sequence.flush()
    again = tokenizer.decode_stream(prompt)
    assert sequence.text == (again.step_batch(ids) or "") + (again.flush() or "")
    assert sequence.token_ids == ids
    assert len(sequence) == len(ids)


def test_clear_begins_anew_after_the_same_prompt() -> None:
    tokenizer = small_tokenizer("byte_fallback")
    ids = tokenizer.encode("the worker").ids
    sequence = tokenizer.sequence(ids)
    first = "".join(sequence.append_token(token_id) for token_id in ids)
    sequence.clear()
    assert (sequence.text, sequence.token_ids) == ("", [])
    assert "".join(sequence.append_token(token_id) for token_id in ids) == first == " the worker"


def test_appended_text_and_tokens_mix() -> None:
    tokenizer = MockTokenizer()
    sequence = tokenizer.sequence()
    assert sequence.append_text("hello</s>") == "hello"
    assert sequence.append_token(0xF0) == ""
    assert sequence.text == "hello"
    assert sequence.flush() == "\ufffd"
    assert sequence.append_text("</s>", parse_special_tokens=False) == "</s>"
    assert sequence.text == "hello\ufffd</s>"
    assert repr(sequence) == "<Sequence of 7 tokens: 'hello\ufffd</s>'>"


def test_special_tokens_show_when_they_are_not_skipped() -> None:
    sequence = MockTokenizer().sequence(skip_special_tokens=False)
    assert sequence.append_text("hello", add_special_tokens=True) == "<s>hello"


def test_an_id_that_is_refused_is_not_kept() -> None:
    sequence = MockTokenizer().sequence(errors="strict")
    unknown: list[Any] = [-1, None]
    for bad in unknown:
        with pytest.raises(DecodeError):
            sequence.append_token(bad)
    assert sequence.token_ids == []
