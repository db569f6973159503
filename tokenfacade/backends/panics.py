"""How the libraries that are written in Rust fail."""

from __future__ import annotations


def is_failure(error: BaseException) -> bool:
    """Whether a library couldn't: its panics are no `Exception`, and their class can't be imported.

    Example:
        >>> is_failure(ValueError()), is_failure(KeyboardInterrupt())
        (True, False)
    """
    return isinstance(error, Exception) or type(error).__name__ == "PanicException"
