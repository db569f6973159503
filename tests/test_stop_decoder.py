"""Stop decoders in use and misuse: minimum lengths, unusual ids, bad options, outputs, limits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.small import small_tokenizer
from tokenfacade import (
    ConfigurationError,
    DecodeError,
    DecodeStream,
    Held,
    MockTokenizer,
    Stopped,
    StoppedWithText,
    StopSequenceConfig,
    StopSequenceDecoder,
    StopSequenceDecoderBuilder,
    Text,
)

if TYPE_CHECKING:
    from collections.abc import Sequence


def given_out(decoder: StopSequenceDecoder, ids: Sequence[int]) -> str:
    return "".join(output.text for output in decoder.process_tokens(ids))


def test_min_tokens_keeps_stops_from_acting() -> None:
    tokenizer = MockTokenizer()
    hello, eos = tokenizer.encode("hello").ids[0], tokenizer.eos_token_ids[0]
    decoder = tokenizer.stop_decoder(["hello"], stop_token_ids=[eos], min_tokens=2)
    # Below the floor a hidden stop id is neither shown nor counted.
    assert decoder.process_tokens([hello, eos, hello]) == [Text("hello"), Held(), Text("hello")]
    assert (decoder.is_stopped, decoder.tokens_consumed) == (False, 2)
    assert decoder.process_token(hello) is Stopped()
    assert (decoder.matched_stop, decoder.tokens_consumed) == ("hello", 3)


def test_min_tokens_does_not_break_a_character() -> None:
    tokenizer = MockTokenizer()
    ids = tokenizer.encode("😊x").ids
    decoder = tokenizer.stop_decoder(["x"], min_tokens=2)
    assert given_out(decoder, ids) == "😊"
    assert decoder.is_stopped


def test_flush_below_the_floor_gives_out_what_is_held() -> None:
    decoder = MockTokenizer().stop_decoder(["x"], min_tokens=5)
    assert decoder.process_token(0xF0) is Held()
    assert decoder.flush() == Text("\ufffd")


def test_several_tokens_at_once_end_at_the_stop() -> None:
    tokenizer = MockTokenizer()
    hello, eos = tokenizer.encode("hello").ids[0], tokenizer.eos_token_ids[0]
    decoder = tokenizer.stop_decoder(stop_token_ids=[eos])
    assert decoder.process_tokens([hello, hello, eos, hello, hello]) == [Text("hello"), Text("hello"), Stopped()]
    assert decoder.tokens_consumed == 3


def test_a_long_stop_that_nearly_matches_costs_no_recursion() -> None:
    tokenizer = MockTokenizer(["=" * 3000, "x"])
    stops = ["=" * 5000 + "!", *("=" * length + "y" for length in range(1, 1500, 7))]
    decoder = tokenizer.stop_decoder(stops)
    ids = tokenizer.encode("=" * 3000 + "x").ids
    assert given_out(decoder, ids) == "=" * 3000 + "x"


@pytest.mark.parametrize(
    "options",
    [
        {"stop": [""]},
        {"stop": [5]},
        {"stop": 5},
        {"stop": [None]},
        {"visible_stop": [b"x"]},
        {"stop_token_ids": ["a"]},
        {"stop_token_ids": 5},
        {"stop_token_ids": [1.5]},
        {"stop": ["a"], "visible_stop": ["a"]},
        {"stop_token_ids": [1], "visible_stop_token_ids": [1]},
        {"min_tokens": -1},
        {"min_tokens": "3"},
        {"errors": "never"},
    ],
)
def test_what_can_not_be_a_stop_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        MockTokenizer().stop_decoder(**options)


def test_a_single_string_is_one_stop() -> None:
    assert StopSequenceConfig("END").stop == ("END",)


@pytest.mark.parametrize("not_an_id", [None, "a", 1.5, [1]])
def test_what_is_no_integer_is_refused(not_an_id: Any) -> None:
    cases: list[dict[str, Any]] = [{}, {"min_tokens": 2}, {"stop": ["x"]}]
    for options in cases:
        decoder = MockTokenizer().stop_decoder(**options)
        with pytest.raises(DecodeError):
            decoder.process_token(not_an_id)
        assert decoder.tokens_consumed == 0


def test_unknown_ids_raise_when_errors_are_strict_and_stop_nothing() -> None:
    decoder = MockTokenizer().stop_decoder(["x"], errors="strict")
    with pytest.raises(DecodeError):
        decoder.process_token(-1)
    assert decoder.process_token(0x61) == Text("a")


def test_process_tokens_takes_all_or_none_when_one_is_refused() -> None:
    cases: list[dict[str, Any]] = [{"stop": ["ZZ"]}, {"stop": ["ZZ"], "min_tokens": 3}]
    for options in cases:
        decoder = MockTokenizer().stop_decoder(**options, errors="strict")
        decoder.process_token(0x5A)
        with pytest.raises(DecodeError):
            decoder.process_tokens([0x48, 0x49, 10**9])
        assert decoder.tokens_consumed == 1
        outputs = [*decoder.process_tokens([0x48, 0x49]), decoder.flush()]
        assert "".join(output.text for output in outputs)[-2:] == "HI"


class TensorElement:
    """An integer as numeric libraries have them: equal to nothing but itself."""

    def __init__(self, value: int) -> None:
        self.value = value

    def __index__(self) -> int:
        return self.value


class Unhashable(TensorElement):
    """One that can't be looked up at all."""

    __hash__ = None  # type: ignore[assignment]


@pytest.mark.parametrize("kind", [TensorElement, Unhashable])
def test_integers_of_any_kind_are_ids(kind: Any) -> None:
    tokenizer = MockTokenizer()
    stop, other = kind(65), kind(66)
    for minimum in (0, 1):
        decoder = tokenizer.stop_decoder(["x"], stop_token_ids=[65], min_tokens=minimum)
        outputs = [decoder.process_token(other), decoder.process_token(other), decoder.process_token(stop)]
        assert outputs == [Text("B"), Text("B"), Stopped()]
    assert tokenizer.decode_stream().step(other) == "B"
    assert tokenizer.decode_stream([other]).step_batch([other, other]) == "BB"
    assert tokenizer.decode_stream().step_batch([other] * 4) == "BBBB"
    sequence = tokenizer.sequence()
    assert sequence.append_token(other) == "B"
    assert [type(token_id) for token_id in sequence.token_ids] == [int]
    state = tokenizer.decode_stream().state
    assert isinstance(state, dict)
    assert all(type(key) is int for key in state)


def test_no_stops_may_be_spelled_none() -> None:
    decoder = MockTokenizer().stop_decoder(None, stop_token_ids=None, visible_stop=None, visible_stop_token_ids=None)
    assert decoder.config == StopSequenceConfig()


def test_a_special_token_is_hidden_or_visible_not_both() -> None:
    tokenizer = MockTokenizer()
    eos = tokenizer.eos_token_ids[0]
    with pytest.raises(ConfigurationError, match="hidden"):
        tokenizer.stop_decoder(["</s>"], visible_stop_token_ids=[eos])
    decoder = tokenizer.stop_decoder(["</s>"], stop_token_ids=[eos])
    decoder.process_token(eos)
    assert decoder.matched_stop == "</s>"


def test_what_is_no_tokenizer_or_configuration_is_refused() -> None:
    wrong: Any
    for wrong in (None, "gpt-4", object()):
        with pytest.raises(ConfigurationError, match="needs a tokenizer"):
            StopSequenceDecoder(wrong)
        with pytest.raises(ConfigurationError, match="needs a tokenizer"):
            DecodeStream(wrong)
    wrong = {"stop": ["x"]}
    with pytest.raises(ConfigurationError, match="StopSequenceConfig"):
        StopSequenceDecoder(MockTokenizer(), wrong)
    wrong = None
    with pytest.raises(DecodeError):
        MockTokenizer().stop_decoder().process_tokens(wrong)


def test_a_decoder_says_how_far_it_is() -> None:
    decoder = MockTokenizer().stop_decoder(["x"])
    assert repr(decoder) == "<StopSequenceDecoder running after 0 tokens>"
    decoder.process_tokens(b"ax")
    assert repr(decoder) == "<StopSequenceDecoder stopped at 'x' after 2 tokens>"


def test_the_builder_builds_what_the_configuration_says() -> None:
    tokenizer = MockTokenizer()
    builder = StopSequenceDecoderBuilder(tokenizer).stop_sequence("a", "b").stop_token(1).visible_stop_sequence("c")
    builder = builder.visible_stop_token(2).skip_special_tokens(skip=False).min_tokens(1).prompt_ids([0x61])
    config = StopSequenceConfig(["a", "b"], [1], ["c"], [2], skip_special_tokens=False, min_tokens=1)
    assert builder.build().config == config
    assert given_out(builder.build(), b"xa") == "x"


def test_outputs_work_in_match() -> None:
    def name(output: Text | Held | Stopped | StoppedWithText) -> str:
        match output:
            case Text(text):
                return text
            case StoppedWithText(text=text):
                return f"{text}."
            case Held():
                return "held"
            case Stopped():
                return "stopped"

    outputs: list[Text | Held | Stopped | StoppedWithText] = [Text("a"), StoppedWithText("b"), Held(), Stopped()]
    assert [name(output) for output in outputs] == ["a", "b.", "held", "stopped"]
    assert [output.text for output in outputs] == ["a", "b", "", ""]


def test_a_full_table_is_forgotten_and_the_decoder_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tokenfacade.decoding.automaton.MAX_ENTRIES", 10)
    tokenizer = small_tokenizer("byte_level")
    text = "the router sends tokens back to the worker END of it"
    decoder = tokenizer.stop_decoder(["END"])
    assert given_out(decoder, tokenizer.encode(text).ids) == text[:-9]


def test_only_so_many_sets_of_stops_are_remembered() -> None:
    from tokenfacade.decoding.tables import MAX_STOP_AUTOMATA

    tokenizer = MockTokenizer()
    for number in range(MAX_STOP_AUTOMATA * 2):
        tokenizer.stop_decoder([f"stop {number}"])
    assert len(vars(tokenizer.stream_tables)["_automata"]) == MAX_STOP_AUTOMATA
