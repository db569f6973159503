"""Ids to text as a finite-state transducer: states and their entries come into being when a stream first needs them.

A stream of ids needs little memory: the bytes of a character that isn't complete yet, and whether anything has been
said. That is a `Configuration`. One id leads from a configuration to some text and the next configuration, always the
same, so each step is computed once per tokenizer and afterwards looked up: a state is a dict from id to (text, next
state), a stream is a reference to its current state. A million streams share one table, and a table that nobody reads
costs nothing.
"""

from __future__ import annotations

import codecs
from operator import index
from typing import TYPE_CHECKING, NamedTuple

from tokenfacade.errors import DecodeError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from tokenfacade.decoding.pieces import Piece, Pieces

MAX_ENTRIES = 1 << 18
"""Entries that one transducer keeps before it forgets them all and begins anew: about 40 MB at the most."""


FINAL = True
"""For `codecs.utf_8_decode`: nothing follows, so what isn't complete is an error."""


class Configuration(NamedTuple):
    """All that a stream remembers of the ids it has seen."""

    pending: bytes = b""
    """Bytes, at most three, of a character that isn't complete."""
    prompt_bytes: int = 0
    """How many of them belong to the prompt, which never comes out itself."""
    broken: bool = False
    """Whether the current run of byte tokens has turned invalid (``invalid="run"`` only)."""
    first: bool = False
    """Whether nothing has contributed yet, where the first id contributes differently."""
    strip: int = 0
    """How many characters may still be stripped from the start of the text."""


class State(dict[int, "tuple[str | None, State]"]):
    """A configuration, and what each id met in it leads to: its text, None if there is none, and the next state."""

    __slots__ = ("configuration", "transducer")

    configuration: Configuration
    transducer: Transducer

    def __missing__(self, token_id: int) -> tuple[str | None, State]:
        # An integer that isn't an int (an element of a tensor) may hash by identity: it is looked up by its value.
        token_id = checked_id(token_id)
        if token_id in self:
            return self[token_id]
        transducer = self.transducer
        try:
            piece = transducer.piece(self.configuration, token_id)
        except KeyError:
            transducer.report_unknown(token_id)
            return None, self
        text, configuration = transducer.advance(self.configuration, piece)
        entry = text or None, transducer.state(configuration)
        transducer.make_room()
        self[token_id] = entry
        return entry

    @property
    def tail(self) -> str:
        """What is held back, as it reads if nothing follows."""
        return self.transducer.close(self.configuration)

    @property
    def flushed(self) -> State:
        """The state after the tail has been given out."""
        configuration = self.configuration
        strip = 0 if configuration.pending else configuration.strip
        return self.transducer.state(configuration._replace(pending=b"", prompt_bytes=0, broken=False, strip=strip))


class Transducer:
    """The shared table of one vocabulary, with special tokens either skipped or shown."""

    def __init__(self, pieces: Pieces, report_unknown: Callable[[int], None]) -> None:
        self._pieces = pieces
        self._states: dict[Configuration, State] = {}
        self._entries = 0
        self.report_unknown = report_unknown
        self.start = self.state(Configuration(first=pieces.first is not None, strip=pieces.strip_count))

    def state(self, configuration: Configuration) -> State:
        """The one state of a configuration."""
        found = self._states.get(configuration)
        if found is None:
            state = State()
            state.configuration, state.transducer = configuration, self
            found = self._states.setdefault(configuration, state)
        return found

    def make_room(self) -> None:
        """Count one more entry, and forget everything when there are too many; streams go on from the state they
        hold."""
        self._entries += 1
        if self._entries > MAX_ENTRIES:
            for state in list(self._states.values()):
                state.clear()
            self._states = {self.start.configuration: self.start}
            self._entries = 1

    def piece(self, configuration: Configuration, token_id: int) -> Piece:
        """What an id contributes in this configuration; raises `KeyError` for one that the vocabulary lacks."""
        pieces = self._pieces
        return pieces.first(token_id) if configuration.first and pieces.first else pieces.piece(token_id)

    def advance(self, configuration: Configuration, piece: Piece) -> tuple[str, Configuration]:
        """One step: the text that a piece completes, and what is remembered after it."""
        if piece is None:
            return "", configuration
        if isinstance(piece, str):
            text, after = self.close(configuration) + piece, Configuration(strip=configuration.strip)
        elif self._pieces.invalid == "run":
            text, after = _join_run(configuration, piece)
        else:
            text, after = _join_subparts(configuration, piece)
        if configuration.pending and not after.pending.startswith(configuration.pending):
            after = after._replace(strip=0)  # what was pending is the start of the text, also where the prompt keeps it
        if not after.strip:
            return text, after
        stripped = text[_leading(text, self._pieces.strip, after.strip) :]
        return stripped, after._replace(strip=0 if stripped else after.strip - len(text))

    def close(self, configuration: Configuration) -> str:
        """What the pending bytes read as when nothing completes them; those of the prompt alone say nothing."""
        own = len(configuration.pending) - configuration.prompt_bytes
        if self._pieces.invalid == "run":
            return "\ufffd" * own
        return "\ufffd" if own else ""

    def after(self, prompt_ids: Sequence[int]) -> State:
        """The state of a stream that continues a prompt.

        Only the end of a prompt matters, and is looked at: from the last id that is whole characters on, which in a
        text is one of the last few. Ids that the vocabulary lacks contribute nothing to a prompt, also where they
        would raise in a step.
        """
        begin, configuration = self._last_whole(prompt_ids)
        for token_id in prompt_ids[begin:]:
            try:
                piece = self.piece(configuration, checked_id(token_id))
            except KeyError:
                continue
            configuration = self.advance(configuration, piece)[1]
        return self.state(configuration._replace(prompt_bytes=len(configuration.pending)))

    def _last_whole(self, prompt_ids: Sequence[int]) -> tuple[int, Configuration]:
        for position in range(len(prompt_ids) - 1, -1, -1):
            try:
                piece = self._pieces.piece(checked_id(prompt_ids[position]))
            except KeyError:
                continue
            if piece and self._settles(piece):
                return position + 1, Configuration()
        return 0, self.start.configuration

    def _settles(self, piece: bytes | str) -> bool:
        """Whether nothing is remembered after this piece, whatever came before it."""
        if isinstance(piece, bytes):
            if self._pieces.invalid == "run":
                return False
            try:
                piece = piece.decode()
            except UnicodeDecodeError:
                return False
        return not self._pieces.strip_count or bool(piece.strip(self._pieces.strip))


def checked_id(token_id: int) -> int:
    """The id as a plain int; raises `DecodeError` for what isn't an integer."""
    try:
        return index(token_id)
    except TypeError:
        raise DecodeError(f"a token id is an integer, not {type(token_id).__name__}") from None


def checked_ids(token_ids: Iterable[int]) -> list[int]:
    """The ids as plain ints; raises `DecodeError` for what isn't an integer, or no collection at all."""
    return [checked_id(token_id) for token_id in listed(token_ids)]


def listed(token_ids: Iterable[int]) -> list[int]:
    """The ids as a list, unchecked; raises `DecodeError` for what is no collection."""
    try:
        return token_ids if isinstance(token_ids, list) else list(token_ids)
    except TypeError:
        raise DecodeError(f"token ids are a collection of integers, not {type(token_ids).__name__}") from None


def _decode(data: bytes, errors: str) -> tuple[str, int]:
    """The characters that are complete, and how many bytes they take; what may still become one is left."""
    decoded = codecs.utf_8_decode(data, errors, not FINAL)
    rest = data[decoded[1] :]
    # CPython waits for a third byte after the beginning of a surrogate, which can't become a character any more.
    if rest[:1] == b"\xed" and rest[1:2] >= b"\xa0":
        return codecs.utf_8_decode(data, errors, FINAL)
    return decoded


def _join_subparts(configuration: Configuration, piece: bytes) -> tuple[str, Configuration]:
    pending, prompt_bytes = configuration.pending, configuration.prompt_bytes
    data = pending + piece
    text, used = _decode(data, "replace")
    if prompt_bytes and prompt_bytes == len(pending) and _rejects(pending, piece):
        text = text[1:]
        prompt_bytes = 0
    return text, Configuration(data[used:], 0 if used else prompt_bytes, strip=configuration.strip)


def _rejects(pending: bytes, piece: bytes) -> bool:
    """Whether the first byte of a piece can't continue the pending ones. (U+FFFD in the text says nothing: it may be
    meant.)"""
    try:
        _decode(pending + piece[:1], "strict")
    except UnicodeDecodeError:
        return True
    return False


def _join_run(configuration: Configuration, piece: bytes) -> tuple[str, Configuration]:
    if configuration.broken:
        return "\ufffd" * len(piece), configuration
    data = configuration.pending + piece
    try:
        text, used = _decode(data, "strict")
    except UnicodeDecodeError as error:
        lost = len(data) - error.start - (0 if error.start else configuration.prompt_bytes)
        text = data[: error.start].decode() + "\ufffd" * lost
        return text, Configuration(broken=True, strip=configuration.strip)
    return text, Configuration(data[used:], 0 if used else configuration.prompt_bytes, strip=configuration.strip)


def _leading(text: str, character: str, most: int) -> int:
    count = 0
    while count < min(most, len(text)) and text[count] == character:
        count += 1
    return count
