"""`CachedTokenizer`: what it delegates, remembers, forgets and counts."""

from __future__ import annotations

import asyncio
import copy
import os
import pickle
import threading
from typing import TYPE_CHECKING, Any

import pytest

from tests.small import SMALL, small_tokenizer
from tokenfacade import ConfigurationError, EncodeError, MockTokenizer, Tokenizer, create_tokenizer
from tokenfacade.cache import CacheConfig, CachedTokenizer
from tokenfacade.chat_protocol import with_templates
from tokenfacade.encoding import Encoding

if TYPE_CHECKING:
    from collections.abc import Callable

TEMPLATE = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
MESSAGES = [{"role": "user", "content": "hello world " * 40}, {"role": "assistant", "content": "good " * 80}]
TEXT = "<s>the worker</s> é😊"

CALLS: dict[str, Callable[[Tokenizer], Any]] = {
    "encode": lambda t: (t.encode(TEXT).tokens, t.encode(TEXT).offsets, t.encode(TEXT).text),
    "encode_batch": lambda t: [e.offsets for e in t.encode_batch([TEXT, "a"], add_special_tokens=True)],
    "encode_async": lambda t: asyncio.run(t.encode_async(TEXT)).offsets,
    "encode_batch_async": lambda t: [e.ids for e in asyncio.run(t.encode_batch_async([TEXT, "a"]))],
    "encode_chat_async": lambda t: asyncio.run(t.encode_chat_async(MESSAGES)).ids,
    "count_tokens": lambda t: t.count_tokens(TEXT, parse_special_tokens=False),
    "truncate": lambda t: (t.truncate(TEXT, 3), t.truncate(TEXT, 3, side="left", add_special_tokens=True)),
    "encode_placed": lambda t: t.encode_placed(TEXT).offsets,
    "encode_parts": lambda t: t.encode_parts([("<s>", t.token_to_id("<s>")), ("é", None), ("a", None)]).offsets,
    "encode_chat": lambda t: (t.encode_chat(MESSAGES).ids, t.encode_chat(MESSAGES, content_policy="text").offsets),
    "count_chat_tokens": lambda t: t.count_chat_tokens(MESSAGES),
    "apply_chat_template": lambda t: t.apply_chat_template(MESSAGES, add_generation_prompt=True),
    "with_chat_template": lambda t: t.with_chat_template("{{ messages[0].role }}").apply_chat_template(MESSAGES),
    "token_offsets": lambda t: t.token_offsets(t.encode(TEXT, add_special_tokens=True)),
    "added_around": lambda t: t.added_around(),
    "cut_points": lambda t: t.cut_points(),
    "decode": lambda t: (t.decode([5, 300, 10**9]), t.decode([1, 2], skip_special_tokens=False)),
    "decode_batch": lambda t: t.decode_batch([[1, 2], [301, 5]], skip_special_tokens=False),
    "decode_bytes": lambda t: t.decode_bytes([200, 5], skip_special_tokens=False),
    "token_bytes": lambda t: t.token_bytes(7),
    "token_to_id": lambda t: (t.token_to_id("<s>"), t.token_to_id("nowhere")),
    "id_to_token": lambda t: (t.id_to_token(1), t.id_to_token(-1)),
    "pieces": lambda t: type(t.pieces(skip_special_tokens=True)),
    "decode_stream": lambda t: t.decode_stream([1], skip_special_tokens=False).step_batch([5, 6, 7]),
    "stop_decoder": lambda t: t.stop_decoder(["w"], skip_special_tokens=False).process_tokens(t.encode(TEXT).ids),
    "sequence": lambda t: t.sequence(t.encode("a").ids).text,
    "stream_tables": lambda t: t.stream_tables,
    "control_tokens": lambda t: t.control_tokens,
    "chat_templates": lambda t: t.chat_templates,
    "chat_template": lambda t: t.chat_template,
    "added_tokens": lambda t: dict(t.added_tokens),
    "special_tokens": lambda t: t.special_tokens,
    "vocab_size": lambda t: t.vocab_size,
    "eos_token_ids": lambda t: t.eos_token_ids,
    "source": lambda t: t.source,
    "backend": lambda t: t.backend,
    "engine": lambda t: (t.engine, t.engine.reason),
    "wait_for_engine": lambda t: (t.wait_for_engine(timeout=5), t.wait_for_engine().reason),
    "fingerprint": lambda t: t.fingerprint,
    "vocabulary_fingerprint": lambda t: t.vocabulary_fingerprint,
}


def chat_text(turns: int) -> str:
    return "".join(f"<|im_start|>user\nturn {n}: " + "hello world " * 60 + "<|im_end|>\n" for n in range(turns))


def test_every_member_of_the_protocol_has_a_call_here() -> None:
    assert set(CALLS) == {name for name in dir(Tokenizer) if not name.startswith("_")}


@pytest.mark.parametrize("inner", ["byte_level", "word_piece", "tiktoken_small", "mock", "windowed_mock"])
@pytest.mark.parametrize("member", list(CALLS))
def test_it_gives_what_the_tokenizer_inside_gives(inner: str, member: str) -> None:
    tokenizer = small_tokenizer(inner).with_chat_template(TEMPLATE)
    cached = CachedTokenizer(tokenizer)
    call = CALLS[member]
    assert call(cached) == call(cached) == call(tokenizer)


def test_shared_parts_are_the_very_same() -> None:
    tokenizer = small_tokenizer("byte_level")
    cached = CachedTokenizer(tokenizer)
    assert cached.stream_tables is tokenizer.stream_tables
    assert cached.control_tokens is tokenizer.control_tokens
    assert cached.tokenizer is tokenizer
    assert cached.config == CacheConfig()
    assert repr(cached) == f"<CachedTokenizer around {tokenizer!r}>"
    assert Tokenizer in CachedTokenizer.__mro__
    assert copy.copy(cached) is copy.deepcopy(cached) is cached


def test_a_cache_may_stand_around_a_cache() -> None:
    twice = CachedTokenizer(CachedTokenizer(MockTokenizer()))
    assert twice.encode(chat_text(3)) == twice.encode(chat_text(3)) == MockTokenizer().encode(chat_text(3))


def test_twins_with_other_templates_share_the_cache() -> None:
    cached = CachedTokenizer(MockTokenizer())
    cached.encode(chat_text(3))
    for twin in (
        cached.with_chat_template(TEMPLATE),
        with_templates(cached, cached.with_chat_template(TEMPLATE).chat_templates),
    ):
        assert twin.encode(chat_text(3)) == cached.encode(chat_text(3))
        assert cached.statistics == twin.statistics
        assert twin.encode_chat(MESSAGES) == MockTokenizer(chat_template=TEMPLATE).encode_chat(MESSAGES)
        assert twin.fingerprint == MockTokenizer(chat_template=TEMPLATE).fingerprint != cached.fingerprint
        assert twin.vocabulary_fingerprint == cached.vocabulary_fingerprint
    assert cached.statistics.texts.hits >= 3


def test_tokenizers_that_share_a_cache_keep_their_ids_apart() -> None:
    one = CachedTokenizer(MockTokenizer(), CacheConfig(text_bytes=200_000))
    same, other = one.sharing(MockTokenizer()), one.sharing(MockTokenizer(["hello"]))
    text = chat_text(4)
    one.encode(text)
    assert same.encode(text) == MockTokenizer().encode(text)
    assert one.statistics.texts.hits == 1
    assert other.encode(text) == MockTokenizer(["hello"]).encode(text)
    assert other.sharing(MockTokenizer(["hello"])).encode(text) == other.encode(text)
    assert other.sharing(MockTokenizer()).encode(text) == one.encode(text)
    assert one.statistics == other.statistics
    assert one.statistics.texts.entries == 2 + 1  # one more for `sharing` from another
    with pytest.raises(ConfigurationError):
        one.sharing("mock:")  # type: ignore[arg-type]


def test_it_pickles_by_what_is_inside_and_arrives_empty() -> None:
    cached = CachedTokenizer(create_tokenizer("examples/tokenizer"), CacheConfig(5000, 6000))
    cached.encode("hello")
    data = pickle.dumps(cached)
    again = pickle.loads(data)
    assert len(data) < 1000
    assert (again.fingerprint, again.config) == (cached.fingerprint, cached.config)
    assert again.statistics.texts.entries == 0
    twin = cached.with_chat_template(TEMPLATE)
    assert pickle.loads(pickle.dumps(twin)).encode_chat(MESSAGES) == twin.encode_chat(MESSAGES)
    assert pickle.loads(pickle.dumps(twin)).config == cached.config


@pytest.mark.parametrize("budget", [-1, 1.5, "1", None, True])
@pytest.mark.parametrize("name", ["text_bytes", "segment_bytes"])
def test_a_budget_is_a_number_of_bytes(name: str, budget: Any) -> None:
    with pytest.raises(ConfigurationError, match=name):
        CacheConfig(**{name: budget})


@pytest.mark.parametrize(("tokenizer", "config"), [("mock:", None), (None, None), (MockTokenizer(), 5)])
def test_what_is_no_tokenizer_or_config_is_refused(tokenizer: Any, config: Any) -> None:
    with pytest.raises(ConfigurationError):
        CachedTokenizer(tokenizer, config)


class CountingTokenizer(MockTokenizer):
    """One that writes down what it had to encode, and in which thread."""

    def __init__(self) -> None:
        super().__init__()
        self.encoded: list[str] = []
        self.threads: set[int] = set()

    def encode(self, text: str, *, add_special_tokens: bool = False, parse_special_tokens: bool = True) -> Encoding:
        self.encoded.append(text)
        self.threads.add(threading.get_ident())
        return super().encode(text, add_special_tokens=add_special_tokens, parse_special_tokens=parse_special_tokens)


def test_what_is_known_is_not_encoded_again() -> None:
    inner = CountingTokenizer()
    cached = CachedTokenizer(inner)
    cached.encode(chat_text(5))
    first = sum(map(len, inner.encoded))
    assert first == len(chat_text(5))
    cached.encode(chat_text(5))
    cached.count_tokens(chat_text(5))
    assert sum(map(len, inner.encoded)) == first
    longer = chat_text(5) + "<|im_start|>assistant\nnew words<|im_end|>\n"
    inner.encoded.clear()
    cached.encode(longer)
    assert sum(map(len, inner.encoded)) <= len(longer) - len(chat_text(4))
    inner.encoded.clear()
    cached.count_tokens(longer + "<|im_start|>")
    cached.encode_batch([longer, longer + "<|im_start|>", chat_text(3)])
    assert sum(map(len, inner.encoded)) < 1000


def test_statistics_count_look_ups() -> None:
    cached = CachedTokenizer(MockTokenizer())
    text = chat_text(3)
    cached.encode(text)
    cached.encode(text)
    cached.encode(text, add_special_tokens=True)
    statistics = cached.statistics
    assert (statistics.texts.hits, statistics.texts.misses, statistics.texts.entries) == (1, 2, 2)
    assert statistics.texts.tokens_reused == MockTokenizer().count_tokens(text)
    assert statistics.segments.misses == statistics.segments.entries == statistics.segments.hits > 1
    assert statistics.segments.tokens_reused == MockTokenizer().count_tokens(text)
    cached.clear()
    assert cached.statistics.texts.entries == cached.statistics.texts.bytes == 0
    assert cached.statistics.segments.entries == cached.statistics.segments.bytes == 0
    assert cached.statistics.texts.hits == 1
    assert cached.encode(text) == MockTokenizer().encode(text)


def test_the_text_unused_for_longest_goes_first() -> None:
    inner = CountingTokenizer()
    cached = CachedTokenizer(inner, CacheConfig(text_bytes=20_000))
    texts = [f"text {n} " * 20 for n in range(200)]
    cached.encode(texts[0])
    for text in texts[1:]:
        cached.encode(text)
        cached.encode(texts[0])
    assert inner.encoded.count(texts[0]) == 1
    inner.encoded.clear()
    cached.encode(texts[-1])
    assert inner.encoded == []
    cached.encode(texts[1])
    assert inner.encoded == [texts[1]]
    statistics = cached.statistics.texts
    assert statistics.evictions == 201 - statistics.entries


def test_a_text_that_is_too_large_pushes_nothing_out() -> None:
    cached = CachedTokenizer(MockTokenizer(), CacheConfig(text_bytes=20_000))
    cached.encode("hello")
    cached.encode("hello world " * 10_000)
    assert (cached.statistics.texts.entries, cached.statistics.texts.evictions) == (1, 0)


@pytest.mark.parametrize("config", [CacheConfig(0, 0), CacheConfig(1, 1), CacheConfig(2000, 2000)])
def test_hardly_any_budget_is_no_harm(config: CacheConfig) -> None:
    cached = CachedTokenizer(MockTokenizer(), config)
    for _ in range(2):
        assert cached.encode(chat_text(5)) == MockTokenizer().encode(chat_text(5))
        assert cached.encode("hi") == MockTokenizer().encode("hi")
    if not config.text_bytes:
        assert cached.statistics.texts.hits == cached.statistics.texts.misses == 0


@pytest.mark.parametrize("name", list(SMALL))
def test_a_hit_stays_in_the_event_loop(name: str) -> None:
    cached = CachedTokenizer(small_tokenizer(name), CacheConfig(segment_bytes=0))
    inner = CountingTokenizer()
    counting = CachedTokenizer(inner)
    text = chat_text(30)

    async def work() -> None:
        expected = await cached.encode_async(text)
        assert await cached.encode_async(text) == expected == cached.encode(text)
        assert await cached.encode_batch_async([text, "a"]) == cached.encode_batch([text, "a"])
        assert await cached.encode_batch_async([text, "a"]) == cached.encode_batch([text, "a"])
        counting.encode(text)
        before = threading.active_count()
        inner.encoded.clear()
        assert len(await counting.encode_async(text)) > 1000
        assert len(await counting.encode_batch_async([text, text])) == 2
        assert inner.encoded == []
        assert threading.active_count() <= before

    asyncio.run(work())


@pytest.mark.parametrize("texts", [["a" * 250_000], ["a" * 50_000] * 5, ["a"] * 20_000], ids=["one", "some", "many"])
def test_much_is_looked_up_in_a_thread(texts: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    threads = set()
    find = CachedTokenizer._key

    def key(self: CachedTokenizer, data: bytes, *, added: bool, parsed: bool) -> bytes:
        threads.add(threading.current_thread())
        return find(self, data, added=added, parsed=parsed)

    cached = CachedTokenizer(MockTokenizer())
    expected = cached.encode_batch(texts)
    monkeypatch.setattr(CachedTokenizer, "_key", key)
    assert asyncio.run(cached.encode_batch_async(texts)) == expected
    assert asyncio.run(cached.encode_async("".join(texts) * 15)) is not None
    assert threads
    assert threading.current_thread() not in threads


def test_what_is_no_text_is_refused_async_too() -> None:
    cached = CachedTokenizer(MockTokenizer())
    for texts in (5, "text", ["a", 5], [["a"]]):
        with pytest.raises(EncodeError):
            asyncio.run(cached.encode_batch_async(texts))  # type: ignore[arg-type]
    with pytest.raises(EncodeError):
        asyncio.run(cached.encode_async(["a"]))  # type: ignore[arg-type]


class Shouting(str):
    """A text that says that it equals any other."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return True

    def __hash__(self) -> int:
        return 1


def test_a_subclass_of_str_is_not_remembered() -> None:
    cached = CachedTokenizer(MockTokenizer())
    assert cached.encode(Shouting("hello")) == MockTokenizer().encode("hello")
    assert cached.encode_batch([Shouting("hello"), "world"]) == MockTokenizer().encode_batch(["hello", "world"])
    assert cached.count_tokens(Shouting("hello world")) == 2
    assert asyncio.run(cached.encode_async(Shouting("hello"))) == MockTokenizer().encode("hello")
    assert cached.statistics.texts.entries == 0


class Bizarre(MockTokenizer):
    """One whose ids fit nowhere."""

    def encode(self, text: str, *, add_special_tokens: bool = False, parse_special_tokens: bool = True) -> Encoding:
        return Encoding([2**40, -5], text, self, add_special_tokens=False, parse_special_tokens=True)


@pytest.mark.parametrize("config", [CacheConfig(), CacheConfig(4000, 4000)], ids=["shared", "packed"])
def test_ids_of_more_than_32_bits_are_kept(config: CacheConfig) -> None:
    cached = CachedTokenizer(Bizarre(), config)
    assert cached.encode("hello").ids == cached.encode("hello").ids == [2**40, -5]
    assert cached.statistics.texts.hits == 1


def test_an_error_inside_is_not_remembered() -> None:
    cached = CachedTokenizer(MockTokenizer())
    for _ in range(2):
        with pytest.raises(EncodeError):
            cached.encode(5)  # type: ignore[arg-type]
    assert cached.encode("hello") == MockTokenizer().encode("hello")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_fork_in_the_middle_of_everything_leaves_no_lock() -> None:
    cached = CachedTokenizer(MockTokenizer(), CacheConfig(text_bytes=50_000, segment_bytes=50_000))
    stopped = threading.Event()

    def hammer() -> None:
        number = 0
        while not stopped.is_set():
            number += 1
            cached.encode(f"{number % 50} " * 30)

    threads = [threading.Thread(target=hammer) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(20):
            child = os.fork()
            if child == 0:
                # The child has only this thread; a lock that another one held would be held for ever.
                is_right = cached.encode(chat_text(3)) == MockTokenizer().encode(chat_text(3))
                is_right = is_right and all(len(cached.encode(f"{n} " * 30)) for n in range(300))
                statistics = cached.statistics.texts
                os._exit(0 if is_right and 0 < statistics.bytes <= 50_000 else 1)
            assert os.waitpid(child, 0)[1] == 0
    finally:
        stopped.set()
        for thread in threads:
            thread.join()
