"""What Hypothesis draws from: texts that break tokenizers, ids that break streams, stops that nearly match."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import strategies as st

from tokenfacade.decoding.pieces import byte_alphabet

if TYPE_CHECKING:
    from tokenfacade import Tokenizer

UNKNOWN_IDS = [-1, -2, -300, 10**7, 2**31, 2**32 - 1, 2**32, 2**63, -(2**63), 2**100]

FRAGMENTS = [
    "the worker",
    " the",
    "  ",
    "\n",
    "\n\n",
    "\x00",
    "é",
    "世界",
    "한국어",
    "😊",
    "👩‍👩‍👧",
    "\ufffd",
    "\u0301",
    "'s",
    "x != y.",
    "<s>",
    "</s>",
    "<|im_end|>",
    "<|endoftext|>",
    "<|im",
    "<0xE4>",
    "▁",
    "Ġ",
    "##ing",
    "\u180e",
    "ſ",
    "\ud800",
    "\ud83d\ude0a",
]

texts = st.one_of(
    st.lists(st.sampled_from(FRAGMENTS), max_size=8).map("".join),
    st.text(max_size=30),
    st.text(st.characters(), max_size=20),
)
"""Any `str`, lone surrogates included."""


@st.composite
def ids_of(draw: st.DrawFn, tokenizer: Tokenizer, *, max_size: int = 24) -> list[int]:
    """Ids: of text, at random from the vocabulary, special, bytes, and some that the vocabulary lacks."""
    some: st.SearchStrategy[int] = st.integers(0, tokenizer.vocab_size - 1) | st.sampled_from(hard_ids(tokenizer))
    part = st.lists(some, max_size=6) | texts.map(lambda text: tokenizer.encode(text).ids[:8])
    return [token_id for ids in draw(st.lists(part, max_size=5)) for token_id in ids][:max_size]


def hard_ids(tokenizer: Tokenizer) -> list[int]:
    """Special ids, ids of single bytes or parts of characters where there are any, and unknown ids."""
    hard = [*list(tokenizer.special_tokens.ids.values())[:8], *UNKNOWN_IDS, tokenizer.vocab_size]
    for byte in (0x41, 0x20, 0x80, 0xA0, 0xC3, 0xC0, 0xE4, 0xED, 0xEF, 0xBF, 0xBD, 0xF0, 0x9F, 0x98, 0x8A, 0xFF):
        hard += ids_of_byte(tokenizer, byte)
    return hard


def ids_of_byte(tokenizer: Tokenizer, byte: int) -> list[int]:
    """The id of a single byte, or none."""
    spelled = {value: character for character, value in byte_alphabet().items()}[byte]
    found = (tokenizer.token_to_id(token) for token in (f"<0x{byte:02X}>", spelled))
    return [token_id for token_id in found if token_id is not None][:1]


@st.composite
def cuts_of(draw: st.DrawFn, ids: list[int]) -> list[list[int]]:
    """The ids cut into steps of any size, empty ones too."""
    points = sorted(draw(st.lists(st.integers(0, len(ids)), max_size=6)))
    return [ids[start:end] for start, end in zip([0, *points], [*points, len(ids)], strict=True)]


@st.composite
def stops_of(draw: st.DrawFn, text: str) -> list[str]:
    """Stop strings that are likely to match, or nearly: parts of the text, some with another ending."""
    clean = text.encode("utf-8", "replace").decode()
    stops = []
    for _ in range(draw(st.integers(0, 4))):
        start = draw(st.integers(0, len(clean)))
        length = draw(st.integers(1, 6))
        ending = draw(st.sampled_from(["", "", "!", "x", "\ufffd", " the"]))
        stops.append(clean[start : start + length] + ending)
    stops += draw(st.lists(st.sampled_from(["a", "ab", "abc", "bc", "\ufffd", " ", "er", "</s>", "😊"]), max_size=2))
    return [stop for stop in dict.fromkeys(stops) if stop]
