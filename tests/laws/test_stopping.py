"""First to complete, Least held, Hidden and Visible, on every backend and for any ids, against brute force."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.oracles import first_stop, held_back, run_steps
from tests.small import small_tokenizer
from tests.strategies import cuts_of, ids_of, stops_of
from tokenfacade import (
    Held,
    MockTokenizer,
    Stopped,
    StopSequenceDecoder,
    Text,
)
from tokenfacade.encoding import mend_surrogates

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tokenfacade import Tokenizer


def streamed(tokenizer: Tokenizer, ids: Sequence[int], prompt: Sequence[int] = ()) -> str:
    stream = tokenizer.decode_stream(prompt)
    return "".join(run_steps(stream.step, ids)) + (stream.flush() or "")


def given_out(decoder: StopSequenceDecoder, ids: Sequence[int]) -> str:
    return "".join(output.text for output in decoder.process_tokens(ids))


def plain_ids(tokenizer: Tokenizer, ids: list[int]) -> list[int]:
    """Without special ids: a stop string that spells one stops at the token, which the oracle for text doesn't know."""
    special = set(tokenizer.special_tokens.ids.values())
    return [token_id for token_id in ids if token_id not in special]


@given(data=st.data())
def test_the_stop_that_completes_first_wins_and_leaves_no_trace(tokenizer: Tokenizer, data: st.DataObject) -> None:
    ids = plain_ids(tokenizer, data.draw(ids_of(tokenizer)))
    text = streamed(tokenizer, ids)
    stops = data.draw(stops_of(text))
    decoder = tokenizer.stop_decoder(stops)
    result = given_out(decoder, ids) + decoder.flush().text
    found = first_stop(text, stops)
    if found is None:
        assert (result, decoder.is_stopped, decoder.matched_stop) == (text, False, None)
    else:
        end, stop = found
        assert (result, decoder.is_stopped, decoder.matched_stop) == (text[: end - len(stop)], True, stop)


@given(data=st.data())
def test_the_result_does_not_depend_on_how_ids_are_cut_into_steps(tokenizer: Tokenizer, data: st.DataObject) -> None:
    ids = data.draw(ids_of(tokenizer))
    stops = data.draw(stops_of(streamed(tokenizer, ids)))
    one, other = tokenizer.stop_decoder(stops), tokenizer.stop_decoder(stops)
    steps = [output for part in data.draw(cuts_of(ids)) for output in one.process_tokens(part)]
    assert [output for output in steps if output != Stopped()] == [
        output for output in other.process_tokens(ids) if output != Stopped()
    ]
    assert (one.matched_stop, one.tokens_consumed) == (other.matched_stop, other.tokens_consumed)
    assert one.flush() == other.flush()


@given(data=st.data())
def test_a_visible_stop_comes_out_whole(tokenizer: Tokenizer, data: st.DataObject) -> None:
    ids = plain_ids(tokenizer, data.draw(ids_of(tokenizer)))
    text = streamed(tokenizer, ids)
    stops = data.draw(stops_of(text))
    visible = data.draw(st.lists(st.sampled_from(stops), unique=True)) if stops else []
    hidden = [stop for stop in stops if stop not in visible]
    decoder = tokenizer.stop_decoder(hidden, visible_stop=visible)
    result = given_out(decoder, ids) + decoder.flush().text
    found = first_stop(text, stops)
    if found is None:
        assert result == text
    else:
        end, stop = found
        assert result == (text[:end] if stop in visible else text[: end - len(stop)])


@given(data=st.data())
def test_what_is_held_back_is_the_longest_suffix_that_begins_a_stop(tokenizer: Tokenizer, data: st.DataObject) -> None:
    ids = plain_ids(tokenizer, data.draw(ids_of(tokenizer)))
    stops = data.draw(stops_of(streamed(tokenizer, ids)))
    decoder, stream = tokenizer.stop_decoder(stops), tokenizer.decode_stream()
    text = out = ""
    for token_id in ids:
        out += decoder.process_token(token_id).text
        if decoder.is_stopped:
            break
        text += stream.step(token_id) or ""
        assert out == text.removesuffix(held_back(text, stops))


@given(data=st.data())
def test_no_stops_is_the_bare_stream(tokenizer: Tokenizer, data: st.DataObject) -> None:
    prompt, ids = data.draw(ids_of(tokenizer)), data.draw(ids_of(tokenizer))
    decoder, stream = tokenizer.stop_decoder(prompt_ids=prompt), tokenizer.decode_stream(prompt)
    for token_id in ids:
        assert decoder.process_token(token_id).text == (stream.step(token_id) or "")
    assert decoder.flush().text == (stream.flush() or "")
    assert decoder.tokens_consumed == len(ids)


@given(data=st.data())
def test_a_token_stop_lets_out_what_was_held(tokenizer: Tokenizer, data: st.DataObject) -> None:
    ids = plain_ids(tokenizer, data.draw(ids_of(tokenizer)))
    text = streamed(tokenizer, ids)
    stop_id = tokenizer.encode("the").ids[0]
    before = ids[: ids.index(stop_id)] if stop_id in ids else ids
    stops = [stop for stop in data.draw(stops_of(text)) if first_stop(streamed(tokenizer, before), [stop]) is None]
    decoder = tokenizer.stop_decoder(stops, stop_token_ids=[stop_id])
    assert given_out(decoder, [*before, stop_id, *ids]) == streamed(tokenizer, before)
    assert decoder.matched_stop == stop_id
    assert decoder.tokens_consumed == len(before) + 1


def test_after_a_stop_every_call_says_stopped(tokenizer: Tokenizer) -> None:
    ids = tokenizer.encode("the worker").ids
    decoder = tokenizer.stop_decoder(stop_token_ids=[ids[0]])
    assert decoder.process_token(ids[0]) is Stopped()
    consumed = decoder.tokens_consumed
    for token_id in (*ids, -1, 2**63):
        assert decoder.process_token(token_id) is Stopped()
    assert decoder.process_tokens(ids) == [Stopped()]
    assert decoder.flush() is Stopped()
    assert decoder.tokens_consumed == consumed == 1


def test_reset_equals_a_new_decoder(tokenizer: Tokenizer) -> None:
    ids = tokenizer.encode("the worker and the worker").ids
    cases: list[dict[str, Any]] = [
        {"stop": ["work"]},
        {"stop": ["work"], "min_tokens": 2},
        {"stop_token_ids": [ids[1]]},
    ]
    for options in cases:
        decoder = tokenizer.stop_decoder(**options, prompt_ids=ids[:1])
        first = [*decoder.process_tokens(ids), decoder.flush()]
        decoder.reset()
        assert [decoder.is_stopped, decoder.matched_stop, decoder.tokens_consumed] == [False, None, 0]
        assert [*decoder.process_tokens(ids), decoder.flush()] == first


def test_a_stop_string_that_spells_a_special_token_stops_at_the_token(tokenizer: Tokenizer) -> None:
    special = next(iter(tokenizer.special_tokens.ids))
    ids = [*tokenizer.encode("the worker").ids, tokenizer.special_tokens.ids[special], *tokenizer.encode("the").ids]
    for skip in (True, False):
        decoder = tokenizer.stop_decoder([special], skip_special_tokens=skip)
        # Where special tokens have text, that of words comes with a space before it.
        assert given_out(decoder, ids).rstrip(" ") == tokenizer.decode(tokenizer.encode("the worker"))
        assert decoder.matched_stop == special
        visible = tokenizer.stop_decoder(visible_stop=[special], skip_special_tokens=skip)
        assert given_out(visible, ids).endswith(special)


def test_a_skipped_special_token_comes_out_where_it_is_a_visible_stop() -> None:
    tokenizer = MockTokenizer()
    ids = tokenizer.encode("hello</s>world").ids
    eos = tokenizer.eos_token_ids[0]
    decoder = tokenizer.stop_decoder(visible_stop_token_ids=[eos])
    assert given_out(decoder, ids) == "hello</s>"
    assert decoder.matched_stop == eos


@pytest.mark.parametrize(
    ("stops", "text", "expected", "matched"),
    [
        (["DEFGHIJ"], "ABCDEFGHIJK", "ABC", "DEFGHIJ"),
        (["re", "he"], "there", "t", "he"),
        (["he", "re"], "there", "t", "he"),
        (["abcd", "b"], "abcd", "a", "b"),
        (["bcd", "abcd"], "xabcde", "x", "abcd"),
        (["five"], "four, five, six", "four, ", "five"),
        (["aab"], "aaab", "a", "aab"),
        (["abab!"], "ababab!", "ab", "abab!"),
        (["ab", "abc"], "abc", "", "ab"),
        (["\n<|endoftext|>"], "a\nb\n<|endoftext|>", "a\nb", "\n<|endoftext|>"),
        (["Pari"], "in Paris", "in ", "Pari"),
        (["<|sep|>"], "a<|se<|sep|>", "a<|se", "<|sep|>"),
        (["😊"], "hi 😊 there", "hi ", "😊"),
        (["\ud83d\ude0a"], "hi 😊 there", "hi ", "\ud83d\ude0a"),
    ],
)
def test_examples_from_users(stops: list[str], text: str, expected: str, matched: str) -> None:
    bytes_alone, whole_text = MockTokenizer([]), MockTokenizer([text])
    for tokenizer in (bytes_alone, whole_text, small_tokenizer("byte_level"), small_tokenizer("tiktoken_small")):
        decoder = tokenizer.stop_decoder(stops)
        ids = tokenizer.encode(text).ids if tokenizer is not whole_text else [tokenizer.token_to_id(text) or 0]
        assert given_out(decoder, ids) + decoder.flush().text == expected
        assert decoder.matched_stop == mend_surrogates(matched)


def test_the_flushed_tail_may_complete_a_stop() -> None:
    tokenizer = MockTokenizer()
    decoder = tokenizer.stop_decoder(["x\ufffd"])
    assert decoder.process_tokens([0x61, 0x78, 0xF0]) == [Text("a"), Held(), Held()]
    assert decoder.flush() is Stopped()
    assert decoder.matched_stop == "x\ufffd"
