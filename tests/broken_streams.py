"""Streams and stop decoders that each break one law, for the tests of the published suite."""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable, Iterable
from typing import Any

from tokenfacade import Held, MockTokenizer, Stopped, StoppedWithText, Text

Chunk = str | None


class BrokenStream:
    """A stream of the mock, to be broken in one place."""

    def __init__(self, tokenizer: MockTokenizer, prompt: Any, options: dict[str, Any]) -> None:
        self.tokenizer = tokenizer
        self.stream = MockTokenizer().decode_stream(prompt, **options)

    def step(self, token_id: int) -> Chunk:
        return self.stream.step(token_id)

    def step_batch(self, token_ids: Iterable[int]) -> Chunk:
        return "".join(self.step(token_id) or "" for token_id in token_ids) or None

    def flush(self) -> Chunk:
        return self.stream.flush()

    def __copy__(self) -> BrokenStream:
        twin = object.__new__(type(self))
        vars(twin).update(vars(self), stream=copy.copy(self.stream))
        return twin

    def __deepcopy__(self, memo: object) -> BrokenStream:
        return self.__copy__()


class RepeatsACharacter(BrokenStream):
    def step(self, token_id: int) -> Chunk:
        text = super().step(token_id)
        return text and (text + text[-1] if len(text) > 4 else text)


class SwallowsAByte(BrokenStream):
    def step(self, token_id: int) -> Chunk:
        return None if token_id == 0x41 else super().step(token_id)


class FlushesTwice(BrokenStream):
    def flush(self) -> Chunk:
        return super().flush() or "\ufffd"


class BatchesAreUnlikeSteps(BrokenStream):
    def step_batch(self, token_ids: Iterable[int]) -> Chunk:
        return (super().step_batch(token_ids) or "").replace(" ", "") or None


class ReplacesTooEarly(BrokenStream):
    def step(self, token_id: int) -> Chunk:
        return (super().step(token_id) or "") + (self.stream.flush() or "") or None


class GivesOutTooLate(BrokenStream):
    held = ""

    def step(self, token_id: int) -> Chunk:
        text = self.held + (super().step(token_id) or "")
        self.held = text[-1:]
        return text[:-1] or None

    def flush(self) -> Chunk:
        held, self.held = self.held, ""
        return held + (super().flush() or "") or None


class ChangesWhatItGaveOut(BrokenStream):
    def step_batch(self, token_ids: Iterable[int]) -> Chunk:
        text = super().step_batch(token_ids) or ""
        return (text.lower() if len(text) > 6 else text) or None


class LeaksThePrompt(BrokenStream):
    def __init__(self, tokenizer: MockTokenizer, prompt: Any, options: dict[str, Any]) -> None:
        super().__init__(tokenizer, (), options)
        self.leak = self.stream.step_batch(prompt) or ""

    def step(self, token_id: int) -> Chunk:
        leak, self.leak = self.leak, ""
        return leak + (super().step(token_id) or "") or None


class FlushesThePrompt(BrokenStream):
    def __init__(self, tokenizer: MockTokenizer, prompt: Any, options: dict[str, Any]) -> None:
        super().__init__(tokenizer, prompt, options)
        self.tail = "\ufffd" if list(prompt)[-1:] == [0xF0] else ""

    def flush(self) -> Chunk:
        return self.tail + (super().flush() or "") or None


class ForgetsThePrompt(BrokenStream):
    def __init__(self, tokenizer: MockTokenizer, prompt: Any, options: dict[str, Any]) -> None:
        super().__init__(tokenizer, (), options)


class RaisesOnUnknownIds(BrokenStream):
    def step(self, token_id: int) -> Chunk:
        if token_id > 2**40:
            raise OverflowError(token_id)
        return super().step(token_id)


class IsNeverStrict(BrokenStream):
    def __init__(self, tokenizer: MockTokenizer, prompt: Any, options: dict[str, Any]) -> None:
        super().__init__(tokenizer, prompt, {**options, "errors": "ignore"})


class TakesAnything(BrokenStream):
    def step(self, token_id: int) -> Chunk:
        return super().step(token_id) if isinstance(token_id, int) else None


class LogsEveryId(BrokenStream):
    def step(self, token_id: int) -> Chunk:
        if token_id < 0:
            logging.getLogger("tokenfacade.backends").warning("ids like %d contribute nothing", token_id)
        return super().step(token_id)


class CopiesAreTheSame(BrokenStream):
    def __copy__(self) -> BrokenStream:
        return self


class EndsAtAFlush(BrokenStream):
    has_ended = False

    def step(self, token_id: int) -> Chunk:
        return None if self.has_ended else super().step(token_id)

    def flush(self) -> Chunk:
        self.has_ended = True
        return super().flush()


class KeepsAllIds(BrokenStream):
    def __init__(self, tokenizer: MockTokenizer, prompt: Any, options: dict[str, Any]) -> None:
        super().__init__(tokenizer, prompt, options)
        self.ids = list(prompt)

    def step(self, token_id: int) -> Chunk:
        self.ids.append(token_id)
        return super().step(token_id)


STREAMS: dict[type[BrokenStream], str] = {
    RepeatsACharacter: "chunks_and_flush_join_to_decode",
    SwallowsAByte: "chunks_and_flush_join_to_decode",
    FlushesTwice: "chunks_and_flush_join_to_decode",
    BatchesAreUnlikeSteps: "single_steps_equal_one_batch",
    ReplacesTooEarly: "a_character_leaves_in_the_step_that_completes_it",
    GivesOutTooLate: "a_character_leaves_in_the_step_that_completes_it",
    ChangesWhatItGaveOut: "what_was_given_out_is_never_changed",
    LeaksThePrompt: "a_prompt_gives_context_and_never_comes_out",
    FlushesThePrompt: "a_prompt_alone_gives_nothing",
    ForgetsThePrompt: "only_a_character_that_straddles_the_border_comes_out_whole",
    RaisesOnUnknownIds: "unknown_ids_contribute_nothing",
    IsNeverStrict: "unknown_ids_raise_when_errors_are_strict",
    TakesAnything: "what_is_no_integer_is_refused_and_changes_nothing",
    LogsEveryId: "unknown_ids_are_logged_once",
    CopiesAreTheSame: "a_copy_goes_its_own_way",
    EndsAtAFlush: "a_stream_goes_on_after_a_flush",
    KeepsAllIds: "memory_of_a_stream_is_constant",
}
"""Each broken stream, and the law that must find it."""


def with_stream(broken: type[BrokenStream]) -> MockTokenizer:
    """A mock whose streams are broken."""

    class Broken(MockTokenizer):
        def decode_stream(self, prompt_ids: Any = (), **options: Any) -> Any:
            return broken(self, prompt_ids, options)

    return Broken()


class BrokenStops:
    """A stop decoder of the mock, to be broken in one place."""

    def __init__(self, **options: Any) -> None:
        self.options = options
        self.decoder = MockTokenizer().stop_decoder(**self.changed(options))

    def changed(self, options: dict[str, Any]) -> dict[str, Any]:
        return options

    def process_token(self, token_id: int) -> Any:
        return self.decoder.process_token(token_id)

    def process_tokens(self, token_ids: Iterable[int]) -> list[Any]:
        outputs: list[Any] = []
        for token_id in token_ids:
            outputs.append(self.process_token(token_id))
            if self.decoder.is_stopped:
                break
        return outputs

    def __getattr__(self, name: str) -> Any:
        return getattr(self.decoder, name)


class LeaksTheStop(BrokenStops):
    def process_token(self, token_id: int) -> Any:
        was_stopped = self.decoder.is_stopped
        output = super().process_token(token_id)
        stop = self.decoder.matched_stop
        is_leak = isinstance(stop, str) and not was_stopped and stop in self.options.get("stop", ())
        return StoppedWithText(output.text + str(stop)) if is_leak else output


class PrefersTheFirstStop(BrokenStops):
    def changed(self, options: dict[str, Any]) -> dict[str, Any]:
        return {**options, "stop": options.get("stop", ())[:1]}


class HidesVisibleStops(BrokenStops):
    def changed(self, options: dict[str, Any]) -> dict[str, Any]:
        visible = options.get("visible_stop", ())
        return {**options, "stop": [*options.get("stop", ()), *visible], "visible_stop": ()}


class LooksWithinStepsOnly(BrokenStops):
    def process_tokens(self, token_ids: Iterable[int]) -> list[Any]:
        outputs = [*super().process_tokens(token_ids)]
        tail = None if self.decoder.is_stopped else self.decoder.flush()
        return [*outputs, tail] if tail and tail.text else outputs


class HoldsTooLong(BrokenStops):
    held = ""

    def process_token(self, token_id: int) -> Any:
        output = super().process_token(token_id)
        if self.decoder.is_stopped:
            return output
        text = self.held + output.text
        self.held = text[-1:]
        return Text(text[:-1]) if text[:-1] else Held()


class LosesWhatWasHeld(BrokenStops):
    def process_token(self, token_id: int) -> Any:
        output = super().process_token(token_id)
        return Stopped() if isinstance(self.decoder.matched_stop, int) else output


class CountsUnknownIdsNot(BrokenStops):
    tokens_consumed = 0

    def process_token(self, token_id: int) -> Any:
        self.tokens_consumed += 0 <= token_id < 256
        return super().process_token(token_id)


class MissesSpelledTokens(BrokenStops):
    def changed(self, options: dict[str, Any]) -> dict[str, Any]:
        return {**options, "stop": [stop for stop in options.get("stop", ()) if not stop.startswith("<")]}


class GoesOnAfterAStop(BrokenStops):
    def process_token(self, token_id: int) -> Any:
        was_stopped = self.decoder.is_stopped
        output = super().process_token(token_id)
        return Held() if was_stopped else output


class KeepsCountingAfterReset(BrokenStops):
    before = 0

    def reset(self) -> None:
        self.before = self.decoder.tokens_consumed
        self.decoder.reset()

    def __getattr__(self, name: str) -> Any:
        value = super().__getattr__(name)
        return value + self.before if name == "tokens_consumed" else value


STOPS: dict[type[BrokenStops], str] = {
    LeaksTheStop: "the_stop_that_completes_first_wins_and_leaves_no_trace",
    PrefersTheFirstStop: "the_stop_that_completes_first_wins_and_leaves_no_trace",
    LooksWithinStepsOnly: "the_result_does_not_depend_on_how_ids_are_cut_into_steps",
    HidesVisibleStops: "a_visible_stop_comes_out_whole",
    HoldsTooLong: "what_is_held_back_is_the_longest_suffix_that_begins_a_stop",
    CountsUnknownIdsNot: "no_stops_is_the_bare_stream",
    LosesWhatWasHeld: "a_token_stop_lets_out_what_was_held",
    MissesSpelledTokens: "a_stop_string_that_spells_a_special_token_stops_at_the_token",
    GoesOnAfterAStop: "after_a_stop_every_call_says_stopped",
    KeepsCountingAfterReset: "reset_equals_a_new_decoder",
}
"""Each broken stop decoder, and the law that must find it."""


def with_stops(broken: Callable[..., BrokenStops]) -> MockTokenizer:
    """A mock whose stop decoders are broken."""

    class Broken(MockTokenizer):
        def stop_decoder(self, stop: Any = (), **options: Any) -> Any:
            return broken(stop=stop, **options)

    return Broken()
