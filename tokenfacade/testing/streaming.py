"""The laws of streaming: Join, Prompt, Final, Context and Constant."""

from __future__ import annotations

import copy
import logging
from functools import partial
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from tokenfacade.errors import DecodeError
from tokenfacade.testing.checks import equal, for_all, refuses, require, works
from tokenfacade.testing.memory import kept_by
from tokenfacade.testing.oracles import run_steps, stream_text
from tokenfacade.testing.strategies import UNKNOWN_IDS, byte_ids, cuts_of, ids_of, some_ids

if TYPE_CHECKING:
    from tokenfacade.protocols import Tokenizer

NO_IDS: tuple[Any, ...] = (None, "a", 1.5, b"", [1], object())
STRETCH, WINDOWED_STRETCH = 3_000, 300
"""Steps between two looks at the memory; windows decode some fifty ids at each step."""


def whole(tokenizer: Tokenizer, ids: list[int], *, skip: bool) -> str:
    """What a stream gives out in all: `decode`, but for the one rule of ByteFallback, which an oracle knows."""
    pieces = tokenizer.pieces(skip_special_tokens=skip)
    decoded = tokenizer.decode(ids, skip_special_tokens=skip)
    if pieces is None or pieces.invalid == "subpart":
        return decoded
    text = stream_text(tokenizer, [], ids, skip=skip)
    return text if "\ufffd" in text else decoded


class StreamingLaws:
    """Streams give out what `decode` gives, each character as early as can be, and never take it back."""

    def test_chunks_and_flush_join_to_decode(self, tokenizer: Tokenizer) -> None:
        """**Join.** For every list of ids and every way of cutting it into steps, the chunks and the flush joined are
        what `decode` gives."""

        @for_all(ids_of(tokenizer), st.booleans(), st.data())
        def law(ids: list[int], skip: bool, data: st.DataObject) -> None:  # noqa: FBT001
            stream = tokenizer.decode_stream(skip_special_tokens=skip)
            chunks = [stream.step_batch(part) or "" for part in data.draw(cuts_of(ids))]
            joined = "".join(chunks) + (stream.flush() or "")
            equal(joined, whole(tokenizer, ids, skip=skip), f"a stream of {ids}")
            equal(stream.flush(), None, "a second flush")

        law()

    def test_single_steps_equal_one_batch(self, tokenizer: Tokenizer) -> None:
        """**Join.** Ids taken one by one give the same text, and leave the same held back, as all at once."""

        @for_all(ids_of(tokenizer))
        def law(ids: list[int]) -> None:
            one, other = tokenizer.decode_stream(), tokenizer.decode_stream()
            equal("".join(run_steps(one.step, ids)), other.step_batch(ids) or "", f"step by step, {ids}")
            equal(one.flush(), other.flush(), f"flush after {ids}")

        law()

    def test_a_character_leaves_in_the_step_that_completes_it(self, tokenizer: Tokenizer) -> None:
        """**Prompt.** A character leaves in the step that completes it, and at most three bytes are ever held. Bytes
        that aren't UTF-8 are replaced at once, by the rule of maximal subparts.

        For tokenizers with `pieces`; the others can't know whether U+FFFD is meant or still to be completed."""
        if tokenizer.pieces(skip_special_tokens=True) is None:
            return

        @for_all(ids_of(tokenizer))
        def law(ids: list[int]) -> None:
            stream = tokenizer.decode_stream()
            given_out = ""
            for count, token_id in enumerate(ids, 1):
                given_out += stream.step(token_id) or ""
                tail = copy.copy(stream).flush() or ""
                expected = stream_text(tokenizer, [], ids[:count], skip=True)
                equal(given_out + tail, expected, f"a stream of {ids[:count]}, flushed,")
                require(len(tail) <= 3, f"a stream of {ids[:count]} holds at most 3 bytes, not {tail!r}")
                require(not tail.strip("\ufffd"), f"a stream of {ids[:count]} holds no whole character, as in {tail!r}")

        law()

    def test_what_was_given_out_is_never_changed(self, tokenizer: Tokenizer) -> None:
        """**Final.** Nothing given out is ever repeated, changed or withdrawn, whatever follows."""

        @for_all(ids_of(tokenizer), ids_of(tokenizer))
        def law(ids: list[int], more: list[int]) -> None:
            stream = tokenizer.decode_stream()
            begun = "".join(run_steps(stream.step, ids))
            longer = tokenizer.decode_stream().step_batch([*ids, *more]) or ""
            equal(longer[: len(begun)], begun, f"the beginning of a stream of {[*ids, *more]}")
            equal(begun + "".join(run_steps(stream.step, more)), longer, f"a stream of {ids}, gone on with {more},")

        law()

    def test_a_prompt_gives_context_and_never_comes_out(self, tokenizer: Tokenizer) -> None:
        """**Context.** `prompt_ids` says whether this is the first word, and never comes out itself, not even when it
        ends inside a character."""

        @for_all(ids_of(tokenizer), ids_of(tokenizer), st.booleans())
        def law(prompt: list[int], ids: list[int], skip: bool) -> None:  # noqa: FBT001
            stream = tokenizer.decode_stream(prompt, skip_special_tokens=skip)
            chunks = "".join(run_steps(stream.step, ids)) + (stream.flush() or "")
            if tokenizer.pieces(skip_special_tokens=skip) is not None:
                expected = stream_text(tokenizer, prompt, ids, skip=skip)
                equal(chunks, expected, f"a stream of {ids} after the prompt {prompt}")
            elif "\ufffd" not in (before := tokenizer.decode(prompt, skip_special_tokens=skip)):
                expected = tokenizer.decode([*prompt, *ids], skip_special_tokens=skip)
                equal(before + chunks, expected, f"the prompt {prompt} and a stream of {ids}")

        law()

    def test_a_prompt_alone_gives_nothing(self, tokenizer: Tokenizer) -> None:
        """**Context.** A stream that only has a prompt has nothing to flush."""
        for text in ("hello world", "😊", ""):
            ids = tokenizer.encode(text).ids
            for length in range(len(ids) + 1):
                equal(tokenizer.decode_stream(ids[:length]).flush(), None, f"flush after the prompt {ids[:length]}")

    def test_only_a_character_that_straddles_the_border_comes_out_whole(self, tokenizer: Tokenizer) -> None:
        """**Context.** Where a prompt ends inside a character, the character comes out whole once it is complete, and
        not at all if it never is. For vocabularies with tokens for single bytes."""
        single = byte_ids(tokenizer)
        if not single.keys() >= set("😊".encode()):
            return
        ids = [single[byte] for byte in "😊".encode()]
        prompt = some_ids(tokenizer)
        for border in range(1, 4):
            before = [*prompt, *ids[:border]]
            chunks = run_steps(tokenizer.decode_stream(before).step, ids[border:])
            equal(chunks[-1], "😊", f"the last of {ids[border:]} after the prompt {before}")
            broken = tokenizer.decode_stream(before).step_batch(prompt)
            whole_words = tokenizer.decode_stream(prompt).step_batch(prompt)
            equal(broken, whole_words, f"{prompt} after the prompt {before}")

    def test_unknown_ids_contribute_nothing(self, tokenizer: Tokenizer) -> None:
        """**Final.** No step raises on any integer: ids that the vocabulary lacks contribute nothing."""
        ids = some_ids(tokenizer)
        for unknown in (*UNKNOWN_IDS, tokenizer.vocab_size):
            stream = tokenizer.decode_stream()
            equal(works(partial(stream.step, unknown), f"step({unknown})"), None, f"step({unknown})")
            text = "".join(run_steps(stream.step, [unknown, *ids, unknown])) + (stream.flush() or "")
            equal(text, tokenizer.decode(ids), f"a stream of {ids} between two ids {unknown}")
            equal(tokenizer.decode([unknown, *ids, unknown]), text, f"decode of {ids} between two ids {unknown}")

    def test_unknown_ids_raise_when_errors_are_strict(self, tokenizer: Tokenizer) -> None:
        """**Final.** With ``errors="strict"`` an unknown id raises `DecodeError` with its `token_id`, and the stream
        stays as it was."""
        ids = some_ids(tokenizer)
        stream = tokenizer.decode_stream(errors="strict")
        begun = stream.step(ids[0]) or ""
        caught = refuses(DecodeError, partial(stream.step, 2**32), "a strict step(2**32)")
        equal(caught.token_id, 2**32, "the token_id of the error")
        refuses(DecodeError, partial(stream.step_batch, [*ids[1:], -1]), "a strict step_batch with -1")
        text = begun + (stream.step_batch(ids[1:]) or "") + (stream.flush() or "")
        equal(text, tokenizer.decode(ids), "a strict stream after its errors")

    def test_what_is_no_integer_is_refused_and_changes_nothing(self, tokenizer: Tokenizer) -> None:
        """**Final.** What isn't an integer raises `DecodeError`, and the stream stays as it was."""
        ids = some_ids(tokenizer)
        for no_id in NO_IDS:
            stream = tokenizer.decode_stream()
            refuses(DecodeError, partial(stream.step, no_id), f"step({no_id!r})")
            refuses(DecodeError, partial(stream.step_batch, [no_id]), f"step_batch([{no_id!r}])")
            refuses(DecodeError, partial(tokenizer.decode_stream, [no_id]), f"decode_stream([{no_id!r}])")
            text = (stream.step_batch(ids) or "") + (stream.flush() or "")
            equal(text, tokenizer.decode(ids), f"a stream that refused {no_id!r}")

    def test_unknown_ids_are_logged_once(self, tokenizer: Tokenizer) -> None:
        """**Final.** The first unknown id that any stream of a tokenizer meets is logged as a warning, no other."""
        before = vars(tokenizer).pop("stream_tables", None)
        is_new = before is not tokenizer.stream_tables  # those of a tokenizer inside may stay
        handler = _Counter()
        logger = logging.getLogger("tokenfacade")
        logger.addHandler(handler)
        try:
            for _ in range(3):
                tokenizer.decode_stream().step_batch([-1, -2, 2**40])
        finally:
            logger.removeHandler(handler)
        require(handler.count <= 1, f"unknown ids are logged once, not {handler.count} times")
        require(handler.count == 1 or not is_new, "unknown ids are logged")

    def test_a_copy_goes_its_own_way(self, tokenizer: Tokenizer) -> None:
        """**Final.** A copy of a stream, shallow or deep, and the stream itself don't touch each other."""
        ids, others = some_ids(tokenizer, "the 😊 worker"), some_ids(tokenizer, "another way")
        expected = whole(tokenizer, ids, skip=True)
        for middle in range(len(ids) + 1):
            stream = tokenizer.decode_stream()
            begun = stream.step_batch(ids[:middle]) or ""
            for twin in (copy.copy(stream), copy.deepcopy(stream)):
                twin.step_batch(others)
                twin.flush()
            for twin in (copy.copy(stream), copy.deepcopy(stream), stream):
                text = begun + (twin.step_batch(ids[middle:]) or "") + (twin.flush() or "")
                equal(text, expected, f"a stream of {ids}, copied after {middle} ids,")

    def test_a_stream_goes_on_after_a_flush(self, tokenizer: Tokenizer) -> None:
        """**Final.** After a flush the same text goes on: flushing between whole characters changes nothing."""
        ids = some_ids(tokenizer, "the worker the worker")
        stream = tokenizer.decode_stream()
        chunks = ""
        for token_id in ids:
            chunks += (stream.step(token_id) or "") + (stream.flush() or "")
        if "\ufffd" not in chunks:
            equal(chunks, tokenizer.decode(ids), "a stream that is flushed after each step")

    def test_memory_of_a_stream_is_constant(self, tokenizer: Tokenizer) -> None:
        """**Constant.** The memory of a stream doesn't grow with its length, also for invalid bytes without end."""
        single = byte_ids(tokenizer)
        invalid = [single[byte] for byte in (0x80, 0xF0, 0xFF) if byte in single]
        length = WINDOWED_STRETCH if tokenizer.pieces(skip_special_tokens=True) is None else STRETCH
        stream = tokenizer.decode_stream()

        def walk() -> None:
            for ids in filter(None, (some_ids(tokenizer), invalid, [-1])):
                for _ in range(length // len(ids)):
                    for token_id in ids:
                        stream.step(token_id)

        grown = kept_by(walk)
        require(grown < length, f"some {length} steps leave nothing behind, not {grown} bytes each time")


class _Counter(logging.Handler):
    """Counts the warnings about ids that contribute nothing."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.count = 0

    def emit(self, record: logging.LogRecord) -> None:
        self.count += "contribute nothing" in record.getMessage()
