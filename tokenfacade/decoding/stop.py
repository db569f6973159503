"""Streaming text that ends at a stop: strings and token ids, hidden or visible, with nothing held back that needn't
be."""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass, replace
from operator import index
from typing import TYPE_CHECKING, NoReturn

from tokenfacade.decoding.automaton import Dead, StoppedAlready, StopState
from tokenfacade.decoding.outputs import Held, SequenceDecoderOutput, Stopped, text_or_held
from tokenfacade.decoding.stream import DecodeStream, refuse_pickling
from tokenfacade.decoding.transducer import checked_id
from tokenfacade.encoding import mend_surrogates
from tokenfacade.errors import ConfigurationError, DecodeError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tokenfacade.decoding.tables import UnknownIds
    from tokenfacade.protocols import Decoder


@dataclass(frozen=True, slots=True)
class StopSequenceConfig:
    """Where a stream ends, and what of the end is shown.

    Attributes:
        stop: Strings that end the text and leave no trace in it. A single `str` is one stop, None is none.
        stop_token_ids: Ids that end the text and leave no trace in it.
        visible_stop: Strings that end the text and come out whole.
        visible_stop_token_ids: Ids that end the text and whose text comes out, also if special tokens are skipped.
        skip_special_tokens: Whether special tokens have no text. A stop string that is the spelling of one works all
            the same.
        min_tokens: How many tokens must come before anything can stop the text. Below that a hidden stop id has no
            text and isn't counted, and stop strings are looked for only in the text after it.
        errors: What an unknown id does: ``"ignore"`` or ``"strict"``.

    Raises:
        ConfigurationError: A stop is empty or of the wrong type, both hidden and visible, or `min_tokens` is
            negative.

    Example:
        >>> StopSequenceConfig(stop=["END"], stop_token_ids=[2]).stop
        ('END',)
    """

    stop: Sequence[str] = ()
    stop_token_ids: Sequence[int] = ()
    visible_stop: Sequence[str] = ()
    visible_stop_token_ids: Sequence[int] = ()
    skip_special_tokens: bool = True
    min_tokens: int = 0
    errors: UnknownIds = "ignore"

    def __post_init__(self) -> None:
        set_field = object.__setattr__
        set_field(self, "stop", _strings("stop", self.stop))
        set_field(self, "visible_stop", _strings("visible_stop", self.visible_stop))
        set_field(self, "stop_token_ids", _ids("stop_token_ids", self.stop_token_ids))
        set_field(self, "visible_stop_token_ids", _ids("visible_stop_token_ids", self.visible_stop_token_ids))
        both = {*self.stop, *self.stop_token_ids} & {*self.visible_stop, *self.visible_stop_token_ids}
        if both:
            raise ConfigurationError(f"a stop is hidden or visible, not both: {sorted(map(repr, both))}")
        set_field(self, "min_tokens", _count("min_tokens", self.min_tokens))
        if self.errors not in ("ignore", "strict"):
            raise ConfigurationError(f'errors must be "ignore" or "strict", not {self.errors!r}')


def _count(name: str, number: int) -> int:
    try:
        count = index(number)
    except TypeError:
        count = -1
    if count < 0:
        raise ConfigurationError(f"{name} must be an integer of at least 0, not {number!r}")
    return count


def _strings(name: str, stops: Iterable[str] | None) -> tuple[str, ...]:
    try:
        strings = (stops,) if isinstance(stops, str) else tuple(() if stops is None else stops)
    except TypeError:
        raise ConfigurationError(f"{name} takes strings, not {stops!r}") from None
    for stop in strings:
        if not isinstance(stop, str) or not stop:
            raise ConfigurationError(f"{name} takes strings of at least one character, not {stop!r}")
    return tuple(map(mend_surrogates, strings))


def _ids(name: str, ids: Iterable[int] | None) -> tuple[int, ...]:
    try:
        return tuple(map(index, () if ids is None else ids))
    except TypeError:
        raise ConfigurationError(f"{name} takes token ids (integers), not {ids!r}") from None


def _iterable(token_ids: Iterable[int]) -> Iterable[int]:
    """The ids, not yet taken: those behind a stop stay where they are."""
    try:
        return iter(token_ids)
    except TypeError:
        raise DecodeError(f"token ids are a collection of integers, not {type(token_ids).__name__}") from None


class StopSequenceDecoder:
    """Turns streamed ids into text that ends at the first stop to complete.

    What is held back after each token is the longest end of the text that begins a stop string, plus the bytes of an
    unfinished character, and nothing else. The stop that completes first wins, the longest if two complete at once,
    so the result doesn't depend on how the text was cut into tokens. Call `flush` when the stream ends without a
    stop, or its tail is lost.

    Args:
        decoder: Any tokenizer, or anything that decodes.
        config: Where to stop; without one, nowhere.
        prompt_ids: Ids that precede the stream; they give context and never come out.

    Attributes:
        tokens_consumed: How many ids belong to the output, the one that stopped it included; for usage and log-
            probabilities.

    Raises:
        ConfigurationError: Those of `StopSequenceConfig`.

    Example:
        >>> from tokenfacade import MockTokenizer
        >>> tokenizer = MockTokenizer()
        >>> decoder = tokenizer.stop_decoder([" end"])
        >>> [decoder.process_token(token_id).text for token_id in tokenizer.encode("the world end of it")]
        ['the', ' world', '', '', '', '', '', '']
        >>> decoder.is_stopped, decoder.matched_stop, decoder.tokens_consumed
        (True, ' end', 6)
    """

    __slots__ = ("_automaton", "_floor", "_start", "_state", "config", "tokens_consumed")

    config: StopSequenceConfig
    tokens_consumed: int
    _floor: DecodeStream | None
    _state: StopState | Dead

    def __init__(
        self, decoder: Decoder, config: StopSequenceConfig | None = None, *, prompt_ids: Sequence[int] = ()
    ) -> None:
        self.config = StopSequenceConfig() if config is None else config
        if not isinstance(self.config, StopSequenceConfig):
            raise ConfigurationError(f"config must be a StopSequenceConfig, not {type(config).__name__}")
        skip, errors = self.config.skip_special_tokens, self.config.errors
        self._start = DecodeStream(decoder, prompt_ids, skip_special_tokens=skip, errors=errors)
        plain = replace(self.config, min_tokens=0) if self.config.min_tokens else self.config
        self._automaton = decoder.stream_tables.automaton(plain)
        self.reset()

    def process_token(self, token_id: int) -> SequenceDecoderOutput:
        """Take one id, and say what can be given out now; after a stop, always `Stopped`.

        Raises:
            DecodeError: The id is not an integer, or unknown and ``errors="strict"``; the decoder stays as it was.
        """
        # One look-up, like DecodeStream.step: the output is part of the entry. Measured at 1.1 to 1.3 times a bare
        # step.
        try:
            output, self._state = self._state[token_id]
        except (StoppedAlready, TypeError):
            return self._process_unusual(token_id)
        self.tokens_consumed += 1
        return output

    def process_tokens(self, token_ids: Iterable[int]) -> list[SequenceDecoderOutput]:
        """Take several ids, and say what each gives out; the list ends at the stop, so the ids behind it aren't used.

        Raises:
            DecodeError: As for `process_token`; then none of the ids counts as taken.
        """
        outputs: list[SequenceDecoderOutput] = []
        before = self._state, self._floor and copy(self._floor), self.tokens_consumed
        try:
            for token_id in _iterable(token_ids):
                outputs.append(self.process_token(token_id))
                if self.is_stopped:
                    break
        except DecodeError:
            self._state, self._floor, self.tokens_consumed = before
            raise
        return outputs

    def flush(self) -> SequenceDecoderOutput:
        """Give out all that is held back: `Text`, or `Held` if there is nothing; after a stop, `Stopped`."""
        if self._floor is not None:
            return text_or_held(self._floor.flush() or "")
        if isinstance(self._state, Dead):
            return Stopped()
        output, self._state = self._state.flush()
        return output

    def reset(self) -> None:
        """Begin anew, as a new decoder with the same configuration and prompt would."""
        self.tokens_consumed = 0
        self._floor = None
        if self.config.min_tokens:
            self._state, self._floor = Dead(), copy(self._start)
        else:
            self._look_for_stops(self._start)

    def _look_for_stops(self, stream: DecodeStream) -> None:
        self._state = self._automaton.state(stream.state, self._automaton.root)

    @property
    def is_stopped(self) -> bool:
        """Whether a stop has been reached."""
        return self._state.matched is not None

    @property
    def matched_stop(self) -> str | int | None:
        """The stop that was reached: the string, or the id; None before."""
        return self._state.matched

    def __copy__(self) -> StopSequenceDecoder:
        twin = StopSequenceDecoder.__new__(StopSequenceDecoder)
        for name in self.__slots__:
            setattr(twin, name, getattr(self, name))
        twin._floor = copy(self._floor)
        return twin

    def __deepcopy__(self, memo: dict[int, object]) -> StopSequenceDecoder:
        return self.__copy__()

    def __reduce__(self) -> NoReturn:
        refuse_pickling(self)

    def __repr__(self) -> str:
        state = f"stopped at {self.matched_stop!r}" if self.is_stopped else "running"
        return f"<StopSequenceDecoder {state} after {self.tokens_consumed} tokens>"

    def _process_unusual(self, token_id: int) -> SequenceDecoderOutput:
        """After a stop, below the floor, or with an id that has no hash."""
        if self.is_stopped:
            return Stopped()
        token_id = checked_id(token_id)
        if self._floor is not None:
            return self._process_below_floor(token_id, self._floor)
        output, self._state = self._state[token_id]
        self.tokens_consumed += 1
        return output

    def _process_below_floor(self, token_id: int, stream: DecodeStream) -> SequenceDecoderOutput:
        if self._automaton.is_hidden_stop(token_id):
            return Held()
        output = text_or_held(stream.step(token_id) or "")
        self.tokens_consumed += 1
        if self.tokens_consumed == self.config.min_tokens:
            self._floor = None
            self._look_for_stops(stream)
        return output


class StopSequenceDecoderBuilder:
    """Builds a `StopSequenceDecoder` step by step, for code that collects its stops from several places.

    Example:
        >>> from tokenfacade import MockTokenizer, StopSequenceDecoderBuilder
        >>> decoder = StopSequenceDecoderBuilder(MockTokenizer()).stop_sequence("END").visible_stop_token(2).build()
        >>> decoder.config.stop, decoder.config.visible_stop_token_ids
        (('END',), (2,))
    """

    def __init__(self, decoder: Decoder) -> None:
        self._decoder = decoder
        self._config = StopSequenceConfig()
        self._prompt_ids: Sequence[int] = ()

    def stop_sequence(self, *stops: str) -> StopSequenceDecoderBuilder:
        """Add strings that end the text and leave no trace in it."""
        return self._with(stop=(*self._config.stop, *stops))

    def stop_token(self, *token_ids: int) -> StopSequenceDecoderBuilder:
        """Add ids that end the text and leave no trace in it."""
        return self._with(stop_token_ids=(*self._config.stop_token_ids, *token_ids))

    def visible_stop_sequence(self, *stops: str) -> StopSequenceDecoderBuilder:
        """Add strings that end the text and come out whole."""
        return self._with(visible_stop=(*self._config.visible_stop, *stops))

    def visible_stop_token(self, *token_ids: int) -> StopSequenceDecoderBuilder:
        """Add ids that end the text and whose text comes out."""
        return self._with(visible_stop_token_ids=(*self._config.visible_stop_token_ids, *token_ids))

    def skip_special_tokens(self, skip: bool = True) -> StopSequenceDecoderBuilder:  # noqa: FBT001, FBT002
        """Whether special tokens have no text."""
        return self._with(skip_special_tokens=skip)

    def min_tokens(self, count: int) -> StopSequenceDecoderBuilder:
        """How many tokens must come before anything can stop the text."""
        return self._with(min_tokens=count)

    def prompt_ids(self, prompt_ids: Sequence[int]) -> StopSequenceDecoderBuilder:
        """The ids that precede the stream."""
        self._prompt_ids = prompt_ids
        return self

    def build(self) -> StopSequenceDecoder:
        """The decoder; the builder can go on to build others."""
        return StopSequenceDecoder(self._decoder, self._config, prompt_ids=self._prompt_ids)

    def _with(self, **changes: object) -> StopSequenceDecoderBuilder:
        self._config = replace(self._config, **changes)  # type: ignore[arg-type]
        return self
