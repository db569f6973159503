"""What assistants and tools say becomes what the template reads: thinking, tool calls and their results."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import pytest

from tests.chat_shapes import MAKES_JSON, PRINTS, READS_BOTH, knowing, shaped_content, text
from tokenfacade.chat.content import shape_messages
from tokenfacade.errors import TemplateRenderError

if TYPE_CHECKING:
    from tokenfacade.chat.inspect import TemplateTraits

# Thinking


def test_thinking_parts_become_reasoning_content() -> None:
    content = [{"type": "thinking", "thinking": "Hm.", "signature": "s"}, text("Yes.")]
    messages = [{"role": "assistant", "content": content}]
    assert shape_messages(messages, PRINTS) == [{"role": "assistant", "content": "Yes.", "reasoning_content": "Hm."}]
    assert shape_messages(messages, READS_BOTH) == [
        {"role": "assistant", "content": [text("Yes.")], "reasoning_content": "Hm."}
    ]
    assert content[0]["type"] == "thinking"


def test_thinking_that_is_a_list_of_texts_is_joined() -> None:
    content = [
        {"type": "thinking", "thinking": [text("One."), text("Two.")]},
        {"type": "thinking", "thinking": "Three."},
    ]
    shaped = shape_messages([{"role": "assistant", "content": content}], PRINTS)
    assert shaped == [{"role": "assistant", "content": "", "reasoning_content": "One.\nTwo.\nThree."}]


def test_a_message_that_has_reasoning_keeps_it() -> None:
    message = {"role": "assistant", "content": [{"type": "thinking", "thinking": "x"}, "Yes."], "reasoning": "Hm."}
    assert shape_messages([message], PRINTS) == [{"role": "assistant", "content": "Yes.", "reasoning": "Hm."}]


def test_thinking_parts_stay_for_a_template_that_reads_them() -> None:
    messages = [{"role": "assistant", "content": [{"type": "thinking", "thinking": "Hm."}, text("Yes.")]}]
    assert shape_messages(messages, knowing("thinking")) is messages


def test_reasoning_in_parts_is_joined() -> None:
    shaped = shape_messages([{"role": "assistant", "content": "Yes.", "reasoning_content": [text("Hm.")]}], READS_BOTH)
    assert shaped == [{"role": "assistant", "content": "Yes.", "reasoning_content": "Hm."}]


# Tools


@pytest.mark.parametrize(
    ("result", "content"),
    [
        ({"città": "Forlì", "at": [1, 2.5, None, True]}, '{"città": "Forlì", "at": [1, 2.5, null, true]}'),
        ({}, "{}"),
        ([{"name": "a"}, {"name": "b"}], '[{"name": "a"}, {"name": "b"}]'),
        (True, "true"),
        ([text("22")], "22"),
        ([text("22"), "°C"], "22\n°C"),
        ([], ""),
    ],
)
def test_a_tool_result_becomes_text(result: object, content: str) -> None:
    assert shaped_content(result, PRINTS, role="tool") == content


def test_a_tool_result_that_json_cannot_hold_is_refused() -> None:
    with pytest.raises(TemplateRenderError, match="JSON"):
        shape_messages([{"role": "tool", "content": {(1, 2): "x"}}], PRINTS)


@pytest.mark.parametrize("result", [{"a": 1}, {}, [{"name": "a"}], "text", 7])
def test_a_tool_result_that_the_template_makes_json_of_stays(result: object) -> None:
    assert shaped_content(result, MAKES_JSON, role="tool") is result


def test_a_tool_result_in_parts_is_text_even_where_the_template_makes_json() -> None:
    assert shaped_content([text("22"), text("°C")], MAKES_JSON, role="tool") == "22\n°C"


@pytest.mark.parametrize("arguments", ['{"a":1}', "{bad", {"a": 1}, {}])
def test_arguments_stay_for_a_template_that_takes_both(arguments: object) -> None:
    messages = calls(arguments)
    assert shape_messages(messages, MAKES_JSON) is messages


def calls(arguments: object) -> list[dict[str, Any]]:
    call = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": arguments}}
    return [{"role": "assistant", "content": None, "tool_calls": [call]}]


def shaped_arguments(arguments: object, traits: TemplateTraits) -> Any:
    messages = calls(arguments)
    before = copy.deepcopy(messages)
    shaped = shape_messages(messages, traits)
    assert messages == before
    function = shaped[0]["tool_calls"][0]["function"]
    assert shaped == calls(function["arguments"])
    return function["arguments"]


@pytest.mark.parametrize(
    ("given", "parsed"),
    [
        ('{"city": "Paris"}', {"city": "Paris"}),
        (' {"nested": {"a": [1, null]}} ', {"nested": {"a": [1, None]}}),
        ("{}", {}),
        ("", {}),
        ("  ", {}),
        ("{city: Paris}", "{city: Paris}"),
        ('["a list"]', '["a list"]'),
        ('"text"', '"text"'),
        ("12", "12"),
        ("null", "null"),
        ('{"a":' * 100_000, '{"a":' * 100_000),
    ],
)
def test_arguments_are_parsed_for_a_template_that_reads_a_mapping(given: str, parsed: object) -> None:
    assert shaped_arguments(given, READS_BOTH) == parsed


@pytest.mark.parametrize(
    ("given", "dumped"),
    [({"città": "Forlì", "n": [1, None]}, '{"città": "Forlì", "n": [1, null]}'), ({}, "{}"), ([1, "a"], '[1, "a"]')],
)
def test_arguments_are_dumped_for_a_template_that_prints_them(given: object, dumped: str) -> None:
    assert shaped_arguments(given, PRINTS) == dumped


@pytest.mark.parametrize(
    ("arguments", "traits"),
    [
        ({"city": "Paris"}, READS_BOTH),
        ('{"city":"Paris"}', PRINTS),
        ("{bad", PRINTS),
        (None, PRINTS),
        (None, READS_BOTH),
    ],
)
def test_arguments_that_fit_stay_the_same_objects(arguments: object, traits: TemplateTraits) -> None:
    messages = calls(arguments)
    assert shape_messages(messages, traits) is messages


def test_only_the_calls_that_change_are_copied() -> None:
    fits = {"function": {"name": "a", "arguments": {}}}
    messages = [{"role": "assistant", "tool_calls": [fits, {"function": {"name": "b", "arguments": "{}"}}]}]
    shaped = shape_messages(messages, READS_BOTH)
    assert shaped[0]["tool_calls"] == [fits, {"function": {"name": "b", "arguments": {}}}]
    assert shaped[0]["tool_calls"][0] is fits


def test_calls_without_a_function_level_and_the_older_function_call_are_shaped_too() -> None:
    flat = {"role": "assistant", "tool_calls": [{"name": "a", "arguments": '{"x": 1}'}]}
    older = {"role": "assistant", "function_call": {"name": "a", "arguments": '{"x": 1}'}}
    assert shape_messages([flat, older], READS_BOTH) == [
        {"role": "assistant", "tool_calls": [{"name": "a", "arguments": {"x": 1}}]},
        {"role": "assistant", "function_call": {"name": "a", "arguments": {"x": 1}}},
    ]


@pytest.mark.parametrize("tool_calls", [None, [], "none", {"a": 1}, [None], ["x"], [{}], [{"function": None}]])
def test_calls_that_are_none_empty_or_something_else_are_left_to_the_template(tool_calls: object) -> None:
    messages = [{"role": "assistant", "content": "x", "tool_calls": tool_calls}]
    assert shape_messages(messages, READS_BOTH) is messages
