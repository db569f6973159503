"""Strings that know what a message said: the characters of `str`, and an account that is never too small."""

from __future__ import annotations

import copy
import json
import pickle
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenfacade.chat.provenance import (
    MessageText,
    holds_message,
    join_texts,
    merge_spans,
    message_spans,
    plain,
    said_by_message,
    said_by_messages,
)

# Two alphabets without a common character, also after a change of case: so a character tells who said it.
SAID = "xyXYßéÉ\u2003\t"
SAID_BEFORE_OR_AFTER = set(SAID + "sS")
TEMPLATE = "abAB<|> \n%{}+0"


@st.composite
def traced_texts(draw: st.DrawFn) -> str:
    """Texts of which a message said some parts, some characters, all, or nothing."""
    said = st.text(SAID, max_size=4).map(MessageText)
    text = join_texts(draw(st.lists(said | st.text(TEMPLATE, max_size=4), max_size=5)))
    return MessageText(plain(text), message_spans(text))


def marked(text: str) -> str:
    """The characters that count as said by a message."""
    return "".join(plain(text)[start:end] for start, end in message_spans(text))


def said_in(text: str) -> str:
    return "".join(character for character in plain(text) if character in SAID_BEFORE_OR_AFTER)


def strings_in(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    return [text for part in value for text in strings_in(part)] if isinstance(value, list | tuple) else []


parts = st.text(TEMPLATE, max_size=2) | st.text(SAID, max_size=2) | traced_texts()
counts = st.integers(-1, 4)
widths = st.integers(0, 12)
optional_parts = st.none() | parts

EXACT: dict[str, tuple[Callable[..., Any], tuple[st.SearchStrategy[Any], ...]]] = {
    "+": (lambda text, other: text + other, (parts,)),
    "+ reversed": (lambda text, other: other + text, (parts,)),
    "+=": (lambda text, other: [text := text + other, text][0], (parts,)),
    "*": (lambda text, times: [text * times, times * text], (counts,)),
    "index": (lambda text, at: text[at], (st.integers(-4, 4),)),
    "slice": (
        lambda text, start, end, step: text[start:end:step],
        (*[st.none() | st.integers(-8, 8)] * 2, st.sampled_from([None, 1, 2, -1, -2])),
    ),
    "iteration": (lambda text: list(text), ()),
    "reversed": (lambda text: list(reversed(text)), ()),
    "strip": (lambda text, chars: [text.strip(chars), text.lstrip(chars), text.rstrip(chars)], (optional_parts,)),
    "removeprefix": (lambda text, part: [text.removeprefix(part), text.removesuffix(part)], (parts,)),
    "split": (
        lambda text, sep, most: [text.split(sep, most), text.rsplit(sep, maxsplit=most)],
        (optional_parts, counts),
    ),
    "splitlines": (lambda text, keep: text.splitlines(keep), (st.booleans(),)),
    "partition": (lambda text, sep: [text.partition(sep), text.rpartition(sep)], (parts,)),
    "replace": (lambda text, old, new, most: text.replace(old, new, most), (parts, parts, counts)),
    "join": (lambda text, others: text.join(others), (st.lists(parts, max_size=4),)),
    "join of its characters": (lambda text, separator: MessageText(separator, ()).join(text), (st.text(TEMPLATE),)),
    "padding": (
        lambda text, width, fill: [text.center(width), text.ljust(width, fill), text.rjust(width, fill)],
        (widths, st.sampled_from([" ", "a", "x", MessageText("x")])),
    ),
    "str": (lambda text: [str(text), format(text)], ()),
    "case": (lambda text: [text.lower(), text.swapcase()] if "ß" not in text else [], ()),
}
OTHERS: dict[str, tuple[Callable[..., Any], tuple[st.SearchStrategy[Any], ...]]] = {
    "case": (lambda text: [text.upper(), text.lower(), text.title(), text.capitalize(), text.casefold()], ()),
    "swapcase": (lambda text: text.swapcase(), ()),
    "%": (lambda text: text % (), ()),
    "% reversed": (lambda text, before, after: (before + "%s" + after) % text, (st.text("ab "), st.text("ab "))),
    "format": (lambda text: [text.format(), text.format_map({})], ()),
    "format specification": (lambda text, width: format(text, f"*^{width}"), (widths,)),
    "expandtabs": (lambda text, width: text.expandtabs(width), (widths,)),
    "zfill": (lambda text, width: text.zfill(width), (widths,)),
    "translate": (lambda text: text.translate({ord("a"): "x<y", ord("x"): None}), ()),
}


def outcome(function: Callable[..., Any], *arguments: Any) -> Any:
    try:
        return function(*arguments)
    except (TypeError, ValueError, IndexError, KeyError) as error:
        return type(error)


def without_marks(value: Any) -> Any:
    if isinstance(value, str):
        return plain(value)
    return [without_marks(part) for part in value] if isinstance(value, list) else value


@pytest.mark.parametrize("name", EXACT)
@given(data=st.data())
def test_an_exact_operation_gives_the_characters_of_str_and_marks_those_that_were_said(
    name: str, data: st.DataObject
) -> None:
    function, strategies = EXACT[name]
    text, arguments = data.draw(traced_texts()), [data.draw(strategy) for strategy in strategies]
    result = outcome(function, text, *arguments)
    assert result == outcome(function, plain(text), *map(without_marks, arguments))
    # A plain string among the arguments may have characters of a message too: they don't count as said.
    is_accounted = all(marked(given) == said_in(given) for given in strings_in(arguments))
    for part in strings_in(result) if is_accounted else ():
        assert marked(part) == said_in(part)


@pytest.mark.parametrize("name", OTHERS)
@given(data=st.data())
def test_any_other_operation_gives_the_characters_of_str_and_marks_no_fewer(name: str, data: st.DataObject) -> None:
    function, strategies = OTHERS[name]
    text, arguments = data.draw(traced_texts()), [data.draw(strategy) for strategy in strategies]
    result = outcome(function, text, *arguments)
    assert result == outcome(function, plain(text), *arguments)
    for part in strings_in(result) if said_in(text) else ():
        assert marked(part) in (plain(part), said_in(part))


@given(text=traced_texts())
def test_every_method_of_str_that_gives_text_is_one_of_ours(text: str) -> None:
    traced = MessageText(plain(text), message_spans(text))
    inherited = set(dir(str)) - set(vars(MessageText)) - set(dir(object))
    assert inherited <= {
        *("__contains__", "__getnewargs__", "__len__", "count", "encode", "endswith", "find", "index", "maketrans"),
        *(name for name in dir(str) if name.startswith("is")),
        *("rfind", "rindex", "startswith"),
    }
    assert (traced == plain(text), hash(traced), len(traced)) == (True, hash(plain(text)), len(plain(text)))
    assert traced in {plain(text)}
    assert {plain(text): 1}[traced] == 1
    assert sorted([traced, "b"]) == sorted([plain(text), "b"])


@given(text=traced_texts())
def test_the_account_is_in_order_and_survives_pickle_and_copy(text: str) -> None:
    spans = message_spans(text)
    assert all(start < end for start, end in spans)
    assert all(before[1] < after[0] for before, after in pairwise(spans))
    assert merge_spans(spans) == spans
    for twin in (pickle.loads(pickle.dumps(text)), copy.copy(text), copy.deepcopy(text)):
        assert (twin, message_spans(twin)) == (text, spans)


def test_a_text_alone_is_wholly_said_and_what_was_cut_of_the_template_is_not() -> None:
    text = "<|" + MessageText("im_end") + "|>"
    assert message_spans(MessageText("abc")) == ((0, 3),)
    assert message_spans(text) == ((2, 8),)
    assert message_spans(text[:2]) == message_spans(text[8:]) == message_spans(MessageText("")) == ()


def test_a_string_of_unknown_kind_counts_as_said() -> None:
    class Other(str):
        __slots__ = ()

    assert message_spans(Other("abc")) == ((0, 3),)
    assert holds_message({"key": [Other("abc")]})


def test_each_string_of_a_value_is_marked_also_among_its_keys() -> None:
    value = {"name": ["x", 1, True, None, 2.5, ("y",)], "nested": {"key": "z"}}
    said = said_by_message(value)
    assert said == value
    assert json.dumps(said, sort_keys=True, indent=1) == json.dumps(value, sort_keys=True, indent=1)
    assert said["name"][1:5] == [1, True, None, 2.5]
    assert {type(text) for text in (*said, *said["nested"], *said["nested"].values(), said["name"][0])} == {MessageText}


@pytest.mark.parametrize("role", ["user", "system", "assistant", "tool", "developer"])
def test_a_role_that_everybody_knows_is_the_templates_word(role: str) -> None:
    (message,) = said_by_messages([{"role": role, "content": role}])
    assert (message_spans(message["role"]), message_spans(message["content"])) == ((), ((0, len(role)),))


@pytest.mark.parametrize("role", ["end", "im_end", "critic", "User", "tool_call", "user|>", "", ["user"], 1])
def test_any_other_role_is_marked(role: Any) -> None:
    (message,) = said_by_messages([{"role": role}])
    assert message == {"role": role}
    assert role in ("", 1) or holds_message(message["role"])


def test_only_the_role_of_a_message_itself_is_spared() -> None:
    (message,) = said_by_messages([{"role": "user", "content": [{"role": "user"}]}])
    assert holds_message(message["content"][0]["role"])


def test_empty_texts_leave_no_empty_spans() -> None:
    parts = ["a", MessageText(""), "b", MessageText("c"), MessageText(""), MessageText("d"), "", MessageText("")]
    assert message_spans(join_texts(parts)) == ((2, 4),)
    assert message_spans(join_texts(["a", MessageText("x", ((0, 0),)), "b"])) == ()
    assert message_spans(join_texts([MessageText("a"), "b", MessageText("c")])) == ((0, 1), (2, 3))


def test_a_text_in_very_many_pieces_is_all_said() -> None:
    text = MessageText("<" + "ab" * 300_000, ((1, 600_001),))
    assert message_spans(text.replace("a", "x")) == ((0, 600_001),)
    assert text.replace("a", "x") == str.replace(text, "a", "x")
    assert text[::-1] == str.__getitem__(text, slice(None, None, -1))
    assert text.split("a") == str.split(text, "a")
