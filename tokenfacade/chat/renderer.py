"""What makes prompts of messages: the protocol, and the values that go in and come out."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from tokenfacade.chat.inspect import ContentFormat, TemplateTraits, ThinkingToggle, ToolArguments
    from tokenfacade.encoding import Span

Messages = Sequence[Mapping[str, Any]]
Tools = Sequence[Mapping[str, Any] | Callable[..., Any]]
Documents = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class RenderedChat:
    """A prompt, and where its characters came from.

    Attributes:
        text: The prompt.
        assistant_spans: What the template says the model said (its ``{% generation %}`` blocks).
        message_spans: What came from messages, tools, documents and template arguments, and not from the template.
    """

    text: str
    assistant_spans: tuple[Span, ...] = ()
    message_spans: tuple[Span, ...] = ()


class ChatRenderer(Protocol):
    """What makes a prompt of messages: a `ChatTemplate`, or a prompt format that is code."""

    @property
    @abstractmethod
    def traits(self) -> TemplateTraits:
        """What it expects."""

    @property
    @abstractmethod
    def identity(self) -> str:
        """A text that is equal exactly when all that it renders is."""

    @abstractmethod
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
        """The prompt, and where its characters came from."""

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
        """The prompt alone; overridden where that is faster."""
        return self.render_traced(
            messages,
            tools=tools,
            documents=documents,
            add_generation_prompt=add_generation_prompt,
            continue_final_message=continue_final_message,
            **kwargs,
        ).text

    @property
    def content_format(self) -> ContentFormat:
        """Whether content is one string, or may be a list of parts."""
        return self.traits.content_format

    @property
    def thinking(self) -> ThinkingToggle | None:
        """The argument that switches thinking on and off, where there is one."""
        return self.traits.thinking

    @property
    def opens_thinking(self) -> bool:
        """Whether a generation prompt, with default arguments, ends inside an open thinking tag."""
        return self.traits.opens_thinking

    @property
    def supports_tools(self) -> bool:
        """Whether what tools say reaches the prompt."""
        return self.traits.supports_tools

    @property
    def supports_documents(self) -> bool:
        """Whether what documents say reaches the prompt."""
        return self.traits.supports_documents

    @property
    def supports_system_role(self) -> bool:
        """Whether what a system message says reaches the prompt."""
        return self.traits.supports_system_role

    @property
    def tool_arguments(self) -> ToolArguments:
        """Whether the arguments of a tool call should be a mapping or JSON text."""
        return self.traits.tool_arguments

    @property
    def variables(self) -> frozenset[str]:
        """What else it reads and a request may set; neither special tokens nor what the template sets itself."""
        return self.traits.variables

    @property
    def part_types(self) -> frozenset[str]:
        """The types of parts other than text that it reads, such as ``"image"``."""
        return self.traits.part_types

    @property
    def requires_parts(self) -> bool:
        """Whether a user's content must be a list of parts."""
        return self.traits.requires_parts

    @property
    def has_generation_blocks(self) -> bool:
        """Whether it says what the model said, for masks."""
        return self.traits.has_generation_blocks
