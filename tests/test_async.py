"""The async members: the results of the others, what leaves the loop's thread and what doesn't, and cancelling."""

from __future__ import annotations

import asyncio
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.benchmarks.corpus import mixed_text
from tests.strategies import texts
from tokenfacade import ConfigurationError, EncodeError, MockTokenizer, NoChatTemplateError, TokenFacadeError
from tokenfacade.chat_protocol import with_templates
from tokenfacade.threads import HUGE_CHARACTERS, SHORT_CHARACTERS, pool

if TYPE_CHECKING:
    from tokenfacade import Encoding, Tokenizer

TEMPLATE = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
HELLO = [{"role": "user", "content": "hello"}]
FLAGS = [(added, parsed) for added in (False, True) for parsed in (False, True)]


class Observed(MockTokenizer):
    """Notes the thread of each call, and lets the first long one begin and end when the test says so."""

    def __init__(self) -> None:
        super().__init__(chat_template=TEMPLATE)
        self.threads: dict[str, int] = {}
        self.chats: list[int] = []
        self.begun, self.may_end = threading.Event(), threading.Event()

    def encode(self, text: str, *, add_special_tokens: bool = False, parse_special_tokens: bool = True) -> Encoding:
        self.threads[text[:8]] = threading.get_ident()
        if text.startswith("wait"):
            self.begun.set()
            assert self.may_end.wait(30)
        return super().encode(text, add_special_tokens=add_special_tokens, parse_special_tokens=parse_special_tokens)

    def encode_chat(self, messages: Any, **options: Any) -> Encoding:
        self.chats.append(threading.get_ident())
        return super().encode_chat(messages, **options)


async def until_begun(observed: Observed) -> None:
    for _ in range(10_000):
        if observed.begun.is_set():
            return
        await asyncio.sleep(0.001)
    raise TimeoutError


@settings(max_examples=12)
@given(data=st.data())
def test_the_results_are_those_of_the_other_members(tokenizer: Tokenizer, data: st.DataObject) -> None:
    text = data.draw(texts) * data.draw(st.sampled_from([1, 200]))
    added, parsed = data.draw(st.sampled_from(FLAGS))

    async def both() -> tuple[Encoding, list[Encoding]]:
        one = await tokenizer.encode_async(text, add_special_tokens=added, parse_special_tokens=parsed)
        some = await tokenizer.encode_batch_async(
            ["a", text, ""], add_special_tokens=added, parse_special_tokens=parsed
        )
        return one, some

    one, some = asyncio.run(both())
    assert one == tokenizer.encode(text, add_special_tokens=added, parse_special_tokens=parsed)
    assert (one.text, one.add_special_tokens, one.parse_special_tokens) == (some[1].text, added, parsed)
    assert some == tokenizer.encode_batch(["a", text, ""], add_special_tokens=added, parse_special_tokens=parsed)


@pytest.mark.parametrize("options", [{}, {"content_policy": "text"}, {"add_generation_prompt": True}])
@pytest.mark.parametrize("times", [1, 2000, 50_000])
def test_chats_too(options: dict[str, Any], times: int) -> None:
    tokenizer = MockTokenizer(chat_template=TEMPLATE)
    messages = [{"role": "user", "content": "hello <|im_end|>" * times}, {"role": "assistant", "content": "world"}]
    encoding = asyncio.run(tokenizer.encode_chat_async(messages, **options))
    assert encoding == tokenizer.encode_chat(messages, **options)
    assert encoding.text == tokenizer.encode_chat(messages, **options).text


def test_long_work_leaves_the_thread_of_the_loop_and_short_work_stays() -> None:
    observed, here = Observed(), threading.get_ident()

    async def all_kinds() -> None:
        await observed.encode_async("short")
        await observed.encode_batch_async(["batch", "of short"])
        await observed.encode_async("long".ljust(SHORT_CHARACTERS + 1))
        await observed.encode_async("huge".ljust(HUGE_CHARACTERS + 1))
        await observed.encode_batch_async(["batch of", "long".ljust(SHORT_CHARACTERS)])
        await observed.encode_batch_async([f"many{number}" for number in range(SHORT_CHARACTERS // 5)])
        await observed.encode_batch_async(["empty"] + [""] * SHORT_CHARACTERS)
        for _ in range(2):
            await observed.encode_chat_async([{"role": "user", "content": "hello"}])

    asyncio.run(all_kinds())
    assert observed.threads["short"] == observed.threads["batch"] == observed.threads["of short"] == here
    away = [observed.threads[name] for name in ("long    ", "huge    ", "batch of", "many0", "many99", "empty")]
    assert here not in away
    assert observed.threads["<|im_sta"] == here
    asyncio.run(observed.encode_chat_async([{"role": "user", "content": "x" * SHORT_CHARACTERS}]))
    assert observed.threads["<|im_sta"] != here


def threads_of_chats(observed: Observed, messages: Any = HELLO, times: int = 2, **options: Any) -> list[bool]:
    """Which of some equal chats leave the thread of the loop."""
    left = []
    for _ in range(times):
        encoding = asyncio.run(observed.encode_chat_async(messages, **options))
        assert encoding == observed.encode_chat(messages, **options)
        left.append(observed.chats[-2] != threading.get_ident())
    return left


def test_the_first_chat_of_a_model_compiles_its_template_in_a_thread() -> None:
    observed = Observed()
    fresh = pickle.loads(pickle.dumps(observed.chat_templates))
    assert threads_of_chats(with_templates(observed, fresh)) == [True, False]
    assert threads_of_chats(observed) == [True, False]


def test_so_does_the_first_of_each_kind() -> None:
    observed = Observed()
    assert threads_of_chats(observed) == [True, False]
    kinds: list[dict[str, Any]] = [
        {"content": "exact"},
        {"content_policy": "text"},
        {"return_assistant_mask": True},
        {"content_policy": "text", "return_assistant_mask": True},
        {"tools": [{"type": "function", "function": {"name": "f", "parameters": {}}}]},
        {"chat_template": "default"},
    ]
    assert [threads_of_chats(observed, **options) for options in kinds] == [[True, False]] * len(kinds)
    assert threads_of_chats(observed, add_generation_prompt=True) == [False, False]


def test_and_the_first_with_a_template_that_is_another() -> None:
    observed = Observed()
    assert threads_of_chats(observed) == [True, False]
    twin = observed.with_chat_template("other {{ messages[0].content }}")
    assert threads_of_chats(twin) == [True, False]
    assert threads_of_chats(observed, chat_template="never kept {{ messages[0].content }}") == [True, True]
    assert threads_of_chats(observed) == [False, False]


def test_a_chat_that_fails_leaves_the_next_in_a_thread() -> None:
    observed = Observed()
    with pytest.raises(TokenFacadeError):
        asyncio.run(observed.encode_chat_async([]))
    assert threads_of_chats(observed) == [True, False]


class Model:
    """A message as a pydantic model is one."""

    def __init__(self, content: object) -> None:
        self.content = content

    def model_dump(self) -> dict[str, object]:
        return {"role": "user", "content": self.content}


@dataclass
class Message:
    role: str
    content: str


@pytest.mark.parametrize(
    "messages",
    [
        [Model("x" * SHORT_CHARACTERS)],
        [Message("user", "x" * SHORT_CHARACTERS)],
        [*HELLO, Model("x" * SHORT_CHARACTERS)],
        [{"role": "user", "content": Model("x")}],
    ],
)
def test_messages_that_are_objects_leave_the_thread_of_the_loop(messages: Any) -> None:
    observed = Observed()
    assert threads_of_chats(observed) == [True, False]
    assert threads_of_chats(observed, messages, content="exact") == [True, True]


def test_what_is_huge_has_one_thread_and_holds_up_nothing_that_is_only_long() -> None:
    observed = Observed()

    async def a_long_text_while_a_huge_one_is_encoded() -> list[Encoding]:
        huge = [
            asyncio.create_task(observed.encode_async(f"{name} ".ljust(HUGE_CHARACTERS + 1)))
            for name in ("wait", "next", "last")
        ]
        await until_begun(observed)
        await observed.encode_async("long".ljust(HUGE_CHARACTERS // 2))
        assert not any(task.done() for task in huge)
        observed.may_end.set()
        return await asyncio.gather(*huge)

    assert len(asyncio.run(a_long_text_while_a_huge_one_is_encoded())) == 3
    huge_threads = {observed.threads[name] for name in ("wait    ", "next    ", "last    ")}
    assert len(huge_threads) == 1
    assert observed.threads["long    "] not in huge_threads


def test_cancelling_one_caller_harms_no_other() -> None:
    observed = Observed()

    async def callers() -> tuple[list[Encoding], list[Encoding]]:
        def call(name: str) -> asyncio.Task[Encoding]:
            return asyncio.create_task(observed.encode_async(f"{name} ".ljust(HUGE_CHARACTERS + 1)))

        running, queued, *others = map(call, ("wait", "queued", "other1", "other2"))
        await until_begun(observed)
        await asyncio.sleep(0.01)
        for task in (running, queued):
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        observed.may_end.set()
        finished = await asyncio.gather(*others)
        return finished, [await observed.encode_async("after ".ljust(HUGE_CHARACTERS + 1)) for _ in range(3)]

    finished, after = asyncio.run(callers())
    assert [encoding.text[:6] for encoding in (*finished, *after)] == ["other1", "other2", *["after "] * 3]
    assert "wait    " in observed.threads, "what had begun was finished unseen"
    assert "queued  " not in observed.threads, "what waited was dropped"


def test_a_timeout_is_a_cancelling() -> None:
    observed = Observed()

    async def impatient() -> None:
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(observed.encode_async("wait".ljust(SHORT_CHARACTERS + 1)), 0.05)
        observed.may_end.set()
        assert len(await observed.encode_async("again".ljust(SHORT_CHARACTERS + 1))) > 0

    asyncio.run(impatient())


@pytest.mark.parametrize("not_a_text", [None, 5, b"bytes" * 5000, ["a" * 5000], object()])
def test_what_is_no_text_is_refused_as_ever(not_a_text: Any) -> None:
    tokenizer = MockTokenizer()
    with pytest.raises(EncodeError):
        asyncio.run(tokenizer.encode_async(not_a_text))
    with pytest.raises(EncodeError):
        asyncio.run(tokenizer.encode_batch_async(["a" * 5000, not_a_text]))
    if not isinstance(not_a_text, list):
        with pytest.raises(EncodeError):
            asyncio.run(tokenizer.encode_batch_async(not_a_text))
    with pytest.raises(EncodeError):
        asyncio.run(tokenizer.encode_batch_async("a" * 5000))


def test_errors_of_chats_are_those_of_encode_chat() -> None:
    long = [{"role": "user", "content": "x" * 5000}]
    for messages in ([], long):
        with pytest.raises(NoChatTemplateError):
            asyncio.run(MockTokenizer().encode_chat_async(messages))
    neither: Any = "neither"
    with pytest.raises(ConfigurationError):
        asyncio.run(MockTokenizer(chat_template=TEMPLATE).encode_chat_async(long, content_policy=neither))


def test_a_batch_is_what_it_was_when_it_was_given() -> None:
    texts = ["hello " * 1000] * 3
    tokenizer = MockTokenizer()

    async def meanwhile() -> list[Encoding]:
        task = asyncio.create_task(tokenizer.encode_batch_async(texts))
        await asyncio.sleep(0)
        texts.clear()
        return await task

    assert len(asyncio.run(meanwhile())) == 3
    assert len(asyncio.run(tokenizer.encode_batch_async(text for text in ["hello " * 1000]))) == 1  # type: ignore[arg-type]


def test_several_loops_in_several_threads_share_the_pool(tokenizer: Tokenizer) -> None:
    long = [mixed_text(3000, seed=seed) for seed in range(8)]
    expected = [tokenizer.encode(text).ids for text in long]

    async def clients() -> list[list[int]]:
        return [encoding.ids for encoding in await asyncio.gather(*map(tokenizer.encode_async, long))]

    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(lambda _: asyncio.run(clients()), range(4))) == [expected] * 4


def test_a_loop_that_is_closed_early_leaves_the_pool_as_it_was() -> None:
    observed = Observed()

    async def leave() -> None:
        task = asyncio.create_task(observed.encode_async("wait".ljust(SHORT_CHARACTERS + 1)))
        await until_begun(observed)
        assert not task.done()

    asyncio.run(leave())
    observed.may_end.set()
    assert len(asyncio.run(observed.encode_async("after".ljust(SHORT_CHARACTERS + 1)))) > 0
    assert pool("huge", threads=1).call(lambda: "free") == "free"


def test_the_context_of_the_caller_comes_along() -> None:
    from contextvars import ContextVar

    request: ContextVar[str] = ContextVar("request")

    class Reading(MockTokenizer):
        def encode(self, text: str, *, add_special_tokens: bool = False, parse_special_tokens: bool = True) -> Encoding:
            return super().encode(request.get())

    async def caller(name: str) -> str:
        request.set(name)
        return (await Reading().encode_async("x" * 5000)).text

    async def callers() -> list[str]:
        return list(await asyncio.gather(caller("one"), caller("two")))

    assert asyncio.run(callers()) == ["one", "two"]
