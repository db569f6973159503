"""Law: what `ChatTemplate` renders is byte for byte what transformers renders, or fails where that fails."""

from __future__ import annotations

import copy
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.chat_reference import (
    ANY_MESSAGES,
    MOMENT,
    Outcome,
    our_chat,
    our_template,
    reference_chat,
    reference_template,
)
from tests.chat_strategies import TEMPLATES, continued_requests, requests, template_texts
from tests.data import HAS_DATA
from tests.template_strategies import VARIABLES, small_templates
from tokenfacade import ChatTemplate

Request = tuple[list[dict[str, Any]], dict[str, Any]]

MANY = settings(max_examples=max(100, settings.default.max_examples))  # type: ignore[union-attr]

needs_data = pytest.mark.skipif(not HAS_DATA, reason="the test data is not here; .ci/run insists on it")


def _snapshot(value: Any) -> str:
    """Equal exactly when everything in it is, types and order too."""
    return repr(value)


@needs_data
@MANY
@given(st.data(), requests())
def test_a_chat_is_rendered_as_by_the_reference(data: st.DataObject, request: Request) -> None:
    template = data.draw(template_texts)
    messages, arguments = request
    before = _snapshot(request)
    ours = our_chat(template, messages, **arguments)
    assert _snapshot(request) == before, "the caller's objects were changed"
    assert ours == our_chat(template, messages, **arguments), "not the same twice"
    assert ours == reference_chat(template, copy.deepcopy(messages), **arguments)


@needs_data
@MANY
@given(st.data(), continued_requests())
def test_a_message_is_left_open_as_by_the_reference(data: st.DataObject, request: Request) -> None:
    template = data.draw(template_texts)
    messages, arguments = request
    before = _snapshot(request)
    ours = our_chat(template, messages, **arguments)
    assert _snapshot(request) == before, "the caller's objects were changed"
    assert ours == reference_chat(template, copy.deepcopy(messages), **arguments)


@needs_data
@settings(max_examples=10)
@given(st.lists(requests(), min_size=8, max_size=8))
def test_threads_that_share_templates_render_as_one_alone(chats: list[Request]) -> None:
    texts = [path.read_text(encoding="utf-8") for path in TEMPLATES[::9]]
    jobs = [(text, messages, arguments) for text in texts for messages, arguments in chats]

    def run(job: tuple[str, list[dict[str, Any]], dict[str, Any]]) -> Outcome:
        return our_chat(job[0], job[1], **job[2])

    alone = [run(job) for job in jobs]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(run, jobs)) == alone


def features(kind: str) -> list[str]:
    """Templates for each feature of Jinja: those that render with the first of the variables, or those that fail."""
    text = Path(__file__).parent.with_name("template_features.txt").read_text(encoding="utf-8")
    sections = dict(section.split("\n", 1) for section in text.split("=== ")[1:])
    return [line.replace("⏎", "\n") for line in sections[kind].splitlines()]


def both(template: str, variables: dict[str, Any]) -> tuple[Outcome, Outcome]:
    return our_template(template, variables), reference_template(template, {**ANY_MESSAGES, **variables})


def _compared(outcome: Outcome) -> Outcome:
    return outcome[0], re.sub("0x[0-9a-f]+", "0x", outcome[1])


@pytest.mark.parametrize("template", features("renders"))
def test_a_feature_renders_as_by_the_reference(template: str) -> None:
    ours, theirs = both(template, VARIABLES[0])
    assert ours[0] == "text"
    assert _compared(ours) == _compared(theirs)
    for variables in VARIABLES[1:]:
        ours, theirs = both(template, variables)
        assert _compared(ours) == _compared(theirs)


@pytest.mark.parametrize("template", features("fails"))
def test_a_feature_fails_where_the_reference_does(template: str) -> None:
    ours, theirs = both(template, VARIABLES[0])
    assert ours[0] == "error"
    assert ours == theirs


CONSTANT_SLICE = re.compile(r"(\d|true|false|none|\}|\))\[[^\]]*:", re.IGNORECASE)
"""Slices of constants that have none: the reference's compiler finds them undefined in some places, where running them
fails."""


@settings(max_examples=max(300, settings.default.max_examples))  # type: ignore[union-attr]
@given(small_templates, st.sampled_from(VARIABLES))
def test_a_random_template_is_rendered_as_by_the_reference(template: str, variables: dict[str, Any]) -> None:
    assume(not CONSTANT_SLICE.search(template))
    ours, theirs = both(template, variables)
    if "error" in (ours[0], theirs[0]):
        # Which of two errors comes first may differ: arguments are computed before the method is looked up.
        assert ours[0] == theirs[0]
    else:
        assert _compared(ours) == _compared(theirs)


@pytest.mark.parametrize("template", features("renders"))
def test_tracing_changes_no_text_of_a_feature(template: str) -> None:
    outcome = our_template(template, VARIABLES[0])
    traced = ChatTemplate(template, clock=lambda: MOMENT).render_traced(ANY_MESSAGES["messages"], **VARIABLES[0])
    assert _compared(("text", traced.text)) == _compared(outcome)


@given(small_templates, st.sampled_from(VARIABLES))
@settings(max_examples=30)
def test_tracing_changes_no_text_of_a_random_template(template: str, variables: dict[str, Any]) -> None:
    outcome = our_template(template, variables)
    if outcome[0] == "text":
        traced = ChatTemplate(template).render_traced(ANY_MESSAGES["messages"], **variables)
        assert _compared(("text", traced.text)) == _compared(outcome)
