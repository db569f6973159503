"""What `inspect_template` says about thinking, on small templates that switch it in the ways in which real ones do."""

from __future__ import annotations

import pytest

from tests import chat_observations as observed
from tokenfacade.chat.inspect import ThinkingToggle, inspect_template
from tokenfacade.chat.trial import thinking_tags

EACH = "{% for message in messages %}"
END = "{% endfor %}"
SHOWN = EACH + "<turn>{{ message.content }}" + END
PROMPT = SHOWN + "{% if add_generation_prompt %}<turn>"


@pytest.mark.parametrize(
    ("text", "toggle", "opens"),
    [
        (PROMPT + "{% if enable_thinking is defined and enable_thinking is false %}<think></think>{% endif %}", "", 0),
        (PROMPT + "{% if not enable_thinking|default(true) %}<think></think>{% endif %}", "", 0),
        (PROMPT + "{% if thinking is defined and not thinking %}<think></think>{% else %}<think>{% endif %}", "", 1),
        (PROMPT + "{% if thinking %}<think>{% else %}</think>{% endif %}", "off", 0),
        ("{% if not thinking is defined %}{% set thinking = false %}{% endif %}" + PROMPT
         + "{% if thinking %}<think>\n{% else %}</think>{% endif %}", "off", 0),
        ("{% set on = enable_thinking if enable_thinking is defined else true %}" + PROMPT
         + "{{ '<think>' if on else '<think></think>' }}", "", 1),
        ("{% if thinking %}Write your thoughts between <think> and </think>.{% endif %}" + PROMPT, "off", 0),
        ("{% if enable_thinking is false %}/no_think{% else %}/think{% endif %}" + PROMPT, "", 0),
        ("{{ 'detailed thinking ' + ('on' if enable_thinking else 'off') }}" + PROMPT, "off", 0),
        (PROMPT + "{% if disable_thinking %}<think></think>{% else %}<think>{% endif %}", "inverted", 1),
        (PROMPT + "{% if thinking is not false %}<|START_THINKING|>"
         + "{% else %}<|START_THINKING|><|END_THINKING|>{% endif %}", "", 1),
    ],
)  # fmt: skip
def test_toggles_are_found_in_every_spelling(text: str, toggle: str, opens: int) -> None:
    text += "{% endif %}" if "{% if add_generation_prompt %}" in text else ""
    traits = inspect_template(text)
    assert traits.thinking is not None
    assert traits.thinking == ThinkingToggle(
        traits.thinking.variable, toggle != "off", toggle != "inverted", toggle == "inverted"
    )
    assert traits.opens_thinking == bool(opens)
    assert thinking_tags.ends_open(observed.generation_prompt(text)) == bool(opens)


WORDS = (
    PROMPT + "{% if thinking_mode is defined and thinking_mode == 'disabled' %}</think>"
    "{% elif thinking_mode == 'adaptive' %}{% elif thinking_mode == 'enabled' %}<think>{% endif %}{% endif %}"
)


@pytest.mark.parametrize(
    ("text", "toggle"),
    [
        (WORDS, ThinkingToggle("thinking_mode", default=True, on="enabled", off="disabled")),
        (
            WORDS.replace("is defined and thinking_mode", "|default('disabled')"),
            ThinkingToggle("thinking_mode", default=False, on="enabled", off="disabled"),
        ),
        (
            PROMPT + "{% set mode = m|default('yes') %}{% if mode == 'yes' %}<think>{% elif mode == 'no' %}"
            "<think></think>{% endif %}{% endif %}",
            ThinkingToggle("m", default=True, on="yes", off="no"),
        ),
        (
            PROMPT + "{% if thinking_mode == 'on' %}<think>\n{% elif thinking_mode == 'off' %}<think>\n\n"
            "{% endif %}{% endif %}",
            ThinkingToggle("thinking_mode", default=False, on="on", off="off"),
        ),
    ],
)
def test_a_toggle_may_take_words(text: str, toggle: ThinkingToggle) -> None:
    assert inspect_template(text).thinking == toggle
    endings = {value: observed.generation_prompt(text, **{toggle.variable: value}) for value in (toggle.on, toggle.off)}
    assert endings[toggle.on] != endings[toggle.off]


@pytest.mark.parametrize(
    "text",
    [
        PROMPT + "{% if effort == 'none' %}</think>{% elif effort in ['low', 'high'] %}<think>{% endif %}{% endif %}",
        PROMPT + "{% if mode == 'on' %}quick{% elif mode == 'off' %}slow{% endif %}{% endif %}",
        PROMPT + "{% if thinking_mode == 'on' %}<think>{% endif %}{% endif %}",
        PROMPT + "{{ thinking_mode }}{% if thinking_mode == 'on' %}<think>{% elif thinking_mode == 'off' %}</think>"
        "{% endif %}{% endif %}",
    ],
)  # fmt: skip
def test_words_that_are_levels_or_about_something_else_are_no_toggles(text: str) -> None:
    assert inspect_template(text).thinking is None


@pytest.mark.parametrize(
    "text",
    [
        PROMPT + "<think>{% endif %}",
        "Reasoning: {{ reasoning_effort }}" + PROMPT + "{% endif %}",
        "{% if reasoning_effort == 'high' %}think hard{% elif reasoning_effort == 'low' %}be quick{% endif %}" + SHOWN,
        "{% if thinking_budget == 0 %}do not think{% elif thinking_budget is defined %}think{% endif %}" + SHOWN,
        "{% if citations %}<cite>{% endif %}" + SHOWN,
        EACH + "{% if keep and message.x %}<think>{{ message.x }}</think>{% endif %}{{ message.content }}" + END,
        EACH + "{% if message.thinking %}<think>{{ message.thinking }}</think>{% endif %}{{ message.content }}" + END,
    ],
)  # fmt: skip
def test_levels_fields_and_other_switches_are_no_toggles(text: str) -> None:
    assert inspect_template(text).thinking is None


@pytest.mark.parametrize(
    ("ending", "opens"),
    [
        *(
            ("<think>", True),
            ("<think>\n", True),
            ("<thinking>\nFirst, ", True),
            ("[THINK]", True),
            ("<seed:think>", True),
        ),
        *(
            ("◁think▷", True),
            ("<|START_THINKING|>", True),
            ("<|channel|>analysis<|message|>", True),
            ("<|think|>", True),
        ),
        *(("<think></think>", False), ("</think>", False), ("[THINK][/THINK]", False), ("<tool>", False), ("", False)),
        *(("<|START_THINKING|><|END_THINKING|>", False), ("◁think▷◁/think▷", False), ("<think><|im_end|>", False)),
        ("<|inner_prefix|><|inner_suffix|>", False),
    ],
)
def test_a_thinking_tag_is_open_at_the_end_until_it_is_closed(ending: str, opens: bool) -> None:  # noqa: FBT001
    text = PROMPT + "{{ '" + ending.replace("\n", "\\n") + "' }}{% endif %}"
    assert inspect_template(text).opens_thinking is opens
    assert not inspect_template(SHOWN).opens_thinking
