"""What all streams of one tokenizer share: a transducer for each way of reading its ids, and the stop automata seen
lately."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Literal

from tokenfacade.decoding.pieces import Pieces, agrees
from tokenfacade.decoding.transducer import State, Transducer, checked_ids
from tokenfacade.decoding.window import Window, WindowDecoder
from tokenfacade.errors import ConfigurationError, DecodeError
from tokenfacade.lazy import cached_property

if TYPE_CHECKING:
    from tokenfacade.decoding.automaton import StopAutomaton
    from tokenfacade.decoding.stop import StopSequenceConfig
    from tokenfacade.protocols import Decoder

logger = logging.getLogger(__name__)

UnknownIds = Literal["ignore", "strict"]
"""What an id does that the vocabulary lacks: nothing (and a warning once per tokenizer), or raise `DecodeError`."""

MAX_STOP_AUTOMATA = 64
"""Sets of stops that a tokenizer remembers; the one unused for longest is forgotten first."""


class StreamTables:
    """The shared tables of one tokenizer.

    No lock, which a fork could leave locked for ever: entries are facts, so a race between threads costs one that is
    worked out twice.
    """

    def __init__(self, decoder: Decoder) -> None:
        self._decoder = decoder
        self._transducers: dict[tuple[bool, UnknownIds], Transducer | WindowDecoder] = {}
        self._automata: dict[StopSequenceConfig, StopAutomaton] = {}
        self._has_warned = False

    def state(self, prompt_ids: Sequence[int], *, skip_special_tokens: bool, errors: UnknownIds) -> State | Window:
        """Where a stream begins that continues `prompt_ids`."""
        transducer = self.transducer(skip_special_tokens=skip_special_tokens, errors=errors)
        return transducer.after(prompt_ids if isinstance(prompt_ids, list | tuple) else checked_ids(prompt_ids))

    def transducer(self, *, skip_special_tokens: bool, errors: UnknownIds) -> Transducer | WindowDecoder:
        """The one transducer for this way of reading ids, or the windows that stand in for it."""
        key = bool(skip_special_tokens), errors
        found = self._transducers.get(key)
        if found is None:
            new = self._new_transducer(skip_special_tokens=skip_special_tokens, errors=errors)
            found = self._transducers.setdefault(key, new)
        return found

    @cached_property
    def pieces(self) -> Pieces | None:
        """What each id contributes, special tokens included."""
        return self._decoder.pieces(skip_special_tokens=False)

    @cached_property
    def special_ids(self) -> frozenset[int]:
        """The ids that are skipped where special tokens are."""
        return frozenset(self._decoder.special_tokens.ids.values())

    def automaton(self, config: StopSequenceConfig) -> StopAutomaton:
        """The one automaton for these stops, kept while it is among the last that were asked for."""
        from tokenfacade.decoding.automaton import StopAutomaton

        found = self._automata.get(config) or StopAutomaton(config, self._decoder)
        self._automata.pop(config, None)
        self._automata[config] = found
        # Another thread may change the dict just now; then more are kept until the next call.
        with suppress(RuntimeError, KeyError):
            while len(self._automata) > MAX_STOP_AUTOMATA:
                del self._automata[next(iter(self._automata))]
        return found

    def _new_transducer(self, *, skip_special_tokens: bool, errors: UnknownIds) -> Transducer | WindowDecoder:
        if errors not in ("ignore", "strict"):
            raise ConfigurationError(f'errors must be "ignore" or "strict", not {errors!r}')
        report = self._warn_unknown if errors == "ignore" else self._raise_unknown
        decoder = self._decoder

        def decode(token_ids: list[int]) -> str:
            return decoder.decode(token_ids, skip_special_tokens=skip_special_tokens)

        pieces = decoder.pieces(skip_special_tokens=skip_special_tokens)
        if pieces is not None and agrees(pieces, decode, _sample(pieces)):
            return Transducer(pieces, report)
        return WindowDecoder(decode, lambda token_id: decoder.id_to_token(token_id) is not None, report)

    def _warn_unknown(self, token_id: int) -> None:
        if not self._has_warned:
            self._has_warned = True
            logger.warning(
                "%r has no token %d; ids like it contribute nothing to a stream (said once)", self._decoder, token_id
            )

    def _raise_unknown(self, token_id: int) -> None:
        raise DecodeError(f"{self._decoder!r} has no token {token_id}", token_id=token_id)


def _sample(pieces: Pieces) -> list[int]:
    """Some eighty ids from all over a vocabulary of any size, without byte tokens where a run of them may rightly
    read otherwise."""
    spread = sorted({int(1.18**power) - 1 for power in range(78)})
    return [token_id for token_id in spread if not (pieces.invalid == "run" and _is_bytes(pieces, token_id))]


def _is_bytes(pieces: Pieces, token_id: int) -> bool:
    try:
        return isinstance(pieces.piece(token_id), bytes)
    except KeyError:
        return False
