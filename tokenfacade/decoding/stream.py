"""Streamed ids to text, whole characters at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from tokenfacade.decoding.transducer import checked_id, checked_ids
from tokenfacade.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tokenfacade.decoding.tables import UnknownIds
    from tokenfacade.decoding.transducer import State
    from tokenfacade.decoding.window import Window
    from tokenfacade.protocols import Decoder


class DecodeStream:
    """Turns ids, as they arrive, into text: each character leaves in the step that completes it, and is final.

    The chunks joined, and `flush` at the end, are what `decode` gives for all ids at once, however they are cut into
    steps. Bytes that aren't UTF-8 become U+FFFD at once and never stop the stream. A step takes the same time, and
    the stream the same memory (one reference), after a million ids as after one; the work is shared by all streams of
    a tokenizer.

    Streams can be copied (`copy.copy`) to try several continuations. They aren't safe to step from two threads at
    once.

    Args:
        decoder: Any tokenizer, or anything that decodes.
        prompt_ids: Ids that precede the stream. They say whether this is the first word, and never come out; of a
            prompt that ends inside a character, the character comes out whole once it is complete.
        skip_special_tokens: Whether special tokens have no text.
        errors: What an id does that the vocabulary lacks: ``"ignore"``, nothing, with one warning per tokenizer, or
            ``"strict"``.

    Raises:
        DecodeError: A prompt id is not an integer, or unknown and ``errors="strict"``.
        ConfigurationError: `decoder` is no tokenizer, or `errors` neither of the two.

    Example:
        >>> from tokenfacade import MockTokenizer
        >>> tokenizer = MockTokenizer()
        >>> stream = tokenizer.decode_stream()
        >>> [stream.step(token_id) for token_id in tokenizer.encode("hello 😊")]
        ['hello', ' ', None, None, None, '😊']
        >>> stream.flush()
    """

    __slots__ = ("state",)

    state: State | Window
    """Where the stream is in the shared tables: all that it remembers. Treat it as opaque."""

    def __init__(
        self,
        decoder: Decoder,
        prompt_ids: Sequence[int] = (),
        *,
        skip_special_tokens: bool = True,
        errors: UnknownIds = "ignore",
    ) -> None:
        try:
            tables = decoder.stream_tables
        except AttributeError:
            raise ConfigurationError(f"a stream needs a tokenizer, not {type(decoder).__name__}") from None
        self.state = tables.state(prompt_ids, skip_special_tokens=skip_special_tokens, errors=errors)

    def step(self, token_id: int) -> str | None:
        """Take one id, and give out what it completes; None if that is nothing.

        Raises:
            DecodeError: The id is not an integer, or unknown and ``errors="strict"``; the stream stays as it was.
        """
        # The whole hot path. An entry is always a pair: testing for the common case of "no new state" was slower.
        try:
            text, self.state = self.state[token_id]
        except TypeError:  # it has no hash
            text, self.state = self.state[checked_id(token_id)]
        return text

    def step_batch(self, token_ids: Iterable[int]) -> str | None:
        """Take several ids, and give out what they complete as one chunk; None if that is nothing.

        Raises:
            DecodeError: As for `step`; then none of the ids has been taken.
        """
        state = self.state
        try:
            if len(token_ids) == 4:  # type: ignore[arg-type]
                # What speculative decoding mostly hands over; without a growing string 70 ns an id instead of 85.
                first, second, third, fourth = token_ids
                one, state = state[first]
                two, state = state[second]
                three, state = state[third]
                four, self.state = state[fourth]
                return f"{one or ''}{two or ''}{three or ''}{four or ''}" or None
            return self._step_each(token_ids)
        except TypeError:  # no length, or an id without a hash
            return self._step_each(checked_ids(token_ids))

    def _step_each(self, token_ids: Iterable[int]) -> str | None:
        state = self.state
        chunk = ""
        for token_id in token_ids:
            text, state = state[token_id]
            if text is not None:
                chunk += text
        self.state = state
        return chunk or None

    def flush(self) -> str | None:
        """Give out what is held back, as it reads if nothing follows (U+FFFD); None if that is nothing.

        The stream can go on afterwards: it continues the same text after the flushed characters.
        """
        state = self.state
        self.state = state.flushed
        return state.tail or None

    def __repr__(self) -> str:
        return f"<DecodeStream holding {self.state.tail!r}>"

    def __copy__(self) -> DecodeStream:
        twin = DecodeStream.__new__(DecodeStream)
        twin.state = self.state
        return twin

    def __deepcopy__(self, memo: dict[int, object]) -> DecodeStream:
        return self.__copy__()

    def __reduce__(self) -> NoReturn:
        refuse_pickling(self)


def refuse_pickling(stream: object) -> NoReturn:
    """Say why a stream stays where it is, and what to do."""
    raise ConfigurationError(
        f"a {type(stream).__name__} refers to tables of this process and can't be pickled: send the ids, and make "
        f"another where "
        f"they arrive"
    )
