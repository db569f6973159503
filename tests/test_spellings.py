"""Tokens found by their spelling: the leftmost, of those the longest, as a plain loop finds them."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenfacade.spellings import common_beginning, longest_first_bytes_pattern, longest_first_pattern

LETTERS = "ab|[\\^-\n #é世😊\ud800"
TOKENS = st.lists(st.text(LETTERS, max_size=5), max_size=12)


def found_one_by_one(tokens: list[str], text: str) -> list[str]:
    found = []
    at = 0
    while at < len(text):
        token = max((token for token in tokens if text.startswith(token, at)), key=len, default="")
        if token:
            found.append(token)
        at += len(token) or 1
    return found


@given(tokens=TOKENS, text=st.text(LETTERS, max_size=40))
def test_a_pattern_finds_the_leftmost_and_of_those_the_longest(tokens: list[str], text: str) -> None:
    expected = found_one_by_one(tokens, text)
    assert longest_first_pattern(tokens).findall(text) == expected


@given(tokens=st.lists(st.binary(max_size=4), max_size=12), rest=st.binary(max_size=20))
def test_one_of_bytes_too(tokens: list[bytes], rest: bytes) -> None:
    text = rest.join(tokens) + rest
    expected = found_one_by_one([token.decode("latin-1") for token in tokens], text.decode("latin-1"))
    assert [found.decode("latin-1") for found in longest_first_bytes_pattern(tokens).findall(text)] == expected


@given(tokens=TOKENS)
def test_each_token_is_found_whole_in_itself(tokens: list[str]) -> None:
    pattern = longest_first_pattern(token for token in tokens)
    for token in filter(None, tokens):
        match = pattern.match(token)
        assert match is not None
        assert match.group() == token


def test_without_tokens_nothing_is_found() -> None:
    assert longest_first_pattern([]).search("text") is longest_first_pattern([""]).search("") is None
    assert longest_first_bytes_pattern([]).search(b"text") is None


@pytest.mark.parametrize("length", [50, 600])
def test_a_chain_of_tokens_each_the_beginning_of_the_next(length: int) -> None:
    tokens = ["a" * (number + 1) + "b" * (number % 2) for number in range(length)]
    text = "a" * (length + 5)
    assert longest_first_pattern(tokens).findall(text) == found_one_by_one(tokens, text)
    spelled = [token.encode() for token in tokens]
    assert [len(found) for found in longest_first_bytes_pattern(spelled).findall(text.encode())] == [
        len(found) for found in found_one_by_one(tokens, text)
    ]


def test_thousands_of_tokens_branch_where_they_differ() -> None:
    tokens = [f"<|reserved_{number}|>" for number in range(3_000)]
    pattern = longest_first_pattern(tokens)
    assert pattern.pattern.count("reserved") == 1
    assert pattern.findall("".join(tokens)) == tokens
    assert re.escape("<|reserved_") in pattern.pattern


@given(tokens=TOKENS)
def test_what_tokens_have_in_common_is_what_all_begin_with(tokens: list[str]) -> None:
    common = common_beginning(iter(tokens))
    assert all(token.startswith(common) for token in tokens)
    longer = {token[: len(common) + 1] for token in tokens}
    assert longer in (set(), {common}) or len(longer) > 1
