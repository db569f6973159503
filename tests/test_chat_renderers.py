"""What holds for every prompt format that is code: how it is found, and what it makes of odd messages."""

from __future__ import annotations

import copy
import datetime
import pickle
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenfacade.chat.renderers import renderer_for, renderer_named, renderer_names
from tokenfacade.chat.renderers.deepseek_v32 import DeepSeekV32Renderer
from tokenfacade.chat.renderers.harmony import HarmonyRenderer
from tokenfacade.errors import ChatTemplateError, ConfigurationError, TemplateRenderError

if TYPE_CHECKING:
    from tokenfacade.chat.renderer import ChatRenderer

DEEPSEEK = DeepSeekV32Renderer()
HARMONY = HarmonyRenderer(clock=lambda: datetime.datetime(2025, 6, 28))
RENDERERS: dict[str, ChatRenderer] = {"deepseek_v32": DEEPSEEK, "harmony": HARMONY}

each_renderer = pytest.mark.parametrize("renderer", RENDERERS.values(), ids=list(RENDERERS))

scalars = st.none() | st.booleans() | st.integers(-3, 3) | st.floats() | st.text(max_size=4)
words = st.sampled_from(["a", "{", "{}", '{"x": 1}', "<|end|>", "</think>", "\ud800", "世", "\n", ""]) | st.text(
    max_size=4
)
anything = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3), max_leaves=6
)


def mostly(usual: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.integers(0, 9).flatmap(lambda number: anything if number == 0 else usual)


calls = mostly(
    st.lists(
        mostly(
            st.fixed_dictionaries(
                {"function": mostly(st.fixed_dictionaries({"name": mostly(words)}, optional={"arguments": anything}))},
                optional={"id": mostly(words)},
            )
        ),
        max_size=3,
    )
)
tools = mostly(
    st.lists(
        mostly(
            st.fixed_dictionaries(
                {"function": mostly(st.fixed_dictionaries({"name": mostly(words)}, optional={"parameters": anything}))}
            )
        ),
        max_size=2,
    )
)
messages = st.lists(
    mostly(
        st.fixed_dictionaries(
            {"role": mostly(st.sampled_from(["system", "developer", "user", "assistant", "tool"]))},
            optional={
                "content": mostly(words),
                "reasoning_content": mostly(words),
                "tool_calls": calls,
                "tool_call_id": mostly(words),
                "name": mostly(words),
                "tools": tools,
                "response_format": anything,
            },
        )
    ),
    max_size=5,
)
arguments = st.fixed_dictionaries(
    {},
    optional={
        "thinking": anything,
        "enable_thinking": st.booleans(),
        "drop_thinking": anything,
        "reasoning_effort": mostly(words),
        "model_identity": mostly(words),
        "builtin_tools": anything,
        "unknown": anything,
        "add_generation_prompt": st.booleans(),
        "continue_final_message": st.booleans() | st.sampled_from(["content", "reasoning", "thinking", "role", "x"]),
    },
)


@each_renderer
@given(messages=messages, tools=tools, arguments=arguments)
def test_any_messages_give_a_prompt_or_an_error_of_ours_and_stay_as_they_are(
    renderer: ChatRenderer, messages: Any, tools: Any, arguments: Any
) -> None:
    before = copy.deepcopy((messages, tools, arguments))
    try:
        prompt = renderer.render(messages, tools=tools, **arguments)
    except (ChatTemplateError, ConfigurationError) as error:
        with pytest.raises(type(error)):
            renderer.render_traced(messages, tools=tools, **arguments)
    else:
        traced = renderer.render_traced(messages, tools=tools, **arguments)
        assert traced.text == prompt
        for spans in (traced.message_spans, traced.assistant_spans):
            ends = [place for span in spans for place in span]
            assert ends == sorted(ends)
            assert all(0 <= start < end <= len(prompt) for start, end in spans)
    assert repr((messages, tools, arguments)) == repr(before)


@each_renderer
@given(content=st.text(min_size=1))
def test_message_spans_hold_all_that_a_message_says(renderer: ChatRenderer, content: str) -> None:
    prompt = renderer.render_traced([{"role": "user", "content": content}])
    assert [prompt.text[start:end] for start, end in prompt.message_spans] == [content]


@each_renderer
def test_prompts_of_an_open_message_are_prefixes_of_the_finished_one(renderer: ChatRenderer) -> None:
    messages = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello <|end|> there"}]
    finished, opened = renderer.render(messages), renderer.render(messages, continue_final_message=True)
    assert finished.startswith(opened)
    assert opened.endswith("Hello <|end|> there")


QUESTION: dict[str, Any] = {"role": "user", "content": "Hi"}
CALL: dict[str, Any] = {"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": "{}"}}]}
RESULT: dict[str, Any] = {"role": "tool", "content": "1"}
DEEP = "[" * 100_000


def calling(call: object) -> list[dict[str, Any]]:
    return [QUESTION, {"role": "assistant", "tool_calls": call}]


@each_renderer
@pytest.mark.parametrize(
    "messages",
    [
        [RESULT],
        [QUESTION, RESULT],
        [RESULT, CALL],
        calling([{"name": "f", "arguments": "{}"}]),
        calling([{"function": {"name": 3}}]),
        calling(["f"]),
        calling(3),
        [{"role": "latest_reminder", "content": "x"}],
        [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}],
        [{"role": "user", "content": 3}],
        [{"role": None, "content": "Hi"}],
        [{"content": "Hi"}],
        ["Hi"],
    ],
    ids=lambda messages: str(messages)[:60],
)
def test_messages_that_no_format_has_words_for_are_refused(renderer: ChatRenderer, messages: Any) -> None:
    with pytest.raises(TemplateRenderError) as caught:
        renderer.render(messages)
    assert caught.value.reason == "content"


@pytest.mark.parametrize(
    "messages",
    [
        [QUESTION, CALL, RESULT, RESULT],
        calling([{"function": {"name": "f", "arguments": "{"}}]),
        calling([{"function": {"name": "f", "arguments": "[1]"}}]),
        calling([{"function": {"name": "f", "arguments": DEEP}}]),
        [{"role": "developer", "content": ""}],
        [{"role": "system", "tools": [{"name": "f"}]}],
        [{"role": "system", "tools": "time"}],
        [{"role": "system", "response_format": {("a", "b"): 1}}],
    ],
    ids=lambda messages: str(messages)[:60],
)
def test_messages_that_deepseek_has_no_words_for_are_refused(messages: Any) -> None:
    with pytest.raises(TemplateRenderError) as caught:
        DEEPSEEK.render(messages)
    assert caught.value.reason == "content"


@pytest.mark.parametrize(
    "arguments",
    [
        {"tools": [{"name": "f"}]},
        {"tools": [{"function": {"name": "f", "description": 3}}]},
        {"reasoning_effort": 3},
        {"model_identity": ["x"]},
        {"builtin_tools": "browser"},
        {"tools": [{"function": {"name": "f", "parameters": {"oneOf": [{"default": float("nan")}]}}}]},
    ],
    ids=str,
)
def test_arguments_that_harmony_has_no_words_for_are_refused(arguments: Any) -> None:
    with pytest.raises(TemplateRenderError) as caught:
        HARMONY.render([QUESTION], **arguments)
    assert caught.value.reason == "content"


@each_renderer
def test_what_contains_itself_is_refused(renderer: ChatRenderer) -> None:
    endless: dict[str, Any] = {"type": "object", "description": "x"}
    endless["properties"] = {"a": endless}
    tool = {"function": {"name": "f", "parameters": endless}}
    for options in ({"tools": [tool]}, {"unknown": endless}):
        with pytest.raises(ConfigurationError, match="itself"):
            renderer.render([QUESTION], **options)
    with pytest.raises(TemplateRenderError):
        renderer.render([{"role": "user", "content": "Hi", "x": endless}])


@each_renderer
def test_no_messages_are_a_mistake_of_the_caller(renderer: ChatRenderer) -> None:
    with pytest.raises(ConfigurationError):
        renderer.render([])
    with pytest.raises(ConfigurationError):
        renderer.render([QUESTION], tools=[3])  # type: ignore[list-item]


@each_renderer
def test_unknown_arguments_and_documents_are_ignored(renderer: ChatRenderer) -> None:
    assert renderer.render([QUESTION], documents=[{"text": "x"}], colour="red") == renderer.render([QUESTION])


@pytest.mark.parametrize(
    ("config", "name"),
    [
        ({"model_type": "deepseek_v32"}, "deepseek_v32"),
        ({"architectures": ["DeepseekV32ForCausalLM"]}, "deepseek_v32"),
        ({"model_type": "mine", "architectures": ["Mine", "GptOssForCausalLM"]}, "harmony"),
        ({"model_type": "gpt_oss", "architectures": None}, "harmony"),
        ({"model_type": "deepseek_v3", "architectures": ["DeepseekV3ForCausalLM"]}, None),
        ({"model_type": ["gpt_oss"], "architectures": "GptOssForCausalLM"}, None),
        ({"architectures": [["x"], 3]}, None),
        ({}, None),
    ],
)
def test_the_config_of_a_model_says_which_format_it_takes(config: dict[str, Any], name: str | None) -> None:
    renderer = renderer_for(config)
    assert (None if renderer is None else renderer.identity) == (None if name is None else f"renderer:{name}")


def test_renderers_have_names() -> None:
    assert renderer_names() == tuple(RENDERERS)
    for name in renderer_names():
        assert type(renderer_named(name)) is type(RENDERERS[name])
    assert renderer_named("mine") is None


@pytest.mark.parametrize("name", renderer_names())
def test_renderers_are_values(name: str) -> None:
    renderer = renderer_named(name)
    assert renderer is not None
    assert renderer == renderer_named(name)
    assert hash(renderer) == hash(renderer_named(name))
    assert pickle.loads(pickle.dumps(renderer)) == renderer
    assert renderer.traits == pickle.loads(pickle.dumps(renderer.traits))
    assert renderer.traits.content_format == "string"
    assert renderer.traits.supports_tools
    assert renderer.traits.string_roles == {"system", "developer", "user", "assistant", "tool"}
