"""`ChatTemplate`: a value that many threads share, which says what went wrong and where."""

from __future__ import annotations

import copy
import pickle
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields
from datetime import datetime
from types import MappingProxyType
from typing import Any

import pytest

from tokenfacade import ChatTemplate, SpecialTokens
from tokenfacade.chat.arguments import RESERVED
from tokenfacade.chat.inspect import TemplateTraits, inspect_template
from tokenfacade.chat.jinja_environment import compile_template
from tokenfacade.chat.limits import TemplateLimits
from tokenfacade.errors import (
    ChatTemplateError,
    ConfigurationError,
    TemplateLimitError,
    TemplateRenderError,
    TemplateSyntaxError,
)

HI = [{"role": "user", "content": "Hi"}]
SIMPLE = "{% for m in messages %}<{{ m.role }}>{{ m.content }}{{ eos_token }}{% endfor %}"
MOMENT = datetime(2024, 2, 29, 23, 59, 58)


def _moment() -> datetime:
    return MOMENT


def _failure(text: str, messages: Any = HI, **arguments: Any) -> TemplateRenderError:
    with pytest.raises(TemplateRenderError) as caught:
        ChatTemplate(text, name="the-name").render(messages, **arguments)
    return caught.value


def test_a_copy_and_a_pickle_are_equal_and_render_the_same() -> None:
    limits = TemplateLimits(max_output=100)
    template = ChatTemplate(
        SIMPLE + "{{ strftime_now('%d') }}",
        special_tokens={"eos_token": "</s>"},
        name="n",
        limits=limits,
        clock=_moment,
    )
    for twin in (copy.copy(template), copy.deepcopy(template), pickle.loads(pickle.dumps(template))):
        assert twin == template
        assert hash(twin) == hash(template)
        assert (twin.name, twin.limits, twin.special_tokens) == ("n", limits, {"eos_token": "</s>"})
        assert twin.render(HI) == template.render(HI) == "<user>Hi</s>29"


def test_templates_are_equal_by_text_and_special_tokens() -> None:
    template = ChatTemplate(SIMPLE, special_tokens={"eos_token": "a", "bos_token": "b"})
    assert template == ChatTemplate(SIMPLE, special_tokens={"bos_token": "b", "eos_token": "a"}, name="another")
    assert template != ChatTemplate(SIMPLE)
    assert template != ChatTemplate(SIMPLE + " ", special_tokens=template.special_tokens)
    assert template != SIMPLE
    assert len({template, ChatTemplate(SIMPLE), ChatTemplate(SIMPLE)}) == 2
    assert template.identity != ChatTemplate(SIMPLE).identity


def test_special_tokens_come_as_a_mapping_or_as_the_tokenizer_has_them() -> None:
    of_tokenizer = SpecialTokens(eos="</s>", named={"image_token": "<image>"})
    assert ChatTemplate(SIMPLE, special_tokens=of_tokenizer).render(HI) == "<user>Hi</s>"
    assert ChatTemplate("{{ image_token }}{{ bos_token is defined }}", special_tokens=of_tokenizer).render(HI) == (
        "<image>False"
    )
    given: dict[str, Any] = {"eos_token": None, "bos_token": "<s>"}
    template = ChatTemplate("{{ bos_token }}{{ eos_token is defined }}", special_tokens=MappingProxyType(given))
    given["bos_token"] = "changed"
    assert template.render(HI) == "<s>False"


def test_arguments_come_before_special_tokens() -> None:
    template = ChatTemplate(SIMPLE, special_tokens={"eos_token": "</s>"})
    assert template.render(HI, eos_token="<end>") == "<user>Hi<end>"
    assert template.render(HI, eos_token=None) == "<user>HiNone"
    assert template.render(HI) == "<user>Hi</s>"


def test_a_variable_may_have_the_name_of_a_function_of_templates() -> None:
    template = ChatTemplate("{{ range }}{{ namespace }}{{ value }}{{ name }}{{ context }}{{ text }}")
    names: dict[str, Any] = {"range": 1, "namespace": 2, "value": 3, "name": 4, "context": 5, "text": 6}
    assert template.render(HI, **names) == "123456"


PARAMETERS = {"self", "messages", "tools", "documents", "add_generation_prompt", "continue_final_message"}


@pytest.mark.parametrize("name", sorted(RESERVED - PARAMETERS))
def test_a_reserved_name_is_no_variable(name: str) -> None:
    with pytest.raises(ConfigurationError, match=name):
        ChatTemplate(SIMPLE).render(HI, **{name: "x"})  # type: ignore[arg-type]


@pytest.mark.parametrize("text", [None, b"{{ x }}", 5, ["a"]])
def test_what_is_no_text_is_no_template(text: Any) -> None:
    with pytest.raises(ConfigurationError, match=type(text).__name__):
        ChatTemplate(text)


@pytest.mark.parametrize(
    "messages", [None, "Hi", b"Hi", 5, [], (), {"role": "user"}, iter(HI), {1}], ids=lambda value: type(value).__name__
)
def test_what_is_no_list_of_messages_is_refused(messages: Any) -> None:
    with pytest.raises(ConfigurationError):
        ChatTemplate(SIMPLE).render(messages)


@pytest.mark.parametrize("message", ["Hi", None, 5, [HI[0]], object()], ids=lambda value: type(value).__name__)
def test_what_is_no_message_is_refused_by_its_place(message: Any) -> None:
    error = _failure(SIMPLE, [HI[0], message])
    assert error.reason == "content"
    assert "message 1" in str(error)


def test_a_message_that_contains_itself_is_refused() -> None:
    message: dict[str, Any] = {"role": "user"}
    message["content"] = [message]
    assert _failure(SIMPLE, [message]).reason == "content"


@pytest.mark.parametrize("documents", ["text", 5, [1], ["a"], [None]])
def test_what_is_no_list_of_documents_is_refused(documents: Any) -> None:
    with pytest.raises(ConfigurationError):
        ChatTemplate(SIMPLE).render(HI, documents=documents)


@pytest.mark.parametrize("name", ["tools", "documents", "style"])
def test_an_argument_that_contains_itself_is_refused(name: str) -> None:
    endless: dict[str, Any] = {}
    endless["again"] = [endless]
    with pytest.raises(ConfigurationError, match="contains itself"):
        ChatTemplate(SIMPLE).render(HI, **{name: [endless]})  # type: ignore[arg-type]


def test_traits_are_attributes() -> None:
    template = ChatTemplate(SIMPLE)
    assert template.traits == inspect_template(SIMPLE)
    assert template.traits is template.traits
    shared = [field.name for field in fields(TemplateTraits) if hasattr(template, field.name)]
    assert {"content_format", "thinking", "supports_tools", "tool_arguments", "variables"} <= set(shared)
    for name in shared:
        assert getattr(template, name) == getattr(template.traits, name)


def test_the_clock_is_looked_at_for_each_rendering() -> None:
    days = iter(range(1, 4))
    template = ChatTemplate("{{ strftime_now('%Y-%m-%d') }}", clock=lambda: datetime(2025, 1, next(days), 12))
    assert [template.render(HI) for _ in range(2)] == ["2025-01-01", "2025-01-02"]
    assert template.render_traced(HI).text == "2025-01-03"
    now = ChatTemplate("{{ strftime_now('%Y') }}").render(HI)
    assert abs(int(now) - datetime.now().year) <= 1


def test_limits_belong_to_the_template() -> None:
    small = ChatTemplate(SIMPLE, limits=TemplateLimits(max_output=8))
    with pytest.raises(TemplateLimitError, match="8 characters"):
        small.render(HI * 2)
    assert small.render(HI) == "<user>Hi"
    assert ChatTemplate(SIMPLE).render(HI * 2) == "<user>Hi<user>Hi"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("{{ absent.field }}", 1),
        ("a\n\nb{{ absent.field }}\n", 3),
        ("{% for m in messages %}\n{{ m.role }}\n{{ m.nothing.field }}\n{% endfor %}\n", 3),
        ("{% macro f(x) %}\n{% if true %}\n{{ x.y.z }}\n{% endif %}\n{% endmacro %}\n\n{{ f({}) }}", 3),
        ("{% macro f() %}{{ caller() }}{% endmacro %}\n{% call f() %}\n{{ messages[0].no.no }}\n{% endcall %}", 3),
        ("{% for m in messages recursive %}\n\n{{ m.nothing.field }}{% endfor %}", 3),
        ("{% for m in messages\n if m.nothing.field %}\n{% endfor %}", 2),
        ("{{ 'a' +\n 'b' }}\n{{ messages[0].role + 1 }}", 3),
        ("{% set x %}\n{{ absent() }}{% endset %}", 2),
        ("\r\n\r\n{{ absent.field }}", 3),
        ("{% generation %}\n{{ absent.field }}\n{% endgeneration %}", 2),
        ("{% block b %}\n{{ absent.field }}\n{% endblock %}", 2),
        ("{#\n\n#}\n{%- raw %}\n{% endraw %}{{ absent.field }}", 5),
        ("{{ messages[0].content.append('x') }}", 1),
        ("\n{% if true %}\n{{ messages.append(1) }}{% endif %}", 3),
        ("\n{{ raise_exception('no') }}", 2),
    ],
)
def test_an_error_tells_its_line_and_its_template(text: str, line: int) -> None:
    error = _failure(text)
    assert error.line == line
    assert error.template == "the-name"
    assert "the-name" in str(error)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{{ raise_exception('Roles must alternate') }}", "raised"),
        ("{{ absent.field }}", "undefined"),
        ("{{ absent + 'a' }}", "undefined"),
        ("{{ messages.append(1) }}", "forbidden"),
        ("{{ messages.__class__.__mro__ }}", "forbidden"),
        ("{{ messages[0].role + 1 }}", "other"),
        ("{{ 1 // 0 }}", "other"),
        ("{% include 'x' %}", "other"),
    ],
)
def test_an_error_tells_whose_fault_it_is(text: str, reason: str) -> None:
    assert _failure(text).reason == reason


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("{% if %}", 1),
        ("a\n{% for x in y %}", 2),
        ("{{ x|no_such_filter }}", 1),
        ("\n\n{{ x is no_such_test }}", 3),
        ("\n{% do x %}", 2),
        ("{{ 'unclosed }}", 1),
        ("{% block a %}{% endblock %}\n{% block a %}{% endblock %}", 2),
    ],
)
def test_a_syntax_error_tells_its_line_and_its_template(text: str, line: int) -> None:
    with pytest.raises(TemplateSyntaxError) as caught:
        ChatTemplate(text, name="the-name")
    assert (caught.value.template, caught.value.line) == ("the-name", line)
    with pytest.raises(TemplateSyntaxError) as again:
        compile_template(text)
    assert (again.value.template, again.value.line) == (None, line)


@pytest.mark.parametrize("text", ["{{ " + "(" * 3000 + ")" * 3000 + " }}", "{% if x %}" * 3000 + "{% endif %}" * 3000])
def test_a_template_that_is_nested_too_deeply_is_a_syntax_error(text: str) -> None:
    with pytest.raises(TemplateSyntaxError):
        ChatTemplate(text)


@pytest.mark.parametrize(
    "error",
    [
        TemplateRenderError("what", template="n", line=3, reason="raised"),
        TemplateSyntaxError("what", template="n", line=3),
        TemplateLimitError("what", template="n"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_errors_survive_pickling(error: ChatTemplateError) -> None:
    for twin in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):
        assert type(twin) is type(error)
        assert str(twin) == "what"
        assert vars(twin) == vars(error)


def test_an_error_of_a_rendering_survives_pickling() -> None:
    error = _failure("\n{{ raise_exception('no') }}")
    twin = pickle.loads(pickle.dumps(error))
    assert (str(twin), twin.template, twin.line, twin.reason) == (str(error), "the-name", 2, "raised")


def test_a_template_is_compiled_once_for_each_text() -> None:
    text = "{{ messages }} compiled once"
    assert compile_template(text) is compile_template(text[:5] + text[5:])
    assert compile_template(text) is not compile_template(text + " ")


def test_what_a_template_sets_is_gone_with_its_rendering() -> None:
    template = ChatTemplate(
        "{{ seen is defined }}{% set seen = 1 %}{% set range = 2 %}{% set ns = namespace(n=0) %}"
        "{% for m in messages %}{% set ns.n = ns.n + 1 %}{% endfor %}{{ ns.n }}{{ range }}"
    )
    assert [template.render(HI) for _ in range(3)] == ["False12"] * 3
    assert ChatTemplate("{{ range(2)|list }}").render(HI) == "[0, 1]"


def test_threads_share_a_template() -> None:
    template = ChatTemplate(
        "{% set ns = namespace(n=0) %}{% macro f(x) %}{{ x }}{% set y = x %}{{ y }}{% endmacro %}"
        "{% for m in messages %}{% set ns.n = ns.n + 1 %}{{ ns.n }}{{ f(m.content) }}{% endfor %}{{ style }}"
    )
    chats = [[{"role": "user", "content": f"{chat}-{turn}"} for turn in range(chat % 7 + 1)] for chat in range(200)]
    with ThreadPoolExecutor(8) as pool:
        prompts = list(pool.map(lambda chat: template.render(chat, style=chat[0]["content"]), chats))
    for chat, prompt in zip(chats, prompts, strict=True):
        said = [message["content"] for message in chat]
        assert prompt == "".join(f"{turn}{text}{text}" for turn, text in enumerate(said, 1)) + said[0]


def test_arguments_are_checked_before_messages_are_read() -> None:
    with pytest.raises(ConfigurationError, match="continue_final_message"):
        ChatTemplate(SIMPLE).render(HI, add_generation_prompt=True, continue_final_message=True)
    with pytest.raises(ConfigurationError, match="tokenize"):
        ChatTemplate(SIMPLE).render([], tokenize=False)


def test_it_says_what_it_is() -> None:
    assert repr(ChatTemplate("abc", name="default")) == "<ChatTemplate default: 3 characters>"
    assert repr(ChatTemplate("abc")) == "<ChatTemplate without a name: 3 characters>"
