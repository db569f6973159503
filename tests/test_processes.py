"""Tokenizers across fork and spawn, how small they pickle, and an environment that nobody touches."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import pickle
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.data import DATA, HAS_DATA, ROOT
from tests.real import REAL_NAMES, real_tokenizer
from tests.small import small_tokenizer
from tokenfacade import create_tokenizer
from tokenfacade.lazy import cached_property
from tokenfacade.threads import HUGE_CHARACTERS, pool

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenfacade import Tokenizer

LONG = "the worker answers 😊 " * (HUGE_CHARACTERS // 20)
SECONDS = 60

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
# Newer Pythons warn of a fork beside threads: that it works there is what these tests are about.
forks_beside_threads = pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")


def lengths(tokenizer: Tokenizer, longest: int = 5_000) -> list[int]:
    """What every way of encoding gives: at once, in parallel, in a pool."""

    async def in_pool() -> list[int]:
        return [len(await tokenizer.encode_async(text)) for text in ("short", LONG[:5_000], LONG[:longest])]

    batch = tokenizer.encode_batch([LONG[:17_000]] * 6)
    return [len(tokenizer.encode("the worker 😊")), *map(len, batch), *asyncio.run(in_pool())]


def in_fork(work: Callable[[], object]) -> str:
    """What a forked child says; it is ended if it hangs."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(write, repr(work()).encode())
        finally:
            os._exit(0)
    os.close(write)
    watch = threading.Timer(SECONDS, os.kill, (child, 9))
    watch.start()
    with os.fdopen(read, "rb") as pipe:
        said = pipe.read().decode()
    os.waitpid(child, 0)
    watch.cancel()
    watch.join()
    return said


@needs_fork
@forks_beside_threads
def test_a_forked_child_encodes_in_every_way_after_its_parent_did(tokenizer: Tokenizer) -> None:
    expected = lengths(tokenizer)
    assert in_fork(lambda: lengths(tokenizer)) == repr(expected)
    assert lengths(tokenizer) == expected


@needs_fork
@forks_beside_threads
@pytest.mark.parametrize("name", ["byte_level", "metaspace", "tiktoken_small", "mock", "fast"])
def test_a_child_forked_while_the_pools_are_busy_works(name: str) -> None:
    tokenizer = small_tokenizer(name)
    expected = lengths(tokenizer, len(LONG))
    jobs = [pool("huge", threads=1).submit(lambda: len(tokenizer.encode(LONG))) for _ in range(3)]
    jobs += [pool("long", threads=4).submit(lambda: len(tokenizer.encode(LONG[:5_000]))) for _ in range(8)]
    assert [in_fork(lambda: lengths(tokenizer, len(LONG))) for _ in range(3)] == [repr(expected)] * 3
    assert in_fork(lambda: in_fork(lambda: lengths(tokenizer, len(LONG)))) == repr(repr(expected))
    assert [job.result(SECONDS) for job in jobs] == [expected[-1]] * 3 + [expected[-2]] * 8


class SlowName:
    """Works its name out as slowly as it is told to."""

    def __init__(self) -> None:
        self.has_begun = threading.Event()
        self.may_end = threading.Event()
        self.may_end.set()

    @cached_property
    def name(self) -> str:
        self.has_begun.set()
        self.may_end.wait(SECONDS)
        return "a name"


@needs_fork
@forks_beside_threads
def test_a_child_forked_while_a_thread_works_an_attribute_out_can_ask_for_it() -> None:
    slow, other = SlowName(), SlowName()
    slow.may_end.clear()
    thread = threading.Thread(target=lambda: slow.name)
    thread.start()
    assert slow.has_begun.wait(SECONDS)
    assert in_fork(lambda: other.name) == "'a name'"
    assert thread.is_alive()
    slow.may_end.set()
    thread.join(SECONDS)
    assert (slow.name, "name" in vars(slow)) == ("a name", True)


def test_a_spawned_child_loads_it_again() -> None:
    sources: list[str | Path] = ["mock:", "examples/tokenizer"]
    if HAS_DATA:
        sources += ["tiktoken:cl100k_base", DATA / "models" / "minimind"]
    tokenizers = [create_tokenizer(source) for source in sources]
    with multiprocessing.get_context("spawn").Pool(1) as workers:
        found = workers.map_async(lengths, tokenizers).get(SECONDS)
    assert found == [lengths(tokenizer) for tokenizer in tokenizers]


@pytest.mark.parametrize("name", REAL_NAMES)
def test_what_comes_from_a_file_pickles_by_source(name: str) -> None:
    tokenizer = real_tokenizer(name)
    # The recipe of a rank file with tokens of the caller holds them: those are in no file.
    most = 1000 if name != "qwen-tiktoken" else 10_000
    assert len(pickle.dumps(tokenizer)) < most
    assert pickle.loads(pickle.dumps(tokenizer)).fingerprint == tokenizer.fingerprint


def test_what_is_in_the_repository_pickles_by_source() -> None:
    for source in ("examples/tokenizer", "mock:"):
        assert len(pickle.dumps(create_tokenizer(source))) < (1000 if source != "mock:" else 3000)


UNTOUCHED = """
import ctypes, os
libc = ctypes.CDLL(None)
libc.getenv.restype = ctypes.c_char_p
names = ["TOKENIZERS_PARALLELISM", "RAYON_NUM_THREADS", "RAYON_RS_NUM_CPUS", "FASTOKENS_NUM_THREADS", "OMP_NUM_THREADS"]
def environment():
    return dict(os.environ), [libc.getenv(name.encode()) for name in names]
before = environment()
import asyncio
from tokenfacade import create_tokenizer
tokenizer = create_tokenizer("examples/tokenizer")
tokenizer.encode("the worker")
tokenizer.encode_batch(["the worker " * 1000] * 8)
asyncio.run(tokenizer.encode_async("the worker " * 1000))
asyncio.run(tokenizer.encode_batch_async(["the worker " * 1000] * 8))
tokenizer.decode_stream().step(1)
assert environment() == before
print("untouched")
"""


def test_nothing_sets_environment_variables() -> None:
    if sys.platform == "win32":
        pytest.skip("getenv of the C library is another one there")
    said = subprocess.run(
        [sys.executable, "-W", "error", "-c", UNTOUCHED],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert (said.stdout, said.stderr) == ("untouched\n", "")
