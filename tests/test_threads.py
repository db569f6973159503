"""Pools of threads: how many, in which order, what cancelling drops, and how they end."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import CancelledError, ThreadPoolExecutor
from concurrent.futures import wait as wait_for

import pytest

from tests.data import ROOT
from tokenfacade.threads import (
    HUGE_CHARACTERS,
    MOST_BATCH_THREADS,
    SHORT_CHARACTERS,
    Pool,
    count_characters,
    map_in_pool,
    pool,
)


def blocker() -> tuple[Callable[[], str], threading.Event, threading.Event]:
    """A job that says when it has begun, and ends when it may."""
    begun, may_end = threading.Event(), threading.Event()

    def job() -> str:
        begun.set()
        assert may_end.wait(30)
        return "done"

    return job, begun, may_end


def test_no_more_threads_work_than_were_asked_for() -> None:
    three = Pool("three", 3)
    at_work, most = [0], [0]
    lock = threading.Lock()

    def job() -> int:
        with lock:
            at_work[0] += 1
            most[0] = max(most[0], at_work[0])
        threading.Event().wait(0.002)
        with lock:
            at_work[0] -= 1
        return threading.get_ident()

    futures = [three.submit(job) for _ in range(60)]
    assert len({future.result() for future in futures}) <= 3
    assert most[0] <= 3


def test_jobs_of_one_thread_run_in_their_order() -> None:
    one, order = Pool("one", 1), list[int]()
    futures = [one.submit(lambda number=number: order.append(number)) for number in range(50)]  # type: ignore[misc]
    wait_for(futures)
    assert order == list(range(50))


def test_cancelling_drops_what_waits_and_nothing_else() -> None:
    one = Pool("one", 1)
    job, begun, may_end = blocker()
    ran: list[str] = []
    running = one.submit(job)
    assert begun.wait(30)
    dropped, kept = one.submit(lambda: ran.append("dropped")), one.submit(lambda: ran.append("kept"))
    assert dropped.cancel()
    assert not running.cancel()
    may_end.set()
    kept.result(30)
    assert running.result() == "done"
    assert ran == ["kept"]


class Interrupt(BaseException):
    """As the panics of the engines are: no `Exception`."""


@pytest.mark.parametrize("error", [ValueError("no"), Interrupt("no")])
def test_a_job_that_fails_fails_alone(error: BaseException) -> None:
    one = Pool("one", 1)

    def fail() -> None:
        raise error

    failed, after = one.submit(fail), one.submit(lambda: "fine")
    assert failed.exception(30) is error
    assert after.result(30) == "fine"
    with pytest.raises(type(error)):
        one.call(fail)


def test_call_gives_the_result_and_waits_for_nobody_in_a_thread_of_its_own() -> None:
    one = Pool("one", 1)
    assert one.call(lambda: one.call(lambda: one.call(threading.get_ident))) != threading.get_ident()


def test_there_is_one_pool_of_a_kind_in_a_process() -> None:
    with ThreadPoolExecutor(16) as threads:
        pools = list(threads.map(lambda _: pool("test-kind", threads=2), range(200)))
    assert len(set(map(id, pools))) == 1
    assert pool("test-kind", threads=1) is not pools[0]
    assert pool("another", threads=2) is not pools[0]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")  # which is what it is about
def test_a_forked_child_has_a_pool_of_its_own_even_if_the_parent_is_busy() -> None:
    busy = pool("test-fork", threads=1)
    job, begun, may_end = blocker()
    running, queued = busy.submit(job), busy.submit(lambda: "queued")
    assert begun.wait(30)
    child = os.fork()
    if child == 0:
        works = pool("test-fork", threads=1) is not busy and pool("test-fork", threads=1).call(lambda: True)
        os._exit(0 if works else 1)
    assert os.waitpid(child, 0)[1] == 0
    may_end.set()
    assert (running.result(30), queued.result(30)) == ("done", "queued")


AT_THE_END = """
import threading
from tokenfacade.threads import pool
begun = threading.Event()
def job():
    begun.set()
    threading.Event().wait(0.3)
    print("finished what had begun", flush=True)
two = pool("end", threads=2)
futures = [two.submit(job) for _ in range(1000)]
begun.wait()
def later():
    threading.main_thread().join()
    print("call still works:", two.call(lambda: "yes"), flush=True)
    print("cancelled:", sum(future.cancelled() for future in futures), flush=True)
threading.Thread(target=later).start()
"""


def test_the_interpreter_ends_without_working_off_the_queue() -> None:
    ended = subprocess.run(
        [sys.executable, "-W", "error", "-c", AT_THE_END],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    lines = ended.stdout.splitlines()
    assert lines.count("finished what had begun") <= 4
    assert "call still works: yes" in lines
    assert int(lines[-1].partition(": ")[2]) >= 996
    assert ended.stderr == ""


def batch_pool() -> Pool:
    return pool("batch", threads=min(MOST_BATCH_THREADS, os.cpu_count() or 1))


@pytest.fixture(params=[1, 3, 64])
def processors(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    number = int(request.param)
    monkeypatch.setattr(os, "cpu_count", lambda: number)
    return number


@pytest.mark.parametrize("items", [0, 1, 2, 500])
def test_a_batch_keeps_its_order_in_few_threads(processors: int, items: int) -> None:
    threads = set[int]()

    def job(item: int) -> int:
        threads.add(threading.get_ident())
        threading.Event().wait(0.001 * (item % 3))
        return -item

    assert map_in_pool(job, iter(range(items))) == [-item for item in range(items)]
    assert len(threads) <= min(processors, MOST_BATCH_THREADS, items)


def test_batches_of_many_callers_share_their_threads(processors: int) -> None:
    callers, names = 12, set[str]()

    def job(item: int) -> int:
        names.add(threading.current_thread().name)
        return item

    with ThreadPoolExecutor(callers, thread_name_prefix="caller") as threads:
        assert list(threads.map(lambda _: sum(map_in_pool(job, range(50))), range(100))) == [1225] * 100
    assert len([name for name in names if not name.startswith("caller")]) <= min(processors, MOST_BATCH_THREADS)


def test_a_batch_inside_a_batch_ends(processors: int) -> None:
    def outer(item: int) -> list[int]:
        return map_in_pool(lambda inner: map_in_pool(lambda most: item + inner + most, range(3))[0], range(4))

    assert map_in_pool(outer, range(60)) == [[item, item + 1, item + 2, item + 3] for item in range(60)]


def test_a_batch_in_the_only_thread_of_another_pool_ends(processors: int) -> None:
    one, other = pool("test-one", threads=1), pool("test-other", threads=1)
    batch = lambda: map_in_pool(lambda item: other.call(lambda: item), range(50))  # noqa: E731
    assert [one.submit(batch).result(30) for _ in range(3)] == [list(range(50))] * 3


def test_a_batch_ends_although_the_pool_is_busy(processors: int) -> None:
    jobs = [blocker() for _ in range(processors)]
    busy = [batch_pool().submit(job) for job, _, _ in jobs]
    here = threading.get_ident()
    assert map_in_pool(lambda _: threading.get_ident(), range(20)) == [here] * 20
    for _, _, may_end in jobs:
        may_end.set()
    assert {future.result(30) for future in busy} == {"done"}


@pytest.mark.parametrize("kind", [ValueError, Interrupt])
def test_a_batch_raises_what_fails_first_and_drops_what_has_not_begun(
    processors: int, kind: type[BaseException]
) -> None:
    begun: list[int] = []

    def job(item: int) -> None:
        begun.append(item)
        if item in (20, 21):
            threading.Event().wait(0.02 * (21 - item))
            raise kind(item)

    with pytest.raises(kind, match="20"):
        map_in_pool(job, range(100_000))
    assert len(begun) < 100_000
    number = len(begun)
    assert map_in_pool(str, range(9)) == list("012345678")
    assert len(begun) == number


def test_the_errors_of_a_batch_are_freed_at_once() -> None:
    class Mine(Exception):
        pass

    def fail(item: int) -> None:
        raise Mine(item)

    with pytest.raises(Mine) as caught:
        map_in_pool(fail, range(20))
    alive = weakref.ref(caught.value)
    gc.disable()
    try:
        del caught
        assert alive() is None
    finally:
        gc.enable()


BATCH_AT_THE_END = """
import atexit, os, threading
os.cpu_count = lambda: 4
from tokenfacade.threads import map_in_pool
map_in_pool(str, range(100))
atexit.register(lambda: print("atexit:", sum(map_in_pool(int, range(100))), flush=True))
def later():
    threading.main_thread().join()
    print("thread:", sum(map_in_pool(int, range(100))), flush=True)
threading.Thread(target=later).start()
"""


@pytest.mark.parametrize("warmed", ["map_in_pool(str, range(100))", ""])
def test_batches_work_when_the_interpreter_ends(warmed: str) -> None:
    script = BATCH_AT_THE_END.replace("map_in_pool(str, range(100))", warmed)
    ended = subprocess.run(
        [sys.executable, "-W", "error", "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    assert sorted(ended.stdout.splitlines()) == ["atexit: 4950", "thread: 4950"]
    assert ended.stderr == ""


def test_waiting_for_a_dropped_job_ends() -> None:
    one = Pool("one", 1)
    job, begun, may_end = blocker()
    one.submit(job)
    assert begun.wait(30)
    queued = one.submit(lambda: "never")
    queued.cancel()
    with pytest.raises(CancelledError):
        queued.result(30)
    may_end.set()


def test_characters_are_counted_through_lists_and_dicts_and_no_further_than_needed() -> None:
    message = {"role": "user", "content": [{"type": "text", "text": "x" * 5000}]}
    assert 5000 < count_characters([message], HUGE_CHARACTERS) < 5300
    assert 1000 < count_characters(["x" * 600] * 20, 1000) < 2000
    circle: list[object] = []
    circle.append(circle)
    assert count_characters(circle, 1000) > 1000
    assert count_characters(5, 1000) < 100
    assert count_characters([1.5, None, True] * 30, 1000) < SHORT_CHARACTERS


def test_empty_texts_count_too() -> None:
    assert count_characters([""] * 100_000, HUGE_CHARACTERS) > HUGE_CHARACTERS
    assert count_characters([""] * 20, HUGE_CHARACTERS) < SHORT_CHARACTERS


@pytest.mark.parametrize("inputs", [object(), [object()], {"content": [object()]}, iter(["x"]), len, {"a": {1}}])
def test_what_may_hold_any_number_of_characters_is_long_and_not_huge(inputs: object) -> None:
    assert SHORT_CHARACTERS < count_characters(inputs, HUGE_CHARACTERS) < HUGE_CHARACTERS
    assert SHORT_CHARACTERS < count_characters([inputs] * 100, HUGE_CHARACTERS) < HUGE_CHARACTERS
