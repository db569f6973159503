"""Pools of threads for long work: few threads, made on first use, one pool of each kind in a process."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from contextvars import copy_context
from functools import lru_cache, partial
from typing import Any, Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

SHORT_CHARACTERS = 2_000
"""What the slowest engine encodes in a millisecond; handing work to a thread and back takes a tenth of that."""

HUGE_CHARACTERS = 200_000
"""Work on more is done by one thread only, and apart, so that nothing else waits for it. Making a list of a million
ids holds the interpreter's lock for 25 ms: an event loop waits for one such thread, and with several for all of them.
"""

LONG_WORK_THREADS = 4

MOST_BATCH_THREADS = 8

PART_CHARACTERS = 10
"""What each part of a list or dict counts for beside its text: an empty text takes time too, and messages are rendered.
"""


class Pool:
    """A fixed number of threads that work off a queue.

    They end with the interpreter, which waits only for what has begun: what is still queued then is cancelled.

    Args:
        name: What the threads are called.
        threads: The most of them that there will be.

    Example:
        >>> pool("example", threads=1).submit(lambda: 6 * 7).result()
        42
    """

    def __init__(self, name: str, threads: int) -> None:
        self._executor = ThreadPoolExecutor(
            threads, thread_name_prefix=f"tokenfacade-{name}", initializer=self._remember_worker
        )
        self._lock = threading.Lock()
        self._idle = threads
        self._queue: deque[_Job[Any]] = deque()
        self._workers: set[int] = set()

    def submit(self, function: Callable[[], Result]) -> Future[Result]:
        """Run a function in one of the threads; cancelling the future drops it, unless it has begun.

        Raises:
            RuntimeError: The interpreter ends, or can't start a thread.
        """
        job = _Job(function)
        with self._lock:
            self._queue.append(job)
            if not self._idle:
                return job.future
            self._idle -= 1
        self._start_worker()
        return job.future

    def call(self, function: Callable[[], Result]) -> Result:
        """Run a function in one of the threads and wait for its result.

        It runs right here where waiting could be forever: in a thread of this pool, or when the interpreter ends.
        """
        if self.is_here():
            return function()
        try:
            future = self.submit(function)
        except RuntimeError:
            return function()
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def is_here(self) -> bool:
        """Whether this is called in one of its threads."""
        return threading.get_ident() in self._workers

    def _remember_worker(self) -> None:
        self._workers.add(threading.get_ident())

    def _start_worker(self) -> None:
        # An executor has no way to drop its queue when the interpreter ends, but then takes nothing new: so it is
        # given one turn at a time for each thread, and the queue is here.
        try:
            self._executor.submit(self._take_turn)
        except RuntimeError:
            with self._lock:
                self._idle += 1
                dropped = list(self._queue)
                self._queue.clear()
            for job in dropped:
                job.future.cancel()
            raise

    def _take_turn(self) -> None:
        """Run the next job, and queue for another turn if there are more."""
        with self._lock:
            job = self._queue.popleft() if self._queue else None
        if job is not None:
            job.run()
        with self._lock:
            if not self._queue:
                self._idle += 1
                return
        try:
            self._start_worker()
        except RuntimeError:
            return


class _Job(Generic[Result]):
    """A function to run, and the future of its result."""

    def __init__(self, function: Callable[[], Result]) -> None:
        self.function = function
        self.future: Future[Result] = Future()

    def run(self) -> None:
        if not self.future.set_running_or_notify_cancel():
            return
        try:
            result = self.function()
        except BaseException as error:
            self.future.set_exception(error)
            # The traceback holds this frame, and with it the future, which holds the error.
            del self
        else:
            self.future.set_result(result)


def pool(name: str, *, threads: int) -> Pool:
    """The pool of that name and size in this process; a forked child makes its own."""
    # The cache keeps the first pool of two that threads made at once, and the second call finds it.
    _pool(os.getpid(), name, threads)
    return _pool(os.getpid(), name, threads)


@lru_cache(maxsize=16)
def _pool(process: int, name: str, threads: int) -> Pool:
    return Pool(name, threads)


def map_in_pool(function: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
    """The results for all items, in their order, worked out by this thread and by what is free of a pool.

    It ends although the pool is busy, is the one that it is called in, or ends with the interpreter: this thread does
    then what no other does, and waits only for items that were begun. They must not wait for this thread.

    Raises:
        BaseException: What the function raised for the first item that failed; what hadn't begun then is dropped.

    Example:
        >>> map_in_pool(len, ["one", "three"])
        [3, 5]
    """
    batch = _Batch(function, items)
    helpers = batch.call_for_help(min(MOST_BATCH_THREADS, os.cpu_count() or 1))
    try:
        batch.work()
        for helper in helpers:
            if not helper.cancel():
                helper.result()
    finally:
        batch.drop()
    return batch.results()


class _Batch(Generic[Item, Result]):
    """Items that several threads take from, and what became of them."""

    def __init__(self, function: Callable[[Item], Result], items: Iterable[Item]) -> None:
        self._function = function
        self._todo = deque(enumerate(items))
        self._done: dict[int, Result] = {}
        self._failed: dict[int, BaseException] = {}

    def call_for_help(self, threads: int) -> list[Future[None]]:
        """Ask the pool for so many threads, less the one that asks: what it gives, it gives later."""
        helpers: list[Future[None]] = []
        shared = pool("batch", threads=threads)
        if not shared.is_here():
            with suppress(RuntimeError):
                helpers.extend(shared.submit(self.work) for _ in range(min(threads, len(self._todo)) - 1))
        return helpers

    def work(self) -> None:
        """Do one item after the other, until there is none left."""
        while self._todo:
            try:
                index, item = self._todo.popleft()
            except IndexError:
                return
            try:
                self._done[index] = self._function(item)
            except BaseException as error:
                self._failed[index] = error
                self.drop()

    def drop(self) -> None:
        """Leave undone what hasn't begun."""
        self._todo.clear()

    def results(self) -> list[Result]:
        """What the function gave, or what it raised first, as a loop would have it: items are begun in their order."""
        if self._failed:
            error = self._failed[min(self._failed)]
            # The traceback of each holds this object.
            self._failed.clear()
            try:
                raise error
            finally:
                del error
        return [self._done[index] for index in range(len(self._done))]


async def run_by_size(function: Callable[[], Result], inputs: object) -> Result:
    """Run a function at once if what it works on is short, and else in a thread; the event loop goes on meanwhile.

    Cancelling the caller drops work that is still queued; what has begun runs to its end unseen.

    Args:
        function: What to run.
        inputs: The texts that it works on, or lists and dicts of them; with anything else it goes to a thread.

    Raises:
        RuntimeError: The interpreter ends.

    Example:
        >>> import asyncio
        >>> asyncio.run(run_by_size(threading.current_thread, ["hello"])) is threading.current_thread()
        True
        >>> asyncio.run(run_by_size(threading.current_thread, ["hello" * 1000])) is threading.current_thread()
        False
    """
    characters = count_characters(inputs, HUGE_CHARACTERS)
    if characters <= SHORT_CHARACTERS:
        return function()
    if characters <= HUGE_CHARACTERS:
        return await run_in_pool(function)
    return await _result(pool("huge", threads=1), function)


async def run_in_pool(function: Callable[[], Result]) -> Result:
    """Run long work in the threads that all such work shares, as `run_by_size` does.

    Raises:
        RuntimeError: The interpreter ends.
    """
    return await _result(pool("long", threads=LONG_WORK_THREADS), function)


async def _result(threads: Pool, function: Callable[[], Result]) -> Result:
    import asyncio

    return await asyncio.wrap_future(threads.submit(partial(copy_context().run, function)))


def count_characters(inputs: object, most: int) -> int:
    """How many characters texts have, or lists and dicts of texts, with something for each part; no further than until
    there are more than `most`. Objects that may hold any number count as just too many to be short.

    Example:
        >>> count_characters("hello", 1000), count_characters([{"role": "user", "content": "hello"}], 1000)
        (5, 39)
        >>> count_characters([object()], 1000) > SHORT_CHARACTERS
        True
    """
    count = least = 0
    todo = [inputs]
    while todo and count <= most:
        value = todo.pop()
        if isinstance(value, str):
            count += len(value)
        elif isinstance(value, Mapping | list | tuple):
            count += PART_CHARACTERS * len(value)
            todo += value.values() if isinstance(value, Mapping) else value
        elif not isinstance(value, int | float | None):
            least = SHORT_CHARACTERS + 1
    return max(count, least)
