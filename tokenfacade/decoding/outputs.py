"""What a `StopSequenceDecoder` says after each token."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Text:
    """Text that can go to the client now."""

    text: str


@dataclass(frozen=True, slots=True)
class StoppedWithText:
    """A stop was reached, and this is the last text before it (with it, if it is visible)."""

    text: str


class Held:
    """Nothing can be given out yet, or the token has no text. There is one such object: ``Held() is Held()``."""

    __slots__ = ()

    text = ""
    _shared: Held

    def __new__(cls) -> Held:
        return cls._shared

    def __reduce__(self) -> tuple[type[Held], tuple[()]]:
        return Held, ()

    def __repr__(self) -> str:
        return "Held()"


class Stopped:
    """A stop was reached, now or earlier, and there is no more text. There is one such object: ``Stopped() is
    Stopped()``."""

    __slots__ = ()

    text = ""
    _shared: Stopped

    def __new__(cls) -> Stopped:
        return cls._shared

    def __reduce__(self) -> tuple[type[Stopped], tuple[()]]:
        return Stopped, ()

    def __repr__(self) -> str:
        return "Stopped()"


Held._shared = object.__new__(Held)
Stopped._shared = object.__new__(Stopped)

SequenceDecoderOutput = Text | Held | Stopped | StoppedWithText
"""One of the four; each has `text`, which is ``""`` where there is none.

Example:
    >>> from tokenfacade import Held, Stopped, StoppedWithText, Text
    >>> def send(output: SequenceDecoderOutput) -> str:
    ...     match output:
    ...         case Text(text) | StoppedWithText(text):
    ...             return text
    ...         case Held() | Stopped():
    ...             return ""
    >>> send(Text("hello"))
    'hello'
"""


def text_or_held(text: str) -> Text | Held:
    """The output for text that may be empty."""
    return Text(text) if text else Held()


def stopped(text: str) -> StoppedWithText | Stopped:
    """The output for a stop, with the last text if there is any."""
    return StoppedWithText(text) if text else Stopped()
