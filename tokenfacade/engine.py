"""Which engine encodes: the reference library of a format, or an accelerated one shown to give the same ids."""

from __future__ import annotations

from typing import Literal, get_args

from tokenfacade.errors import ConfigurationError

EngineChoice = Literal["auto", "reference", "fast"]
"""``"auto"``: accelerated where that is installed and proven equal; ``"reference"``: never; ``"fast"``: always, and an
error where it can't be."""

EngineName = Literal["reference", "fast"]


class Engine(str):
    """The engine that encodes, by name: ``"reference"`` or ``"fast"``; `reason` says why it is this one.

    Example:
        >>> engine = Engine("reference", reason="this backend has one engine")
        >>> engine == "reference", engine.reason
        (True, 'this backend has one engine')
    """

    __slots__ = ("reason",)

    reason: str

    def __new__(cls, name: EngineName, *, reason: str) -> Engine:
        engine = super().__new__(cls, name)
        engine.reason = reason
        return engine

    def __getnewargs_ex__(self) -> tuple[tuple[str], dict[str, str]]:
        return (str(self),), {"reason": self.reason}


def checked_choice(engine: EngineChoice) -> EngineChoice:
    """The choice; raises `ConfigurationError` for what is none.

    Example:
        >>> checked_choice("auto")
        'auto'
    """
    if engine not in get_args(EngineChoice):
        raise ConfigurationError(f'engine= takes "auto", "reference" or "fast", not {engine!r}')
    return engine
