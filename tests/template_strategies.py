"""Small random chat templates from a grammar, which both environments must render alike."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

NAMES = "s s n n l l d d k f v w text item loop ns messages q absent missing".split()
KEYS = "a x items get keys values upper nope index first last name role _p real".split()
METHODS = """
    upper() strip() split() split('l') startswith('h') endswith(w) replace('l',s) join(l) title() find('l') items()
    get('a') get('nope',n) get(s) keys() values() copy() count('a') index('b') pop('a') append(1) format(s) format(a=n)
    lstrip('h') rsplit('l',1) isdigit() splitlines() center(9) encode() update(a=1) nope() bit_length() zfill(4)
""".split()
FILTERS = """
    upper lower trim length count list first last join join(',') join(w) tojson tojson(indent=1)
    tojson(ensure_ascii=true,sort_keys=true) default('z') default('z',true) d(n) string int int(3) float abs round
    round(1) sort reverse reverse|list unique|list sum min max map('upper')|list map(attribute='a')|list
    map(attribute='a',default=1)|join select|list reject('odd')|list select('string')|list rejectattr('a')|list
    selectattr('x')|list selectattr('x','equalto',5)|list items|list dictsort replace('l','L') replace(s,w) indent
    indent(2,true) capitalize title escape e safe forceescape striptags truncate(4) wordcount wordwrap(3) center(7)
    batch(2)|list slice(2)|list groupby('a')|list attr('a') attr('upper') format(n) urlencode pprint xmlattr urlize
    filesizeformat
""".split()
TESTS = """
    defined undefined none string mapping sequence iterable number integer float boolean true false odd even
    divisibleby(2) callable lower upper escaped sameas(n) eq(s) ne(1) lt(3) gt(n) in(l) in(d) equalto('a') filter test
""".split()
CONSTANTS = """
    1 0 -1 2.5 true false none '' 'a' "hel\\nlo" '%s' '{}' 'é😀' '<&>' [] {} () [1,'a',none] {'a':1,'x':n} (1,'b')
    range(3) dict(a=n) namespace(a=s) 'x'*3 7%3 10**20
""".split()
BINARY = [*"+ - * / // % ~ and or == != < >= in".split(), "not in"]

VARIABLES: list[dict[str, Any]] = [
    {
        "l": ["a", 1, None, 2.5, "b"],
        "d": {"a": 1, "b": {"c": [1, 2]}, "é": "<x>"},
        "s": "hello",
        "n": 7,
        "k": {"items": [1], "get": 2, "keys": 3, "values": 4, "copy": 5, "pop": 6, "update": 7, "x": 5},
    },
    {
        "s": "h<ello",
        "n": 8,
        "l": ["a", 1, None, 2.5, "b"],
        "d": {"a": 1, "b": {"c": [1, 2]}, "x": "<y>"},
        "k": {"items": [1], "get": 2, "keys": "K", "values": {"a": 3}, "copy": 5, "pop": 6, "update": 7, "x": 5},
        "f": 1.5,
        "w": "o",
        "v": [{"a": 1, "x": 5}, {"a": "z"}],
    },
    {"s": "", "n": 0, "l": [], "d": {}, "k": None, "f": -0.0, "w": None, "v": "héllo", "text": "t", "q": True},
    {
        "s": "  two\nlines %s {a} ",
        "n": -3,
        "l": ["b", "A", "a"],
        "d": {"é": "1", "upper": "u", "a": ["p", "q"], "role": {"name": "N"}},
        "k": {"a": {"a": {"a": 1}}, "x": "hello"},
        "f": 10,
        "w": "a",
        "v": [1, 2, 2],
        "item": "I",
        "missing": {"a": "M"},
    },
]


def _expressions(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Expressions with these inside."""
    key = st.sampled_from(KEYS)
    return st.one_of(
        st.builds("{}.{}".format, inner, key),
        st.builds("{}['{}']".format, inner, key),
        st.builds("{}[{}]".format, inner, inner | st.sampled_from(["0", "-1", "9", "1:", ":-1", "::2", "::-1", "n:"])),
        st.builds("{}.{}".format, inner, st.sampled_from(METHODS)),
        st.builds("{}|{}".format, inner, st.sampled_from(FILTERS)),
        st.builds("({} is {}{})".format, inner, st.sampled_from(["", "not "]), st.sampled_from(TESTS)),
        st.builds("({} {} {})".format, inner, st.sampled_from(BINARY), inner),
        st.builds("({} + {} + {})".format, inner, inner, inner),
        st.builds("({} < {} <= {})".format, inner, inner, inner),
        st.builds("({} if {})".format, inner, inner),
        st.builds("({} if {} else {})".format, inner, inner, inner),
        st.builds("(not {})".format, inner),
        st.builds("(-{})".format, inner),
        st.builds("[{}, {}]".format, inner, inner),
        st.builds("{{'a': {}, 'x': {}}}".format, inner, inner),
        st.builds("({} == '{}')".format, inner, st.sampled_from(["a", "hello", ""])),
        st.builds("m({})".format, inner),
        st.builds("m({}, a={})".format, inner, inner),
        st.builds(
            "loop.{}".format,
            st.sampled_from(["index", "last", "length", "previtem", "nextitem", "cycle(1, s)", "depth"]),
        ),
        st.builds("loop.changed({})".format, inner),
    )


expressions = st.recursive(st.sampled_from(NAMES) | st.sampled_from(CONSTANTS), _expressions, max_leaves=5)
"""Expressions, of which about a third can be evaluated."""

_literals = st.sampled_from(["x", " ", "\n", "\n  ", "<|im_start|>", "é", "{# c #}", "{% raw %}{{ s }}{% endraw %}"])
_prints = st.builds(
    "{}{{{{{} {} {}}}}}".format, _literals, st.sampled_from(["", "-"]), expressions, st.sampled_from(["", "-"])
)
_targets = st.sampled_from(["q", "text", "v", "w", "item", "loop", "ns", "s", "messages", "resolve"])


def _tag(content: str, marks: str) -> str:
    return "{%" + marks[:1].strip() + " " + content + " " + marks[1:].strip() + "%}"


_marks = st.sampled_from(["  ", "- ", " -", "--", "+ ", " +"])
_tags = st.builds(_tag, st.just("{}"), _marks)


@st.composite
def _statements(draw: st.DrawFn, inner: st.SearchStrategy[str]) -> str:
    expression = draw(expressions)
    body = draw(inner)
    target = draw(_targets)
    kind = draw(st.integers(0, 15))
    condition = draw(st.sampled_from(["", f" if {target} is defined", " if w", f" if {target} != 'a'"]))
    heads: list[tuple[str, str]] = [
        (f"if {expression}", "endif"),
        (f"if {expression}", "endif"),
        (f"for {target} in {expression}{condition}", "endfor"),
        (f"for {target} in l{condition}", "endfor"),
        (f"for {target} in [s, n, d]{condition}", "endfor"),
        (
            f"for {target}, q in {draw(st.sampled_from(['d.items()', 'k|items', '[(1, s), (n, 2)]', expression]))}",
            "endfor",
        ),
        (f"for {target} in d.values() recursive", "endfor"),
        (f"set {target}", "endset"),
        (f"macro m({target}, a={expression})", "endmacro"),
        (f"with {target} = {expression}", "endwith"),
        (f"filter {draw(st.sampled_from(['upper', 'trim', 'indent(2)', 'e', 'length']))}", "endfilter"),
        ("generation", "endgeneration"),
        (f"call({target}) m({expression})", "endcall"),
        (f"call m({expression})", "endcall"),
        (f"autoescape {draw(st.sampled_from(['true', 'false', 'n']))}", "endautoescape"),
        (f"block b{draw(st.integers(0, 999))}{draw(st.sampled_from(['', ' scoped']))}", "endblock"),
    ]
    head, end = heads[kind]
    middle = ""
    if head.startswith(("if", "for")) and draw(st.booleans()):
        middle = _tag("else", draw(_marks)) + draw(inner)
    if head.startswith("for") and draw(st.integers(0, 3)) == 0:
        middle = (
            "{% if loop.index > 1 %}{% "
            + draw(st.sampled_from(["break", "continue"]))
            + " %}{% endif %}"
            + body
            + middle
        )
    return _tag(head, draw(_marks)) + body + middle + _tag(end, draw(_marks))


_simple = st.one_of(
    _prints,
    _prints,
    st.builds("{{% set {} = {} %}}".format, _targets, expressions),
    st.builds("{{% set ns.{} = {} %}}".format, st.sampled_from(["a", "x", "items", "values"]), expressions),
    st.builds("{{% set {}, q = {}, {} %}}".format, _targets, expressions, expressions),
    st.just("{% macro m(q, a=1) %}[{{ q }}{{ a }}{{ caller(q) if caller }}{{ varargs }}]{% endmacro %}"),
    st.just("{% set ns = namespace(a=1, x=[]) %}"),
    st.just("{{ m(s) }}"),
)
_bodies: st.SearchStrategy[str] = st.recursive(
    _simple, lambda inner: st.lists(_statements(inner) | _simple, min_size=1, max_size=3).map("".join), max_leaves=6
)

HEAD = "{% macro m(q, a=1) %}[{{ q }}{{ a }}{{ caller(q) if caller }}]{% endmacro %}{% set ns = namespace(a=1, x=s) %}"
small_templates = st.builds("{}{}".format, st.sampled_from(["", HEAD]), _bodies)
"""Templates of a few statements."""
