"""What `inspect_template` says of real templates is what they do in transformers; and any text is answered."""

from __future__ import annotations

import re
import time
from dataclasses import asdict
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import chat_observations as observed
from tests.data import DATA, HAS_DATA
from tokenfacade.chat.arguments import RESERVED, SPECIAL_TOKENS
from tokenfacade.chat.inspect import TemplateTraits, ThinkingToggle, inspect_template
from tokenfacade.chat.jinja_environment import parse_template
from tokenfacade.chat.trial import thinking_tags
from tokenfacade.chat.trial.run import run_trial
from tokenfacade.errors import TemplateSyntaxError

needs_data = pytest.mark.skipif(not HAS_DATA, reason="the test data is not here; .ci/run insists on it")
TEMPLATES = sorted((DATA / "chat_templates").glob("*.jinja")) if HAS_DATA else []
NAMES = [path.stem for path in TEMPLATES]
every_template = pytest.mark.parametrize("path", TEMPLATES, ids=NAMES)

AMBIGUOUS = {
    (
        "llamacpp-fireworks-ai-llama-3-firefunction-v2",
        "roles",
    ): "it fails without its own arguments functions, datetime",
    ("vllm-tool_chat_template_llama3.1_json", "tool parts"): "each text of a result becomes a JSON object of its own",
    ("llamacpp-moonshotai-Kimi-K2", "assistant parts"): "it prints them in messages that call tools",
}
"""What rendering alone can't decide, and why."""

KINDS = (
    *("image", "image_url", "input_image", "video", "video_url", "audio", "audio_url", "input_audio"),
    *("document", "file", "thinking", "nonsense"),
)
TOGGLES = {
    "llamacpp-Bielik-11B-v3.0-Instruct": ("enable_thinking", False),
    "llamacpp-CohereForAI-c4ai-command-r7b-12-2024-tool_use": ("enable_thinking", False),
    "llamacpp-GLM-4.6": ("enable_thinking", True),
    "llamacpp-HuggingFaceTB-SmolLM3-3B": ("enable_thinking", True),
    "llamacpp-Qwen-QwQ-32B": ("enable_thinking", False),
    "llamacpp-Qwen-Qwen3-0.6B": ("enable_thinking", True),
    "llamacpp-Spark2.5": ("enable_thinking", True),
    "llamacpp-deepseek-ai-DeepSeek-V3.1": ("thinking", False),
    "llamacpp-ibm-granite-granite-3.3-2B-Instruct": ("thinking", False),
    "llamacpp-openbmb-MiniCPM5-1B": ("enable_thinking", True),
    "llamacpp-poolside-Laguna-S-2.1": ("enable_thinking", True),
    "llamacpp-poolside-Laguna-XS.2": ("enable_thinking", False),
    "minimind-cfg": ("open_thinking", False),
}


def read(path: Path) -> tuple[str, TemplateTraits]:
    text = path.read_text(encoding="utf-8")
    return text, inspect_template(text)


@needs_data
def test_all_templates_are_there() -> None:
    assert len(TEMPLATES) >= 72


@needs_data
@every_template
def test_roles_take_the_contents_that_come_out_as_they_are(path: Path) -> None:
    text, traits = read(path)
    if (path.stem, "roles") in AMBIGUOUS:
        assert not any(observed.takes_string(text, role) for role in observed.PLACES)
        return
    for role in observed.PLACES:
        assert (role in traits.string_roles) == observed.takes_string(text, role), role
        if (path.stem, f"{role} parts") not in AMBIGUOUS:
            assert (role in traits.part_roles) == observed.takes_parts(text, role), role
    assert traits.content_format == ("openai" if observed.takes_parts(text, "user") else "string")
    assert traits.requires_parts == (observed.takes_parts(text, "user") and not observed.takes_string(text, "user"))
    assert traits.supports_system_role == any(
        takes(text, "system") for takes in (observed.takes_string, observed.takes_parts)
    )


@needs_data
@every_template
def test_part_types_are_those_that_change_the_prompt(path: Path) -> None:
    text, traits = read(path)
    handled = {kind for kind in KINDS for role in traits.part_roles if observed.handles_part(text, role, kind)}
    assert traits.part_types & {*KINDS} == handled


@needs_data
@every_template
def test_tools_and_documents_are_supported_where_their_words_come_out(path: Path) -> None:
    text, traits = read(path)
    assert traits.supports_tools == observed.takes_tools(text)
    assert traits.supports_documents == observed.takes_documents(text)


@needs_data
@every_template
def test_tool_arguments_come_out_well_in_the_form_that_is_said(path: Path) -> None:
    text, traits = read(path)
    forms = observed.argument_forms(text)
    assert traits.tool_arguments == ("text" if forms == {"text"} else "mapping")


@needs_data
@every_template
def test_the_toggle_changes_what_the_prompt_says_about_thinking(path: Path) -> None:
    text, traits = read(path)
    expected = TOGGLES.get(path.stem)
    assert traits.thinking == (None if expected is None else ThinkingToggle(*expected))
    if traits.thinking is None:
        return
    prompts = {value: observed.opening_prompts(text, **{traits.thinking.variable: value}) for value in (True, False)}
    assert prompts[True] != prompts[False]
    assert observed.opening_prompts(text) != prompts[not traits.thinking.default]


@needs_data
@every_template
def test_templates_without_a_toggle_have_no_argument_that_opens_or_closes_thinking(path: Path) -> None:
    text, traits = read(path)
    if traits.thinking is not None:
        return
    for variable in traits.variables - set(observed.SPECIAL_TOKENS):
        endings = [observed.generation_prompt(text, **{variable: value}) for value in (True, False)]
        assert len({thinking_tags.ends_open(ending) for ending in endings if ending}) <= 1, variable


@needs_data
@every_template
def test_thinking_is_open_where_the_prompt_ends_with_a_tag(path: Path) -> None:
    text, traits = read(path)
    ending = observed.generation_prompt(text).rstrip().rpartition(">")[0]
    assert traits.opens_thinking == (ending.endswith("<think") and "</think" not in ending)


@needs_data
@every_template
def test_variables_are_those_of_transformers_that_a_caller_may_set(path: Path) -> None:
    from transformers.utils.chat_template_utils import _get_template_variables

    text, traits = read(path)
    functions = {"raise_exception", "strftime_now", "namespace", "range", "dict", "lipsum", "cycler", "joiner"}
    found = _get_template_variables(text) - functions - RESERVED - SPECIAL_TOKENS
    assert traits.variables <= found
    for name in found - traits.variables:
        assert re.search(rf"set {name}\b|for (\w+, )?{name}\b|set \w+, {name}\b", text), name
    assert traits.has_generation_blocks == ("endgeneration" in text)


@needs_data
def test_inspecting_is_quick() -> None:
    text = max((path.read_text(encoding="utf-8") for path in TEMPLATES), key=len)
    start = time.thread_time()
    inspect_template(text)
    assert time.thread_time() - start < 2.0


@pytest.mark.parametrize(
    "text",
    [
        "{{ " + "(" * 10_000 + "1" + ")" * 10_000 + " }}",
        "{% if a %}" * 5_000,
        "{{ a " + "+ a " * 10_000 + "}}",
        "{{ a" + ".b" * 10_000 + " }}",
        "{{ not " * 5_000,
        "{{ [" * 5_000,
        "{% for a in b %}",
        "{{ a|there_is_no_such_filter }}",
        "{% unknown_tag %}",
        "{{ 'open",
        "{% break %}{{",
    ],
)
def test_what_is_no_template_is_a_syntax_error(text: str) -> None:
    with pytest.raises(TemplateSyntaxError, match="not a chat template"):
        inspect_template(text)


LOOP = "{% for message in messages %}"

LONG = (
    "{% set ns = namespace(s='abcdefgh') %}{% for i in range(14) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}"
    "{% set s = ns.s %}"
)
TURNS = "{% for a in range(60) %}{% for b in range(60) %}{% for c in range(60) %}"
ENDS = "{% endfor %}" * 3

HOSTILE = [
    (
        "{% set ns = namespace(x=[1]) %}{% for i in range(60) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}"
        "{{ ns.x|tojson }}{{ ns.x|pprint }}{{ ns.x|string }}{{ ns.x|batch(2)|list }}{{ ns.x|min }}{{ ns.x|urlencode }}"
    ),
    (
        "{% set ns = namespace(x={'a': 1}) %}{% for i in range(60) %}{% set ns.x = {'a': ns.x, 'b': ns.x} %}"
        "{% endfor %}{{ ns.x|tojson }}{{ ns.x }}{{ ns.x|dictsort }}"
    ),
    *(
        LONG + TURNS + "{% set x = " + expression + " %}" + ENDS
        for expression in (
            *("s|list|list|list|list|first", "s|last", "s|reverse|first", "'zz' in s", "'z' in s|list", "s[::-1]"),
            *("s.replace('a', s)", "s|replace('a', s)", "s ~ s", "s.split('a')|length", "s|list|unique|list"),
            *("s|batch(3)|list|length", "s|slice(3)|list", "s|list|groupby('x')", "s|sort", "s|random", "s|max"),
            *("s|list|map('upper')|list", "s|tojson", "(s|list) == (s|list)", "s.join(s|list)", "s|list + s|list"),
        )
    ),
    LONG + TURNS + "{{ s }}" + ENDS,
    LONG + "{% set x %}" + TURNS + "{{ s }}" + ENDS + "{% endset %}{{ x }}{{ x }}",
    LOOP
    + "{% set ns = namespace(x=message.content) %}"
    + TURNS
    + "{% set ns.x = ns.x.replace('a', ns.x) %}"
    + ENDS
    + "{{ ns.x }}{% endfor %}",
    LONG + LOOP + "{% if thinking %}<think>" + "{{ s }}" * 200 + "{% endif %}{{ message.content }}{% endfor %}",
    (
        "{% set ns = namespace(x=0) %}{% set d = {"
        + ",".join(f"{number}:0" for number in range(8000))
        + "} %}"
        + TURNS
        + "{% set ns.x = [ns.x, dict(d), d.copy(), d|items|list] %}"
        + ENDS
    ),
    LONG + "{% set ns.x = 0 %}" + TURNS + "{% set ns.x = [ns.x, s.split('h')] %}" + ENDS,
    (
        "{% set l = [" + ",".join(f"v{number}" for number in range(3000)) + "] %}"
        "{% set c = " + str(list(range(512))) + " %}" + TURNS + "{% if (l|random) == c %}{% endif %}" + ENDS
    ),
    TURNS + "{% set x = namespace(a=1) %}{% if messages[0].content == 'a' %}{% endif %}" + ENDS,
    (
        "{% for message in messages %}{{ message.content }}{% endfor %}"
        + LONG
        + "{{ s }}" * 3
        + "".join(
            f"{{% if a{n} %}}<think>{{% endif %}}{{% if b{n} == 'on' %}}<think>{{% elif b{n} == 'off' %}}a{{% endif %}}"
            for n in range(8)
        )
    ),
    "{% for a in [[1]] recursive %}{{ loop([a, a]) }}{{ loop([a, a]) }}{% endfor %}",
    "{% macro f() %}{{ f(*varargs, **kwargs) }}{% endmacro %}" + LONG + "{{ f(*s, a=1) }}{{ f(*s|list, **dict(a=1)) }}",
    "{% macro f() %}{{ f(*(varargs + varargs)) }}{{ f(*(varargs + varargs)) }}{% endmacro %}{{ f(1, 2) }}",
    "{% macro f(x) %}{{ f(x) }}{{ f(x) }}{% endmacro %}{{ f(1) }}",
    "{% for a in range(10**9) %}{% for b in range(10**9) %}{{ a }}{% endfor %}{% endfor %}",
    "{{ 'x' * 3000000000 }}{{ [1] * 3000000000 }}{{ 9 ** 9 ** 9 ** 9 }}",
    "{{ '%1000000000d' % 1 }}{{ '%1000000000d'|format(1) }}{{ 'x'.ljust(10**10) }}{{ 'x'|center(10**10) }}",
    "{% set ns = namespace(x=[1]) %}{% for i in range(60) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}{{ ns.x }}",
    (
        "{% set ns = namespace(x=(1,)) %}{% for i in range(60) %}{% set ns.x = (ns.x, ns.x) %}{% endfor %}"
        "{{ ns.x|sum }}{{ ns.x == bos_token }}{{ bos_token in ns.x }}{{ raise(ns.x, a=ns.x) }}"
    ),
    "{% set ns = namespace(x='a') %}{% for i in range(60) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}{{ ns.x }}",
    "{% set ns = namespace(x=9) %}{% for i in range(60) %}{% set ns.x = ns.x * ns.x %}{% endfor %}{{ ns.x }}",
    "{% set ns = namespace(x=[1]) %}{% for i in range(60) %}{% set ns.x = ns.x + ns.x %}{% endfor %}{{ ns.x }}",
    "{% set ns = namespace(x=1) %}{% for i in range(64) %}{% set ns.x = [ns.x] %}{% endfor %}{{ ns.x|tojson }}",
    LOOP + "{% if message.content == 'x' %}a{% else %}b{% endif %}" * 1_000 + "{% endfor %}",
    "{{ 'a'.replace('a', 'b' * 10) }}{{ ''.join(['a'] * 10) }}{{ 'a'.join(messages) }}{{ messages|sum }}",
    "{{ self }}{{ caller() }}{{ loop.index }}{{ varargs }}{% include 'x' %}",
    "{{ messages[0].__class__.__mro__ }}{{ lipsum.__globals__ }}{{ cycler.__init__ }}",
    "{% set messages.x = 1 %}{% set a, b = 1 %}{{ -'a' }}{{ 1 < 'a' }}{{ none.x }}{{ 5 / 0 }}{{ '5'|int('a') }}",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_templates_are_answered_soon(text: str) -> None:
    start = time.thread_time()
    assert isinstance(inspect_template(text), TemplateTraits)
    assert time.thread_time() - start < 5


def test_a_trial_ends_at_its_deadline_whatever_fuel_is_left() -> None:
    tree = parse_template("{% for a in range(60) %}{% for b in range(60) %}a{% endfor %}{% endfor %}")
    builtins = frozenset({"range"})
    late = run_trial(tree, {}, builtins, fuel=10**6, deadline=time.thread_time())
    assert late.steps < run_trial(tree, {}, builtins, fuel=10**6).steps
    assert len(late.pieces) < 60


FRAGMENTS = st.sampled_from(
    [
        *("{% if message.content is string %}", "{% elif x %}", "{% else %}", "{% endif %}", "{% endfor %}", LOOP),
        *("{{ message.content }}", "{{ message['content'][0].text|trim }}", "{{ x + 1 }}", "{{ messages|length }}"),
        *("{% set x = messages[1:] %}", "{% set ns = namespace(a=1) %}", "{% set ns.a = message %}", "{{ ns.a.role }}"),
        *("{% macro m(a, b=2) %}", "{% endmacro %}", "{{ m(message) }}", "{% break %}", "{% continue %}", "<think>"),
        *("{% generation %}", "{% endgeneration %}", "{{ tools|tojson }}", "{% for k, v in x|items %}", "text"),
        *("{{ messages|map(attribute='content')|join(', ') }}", "{{ x if y else z }}", "{{ a and b or not c }}"),
        *("{{ 'a' ~ b ~ 1 }}", "{% set x %}", "{% endset %}", "{{ a[1:2] }}", "{{ a.b.c() }}", "{{ a in b }}"),
        *("{% with a = 1 %}", "{% endwith %}", "{% call m(1) %}", "{% endcall %}", "{% filter upper %}"),
        *("{% endfilter %}", "{{ {'a': x}.items()|list|last }}", "{{ [1, x]|first|default('a', true) }}"),
    ]
)


@settings(max_examples=150, deadline=None)
@given(st.lists(FRAGMENTS | st.text(max_size=6), max_size=14).map("".join))
def test_any_text_is_answered_or_a_syntax_error(text: str) -> None:
    try:
        traits = inspect_template(text)
    except TemplateSyntaxError:
        return
    assert asdict(inspect_template(text)) == asdict(traits)


@settings(max_examples=100, deadline=None)
@given(
    st.text(alphabet="abc .", min_size=1, max_size=20),
    st.sampled_from(["message.content", "message['content']", "message.get('content')", "message['content']|trim"]),
    st.sampled_from(["messages", "messages[0:]", "(messages|list)", "messages|selectattr('role')", "[] + messages"]),
)
def test_the_spelling_of_access_changes_nothing(literal: str, content: str, loop: str) -> None:
    text = "{% for message in " + loop + " %}" + literal + "{% set c = " + content + " %}{{ c }}{% endfor %}"
    traits = inspect_template(text)
    assert (traits.content_format, traits.supports_system_role, traits.variables) == ("string", True, frozenset())
    assert traits.string_roles == {"system", "developer", "user", "assistant", "tool"}
