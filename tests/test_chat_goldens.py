"""Golden prompts of transformers: every chat of the test data, through templates and through tokenizers."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.data import DATA, HAS_DATA
from tests.real import real_tokenizer
from tokenfacade import ChatTemplate
from tokenfacade.errors import ChatTemplateError, ConfigurationError, TemplateRenderError

pytestmark = pytest.mark.skipif(not HAS_DATA, reason="the test data is not here; .ci/run insists on it")

GOLDENS = sorted((DATA / "goldens" / "chat").glob("*.json"))
MODEL_GOLDENS = sorted((DATA / "goldens" / "chat_model").glob("*.json"))
REASONS = {
    "TemplateError": {"raised"},
    "UndefinedError": {"undefined"},
    "SecurityError": {"forbidden"},
    "ValueError": {"configuration", "content", "other"},
    "TypeError": {"configuration", "content", "other"},
}
"""The classes of errors in the goldens, and what we may call them."""


def _options(record: dict[str, Any]) -> dict[str, Any]:
    names = ("tools", "documents", "add_generation_prompt", "continue_final_message")
    return {name: record[name] for name in names}


def _template_of(golden: Path, record: dict[str, Any]) -> ChatTemplate:
    text = (DATA / "chat_templates" / f"{golden.stem}.jinja").read_text(encoding="utf-8")
    frozen = record.get("frozen_now")
    return ChatTemplate(text, clock=None if frozen is None else lambda: datetime.fromisoformat(frozen))


def _reason(error: Exception) -> str:
    return error.reason if isinstance(error, TemplateRenderError) else "configuration"


@pytest.mark.parametrize("golden", GOLDENS, ids=lambda path: path.stem)
def test_every_prompt_and_every_error_equals_the_reference(golden: Path) -> None:
    records = json.loads(golden.read_text(encoding="utf-8"))
    for record in records:
        template = _template_of(golden, record)
        if record["error"] is None:
            assert template.render(record["messages"], **_options(record), **record["kwargs"]) == record["expected"]
            continue
        with pytest.raises((ChatTemplateError, ConfigurationError)) as caught:
            template.render(record["messages"], **_options(record), **record["kwargs"])
        assert _reason(caught.value) in REASONS[record["error"]], record["name"]
        if record["error"] == "TemplateError":
            assert record["error_message"] in str(caught.value)
    assert len(records) >= 30


@pytest.mark.parametrize("golden", GOLDENS, ids=lambda path: path.stem)
def test_tracing_changes_no_prompt_and_finds_what_the_assistant_said(golden: Path) -> None:
    for record in json.loads(golden.read_text(encoding="utf-8"))[
        :: 1 if "assistant_spans" in golden.read_text() else 4
    ]:
        if record["error"] is not None:
            continue
        rendered = _template_of(golden, record).render_traced(
            record["messages"], **_options(record), **record["kwargs"]
        )
        assert rendered.text == record["expected"], record["name"]
        if "assistant_spans" in record:
            assert [list(span) for span in rendered.assistant_spans] == record["assistant_spans"], record["name"]


@pytest.mark.parametrize("golden", MODEL_GOLDENS, ids=lambda path: path.stem)
def test_a_tokenizer_renders_as_the_reference_does_with_its_own_template(golden: Path) -> None:
    tokenizer = real_tokenizer(golden.stem)
    records = json.loads(golden.read_text(encoding="utf-8"))
    for record in records:
        given = {**_options(record), "chat_template_kwargs": record["kwargs"]}
        if record["error"] is None:
            prompt = tokenizer.apply_chat_template(record["messages"], content="exact", **given)
            assert prompt == record["expected"], record["name"]
        else:
            with pytest.raises((ChatTemplateError, ConfigurationError)):
                tokenizer.apply_chat_template(record["messages"], content="exact", **given)
    assert len(records) >= 30


def test_all_goldens_are_here() -> None:
    assert (len(GOLDENS), len(MODEL_GOLDENS)) == (72, 3)
    assert sum(len(json.loads(golden.read_text(encoding="utf-8"))) for golden in GOLDENS) == 3160
    assert {golden.stem for golden in GOLDENS} == {path.stem for path in (DATA / "chat_templates").glob("*.jinja")}
