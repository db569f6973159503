"""Ids to text for a decoder of which nothing is known but `decode`: decode a window of the last ids, and give out
what is new.

A window starts with ids that have been given out already, so that the decoder sees where it stands; it never grows
beyond `LONGEST` ids. U+FFFD at the end may be a character that isn't complete yet, or may be meant: up to three are
held back, since a character has at most four bytes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tokenfacade.decoding.transducer import checked_id

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

LONGEST = 48
KEPT = (8, 16, 32)
MOST_HELD = 3


class WindowDecoder:
    """What the windows of one vocabulary share: how to decode, and what to do with an id that can't be decoded."""

    def __init__(
        self,
        decode: Callable[[list[int]], str],
        knows: Callable[[int], bool],
        report_unknown: Callable[[int], None],
    ) -> None:
        self._decode = decode
        self.knows = knows
        self.report_unknown = report_unknown

    def text_of(self, ids: list[int]) -> str | None:
        """The text of a window, or None: a decoder of which nothing is known may raise anything, and a stream goes
        on."""
        try:
            return self._decode(ids) if ids else ""
        except Exception:
            return None

    def after(self, prompt_ids: Sequence[int]) -> Window:
        """The state of a stream that continues a prompt, or begins."""
        ids = [token_id for token_id in map(checked_id, prompt_ids[-LONGEST:]) if self.knows(token_id)]
        ids = self.shortened(ids, self.text_of(ids) or "")
        text = self.text_of(ids) or ""
        held = _incomplete(text)
        return Window(self, tuple(ids), text[: len(text) - held], text[len(text) - held :], held)

    def shortened(self, ids: list[int], text: str) -> list[int]:
        """The last ids, as few as read alone the way they do here; the text must not seem to begin anew."""
        for size in KEPT:
            kept = self.text_of(ids[-size:])
            if kept and text.endswith(kept):
                return ids[-size:]
        return ids[-LONGEST:]


@dataclass(frozen=True, slots=True)
class Window:
    """A state: the last ids, what has been given out of their text, and what is held back of the rest."""

    decoder: WindowDecoder
    ids: tuple[int, ...]
    given: str
    held: str
    prompt_held: int
    """How many of the held characters are the prompt's own."""
    waited: int = 0
    """How many ids ago the text began to contradict what was given out."""

    def __getitem__(self, token_id: int) -> tuple[str | None, Window]:
        token_id = checked_id(token_id)
        if not self.decoder.knows(token_id):
            self.decoder.report_unknown(token_id)
            return None, self
        ids = [*self.ids, token_id]
        text = self.decoder.text_of(ids)
        if text is None:
            shorter = self._shorter(token_id)
            return (None, self) if shorter is self else shorter[token_id]
        kept = _common_length(self.given, text)
        if kept < len(self.given) and self.waited < MOST_HELD:
            # A decoder may take back a run of bytes until the character is complete.
            return None, replace(self, ids=tuple(ids), held=text[kept:], waited=self.waited + 1)
        return self._give(ids, text, text[kept:])

    def _shorter(self, token_id: int) -> Window:
        """The same state over fewer ids, for a decoder that fails on these; itself if it fails on all."""
        for size in KEPT:
            ids = list(self.ids[-size:])
            text = self.decoder.text_of(ids)
            if len(ids) < len(self.ids) and text is not None and self.decoder.text_of([*ids, token_id]) is not None:
                return replace(self, ids=tuple(ids), given=text[: len(text) - len(self.held)])
        return self

    def _give(self, ids: list[int], text: str, rest: str) -> tuple[str | None, Window]:
        held = _incomplete(rest)
        fresh = rest[: len(rest) - held]
        own = min(self.prompt_held, len(fresh) - len(fresh.lstrip("\ufffd")))
        fresh = fresh[own:]
        prompt_held = 0 if fresh else min(self.prompt_held - own, held)
        if len(ids) > LONGEST:
            ids = self.decoder.shortened(ids, text)
            text = self.decoder.text_of(ids) or ""
        given = text[: len(text) - held]
        return fresh or None, Window(self.decoder, tuple(ids), given, rest[len(rest) - held :], prompt_held)

    @property
    def tail(self) -> str:
        """What is held back, as it reads if nothing follows."""
        return self.held[self.prompt_held :]

    @property
    def flushed(self) -> Window:
        """The state after the tail has been given out."""
        return replace(self, given=self.given + self.held, held="", prompt_held=0, waited=0)


def _incomplete(text: str) -> int:
    """How many characters at the end may still change."""
    count = len(text) - len(text.rstrip("\ufffd"))
    return min(count, MOST_HELD)


def _common_length(one: str, other: str) -> int:
    """How many characters two texts have in common at the start."""
    if other.startswith(one):
        return len(one)
    return next(n for n, character in enumerate(one) if other[n : n + 1] != character)
