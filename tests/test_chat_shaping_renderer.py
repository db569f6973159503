"""Shaping where rendering fails: absent contents, and whose fault a failure is."""

from __future__ import annotations

from typing import Any

import pytest

from tests.data import DATA, HAS_DATA
from tokenfacade import MockTokenizer, TemplateRenderError

CALL = {"id": "123456789", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Bern"}'}}
CONVERSATION: list[dict[str, Any]] = [
    {"role": "user", "content": "How is it?"},
    {"role": "assistant", "content": None, "tool_calls": [CALL]},
    {"role": "tool", "tool_call_id": "123456789", "content": "rain"},
]
NEEDS_CONTENT = "{% for m in messages %}{{ m.role + ':' + m.content }}{{ m.tool_calls | length }};{% endfor %}"
READS_ABSENCE = "{% for m in messages %}{{ 'none' if m.content is undefined else m.content }};{% endfor %}"


def tokenizer(template: str) -> MockTokenizer:
    return MockTokenizer(chat_template=template)


def test_a_call_without_content_gets_an_empty_one_where_the_template_fails_without() -> None:
    prompt = tokenizer(NEEDS_CONTENT).apply_chat_template(CONVERSATION)
    assert prompt == "user:How is it?0;assistant:1;tool:rain0;"
    assert CONVERSATION[1]["content"] is None
    encoding = tokenizer(NEEDS_CONTENT).encode_chat(CONVERSATION, content_policy="text")
    assert encoding.text == prompt


def test_an_absent_content_stays_absent_where_the_template_can_do_without() -> None:
    assert tokenizer(READS_ABSENCE).apply_chat_template(CONVERSATION) == "How is it?;none;rain;"


def test_exact_messages_fail_as_in_the_reference() -> None:
    with pytest.raises(TemplateRenderError) as caught:
        tokenizer(NEEDS_CONTENT).apply_chat_template(CONVERSATION, content="exact")
    assert caught.value.reason == "undefined"


@pytest.mark.parametrize(
    ("message", "told"),
    [
        ({"content": "no role"}, "message 1 has no role"),
        ({"role": 3, "content": "x"}, "message 1 has no role"),
        ({"role": "user", "content": 5}, "message 1 has no content"),
        ({"role": "user", "content": "x", "tool_calls": "x"}, "message 1 has tool_calls"),
        ({"role": "user", "content": "x", "tool_calls": [{}]}, "message 1 has tool_calls"),
    ],
)
def test_a_failure_on_an_unusual_message_is_the_fault_of_the_client(message: dict[str, Any], told: str) -> None:
    template = NEEDS_CONTENT.replace(
        "m.tool_calls | length", "m.tool_calls[0].function.name.x.y if m.tool_calls else 0"
    )
    with pytest.raises(TemplateRenderError, match=told) as caught:
        tokenizer(template).apply_chat_template([{"role": "user", "content": "Hi"}, message])
    assert caught.value.reason == "content"


def test_a_failure_of_the_template_alone_keeps_its_reason() -> None:
    with pytest.raises(TemplateRenderError) as caught:
        tokenizer("{{ messages[0].content }}{{ absent.field }}").apply_chat_template(CONVERSATION)
    assert caught.value.reason == "undefined"


def test_what_the_template_itself_refuses_is_not_tried_again() -> None:
    template = "{{ raise_exception('no tools') if messages[1].tool_calls }}"
    with pytest.raises(TemplateRenderError, match="no tools") as caught:
        tokenizer(template).apply_chat_template(CONVERSATION)
    assert caught.value.reason == "raised"


@pytest.mark.skipif(not HAS_DATA, reason="needs the test data")
@pytest.mark.parametrize(
    "name",
    ["llamacpp-Qwen-Qwen3-0.6B", "llamacpp-Qwen-QwQ-32B", "llamacpp-ibm-granite-granite-3.3-2B-Instruct"],
)
def test_real_templates_take_what_clients_send_with_tool_calls(name: str) -> None:
    made = MockTokenizer(chat_template=DATA / "chat_templates" / f"{name}.jinja")
    absent = made.apply_chat_template(CONVERSATION)
    empty = [{**message, "content": message["content"] or ""} for message in CONVERSATION]
    assert absent == made.apply_chat_template(empty)
