"""What the prompt formats that are code have in common: everything but the format."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tokenfacade.chat.continuation import REASONING_FIELDS, check_continuation
from tokenfacade.chat.messages import prepare_messages
from tokenfacade.chat.plain_data import plain_argument
from tokenfacade.chat.renderer import ChatRenderer, Documents, Messages, RenderedChat, Tools
from tokenfacade.chat.renderers.prompt import Prompt
from tokenfacade.chat.renderers.reading import refusal
from tokenfacade.chat.tools import tool_schemas


@dataclass(frozen=True, slots=True)
class Chat:
    """A conversation as a format gets it: plain data, reasoning under ``reasoning_content``.

    Attributes:
        messages: At least one.
        tools: JSON schemas, maybe none.
        add_generation_prompt: Whether to begin the answer of the model.
        arguments: What else the caller said.
    """

    messages: list[dict[str, Any]]
    tools: list[Any]
    add_generation_prompt: bool
    arguments: Mapping[str, Any]


class CodeRenderer(ChatRenderer):
    """A prompt format that is code: a subclass says what it is, and writes the chats.

    What a format doesn't know, documents and arguments of other names, is ignored, as templates ignore it.
    """

    __slots__ = ()

    @abstractmethod
    def write(self, chat: Chat, prompt: Prompt) -> None:
        """Write the conversation; each message after `Prompt.begin_message`.

        Raises:
            TemplateRenderError: The format has no words for it.
        """

    def render_traced(
        self,
        messages: Messages,
        *,
        tools: Tools | None = None,
        documents: Documents | None = None,
        add_generation_prompt: bool = False,
        continue_final_message: bool | str = False,
        **kwargs: Any,
    ) -> RenderedChat:
        """The prompt, and where its characters came from; the arguments are those of `ChatTemplate.render`.

        Raises:
            ConfigurationError: There are no messages, a tool can't become a schema, or both flags are set.
            TemplateRenderError: The format has no words for these messages.
        """
        check_continuation(add_generation_prompt=add_generation_prompt, continue_final_message=continue_final_message)
        prepared = prepare_messages(messages)
        open_field = _open_field(prepared[-1], continue_final_message) if continue_final_message else None
        chat = Chat(
            messages=prepared,
            tools=plain_argument("tools", tool_schemas(tools)) or [],
            add_generation_prompt=bool(add_generation_prompt),
            arguments=plain_argument("the arguments", kwargs),
        )
        prompt = Prompt()
        self.write(chat, prompt)
        if open_field is not None:
            prompt.cut_after(open_field)
        return RenderedChat(
            text=prompt.text, assistant_spans=tuple(prompt.assistant_spans), message_spans=tuple(prompt.message_spans)
        )


def _open_field(final: Mapping[str, Any], which: bool | str) -> str:  # noqa: FBT001
    """Which field of the final message the model goes on with; reasoning has one name here.

    Raises:
        TemplateRenderError: The message has nothing in it.
    """
    field = which if isinstance(which, str) else "content"
    if final.get(field) is None:
        raise refusal(f"continue_final_message: the final message has no {field!r} to go on with")
    return REASONING_FIELDS[0] if field in REASONING_FIELDS else field
