"""Shaping: nothing of the caller's changes, twice is once, what fits stays, and no repr gets into a real prompt."""

from __future__ import annotations

import copy
import functools
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers.utils.chat_template_utils import render_jinja_template

from tests.data import DATA, HAS_DATA
from tokenfacade.chat.content import shape_messages
from tokenfacade.chat.inspect import TemplateTraits, inspect_template
from tokenfacade.errors import TemplateRenderError

TEMPLATES = sorted((DATA / "chat_templates").glob("*.jinja"))
needs_data = pytest.mark.skipif(not HAS_DATA, reason="the test data is not here; .ci/run insists on it")

PRINTS = "{% for m in messages %}{{ m.role }}: {{ m.content }}{{ m.reasoning_content }}\n{% endfor %}"
READS_PARTS = """
{% for m in messages %}{% for part in m.content or [] %}{% if part.type == 'text' %}{{ part.text }}
{% elif part.type == 'image' %}<image>{% endif %}{% endfor %}{% endfor %}
"""
READS_BOTH = """
{% for m in messages %}{% if m.content is string %}{{ m.content }}{% else %}
{% for part in m.content or [] %}{{ '<image>' if part.type == 'image_url' else part.text }}{% endfor %}{% endif %}
{% for call in m.tool_calls %}{{ call.function.arguments | tojson }}{% endfor %}{% endfor %}
"""
ADDS = """
{% for m in messages %}{{ '<|' + m.role + '|>' + (m.content or '') }}
{% for call in m.tool_calls %}{{ call.function.name + call.function.arguments }}{% endfor %}{% endfor %}
"""
WRITTEN = {"prints": PRINTS, "reads_parts": READS_PARTS, "reads_both": READS_BOTH, "adds": ADDS}

# Texts with marks of their own, which stand in no template: so a prompt tells what became of them.
words = st.text(st.sampled_from("aé世 \n\"\\{}[]<|>'😊"), max_size=6).map(lambda text: f"Q{text}Z")
text_parts = st.one_of(
    words,
    st.fixed_dictionaries({"type": st.just("text"), "text": words}),
    st.fixed_dictionaries({"type": st.just("text"), "text": words, "cache_control": st.just({"type": "ephemeral"})}),
    st.fixed_dictionaries({"type": st.sampled_from(["input_text", "output_text"]), "text": words}),
    st.fixed_dictionaries({"type": st.just("refusal"), "refusal": words}),
)
media_parts = st.sampled_from(["image", "image_url", "input_audio", "video", "file"]).map(
    lambda kind: {"type": kind, kind: {"url": "QpayloadZ"}}
)
thinking_parts = st.fixed_dictionaries({"type": st.just("thinking"), "thinking": words})
text_contents = words | st.lists(text_parts, min_size=1, max_size=3)
arguments = st.one_of(
    st.dictionaries(words, words | st.integers() | st.none() | st.lists(words, max_size=2), max_size=2),
    st.sampled_from(['{"city": "QParisZ"}', '{"a":{"b":[1]}}', "{}", "", "{bad", '["QaZ"]', "12"]),
)


def calls_with(values: st.SearchStrategy[Any]) -> st.SearchStrategy[list[dict[str, Any]]]:
    function = st.fixed_dictionaries({"name": st.just("weather"), "arguments": values})
    call = st.fixed_dictionaries({"id": st.just("abcdefghi"), "type": st.just("function"), "function": function})
    return st.lists(call, min_size=1, max_size=2)


def messages_of(role: str, content: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({"role": st.just(role), "content": content})


results = text_contents | st.dictionaries(words, words, max_size=2) | st.lists(st.just({"found": "QxZ"}), max_size=2)
callers = st.fixed_dictionaries(
    {"role": st.just("assistant"), "content": st.none() | text_contents, "tool_calls": calls_with(arguments)}
)
tool_turns = st.tuples(
    callers, messages_of("tool", results).map(lambda m: {**m, "name": "weather", "tool_call_id": "abcdefghi"})
)


@st.composite
def conversations(draw: st.DrawFn, contents: st.SearchStrategy[Any] = text_contents) -> list[dict[str, Any]]:
    """A conversation as templates expect them: an optional system message, then user and assistant in turn."""
    messages = draw(st.lists(messages_of("system", contents), max_size=1))
    for _ in range(draw(st.integers(1, 2))):
        messages.append(draw(messages_of("user", contents)))
        messages += draw(st.just(()) | tool_turns)
        messages.append(draw(messages_of("assistant", contents)))
    return messages[: len(messages) - draw(st.integers(0, 1))]


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | words | text_parts | media_parts | thinking_parts,
    lambda values: st.lists(values, max_size=3) | st.dictionaries(words | st.sampled_from(["type", "text"]), values),
    max_leaves=6,
)
odd_messages = st.lists(
    st.fixed_dictionaries(
        {},
        optional={
            "role": st.sampled_from(["user", "assistant", "tool", "critic"]),
            "content": anything,
            "tool_calls": anything | calls_with(arguments | anything),
            "function_call": anything,
            "reasoning_content": anything,
        },
    ),
    max_size=3,
)


@functools.cache
def traits_of(template: str) -> TemplateTraits:
    return inspect_template(template)


@pytest.mark.parametrize("name", WRITTEN)
@given(messages=odd_messages | conversations())
def test_any_messages_are_shaped_or_refused_without_touching_them_and_shaping_twice_is_once(
    name: str, messages: list[dict[str, Any]]
) -> None:
    traits = traits_of(WRITTEN[name])
    before = copy.deepcopy(messages)
    try:
        shaped = shape_messages(messages, traits)
    except TemplateRenderError as error:
        assert error.reason == "content"  # noqa: PT017
    else:
        assert shape_messages(shaped, traits) is shaped
    assert messages == before


def fitting_content(traits: TemplateTraits, role: str) -> st.SearchStrategy[Any]:
    """Contents that a template with these traits takes from this role as they are."""
    parts = st.lists(st.fixed_dictionaries({"type": st.just("text"), "text": words}), min_size=1, max_size=3)
    if role not in traits.part_roles:
        return words
    return words | parts if role in traits.string_roles else parts


@pytest.mark.parametrize("name", WRITTEN)
@given(data=st.data())
def test_what_the_template_takes_stays_the_same_object(name: str, data: st.DataObject) -> None:
    traits = traits_of(WRITTEN[name])
    fitting = [messages_of(role, fitting_content(traits, role)) for role in ("system", "user", "assistant", "tool")]
    messages = data.draw(st.lists(st.one_of(fitting), max_size=4))
    assert shape_messages(messages, traits) is messages


def exact(template: str, messages: list[Any]) -> str | None:
    """The prompt of transformers, which gets the messages without the keys that are None; None where it raises."""
    kept = [{key: value for key, value in message.items() if value is not None} for message in messages]
    render: Any = render_jinja_template
    try:
        rendered, _ = render([kept], chat_template=template, bos_token="<s>", eos_token="</s>")
    except Exception:
        return None
    return str(rendered[0])


def reprs_of(messages: list[dict[str, Any]]) -> list[str]:
    """The Python reprs that a template would print if it printed a content, or a part of one, as it stands."""
    contents = [message["content"] for message in messages if isinstance(message["content"], list | dict)]
    parts = [part for content in contents if isinstance(content, list) for part in content if isinstance(part, dict)]
    # The repr of {"it's": "it's"} is JSON, too.
    shown = ((repr(value), value) for value in (*contents, *parts) if value)
    return [text for text, value in shown if text != json.dumps(value, ensure_ascii=False)]


@needs_data
@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.stem)
@settings(max_examples=15)
@given(messages=conversations())
def test_no_repr_of_a_content_reaches_a_prompt(path: Path, messages: list[dict[str, Any]]) -> None:
    template = path.read_text(encoding="utf-8")
    prompt = exact(template, shape_messages(messages, traits_of(template)))
    if prompt is not None:
        assert "{'type'" not in prompt
        assert [text for text in reprs_of(messages) if text in prompt] == []


@needs_data
@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.stem)
def test_where_transformers_shows_a_part_as_text_so_does_shaping(path: Path) -> None:
    template = path.read_text(encoding="utf-8")
    for role in ("system", "user", "assistant", "tool"):
        messages = conversation_about(role, [{"type": "text", "text": "QaZ"}])
        expected = exact(template, messages)
        shaped = exact(template, shape_messages(messages, traits_of(template)))
        if expected is not None and all(f"Q{letter}Z" in expected for letter in "abc") and "'type'" not in expected:
            assert shaped == expected or '"type": "text"' in expected  # parts as JSON are joined too
        if exact(template, conversation_about(role, "QaZ")) is not None:
            assert shaped is not None, role


def conversation_about(role: str, content: Any) -> list[dict[str, Any]]:
    """A short conversation with the content in a message of this role, and words in the others."""
    user = {"role": "user", "content": content if role == "user" else "QbZ"}
    said = {"role": "assistant", "content": content if role == "assistant" else "QcZ"}
    if role == "system":
        return [{"role": "system", "content": content}, user, said]
    if role != "tool":
        return [user, said]
    calls = [{"id": "abcdefghi", "type": "function", "function": {"name": "weather", "arguments": {}}}]
    result = {"role": "tool", "content": content, "name": "weather", "tool_call_id": "abcdefghi"}
    return [user, {**said, "tool_calls": calls}, result]
