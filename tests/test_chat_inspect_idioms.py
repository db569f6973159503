"""`inspect_template` on small templates that do one thing each, in the ways in which real ones do it."""

from __future__ import annotations

import pytest

from tests import chat_observations as observed
from tokenfacade.chat.inspect import inspect_template

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

BOTH_SHAPES["a loop that calls itself"] = (
    "{% for m in messages recursive %}{% if m.content is string %}{{ m.content }}{% elif m.content is defined %}"
    "{{ loop(m.content) }}{% elif m.type == 'text' %}{{ m.text }}{% endif %}{% endfor %}"
)

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

GROUPED = {
    "messages in batches": "{% for some in messages|batch(2) %}{% for m in some %}{{ m.content }}{% endfor %}"
    "{% endfor %}",
    "messages by role": "{% for role, some in messages|groupby('role') %}{% for m in some %}{{ m.content }}"
    "{% endfor %}{% endfor %}",
    "messages by role, by name": "{% for group in messages|groupby('role') %}{{ group.grouper }}"
    "{% for m in group.list %}{{ m.content }}{% endfor %}{% endfor %}",
    "messages in a slice of one": "{% for some in messages|slice(1) %}{% for m in some %}{{ m.content }}{% endfor %}"
    "{% endfor %}",
    "messages in three slices": "{% for some in messages|slice(3) %}{% for m in some %}{{ m.content }}{% endfor %}"
    "{% endfor %}",
    "one of one": EACH + "{{ [message.content]|random }}" + END,
    "the greatest": EACH + "{{ ([message]|max(attribute='role')).content }}" + END,
    "the least": EACH + "{{ ([message]|min(attribute='role')).content }}" + END,
    "a cycle": EACH + "{{ cycler(message).next().content }}{{ cycler('a', 'b').next() }}" + END,
    "a cycle's present": EACH + "{% set c = cycler(message) %}{{ c.current.content }}{{ c.reset() or '' }}" + END,
}
ONLY_STRINGS |= GROUPED
ONLY_STRINGS |= {
    "by a key that nobody knows": EACH + "{{ message[key|default('content')] }}" + END,
    "a sum": EACH + "{{ [[message.content]]|sum(start=[])|first }}" + END,
}
BOTH_SHAPES |= {
    f"{name}, each either": text.replace("{{ m.content }}", EITHER.replace("message.", "m."))
    for name, text in GROUPED.items()
    if "{{ m.content }}" in text
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


@pytest.mark.parametrize("choice", ["messages|random", "messages|max(attribute='role')", "cycler(*messages).next()"])
def test_a_value_that_nobody_knows_may_be_a_string_but_no_list_of_parts(choice: str) -> None:
    traits = inspect_template("{{ (" + choice + ").content }}")
    assert "user" in traits.string_roles
    assert not traits.part_roles


def test_what_is_printed_for_a_look_is_no_list_of_parts() -> None:
    assert not inspect_template(EACH + "{{ message.content|pprint }}" + END).part_roles


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
    "shown",
    [
        *("{{ d.page_content }}", "{{ d['body'] }}", "{{ d.data|tojson }}", "{{ d.get('snippet') }}", "{{ d }}"),
        *(
            "{% if 'passage' in d %}{{ d.passage }}{% endif %}",
            "{% for k, v in d.items() %}{{ k }}: {{ v }}{% endfor %}",
        ),
        *("{{ show(d) }}", "{{ show(*[d]) }}", "{{ show(**{'d': d}) }}", "{{ list(*[1, d], **{'x': d}) }}"),
        *("{{ all(d=d) }}", "{{ all(**{'d': d}) }}", "{{ (dict(**{'x': d})).x.title }}"),
    ],
)
def test_documents_are_supported_where_any_key_of_them_comes_out(shown: str) -> None:
    macros = (
        "{% macro show(d) %}{{ d.title }}{% endmacro %}{% macro list() %}{{ varargs|length }}{{ kwargs.x.text }}"
        "{% endmacro %}{% macro all() %}{% for k, v in kwargs.items() %}{{ v.title }}{% endfor %}{% endmacro %}"
    )
    text = macros + "{% for d in documents or [] %}" + shown + "{% endfor %}" + SHOWN
    assert inspect_template(text).supports_documents
    assert not inspect_template(text.replace(shown, "{{ d|length }}")).supports_documents


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
