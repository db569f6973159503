"""Leaving the final message open: as transformers does it, in every special case."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from tests.chat_reference import our_chat, reference_chat
from tokenfacade import ChatTemplate
from tokenfacade.chat.continuation import REASONING_FIELDS
from tokenfacade.errors import ConfigurationError, TemplateRenderError

PRINTS = "{% for m in messages %}<{{ m.role }}>{{ m.content }}</{{ m.role }}>\n{% endfor %}"
TRIMS = "{% for m in messages %}<{{ m.role }}> {{ m.content|trim }} </{{ m.role }}>\n{% endfor %}"
READS_PARTS = (
    "{% for m in messages %}<{{ m.role }}>{% if m.content is string %}{{ m.content }}{% else %}"
    "{% for part in m.content %}[{{ part.text }}]{% endfor %}{% endif %}\n{% endfor %}"
)
REASONS = (
    "{% for m in messages %}<{{ m.role }}>"
    "{% if m.reasoning_content %}<think>{{ m.reasoning_content }}</think>{% endif %}{{ m.content }}{% endfor %}"
)
THINKS = "{% for m in messages %}<{{ m.role }}>{{ m.thinking }}|{{ m.reasoning }}|{{ m.content }}{% endfor %}"
UPPER = "{% for m in messages %}{{ m.content|upper }}{% endfor %}"
FIRST_ONLY = "{{ messages[0].content }}"
CUTS = "{% for m in messages %}{{ m.content[:3] }}{% endfor %}"
SPLITS = "{% for m in messages %}{{ m.content.split('</think>')[-1].lstrip('\\n') }}!{% endfor %}"
AS_JSON = "{{ messages|tojson }}"
CALLS = "{% for m in messages %}{{ m.content }}{% for call in m.tool_calls %}{{ call.name }}{% endfor %}{% endfor %}"
NO_FIELD = "{{ messages|length }}"
TEMPLATES = [PRINTS, TRIMS, READS_PARTS, REASONS, THINKS, UPPER, FIRST_ONLY, CUTS, SPLITS, AS_JSON, CALLS, NO_FIELD]

CONTENTS: list[Any] = [
    *("", "I", "OK! ", "OK!\n", "Hi", " ", "\n", " a", "a  b", "<think>x</think>\n\nAnswer ", "é\U0001f60a", "a\x00"),
    *("CONTINUE_FINAL_MESSAGE_TAG", "a CONTINUE_FINAL_MESSAGE_TAG ", 5, 0, True, 1.5, {"text": "a"}, {}, [], ()),
    *(["a"], ["a text"], [5], [None], [["text"]], [["a"]]),
]
FINALS: list[dict[str, Any]] = [
    *({"content": content} for content in CONTENTS),
    {},
    {"content": None},
    {"content": [{"type": "text", "text": "a "}]},
    {"content": ({"type": "text", "text": "a"}, {"type": "image"})},
    {"content": [{"text": "a"}, {"text": "b"}, "c"]},
    {"content": [{"text": "a"}, {"text": None}]},
    {"content": [{"text": "a"}, {"text": 5}]},
    {"content": [{"text": "a"}, {"text": ["b"]}]},
    {"content": [{"type": "image"}, {}]},
    {"content": "a", "tool_calls": [{"name": "f"}]},
    {"tool_calls": [{"name": "f"}]},
    {"content": "", "tool_calls": [{"name": "f"}]},
    *({name: "because", "content": "so"} for name in REASONING_FIELDS),
    *({name: "because"} for name in REASONING_FIELDS),
    {"reasoning_content": "a", "thinking": "a", "reasoning": "b", "content": "so"},
    {"reasoning": "a", "thinking": "b", "content": "so"},
    {"reasoning_content": None, "thinking": "a", "content": ""},
    {"reasoning_content": "", "thinking": "a", "content": ""},
    {"reasoning": [{"text": "a"}], "content": "so"},
    {"reasoning": [{"text": "a"}], "thinking": [{"text": "a"}], "content": "so"},
]


@pytest.mark.parametrize("which", [True, "content", *REASONING_FIELDS, "tool_calls", "role", "nothing", 1])
@pytest.mark.parametrize("template", TEMPLATES)
def test_the_final_message_stays_open_as_in_the_reference(template: str, which: Any) -> None:
    for earlier in ([{"role": "user", "content": "Hi"}], [{"role": "user", "content": "OK! I"}], []):
        for final in FINALS:
            messages = [*earlier, {"role": "assistant", **final}]
            before = copy.deepcopy(messages)
            ours = our_chat(template, messages, continue_final_message=which)
            assert messages == before
            assert ours == reference_chat(template, messages, continue_final_message=which), messages


@pytest.mark.parametrize("which", [False, None, "", 0])
def test_what_is_false_leaves_nothing_open(which: Any) -> None:
    messages = [{"role": "assistant", "content": "I"}]
    assert ChatTemplate(PRINTS).render(messages, continue_final_message=which) == "<assistant>I</assistant>\n"


def test_the_prompt_ends_with_the_text_of_the_message() -> None:
    messages = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "OK! "}]
    assert ChatTemplate(PRINTS).render(messages, continue_final_message=True) == "<user>Hi</user>\n<assistant>OK! "
    trims = PRINTS.replace("m.content", "m.content|trim")
    assert ChatTemplate(trims).render(messages, continue_final_message=True) == "<user>Hi</user>\n<assistant>OK!"


def test_of_parts_the_last_text_stays_open() -> None:
    messages = [{"role": "assistant", "content": [{"text": "a"}, {"text": "b"}, {"type": "image"}]}]
    assert ChatTemplate(READS_PARTS).render(messages, continue_final_message=True) == "<assistant>[a][b"


@pytest.mark.parametrize("name", REASONING_FIELDS)
def test_reasoning_stays_open_under_each_of_its_names(name: str) -> None:
    messages = [{"role": "assistant", name: "because ", "content": "so"}]
    for which in REASONING_FIELDS:
        if which == "reasoning" != name:
            continue  # the reference fills in the other two only
        assert ChatTemplate(REASONS).render(messages, continue_final_message=which) == "<assistant><think>because "


@pytest.mark.parametrize(
    ("template", "final", "which"),
    [
        (PRINTS, {}, True),
        (PRINTS, {"content": None}, True),
        (PRINTS, {"content": 5}, True),
        (PRINTS, {"content": []}, True),
        (PRINTS, {"content": [{"text": 5}]}, True),
        (PRINTS, {"content": [{"type": "image"}]}, True),
        (PRINTS, {"content": "a"}, "nothing"),
        (PRINTS, {"thinking": "a"}, "thinking"),
        (FIRST_ONLY, {"content": "a"}, True),
        (CUTS, {"content": "a long text"}, True),
        (UPPER, {"content": "a"}, True),
    ],
)
def test_what_cannot_be_left_open_is_refused_with_a_reason(template: str, final: dict[str, Any], which: Any) -> None:
    messages = [{"role": "user", "content": "Hi"}, {"role": "assistant", **final}]
    with pytest.raises(TemplateRenderError, match="continue_final_message") as caught:
        ChatTemplate(template).render(messages, continue_final_message=which)
    assert caught.value.reason == "content"


def test_a_new_message_and_an_open_one_exclude_each_other() -> None:
    with pytest.raises(ConfigurationError, match="add_generation_prompt"):
        ChatTemplate(PRINTS).render(
            [{"role": "user", "content": "Hi"}], add_generation_prompt=True, continue_final_message=True
        )


def test_tracing_ends_where_the_prompt_does() -> None:
    template = ChatTemplate(
        "{% for m in messages %}<{{ m.role }}>{% generation %}{{ m.content }}</s>{% endgeneration %}{% endfor %}"
    )
    messages = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "OK! "}]
    traced = template.render_traced(messages, continue_final_message=True)
    assert traced.text == template.render(messages, continue_final_message=True) == "<user>Hi</s><assistant>OK! "
    assert all(0 <= start <= end <= len(traced.text) for start, end in traced.assistant_spans + traced.message_spans)
