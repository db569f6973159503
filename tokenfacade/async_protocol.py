"""What a tokenizer does for callers in an event loop: the encoding members again, without keeping the loop waiting."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from tokenfacade.threads import run_by_size, run_in_pool

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tokenfacade.chat.discovery import ChatTemplates
    from tokenfacade.chat.renderer import Messages
    from tokenfacade.encoding import Encoding
    from tokenfacade.protocols import Encoder, Tokenizer


class AsyncEncoder(Protocol):
    """Text to ids beside an event loop: what is short at once, what is long in a thread.

    Few threads work for all callers, and what is more waits for its turn. Cancelling a caller drops work that waits;
    what has begun is finished unseen.
    """

    async def encode_async(
        self: Encoder, text: str, *, add_special_tokens: bool = False, parse_special_tokens: bool = True
    ) -> Encoding:
        """As `encode`; the event loop goes on meanwhile.

        Raises:
            EncodeError: `text` is not a `str`.

        Example:
            >>> import asyncio
            >>> from tokenfacade import MockTokenizer
            >>> asyncio.run(MockTokenizer().encode_async("hello world")).tokens
            ['hello', ' world']
        """
        encode = partial(
            self.encode, text, add_special_tokens=add_special_tokens, parse_special_tokens=parse_special_tokens
        )
        return await run_by_size(encode, text)

    async def encode_batch_async(
        self: Encoder, texts: Sequence[str], *, add_special_tokens: bool = False, parse_special_tokens: bool = True
    ) -> list[Encoding]:
        """As `encode_batch`; the event loop goes on meanwhile.

        Raises:
            EncodeError: One of them is not a `str`.

        Example:
            >>> import asyncio
            >>> from tokenfacade import MockTokenizer
            >>> [encoding.tokens for encoding in asyncio.run(MockTokenizer().encode_batch_async(["hello", "world"]))]
            [['hello'], ['world']]
        """
        if isinstance(texts, Iterable) and not isinstance(texts, str):
            texts = list(texts)  # the caller's own may change before it is their turn
        encode_batch = partial(
            self.encode_batch, texts, add_special_tokens=add_special_tokens, parse_special_tokens=parse_special_tokens
        )
        return await run_by_size(encode_batch, texts)

    async def encode_chat_async(self: Tokenizer, messages: Messages, **options: Any) -> Encoding:
        """As `encode_chat`, with the same options; the event loop goes on meanwhile.

        Don't change the messages before it is done.

        Raises:
            TokenFacadeError: As for `encode_chat`.

        Example:
            >>> import asyncio
            >>> from tokenfacade import MockTokenizer
            >>> tokenizer = MockTokenizer(chat_template="{{ messages[0].content }}")
            >>> asyncio.run(tokenizer.encode_chat_async([{"role": "user", "content": "hello world"}])).tokens
            ['hello', ' world']
        """
        encode_chat = partial(self.encode_chat, messages, **options)
        kind = _kind_of_chat(self.chat_templates, **options)
        rendered = self.chat_templates.rendered
        if kind in rendered:
            return await run_by_size(encode_chat, (messages, options))
        encoding = await run_in_pool(encode_chat)
        if kind is not None:
            rendered.add(kind)
        return encoding


def _kind_of_chat(
    templates: ChatTemplates,
    *,
    chat_template: object = None,
    tools: object = None,
    content: object = "shape",
    content_policy: object = "special",
    return_assistant_mask: object = False,
    **_: object,
) -> Hashable:
    """What tells apart chats that have something to compile or import the first time; None for a template that isn't
    kept, where it is so every time."""
    if not (chat_template is None or (isinstance(chat_template, str) and chat_template in templates)):
        return None
    is_traced = content_policy != "special", return_assistant_mask is not False
    return chat_template, tools is not None, content == "shape", is_traced
