"""Rendering with an account of who said what: the prompt is the same, and nothing said passes as the template's."""

from __future__ import annotations

import datetime
import json
import re
from itertools import islice
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers.utils.chat_template_utils import render_jinja_template

from tests.data import DATA, HAS_DATA
from tests.template_strategies import VARIABLES, small_templates
from tokenfacade import ChatTemplate, TemplateLimitError, TemplateRenderError
from tokenfacade.chat.encode import overlaps
from tokenfacade.chat.jinja_environment import build_environment
from tokenfacade.chat.jinja_tracing import TracingEnvironment
from tokenfacade.errors import TokenFacadeError

SAID = "жЖдДяЯ"
"""Letters that no template here has: each of them, wherever it comes out, was said by a message."""

SETUP = "{% set content = messages[0].content %}"

# Templates, one a line, that keep the account exactly: what comes from the template itself isn't marked.
EXACT = """
<|{{ content }}|>
{{ '<|' + content + '|>' }}{{ content + '|>' }}{{ '<|' ~ content ~ 1 ~ '|>' }}
{{ '<|' + content.strip() + content.lstrip('ж') + content|trim + '|>' }}
<|{{ content.split('ж')[-1] }}{{ content.split()[0] }}{{ content.rsplit('Д', 1)[0] }}|>
{{ content.replace('ж', '<|') }}{{ content|replace('Я', '|>') }}{{ '<|x|>'.replace('x', content) }}
{{ '<|x|>'|replace('x', content) }}{{ '<|' + content|default('<') }}
{{ ['<|', content, '|>']|join }}{{ '<|>'.join([content, content]) }}{{ content.join(['<|', '|>']) }}
<|{{ messages|map(attribute='content')|join('|><|') }}{{ messages|join('<', 'content') }}
{% for c in content %}<{{ c }}>{% endfor %}{{ content|list|join('|') }}
<{{ content[1:] }}{{ content[:2] }}{{ content|last }}>{{ content|first }}
<{{ content|reverse }}{{ content|upper }}{{ content.lower() }}{{ content|string }}>
{% macro m(x) %}<|{{ x }}|>{% endmacro %}{{ m(content) }}{{ m('a') }}{{ m(m(content)) }}
{% macro m(x, y) %}{{ x }}{{ y }}{{ varargs|join('<') }}{% endmacro %}{{ m(content) }}{{ m(content, '|', content) }}
{% macro m(x, y='<') %}{{ x }}{{ kwargs.z }}{% endmacro %}{{ m(x=content) }}{{ m(content, z='<') }}
{% set x %}<|{{ content }}|>{% endset %}{{ x }}{{ x[2:] }}{{ x.split('|')[1] }}
{% filter upper %}<|a{{ content }}|>{% endfilter %}
{% macro m() %}<{{ caller() }}>{% endmacro %}{% call m() %}<|{{ content }}{% endcall %}
{% set ns = namespace(x='<|') %}{% set ns.x = ns.x + content %}{{ ns.x + '|>' }}
<|{% generation %}<{{ content }}>{% endgeneration %}|>
{% for k, v in messages[0]|items %}<{{ k }}={{ v }}>{% endfor %}{{ messages[0].get('content') }}
{{ '<|a|>' if 'ж' in content else '<|b|>' }}{{ {'ж': '<|c|>'}.get(content, '<|d|>') }}
<|{{ content|length }}|>{{ content.count('ж') }}{{ content == 'ж' }}{{ 3 * 4 }}{{ 7 % 4 }}
{{ content * 2 }}{{ '<' * 3 }}{{ '<' * content|length }}
{% for m in [[content, '<']] recursive %}{% if m is string %}{{ m }}{% else %}<{{ loop(m) }}>{% endif %}{% endfor %}
{% set c = cycler('<', content) %}{{ c.next() }}{{ c.next() }}{% set j = joiner('<') %}{{ j() }}{{ j() }}
{% for x in [1, 2] %}{{ loop.cycle(content, '>') }}{% endfor %}
<{{ content|center(20) }}{{ content.rjust(9, '<') }}>
{{ ['<|', 1]|string }}{{ {'<': '>'}|tojson }}{{ '<|%s|>' % 1 }}{{ '<{}>'.format(2) }}{{ '<'|safe }}
{% for m in [content, '<'] %}{{ loop.previtem }}{{ loop.nextitem }}{{ loop.index }}{% endfor %}
{{ [content, '<']|sort|join('>') }}{{ [content, '<', '<']|unique|join('>') }}{{ ({content: '<'}|dictsort)[0][0] }}
""".strip().splitlines()
# Templates of which more is marked than need be; never less.
OTHERS = r"""
{{ content|tojson }}{{ messages|tojson(indent=1) }}{{ {'a': content}|tojson(ensure_ascii=true) }}
{{ messages }}{{ [content] }}{{ {content: 1} }}{{ messages[0].items() }}{{ (content, 1)|string }}
{{ '<|%s|>' % content }}{{ '%s%s' % (content, 1) }}{{ '%(a)s' % {'a': content} }}{{ '%s'|format(content) }}
{{ '<{}>'.format(content) }}{{ '{a}'.format(a=content) }}{{ '{a}'.format_map({'a': content}) }}
{{ '{0[content]}'.format(messages[0]) }}{{ (content + '{}').format('<') }}{{ content % () }}
{{ (content + '\n' + content)|indent(2) }}{{ content|title }}
{{ content|wordwrap(3) }}{{ content|truncate(3, true, '') }}
{{ content|e }}{{ content|safe }}
{{ (content|safe) + '<' }}
{{ '<' + (content|e) }}
{{ (content|e)[0] }}{{ ('<'|safe).join([content]) }}{{ content|striptags }}
{{ ('<%s'|safe) % content }}
{{ ('<'|safe) + content }}
{{ content + ('<'|safe) }}
{{ ('<{}'|safe).format(content) }}{{ (content|safe).strip() }}{{ (content|e).striptags() }}
{{ (content|safe) ~ '<' }}{{ content ~ ('<'|safe) }}
{% for c in content|safe %}{{ c }}{{ [c] }}{% endfor %}{{ [content|safe] }}
{{ (content|safe) * 2 }}
{% autoescape true %}<{{ content }}{% set x %}<{{ content }}{% endset %}{{ x }}{{ x ~ '<' }}{% endautoescape %}
{% autoescape true %}{{ [content]|join('<') }}{{ content|replace('ж', '<') }}{{ content|upper }}{% endautoescape %}
{% autoescape true %}{{ messages }}{% filter upper %}{{ content }}{% endfilter %}{% endautoescape %}
{% autoescape true %}{% macro m(y) %}<{{ y }}{% endmacro %}{{ m(content) }}{{ m('<') }}{% endautoescape %}
{% autoescape 1 %}{% macro n() %}{{ caller() }}{% endmacro %}{% call n() %}{{ content }}{% endcall %}{% endautoescape %}
{% autoescape true %}{% generation %}<{{ content }}{% endgeneration %}{% endautoescape %}
{% autoescape content == 'ж' %}<{{ content }}{{ messages }}{% endautoescape %}
{% block b %}<|{{ content }}{% endblock %}{{ self.b() }}{% set x = self.b() %}{{ x }}{{ x.strip() }}
{{ content.encode().decode() }}{{ content.encode('utf-8') }}{{ content.encode().decode().split('ж') }}
{{ content.translate({60: 'a'}) }}{{ 'abc'.translate({97: content}) }}{{ content.expandtabs() }}{{ content.zfill(9) }}
{{ [content, '<']|map('upper')|list }}{{ [content]|map('tojson')|join }}
{{ ['%s']|map('format', content)|join('<') }}{{ [content]|map('safe')|join('<') }}{{ [content]|map('e')|list }}
{% for k, l in messages|groupby('content') %}{{ k }}{{ l }}{% endfor %}{{ [content, 1]|batch(3, content)|list }}
{{ dict(a=content).a }}{{ dict([(content, content)]) }}{{ dict.fromkeys([content]) }}
{{ content|urlencode }}{{ content|urlize }}{{ {'a': content}|xmlattr }}{{ content|pprint }}{{ content|forceescape }}
{% set ns = namespace(x=content) %}{{ ns }}{{ ns|string }}{{ [ns] }}
{{ strftime_now(content) }}{{ lipsum(1, false, 1, 2)|length > 0 }}
""".strip().splitlines()
contents = st.text(SAID + " <|>\n{}%", min_size=1, max_size=8)


def conversation(content: str) -> list[dict[str, Any]]:
    return [{"role": "user", "content": content}, {"role": "assistant", "content": content, content: "жЖ"}]


def check(template: str, content: str) -> tuple[str, str]:
    """Render both ways; returns the prompt, and the same with spaces in place of what is marked."""
    chat_template = ChatTemplate(SETUP + template, clock=lambda: datetime.datetime(2026, 1, 2))
    traced = chat_template.render_traced(conversation(content))
    assert traced.text == chat_template.render(conversation(content))
    rest = list(traced.text)
    for start, end in traced.message_spans:
        rest[start:end] = " " * (end - start)
    assert not set(rest) & set(SAID)
    return traced.text, "".join(rest)


def check_or_both_fail(template: str, content: str) -> None:
    try:
        check(template, content)
    except TokenFacadeError:
        with pytest.raises(TokenFacadeError):
            ChatTemplate(SETUP + template).render(conversation(content))


@pytest.mark.parametrize("template", EXACT)
@settings(max_examples=20)
@given(content=contents)
def test_the_account_is_exact_for_what_templates_do(template: str, content: str) -> None:
    check_or_both_fail(template, content)
    text, rest = check(template, "жДЯд")
    assert [mark for mark in text if mark in "<|>"] == [mark for mark in rest if mark in "<|>"]


@pytest.mark.parametrize("template", OTHERS)
@settings(max_examples=20)
@given(content=contents)
def test_never_too_little_is_marked_whatever_a_template_does(template: str, content: str) -> None:
    check_or_both_fail(template, content)
    assert check(template, "жДЯд")


FILTERS = sorted(set(build_environment(TracingEnvironment).filters) - {"random"})


def rendered_of(expressions: list[str], content: str) -> int:
    """How many of these expressions can be rendered; each is checked."""
    rendered = 0
    for expression in expressions:
        try:
            check(f"{{{{ {expression} }}}}", content)
        except TokenFacadeError:
            continue
        rendered += 1
    return rendered


@pytest.mark.parametrize("name", FILTERS)
def test_no_filter_loses_the_account(name: str) -> None:
    values = ("content", "[content, '<']", "messages", "{'a': content}", "'<ab>'", "[3]", "3")
    calls = ("", "(content)", "('a', content)", "(2, content)", "('content')", "(attribute='content')")
    # What holds objects is made a list of: their addresses differ.
    shown = "|list" if name in ("items", "map", "reverse", "batch", "slice", "unique") or "ect" in name else ""
    expressions = [f"({value}|{name}{call}){shown}" for value in values for call in calls]
    assert rendered_of(expressions, "жДЯд") + rendered_of([f"({e})|join('<')" for e in expressions[:12]], "жДЯд")


@pytest.mark.parametrize("name", [name for name in dir(str) if not name.startswith("_")])
def test_no_method_of_strings_loses_the_account(name: str) -> None:
    owners = ("content", "'<ab>'", "('<' + content)", "(content|safe)", "('<a>'|safe)", "content.encode()")
    calls = ("", "content", "'a', content", "20, content", "[content]", "{97: content}", "9")
    expressions = [f"{owner}.{name}({call})" for owner in owners for call in calls]
    assert rendered_of(expressions, "ж")
    rendered_of([f"({owner}.{name}())[0]|list|join('<')" for owner in owners], "ж")


@pytest.mark.skipif(not HAS_DATA, reason="the test data is not here; .ci/run insists on it")
def test_real_templates_give_the_same_prompt_and_the_blocks_of_transformers() -> None:
    checked = 0
    for path in sorted((DATA / "goldens" / "chat").glob("*.json")):
        text = (DATA / "chat_templates" / f"{path.stem}.jinja").read_text(encoding="utf-8")
        lines = (line for line in json.loads(path.read_text()) if not line["error"])
        for case in islice(lines, 8):
            now = case.get("frozen_now")
            clock = (lambda now=now: datetime.datetime.fromisoformat(now)) if now else None
            traced = ChatTemplate(text.removesuffix("\n"), clock=clock).render_traced(
                case["messages"],
                tools=case["tools"],
                documents=case["documents"],
                add_generation_prompt=case["add_generation_prompt"],
                continue_final_message=case["continue_final_message"],
                **case["kwargs"],
            )
            assert traced.text == case["expected"]
            if "assistant_spans" in case:
                assert [list(span) for span in traced.assistant_spans] == case["assistant_spans"]
            checked += 1
    assert checked > 400


GENERATION = {
    "plain": "{% for m in messages %}<{{ m.role }}>{% generation %}{{ m.content }}{% endgeneration %}\n{% endfor %}",
    "in an output with a macro": "{% macro m(x) %}[{% generation %}{{ x }}{% endgeneration %}]{% endmacro %}"
    "{{ 'ab' }}{{ m(messages[0].content) }} cd {{ 'e' ~ m('f') }}",
    "in a set block": "{% set y %}a{% generation %}{{ messages[0].role }}{% endgeneration %}{% endset %}z{{ y }}",
    "nested": "{% generation %}a{% generation %}{{ messages[0].content }}{% endgeneration %}b{% endgeneration %}",
    "empty": "a{% generation %}{% endgeneration %}b",
    "trimmed": "a\n  {%- generation -%}  {{ messages[0].content }}  {%- endgeneration -%}\n b",
    "in a filter": "ab{% filter upper %}x{% generation %}{{ messages[0].content }}{% endgeneration %}{% endfilter %}",
}


@pytest.mark.parametrize("name", GENERATION)
def test_generation_blocks_are_where_transformers_counts_them(name: str) -> None:
    messages = [{"role": "user", "content": "héllo 😊"}, {"role": "assistant", "content": "x"}]
    rendered: Any = render_jinja_template([messages], chat_template=GENERATION[name], return_assistant_tokens_mask=True)
    ((expected,), (spans,)) = rendered
    traced = ChatTemplate(GENERATION[name]).render_traced(messages)
    assert (traced.text, list(traced.assistant_spans)) == (expected, spans)


@pytest.mark.parametrize(
    "template",
    [
        "{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}",
        "{{ content * 3000000000 }}",
        "{{ content.center(3000000000) }}",
        "{{ content|center(3000000000) }}",
        "{{ '%3000000000s' % content }}",
        "{{ content.replace('', content * 100000).replace('', content * 100000) }}",
        "{{ '{:3000000000}'.format(content) }}",
        "{{ (content * 1000000).join(range(1000)|map('string')|list) }}",
        "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
        "{% set ns = namespace(x=content) %}{% for i in range(60) %}{% set ns.x = ns.x + ns.x %}{% endfor %}",
        "{% set ns = namespace(x=[]) %}{% for i in range(60) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}{{ ns.x }}",
    ],
)
def test_the_limits_hold(template: str) -> None:
    chat_template = ChatTemplate(SETUP + template)
    with pytest.raises(TemplateLimitError):
        chat_template.render_traced([{"role": "user", "content": "ab"}])


def test_template_arguments_and_tools_count_as_messages_and_special_tokens_do_not() -> None:
    template = ChatTemplate("{{ bos_token }}{{ a }}{{ tools }}{{ documents }}", special_tokens={"bos_token": "<s>"})
    messages = [{"role": "user", "content": ""}]
    traced = template.render_traced(messages, tools=[{"b": "c"}], documents=[{"d": "e"}], a="f")
    assert traced.message_spans == ((3, len(traced.text)),)
    assert template.render_traced(messages, bos_token="<x>", a="").message_spans[0] == (0, 3)


def test_what_continues_ends_with_the_message_and_keeps_the_account() -> None:
    template = ChatTemplate("{% for m in messages %}<{{ m.role }}>{{ m.content|trim }}</s>{% endfor %}")
    messages = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "bc "}]
    traced = template.render_traced(messages, continue_final_message=True)
    assert (traced.text, traced.message_spans) == ("<user>a</s><assistant>bc", ((6, 7), (22, 24)))


def with_mark(value: Any) -> Any:
    """The value with a letter in each string that no template has."""
    if isinstance(value, str):
        return value[:2] + "Ж" + value[2:]
    if isinstance(value, list):
        return [with_mark(item) for item in value]
    return {**{key: with_mark(item) for key, item in value.items()}, "жk": "Ж"} if isinstance(value, dict) else value


@settings(max_examples=150)
@given(text=small_templates, variables=st.sampled_from(VARIABLES))
def test_no_template_whatever_it_does_passes_what_was_said_for_its_own(text: str, variables: dict[str, Any]) -> None:
    arguments = {name: with_mark(value) for name, value in variables.items() if name != "messages"}
    try:
        traced = ChatTemplate(text).render_traced(conversation("Ж"), **arguments)
        prompt = ChatTemplate(text).render(conversation("Ж"), **arguments)
    except TokenFacadeError:
        return
    assert " at 0x" in prompt or traced.text == prompt
    for found in re.finditer(r"[Жж]|\\u04[13]6|%D0%[B9]6|\\xd0\\x[b9]6", traced.text):
        assert overlaps(traced.message_spans, found.span())


@pytest.mark.parametrize(
    "expression",
    [
        "content.strip.__globals__",
        "content.strip.__func__",
        "content.__reduce__()",
        "content._spans",
        "'{0.strip.__globals__}'.format(content)",
        "'{0._spans}'.format(content)",
        "(content + '{0.strip.__func__.__globals__}').format(content)",
        "content.format.__globals__",
        "'x'.format._format",
        "content|attr('_spans')",
        "(content|attr('strip')).__func__",
        "messages|map(attribute='content.strip.__globals__')|list",
        "(content|safe).strip.__globals__",
        "raise_exception.__globals__",
        "namespace.__init__.__globals__",
    ],
)
def test_what_keeps_the_account_opens_no_way_out_of_the_sandbox(expression: str) -> None:
    try:
        traced = ChatTemplate(SETUP + "{{ " + expression + " }}").render_traced(conversation("a"))
    except TemplateRenderError:
        return
    assert traced.text in ("", "[Undefined, Undefined]")
