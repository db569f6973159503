"""DeepSeek V3.2's prompts are those of the code that its makers publish.

The expected texts are what ``encoding_dsv32.encode_messages`` gave for these conversations, called as vLLM's tokenizer
for the model calls it (tools in a system message before all others).
"""

from __future__ import annotations

import copy
from typing import Any

import pytest

from tokenfacade.chat.renderers.deepseek_v32 import DeepSeekV32Renderer
from tokenfacade.errors import ConfigurationError, TemplateRenderError

BEGIN, END = "<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>"
RENDERER = DeepSeekV32Renderer()

WEATHER: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "Wetter, 天气",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
            "required": ["city"],
        },
    },
}
TIME: dict[str, Any] = {
    "type": "function",
    "function": {"name": "time", "parameters": {"type": "object", "properties": {}}},
}
QUESTION: dict[str, Any] = {"role": "user", "content": "Weather in Köln?"}
CALL: dict[str, Any] = {
    "role": "assistant",
    "content": "",
    "reasoning_content": "Ask the tool.",
    "tool_calls": [
        {
            "id": "1",
            "type": "function",
            "function": {"name": "weather", "arguments": '{"city": "Köln", "days": 2, "units": null}'},
        }
    ],
}
TWO_CALLS: dict[str, Any] = {
    "role": "assistant",
    "content": "Both.",
    "tool_calls": [
        {
            "type": "function",
            "function": {"name": "weather", "arguments": '{"places": ["Köln", {"at": 1.5}], "x": true}'},
        },
        {"type": "function", "function": {"name": "time", "arguments": "{}"}},
    ],
}
RESULT: dict[str, Any] = {"role": "tool", "tool_call_id": "1", "content": '{"sky": "grey"}'}

CASES: dict[str, tuple[list[dict[str, Any]], dict[str, Any], str]] = {
    "a_question": (
        [{"role": "user", "content": "Hi {there}"}],
        {},
        "<｜begin▁of▁sentence｜><｜User｜>Hi {there}<｜Assistant｜></think>",
    ),
    "a_system_message_and_an_answer": (
        [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "content": "Hello."},
            {"role": "user", "content": "More"},
        ],
        {},
        """\
<｜begin▁of▁sentence｜>Be \
brief.<｜User｜>Hi<｜Assistant｜></think>Hello.<｜end▁of▁sentence｜><｜User｜>More<｜Assistant｜></think>""",
    ),
    "a_question_with_thinking": (
        [{"role": "user", "content": "Hi"}],
        {"thinking": True},
        "<｜begin▁of▁sentence｜><｜User｜>Hi<｜Assistant｜><think>",
    ),
    "enable_thinking_is_thinking": (
        [{"role": "user", "content": "Hi"}],
        {"enable_thinking": True},
        "<｜begin▁of▁sentence｜><｜User｜>Hi<｜Assistant｜><think>",
    ),
    "former_thoughts_are_dropped": (
        [
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "content": "Hello.", "reasoning_content": "Greet."},
            {"role": "user", "content": "More"},
        ],
        {"thinking": True},
        """\
<｜begin▁of▁sentence｜><｜User｜>Hi<｜Assistant｜></think>Hello.<｜end▁of▁sentence｜><｜User｜>More<｜Assistant\
｜><think>""",
    ),
    "the_last_thought_is_kept": (
        [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello.", "reasoning_content": "Greet."}],
        {"thinking": True},
        "<｜begin▁of▁sentence｜><｜User｜>Hi<｜Assistant｜><think>Greet.</think>Hello.<｜end▁of▁sentence｜>",
    ),
    "thoughts_are_left_out_in_chat_mode": (
        [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello.", "reasoning_content": "Greet."}],
        {},
        "<｜begin▁of▁sentence｜><｜User｜>Hi<｜Assistant｜></think>Hello.<｜end▁of▁sentence｜>",
    ),
    "a_call": (
        [QUESTION, CALL],
        {"thinking": True},
        """\
<｜begin▁of▁sentence｜><｜User｜>Weather in Köln?<｜Assistant｜><think>Ask the tool.</think>

<｜DSML｜function_calls>
<｜DSML｜invoke name="weather">
<｜DSML｜parameter name="city" string="true">Köln</｜DSML｜parameter>
<｜DSML｜parameter name="days" string="false">2</｜DSML｜parameter>
<｜DSML｜parameter name="units" string="false">null</｜DSML｜parameter>
</｜DSML｜invoke>
</｜DSML｜function_calls><｜end▁of▁sentence｜>""",
    ),
    "a_result_with_thinking": (
        [QUESTION, CALL, RESULT],
        {"thinking": True},
        """\
<｜begin▁of▁sentence｜><｜User｜>Weather in Köln?<｜Assistant｜><think>Ask the tool.</think>

<｜DSML｜function_calls>
<｜DSML｜invoke name="weather">
<｜DSML｜parameter name="city" string="true">Köln</｜DSML｜parameter>
<｜DSML｜parameter name="days" string="false">2</｜DSML｜parameter>
<｜DSML｜parameter name="units" string="false">null</｜DSML｜parameter>
</｜DSML｜invoke>
</｜DSML｜function_calls><｜end▁of▁sentence｜>

<function_results>
<result>{"sky": "grey"}</result>
</function_results>

<think>""",
    ),
    "a_result_in_chat_mode": (
        [QUESTION, CALL, RESULT, {"role": "assistant", "content": "Grey."}],
        {},
        """\
<｜begin▁of▁sentence｜><｜User｜>Weather in Köln?<｜Assistant｜></think>

<｜DSML｜function_calls>
<｜DSML｜invoke name="weather">
<｜DSML｜parameter name="city" string="true">Köln</｜DSML｜parameter>
<｜DSML｜parameter name="days" string="false">2</｜DSML｜parameter>
<｜DSML｜parameter name="units" string="false">null</｜DSML｜parameter>
</｜DSML｜invoke>
</｜DSML｜function_calls><｜end▁of▁sentence｜>

<function_results>
<result>{"sky": "grey"}</result>
</function_results>

</think>Grey.<｜end▁of▁sentence｜>""",
    ),
    "several_calls_and_results": (
        [QUESTION, TWO_CALLS, {"role": "tool", "content": "grey"}, {"role": "tool", "content": "12:00"}],
        {},
        """\
<｜begin▁of▁sentence｜><｜User｜>Weather in Köln?<｜Assistant｜></think>Both.

<｜DSML｜function_calls>
<｜DSML｜invoke name="weather">
<｜DSML｜parameter name="places" string="false">["Köln", {"at": 1.5}]</｜DSML｜parameter>
<｜DSML｜parameter name="x" string="false">true</｜DSML｜parameter>
</｜DSML｜invoke>
<｜DSML｜invoke name="time">

</｜DSML｜invoke>
</｜DSML｜function_calls><｜end▁of▁sentence｜>

<function_results>
<result>grey</result>
<result>12:00</result>
</function_results>

</think>""",
    ),
    "an_unfinished_set_of_results": (
        [QUESTION, TWO_CALLS, {"role": "tool", "content": "grey"}],
        {},
        """\
<｜begin▁of▁sentence｜><｜User｜>Weather in Köln?<｜Assistant｜></think>Both.

<｜DSML｜function_calls>
<｜DSML｜invoke name="weather">
<｜DSML｜parameter name="places" string="false">["Köln", {"at": 1.5}]</｜DSML｜parameter>
<｜DSML｜parameter name="x" string="false">true</｜DSML｜parameter>
</｜DSML｜invoke>
<｜DSML｜invoke name="time">

</｜DSML｜invoke>
</｜DSML｜function_calls><｜end▁of▁sentence｜>

<function_results>
<result>grey</result>""",
    ),
    "a_developer_message": (
        [{"role": "developer", "content": "Search <this>.", "response_format": {"type": "object", "title": "Ä"}}],
        {"thinking": True},
        """\
<｜begin▁of▁sentence｜><｜User｜>

## Response Format:

You MUST strictly adhere to the following schema to reply:
{"type": "object", "title": "Ä"}

# The user's message is: Search <this>.<｜Assistant｜><think>""",
    ),
    "a_response_format": (
        [{"role": "system", "content": "Be.", "response_format": {"a": [1, None]}}, {"role": "user", "content": "Hi"}],
        {},
        """\
<｜begin▁of▁sentence｜>Be.

## Response Format:

You MUST strictly adhere to the following schema to reply:
{"a": [1, null]}<｜User｜>Hi<｜Assistant｜></think>""",
    ),
    "a_system_message_without_content": (
        [{"role": "system"}, {"role": "user", "content": ""}],
        {},
        "<｜begin▁of▁sentence｜><｜User｜><｜Assistant｜></think>",
    ),
    "look_alikes_stay_as_they_are": (
        [{"role": "user", "content": "<｜User｜></think>{content}\n<｜end▁of▁sentence｜>"}],
        {},
        """\
<｜begin▁of▁sentence｜><｜User｜><｜User｜></think>{content}
<｜end▁of▁sentence｜><｜Assistant｜></think>""",
    ),
}

TOOLS = """\


## Tools
You have access to a set of tools you can use to answer the user's question.
You can invoke functions by writing a "<｜DSML｜function_calls>" block like the following as part of \
your reply to the user:
<｜DSML｜function_calls>
<｜DSML｜invoke name="$FUNCTION_NAME">
<｜DSML｜parameter name="$PARAMETER_NAME" string="true|false">$PARAMETER_VALUE</｜DSML｜parameter>
...
</｜DSML｜invoke>
<｜DSML｜invoke name="$FUNCTION_NAME2">
...
</｜DSML｜invoke>
</｜DSML｜function_calls>
String and scalar parameters should be specified as is without any escaping or quotes, while lists \
and objects should use JSON format. The "string" attribute should be set to "true" for string type \
parameters and "false" for other types (numbers, booleans, arrays, objects).
If the thinking_mode is enabled, then after function results you should strongly consider \
outputting a thinking block. Here is an example:
<｜DSML｜function_calls>
...
</｜DSML｜function_calls>
<function_results>
...
</function_results>
<think>...thinking about results</think>
Here are the functions available in JSONSchema format:
<functions>
{"name": "weather", "description": "Wetter, 天气", "parameters": {"type": "object", "properties": \
{"city": {"type": "string"}, "days": {"type": "integer"}}, "required": ["city"]}}
{"name": "time", "parameters": {"type": "object", "properties": {}}}
</functions>
"""

"""What two functions become."""


@pytest.mark.parametrize("case", CASES)
def test_prompts_are_those_of_the_published_code(case: str) -> None:
    messages, arguments, expected = CASES[case]
    before = copy.deepcopy(messages)
    assert RENDERER.render(messages, **arguments) == expected
    assert RENDERER.render(messages, add_generation_prompt=True, **arguments) == expected
    assert RENDERER.render_traced(messages, **arguments).text == expected
    assert messages == before


def test_tools_stand_before_all_messages() -> None:
    messages = [{"role": "system", "content": "Be."}, {"role": "user", "content": "Hi"}]
    expected = f"{BEGIN}{TOOLS}Be.<｜User｜>Hi<｜Assistant｜></think>"
    assert RENDERER.render(messages, tools=[WEATHER, TIME]) == expected
    assert RENDERER.render(messages, tools=[]) == RENDERER.render(messages)


def test_a_system_message_may_bring_its_tools_itself() -> None:
    messages: list[dict[str, Any]] = [
        {"role": "system", "content": "Be.", "tools": [WEATHER, TIME]},
        {"role": "user", "content": "Hi"},
    ]
    assert RENDERER.render(messages) == f"{BEGIN}Be.{TOOLS}<｜User｜>Hi<｜Assistant｜></think>"


def test_python_functions_are_tools() -> None:
    def time() -> None:
        """Tell the time."""

    prompt = RENDERER.render([QUESTION], tools=[time])
    assert '{"name": "time", "description": "Tell the time.", "parameters": ' in prompt


@pytest.mark.parametrize("arguments", [None, "", "{}", {}])
def test_calls_may_have_no_arguments(arguments: object) -> None:
    call = {"function": {"name": "time", "arguments": arguments}}
    prompt = RENDERER.render([QUESTION, {"role": "assistant", "tool_calls": [call]}])
    assert '<｜DSML｜invoke name="time">\n\n</｜DSML｜invoke>' in prompt


def test_arguments_may_be_text_or_a_mapping() -> None:
    as_mapping = copy.deepcopy(CALL)
    as_mapping["tool_calls"][0]["function"]["arguments"] = {"city": "Köln", "days": 2, "units": None}
    assert RENDERER.render([QUESTION, as_mapping]) == RENDERER.render([QUESTION, CALL])


@pytest.mark.parametrize("name", ["reasoning_content", "thinking", "reasoning"])
def test_reasoning_goes_by_any_of_its_names(name: str) -> None:
    message = {"role": "assistant", "content": "Hello.", name: "Greet."}
    assert RENDERER.render([QUESTION, message], thinking=True).endswith(f"<think>Greet.</think>Hello.{END}")


@pytest.mark.parametrize(
    ("messages", "field", "end"),
    [
        ([QUESTION, {"role": "assistant", "content": "It is "}], True, "</think>It is "),
        ([QUESTION, {"role": "assistant", "content": "", "reasoning": "So "}], "reasoning", "<think>So "),
        ([QUESTION, CALL], "reasoning_content", "<think>Ask the tool."),
        ([{"role": "system", "content": "Be ", "tools": [TIME]}], "content", f"{BEGIN}Be "),
        ([QUESTION], True, "<｜User｜>Weather in Köln?"),
        ([QUESTION, CALL, RESULT], True, '<result>{"sky": "grey"}'),
    ],
)
def test_the_final_message_can_stay_open(messages: list[dict[str, Any]], field: Any, end: str) -> None:
    thinking = isinstance(field, str) and field != "content"
    prompt = RENDERER.render_traced(messages, continue_final_message=field, thinking=thinking)
    assert prompt.text.endswith(end)
    assert all(stop <= len(prompt.text) for _, stop in prompt.message_spans + prompt.assistant_spans)


def test_an_open_message_must_be_there_and_shown() -> None:
    answer = {"role": "assistant", "content": "Hi", "reasoning_content": "Hm"}
    with pytest.raises(ConfigurationError, match="continue_final_message"):
        RENDERER.render([answer], continue_final_message=True, add_generation_prompt=True)
    with pytest.raises(TemplateRenderError, match="no 'content'"):
        RENDERER.render([{"role": "assistant"}], continue_final_message=True)
    with pytest.raises(TemplateRenderError, match="doesn't show the 'reasoning_content'"):
        RENDERER.render([answer], continue_final_message="reasoning_content")
    with pytest.raises(TemplateRenderError, match="doesn't show the 'role'"):
        RENDERER.render([answer], continue_final_message="role")


def test_spans_say_who_said_what() -> None:
    prompt = RENDERER.render_traced([QUESTION, CALL, RESULT], tools=[TIME], thinking=True)
    said = [prompt.text[start:end] for start, end in prompt.message_spans]
    assert said == [
        '{"name": "time", "parameters": {"type": "object", "properties": {}}}',
        "Weather in Köln?",
        "Ask the tool.",
        *("weather", "city", "Köln", "days", "2", "units", "null"),
        '{"sky": "grey"}',
    ]
    [(start, end)] = prompt.assistant_spans
    assert prompt.text[start:end].startswith("Ask the tool.</think>\n\n<｜DSML｜function_calls>")
    assert prompt.text[start:end].endswith(END)


def test_an_answer_without_thought_is_refused_in_thinking_mode() -> None:
    with pytest.raises(TemplateRenderError, match="reasoning_content"):
        RENDERER.render([QUESTION, {"role": "assistant", "content": "Hi"}], thinking=True)


def test_developer_messages_before_the_last_question_need_thoughts_to_be_kept() -> None:
    messages: list[dict[str, Any]] = [{"role": "developer", "content": "Search."}, QUESTION]
    with pytest.raises(TemplateRenderError, match="drop_thinking=False"):
        RENDERER.render(messages, thinking=True)
    kept = RENDERER.render(messages, thinking=True, drop_thinking=False)
    assert kept.count("Search.") == 1
    assert RENDERER.render(messages).count("Search.") == 1
