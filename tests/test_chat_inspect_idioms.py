"""`inspect_template` on small templates that do one thing each, in the ways in which real ones do it."""

from __future__ import annotations

import pytest

from tests import chat_observations as observed
from tokenfacade.chat import thinking_tags
from tokenfacade.chat.inspect import ThinkingToggle, inspect_template

EACH = "{% for message in messages %}"
END = "{% endfor %}"
PARTS = "{% for part in message.content %}{% if part.type == 'text' %}{{ part.text }}{% endif %}{% endfor %}"
EITHER = "{% if message.content is string %}{{ message.content }}{% else %}" + PARTS + "{% endif %}"

BOTH_SHAPES = {
    "a test for strings": EACH + EITHER + END,
    "a test for what isn't one": EACH
    + "{% if message.content is not string %}"
    + PARTS
    + "{% else %}{{ message.content }}{% endif %}"
    + END,
    "a test for mappings first": EACH
    + "{% if message.content is iterable and message.content is not string %}"
    + PARTS
    + "{% else %}{{ message.content }}{% endif %}"
    + END,
    "a macro": "{% macro show(c) %}{% if c is string %}{{ c }}{% else %}{% for p in c %}{{ p['text'] }}{% endfor %}"
    "{% endif %}{% endmacro %}" + EACH + "{{ show(message['content']) }}" + END,
    "an alias in a namespace": "{% set ns = namespace(text='') %}"
    + EACH
    + "{% set ns.text = '' %}{% set c = message.get('content') %}{% if c is string %}{% set ns.text = c %}{% else %}"
    "{% for p in c %}{% if 'text' in p %}{% set ns.text = ns.text + p.text %}{% endif %}{% endfor %}{% endif %}"
    "{{ ns.text|trim }}" + END,
    "filters": EACH + "{% set c = message.content %}{{ c if c is string else c|selectattr('type', 'equalto', 'text')"
    "|map(attribute='text')|join('') }}" + END,
    "a captured block": EACH + "{% set shown %}" + EITHER + "{% endset %}{{ '<m>' ~ shown|trim ~ '</m>' }}" + END,
    "messages in a slice": "{% set rest = messages[1:] if messages[0].role == 'system' else messages %}"
    "{% for message in rest %}" + EITHER + END,
    "messages in a namespace": "{% set ns = namespace(all=messages) %}{% for message in ns.all %}" + EITHER + END,
    "a recursive macro": "{% macro show(c) %}{% if c is string %}{{ c }}{% elif c is mapping %}{{ c.text }}{% else %}"
    "{% for p in c %}{{ show(p) }}{% endfor %}{% endif %}{% endmacro %}" + EACH + "{{ show(message.content) }}" + END,
}

ONLY_STRINGS = {
    "printed": EACH + "{{ message.content }}" + END,
    "printed if it is a list": EACH
    + "{% if message.content is string %}{{ message.content }}{% else %}{{ message.content }}{% endif %}"
    + END,
    "as JSON if it is a list": EACH
    + "{% if message.content is string %}{{ message.content }}{% else %}{{ message.content|tojson }}{% endif %}"
    + END,
    "refused if it is a list": EACH
    + "{% if message.content is string %}{{ message.content }}{% else %}{{ raise_exception('no') }}{% endif %}"
    + END,
    "added to": EACH + "{{ '<' + message['content'] + '>' }}" + END,
    "stripped": EACH + "{{ message['content'].strip() }}" + END,
    "trimmed": EACH + "{{ message['content']|trim }}" + END,
    "line by line": EACH + "{% for line in message.content.split('\\n') %}{{ line }}{% endfor %}" + END,
    "measured": EACH + "{% if message.content|length > 0 %}{{ message.content }}{% endif %}" + END,
    "cut at a tag": EACH
    + "{% set c = message.content %}{% if '</think>' in c %}{% set c = c.split('</think>')[-1] %}{% endif %}{{ c }}"
    + END,
    "only images are looked for": EACH
    + "{% if message.content is string %}{{ message.content }}{% else %}{% for p in message.content %}"
    "{% if p.type == 'image' %}<image>{% endif %}{% endfor %}{% endif %}" + END,
}

ONLY_PARTS = {
    "a loop": EACH + PARTS + END,
    "the first part": EACH + "{{ message.content[0].text }}" + END,
    "filters": EACH + "{{ message.content|map(attribute='text')|join }}" + END,
    "refused strings": EACH
    + "{% if message.content is string %}{{ raise_exception('parts') }}{% endif %}"
    + PARTS
    + END,
    "a loop for images, and one for texts": EACH
    + "{% for p in message.content|selectattr('type', '==', 'image') %}<image>{% endfor %}"
    "{% for p in message.content|selectattr('type', '==', 'text') %}{{ p.text }}{% endfor %}" + END,
}

SHAPES = [
    *[pytest.param(text, "openai", False, id=f"both: {name}") for name, text in BOTH_SHAPES.items()],
    *[pytest.param(text, "string", False, id=f"strings: {name}") for name, text in ONLY_STRINGS.items()],
    *[pytest.param(text, "openai", True, id=f"parts: {name}") for name, text in ONLY_PARTS.items()],
]


@pytest.mark.parametrize(("text", "content_format", "requires_parts"), SHAPES)
def test_content_is_followed_to_where_it_comes_out(text: str, content_format: str, requires_parts: bool) -> None:  # noqa: FBT001
    traits = inspect_template(text)
    assert (traits.content_format, traits.requires_parts) == (content_format, requires_parts)
    for role in ("user", "assistant", "tool"):
        assert (role in traits.string_roles) == observed.takes_string(text, role)
        assert (role in traits.part_roles) == observed.takes_parts(text, role)


def test_roles_may_differ_in_what_they_take() -> None:
    text = EACH + "{% if message.role == 'user' %}" + PARTS + "{% else %}{{ message.content }}{% endif %}" + END
    traits = inspect_template(text)
    assert traits.part_roles == {"user"}
    assert traits.string_roles == {"system", "developer", "assistant", "tool"}


@pytest.mark.parametrize(
    ("condition", "kinds"),
    [
        ("part.type == 'image'", {"image"}),
        ("part['type'] in ['image', 'image_url']", {"image", "image_url"}),
        ("part.type in ('audio', 'input_audio')", {"audio", "input_audio"}),
        ("'image' in part or 'image_url' in part or part.type == 'image'", {"image", "image_url"}),
        ("part.video is defined", {"video"}),
        ("part.get('document')", {"document"}),
        ("part.type != 'text' and part.type == 'video_url'", {"video_url"}),
        ("false", set()),
    ],
)
def test_part_types_are_those_that_are_told_apart(condition: str, kinds: set[str]) -> None:
    shown = "{% for part in message.content %}{% if " + condition + " %}<media>{% elif part.type == 'text' %}"
    text = EACH + shown + "{{ part.text }}{% endif %}{% endfor %}" + END
    assert inspect_template(text).part_types == kinds


def test_a_type_that_is_refused_is_not_known() -> None:
    refusing = "{% if part.type == 'audio' %}{{ raise_exception('no audio') }}{% else %}{{ part.text }}{% endif %}"
    assert not inspect_template(EACH + "{% for part in message.content %}" + refusing + END + END).part_types


def test_a_template_that_takes_whatever_is_not_text_for_an_image_knows_images() -> None:
    shown = "{% if part.type == 'text' %}{{ part.text }}{% else %}<image>{% endif %}"
    assert inspect_template(EACH + "{% for part in message.content %}" + shown + END + END).part_types == {"image"}


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
    assert traits.thinking == ThinkingToggle(traits.thinking.variable, toggle != "off", toggle != "inverted")
    assert traits.opens_thinking == bool(opens)
    assert thinking_tags.ends_open(observed.generation_prompt(text)) == bool(opens)


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


@pytest.mark.parametrize(
    ("text", "tools"),
    [
        ("{% if tools %}{{ tools|tojson }}{% endif %}", True),
        ("{% for tool in tools or [] %}{{ tool.function.name }}{% endfor %}", True),
        (
            "{% set all = tools if tools else [] %}{% for t in all %}{{ t['function']|tojson }}{% endfor %}",
            True,
        ),
        (
            "{% macro show(t) %}{{ t.function.name }}{% endmacro %}{% if tools %}{{ show(tools[0]) }}{% endif %}",
            True,
        ),
        ("{% if tools is defined and tools %}{{ raise_exception('no tools') }}{% endif %}", False),
        ("{% if tools %}You have {{ tools|length }} tools.{% endif %}", False),
        ("{% set tools = [] %}{{ tools|tojson }}", False),
        ("{% if functions %}{{ functions|tojson }}{% endif %}", False),
    ],
)
def test_tools_are_supported_where_they_reach_the_output(text: str, tools: bool) -> None:  # noqa: FBT001
    assert inspect_template(text + SHOWN).supports_tools is tools is observed.takes_tools(text + SHOWN)
    documents = (text + SHOWN).replace("tools", "documents").replace("function", "title").replace("title.", "")
    assert not inspect_template(documents).supports_tools


@pytest.mark.parametrize(
    ("text", "supported"),
    [
        (SHOWN, True),
        (
            "{% if messages[0].role == 'system' %}{{ messages[0].content }}{% endif %}",
            True,
        ),
        (
            EACH + "{% if message.role == 'system' %}{{ raise_exception('no') }}{% endif %}{{ message.content }}" + END,
            False,
        ),
        (EACH + "{% if message.role == 'user' %}{{ message.content }}{% endif %}" + END, False),
        ("{% for m in messages|rejectattr('role', '==', 'system') %}{{ m.content }}{% endfor %}", False),
        ("{% set s = messages|selectattr('role', '==', 'system')|map(attribute='content')|join %}{{ s }}", True),
        ("{% for m in messages if m.role != 'system' %}{{ m.content }}{% endfor %}", False),
    ],
)
def test_a_system_role_is_supported_where_its_words_come_out(text: str, supported: bool) -> None:  # noqa: FBT001
    assert inspect_template(text).supports_system_role is supported is observed.takes_string(text, "system")


CALLS = EACH + "{{ message.content }}{% for call in message.tool_calls or [] %}{% set f = call.function %}"


@pytest.mark.parametrize(
    ("printed", "arguments"),
    [
        ("{{ f.arguments|tojson }}", "mapping"),
        ("{{ call|tojson }}", "mapping"),
        ("{% for name, value in f.arguments|items %}{{ name }}={{ value }}{% endfor %}", "mapping"),
        ("{% for name, value in f['arguments'].items() %}{{ name }}={{ value|tojson }}{% endfor %}", "mapping"),
        ("{% for name in f.arguments %}{{ name }}={{ f.arguments[name] }}{% endfor %}", "mapping"),
        ("{{ f.arguments if f.arguments is string else f.arguments|tojson }}", "mapping"),
        ("{% if f.arguments is mapping %}{{ f.arguments|tojson }}{% else %}{{ f.arguments }}{% endif %}", "mapping"),
        ("{{ '{\"arguments\": ' + f.arguments + '}' }}", "text"),
        ("{{ f.arguments }}", "text"),
        ("{{ f.name ~ f.arguments|trim }}", "text"),
        ("{% set a = f['arguments'] %}{{ a.strip() }}", "text"),
        ("{% if f.arguments is not string %}{{ raise_exception('text') }}{% endif %}{{ f.arguments }}", "text"),
        ("{{ f.name }}", "mapping"),
    ],
)
def test_arguments_of_tool_calls_are_wanted_as_they_come_out(printed: str, arguments: str) -> None:
    text = CALLS + printed + END + END
    assert inspect_template(text).tool_arguments == arguments
    assert arguments in (observed.argument_forms(text) or {arguments})


def test_variables_are_what_a_caller_may_add() -> None:
    text = "{{ bos_token }}{% if mode %}{{ strftime_now('%Y') }}{% endif %}{% set x = 1 %}{{ x }}{{ tools }}" + SHOWN
    traits = inspect_template(text)
    assert traits.variables == {"mode"}
    assert not traits.has_generation_blocks
    assert inspect_template(
        EACH + "{% generation %}{{ message.content }}{% endgeneration %}" + END
    ).has_generation_blocks
