"""The accelerated engine (fastokens) beside a reference tokenizer: made and compared in the background, and used only
where it was shown to give the same ids."""

from __future__ import annotations

import logging
import os
import threading
import weakref
from abc import abstractmethod
from importlib.util import find_spec
from typing import TYPE_CHECKING, Protocol, TypeVar

from tokenfacade.backends.fast_probe import difference, is_guarded
from tokenfacade.backends.panics import is_failure
from tokenfacade.engine import Engine, checked_choice
from tokenfacade.errors import ConfigurationError, MissingDependencyError
from tokenfacade.protocols import load_again
from tokenfacade.threads import pool

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tokenfacade.engine import EngineChoice

LONG_BYTES = 32 * 1024
"""The engine keeps a cache of 16 MiB and more for each thread that it runs in: a longer text is worth the way to one
of few threads that are kept for it. From this length on it lets other threads run meanwhile."""

LONG_TEXT_THREADS = 2

NEVER_LONG = LONG_BYTES // 4
"""So many characters never take more bytes than that."""

GRACE_SECONDS = 0.3
"""A program that ends so soon after loading isn't kept waiting for an engine that it had no use for. One that ends
while the engine is made, in the next second or two, waits until that step is done: up to about a second."""

PARALLEL_CHARACTERS = 50_000
"""A batch of so many is encoded in parallel."""

_Result = TypeVar("_Result")

_logger = logging.getLogger(__name__)


class FastEncoding(Protocol):
    """What the engine gives for a text; its ids become a list when they are asked for."""

    @property
    def ids(self) -> list[int]: ...

    def __len__(self) -> int: ...


class FastTokenizer(Protocol):
    """The engine, as far as it is used: add special tokens or not, and split those in the text into others or not.

    Positional, because keywords cost 150 ns a call.
    """

    def encode(self, text: str, added: bool, split: bool, /) -> FastEncoding: ...  # noqa: FBT001

    def encode_batch(self, texts: list[str], added: bool, split: bool, /) -> list[FastEncoding]: ...  # noqa: FBT001


class Plan(Protocol):
    """How the tokenizer of a backend becomes one of the engine, and what it is compared with."""

    def objection(self) -> str | None:
        """The gate: why the engine can't be trusted with this tokenizer, by its parts; None if it can."""

    def build(self) -> FastTokenizer:
        """The engine of this tokenizer; raises whatever the engine raises."""

    def reference_ids(self, text: str, *, add_special_tokens: bool, parse_special_tokens: bool) -> list[int]:
        """What the reference library gives."""

    def added_tokens(self) -> Sequence[str]:
        """The tokens that are found in a text by their spelling."""


class Accelerator:
    """What a tokenizer asks first when it encodes: the engine, which may not be there (yet).

    It holds no lock, so a fork at any moment leaves a child that works: one whose parent hadn't finished makes an
    engine of its own.

    Args:
        plan: How to make the engine.
        source: What the log and errors call the tokenizer.
        choice: ``"auto"`` makes it in a thread; ``"fast"`` here and now; ``"reference"`` never.

    Raises:
        ConfigurationError: `choice` is none, or it is ``"fast"`` and the engine can't be used.
        MissingDependencyError: `choice` is ``"fast"``, and the extra ``fast`` is not installed.
    """

    __slots__ = ("__weakref__", "_builds", "_engine", "_fast", "_plan", "_source", "choice")

    def __init__(self, plan: Plan, source: str, choice: EngineChoice) -> None:
        self.choice = checked_choice(choice)
        self._plan = plan
        self._source = source
        self._fast: FastTokenizer | None = None
        self._builds: dict[int, _Build] = {}
        self._engine = Engine("reference", reason='engine="reference" was asked for')
        if choice != "reference":
            self._begin()

    def _begin(self) -> None:
        if find_spec("fastokens") is None:
            reason = 'fastokens is not installed (pip install "tokenfacade[fast]")'
            if self.choice == "fast":
                raise MissingDependencyError(f'engine="fast" can\'t be used: {reason}', extra="fast")
            self._settle(None, reason)
        elif self.choice == "fast":
            fast, reason = _made(self._plan, lambda: True)
            if fast is None:
                raise ConfigurationError(f'engine="fast" can\'t be used for {self._source}: {reason}')
            self._settle(fast, reason)
        else:
            self._engine = Engine("reference", reason="the fast engine is still being made and compared")
            self._start()

    @property
    def engine(self) -> Engine:
        """The engine in use now; this never waits."""
        self._start_in_child()
        return self._engine

    def wait(self, timeout: float | None) -> Engine:
        """The engine as soon as it is settled which, or after so many seconds."""
        self._start_in_child()
        build = self._builds.get(os.getpid())
        if build is not None:
            build.is_wanted.set()
            build.is_done.wait(timeout)
        return self._engine

    # Measured: this layer costs 80 ns; with the making of an `Encoding`, a tokenizer adds 500 ns to the engine. The
    # guard is free on ASCII text, and 80 ns for 1,000 other characters: less than 1 % of what encoding them takes.
    def encode(self, text: str, *, add_special_tokens: bool, parse_special_tokens: bool) -> FastEncoding | None:
        """What the engine gives for a text; None where the reference must be asked."""
        fast = self._fast
        if fast is None:
            self._start_in_child()
            return None
        try:
            if not text.isascii() and is_guarded(text):
                return None
            if len(text) > NEVER_LONG and _is_long(text):
                return _in_few_threads(lambda: fast.encode(text, add_special_tokens, not parse_special_tokens))
            return fast.encode(text, add_special_tokens, not parse_special_tokens)
        except BaseException as error:
            if not is_failure(error):
                raise
            return None

    # Measured on two cores: the engine's own batch takes 1.4 times as long as this loop for 1,000 characters in all,
    # as long for 20,000, and 0.7 times for 400,000.
    def encode_batch(
        self, texts: list[str], *, add_special_tokens: bool, parse_special_tokens: bool
    ) -> Sequence[FastEncoding] | None:
        """What the engine gives for some texts; None where the reference must be asked for any of them."""
        fast = self._fast
        if fast is None:
            self._start_in_child()
            return None
        if sum(map(len, texts)) < PARALLEL_CHARACTERS:
            added, parsed = add_special_tokens, parse_special_tokens
            found = [self.encode(text, add_special_tokens=added, parse_special_tokens=parsed) for text in texts]
            known = [encoding for encoding in found if encoding is not None]
            return known if len(known) == len(texts) else None
        if any(not text.isascii() and is_guarded(text) for text in texts):
            return None
        try:
            return _in_few_threads(lambda: fast.encode_batch(texts, add_special_tokens, not parse_special_tokens))
        except BaseException as error:
            if not is_failure(error):
                raise
            return None

    def _start_in_child(self) -> None:
        if self._builds and os.getpid() not in self._builds:
            self._start()

    def _start(self) -> None:
        build = _Build()
        if self._builds.setdefault(os.getpid(), build) is not build:
            return
        # Not a daemon: one that comes back from the engine while the interpreter ends takes the process down.
        arguments = (weakref.ref(self), self._plan, build)
        thread = threading.Thread(target=_make_later, args=arguments, name="tokenfacade-fast-build", daemon=False)
        try:
            thread.start()
        except RuntimeError as error:
            build.is_done.set()
            self._settle(None, f"no thread could be started to make the fast engine: {error}")

    def _settle(self, fast: FastTokenizer | None, reason: str) -> None:
        self._engine = Engine("fast" if fast else "reference", reason=reason)
        self._fast = fast
        self._builds = {}
        _logger.info("%s encodes with the %s engine: %s", self._source, self._engine, reason)


class Accelerated:
    """A tokenizer that has an `Accelerator`; those with other templates share it."""

    _accelerator: Accelerator

    @property
    @abstractmethod
    def source(self) -> str:
        """As for `Tokenizer`."""

    @property
    def engine(self) -> Engine:
        """The engine that encodes, ``"reference"`` or ``"fast"``, with the `reason` why it is this one.

        With ``engine="auto"`` it may change from the first to the second, once: the fast engine is made in the
        background. See `wait_for_engine`.
        """
        return self._accelerator.engine

    def wait_for_engine(self, *, timeout: float | None = None) -> Engine:
        """As `Tokenizer.wait_for_engine` says."""
        return self._accelerator.wait(timeout)

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle by source, and with the choice of the engine, which no source knows of."""
        return load_again, (self.source, self._accelerator.choice)


class _Build:
    """The making of one engine in one process."""

    def __init__(self) -> None:
        self.is_wanted = threading.Event()
        self.is_done = threading.Event()


def _make_later(owner: weakref.ref[Accelerator], plan: Plan, build: _Build) -> None:
    """What the thread does; it ends early when nobody is left to use the engine."""

    def is_wanted() -> bool:
        return owner() is not None and threading.main_thread().is_alive()

    try:
        for _ in range(10):
            if build.is_wanted.wait(GRACE_SECONDS / 10) or not is_wanted():
                break
        made = _made(plan, is_wanted)
        accelerator = owner()
        if accelerator is not None and is_wanted():
            accelerator._settle(*made)
    finally:
        build.is_done.set()


def _made(plan: Plan, is_wanted: Callable[[], bool]) -> tuple[FastTokenizer | None, str]:
    """The engine, if it may be used, and why or why not."""
    try:
        objection = plan.objection()
        if objection is not None or not is_wanted():
            return None, objection or "it is not wanted any more"
        fast = plan.build()
        found = difference(plan, fast, is_wanted)
    except BaseException as error:
        if not is_failure(error):
            raise
        return None, f"the fast engine refuses this tokenizer: {error}"
    if found is not None:
        return None, f"the fast engine gives other ids for {found!r}"
    return fast, "the fast engine gave the ids of the reference for every text of the probe"


def _is_long(text: str) -> bool:
    return len(text) > LONG_BYTES or len(text.encode()) > LONG_BYTES


def _in_few_threads(function: Callable[[], _Result]) -> _Result:
    """Run it where caches for it are kept anyway: in the main thread, of which there is one, or in one of the pool."""
    if threading.current_thread() is threading.main_thread():
        return function()
    return pool("fast", threads=LONG_TEXT_THREADS).call(function)
