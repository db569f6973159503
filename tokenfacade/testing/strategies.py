"""What Hypothesis draws from: texts that break tokenizers, ids that break streams, stops that nearly match."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import strategies as st

if TYPE_CHECKING:
    from tokenfacade.protocols import Decoder, Tokenizer

UNKNOWN_IDS = (-1, -2, -300, 10**7, 2**31, 2**32 - 1, 2**32, 2**63, -(2**63), 2**100)
"""Integers that no vocabulary has."""

EDGE_BYTES = (0x41, 0x20, 0x80, 0xA0, 0xC3, 0xC0, 0xE4, 0xED, 0xEF, 0xBF, 0xBD, 0xF0, 0x9F, 0x98, 0x8A, 0xFF)
"""Letters, parts of characters, and bytes that UTF-8 never has."""

FRAGMENTS = (
    *("the worker", " the", "  ", "\n", "\n\n", "\x00", "é", "世界", "한국어", "😊", "👩‍👩‍👧", "\ufffd", "\u0301"),
    *("'s", "x != y.", "<s>", "</s>", "<|im_end|>", "<|endoftext|>", "<|im", "<0xE4>", "▁", "Ġ", "##ing"),
    *("\u180e", "ſ", "\ud800", "\ud83d\ude0a"),
)
"""Parts of hostile texts: spaces, characters of several bytes, marks, what looks like a token, surrogates."""

texts = st.one_of(
    st.lists(st.sampled_from(FRAGMENTS), max_size=8).map("".join),
    st.text(max_size=30),
    st.text(st.characters(), max_size=20),
)
"""Any `str`, lone surrogates included."""


def texts_of(tokenizer: Decoder) -> st.SearchStrategy[str]:
    """Any `str`, and such as spell special tokens of this tokenizer, whole or cut.

    Example:
        >>> from tokenfacade import MockTokenizer
        >>> strategy = texts_of(MockTokenizer())
    """
    spelled = list(tokenizer.special_tokens.ids)[:8]
    if not spelled:
        return texts
    cut = [part for token in spelled for part in (token, token[:-1], token[1:], f" {token} ")]
    mixed = st.lists(st.sampled_from([*cut, *FRAGMENTS]), max_size=8).map("".join)
    return texts | mixed


def ids_of(tokenizer: Tokenizer, *, max_size: int = 24) -> st.SearchStrategy[list[int]]:
    """Lists of ids: of text, at random from the vocabulary, special, bytes, and some that the vocabulary lacks."""
    some = st.integers(0, tokenizer.vocab_size - 1) | st.sampled_from(hard_ids(tokenizer))
    of_text = texts_of(tokenizer).map(lambda text: tokenizer.encode(text).ids[:8])
    parts = st.lists(st.lists(some, max_size=6) | of_text, max_size=5)
    return parts.map(lambda lists: [token_id for ids in lists for token_id in ids][:max_size])


def hard_ids(tokenizer: Decoder) -> list[int]:
    """Special ids, ids of single bytes or parts of characters where there are any, and unknown ids."""
    single = [token_id for byte in EDGE_BYTES for token_id in ids_of_byte(tokenizer, byte)]
    return [*list(tokenizer.special_tokens.ids.values())[:8], *UNKNOWN_IDS, tokenizer.vocab_size, *single]


def ids_of_byte(tokenizer: Decoder, byte: int) -> list[int]:
    """The id of a single byte by its usual spellings (``<0x41>``, or the byte alphabet of GPT-2), or none."""
    found = (tokenizer.token_to_id(token) for token in (f"<0x{byte:02X}>", _byte_letter(byte)))
    return [token_id for token_id in found if token_id is not None][:1]


def _byte_letter(byte: int) -> str:
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    return chr(byte if byte in printable else 256 + sum(other not in printable for other in range(byte)))


def byte_ids(tokenizer: Decoder) -> dict[int, int]:
    """The id of each byte that has a token of its own, which may join its neighbours to a character.

    Empty for vocabularies of whole characters, and for those of which nothing but `decode` is known.
    """
    pieces = tokenizer.pieces(skip_special_tokens=True)
    if pieces is None:
        return {}
    found = {}
    for byte in range(256):
        for token_id in ids_of_byte(tokenizer, byte):
            if pieces.piece(token_id) == bytes([byte]):
                found[byte] = token_id
    return found


def some_ids(tokenizer: Tokenizer, text: str = "the worker") -> list[int]:
    """The ids of a text, or of the beginning of the vocabulary where the text has fewer than two."""
    ids = tokenizer.encode(text).ids
    special = set(tokenizer.special_tokens.ids.values())
    if len(ids) > 1 and not special & set(ids):
        return ids
    known = (n for n in range(tokenizer.vocab_size) if n not in special and tokenizer.id_to_token(n) is not None)
    return [token_id for token_id, _ in zip(known, range(8), strict=False)]


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
