"""A decoder that is read as pieces gives what the library's own decoding gives; any other is not read."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers

from tests.data import DATA, HAS_DATA
from tokenfacade import HuggingFaceTokenizer
from tokenfacade.backends.huggingface_pieces import pieces_of, read_chain
from tokenfacade.decoding.pieces import join_bytes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tokenfacade.decoding.pieces import Pieces

TOKENS = (
    "hello",
    "▁world",
    "▁",
    "▁▁",
    "a▁b▁",
    " ",
    "  x  ",
    "##ing",
    "##",
    "#",
    "Ġthe",
    "Ċ",
    "Ã",
    "©",
    "é",
    "世",
    "\ufffd",
    "aa",
    "aba",
    ".",
    " .",
    " ' ",
    "n't",
    " do not",
    "'s",
    "</w>",
    "end</w>",
    "<pad>",
    "|",
    "<0x41>",
    "<0xC3>",
    "<0xa9>",
    "<0x+A>",
    "<0x4>",
    "<0xZZ>",
    "<0xé>",
    "<0x20>",
)
SPECIAL = "</s>"
INVALID = "\ufffd"


def build(decoder: Any) -> Tokenizer:
    raw = Tokenizer(models.WordLevel({token: token_id for token_id, token in enumerate(TOKENS)}, unk_token="#"))
    if decoder is not None:
        raw.decoder = decoder
    raw.add_tokens([AddedToken(SPECIAL, special=True), AddedToken("<tool>")])
    return raw


def read(raw: Tokenizer, *, skip: bool) -> Pieces | None:
    chain = read_chain(None if raw.decoder is None else json.loads(raw.decoder.__getstate__()))
    return None if chain is None else pieces_of(chain, raw.id_to_token, frozenset({SPECIAL} if skip else ()))


def decode(raw: Tokenizer, ids: Sequence[int], *, skip: bool) -> str | None:
    """What the library gives; None where it fails, as Strip does on a token that is shorter than what it strips."""
    try:
        return raw.decode(list(ids), skip_special_tokens=skip)
    except BaseException as error:
        if type(error).__name__ != "PanicException":
            raise
        return None


marks = st.sampled_from((" ", "a", "▁", "#", "é"))
texts = st.sampled_from(("", " ", "a", "▁", "##", "ab", "aa", "é", ".", "<0x41>"))
counts = st.integers(0, 3)
schemes = st.sampled_from(("always", "first", "never"))
metaspaces = st.builds(lambda mark, scheme: decoders.Metaspace(mark, prepend_scheme=scheme), marks, schemes)
word_pieces = st.builds(lambda prefix, cleanup: decoders.WordPiece(prefix, cleanup=cleanup), texts, st.booleans())
replaces = st.builds(decoders.Replace, texts | st.sampled_from(("a+", "^▁", ".$")).map(Regex), texts)
strips = st.builds(decoders.Strip, marks, counts, counts)
single: st.SearchStrategy[Any] = st.one_of(
    st.just(decoders.ByteLevel()),
    st.just(decoders.ByteFallback()),
    st.just(decoders.Fuse()),
    st.just(decoders.CTC()),
    st.just(decoders.BPEDecoder()),
    metaspaces,
    word_pieces,
    replaces,
    strips,
)
chains: st.SearchStrategy[Any] = st.recursive(
    single, lambda inner: st.lists(inner, max_size=4).map(decoders.Sequence), max_leaves=6
)
sentencepiece_like = st.builds(
    lambda before, fallback, after: decoders.Sequence([*before, *fallback, *after]),
    st.lists(replaces | metaspaces | strips, max_size=2),
    st.sampled_from(([], [decoders.ByteFallback()])),
    st.sampled_from(([], [decoders.Fuse()])).flatmap(
        lambda fuse: st.lists(strips, max_size=2).map(lambda last: [*fuse, *last])
    ),
)
id_lists = st.lists(st.integers(0, len(TOKENS) + 3), max_size=12)


def assert_exact(raw: Tokenizer, ids: Sequence[int], *, skip: bool) -> None:
    pieces = read(raw, skip=skip)
    expected = decode(raw, ids, skip=skip)
    if pieces is None or expected is None:
        return
    joined = join_bytes(pieces, ids)
    if pieces.invalid == "run" and not all(is_valid(run) for run in byte_runs(pieces, ids)):
        return
    assert joined.decode("utf-8", "replace") == expected


def byte_runs(pieces: Pieces, ids: Sequence[int]) -> list[bytes]:
    """The runs of byte tokens, each of which ByteFallback reads for itself."""
    runs = [b""]
    for token_id in ids:
        try:
            piece = pieces.piece(token_id)
        except KeyError:
            continue
        if isinstance(piece, bytes):
            runs[-1] += piece
        elif piece is not None:
            runs.append(b"")
    return runs


def is_valid(run: bytes) -> bool:
    return INVALID not in run.decode("utf-8", "replace")


@given(decoder=st.none() | chains | sentencepiece_like, ids=id_lists, skip=st.booleans())
@example(
    decoder=decoders.Sequence([decoders.ByteFallback(), decoders.Fuse(), decoders.Strip("é", 1, 0)]),
    ids=[30, 31, 0],
    skip=False,
)
@example(
    decoder=decoders.Sequence([decoders.Replace("▁", " "), decoders.Fuse(), decoders.Strip(" ", 1, 0)]),
    ids=[2, 1],
    skip=False,
)
def test_pieces_join_to_what_the_library_decodes(decoder: Any, ids: list[int], *, skip: bool) -> None:
    assert_exact(build(decoder), ids, skip=skip)


@given(st.lists(st.text(max_size=6), min_size=1, max_size=8, unique=True), chains | sentencepiece_like, id_lists)
def test_pieces_are_exact_for_any_vocabulary(tokens: list[str], decoder: Any, ids: list[int]) -> None:
    raw = Tokenizer(models.WordLevel({token: token_id for token_id, token in enumerate(tokens)}, unk_token=tokens[0]))
    raw.decoder = decoder
    assert_exact(raw, ids, skip=False)


LLAMA = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]


@pytest.mark.parametrize(
    "decoder",
    [
        None,
        decoders.ByteLevel(),
        decoders.Sequence([decoders.Replace("x", "y"), decoders.ByteLevel()]),
        decoders.WordPiece(),
        decoders.WordPiece("@@", cleanup=False),
        decoders.Metaspace(),
        decoders.Metaspace(prepend_scheme="never"),
        decoders.Fuse(),
        decoders.Sequence(LLAMA),
        decoders.Sequence([decoders.Sequence(LLAMA[:2]), decoders.Sequence(LLAMA[2:])]),
        decoders.Sequence([]),
    ],
)
def test_decoders_that_work_token_by_token_are_read(decoder: Any) -> None:
    assert read(build(decoder), skip=True) is not None


@pytest.mark.parametrize(
    "decoder",
    [
        decoders.CTC(),
        decoders.BPEDecoder(),
        decoders.Replace(Regex("a"), "b"),
        decoders.Replace("", "b"),
        decoders.Sequence([decoders.ByteLevel(), decoders.Strip(" ", 1, 0)]),
        decoders.Sequence([decoders.ByteFallback(), decoders.Metaspace()]),
        decoders.Sequence([decoders.Fuse(), decoders.Replace("a", "b")]),
        decoders.Sequence([decoders.Fuse(), decoders.Strip(" ", 0, 1)]),
        decoders.Sequence([decoders.ByteFallback(), decoders.Fuse(), decoders.Strip("é", 1, 0)]),
    ],
)
def test_decoders_that_need_the_whole_text_are_not_read(decoder: Any) -> None:
    assert read(build(decoder), skip=True) is None
    ids = [0, 1, 2, 3]
    tokenizer = HuggingFaceTokenizer(build(decoder))
    assert tokenizer.decode(ids) == build(decoder).decode(ids)


def test_a_special_token_does_not_break_a_run_of_bytes_when_it_is_skipped() -> None:
    raw = build(decoders.Sequence(LLAMA))
    ids = [TOKENS.index("<0xC3>"), raw.token_to_id(SPECIAL) or 0, TOKENS.index("<0xa9>")]
    assert HuggingFaceTokenizer(raw).decode(ids) == "é"
    assert_exact(raw, ids, skip=True)


def test_an_added_token_is_decoded_as_the_library_decodes_it_whatever_the_normalizer_makes_of_it() -> None:
    raw = build(decoders.Sequence(LLAMA))
    raw.normalizer = normalizers.Prepend("▁")
    raw.add_tokens([AddedToken("<normalized>", normalized=True), AddedToken("<as it is>", normalized=False)])
    tokenizer = HuggingFaceTokenizer(raw)
    ids = [0, *range(len(TOKENS), tokenizer.vocab_size)]
    assert [tokenizer.token_to_id(tokenizer.id_to_token(token_id) or "") for token_id in ids] == ids
    for skip in (False, True):
        text = raw.decode(ids, skip_special_tokens=skip)
        assert tokenizer.decode(ids, skip_special_tokens=skip) == text
        assert tokenizer.decode_bytes(ids, skip_special_tokens=skip).decode() == text
        stream = tokenizer.decode_stream(skip_special_tokens=skip)
        assert "".join(stream.step(token_id) or "" for token_id in ids) + (stream.flush() or "") == text


@pytest.mark.skipif(not HAS_DATA, reason="needs the shared test data")
@pytest.mark.parametrize(
    "name", ["all-minilm-l6-v2", "clip", "deepseek-v3", "falcon", "minimind", "phi-3-mini", "roberta-base", "t5-small"]
)
def test_pieces_of_real_models_join_to_what_the_library_decodes(name: str) -> None:
    raw = Tokenizer.from_file(str(DATA / "models" / name / "tokenizer.json"))
    special = frozenset(str(token) for token in raw.get_added_tokens_decoder().values() if token.special)
    chain = read_chain(None if raw.decoder is None else json.loads(raw.decoder.__getstate__()))
    assert chain is not None
    pieces = pieces_of(chain, raw.id_to_token, special)
    texts = [" Hello  world, don't .", "日本語 😊👩‍👩‍👧 é", "\n\t x\u00a0\u3000", "<s>a</s> b", "▁a ##b Ġ"]
    for ids in [[0], [5, 5, 5], *(raw.encode(text).ids for text in texts)]:
        assert join_bytes(pieces, ids).decode("utf-8", "replace") == raw.decode(ids)
