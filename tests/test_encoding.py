"""The values that cross the API."""

from __future__ import annotations

import copy
import pickle
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.strategies import texts
from tokenfacade import MockTokenizer, SpecialTokens
from tokenfacade.encoding import mend_surrogates, spans_of_bytes


@given(texts)
def test_mended_text_is_what_utf16_would_read(text: str) -> None:
    mended = mend_surrogates(text)
    mended.encode()
    assert mended == text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    assert mend_surrogates(mended) is mended


@given(text=st.text(max_size=12), cuts=st.lists(st.integers(0, 40), max_size=5))
def test_a_piece_owns_every_character_it_touches(text: str, cuts: list[int]) -> None:
    data = text.encode()
    points = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    cut = list(pairwise(points))
    spans = spans_of_bytes(text, [data[begin:finish] for begin, finish in cut])
    for (start, end), (begin, finish) in zip(spans, cut, strict=True):
        assert len(text[:start].encode()) <= begin < len(text[: start + 1].encode())
        assert len(text[: end - 1].encode()) < finish <= len(text[:end].encode())


def test_an_encoding_shows_itself_in_a_notebook() -> None:
    shown = MockTokenizer().encode("<b>hello</b>\n😊")._repr_html_()
    assert "<b>" not in shown
    assert "&lt;" in shown
    assert "hello" in shown
    assert 'title="' in shown
    assert "⏎" in shown
    assert shown.count("<span") == len(MockTokenizer().encode("<b>hello</b>\n😊"))


def test_an_encoding_survives_pickling_and_copying() -> None:
    encoding = MockTokenizer().encode("hello 😊", add_special_tokens=True)
    for again in (pickle.loads(pickle.dumps(encoding)), copy.copy(encoding), copy.deepcopy(encoding)):
        assert again == encoding
        assert (again.text, again.tokens, again.offsets) == (encoding.text, encoding.tokens, encoding.offsets)


def test_special_tokens_are_values() -> None:
    special = SpecialTokens(eos="</s>", named={"image_token": "<image>"}, ids={"</s>": 2, "<image>": 7})
    again = pickle.loads(pickle.dumps(special))
    assert again == special
    assert hash(again) == hash(special)
    assert special.named["image_token"] == "<image>"
    with pytest.raises(TypeError):
        special.ids["</s>"] = 3  # type: ignore[index]
    with pytest.raises(AttributeError):
        special.eos = "x"  # type: ignore[misc]
