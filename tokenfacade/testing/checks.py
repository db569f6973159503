"""How laws are checked: without `assert`, which ``python -O`` drops, and with messages that need no test runner."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from hypothesis import HealthCheck, given, settings

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

Result = TypeVar("Result")
Raised = TypeVar("Raised", bound=Exception)

MOST_SHOWN = 400
"""Characters of a value that a message shows."""


class LawBroken(AssertionError):
    """A tokenizer breaks a law; the message says what was asked, what it gave and what the law asks for."""


def require(holds: object, what: str) -> None:
    """Raise `LawBroken` unless something holds; `what` says what should."""
    if not holds:
        raise LawBroken(f"this should be so: {what}")


def equal(actual: object, expected: object, what: str) -> None:
    """Raise `LawBroken` unless what a tokenizer gave is what the law asks for."""
    if actual != expected:
        raise LawBroken(f"{what} gives {shown(actual)}; the law asks for {shown(expected)}")


def works(call: Callable[[], Result], what: str) -> Result:
    """The result of a call that may not fail."""
    try:
        return call()
    except Exception as error:
        raise LawBroken(f"{what} raises {type(error).__name__}: {error}") from error


def refuses(expected: type[Raised], call: Callable[[], object], what: str) -> Raised:
    """The error of a call that must raise one of this type, and no other."""
    try:
        result = call()
    except expected as error:
        return error
    except Exception as error:
        raise LawBroken(f"{what} raises {error!r}; the law asks for {expected.__name__}") from error
    raise LawBroken(f"{what} gives {shown(result)}; the law asks for {expected.__name__}")


def shown(value: object) -> str:
    """A value as a message can hold it."""
    text = repr(value)
    return text if len(text) <= MOST_SHOWN else f"{text[: MOST_SHOWN - 1]}…"


def for_all(*strategies: SearchStrategy[Any]) -> Callable[[Callable[..., None]], Callable[[], None]]:
    """Hypothesis's `given` for a law: as many examples as the profile in force says, each for as long as it takes.

    Laws run on slow tokenizers too, and stop at their first failure, which is shown in its smallest form.

    Example:
        >>> from hypothesis import strategies as st
        >>> @for_all(st.text())
        ... def law(text: str) -> None:
        ...     equal(text[::-1][::-1], text, "reversing twice")
        >>> law()
    """
    lenient = settings(
        deadline=None,
        report_multiple_bugs=False,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    return lambda law: lenient(given(*strategies)(law))
