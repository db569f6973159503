"""Stop strings as an automaton over the stream's own states, so that looking for them costs one look-up per token.

The Aho-Corasick automaton of a set of strings is in the node whose path is the longest suffix of the text so far that
begins one of them: exactly what must be held back. So there is no buffer: the node is the buffer. A `StopState` pairs
a node with a state of the stream, and like it remembers where each id leads: the output, finished, and the next
state.

A. V. Aho and M. J. Corasick, "Efficient string matching: an aid to bibliographic search", CACM 18 (1975).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tokenfacade.decoding.outputs import Held, SequenceDecoderOutput, stopped, text_or_held
from tokenfacade.decoding.transducer import Configuration, State, checked_id
from tokenfacade.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tokenfacade.decoding.stop import StopSequenceConfig
    from tokenfacade.decoding.window import Window
    from tokenfacade.protocols import Decoder

NO_IDS: frozenset[int] = frozenset()

MAX_ENTRIES = 1 << 15
"""Entries that one automaton keeps before it forgets them all and begins anew: some 5 MB."""


class Stop(NamedTuple):
    """One thing to stop at, and whether it comes out."""

    matched: str | int
    visible: bool


class Node(dict[str, "Node"]):
    """The longest suffix of the text so far that begins a stop string, and where each next character leads.

    Nodes, like everything here, come into being when a text first needs them: most stops of most requests are never
    met.
    """

    __slots__ = ("begun", "depth", "fail", "states", "stop", "text")

    text: str
    """A stop string of which the suffix is the beginning, and `depth` its length."""
    depth: int
    fail: Node | None
    """The node of the next shorter such suffix; None at the root."""
    begun: list[tuple[str, Stop]]
    """The stop strings that begin with the suffix and are longer."""
    stop: Stop | None
    """The longest stop string that is complete here."""
    states: dict[Configuration, StopState]

    def __init__(self, text: str, depth: int, strings: Sequence[tuple[str, Stop]], fail: Node | None) -> None:
        self.text = text
        self.depth = depth
        self.fail = fail
        self.begun = [item for item in strings if len(item[0]) > depth]
        complete = [stop for string, stop in strings if len(string) == depth]
        inherited = fail.stop if fail is not None else None
        self.stop = complete[0] if complete else inherited
        self.states = {}

    @property
    def path(self) -> str:
        """The suffix itself: what is held back."""
        return self.text[: self.depth]

    def __missing__(self, character: str) -> Node:
        # The suffixes from here that don't know yet, longest first. A loop: the chain may be as long as a stop
        # string.
        unknown: list[Node] = []
        node: Node | None = self
        while node is not None and character not in node:
            unknown.append(node)
            node = node.fail
        if not unknown:  # another thread came first
            return self[character]
        root = unknown[-1]
        follower = root if node is None else node[character]
        for node in reversed(unknown):
            begun = [item for item in node.begun if item[0][node.depth] == character]
            if begun:
                follower = Node(begun[0][0], node.depth + 1, begun, follower)
            if follower.depth:  # characters that lead back to the root are not kept: there is no end of them
                node[character] = follower
        return follower


class StoppedAlready(Exception):
    """There is no next state; see `Dead`."""


class Dead(dict[int, "tuple[SequenceDecoderOutput, Dead]"]):
    """After a stop: it leads nowhere, and remembers what was matched. A look-up fails, which keeps the common path
    free of a test."""

    __slots__ = ("matched",)

    def __init__(self, matched: str | int | None = None) -> None:
        self.matched = matched

    def __missing__(self, token_id: int) -> tuple[SequenceDecoderOutput, Dead]:
        raise StoppedAlready


class StopState(dict[int, "tuple[SequenceDecoderOutput, StopState | Dead]"]):
    """A state of the stream and a node of the stop strings, and what each id met here leads to."""

    __slots__ = ("automaton", "node", "stream")

    matched: None = None

    def __init__(self, automaton: StopAutomaton, stream: State | Window, node: Node) -> None:
        self.automaton = automaton
        self.stream = stream
        self.node = node

    def __missing__(self, token_id: int) -> tuple[SequenceDecoderOutput, StopState | Dead]:
        token_id = checked_id(token_id)
        if token_id in self:
            return self[token_id]
        automaton = self.automaton
        entry = automaton.advance(self, token_id)
        # Kept if the stream keeps it: unknown ids, of which there is no end, it doesn't, and windows keep nothing.
        if isinstance(self.stream, State) and (token_id in self.stream or isinstance(entry[1], Dead)):
            automaton.make_room(self)
            self[token_id] = entry
        return entry

    def flush(self) -> tuple[SequenceDecoderOutput, StopState | Dead]:
        """All that is held back, and the state after it; what was held may complete a stop as its last character is
        settled."""
        automaton = self.automaton
        output, after = automaton.scan(self, self.stream.tail, self.stream.flushed)
        if isinstance(after, Dead):
            return output, after
        return text_or_held(output.text + after.node.path), automaton.state(after.stream, automaton.root)


class StopAutomaton:
    """The shared table of one set of stops over one tokenizer."""

    def __init__(self, config: StopSequenceConfig, decoder: Decoder) -> None:
        strings = list(_strings(config))
        self.root = Node("", 0, strings, None)
        self._first_characters = frozenset([text[0] for text, _ in strings])
        self._skipped = decoder.stream_tables.special_ids if config.skip_special_tokens else NO_IDS
        self._tokens = _token_stops(config, decoder, self._skipped)
        self._decoder = decoder
        self._filled: list[StopState] = []
        self._entries = 0

    def state(self, stream: State | Window, node: Node) -> StopState:
        """The one state for this pair; over windows, which are many, a new one."""
        if not isinstance(stream, State):
            return StopState(self, stream, node)
        found = node.states.get(stream.configuration)
        if found is None:
            found = node.states.setdefault(stream.configuration, StopState(self, stream, node))
        return found

    def make_room(self, state: StopState) -> None:
        """Count one more entry, and forget everything when there are too many; decoders go on from the state they
        hold."""
        self._entries += 1
        if not state:
            self._filled.append(state)
        if self._entries > MAX_ENTRIES:
            filled, self._filled, self._entries = self._filled, [state], 1
            for one in filled:
                one.clear()
            self.root.clear()

    def is_hidden_stop(self, token_id: int) -> bool:
        """Whether an id ends the text and has no text itself."""
        stop = self._tokens.get(token_id)
        return stop is not None and not stop.visible

    def advance(self, state: StopState, token_id: int) -> tuple[SequenceDecoderOutput, StopState | Dead]:
        """One step: the output for this id, and the state after it."""
        stop = self._tokens.get(token_id)
        if stop is not None:
            return self._stop_at_token(state, token_id, stop)
        text, stream = state.stream[token_id]
        if text is None:
            return Held(), state if stream is state.stream else self.state(stream, state.node)
        return self.scan(state, text, stream)

    def scan(
        self, state: StopState, text: str, stream: State | Window
    ) -> tuple[SequenceDecoderOutput, StopState | Dead]:
        """Follow new text through the stop strings, up to the first that completes."""
        node = state.node
        held = node.path
        if not node.depth and self._first_characters.isdisjoint(text):
            return text_or_held(text), self.state(stream, node)
        for end, character in enumerate(text, 1):
            node = node[character]
            if node.stop is not None:
                hidden = 0 if node.stop.visible else len(str(node.stop.matched))
                whole = held + text[:end]
                return stopped(whole[: len(whole) - hidden]), Dead(node.stop.matched)
        whole = held + text
        return text_or_held(whole[: len(whole) - node.depth]), self.state(stream, node)

    def _stop_at_token(
        self, state: StopState, token_id: int, stop: Stop
    ) -> tuple[SequenceDecoderOutput, StopState | Dead]:
        if stop.visible and token_id not in self._skipped:
            text, stream = state.stream[token_id]
            return stopped(state.node.path + (text or "") + stream.tail), Dead(stop.matched)
        # What was held comes out first, and may complete a stop string before the token is reached.
        output, after = state.flush()
        if isinstance(after, Dead):
            return output, after
        shown = self._decoder.token_bytes(token_id).decode("utf-8", "replace") if stop.visible else ""
        return stopped(output.text + shown), Dead(stop.matched)


def _strings(config: StopSequenceConfig) -> Iterable[tuple[str, Stop]]:
    for text in config.stop:
        yield text, Stop(text, visible=False)
    for text in config.visible_stop:
        yield text, Stop(text, visible=True)


def _token_stops(config: StopSequenceConfig, decoder: Decoder, skipped: frozenset[int]) -> dict[int, Stop]:
    tokens = {token_id: Stop(token_id, visible=False) for token_id in config.stop_token_ids}
    tokens.update((token_id, Stop(token_id, visible=True)) for token_id in config.visible_stop_token_ids)
    special = decoder.special_tokens.ids
    for text, stop in _strings(config):
        # A skipped token has no text in which to find the string; the user who spells one means the token.
        token_id = special.get(text)
        if token_id in skipped and token_id is not None:
            if tokens.setdefault(token_id, stop).visible != stop.visible:
                raise ConfigurationError(
                    f"{text!r} is the token {token_id}, hidden in one place and visible in another"
                )
            tokens[token_id] = stop
    return tokens
