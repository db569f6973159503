"""Total, one rule for surrogates, and the members that are derived once, on every backend."""

from __future__ import annotations

import copy
import os
import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.benchmarks.corpus import mixed_text
from tests.data import DATA, HAS_DATA
from tests.oracles import stream_text
from tests.real import real_tokenizer
from tests.small import small_tokenizer
from tests.strategies import UNKNOWN_IDS, ids_of, texts
from tokenfacade import ConfigurationError, DecodeError, EncodeError, create_tokenizer
from tokenfacade.encoding import mend_surrogates

if TYPE_CHECKING:
    from tokenfacade import Tokenizer

FLAGS = [(added, parsed) for added in (False, True) for parsed in (False, True)]


@given(data=st.data())
def test_every_text_encodes_and_every_way_of_asking_agrees(tokenizer: Tokenizer, data: st.DataObject) -> None:
    text = data.draw(texts)
    added, parsed = data.draw(st.sampled_from(FLAGS))
    encoding = tokenizer.encode(text, add_special_tokens=added, parse_special_tokens=parsed)
    assert encoding == tokenizer.encode(mend_surrogates(text), add_special_tokens=added, parse_special_tokens=parsed)
    assert encoding.text == mend_surrogates(text)
    assert tokenizer.count_tokens(text, add_special_tokens=added, parse_special_tokens=parsed) == len(encoding)
    batch = tokenizer.encode_batch([text, "", text], add_special_tokens=added, parse_special_tokens=parsed)
    assert batch == [
        encoding,
        tokenizer.encode("", add_special_tokens=added, parse_special_tokens=parsed),
        encoding,
    ]
    assert all(type(token_id) is int and 0 <= token_id < tokenizer.vocab_size for token_id in encoding)


@given(data=st.data())
def test_offsets_are_spans_of_the_text_in_order(tokenizer: Tokenizer, data: st.DataObject) -> None:
    text = data.draw(texts)
    encoding = tokenizer.encode(text, add_special_tokens=data.draw(st.booleans()))
    offsets = encoding.offsets
    assert len(offsets) == len(encoding.tokens) == len(encoding)
    assert all(0 <= start <= end <= len(encoding.text) for start, end in offsets)


@given(data=st.data())
def test_special_tokens_in_a_text_are_text_when_they_are_not_to_be_parsed(
    byte_tokenizer: Tokenizer, data: st.DataObject
) -> None:
    # In a vocabulary of words special tokens are words too, and the reference finds them there in any case.
    special = byte_tokenizer.special_tokens.ids
    text = data.draw(texts) + data.draw(st.sampled_from(list(special))) + data.draw(texts)
    unknown = byte_tokenizer.special_tokens.unk or "<unk>"
    ids = byte_tokenizer.encode(text, parse_special_tokens=False).ids
    assert not (set(ids) & set(special.values())) - {byte_tokenizer.token_to_id(unknown)}


@given(data=st.data())
def test_decode_bytes_are_what_decode_reads(tokenizer: Tokenizer, data: st.DataObject) -> None:
    ids = data.draw(ids_of(tokenizer))
    skip = data.draw(st.booleans())
    pieces = tokenizer.pieces(skip_special_tokens=skip)
    decoded = tokenizer.decode_bytes(ids, skip_special_tokens=skip).decode("utf-8", "replace")
    if pieces is None or pieces.invalid == "subpart":
        assert decoded == tokenizer.decode(ids, skip_special_tokens=skip)
    elif "\ufffd" not in decoded:
        assert decoded == stream_text(tokenizer, [], ids, skip=skip)


@given(data=st.data())
def test_truncate_gives_the_longest_part_that_fits(tokenizer: Tokenizer, data: st.DataObject) -> None:
    text = mend_surrogates(data.draw(texts))[:40]
    most = data.draw(st.integers(0, 12))
    added = data.draw(st.booleans())

    def fits(part: str) -> bool:
        return tokenizer.count_tokens(part, add_special_tokens=added) <= most

    prefixes = [text[:length] for length in range(len(text), -1, -1)]
    suffixes = [text[start:] for start in range(len(text) + 1)]
    assert tokenizer.truncate(text, most, add_special_tokens=added) == next(filter(fits, prefixes), "")
    left = tokenizer.truncate(text, most, side="left", add_special_tokens=added)
    assert left == next(filter(fits, suffixes), "")


def test_truncate_is_exact_on_long_texts_too(tokenizer: Tokenizer) -> None:
    text = mixed_text(12_000) if tokenizer.backend != "mock" else mixed_text(3_000)
    most = tokenizer.count_tokens(text) // 2
    right, left = tokenizer.truncate(text, most), tokenizer.truncate(text, most, side="left")
    assert text.startswith(right)
    assert text.endswith(left)
    for longer in range(24):
        assert (tokenizer.count_tokens(text[: len(right) + longer]) <= most) == (longer == 0)
        assert (tokenizer.count_tokens(text[-len(left) - longer :]) <= most) == (longer == 0)


def test_token_and_id_are_inverse_over_the_whole_vocabulary(tokenizer: Tokenizer) -> None:
    step = max(1, tokenizer.vocab_size // 5000)
    for token_id in [*range(0, tokenizer.vocab_size, step), *tokenizer.special_tokens.ids.values()]:
        token = tokenizer.id_to_token(token_id)
        if token is not None:
            assert tokenizer.token_to_id(token) == token_id
            assert isinstance(tokenizer.token_bytes(token_id), bytes)
    assert tokenizer.id_to_token(tokenizer.vocab_size - 1) is not None
    assert tokenizer.id_to_token(tokenizer.vocab_size) is None


@pytest.mark.parametrize("unknown", UNKNOWN_IDS)
def test_unknown_ids_are_no_token(tokenizer: Tokenizer, unknown: int) -> None:
    assert tokenizer.id_to_token(unknown) is None
    assert tokenizer.decode([unknown]) == ""
    assert tokenizer.decode_bytes([unknown]) == b""
    with pytest.raises(DecodeError) as caught:
        tokenizer.token_bytes(unknown)
    assert caught.value.token_id == unknown


def test_bools_are_the_integers_that_they_are_in_python(tokenizer: Tokenizer) -> None:
    assert tokenizer.decode([True]) == tokenizer.decode([1])
    truth = True
    assert tokenizer.id_to_token(truth) == tokenizer.id_to_token(1)
    assert tokenizer.decode_stream().step_batch([True]) == tokenizer.decode_stream().step_batch([1])


@pytest.mark.parametrize("not_an_id", [None, "a", 1.5, b"x", [1]])
def test_what_is_no_id_is_refused(tokenizer: Tokenizer, not_an_id: Any) -> None:
    for call in (tokenizer.id_to_token, tokenizer.token_bytes):
        with pytest.raises(DecodeError):
            call(not_an_id)
    for decode in (tokenizer.decode, tokenizer.decode_bytes):
        with pytest.raises(DecodeError):
            decode([not_an_id])
    if not isinstance(not_an_id, bytes | list):
        for read in (tokenizer.decode, tokenizer.decode_bytes, tokenizer.decode_stream):
            with pytest.raises(DecodeError):
                read(not_an_id)


@pytest.mark.parametrize("not_a_text", [None, 5, b"bytes", ["a"], ("a", "b"), object()])
def test_what_is_no_text_is_refused(tokenizer: Tokenizer, not_a_text: Any) -> None:
    with pytest.raises(EncodeError):
        tokenizer.encode(not_a_text)
    with pytest.raises(EncodeError):
        tokenizer.encode_batch(["a", not_a_text])
    if not isinstance(not_a_text, list | tuple):
        with pytest.raises(EncodeError):
            tokenizer.encode_batch(not_a_text)
    with pytest.raises(EncodeError):
        tokenizer.count_tokens(not_a_text)
    with pytest.raises(EncodeError):
        tokenizer.truncate(not_a_text, 3)


def test_truncate_refuses_what_can_not_be(tokenizer: Tokenizer) -> None:
    with pytest.raises(ConfigurationError):
        tokenizer.truncate("text", -1)
    neither: Any = "middle"
    with pytest.raises(ConfigurationError):
        tokenizer.truncate("text", 1, side=neither)


LONG = [" " * 1_000_001 + "x", "\n" * 300_000, "a" * 1_000_000, "\x00" * 1000, "世" * 100_000]


@pytest.mark.parametrize("name", ["byte_level", "byte_fallback", "metaspace", "tiktoken_small", "mock"])
@pytest.mark.parametrize("text", LONG, ids=["spaces", "newlines", "letters", "nul", "ideographs"])
def test_long_unbroken_texts_encode(name: str, text: str) -> None:
    ids = small_tokenizer(name).encode(text).ids
    assert len(ids) >= 1


@pytest.mark.skipif(not HAS_DATA, reason="the test data is not here; .ci/run insists on it")
@pytest.mark.parametrize("name", ["deepseek-v3", "phi-3-mini", "t5-small", "cl100k_base", "qwen-tiktoken"])
def test_long_white_space_encodes_on_real_tokenizers(name: str) -> None:
    tokenizer = real_tokenizer(name)
    assert tokenizer.decode(tokenizer.encode(LONG[0])).strip() == "x"


@pytest.mark.parametrize("text", ["<|endoftext|>", "a<|endoftext|>b", "\x00", "", " ", "\ud800", "ok\ud83d\udc4dok"])
def test_hostile_texts_encode_with_any_flags(tokenizer: Tokenizer, text: str) -> None:
    for added, parsed in FLAGS:
        encoding = tokenizer.encode(text, add_special_tokens=added, parse_special_tokens=parsed)
        tokenizer.decode(encoding)
        tokenizer.decode(encoding, skip_special_tokens=False)


def test_encodings_are_sequences_of_their_ids(tokenizer: Tokenizer) -> None:
    encoding = tokenizer.encode("the worker")
    assert list(encoding) == encoding.ids == encoding[:] == tokenizer.encode("the worker").ids
    assert encoding[0] in encoding
    assert encoding == tokenizer.encode("the worker")
    assert hash(encoding) == hash(tokenizer.encode("the worker"))
    assert encoding != tokenizer.encode("another")
    assert encoding != encoding.ids
    assert f">{encoding.tokens[0][:0]}" in encoding._repr_html_()
    assert "2" in repr(encoding) or "tokens" in repr(encoding)


def test_tokenizers_pickle_and_fingerprints_survive(tokenizer: Tokenizer) -> None:
    again = pickle.loads(pickle.dumps(tokenizer))
    assert again.fingerprint == tokenizer.fingerprint
    assert again.encode("the worker 😊") == tokenizer.encode("the worker 😊")
    assert (again.backend, again.special_tokens, again.eos_token_ids) == (
        tokenizer.backend,
        tokenizer.special_tokens,
        tokenizer.eos_token_ids,
    )


def test_what_is_loaded_from_a_source_pickles_small() -> None:
    real: list[str | Path] = ["tiktoken:cl100k_base", DATA / "models" / "falcon"] if HAS_DATA else []
    sources = ["mock:", "examples/tokenizer", *real]
    for source in sources:
        tokenizer = create_tokenizer(source)
        assert len(pickle.dumps(tokenizer)) < 3000
        assert create_tokenizer(tokenizer.source).fingerprint == tokenizer.fingerprint


def test_a_copy_is_the_tokenizer_itself(tokenizer: Tokenizer) -> None:
    assert copy.copy(tokenizer) is tokenizer
    assert copy.deepcopy([tokenizer])[0] is tokenizer


def test_threads_share_a_tokenizer(tokenizer: Tokenizer) -> None:
    texts = [f"the worker {number} 😊 <s>" for number in range(40)]
    cases = [(text, added, parsed) for text in texts for added, parsed in FLAGS]

    def work(case: tuple[str, bool, bool]) -> tuple[list[int], str]:
        text, added, parsed = case
        ids = tokenizer.encode(text, add_special_tokens=added, parse_special_tokens=parsed).ids
        stream = tokenizer.decode_stream()
        decoder = tokenizer.stop_decoder([text[-3:]])
        outputs = "".join(output.text for output in decoder.process_tokens(ids))
        return ids, (stream.step_batch(ids) or "") + (stream.flush() or "") + outputs

    expected = [work(case) for case in cases]
    del tokenizer.stream_tables
    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(work, cases)) == expected


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_forked_child_goes_on_encoding(tokenizer: Tokenizer) -> None:
    expected = tokenizer.encode("the worker 😊").ids
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(write, repr(tokenizer.encode("the worker 😊").ids).encode())
        os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        assert pipe.read().decode() == repr(expected)
    assert os.waitpid(child, 0)[1] == 0
