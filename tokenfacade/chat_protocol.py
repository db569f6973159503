"""What a tokenizer does with chats: the third of the narrow protocols, all of it derived from the templates."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeVar

from tokenfacade.lazy import cached_property

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tokenfacade.chat.control_tokens import ControlTokens
    from tokenfacade.chat.discovery import ChatTemplates, ChatTemplateSource, ContentShape
    from tokenfacade.chat.renderer import ChatRenderer, Documents, Messages, Tools
    from tokenfacade.encoding import Encoding, SpecialTokens
    from tokenfacade.protocols import Tokenizer

_Tokenizer = TypeVar("_Tokenizer", bound="Tokenizer")

ContentPolicy = Literal["special", "text"]
"""Whether special tokens spelled in a message become their ids, or stay text."""


class ChatEncoder(Protocol):
    """Messages to a prompt, and to its ids."""

    @property
    @abstractmethod
    def special_tokens(self) -> SpecialTokens:
        """The special tokens, which templates write by name."""

    @property
    @abstractmethod
    def vocabulary_fingerprint(self) -> str:
        """A sha256 (hex) that is equal exactly when vocabulary, merges, added tokens and pipeline are."""

    @property
    def added_tokens(self) -> Mapping[str, int]:
        """The tokens that `encode` finds by their spelling, with their ids: the special ones, and in many vocabularies
        others."""
        return self.special_tokens.ids

    @cached_property
    def control_tokens(self: Tokenizer) -> ControlTokens:
        """Which of the added tokens steer the model, by flag or by look."""
        from tokenfacade.chat.control_tokens import ControlTokens

        return ControlTokens(self)

    def encode_placed(self: Tokenizer, text: str) -> Encoding:
        """What `encode` gives for a prompt, for callers that will ask for its offsets."""
        return self.encode(text)

    def encode_parts(self: Tokenizer, parts: Sequence[tuple[str, int | None]]) -> Encoding:
        """Encode texts in which no added token is found, with tokens that stand between them.

        Adjacent texts are encoded apart. The text of the encoding is that of all parts.

        Args:
            parts: Each a text with None, or the text that stands for a token with the token's id.

        Raises:
            EncodeError: A text is not a `str`.

        Example:
            >>> from tokenfacade import MockTokenizer
            >>> tokenizer = MockTokenizer()
            >>> parts = [("<s>", tokenizer.token_to_id("<s>")), ("hello", None), (" world", None)]
            >>> tokenizer.encode_parts(parts).tokens
            ['<s>', 'hello', ' world']
        """
        from tokenfacade.chat.encode import encode_each

        return encode_each(self, parts)

    @cached_property
    def chat_templates(self) -> ChatTemplates:
        """The chat templates by name; none where a backend knows none. A backend that finds some sets this."""
        from tokenfacade.chat.discovery import ChatTemplates

        return ChatTemplates(special_tokens=self.special_tokens.variables)

    @property
    def chat_template(self) -> ChatRenderer | None:
        """The template for conversations without tools; None if the model has none.

        Raises:
            TemplateSyntaxError: The model has one that is broken.

        Example:
            >>> from tokenfacade import MockTokenizer
            >>> MockTokenizer(chat_template="{{ messages[0].content }}").chat_template.content_format
            'string'
        """
        return self.chat_templates.default

    @cached_property
    def fingerprint(self) -> str:
        """A sha256 (hex) that is equal exactly when vocabulary, merges, added tokens, pipeline and templates are."""
        from hashlib import sha256

        return sha256(f"{self.vocabulary_fingerprint}\0{self.chat_templates.identity}".encode()).hexdigest()

    def with_chat_template(self: _Tokenizer, chat_template: ChatTemplateSource | None) -> _Tokenizer:
        """A twin with another chat template, which replaces all that the model has; it shares the vocabulary.

        Args:
            chat_template: The text of a template, the path of a file, one of the names that the model has, the name
                of a format that is built in, or a template or renderer. None for the tokenizer as it is.

        Raises:
            NoChatTemplateError: There is no template of that name, or no such file.
            TemplateSyntaxError: It is not a template.
            ConfigurationError: `chat_template` is nothing of the kind.

        Example:
            >>> from tokenfacade import MockTokenizer
            >>> twin = MockTokenizer().with_chat_template("{% for m in messages %}{{ m.content }}{% endfor %}")
            >>> twin.apply_chat_template([{"role": "user", "content": "hello"}])
            'hello'
        """
        if chat_template is None:
            return self
        return with_templates(self, self.chat_templates.replaced(chat_template).checked())

    def apply_chat_template(
        self,
        messages: Messages,
        *,
        tools: Tools | None = None,
        documents: Documents | None = None,
        add_generation_prompt: bool = False,
        continue_final_message: bool | str = False,
        chat_template: ChatTemplateSource | None = None,
        content: ContentShape = "shape",
        chat_template_kwargs: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> str:
        """The prompt for some messages, as transformers renders it.

        Encode it with the defaults of `encode`: it has its BOS already, where it needs one.

        Args:
            messages: The conversation; it is not changed.
            tools: JSON schemas, or Python functions with docstrings.
            documents: Documents for retrieval, each with ``"title"`` and ``"text"``.
            add_generation_prompt: Whether to end with what opens the model's answer.
            continue_final_message: Whether to leave the last message open, for the model to go on with it; or the name
                of the field that it goes on with, as ``"reasoning_content"``.
            chat_template: Another template, as for `with_chat_template`, or the name of one that the model has. From a
                trusted source only, and never from a request: it may be a path.
            content: ``"shape"`` adapts the messages to what the template reads, so that no repr of a list gets into
                the prompt. ``"exact"`` renders them as they are, as transformers does.
            chat_template_kwargs: Variables for the template that came with a request; names of options are refused.
            **kwargs: Variables for the template (``enable_thinking=False``); they win over those of the request.

        Raises:
            NoChatTemplateError: There is no template, or none of that name.
            TemplateSyntaxError: It is not a template.
            TemplateRenderError: The template and these messages don't fit.
            TemplateLimitError: Rendering took too much.
            ConfigurationError: A variable has a reserved name, or options contradict each other.

        Example:
            >>> from tokenfacade import MockTokenizer
            >>> tokenizer = MockTokenizer(chat_template="{{ messages[0].content + eos_token }}")
            >>> tokenizer.apply_chat_template([{"role": "user", "content": [{"type": "text", "text": "hello"}]}])
            'hello</s>'
        """
        templates = self.chat_templates
        return templates.renderer(chat_template, tools, content).render(
            messages,
            tools=tools,
            documents=documents,
            add_generation_prompt=add_generation_prompt,
            continue_final_message=continue_final_message,
            **templates.arguments(chat_template_kwargs, kwargs),
        )

    def encode_chat(
        self: Tokenizer,
        messages: Messages,
        *,
        tools: Tools | None = None,
        documents: Documents | None = None,
        add_generation_prompt: bool = False,
        continue_final_message: bool | str = False,
        chat_template: ChatTemplateSource | None = None,
        content: ContentShape = "shape",
        content_policy: ContentPolicy = "special",
        return_assistant_mask: bool = False,
        chat_template_kwargs: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> Encoding:
        """The ids of a chat's prompt: those that transformers gives for ``tokenize=True``, and never a second BOS.

        Args:
            messages: The conversation, and all other options but two, as for `apply_chat_template`.
            content_policy: ``"special"`` reads special tokens wherever they are spelled, as transformers does.
                ``"text"`` reads them only in what the template writes: nothing that a message says can end its turn.
            return_assistant_mask: Whether the encoding gets an `assistant_mask`, from the ``generation`` blocks of the
                template.

        Raises:
            TokenFacadeError: As for `apply_chat_template`.

        Example:
            >>> from tokenfacade import MockTokenizer
            >>> tokenizer = MockTokenizer(chat_template="{{ bos_token }}{{ messages[0].content }}")
            >>> tokenizer.encode_chat([{"role": "user", "content": "hello world"}]).tokens
            ['<s>', 'hello', ' world']
        """
        from tokenfacade.chat.encode import encode_chat

        templates = self.chat_templates
        return encode_chat(
            self,
            templates.renderer(chat_template, tools, content),
            messages,
            tools=tools,
            documents=documents,
            add_generation_prompt=add_generation_prompt,
            continue_final_message=continue_final_message,
            content_policy=content_policy,
            return_assistant_mask=return_assistant_mask,
            template_arguments=templates.arguments(chat_template_kwargs, kwargs),
        )

    def count_chat_tokens(
        self: Tokenizer,
        messages: Messages,
        *,
        content_policy: ContentPolicy = "special",
        **options: Any,
    ) -> int:
        """How many ids `encode_chat` gives, with the same options.

        Raises:
            TokenFacadeError: As for `apply_chat_template`.

        Example:
            >>> from tokenfacade import MockTokenizer
            >>> tokenizer = MockTokenizer(chat_template="{{ messages[0].content }}")
            >>> tokenizer.count_chat_tokens([{"role": "user", "content": "hello world"}])
            2
        """
        if content_policy != "special":
            return len(self.encode_chat(messages, content_policy=content_policy, **options))
        options.pop("return_assistant_mask", None)
        return self.count_tokens(self.apply_chat_template(messages, **options))


def with_templates(tokenizer: _Tokenizer, templates: ChatTemplates) -> _Tokenizer:
    """The tokenizer with these templates in place of its own; it stays as it is, and the twin shares all the rest."""
    twin = object.__new__(type(tokenizer))
    # The tables are made here if they weren't, so that both have the same.
    vars(twin).update(vars(tokenizer), chat_templates=templates, stream_tables=tokenizer.stream_tables)
    vars(twin).pop("fingerprint", None)
    return twin
