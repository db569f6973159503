"""All laws in one class, and a way to run them without a test runner."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING

from tokenfacade.testing.asynchronous import AsyncLaws
from tokenfacade.testing.encoding import EncodingLaws
from tokenfacade.testing.identity import IdentityLaws
from tokenfacade.testing.stopping import StoppingLaws
from tokenfacade.testing.streaming import StreamingLaws
from tokenfacade.testing.vocabulary import VocabularyLaws

if TYPE_CHECKING:
    from tokenfacade.protocols import Tokenizer


class TokenizerLaws(StreamingLaws, StoppingLaws, EncodingLaws, VocabularyLaws, IdentityLaws, AsyncLaws):
    """Every law that a tokenizer must obey, each a method that takes the tokenizer and raises `LawBroken`.

    For pytest, subclass it with a fixture `tokenizer`; its methods are then tests. Laws adapt to what a tokenizer says
    of itself (has it `pieces`, tokens for bytes, special tokens?). What it can't say, the class attributes
    `round_trip` and `largest_pickle` and the method `reference_ids` do.

    The classes that it is made of can be used alone: `StreamingLaws`, `StoppingLaws`, `EncodingLaws`, `VocabularyLaws`,
    `IdentityLaws` and `AsyncLaws`. Hypothesis decides how many examples are tried: raise ``max_examples`` in a profile
    of yours for a thorough run.

    Example:
        >>> from tokenfacade import MockTokenizer
        >>> TokenizerLaws().test_a_prompt_alone_gives_nothing(MockTokenizer())
        >>> class TestMyTokenizer(TokenizerLaws):
        ...     round_trip = "lossy"  # it lower-cases
    """


def laws_of(laws: object) -> dict[str, Callable[[Tokenizer], None]]:
    """The laws of such a class by name, without ``test_``; the docstring of each states it.

    Example:
        >>> laws_of(TokenizerLaws())["a_prompt_alone_gives_nothing"].__doc__
        '**Context.** A stream that only has a prompt has nothing to flush.'
    """
    methods = inspect.getmembers(laws, inspect.ismethod)
    return {name.removeprefix("test_"): method for name, method in methods if name.startswith("test_")}


def check_laws(tokenizer: Tokenizer, laws: object | None = None) -> None:
    """Run all laws on a tokenizer, for those who don't use pytest; it takes some ten seconds.

    Args:
        tokenizer: The tokenizer.
        laws: An instance of `TokenizerLaws`, of a subclass, or of one of the classes that it is made of; by default all
            laws, as strict as they are.

    Raises:
        LawBroken: The tokenizer breaks one; the note on the error says which.
    """
    for name, law in laws_of(TokenizerLaws() if laws is None else laws).items():
        try:
            law(tokenizer)
        except Exception as error:
            _add_note(error, f"This breaks the law {name!r}: {inspect.getdoc(law)}")
            raise


def _add_note(error: Exception, note: str) -> None:
    add_note = getattr(error, "add_note", None)  # from Python 3.11 on
    if add_note is not None:
        add_note(note)
