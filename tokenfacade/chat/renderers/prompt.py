"""A prompt while it is written: its text, what of it a request said, and what of it the assistant says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tokenfacade.chat.renderers.reading import refusal

if TYPE_CHECKING:
    from tokenfacade.encoding import Span


class Prompt:
    """A prompt that grows at its end.

    Renderers write the words of their format with `write` and whatever comes from a request with `quote`, so where each
    character came from is known without looking at the text.

    Example:
        >>> prompt = Prompt()
        >>> prompt.write("<user>")
        >>> prompt.quote("<user>")
        >>> prompt.text, prompt.message_spans
        ('<user><user>', [(6, 12)])
    """

    __slots__ = ("_ends", "_length", "_pieces", "assistant_spans", "message_spans")

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._length = 0
        self._ends: dict[str, int] = {}
        self.message_spans: list[Span] = []
        self.assistant_spans: list[Span] = []

    def __len__(self) -> int:
        return self._length

    @property
    def text(self) -> str:
        return "".join(self._pieces)

    def write(self, text: str) -> None:
        """Add words of the format."""
        self._pieces.append(text)
        self._length += len(text)

    def quote(self, text: str, *, field: str | None = None) -> None:
        """Add what a request says; `field` is where a message says it, if the model could go on with it."""
        start = self._length
        self.write(text)
        if field is not None:
            self._ends[field] = self._length
        if not text:
            return
        if self.message_spans and self.message_spans[-1][1] == start:
            start = self.message_spans.pop()[0]
        self.message_spans.append((start, self._length))

    def begin_message(self) -> None:
        """From here on, another message speaks."""
        self._ends.clear()

    def end_assistant(self, start: int) -> None:
        """What was written since `start` is what the assistant says."""
        self.assistant_spans.append((start, self._length))

    def cut_after(self, field: str) -> None:
        """End the prompt where the last message ends its `field`, for the model to go on there.

        Raises:
            TemplateRenderError: The format doesn't show this field of this message.
        """
        if field not in self._ends:
            raise refusal(f"continue_final_message: the prompt doesn't show the {field!r} of the final message")
        end = self._ends[field]
        self._pieces, self._length = [self.text[:end]], end
        self.message_spans = _cut(self.message_spans, end)
        self.assistant_spans = _cut(self.assistant_spans, end)


def _cut(spans: Sequence[Span], end: int) -> list[Span]:
    return [(start, min(stop, end)) for start, stop in spans if start < end]
