"""The conformance suite: the laws of tokenfacade, for people who write backends.

It needs Hypothesis (``pip install "tokenfacade[testing]"``), and any test runner. With pytest::

    @pytest.fixture(scope="module")
    def tokenizer():
        return MyTokenizer("vocabulary.txt")

    class TestMyTokenizer(TokenizerLaws):
        pass

Without, `check_laws` runs them all. The modules `tokenfacade.testing.strategies` (what Hypothesis draws from) and
`tokenfacade.testing.oracles` (the answers, worked out the slow way) are for tests of your own.
"""

from __future__ import annotations

from tokenfacade.errors import MissingDependencyError

try:
    import hypothesis as _hypothesis  # noqa: F401
except ImportError as error:
    raise MissingDependencyError(
        'tokenfacade.testing needs Hypothesis: pip install "tokenfacade[testing]"', extra="testing"
    ) from error

from tokenfacade.testing.asynchronous import AsyncLaws as AsyncLaws
from tokenfacade.testing.checks import LawBroken as LawBroken
from tokenfacade.testing.encoding import EncodingLaws as EncodingLaws
from tokenfacade.testing.identity import IdentityLaws as IdentityLaws
from tokenfacade.testing.laws import TokenizerLaws as TokenizerLaws
from tokenfacade.testing.laws import check_laws as check_laws
from tokenfacade.testing.laws import laws_of as laws_of
from tokenfacade.testing.stopping import StoppingLaws as StoppingLaws
from tokenfacade.testing.streaming import StreamingLaws as StreamingLaws
from tokenfacade.testing.vocabulary import VocabularyLaws as VocabularyLaws

__all__ = [
    "AsyncLaws",
    "EncodingLaws",
    "IdentityLaws",
    "LawBroken",
    "StoppingLaws",
    "StreamingLaws",
    "TokenizerLaws",
    "VocabularyLaws",
    "check_laws",
    "laws_of",
]
