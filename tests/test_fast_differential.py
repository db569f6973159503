"""The accelerated engine against the references: every known difference, all characters, random texts, and tokenizers
beyond its gate."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

import pytest
import tiktoken
from hypothesis import given
from hypothesis import strategies as st

from tests.fast_cases import (
    ELIGIBLE,
    INSIDE,
    OUTSIDE,
    REAL_ELIGIBLE,
    REAL_INELIGIBLE,
    accelerator_of,
    compared,
    fast_ids,
    is_caught,
    plan_of,
    trained_ranks,
)
from tests.rank_files import PATTERN, SPECIAL
from tests.real import REAL_NAMES, real_tokenizer
from tests.strategies import texts
from tokenfacade import HuggingFaceTokenizer
from tokenfacade.backends.fast_probe import CHARACTERS, SPACES, WORDS, difference, is_guarded, probe_texts
from tokenfacade.backends.tiktoken_families import FAMILIES
from tokenfacade.backends.tiktoken_fast import TiktokenPlan
from tokenfacade.encoding import mend_surrogates as mended

if TYPE_CHECKING:
    from tokenfacade.backends.fast import FastTokenizer, Plan

FLAGS = [
    {"add_special_tokens": added, "parse_special_tokens": parsed} for added, parsed in product((False, True), repeat=2)
]
PLAIN = {"add_special_tokens": False, "parse_special_tokens": True}
real_data = pytest.mark.skipif(not REAL_NAMES, reason="the test data is not here; .ci/run insists on it")


@pytest.fixture(params=ELIGIBLE, scope="module")
def pair(request: pytest.FixtureRequest) -> tuple[Plan, FastTokenizer]:
    """A reference and the engine: small tokenizers, and every real one that is eligible."""
    return compared(request.param)


def check(pair: tuple[Plan, FastTokenizer], text: str) -> None:
    """The engine gives the ids of the reference with any flags, or is never asked."""
    plan, fast = pair
    if is_guarded(text):
        return
    for flags in FLAGS:
        assert fast_ids(fast, text, **flags) == plan.reference_ids(text, **flags)


@real_data
@pytest.mark.parametrize("name", REAL_ELIGIBLE)
def test_these_models_are_accelerated(name: str) -> None:
    accelerator = accelerator_of(name)
    assert (accelerator.wait(60), accelerator.engine.reason) == (
        "fast",
        "the fast engine gave the ids of the reference for every text of the probe",
    )


@real_data
@pytest.mark.parametrize("name", REAL_INELIGIBLE)
def test_these_models_are_not_and_the_reason_says_why(name: str) -> None:
    engine = accelerator_of(name).wait(60)
    assert engine == "reference"
    assert REAL_INELIGIBLE[name] in engine.reason


@pytest.mark.parametrize("name", INSIDE)
def test_the_gate_lets_these_through(name: str) -> None:
    assert HuggingFaceTokenizer(INSIDE[name](), engine="fast").engine == "fast"


@pytest.mark.parametrize("name", OUTSIDE)
def test_the_gate_refuses_what_is_just_beyond_it(name: str) -> None:
    case = OUTSIDE[name]
    assert case.reason in (plan_of(case.make()).objection() or "")


@pytest.mark.parametrize("name", [name for name, case in OUTSIDE.items() if case.differs])
def test_without_the_gate_the_probe_sees_most_of_it(name: str) -> None:
    assert is_caught(plan_of(OUTSIDE[name].make()))


def test_the_probe_has_about_a_thousand_texts() -> None:
    assert 900 < len(list(probe_texts([]))) < 1100
    assert 1200 < len(list(probe_texts([f"<|{number}|>" for number in range(300)]))) < 1500


KNOWN_DIFFERENCES = [
    *(
        " I'ſ",
        "I'ſ",
        "ſ",
        "'ſ's",
        "  \u180e",
        "x \u180e y",
        "foo<f11010>",
        "<0xE4>",
        "<0x41>",
        "<0x",
        "\n<s>\n",
        "\n\n \n",
    ),
    *("\u0903\u093f", "क्\u200dष", "\x85", "\u2028\u2029", "x\n  ", "x\n  <|endoftext|>", "\ufeff", "e\u0301\u0323"),
]


def test_the_known_differences(pair: tuple[Plan, FastTokenizer]) -> None:
    for text in (*KNOWN_DIFFERENCES, *(f"a{text}b" for text in KNOWN_DIFFERENCES)):
        check(pair, text)


@pytest.mark.parametrize("unit", ["\n", " ", "\t\n", "a", "é", "世", "!", "'s", "\u0301", "x\n ", "1", "<s>"])
def test_long_runs(pair: tuple[Plan, FastTokenizer], unit: str) -> None:
    plan, fast = pair
    text = unit * (10_000 // len(unit))
    try:
        ids = fast_ids(fast, text, **PLAIN)
    except Exception:
        return  # a limit of its regexes: such a text goes to the reference
    assert ids == plan.reference_ids(text, **PLAIN)


BLOCK = 512


def test_every_character(pair: tuple[Plan, FastTokenizer]) -> None:
    plan, fast = pair
    for start in range(0, 0x110000, BLOCK):
        characters = map(chr, range(start, start + BLOCK))
        known = [c for c in characters if not 0xD800 <= ord(c) < 0xE000 and not is_guarded(c)]
        text = "a".join(known)
        assert fast_ids(fast, text, **PLAIN) == plan.reference_ids(text, **PLAIN), hex(start)


@given(text=texts)
def test_random_texts(pair: tuple[Plan, FastTokenizer], text: str) -> None:
    check(pair, mended(text))


@given(data=st.data())
def test_random_texts_of_hard_parts(pair: tuple[Plan, FastTokenizer], data: st.DataObject) -> None:
    parts = st.sampled_from([*CHARACTERS, *WORDS, *SPACES, *pair[0].added_tokens()])
    cut = st.tuples(parts, st.integers(0, 4)).map(lambda cut: cut[0][cut[1] :])
    check(pair, "".join(data.draw(st.lists(parts | cut, max_size=10))))


@real_data
@pytest.mark.parametrize("name", REAL_ELIGIBLE)
@given(text=texts)
def test_tokenizers_give_the_ids_of_the_reference(name: str, text: str) -> None:
    """With guard and fallback, as a user calls it; any `str`."""
    tokenizer, accelerator = real_tokenizer(name), accelerator_of(name)
    assert accelerator.wait(60) == "fast"
    for parsed in (True, False):
        flags = {"add_special_tokens": False, "parse_special_tokens": parsed}
        expected = accelerator._plan.reference_ids(mended(text), **flags)
        assert tokenizer.encode(text, **flags).ids == expected
        assert tokenizer.count_tokens(text, **flags) == len(expected)
        assert tokenizer.encode_batch([text, "x", text], **flags)[::2] == [tokenizer.encode(text, **flags)] * 2


def _encoding(pattern: str, **changes: object) -> tiktoken.Encoding:
    options = {"mergeable_ranks": dict(trained_ranks()), "special_tokens": dict(SPECIAL), **changes}
    return tiktoken.Encoding("small", pat_str=pattern, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("family", FAMILIES)
def test_the_patterns_of_all_families_over_small_ranks(family: str) -> None:
    plan = TiktokenPlan(_encoding(FAMILIES[family].pattern))
    assert plan.objection() is None
    assert difference(plan, plan.build(), lambda: True) is None


def test_a_pattern_that_the_engine_has_under_a_name_is_used_only_where_it_is_equal() -> None:
    ranks = trained_ranks()
    crossing = {**ranks, b"\n ": len(ranks), b"\n  ": len(ranks) + 1}
    plan = TiktokenPlan(_encoding(PATTERN, mergeable_ranks=crossing, special_tokens={}))
    fast = plan.build()
    for text in ("x\n  ", "x\n ", "\n  \n  ", "x\n  y"):
        assert fast_ids(fast, text, **PLAIN) == plan.reference_ids(text, **PLAIN)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"mergeable_ranks": {**trained_ranks(), b"zz": len(trained_ranks()) + 1}}, "ranks have gaps"),
        ({"special_tokens": {"<|a": 400, "<|a|>": 401}}, "begins with another"),
    ],
)
def test_encodings_beyond_the_gate(changes: dict[str, object], reason: str) -> None:
    assert reason in (TiktokenPlan(_encoding(PATTERN, **changes)).objection() or "")


def test_an_unknown_pattern_is_refused() -> None:
    assert "pattern is none of the known" in (TiktokenPlan(_encoding(PATTERN + "|x")).objection() or "")
