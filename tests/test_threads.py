"""Pools of threads: how many, in which order, what cancelling drops, and how they end."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import CancelledError, ThreadPoolExecutor
from concurrent.futures import wait as wait_for

import pytest

from tests.data import ROOT
from tokenfacade.threads import HUGE_CHARACTERS, Pool, count_characters, pool


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
    assert count_characters(["x" * 10] * 10**6, 1000) < 1100
    circle: list[object] = []
    circle.append(circle)
    assert count_characters(circle, 1000) > 1000
    assert count_characters(5, 1000) < 100
