"""The accelerated engine's life: who gets it and when, and what happens around forks, threads, failures and the end."""

from __future__ import annotations

import gc
import logging
import os
import pickle
import subprocess
import sys
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from tests.data import ROOT
from tests.fast_cases import OUTSIDE, byte_level, trained_ranks
from tests.rank_files import PATTERN, small_encoding
from tests.small import small_tokenizer
from tokenfacade import (
    ConfigurationError,
    HuggingFaceTokenizer,
    MissingDependencyError,
    MockTokenizer,
    TiktokenTokenizer,
)
from tokenfacade.backends import fast
from tokenfacade.backends.fast import Accelerator

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tokenfacade.backends.fast import FastEncoding, FastTokenizer
    from tokenfacade.engine import EngineChoice

TEXTS = ["the worker streams tokens", "<s>a</s>", "é 世界 😊", "I'ſ", "  \u180e", "\ud800 x", "", "a\ud83d\ude0ab"]


def tokenizer(engine: EngineChoice = "auto") -> HuggingFaceTokenizer:
    return HuggingFaceTokenizer(byte_level(), engine=engine)


class PanicException(BaseException):
    """As PyO3 raises it: no `Exception`, and of a class that can't be imported."""


class Spy:
    """An engine that records where it runs, and fails when it is told to."""

    def __init__(self, real: FastTokenizer | None = None, error: BaseException | None = None) -> None:
        self.real = real
        self.error = error
        self.calls: list[tuple[str, object]] = []

    def _note(self, what: object) -> None:
        self.calls.append((threading.current_thread().name, what))
        if self.error is not None:
            raise self.error

    def encode(self, text: str, *flags: bool) -> FastEncoding:
        self._note(text)
        assert self.real is not None
        return self.real.encode(text, *flags)

    def encode_batch(self, texts: list[str], *flags: bool) -> list[FastEncoding]:
        self._note(texts)
        assert self.real is not None
        return self.real.encode_batch(texts, *flags)


class SlowPlan:
    """A plan whose engine takes as long to make as the test wants."""

    def __init__(self) -> None:
        self.has_begun = threading.Event()
        self.may_end = threading.Event()

    def objection(self) -> str | None:
        return None

    def build(self) -> FastTokenizer:
        self.has_begun.set()
        self.may_end.wait(30)
        raise ValueError("no engine after all")

    def reference_ids(self, text: str, **flags: bool) -> list[int]:
        return []

    def added_tokens(self) -> list[str]:
        return []


@pytest.fixture
def slow() -> Iterator[SlowPlan]:
    plan = SlowPlan()
    yield plan
    plan.may_end.set()


def spied(error: BaseException | None = None) -> tuple[HuggingFaceTokenizer, Spy]:
    ready = tokenizer("fast")
    spy = Spy(ready._accelerator._fast, error)
    ready._accelerator._fast = spy
    return ready, spy


def builders() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "tokenfacade-fast-build"]


def test_the_engine_comes_later_and_one_log_line_says_so(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    made = HuggingFaceTokenizer.adopting(byte_level(), source="one of this test")
    assert made.engine == "reference"
    assert "still being made" in made.engine.reason
    assert made.wait_for_engine(timeout=0) in ("reference", "fast")
    assert made.wait_for_engine(timeout=60) == made.engine == "fast"
    # Engines of other tests may be made meanwhile.
    (said,) = (record for record in caplog.records if record.getMessage().startswith("one of this test "))
    assert said.levelname == "INFO"
    assert "encodes with the fast engine" in said.getMessage()


def test_no_thread_is_left() -> None:
    made = [tokenizer() for _ in range(3)]
    for each in made:
        each.wait_for_engine(timeout=60)
    for thread in builders():
        thread.join(10)
    assert not builders()


@pytest.mark.parametrize("choice", ["auto", "fast"])
def test_what_the_gate_refuses_keeps_the_reference(choice: EngineChoice) -> None:
    case = OUTSIDE["mixed flags"]
    if choice == "fast":
        with pytest.raises(ConfigurationError, match=case.reason):
            HuggingFaceTokenizer(case.make(), engine=choice)
        return
    made = HuggingFaceTokenizer(case.make(), engine=choice)
    assert made.wait_for_engine(timeout=60) == "reference"
    assert case.reason in made.engine.reason


def test_an_unknown_choice_is_refused() -> None:
    wrong: Any = "turbo"
    with pytest.raises(ConfigurationError, match="turbo"):
        tokenizer(wrong)


@pytest.mark.parametrize("choice", ["reference", "fast", "auto"])
def test_any_engine_gives_the_same(choice: EngineChoice) -> None:
    made, reference = tokenizer(choice), tokenizer("reference")
    made.wait_for_engine(timeout=60)
    assert reference.engine == "reference"
    assert 'engine="reference"' in reference.engine.reason
    for parsed in (True, False):
        for text in TEXTS:
            expected = reference.encode(text, parse_special_tokens=parsed)
            assert made.encode(text, parse_special_tokens=parsed) == expected
            assert made.count_tokens(text, parse_special_tokens=parsed) == len(expected)
            assert made.encode(text, parse_special_tokens=parsed).offsets == expected.offsets
        many = TEXTS * 800
        for batch in (TEXTS, many, [text for text in many if text.isascii()], ["x" * 40_000, "y" * 40_000]):
            assert made.encode_batch(batch, parse_special_tokens=parsed) == reference.encode_batch(
                batch, parse_special_tokens=parsed
            )


def test_tiktoken_has_it_too() -> None:
    encoding = small_encoding(ranks=trained_ranks())
    made = TiktokenTokenizer(encoding, engine="fast")
    reference = TiktokenTokenizer(encoding, engine="reference")
    texts = [*TEXTS, "<|im_start|>the<|im_end|>"]
    for parsed in (True, False):
        for text in texts:
            expected = reference.encode(text, parse_special_tokens=parsed)
            assert made.encode(text, parse_special_tokens=parsed) == expected
            assert made.count_tokens(text, parse_special_tokens=parsed) == len(expected)
        for batch in (texts, texts * 2_000, ["the worker"] * 20_000):
            expected_batch = reference.encode_batch(batch, parse_special_tokens=parsed)
            assert made.encode_batch(batch, parse_special_tokens=parsed) == expected_batch
    assert pickle.loads(pickle.dumps(made)).engine == "fast"
    with pytest.raises(ConfigurationError, match="pattern is none of the known"):
        TiktokenTokenizer(small_encoding(pattern=PATTERN + "|x"), engine="fast")


@pytest.mark.parametrize("text", ["I'ſ", "  \u180e", "世ſ"])
def test_guarded_texts_never_go_to_the_engine(text: str) -> None:
    made, spy = spied()
    expected = tokenizer("reference").encode(text)
    assert made.encode(text) == expected
    assert made.encode_batch([text, text]) == [expected] * 2
    assert made.encode_batch([text, "x" * 60_000])[0] == expected
    assert not spy.calls


@pytest.mark.parametrize("error", [ValueError("a limit"), MemoryError(), PanicException("at the disco")])
def test_what_fails_goes_to_the_reference(error: BaseException) -> None:
    made, spy = spied(error)
    reference = tokenizer("reference")
    for text in ("the worker", "é" * 50_000):
        assert made.encode(text) == reference.encode(text)
        assert made.count_tokens(text) == reference.count_tokens(text)
        assert made.encode_batch([text, text]) == reference.encode_batch([text, text])
    assert spy.calls


def test_an_interrupt_is_no_failure() -> None:
    made, _ = spied(KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        made.encode("the worker")
    with pytest.raises(KeyboardInterrupt):
        made.encode_batch(["the worker"] * 10_000)


def test_long_texts_run_in_few_threads() -> None:
    made, spy = spied()
    texts = ["x" * 100, "x" * 40_000, "世" * 20_000, "世" * 9_000]
    with ThreadPoolExecutor(4, thread_name_prefix="caller") as pool:
        assert list(pool.map(made.encode, texts)) == [made.encode(text) for text in texts]
    calls = {str(text): name.rpartition("_")[0] for name, text in spy.calls[:4]}
    assert [calls[text] for text in texts] == ["caller", "tokenfacade-fast", "tokenfacade-fast", "caller"]
    assert {name for name, _ in spy.calls[4:]} == {"MainThread"}


def test_threads_share_it() -> None:
    made = tokenizer()
    cases = [(f"{text} {n} <s>", parsed) for n in range(40) for text in TEXTS for parsed in (True, False)]
    expected = [tokenizer("reference").encode(text, parse_special_tokens=parsed) for text, parsed in cases]
    with ThreadPoolExecutor(16) as pool:
        for _ in range(3):
            found = pool.map(lambda case: made.encode(case[0], parse_special_tokens=case[1]), cases)
            assert list(found) == expected
            made.wait_for_engine(timeout=60)
    assert made.engine == "fast"


def test_tokenizers_with_other_templates_share_it() -> None:
    made = tokenizer()
    twin = made.with_chat_template("{{ messages }}")
    assert isinstance(twin, HuggingFaceTokenizer)
    assert twin._accelerator is made._accelerator


def test_the_choice_is_pickled() -> None:
    for choice in ("auto", "reference", "fast"):
        for made in (
            tokenizer(choice),
            HuggingFaceTokenizer.from_file("examples/tokenizer", engine="reference" if choice == "fast" else choice),
        ):
            pickled = pickle.dumps(made)
            again = pickle.loads(pickled)
            assert again._accelerator.choice == made._accelerator.choice
            assert again.wait_for_engine(timeout=60) == made.wait_for_engine(timeout=60)
            assert len(pickled) < 1000 or made.source.startswith("<")


def test_what_is_adopted_is_not_copied_and_goes_by_its_source(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    raw = byte_level()
    made = HuggingFaceTokenizer.adopting(raw, source="a vocabulary", engine="fast")
    assert made._raw is raw
    assert [text for text in caplog.messages if text.startswith("a vocabulary encodes with the fast engine")]
    assert (made.source, made.engine) == ("a vocabulary", "fast")
    assert made.encode("the <s>worker") == tokenizer("reference").encode("the <s>worker")
    assert made.fingerprint == tokenizer("reference").fingerprint
    nameless = HuggingFaceTokenizer.adopting(byte_level(), engine="reference")
    assert pickle.loads(pickle.dumps(nameless)).encode("the <s>worker") == made.encode("the <s>worker")


def test_every_tokenizer_can_be_waited_for() -> None:
    for each in (MockTokenizer(), small_tokenizer("sentencepiece_bpe"), tokenizer()):
        assert each.wait_for_engine(timeout=60) == each.engine


def test_a_tokenizer_that_is_dropped_meanwhile_is_collected(slow: SlowPlan) -> None:
    accelerator = Accelerator(slow, "<test>", "auto")
    accelerator.wait(0)
    assert slow.has_begun.wait(10)
    reference = weakref.ref(accelerator)
    del accelerator
    gc.collect()
    assert reference() is None


def test_before_its_time_nothing_is_made(slow: SlowPlan, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fast, "GRACE_SECONDS", 30)
    accelerator = Accelerator(slow, "<test>", "auto")
    assert not slow.has_begun.wait(0.05)
    assert accelerator.wait(0) == "reference"
    assert slow.has_begun.wait(10)
    slow.may_end.set()
    assert "no engine after all" in accelerator.wait(10).reason


def test_where_no_thread_can_be_started_the_reference_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    made = tokenizer()
    assert "can't start new thread" in made.wait_for_engine().reason


def _in_child(work: Callable[[], object]) -> object:
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(write, pickle.dumps(work()))
        os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        result: object = pickle.loads(pipe.read())
    assert os.waitpid(child, 0)[1] == 0
    return result


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.parametrize("moment", ["before", "during", "after"])
def test_a_forked_child_encodes_and_gets_its_engine(moment: str) -> None:
    made = tokenizer()
    if moment != "before":
        made.wait_for_engine(timeout=0 if moment == "during" else 60)

    def work() -> tuple[list[int], str, list[int]]:
        first = made.encode("the worker").ids
        return first, str(made.wait_for_engine(timeout=60)), made.encode("the worker" * 5000).ids

    expected = tokenizer("reference")
    ids = expected.encode("the worker").ids, "fast", expected.encode("the worker" * 5000).ids
    assert _in_child(work) == ids
    assert made.wait_for_engine(timeout=60) == "fast"


def run(code: str) -> str:
    setup = "import sys; from tests.fast_cases import byte_level; from tokenfacade import *\n"
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", setup + code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (result.returncode, result.stderr) == (0, "")
    return result.stdout.strip()


def test_without_fastokens_the_reference_stays() -> None:
    code = """
sys.modules["fastokens"] = None
made = HuggingFaceTokenizer(byte_level())
print(made.engine, made.engine.reason)
try:
    HuggingFaceTokenizer(byte_level(), engine="fast")
except MissingDependencyError as error:
    print(error.extra)
"""
    assert run(code).split("\n") == [
        'reference fastokens is not installed (pip install "tokenfacade[fast]")',
        "fast",
    ]
    assert issubclass(MissingDependencyError, ImportError)


def test_a_broken_fastokens_keeps_the_reference() -> None:
    code = """
import types
from importlib.machinery import ModuleSpec
sys.modules["fastokens"] = types.ModuleType("fastokens")
sys.modules["fastokens"].__spec__ = ModuleSpec("fastokens", None)
print(HuggingFaceTokenizer(byte_level()).wait_for_engine(timeout=60).reason)
"""
    assert "has no attribute 'Tokenizer'" in run(code)


def test_the_reference_alone_never_loads_it() -> None:
    code = """
made = HuggingFaceTokenizer(byte_level(), engine="reference")
made.wait_for_engine()
import threading
print("fastokens" in sys.modules, threading.active_count())
"""
    assert run(code) == "False 1"


@pytest.mark.parametrize("moment", ["", "made.wait_for_engine(timeout=0)", "made.wait_for_engine(timeout=0.01)"])
def test_the_interpreter_ends_in_the_middle_of_it(moment: str) -> None:
    assert run(f"made = HuggingFaceTokenizer(byte_level())\n{moment}\nprint('end')") == "end"


def test_the_interpreter_ends_with_long_texts_in_the_pool() -> None:
    code = """
import threading
made = HuggingFaceTokenizer(byte_level(), engine="fast")
threads = [threading.Thread(target=made.encode, args=("x " * 200_000,)) for _ in range(4)]
for thread in threads:
    thread.start()
print("end")
"""
    assert run(code) == "end"
