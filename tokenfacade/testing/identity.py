"""The laws of identity: what a tokenizer says of itself, and that it stays itself in copies, threads and processes."""

from __future__ import annotations

import copy
import os
import pickle
import re
import select
import signal
import warnings
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, ClassVar

from tokenfacade.testing.checks import equal, require, works
from tokenfacade.testing.encoding import FLAGS
from tokenfacade.testing.strategies import FRAGMENTS

if TYPE_CHECKING:
    from tokenfacade.protocols import Tokenizer

THREADS = 16
LONGEST_WAIT = 60
"""Seconds after which a forked process is taken to wait for a lock that nobody will release."""

TEXT = "the worker 😊"


class IdentityLaws:
    """A tokenizer says what it is, never changes, and may be shared between threads and processes.

    Attributes:
        largest_pickle: How many bytes a pickled tokenizer may have. By source, not by content, fits in the default;
            more is for one that was made in memory and has no source, None for one that can't be sent at all.
    """

    largest_pickle: ClassVar[int | None] = 1000

    def test_it_says_what_it_is(self, tokenizer: Tokenizer) -> None:
        """`backend` and `source` are words, `fingerprint` is a sha256 in hex, `engine` says its reason."""
        for name in ("backend", "source"):
            require(isinstance(getattr(tokenizer, name), str) and getattr(tokenizer, name), f"{name} is a word")
        for name in ("fingerprint", "vocabulary_fingerprint"):
            value = getattr(tokenizer, name)
            require(re.fullmatch("[0-9a-f]{64}", value), f"{name} is a sha256 in hex, not {value!r}")
        require(tokenizer.engine in ("reference", "fast"), f"engine is reference or fast, not {tokenizer.engine!r}")
        require(tokenizer.engine.reason, "engine.reason says why")
        require(type(tokenizer).__name__ in repr(tokenizer), "repr names the class")

    def test_the_fingerprint_is_of_vocabulary_and_templates(self, tokenizer: Tokenizer) -> None:
        """`fingerprint` stays the same, and is another exactly where templates are; `vocabulary_fingerprint` isn't."""
        twin = tokenizer.with_chat_template("{{ messages[0].content }} of the law")
        equal(twin.vocabulary_fingerprint, tokenizer.vocabulary_fingerprint, "the vocabulary_fingerprint of a twin")
        require(twin.fingerprint != tokenizer.fingerprint, "another template is another fingerprint")
        same = tokenizer.with_chat_template("{{ messages[0].content }} of the law")
        equal(same.fingerprint, twin.fingerprint, "the fingerprint of a twin with the same template")

    def test_it_pickles_and_stays_itself(self, tokenizer: Tokenizer) -> None:
        """Tokenizers pickle by source, not by content, so in less than a kilobyte, and what arrives is the same, its
        fingerprint and its engine too."""
        if self.largest_pickle is None:
            return
        data = works(lambda: pickle.dumps(tokenizer), "pickle.dumps")
        require(len(data) <= self.largest_pickle, f"{len(data)} bytes of a pickle are at most {self.largest_pickle}")
        again: Tokenizer = works(lambda: pickle.loads(data), "pickle.loads")
        equal(again.encode(TEXT).ids, tokenizer.encode(TEXT).ids, f"encode({TEXT!r}) after pickling")
        for name in ("fingerprint", "backend", "special_tokens", "eos_token_ids", "vocab_size"):
            equal(getattr(again, name), getattr(tokenizer, name), f"{name} after pickling")
        engine = tokenizer.wait_for_engine(timeout=LONGEST_WAIT)
        equal(again.wait_for_engine(timeout=LONGEST_WAIT), engine, "the engine after pickling")

    def test_a_copy_is_the_tokenizer_itself(self, tokenizer: Tokenizer) -> None:
        """A tokenizer doesn't change, so that a copy, shallow or deep, is the tokenizer itself."""
        require(copy.copy(tokenizer) is tokenizer, "a copy is the tokenizer itself")
        require(copy.deepcopy([tokenizer])[0] is tokenizer, "a deep copy is the tokenizer itself")

    def test_results_are_the_callers_own(self, tokenizer: Tokenizer) -> None:
        """What a caller does to the ids that it got changes nothing for the next one."""
        for flags in FLAGS:
            expected = list(tokenizer.encode(TEXT, **flags).ids)
            for encoding in (tokenizer.encode(TEXT, **flags), *tokenizer.encode_batch([TEXT, TEXT], **flags)):
                equal(encoding.ids, expected, f"encode({TEXT!r}, {flags}) after a caller changed what it got")
                encoding.ids.append(0)
            equal(tokenizer.count_tokens(TEXT, **flags), len(expected), "count_tokens after a caller changed ids")

    def test_threads_share_it(self, tokenizer: Tokenizer) -> None:
        """Sixteen threads that encode with mixed flags, stream and stop get what one alone gets."""
        texts = [f"{TEXT} {number} {FRAGMENTS[number % len(FRAGMENTS)]} <s>" for number in range(40)]
        cases = [(text, flags) for text in texts for flags in FLAGS]

        def work(case: tuple[str, dict[str, bool]]) -> tuple[list[int], int, str]:
            text, flags = case
            ids = tokenizer.encode(text, **flags).ids
            stream, decoder = tokenizer.decode_stream(), tokenizer.stop_decoder([text[-3:]])
            stopped = "".join(output.text for output in decoder.process_tokens(ids))
            streamed = (stream.step_batch(ids) or "") + (stream.flush() or "")
            return ids, tokenizer.count_tokens(text, **flags), streamed + stopped

        expected = [work(case) for case in cases]
        vars(tokenizer).pop("stream_tables", None)
        with ThreadPoolExecutor(THREADS) as pool:
            for case, got, wanted in zip(cases, pool.map(work, cases), expected, strict=True):
                equal(got, wanted, f"{case} in one of {THREADS} threads")

    def test_a_forked_child_goes_on_encoding(self, tokenizer: Tokenizer) -> None:
        """A forked process encodes with the tokenizer that it inherited. On systems with fork."""
        if not hasattr(os, "fork"):
            return
        expected = repr(tokenizer.encode(TEXT).ids)
        read, write = os.pipe()
        with warnings.catch_warnings():
            # Python 3.12 warns of every fork in a process with threads; that it works is what the law says.
            warnings.simplefilter("ignore", DeprecationWarning)
            child = os.fork()
        if child == 0:
            _answer(write, tokenizer)
        os.close(write)
        with os.fdopen(read, "rb") as pipe:
            has_answered = bool(select.select([pipe], [], [], LONGEST_WAIT)[0])
            if not has_answered:
                os.kill(child, signal.SIGKILL)
            answer = pipe.read().decode()
        status = os.waitpid(child, 0)[1]
        equal((answer, status), (expected, 0), f"encode({TEXT!r}) in a forked process, and its exit status,")


def _answer(write: int, tokenizer: Tokenizer) -> None:
    """In the child: whatever happens, leave without running what the parent still has to do."""
    status = 1
    try:
        os.write(write, repr(tokenizer.encode(TEXT).ids).encode())
        status = 0
    finally:
        os._exit(status)
