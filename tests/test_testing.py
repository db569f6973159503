"""The published suite itself: a right tokenizer passes, and each law finds the tokenizers that break it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from hypothesis import Phase, settings

from tests.broken_streams import STOPS, STREAMS, BrokenStops, BrokenStream, with_stops, with_stream
from tests.broken_tokenizers import TOKENIZERS, CountsOneTooMany
from tests.data import ROOT
from tests.small import small_tokenizer
from tokenfacade import MockTokenizer
from tokenfacade.testing import EncodingLaws, LawBroken, TokenizerLaws, check_laws, laws_of

if TYPE_CHECKING:
    from tokenfacade import Tokenizer


class MockLaws(TokenizerLaws):
    """The laws as a backend's author would set them, with a reference library."""

    def reference_ids(self, text: str, **flags: bool) -> list[int]:
        return MockTokenizer().encode(text, **flags).ids


LAWS = laws_of(MockLaws())


@contextmanager
def the_same_examples_each_time(count: int) -> Iterator[None]:
    """A mutant that is found once is found always, and needn't be found in its smallest form."""
    before = settings.get_current_profile_name()
    phases = [Phase.explicit, Phase.generate]
    settings.register_profile("mutants", max_examples=count, derandomize=True, database=None, phases=phases)
    settings.load_profile("mutants")
    try:
        yield
    finally:
        settings.load_profile(before)


def test_a_right_tokenizer_obeys_them_all() -> None:
    check_laws(MockTokenizer(), MockLaws())


def broken_law(law: str, tokenizer: Tokenizer) -> str:
    """What the law says of a tokenizer that breaks it."""
    with pytest.raises(LawBroken) as caught, the_same_examples_each_time(300):
        LAWS[law](tokenizer)
    return str(caught.value)


@pytest.mark.parametrize(("broken", "law"), STREAMS.items())
def test_a_broken_stream_is_found(broken: type[BrokenStream], law: str) -> None:
    assert broken_law(law, with_stream(broken))


@pytest.mark.parametrize(("broken", "law"), STOPS.items())
def test_a_broken_stop_decoder_is_found(broken: type[BrokenStops], law: str) -> None:
    assert broken_law(law, with_stops(broken))


@pytest.mark.parametrize(("broken", "law"), TOKENIZERS.items())
def test_a_broken_tokenizer_is_found(broken: type[MockTokenizer], law: str) -> None:
    assert broken_law(law, broken())


def test_every_law_finds_something_and_says_what_it_asks_for() -> None:
    assert set(LAWS) == {*STREAMS.values(), *STOPS.values(), *TOKENIZERS.values()}
    for name, law in LAWS.items():
        assert law.__doc__, name


def test_what_is_broken_is_told_with_the_law() -> None:
    with pytest.raises(LawBroken, match=r"count_tokens\(.* gives \d+; the law asks for \d+") as caught:
        check_laws(CountsOneTooMany(), EncodingLaws())
    if sys.version_info >= (3, 11):
        assert "a batch gives what single texts give" in "".join(caught.value.__notes__)


def test_laws_adapt_to_what_a_tokenizer_says_of_itself() -> None:
    class Lossy(TokenizerLaws):
        round_trip = "lossy"
        largest_pickle = None

    with the_same_examples_each_time(5):
        check_laws(small_tokenizer("windowed_suffix"), Lossy())
    with pytest.raises(LawBroken):
        TokenizerLaws().test_decoding_gives_back_the_text(small_tokenizer("word_piece"))
    with pytest.raises(LawBroken):
        TokenizerLaws().test_it_pickles_and_stays_itself(small_tokenizer("word_piece"))


def run(code: str) -> str:
    """The output of a fresh process."""
    return subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    ).stdout


def test_it_needs_no_pytest() -> None:
    code = """
import sys
sys.modules["pytest"] = None
from tokenfacade import MockTokenizer
from tokenfacade.testing import TokenizerLaws, check_laws
TokenizerLaws().test_single_steps_equal_one_batch(MockTokenizer())
print("fine")
"""
    assert run(code) == "fine\n"


def test_it_says_what_is_missing_without_hypothesis() -> None:
    code = """
import sys
sys.modules["hypothesis"] = None
from tokenfacade import MissingDependencyError
try:
    import tokenfacade.testing
except MissingDependencyError as error:
    print(error.extra, error)
"""
    assert run(code) == 'testing tokenfacade.testing needs Hypothesis: pip install "tokenfacade[testing]"\n'
