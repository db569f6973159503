"""What templates see of the caller's objects: as in transformers, and the objects themselves where they are plain."""

from __future__ import annotations

import dataclasses
from collections import OrderedDict, UserDict, UserList, defaultdict, namedtuple
from enum import Enum, IntEnum
from types import MappingProxyType, SimpleNamespace
from typing import Any

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.chat_reference import reference_chat
from tokenfacade import ChatTemplate
from tokenfacade.chat.plain_data import plain
from tokenfacade.errors import TemplateRenderError


class Text(str):
    """A string with a method that a sandbox wouldn't know."""

    def __str__(self) -> str:
        return "another text"

    def save(self, path: str) -> None:
        raise NotImplementedError


class Whole(int):
    def __int__(self) -> int:
        return 99


class Real(float):
    def __float__(self) -> float:
        return 99.0


class Role(str, Enum):
    USER = "user"


class Level(IntEnum):
    HIGH = 3


class Listed(list):  # type: ignore[type-arg]
    pass


class Model:
    """As pydantic's models are."""

    def __init__(self, **values: Any) -> None:
        self._values = values

    def model_dump(self) -> dict[str, Any]:
        return self._values


class NotCallable:
    model_dump = "a text"


@dataclasses.dataclass
class Part:
    text: Any
    type: str = "text"


@dataclasses.dataclass
class Sent:
    role: str
    content: Any
    name: Any = None

    def items(self) -> Any:
        return dataclasses.asdict(self).items()


Pair = namedtuple("Pair", "one two")

OBJECTS: list[Any] = [
    Text("a"),
    Whole(3),
    Real(2.5),
    Role.USER,
    Level.HIGH,
    True,
    Listed([1, Text("b")]),
    (1, [2]),
    Pair(1, Text("c")),
    {1, 2},
    frozenset(),
    b"bytes",
    bytearray(b"bytes"),
    1j,
    object(),
    SimpleNamespace(a=1),
    Model(role="user", content=Model(a=(1, Role.USER))),
    NotCallable(),
    Part("x"),
    Part(Part([Part(object())])),
    Part,
    MappingProxyType({"a": Part("y")}),
    OrderedDict(b=1, a=Text("d")),
    defaultdict(list, a=[1]),
    UserDict({"a": Text("e")}),
    UserList([1]),
    iter([1]),
    range(3),
    len,
    lambda: None,
    numpy.float64(1.5),
    numpy.float32(0.1),
    numpy.int64(3),
    numpy.bool_(0),
    numpy.str_("n"),
    numpy.datetime64("2020-01-01"),
    numpy.array([1, 2]),
    numpy.array(5),
    {Text("key"): 1, 2: "two", None: 0, (1, Text("f")): [], 1.5: "x", Role.USER: 1},
]


def _types(value: Any) -> Any:
    """The value with the exact type of each part, which equality alone doesn't tell."""
    if isinstance(value, dict):
        return type(value), [(_types(key), _types(item)) for key, item in value.items()]
    if isinstance(value, list | tuple):
        return type(value), [_types(item) for item in value]
    return type(value), repr(value)


def _same_as_reference(value: Any) -> None:
    from transformers.utils.chat_template_utils import _plain_template_data

    assert _types(plain(value)) == _types(_plain_template_data(value))


@pytest.mark.parametrize("value", OBJECTS, ids=lambda value: type(value).__name__)
def test_an_object_becomes_what_the_reference_makes_of_it(value: Any) -> None:
    _same_as_reference(value)
    _same_as_reference([{"content": [value, {"deep": (value,)}]}])


_leaves = (
    st.sampled_from([value for value in OBJECTS if not hasattr(value, "__next__")]) | st.text(max_size=3) | st.none()
)
_keys = st.text(max_size=2) | st.integers(0, 2) | st.sampled_from([Text("k"), Role.USER, None, True])
_nested: st.SearchStrategy[Any] = st.recursive(
    _leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(_keys, inner, max_size=3),
        st.dictionaries(_keys, inner, max_size=2).map(MappingProxyType),
        inner.map(Part),
        inner.map(lambda value: Model(value=value)),
    ),
    max_leaves=8,
)


@given(_nested)
def test_nested_objects_become_what_the_reference_makes_of_them(value: Any) -> None:
    before = _types(value)
    _same_as_reference(value)
    assert _types(value) == before
    assert plain(plain(value)) is plain(value) or _types(plain(plain(value))) == _types(plain(value))


_plain_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.lists(inner).map(tuple) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(_plain_values)
def test_what_is_plain_stays_itself(value: Any) -> None:
    assert plain(value) is value


def test_only_what_is_not_plain_is_built_anew() -> None:
    kept = {"type": "text", "text": ["plain"]}
    made = plain([kept, {"image": object()}, kept])
    assert made[0] is made[2] is kept
    assert made[1] == {"image": "<object>"}


def test_what_contains_itself_is_refused() -> None:
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(RecursionError):
        plain(endless)
    with pytest.raises(TemplateRenderError):
        ChatTemplate("{{ messages }}").render([{"role": "user", "content": endless}])


CONTAINERS: list[Any] = [
    ({"role": "user", "content": "Hi"}, {"role": "assistant", "content": ("a", "b")}),
    [MappingProxyType({"role": "user", "content": MappingProxyType({"a": [1]})})],
    [OrderedDict(content="Hi", role=Role.USER, name=None)],
    [UserDict(role="user", content=Part("x"))],
    [{"role": "user", "content": [Part("x"), Model(type="image", image=object()), {"type": "image", "image": b"png"}]}],
    [{"role": Text("user"), "content": numpy.str_("Hi"), "n": numpy.int64(5), "no": numpy.bool_(0)}],
    [{"role": "assistant", "tool_calls": (Model(function=Model(name="f", arguments={"x": Level.HIGH})),)}],
    [{"role": "assistant", "reasoning": Text("because"), "content": None}],
    [{"role": "assistant", "thinking": ["a"], "reasoning": "b", "content": Whole(5), 3: Real(1.5), None: "none"}],
    [Sent("user", [Part("Hi")])],
]


PRINTERS = {
    "all": "{{ messages }}",
    "json": "{% for m in messages %}{{ m|tojson if 3 not in m else m }}{% endfor %}",
    "fields": (
        "{% for m in messages %}{{ m.role.upper() }}{{ m.content is string }}{{ m.content is mapping }}{{ m.content }}"
        "{{ m.content is sequence }}{{ m.no is defined and not m.no }}{{ m.reasoning_content }}{% endfor %}"
    ),
    "parts": (
        "{% for m in messages %}{% for part in m.content %}"
        "{{ part.type == 'image' }}{{ part.image is string }}{{ part }}{% endfor %}{% endfor %}"
    ),
}


@pytest.mark.parametrize("messages", CONTAINERS)
@pytest.mark.parametrize("template", PRINTERS.values(), ids=PRINTERS)
def test_messages_may_be_any_kind_of_mapping(template: str, messages: Any) -> None:
    if isinstance(messages[0], Sent):
        # The reference takes its items for the keys, and then is content; a dataclass needs no such method here.
        assert ChatTemplate("{{ messages }}").render(messages) == (
            "[{'role': 'user', 'content': [{'text': 'Hi', 'type': 'text'}]}]"
        )
        return
    kind, theirs = reference_chat(template, messages)
    if kind == "error":
        with pytest.raises(TemplateRenderError):
            ChatTemplate(template).render(messages)
    else:
        assert ChatTemplate(template).render(messages) == theirs


def test_a_class_of_models_is_no_model() -> None:
    # The reference calls its model_dump, and fails.
    assert plain([Model, Part]) == ["<type>", "<type>"]


def test_a_placeholder_has_no_methods_of_the_object() -> None:
    class Image:
        def save(self, path: str) -> str:
            raise NotImplementedError

    message = {"role": "user", "content": [{"type": "image", "image": Image()}]}
    assert ChatTemplate("{{ messages[0].content[0].image }}").render([message]) == "<Image>"
    with pytest.raises(TemplateRenderError) as caught:
        ChatTemplate("{{ messages[0].content[0].image.save('x') }}").render([message])
    assert caught.value.reason == "undefined"
