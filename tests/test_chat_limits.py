"""No template runs or grows for ever, and no ordinary conversation meets a limit."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
from collections import Counter
from typing import Any

import pytest

from tests.chat_attacks import MEMORY, SECONDS, attacks
from tests.data import DATA, HAS_DATA, ROOT
from tokenfacade import ChatTemplate, TemplateLimitError
from tokenfacade.chat.limits import Budget, TemplateLimits
from tokenfacade.errors import ChatTemplateError, ConfigurationError, TemplateSyntaxError

MESSAGES = [{"role": "user", "content": "Hi"}]
LITTLE = 5
"""Seconds of processor time, on a slow machine, that one call may take which nothing can interrupt."""
ENDS = {"limit", "syntax", "undefined", "other", "text"}
"""What an attack may come to: the harmless ones give a text. Not among them: out of memory, and killed."""

CHATML = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message.role + '\n' + message['content'] | trim + '<|im_end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
GATHERED = (
    "{% set ns = namespace(text='', list=[]) %}{% for message in messages %}"
    "{% set ns.list = ns.list + [message] %}{% set ns.text = ns.text + message.content + '\n' %}{% endfor %}"
    "{{ ns.list | length }}{{ ns.text }}"
)
TOOLS = (
    "{% macro describe(tool, level=1) %}{{ tool.function.name }}"
    "{% for name, value in tool.function.parameters.properties.items() %}"
    "{{ name ~ ': ' ~ value.type }}{% endfor %}{% endmacro %}{% set ns = namespace(text='') %}"
    "{% for tool in tools %}{% set ns.text = ns.text ~ (tool | tojson) ~ '\n' %}{{ describe(tool) }}{% endfor %}"
    "{{ ns.text }}{{ tools | tojson(indent=4) }}"
)


def test_every_attack_ends_soon_and_within_little_memory() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.chat_attacks"], cwd=ROOT, capture_output=True, text=True, check=True, timeout=300
    )
    outcomes: list[dict[str, Any]] = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(outcomes) == len(attacks())
    assert [outcome for outcome in outcomes if outcome["kind"] not in ENDS] == []
    assert [outcome for outcome in outcomes if outcome["seconds"] > SECONDS + LITTLE] == []
    assert [outcome for outcome in outcomes if outcome["bytes"] > 0.7 * MEMORY] == []
    assert Counter(outcome["kind"] for outcome in outcomes)["limit"] > 250


@pytest.mark.parametrize("template", [CHATML, GATHERED])
def test_a_long_message_meets_no_limit(template: str) -> None:
    text = "Grüße, 世界! " * 400_000
    assert text.strip() in ChatTemplate(template).render([{"role": "user", "content": text}])


@pytest.mark.parametrize("template", [CHATML, GATHERED])
def test_many_messages_meet_no_limit(template: str) -> None:
    messages = [{"role": ("user", "assistant")[at % 2], "content": f"message {at} " * 8} for at in range(10_000)]
    assert "message 9999 message 9999" in ChatTemplate(template).render(messages)


def test_many_tools_meet_no_limit() -> None:
    properties = {f"parameter_{at}": {"type": "string", "description": "what it is " * 8} for at in range(8)}
    tools = [
        {
            "type": "function",
            "function": {"name": f"tool_{at}", "parameters": {"type": "object", "properties": properties}},
        }
        for at in range(1000)
    ]
    assert len(json.dumps(tools)) > 1_000_000
    assert ChatTemplate(TOOLS).render(MESSAGES, tools=tools).count('"tool_999"') == 2


@pytest.mark.skipif(not HAS_DATA, reason="the test data is not here; .ci/run insists on it")
def test_real_templates_take_long_conversations() -> None:
    long = [{"role": "user", "content": "hello wörld " * 100_000}]
    many = [{"role": ("user", "assistant")[at % 2], "content": "hello there"} for at in range(2001)]
    checked = 0
    for path in sorted((DATA / "chat_templates").glob("*.jinja")):
        template = ChatTemplate(
            path.read_text(encoding="utf-8"), special_tokens={"bos_token": "<s>", "eos_token": "</s>"}
        )
        try:
            if template.content_format == "openai" or "x" not in template.render([{"role": "user", "content": "x"}]):
                continue
        except ChatTemplateError:
            continue
        for messages in (long, many):
            assert "hello" in template.render(messages), path.name
        checked += 1
    assert checked >= 30


@pytest.mark.parametrize("size", [1, 99, 100])
def test_the_output_may_be_as_long_as_the_limit(size: int) -> None:
    template = ChatTemplate("{{ 'x' * n }}", limits=TemplateLimits(max_output=100))
    assert template.render(MESSAGES, n=size) == "x" * size


def test_an_output_that_is_longer_is_an_error_that_says_so() -> None:
    template = ChatTemplate(
        "{% for i in range(101) %}x{% endfor %}", limits=TemplateLimits(max_output=100), name="mine"
    )
    with pytest.raises(TemplateLimitError, match="more than 100 characters") as caught:
        template.render(MESSAGES)
    assert caught.value.template == "mine"


def test_a_deadline_holds_whatever_the_clock_says() -> None:
    template = ChatTemplate(
        "{% for i in range(100000) %}{% for j in range(100000) %}{{ [i] }}{% endfor %}{% endfor %}",
        limits=TemplateLimits(max_output=2**40, max_seconds=0.1),
    )
    start = time.process_time()
    with pytest.raises(TemplateLimitError, match=r"more than 0\.1 s|steps"):
        template.render(MESSAGES)
    assert time.process_time() - start < 0.1 + LITTLE


@pytest.mark.parametrize(
    "said",
    [
        "{% for c in m.content %}{{ c }}{% endfor %}",
        "{{ m.content|list|join }}",
        "{{ m.content|replace('a', 'x') }}",
        "{{ m.content|replace('', 'x') }}",
        "{{ m.content.split('a')|join('x') }}",
        "{{ m.content.replace('a', 'x').replace('b', 'y').split('x')|join('z') }}",
        "{{ m.content.replace('a', 'x').replace('b', 'y')[::-1] }}",
        "{{ ('<' ~ m.content ~ '>')|replace('a', 'xyz') }}",
    ],
)
def test_an_account_of_who_said_what_meets_the_same_limits(said: str) -> None:
    template = ChatTemplate("{% for m in messages %}" + said + "{% endfor %}", limits=TemplateLimits(max_seconds=0.1))
    start = time.thread_time()
    with contextlib.suppress(TemplateLimitError):
        template.render_traced([{"role": "user", "content": "ab" * 400_000}])
    assert time.thread_time() - start < 0.1 + LITTLE


def test_comparing_what_chats_hold_meets_no_limit() -> None:
    template = ChatTemplate(
        "{{ messages[-1] in messages }} {{ messages == messages|list }} {{ (messages|groupby('role'))|length }} "
        "{{ messages|map(attribute='content')|unique|list|length }} "
        "{{ messages|map(attribute='content')|sort|length }} "
        "{{ messages|list|count }} {{ (messages|map(attribute='id')|unique|list)|length }}"
    )
    messages = [
        {"role": ("user", "assistant")[at % 2], "content": f"{at} wörld " * 100, "id": at} for at in range(5_000)
    ]
    assert template.render(messages) == "True True 2 5000 5000 5000 5000"


def test_a_limit_is_of_one_rendering() -> None:
    template = ChatTemplate("{{ 'x' * 90 }}", limits=TemplateLimits(max_output=100))
    assert {template.render(MESSAGES) for _ in range(100)} == {"x" * 90}


@pytest.mark.parametrize("limits", [(0, 1.0), (-1, 1.0), (1, 0.0), (1, -2.0)])
def test_limits_are_positive(limits: tuple[int, float]) -> None:
    with pytest.raises(ConfigurationError, match="must be positive numbers"):
        TemplateLimits(*limits)


def test_a_template_may_be_long_but_not_endless() -> None:
    assert ChatTemplate("x" * 65_000).render(MESSAGES) == "x" * 65_000
    with pytest.raises(TemplateSyntaxError, match="more than 65536 characters"):
        ChatTemplate("x" * 1_000_000)


def test_what_a_namespace_gives_up_is_refunded_and_what_others_hold_is_not() -> None:
    loop = "{% for i in range(200) %}{% set ns.s = ns.s + 'x' * 1000 %}{% endfor %}"
    growing = "{% set ns = namespace(s='') %}" + loop + "{{ ns.s }}"
    limits = TemplateLimits(max_output=200_000)
    assert ChatTemplate(growing, limits=limits).render(MESSAGES) == "x" * 200_000
    keeping = growing.replace("{% endfor %}", "{% set ns.kept = [ns.kept, ns.s] %}{% endfor %}")
    with pytest.raises(TemplateLimitError, match="on the way"):
        ChatTemplate(keeping, limits=limits).render(MESSAGES)


@pytest.mark.parametrize(
    ("value", "size"),
    [
        ("x" * 50, 50),
        (["x" * 50, "y" * 50], 100),
        ({"k" * 50: ["v" * 50] * 9}, 500),
        ([{"a": "b"}.items()], 2),
        ((b"x" * 50,), 50),
        (None, 0),
    ],
)
def test_the_weight_of_a_text_is_at_least_what_it_says(value: object, size: int) -> None:
    weight = Budget(TemplateLimits()).weigh_text(value)
    assert size <= weight <= len(str(value)) + 10
