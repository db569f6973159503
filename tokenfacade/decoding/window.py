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
KEPT = 16
MOST_HELD = 3


class WindowDecoder:
    """What the windows of one vocabulary share: how to decode, and what to do with an id that can't be decoded."""

    def __init__(
        self,
        decode: Callable[[list[int]], str],
        knows: Callable[[int], bool],
        report_unknown: Callable[[int], None],
    ) -> None:
        self.decode = decode
        self.knows = knows
        self.report_unknown = report_unknown

    def after(self, prompt_ids: Sequence[int]) -> Window:
        """The state of a stream that continues a prompt, or begins."""
        ids = self.shortened([token_id for token_id in map(checked_id, prompt_ids) if self.knows(token_id)])
        text = self.decode(ids)
        held = _incomplete(text)
        return Window(self, tuple(ids), len(text) - held, text[len(text) - held :], held)

    def shortened(self, ids: list[int]) -> list[int]:
        """The last ids, and one before them that contributes if they contribute nothing: else the text would seem to
        begin anew."""
        kept = ids[-KEPT:]
        if len(kept) == len(ids) or self.decode(kept):
            return kept
        for token_id in reversed(ids[:-KEPT]):
            if self.decode([token_id]):
                return [token_id, *kept]
        return kept


@dataclass(frozen=True, slots=True)
class Window:
    """A state: the last ids, how many characters of their text have been given out, and what is held back of the
    rest."""

    decoder: WindowDecoder
    ids: tuple[int, ...]
    given: int
    held: str
    prompt_held: int
    """How many of the held characters are the prompt's own."""

    def __getitem__(self, token_id: int) -> tuple[str | None, Window]:
        token_id = checked_id(token_id)
        if not self.decoder.knows(token_id):
            self.decoder.report_unknown(token_id)
            return None, self
        ids = [*self.ids, token_id]
        try:
            text = self.decoder.decode(ids)
        except Exception:  # a decoder of which nothing is known may raise anything; a stream goes on
            self.decoder.report_unknown(token_id)
            return None, self
        held = _incomplete(text[self.given :])
        fresh = text[self.given : len(text) - held]
        prompt_held = self.prompt_held
        if fresh and prompt_held:
            fresh, prompt_held = fresh[_leading_replacements(fresh, prompt_held) :], 0
        given = max(self.given, len(text) - held)
        if len(ids) > LONGEST:
            ids = self.decoder.shortened(ids)
            given = max(0, len(self.decoder.decode(ids)) - held)
        after = Window(self.decoder, tuple(ids), given, text[len(text) - held :], min(prompt_held, held))
        return fresh or None, after

    @property
    def tail(self) -> str:
        """What is held back, as it reads if nothing follows."""
        return self.held[self.prompt_held :]

    @property
    def flushed(self) -> Window:
        """The state after the tail has been given out."""
        return replace(self, given=self.given + len(self.held), held="", prompt_held=0)


def _incomplete(text: str) -> int:
    """How many characters at the end may still change."""
    count = len(text) - len(text.rstrip("\ufffd"))
    return min(count, MOST_HELD)


def _leading_replacements(text: str, most: int) -> int:
    count = len(text) - len(text.lstrip("\ufffd"))
    return min(count, most)
