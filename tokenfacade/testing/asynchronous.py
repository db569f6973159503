"""The laws of the async methods: they give what the others give, to every caller."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import strategies as st

from tokenfacade.errors import EncodeError
from tokenfacade.testing.checks import LawBroken, equal, for_all, require
from tokenfacade.testing.encoding import FLAGS, NO_TEXTS
from tokenfacade.testing.strategies import texts_of

if TYPE_CHECKING:
    from tokenfacade.protocols import Tokenizer

LONG = "the worker 😊 streams tokens back. " * 4000
"""A text that is encoded in a thread."""

CHAT_TEMPLATE = "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}"


class AsyncLaws:
    """The async methods give the ids of the others, and their errors; cancelling one caller harms no other."""

    def test_async_equals_sync(self, tokenizer: Tokenizer) -> None:
        """`encode_async` and `encode_batch_async` give the ids of `encode`, with any flags, however many wait."""
        import asyncio

        @for_all(st.lists(texts_of(tokenizer), max_size=4), st.sampled_from(FLAGS))
        def law(texts: list[str], flags: dict[str, bool]) -> None:
            async def ask() -> list[list[int]]:
                alone = await asyncio.gather(*(tokenizer.encode_async(text, **flags) for text in texts))
                batch = await tokenizer.encode_batch_async(texts, **flags)
                return [encoding.ids for encoding in (*alone, *batch)]

            expected = [tokenizer.encode(text, **flags).ids for text in texts]
            equal(asyncio.run(ask()), expected * 2, f"{texts} alone and as a batch, async, {flags},")

        law()

    def test_long_texts_and_chats_are_the_same_async(self, tokenizer: Tokenizer) -> None:
        """Long texts, which are encoded in threads, and chats have the ids that they have without async, also when
        another caller is cancelled meanwhile."""
        import asyncio

        chatty = tokenizer.with_chat_template(CHAT_TEMPLATE)
        messages = [{"role": "user", "content": LONG}, {"role": "assistant", "content": "the worker"}]

        async def ask() -> list[list[int]]:
            cancelled = asyncio.ensure_future(tokenizer.encode_async(LONG))
            waiting = [asyncio.ensure_future(tokenizer.encode_async(LONG)) for _ in range(3)]
            chat = asyncio.ensure_future(chatty.encode_chat_async(messages))
            await asyncio.sleep(0)
            cancelled.cancel()
            batch = await tokenizer.encode_batch_async([LONG, "the"])
            encodings = [*await asyncio.gather(*waiting), *batch, await chat]
            return [encoding.ids for encoding in encodings]

        ids, chat = tokenizer.encode(LONG).ids, chatty.encode_chat(messages).ids
        require(asyncio.run(ask()) == [ids, ids, ids, ids, tokenizer.encode("the").ids, chat], "async equals sync")

    def test_what_is_no_text_is_refused_async(self, tokenizer: Tokenizer) -> None:
        """What isn't a `str` raises `EncodeError` in the task that asks."""
        import asyncio

        async def ask() -> None:
            for no_text in NO_TEXTS:
                try:
                    encoding = await tokenizer.encode_async(no_text)
                except EncodeError:
                    continue
                raise LawBroken(f"encode_async({no_text!r}) gives {encoding!r}; the law asks for EncodeError")

        asyncio.run(ask())
