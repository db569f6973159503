"""Chat templates: compiled once, rendered as transformers does it, in a sandbox and within limits."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from tokenfacade.chat.arguments import check_template_arguments
from tokenfacade.chat.continuation import Continuation, check_continuation, open_final_message
from tokenfacade.chat.inspect import inspect_template
from tokenfacade.chat.jinja_environment import compile_template
from tokenfacade.chat.limits import TemplateLimits
from tokenfacade.chat.messages import prepare_messages
from tokenfacade.chat.plain_data import plain_argument
from tokenfacade.chat.renderer import ChatRenderer, Documents, Messages, RenderedChat, Tools
from tokenfacade.chat.tools import tool_schemas
from tokenfacade.encoding import SpecialTokens
from tokenfacade.errors import ConfigurationError, TemplateSyntaxError
from tokenfacade.lazy import cached_property

if TYPE_CHECKING:
    from tokenfacade.chat.inspect import TemplateTraits


class ChatTemplate(ChatRenderer):
    """A Jinja chat template, rendered byte for byte as transformers 5 renders it.

    The messages are taken as they are; what doesn't have the shape that the template expects may come out as a Python
    repr, as it does there. `Tokenizer.apply_chat_template` shapes the messages first. A template object is immutable
    and may be used by any number of threads.

    Args:
        text: The template.
        special_tokens: What the template may use as ``bos_token``, ``eos_token`` and so on.
        name: A name for error messages.
        limits: How much a rendering may take.
        clock: The time for ``strftime_now``; the local time now, unless a prompt must be the same tomorrow.

    Raises:
        TemplateSyntaxError: The text is no template.

    Example:
        >>> template = ChatTemplate("{% for m in messages %}<{{ m.role }}>{{ m.content }}{{ eos_token }}{% endfor %}",
        ...                         special_tokens={"eos_token": "</s>"})
        >>> template.render([{"role": "user", "content": "Hi"}])
        '<user>Hi</s>'
        >>> template.content_format
        'string'
    """

    def __init__(
        self,
        text: str,
        *,
        special_tokens: SpecialTokens | Mapping[str, str] | None = None,
        name: str | None = None,
        limits: TemplateLimits | None = None,
        clock: Callable[[], datetime.datetime] | None = None,
    ) -> None:
        if not isinstance(text, str):
            raise ConfigurationError(f"a chat template is a str, not {type(text).__name__}")
        if not (limits is None or isinstance(limits, TemplateLimits)) or not (clock is None or callable(clock)):
            raise ConfigurationError(
                f"a chat template takes a TemplateLimits and a function as clock, not {limits!r:.40} and {clock!r:.40}"
            )
        self.text = text
        self.name = name
        self.special_tokens = _variables_of(special_tokens)
        self.limits = limits or TemplateLimits()
        self.clock = clock
        try:
            self._compiled = compile_template(text)
        except TemplateSyntaxError as error:
            which = f"the chat template {name!r} is {error}" if name else str(error)
            raise TemplateSyntaxError(which, template=name, line=error.line) from error

    def render(
        self,
        messages: Messages,
        *,
        tools: Tools | None = None,
        documents: Documents | None = None,
        add_generation_prompt: bool = False,
        continue_final_message: bool | str = False,
        **kwargs: Any,
    ) -> str:
        """The prompt for a conversation.

        Args:
            messages: The conversation, at least one message; they aren't changed. Keys whose value is None are taken
                as absent, and reasoning goes by any of its names.
            tools: JSON schemas, or Python functions to make them of.
            documents: Mappings, usually with ``title`` and ``text``.
            add_generation_prompt: Whether to begin the answer of the model.
            continue_final_message: Whether to leave the last message open, so that the model goes on with it; a string
                names the field to go on with (``"reasoning_content"``).
            **kwargs: Variables for the template (``enable_thinking``); they come before special tokens.

        Raises:
            ConfigurationError: A name is reserved, a tool can't become a schema, or both flags are set.
            TemplateRenderError: The template failed on these messages; its `reason` says whose fault it is.
            TemplateLimitError: It took too much.
        """
        variables, continuation = self._variables(
            messages, tools, documents, add_generation_prompt, continue_final_message, kwargs
        )
        prompt = self._compiled.render(variables, limits=self.limits, clock=self._now, name=self.name)
        return prompt if continuation is None else continuation.cut(prompt)

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
        """The prompt, and where its characters came from; several times slower than `render`.

        Raises:
            ChatTemplateError: As for `render`.

        Example:
            >>> template = ChatTemplate("{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}")
            >>> template.render_traced([{"role": "user", "content": "Hi"}]).message_spans
            ((6, 8),)
        """
        from tokenfacade.chat.jinja_tracing import trace

        variables, continuation = self._variables(
            messages, tools, documents, add_generation_prompt, continue_final_message, kwargs
        )
        return trace(
            self.text,
            variables,
            marked=("messages", "tools", "documents", *kwargs),
            continuation=continuation,
            limits=self.limits,
            clock=self._now,
            name=self.name,
        )

    def _variables(
        self,
        messages: Messages,
        tools: Tools | None,
        documents: Documents | None,
        add_generation_prompt: bool,  # noqa: FBT001
        continue_final_message: bool | str,  # noqa: FBT001
        arguments: dict[str, Any],
    ) -> tuple[dict[str, Any], Continuation | None]:
        """What the template sees, and how to end the prompt."""
        if arguments:
            check_template_arguments(arguments)
        prepared: list[dict[str, Any]] = prepare_messages(messages)
        continuation = None
        if continue_final_message:
            check_continuation(
                add_generation_prompt=add_generation_prompt, continue_final_message=continue_final_message
            )
            continuation = open_final_message(prepared, continue_final_message, self.text)
            prepared = continuation.messages
        variables = {
            **self.special_tokens,
            "messages": list(prepared),
            "tools": None if tools is None else plain_argument("tools", tool_schemas(tools)),
            "documents": None if documents is None else plain_argument("documents", _checked_documents(documents)),
            "add_generation_prompt": add_generation_prompt,
            **(plain_argument("the template's variables", arguments) if arguments else arguments),
        }
        return variables, continuation

    def _now(self) -> datetime.datetime:
        # Looked up at each call, so that tests can stop the clock.
        return datetime.datetime.now() if self.clock is None else self.clock()

    @cached_property
    def traits(self) -> TemplateTraits:
        """What the template expects, read from its syntax tree when it is first asked for."""
        return inspect_template(self.text)

    def with_special_tokens(self, special_tokens: SpecialTokens | Mapping[str, str]) -> ChatTemplate:
        """The template, with other special tokens.

        Example:
            >>> ChatTemplate("{{ bos_token }}").with_special_tokens({"bos_token": "<s>"}).render([{"role": "user"}])
            '<s>'
        """
        return ChatTemplate(
            self.text, special_tokens=special_tokens, name=self.name, limits=self.limits, clock=self.clock
        )

    @property
    def identity(self) -> str:
        """Its text and its special tokens: what it renders depends on nothing else but the clock."""
        return repr((self.text, sorted(self.special_tokens.items())))

    def __eq__(self, other: object) -> bool:
        return self.identity == other.identity if isinstance(other, ChatTemplate) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.identity)

    def __repr__(self) -> str:
        return f"<ChatTemplate {self.name or 'without a name'!s}: {len(self.text)} characters>"

    def __reduce__(self) -> tuple[object, ...]:
        again = partial(
            ChatTemplate,
            special_tokens=dict(self.special_tokens),
            name=self.name,
            limits=self.limits,
            clock=self.clock,
        )
        return again, (self.text,)


def _checked_documents(documents: Iterable[Any]) -> Any:
    if isinstance(documents, str) or not isinstance(documents, Iterable):
        raise ConfigurationError(f"documents is a list of mappings, not {type(documents).__name__}")
    listed = documents if isinstance(documents, list | tuple) else list(documents)
    for document in listed:
        if not isinstance(document, dict):
            raise ConfigurationError(f"a document is a mapping, usually with title and text, not {document!r:.80}")
    return listed


def _variables_of(special_tokens: SpecialTokens | Mapping[str, str] | None) -> Mapping[str, str]:
    if special_tokens is None:
        return {}
    tokens = special_tokens.variables if isinstance(special_tokens, SpecialTokens) else special_tokens
    if not isinstance(tokens, Mapping):
        raise ConfigurationError(f"special_tokens is a mapping as {{'eos_token': '</s>'}}, not {tokens!r:.80}")
    return {name: str(token) for name, token in tokens.items() if token is not None}
