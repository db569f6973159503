"""No template gets out of the sandbox: each fast path refuses exactly what Jinja's own sandbox refuses.

Every template runs here and in the environment of transformers, and must come to the same text or the same sort of
error.
"""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.chat_probes import ESCAPES, here, there

SURROUNDINGS = (
    "%s",
    "{%% for message in messages %%}%s{%% endfor %%}",
    "{%% for message in messages if message.role %%}{{ loop.index }}%s{%% endfor %%}",
    "{%% for message in [messages] recursive %%}%s{%% endfor %%}",
    "{%% macro inner(a, b=1) %%}%s{%% endmacro %%}{{ inner(messages) }}{{ inner(1, b=2) }}",
    "{%% macro outer() %%}{{ caller(messages) }}{%% endmacro %%}{%% call(m) outer() %%}%s{%% endcall %%}",
    "{%% filter upper %%}%s{%% endfilter %%}",
    "{%% set kept %%}%s{%% endset %%}{{ kept }}",
    "{%% generation %%}%s{%% endgeneration %%}",
    "{%% block named scoped %%}%s{%% endblock %%}{{ self.named() }}",
    "{%% autoescape true %%}%s{%% endautoescape %%}",
    "{%% if messages %%}%s{%% endif %%}",
    "{%% with messages = messages[1:] %%}%s{%% endwith %%}",
)

HOLDERS = (
    *("messages", "messages[0]", "messages[1]", "messages[1].content", "messages[2].tool_calls[0]", "message", "loop"),
    *(
        "ns",
        "mac",
        "named",
        "caller",
        "self",
        "range",
        "range(3)",
        "dict",
        "dict(a=1)",
        "namespace",
        "lipsum",
        "cycler",
    ),
    *("cycler('a', 'b')", "joiner", "joiner('|')", "raise_exception", "none", "true", "1", "2.5", "[1, 'a']", "(1, 2)"),
    *(
        "{'a': {'b': 1}, 'f': '{0.__class__}'.format}",
        "'text {0.__class__} {a}'",
        "'text'.format",
        "((missing ~ '<b>')|safe)",
    ),
    *("messages|map('upper')", "messages|batch(2)", "messages[0].items()", "missing", "missing.x", "''.__class__"),
    *("messages.append", "messages[0].get", "'%s'", "namespace(a=1, items=2)", "'a'.encode()", "loop.previtem"),
)
NAMES = (
    *("role", "content", "tool_calls", "a", "b", "x", "f", "items", "keys", "values", "get", "update", "pop", "append"),
    *(
        "upper",
        "split",
        "strip",
        "replace",
        "format",
        "format_map",
        "join",
        "index",
        "count",
        "first",
        "last",
        "length",
    ),
    *("previtem", "nextitem", "index0", "revindex", "cycle", "changed", "next", "reset", "current", "sep", "name"),
    *("arguments", "caller", "real", "to_bytes", "gi_frame", "gi_code", "mro", "func_globals", "budget", "fromkeys"),
    *("_x", "_func", "_iterable", "_private", "_Namespace__attrs", "_TemplateReference__context", "_undefined_hint"),
    *("_fail_with_undefined_error", "_environment", "_items", "_length", "_recurse"),
    *("__class__", "__init__", "__globals__", "__dict__", "__mro__", "__subclasses__", "__call__", "__getitem__"),
    *("__self__", "__func__", "__len__", "__iter__", "__code__", "__wrapped__", "__name__", "__doc__", "__setitem__"),
)
ARGUMENTS = ("", "1", "'a'", "'role', 'x'", "a=1", "*[1]", "**{'a': 1}", "messages", "messages[0]", "'{0.__class__}'")
USES = (
    *("{{ %s }}", "{{ %s is defined }}", "{{ %s is undefined }}", "{{ %s is none }}", "{{ %s is string }}"),
    *("{%% if %s %%}y{%% else %%}n{%% endif %%}", "{%% if not %s %%}y{%% endif %%}", "{{ 'y' if %s else 'n' }}"),
    *(
        "{{ %s == 'a' }}",
        "{%% if %s != 'a' %%}y{%% endif %%}",
        "{{ 'a' in %s }}",
        "{{ %s in ['a', none] }}",
        "{{ not %s }}",
    ),
    *(
        "{%% set v = %s %%}{{ v }}{{ v is defined }}",
        "{%% set ns.v = %s %%}{{ ns.v }}",
        "{{ %s or 'o' }}",
        "{{ %s and 'o' }}",
    ),
    *(
        "{{ %s ~ 'x' }}",
        "{{ 'x' + %s }}",
        "{{ %s * 2 }}",
        "{{ %s %% 2 }}",
        "{{ [%s] }}",
        "{{ {'k': %s}.k }}",
        "{{ %s|list }}",
    ),
    *(
        "{{ %s|default('d') }}",
        "{{ %s|length }}",
        "{{ %s|string }}",
        "{{ %s|tojson }}",
        "{{ %s|first }}",
        "{{ %s|join }}",
    ),
    *("{%% for v in %s %%}{{ v }}{{ loop.last }}{%% endfor %%}", "{{ mac(%s) }}", "{{ mac(1, b=%s) }}", "{{ %s() }}"),
    *(
        "{{ (%s)(1) }}",
        "{{ messages[%s] }}",
        "{{ messages[0][%s] }}",
        "{{ 'x{0}'.format(%s) }}",
        "{{ '%%s'|format(%s) }}",
    ),
    *(
        "{%% with v = %s %%}{{ v }}{%% endwith %%}",
        "{{ %s|map(attribute='a')|list }}",
        "{{ [%s]|map('attr', 'a')|list }}",
    ),
    *(
        "{%% call %s() %%}x{%% endcall %%}",
        "{{ ns.f(%s) }}",
        "{{ %s < 1 }}",
        "{{ (%s or missing)[1:] }}",
        "{{ %s is eq 'a' }}",
    ),
)
PRELUDE = (
    "{% macro mac(a, b=2) %}({{ a }}{{ b }}){% endmacro %}{% macro named(x, caller=none) %}{{ caller }}{% endmacro %}"
    "{% set ns = namespace(a=1, l=messages, f='{0.__class__}'.format, m=mac) %}"
)

names = st.sampled_from(NAMES)
expressions = st.recursive(
    st.sampled_from(HOLDERS),
    lambda inner: st.one_of(
        st.builds("({}).{}".format, inner, names),
        st.builds("({})['{}']".format, inner, names),
        st.builds("({})|attr('{}')".format, inner, names),
        st.builds(lambda holder, name: f"({holder})['{name[:3]}' ~ '{name[3:]}']", inner, names),
        st.builds("({})({})".format, inner, st.sampled_from(ARGUMENTS)),
        st.builds("({}).{}({})".format, inner, names, st.sampled_from(ARGUMENTS)),
        st.builds("(({})|map(attribute='{}')|list)".format, inner, names),
        st.builds("(({})|selectattr('{}')|list)".format, inner, names),
        st.builds("({} if {} else 'e')".format, inner, inner),
        st.builds("({} or {})".format, inner, inner),
    ),
    max_leaves=4,
)


def check(template: str) -> None:
    expected = there(template)
    assert here(template) == expected, template


def test_every_known_escape_ends_as_in_the_sandbox_of_transformers() -> None:
    assert len(ESCAPES) > 800
    for escape in ESCAPES:
        check(escape)


@given(escape=st.sampled_from(ESCAPES), surroundings=st.sampled_from(SURROUNDINGS))
def test_escapes_end_so_in_loops_macros_and_blocks_too(escape: str, surroundings: str) -> None:
    check(surroundings.replace("%%", "%").replace("%s", escape))


@settings(max_examples=400)
@given(expression=expressions, use=st.sampled_from(USES), surroundings=st.sampled_from(SURROUNDINGS))
def test_random_reads_and_calls_end_as_in_the_sandbox_of_transformers(
    expression: str, use: str, surroundings: str
) -> None:
    used = use.replace("%s", f"({expression})").replace("%%", "%")
    check(PRELUDE + surroundings.replace("%%", "%").replace("%s", used))
