"""Hypothesis profiles, and the tokenizers that every law runs on."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from tests.data import DATA
from tests.real import REAL_NAMES, real_tokenizer
from tests.small import SMALL, small_tokenizer

if TYPE_CHECKING:
    from tokenfacade import Tokenizer

COMMON = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow, HealthCheck.function_scoped_fixture]}
settings.register_profile("default", max_examples=60, **COMMON)  # type: ignore[arg-type]
settings.register_profile("thorough", max_examples=2000, **COMMON)  # type: ignore[arg-type]
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


@pytest.fixture(scope="session", autouse=True)
def _offline() -> None:
    """No test may reach the network: the encodings of OpenAI come from the test data, the Hub from loopback servers."""
    os.environ["TIKTOKEN_CACHE_DIR"] = str(DATA / "tiktoken_cache")
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"


@pytest.fixture(params=[*SMALL, *REAL_NAMES])
def tokenizer(request: pytest.FixtureRequest) -> Tokenizer:
    """Every backend, and every way of decoding: small tokenizers of our own, and the real ones of the test data."""
    name: str = request.param
    return small_tokenizer(name) if name in SMALL else real_tokenizer(name)
