"""The laws of the vocabulary: tokens and ids, their bytes, and what decoding makes of any integers."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from tokenfacade.errors import DecodeError
from tokenfacade.testing.checks import equal, for_all, refuses, require, works
from tokenfacade.testing.oracles import stream_text
from tokenfacade.testing.strategies import UNKNOWN_IDS, ids_of, some_ids

if TYPE_CHECKING:
    from tokenfacade.decoding.pieces import Pieces
    from tokenfacade.protocols import Tokenizer

MOST_TOKENS = 5000
"""Tokens that are looked at in a large vocabulary, evenly spread."""


class VocabularyLaws:
    """Tokens and ids are each other's inverse, bytes are exact, and decoding takes any integers."""

    def test_token_and_id_are_inverse(self, tokenizer: Tokenizer) -> None:
        """`id_to_token` and `token_to_id` are inverse to each other over the whole vocabulary, every token has bytes,
        and the largest id is `vocab_size` - 1."""
        spread = range(0, tokenizer.vocab_size, max(1, tokenizer.vocab_size // MOST_TOKENS))
        for token_id in [*spread, *tokenizer.special_tokens.ids.values()]:
            token = tokenizer.id_to_token(token_id)
            if token is not None:
                equal(tokenizer.token_to_id(token), token_id, f"token_to_id({token!r})")
                require(isinstance(tokenizer.token_bytes(token_id), bytes), f"token_bytes({token_id}) is bytes")
        last = tokenizer.vocab_size - 1
        require(tokenizer.id_to_token(last) is not None, f"the largest id is vocab_size - 1 = {last}")
        equal(tokenizer.id_to_token(last + 1), None, f"id_to_token({last + 1}), which is vocab_size,")

    def test_special_tokens_are_tokens(self, tokenizer: Tokenizer) -> None:
        """Every special token is in the vocabulary under its id, and the ids that end a generation are in it too."""
        for token, token_id in tokenizer.special_tokens.ids.items():
            equal(tokenizer.token_to_id(token), token_id, f"token_to_id({token!r}), a special token,")
            equal(tokenizer.id_to_token(token_id), token, f"id_to_token({token_id}), a special token,")
        for token_id in tokenizer.eos_token_ids:
            require(type(token_id) is int, f"{token_id!r} of eos_token_ids is an int")
            require(tokenizer.id_to_token(token_id) is not None, f"{token_id} of eos_token_ids is in the vocabulary")
        equal(len(set(tokenizer.eos_token_ids)), len(tokenizer.eos_token_ids), "counting eos_token_ids once each")

    def test_special_tokens_are_skipped_only_when_they_should_be(self, tokenizer: Tokenizer) -> None:
        """With ``skip_special_tokens=True`` special tokens have no text, and by default they are skipped."""
        ids = some_ids(tokenizer)
        special = list(tokenizer.special_tokens.ids.values())[:8]
        equal(tokenizer.decode(special, skip_special_tokens=True), "", f"decode of the special {special}")
        equal(tokenizer.decode([*ids, *special]), tokenizer.decode(ids), "decode by default")
        if special:
            shown = tokenizer.decode(special, skip_special_tokens=False)
            require(shown, f"the special {special} have text when they aren't skipped")

    def test_unknown_ids_are_no_token(self, tokenizer: Tokenizer) -> None:
        """Integers that the vocabulary lacks have no token and no text, however large, and `token_bytes` raises
        `DecodeError` with the id."""
        for unknown in (*UNKNOWN_IDS, tokenizer.vocab_size):
            equal(works(partial(tokenizer.id_to_token, unknown), f"id_to_token({unknown})"), None, "an unknown id")
            equal(works(partial(tokenizer.decode, [unknown]), f"decode([{unknown}])"), "", f"decode([{unknown}])")
            equal(works(partial(tokenizer.decode_bytes, [unknown]), f"decode_bytes([{unknown}])"), b"", "an unknown id")
            caught = refuses(DecodeError, partial(tokenizer.token_bytes, unknown), f"token_bytes({unknown})")
            equal(caught.token_id, unknown, "the token_id of the error")

    def test_bools_are_the_integers_that_they_are_in_python(self, tokenizer: Tokenizer) -> None:
        """True is the id 1, as everywhere in Python."""
        truth = True
        equal(tokenizer.decode([truth]), tokenizer.decode([1]), "decode([True])")
        equal(tokenizer.id_to_token(truth), tokenizer.id_to_token(1), "id_to_token(True)")
        streams = tokenizer.decode_stream(), tokenizer.decode_stream()
        equal(streams[0].step_batch([truth]), streams[1].step_batch([1]), "step_batch([True])")

    def test_what_is_no_id_is_refused(self, tokenizer: Tokenizer) -> None:
        """What isn't an integer raises `DecodeError`, and nothing else, wherever an id or a list of ids is expected."""
        no_ids: list[Any] = [None, "a", 1.5, b"x", [1]]
        for no_id in no_ids:
            for call in (tokenizer.id_to_token, tokenizer.token_bytes):
                refuses(DecodeError, partial(call, no_id), f"{call.__name__}({no_id!r})")
            for decode in (tokenizer.decode, tokenizer.decode_bytes):
                refuses(DecodeError, partial(decode, [no_id]), f"{decode.__name__}([{no_id!r}])")
            if not isinstance(no_id, bytes | list):
                for read in (tokenizer.decode, tokenizer.decode_bytes, tokenizer.decode_stream):
                    refuses(DecodeError, partial(read, no_id), f"{read.__name__}({no_id!r})")

    def test_decode_bytes_are_what_decode_reads(self, tokenizer: Tokenizer) -> None:
        """`decode_bytes` are the exact bytes of which `decode` makes text, and those of one id are `token_bytes`."""

        @for_all(ids_of(tokenizer), st.booleans())
        def law(ids: list[int], skip: bool) -> None:  # noqa: FBT001
            pieces = tokenizer.pieces(skip_special_tokens=skip)
            exact = tokenizer.decode_bytes(ids, skip_special_tokens=skip)
            decoded, text = exact.decode("utf-8", "replace"), tokenizer.decode(ids, skip_special_tokens=skip)
            if pieces is None or (pieces.invalid == "subpart" and not _has_breaks(pieces, ids)):
                equal(decoded, text, f"decode_bytes({ids}) as text")
            elif pieces.invalid == "run" and "\ufffd" not in decoded:
                equal(decoded, stream_text(tokenizer, [], ids, skip=skip), f"decode_bytes({ids}) as text")
            if pieces is not None and not skip and pieces.first is None and not pieces.strip_count:
                known = [token_id for token_id in ids if tokenizer.id_to_token(token_id) is not None]
                joined = b"".join(map(tokenizer.token_bytes, known))
                equal(exact, joined, f"decode_bytes({ids}), beside token_bytes of each,")

        law()

    def test_a_batch_is_decoded_as_its_lists_are(self, tokenizer: Tokenizer) -> None:
        """`decode_batch` equals `decode` of each list; lists, tuples, iterators and encodings decode alike."""

        @for_all(st.lists(ids_of(tokenizer, max_size=8), max_size=4), st.booleans())
        def law(batch: list[list[int]], skip: bool) -> None:  # noqa: FBT001
            expected = [tokenizer.decode(ids, skip_special_tokens=skip) for ids in batch]
            equal(tokenizer.decode_batch(batch, skip_special_tokens=skip), expected, f"decode_batch({batch})")
            for kind in (tuple, iter):
                kinds = [tokenizer.decode(kind(ids), skip_special_tokens=skip) for ids in batch]
                equal(kinds, expected, f"decode of each of {batch} as a {kind.__name__}")

        law()
        encoding = tokenizer.encode("the worker")
        equal(tokenizer.decode(encoding), tokenizer.decode(encoding.ids), "decode of an Encoding")


def _has_breaks(pieces: Pieces, ids: list[int]) -> bool:
    """Whether some id has no bytes and yet parts those around it, so that halves of a character don't join."""
    for token_id in ids:
        try:
            if pieces.piece(token_id) == "":
                return True
        except KeyError:
            continue
    return False
