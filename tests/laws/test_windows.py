"""Streams over decoders of which nothing is known but `decode`, and hard cases that reviewers found."""

from __future__ import annotations

import copy
import pickle
import sys
import threading
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer as RawTokenizer
from tokenizers import decoders, models

from tests.small import byte_fallback
from tokenfacade import ConfigurationError, HuggingFaceTokenizer, MockTokenizer, SpecialTokens
from tokenfacade.decoding.window import LONGEST, Window
from tokenfacade.protocols import Decoder
from tokenfacade.testing.oracles import run_steps

if TYPE_CHECKING:
    from tokenfacade.decoding.stop import StopSequenceDecoder


class BytesOnly(Decoder):
    """Ids 0 to 255 are bytes, 256 to 259 special; how bytes read is up to each test."""

    def __init__(self, read: Callable[[bytes], str] = lambda data: data.decode("utf-8", "replace")) -> None:
        self.read = read

    vocab_size = 260
    special_tokens = SpecialTokens(ids={f"<{n}>": 256 + n for n in range(4)})

    def token_to_id(self, token: str) -> int | None:
        return self.special_tokens.ids.get(token)

    def id_to_token(self, token_id: int) -> str | None:
        return f"t{token_id}" if 0 <= token_id < 260 else None

    def decode(self, token_ids: Iterable[int], *, skip_special_tokens: bool = True) -> str:
        return self.read(bytes(token_id for token_id in token_ids if 0 <= token_id < 256))


EDGES = [*bytes.fromhex("204180a0bfc3e4edefbdf09f988aff"), 257]
edge_bytes = st.sampled_from(EDGES)


@given(st.lists(edge_bytes, max_size=90))
def test_windows_over_bytes_join_to_decode(ids: list[int]) -> None:
    decoder = BytesOnly()
    stream = decoder.decode_stream()
    assert "".join(run_steps(stream.step, ids)) + (stream.flush() or "") == decoder.decode(ids)
    assert isinstance(stream.state, Window)
    assert len(stream.state.ids) <= LONGEST + 1


@given(st.lists(st.sampled_from([0x80, 0xFF, 0x41]), max_size=9), st.lists(st.sampled_from([0x80, 0x41]), max_size=6))
def test_replacements_of_a_prompt_do_not_come_out(prompt: list[int], ids: list[int]) -> None:
    stream = BytesOnly().decode_stream(prompt)
    out = "".join(run_steps(stream.step, ids)) + (stream.flush() or "")
    assert out == BytesOnly().decode(ids)


def test_text_that_is_taken_back_for_a_while_is_not_lost() -> None:
    vocabulary = {f"<0x{byte:02X}>": byte for byte in range(256)} | {"▁a": 256, "<unk>": 257}
    raw = RawTokenizer(models.BPE(vocabulary, [], unk_token="<unk>", byte_fallback=True))
    raw.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Metaspace()])
    tokenizer = HuggingFaceTokenizer(raw)
    for text in ("😊😊", "é世😊" * 30):
        ids = list(text.encode())
        stream = tokenizer.decode_stream()
        assert isinstance(stream.state, Window)
        assert "".join(run_steps(stream.step, ids)) + (stream.flush() or "") == tokenizer.decode(ids) == text


def test_whatever_a_decoder_raises_a_stream_goes_on() -> None:
    def read(data: bytes) -> str:
        if len(data) in (0, 16, 30):
            raise KeyError("x")
        return data.decode()

    stream = BytesOnly(read).decode_stream()
    text = "".join(run_steps(stream.step, [0x61] * 200)) + (stream.flush() or "")
    assert set(text) == {"a"}
    assert len(text) >= 150


def test_a_decoder_that_cleans_up_loses_no_character() -> None:
    decoder = BytesOnly(lambda data: data.decode().replace(" .", "."))
    stream = decoder.decode_stream()
    text = "".join(run_steps(stream.step, list(b"a .b .c"))) + (stream.flush() or "")
    assert text.replace(" ", "") == "a.b.c"


def test_stops_over_windows_keep_nothing_of_a_long_stream() -> None:
    decoder = BytesOnly().stop_decoder(["zz"])
    before = decoder._state
    decoder.process_tokens([0x61] * 500)
    assert isinstance(before, dict)
    assert len(before) == 0


def test_what_is_pending_in_a_prompt_is_the_start_of_the_text() -> None:
    tokenizer = byte_fallback()
    lead, the = tokenizer.token_to_id("<0xC3>"), tokenizer.token_to_id("▁the")
    ids = [token_id for token_id in (lead, the) if token_id is not None]
    assert tokenizer.decode(ids) == "\ufffd the"
    assert tokenizer.decode_stream(ids[:1]).step(ids[1]) == " the"
    stream = tokenizer.decode_stream()
    assert [stream.step(ids[0]), stream.flush(), stream.step(ids[1])] == [None, "\ufffd", " the"]


def test_a_conflict_of_stops_is_found_when_the_decoder_is_made() -> None:
    tokenizer = MockTokenizer()
    eos = tokenizer.eos_token_ids[0]
    with pytest.raises(ConfigurationError):
        tokenizer.stop_decoder(["</s>"], visible_stop_token_ids=[eos], min_tokens=1)


def test_spelled_stops_count_below_the_floor_as_their_ids_do() -> None:
    tokenizer = MockTokenizer()
    eos, letter = tokenizer.eos_token_ids[0], 0x61
    options: list[dict[str, Any]] = [{"stop": ["</s>"]}, {"stop_token_ids": [eos]}]
    for option in options:
        decoder = tokenizer.stop_decoder(**option, min_tokens=1)
        decoder.process_tokens([eos, letter])
        assert decoder.tokens_consumed == 1


def test_where_special_tokens_have_text_their_stops_are_found_in_it() -> None:
    tokenizer = MockTokenizer()
    eos = tokenizer.eos_token_ids[0]

    def result(ids: list[int], stops: list[str]) -> tuple[str, object]:
        decoder: StopSequenceDecoder = tokenizer.stop_decoder(stops, skip_special_tokens=False)
        return "".join(output.text for output in decoder.process_tokens(ids)), decoder.matched_stop

    for stops in (["a</s>", "</s>"], ["</", "</s>"]):
        assert result([0x61, eos], stops) == result([0x61, *b"</s>"], stops)


def test_ids_behind_a_stop_stay_where_they_are() -> None:
    tokenizer = MockTokenizer()
    ids = iter([0x61, tokenizer.eos_token_ids[0], 0x62, 0x63])
    tokenizer.stop_decoder(stop_token_ids=tokenizer.eos_token_ids).process_tokens(ids)
    assert list(ids) == [0x62, 0x63]


def test_a_long_stop_string_costs_memory_in_proportion() -> None:
    tokenizer = MockTokenizer(["a" * 100])
    decoder = tokenizer.stop_decoder(["a" * 20_000 + "b"])
    assert all(output.text == "" for output in decoder.process_tokens([256] * 190))
    assert decoder.flush().text == "a" * 19_000


def test_threads_may_make_stop_decoders_with_many_sets_of_stops() -> None:
    tokenizer = MockTokenizer()
    errors: list[BaseException] = []
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)

    def work(seed: int) -> None:
        try:
            for number in range(400):
                tokenizer.stop_decoder([f"stop{(seed + 1) * number % 300}"]).process_token(0x73)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(6)]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert errors == []


def test_copies_of_decoders_and_sequences_go_their_own_way() -> None:
    tokenizer = MockTokenizer()
    decoder, sequence = tokenizer.stop_decoder(["ab"], min_tokens=1), tokenizer.sequence()
    decoder.process_token(0x7A)
    for make in (copy.copy, copy.deepcopy):
        make(decoder).process_tokens(b"ab")
        make(sequence).append_text("hello")
    assert (decoder.is_stopped, decoder.tokens_consumed) == (False, 1)
    assert (sequence.text, sequence.token_ids) == ("", [])


def test_streams_say_why_they_do_not_pickle() -> None:
    tokenizer = MockTokenizer()
    for stream in (tokenizer.decode_stream(), tokenizer.stop_decoder(["a"]), tokenizer.sequence()):
        with pytest.raises(ConfigurationError, match="send the ids"):
            pickle.dumps(stream)
