"""Functions become the schemas that transformers makes of them, and fail exactly where it fails."""

from __future__ import annotations

import functools
import json
import string
import sys
import types
from collections.abc import Callable, Sequence
from enum import Enum, IntEnum
from typing import Any, Literal, Optional, Union, no_type_check

import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers.utils.chat_template_utils import get_json_schema

from tokenfacade.chat.tools import tool_schemas
from tokenfacade.errors import ConfigurationError


class Colour(Enum):
    RED = "red"
    GREEN = "green"


class Mixed(Enum):
    ONE = 1
    TWO = "two"
    NONE = None


class Level(IntEnum):
    LOW = 1


class Empty(Enum):
    pass


class Unwritable(Enum):
    PAIR = (1, 2)


class Custom:
    pass


HINTS: list[Any] = [
    int,
    float,
    str,
    bool,
    None,
    Any,
    list,
    tuple,
    dict,
    Colour,
    Mixed,
    Level,
    Empty,
    Unwritable,
    Custom,
    object,
    type,
    set[int],
    list[int],
    list[list[str]],
    tuple[int, str],
    tuple[int],
    tuple[int, ...],
    tuple[()],
    dict[str, float],
    dict[int, Custom],
    int | None,
    int | str,
    str | int | None,
    list | tuple,
    list[int] | dict[str, int] | None,
    Optional[Colour],  # noqa: UP045
    Union[int, Any],  # noqa: UP007
    Literal["a", "b"],
    Literal[1, "a", None, True],
    Literal[b"bytes"],
    Literal[()],
    Literal,
    Callable[[int], str],
    Sequence[int],
    ...,
    [int],
    "int",
    "list[int]",
    "Missing",
    "not a type",
    3,
]

SECTIONS = ["Args:", "Returns:", "Raises:", "Yields:", "Note:"]
ENTRIES = ["a:", "b:", "c:", "self:", "a: b:", "*args:"]
CHOICES = ["(choices:", '["x", " y "])', "[1])", "{})", "()", ")", "(CHOICES: [1, 2])"]
WORDS = [*SECTIONS, *ENTRIES, *CHOICES, "The", "text.", "\u2028", "\r", "\x0b"]
INDENTS = ["", "  ", "    ", "\t", "        ", "    \t"]

lines = st.builds(
    lambda indent, words, end: indent + " ".join(words) + end,
    st.sampled_from(INDENTS),
    st.lists(st.sampled_from(WORDS), max_size=4),
    st.sampled_from(["", " ", ":"]),
)
wild_documentation = st.lists(lines, max_size=12).map("\n".join) | st.text(max_size=30)


@st.composite
def sound_documentation(draw: st.DrawFn) -> str:
    """A Google docstring with odd indents, blank lines and long entries."""
    entries = []
    for name in draw(st.permutations(["a", "b", "c"])):
        words = draw(
            st.lists(st.sampled_from([*string.ascii_letters, "x:", '(choices: ["x"])', "(choices: 5)"]), max_size=5)
        )
        indent, deeper = draw(st.sampled_from(INDENTS)), draw(st.sampled_from(["\n", " ", "\n\n        "]))
        entries.append(f"{indent}{name}:{deeper}{' '.join(words)}")
    returns = draw(
        st.sampled_from(["", "\n\nReturns:\n    What it is.\n", "\nReturns: nothing", "\n    Raises:\n  Returns:\n"])
    )
    return (
        f"{draw(st.sampled_from(['Does it.', 'Two.' + chr(10) + '   lines', '']))}\n\n    Args:\n"
        + "\n".join(entries)
        + returns
    )


@st.composite
def functions(draw: st.DrawFn) -> Callable[..., Any]:
    names = draw(st.lists(st.sampled_from(["a", "b", "c"]), unique=True, max_size=3))
    parameters = draw(st.sampled_from([[], ["self"], ["cls"]])) + ["*"] * bool(names)
    parameters += [draw(st.sampled_from([name, name + "=1"])) for name in names]
    namespace: dict[str, Any] = {}
    exec(f"def tool({', '.join(parameters)}): pass", namespace)
    function: Callable[..., Any] = namespace["tool"]
    hints = {name: draw(st.sampled_from(HINTS)) for name in names if draw(st.integers(0, 9))}
    if draw(st.booleans()):
        hints["return"] = draw(st.sampled_from(HINTS))
    function.__annotations__ = hints
    function.__doc__ = draw(sound_documentation() | wild_documentation)
    return function


def same_as_transformers(function: Callable[..., Any]) -> None:
    try:
        expected = get_json_schema(function)
    except Exception:
        with pytest.raises(ConfigurationError):
            tool_schemas([function])
        return
    assert json.dumps(tool_schemas([function])) == json.dumps([expected])


@given(functions())
def test_random_functions_give_what_transformers_gives(function: Callable[..., Any]) -> None:
    same_as_transformers(function)


@given(wild_documentation)
def test_random_docstrings_give_what_transformers_gives(documentation: str) -> None:
    def tool(a: int) -> int: ...  # type: ignore[empty-body]

    tool.__doc__ = documentation
    same_as_transformers(tool)


@pytest.mark.parametrize("hint", HINTS, ids=repr)
@pytest.mark.parametrize("place", ["a", "return"])
def test_each_hint_gives_what_transformers_gives(hint: Any, place: str) -> None:
    def tool(a): ...  # type: ignore[no-untyped-def]

    tool.__annotations__ = {"a": int} | {place: hint}
    tool.__doc__ = "It.\n\nArgs:\n    a: An argument.\n\nReturns:\n    What comes out."
    same_as_transformers(tool)


def plain(city: str, days: int | None = 3, *, units: Literal["C", "F"] = "C") -> dict[str, float]:
    """The weather.

    Over several
      lines.

    Args:
        city: The city,
            and its country: both.
        days (int): ignored, for it has brackets.
        days: How many.

        units: The scale (choices: ["C", " F "])

    Returns:
        dict: the temperatures.

    Raises:
        ValueError: Never.
    """
    return {}


def no_hint(a, b: int): ...  # type: ignore[no-untyped-def]


def no_documentation(a: int) -> None: ...


def positional_and_rest(a: int, /, *rest: str, **more: bool) -> None:
    """Do.

    Args:
        a: One.
        rest: Others.
        more: Named.
    """


def self_with_hint(self: int) -> None:
    """Do.

    Args:
        self: A number.
    """


@no_type_check
def unchecked(a: int) -> None:
    """Do."""


@functools.wraps(plain)
def wrapped(*args: Any, **options: Any) -> Any: ...


class Service:
    def ask(self, question: str) -> str:
        """Ask.

        Args:
            question: What to ask.
        """
        return question

    @classmethod
    def make(cls, name: str) -> Service:
        """Make.

        Args:
            name: Its name.
        """
        return cls()

    @staticmethod
    def ping() -> bool:
        """Ping."""
        return True


class Derived(Service):
    def ask(self, question: str) -> str:
        return question


FUNCTIONS: list[Callable[..., Any]] = [
    plain,
    no_hint,
    no_documentation,
    positional_and_rest,
    self_with_hint,
    unchecked,
    wrapped,
    Service.ask,
    Service().ask,
    Service.make,
    Service.ping,
    Derived().ask,
    lambda: None,
]


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: getattr(function, "__qualname__", "function"))
def test_functions_and_methods_give_what_transformers_gives(function: Callable[..., Any]) -> None:
    same_as_transformers(function)


def test_schemas_pass_through_as_the_same_objects() -> None:
    schema, frozen = {"type": "function", "function": {"name": "f"}}, types.MappingProxyType({"name": "g"})
    schemas = tool_schemas([schema, frozen])
    assert schemas is not None
    assert schemas[0] is schema
    assert schemas[1] is frozen


def test_no_tools_stay_no_tools() -> None:
    assert tool_schemas(None) is None
    assert tool_schemas([]) == []


@pytest.mark.parametrize(
    "tools",
    [[3], [None], ["f"], "f", {"f": 1}, 3, [print], [functools.partial(plain, "x")], [Service], [[plain]]],
    ids=["number", "none", "name", "text", "mapping", "no list", "builtin", "partial", "class", "nested"],
)
def test_what_is_no_tool_is_refused(tools: Any) -> None:
    with pytest.raises(ConfigurationError, match="tools"):
        tool_schemas(tools)


def test_images_and_tensors_are_known_by_name_only() -> None:
    def look(picture: Any, sound: Any) -> None:
        """Look.

        Args:
            picture: To see.
            sound: To hear.
        """

    look.__annotations__ = {
        "picture": type("Image", (), {"__module__": "PIL.Image"}),
        "sound": list[type("Tensor", (), {"__module__": "torch"})],  # type: ignore[misc]
    }
    schemas = tool_schemas([look])
    assert schemas is not None
    assert schemas[0]["function"]["parameters"]["properties"] == {
        "picture": {"type": "image", "description": "To see."},
        "sound": {"type": "array", "items": {"type": "audio"}, "description": "To hear."},
    }
    assert "torch" not in sys.modules


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (no_documentation, "no_documentation has no docstring"),
        (no_hint, "argument a of the tool no_hint has no type hint"),
    ],
)
def test_an_error_names_the_function_and_what_it_lacks(function: Callable[..., Any], words: str) -> None:
    function.__doc__ = function.__doc__ or ("Do." if function is no_hint else None)
    with pytest.raises(ConfigurationError, match=words):
        tool_schemas([function])


def test_an_argument_without_description_is_named() -> None:
    def tool(a: int, b: int) -> None:
        """Do.

        Args:
            a: One.
        """

    with pytest.raises(ConfigurationError, match="tool tool doesn't describe its argument b"):
        tool_schemas([tool])


def test_choices_too_deep_to_read_are_an_error_of_ours() -> None:
    def tool(a: int) -> None: ...

    tool.__doc__ = f"Do.\n\nArgs:\n    a: One (choices: {'[' * 100_000})"
    with pytest.raises(ConfigurationError, match="choices"):
        tool_schemas([tool])
