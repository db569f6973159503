"""A renderer that shapes messages first, and tells a client's fault from a template's."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from tokenfacade.chat.content import shape_messages
from tokenfacade.chat.messages import ordinary_messages
from tokenfacade.chat.renderer import ChatRenderer
from tokenfacade.errors import TemplateRenderError

if TYPE_CHECKING:
    from tokenfacade.chat.inspect import TemplateTraits
    from tokenfacade.chat.renderer import Messages, RenderedChat

_Result = TypeVar("_Result")


class ShapingRenderer(ChatRenderer):
    """Renders as another renderer does, with messages shaped to what that one reads; see `shape_messages`.

    Many templates fail on a message without content, as clients send it with tool calls. Where one does, the message
    gets an empty content. If a template fails all the same, on messages that have something unusual, the error has the
    reason ``"content"``.
    """

    __slots__ = ("_renderer",)

    def __init__(self, renderer: ChatRenderer) -> None:
        self._renderer = renderer

    @property
    def traits(self) -> TemplateTraits:
        """What the renderer expects."""
        return self._renderer.traits

    @property
    def identity(self) -> str:
        """That of the renderer."""
        return self._renderer.identity

    def render(self, messages: Messages, **options: Any) -> str:
        """The prompt; see `ChatRenderer.render`."""
        shaped = shape_messages(ordinary_messages(messages) or messages, self._renderer.traits)
        try:
            return self._renderer.render(shaped, **options)
        except TemplateRenderError as error:
            return self._again(self._renderer.render, shaped, options, error)

    def render_traced(self, messages: Messages, **options: Any) -> RenderedChat:
        """The prompt, and where its characters came from; see `ChatRenderer.render_traced`."""
        shaped = shape_messages(ordinary_messages(messages) or messages, self._renderer.traits)
        try:
            return self._renderer.render_traced(shaped, **options)
        except TemplateRenderError as error:
            return self._again(self._renderer.render_traced, shaped, options, error)

    def _again(
        self,
        render: Callable[..., _Result],
        messages: Messages,
        options: Mapping[str, Any],
        failure: TemplateRenderError,
    ) -> _Result:
        """Render messages with contents in place of absent ones, or say whose fault the failure is."""
        if failure.reason not in ("undefined", "other"):
            raise failure
        empty: object = [] if self.traits.requires_parts else ""
        filled = [{**message, "content": empty} if message.get("content") is None else message for message in messages]
        if filled != messages:
            try:
                return render(filled, **options)
            except TemplateRenderError:
                pass  # It wasn't that: the first failure tells more.
        fault = _unusual(filled)
        if fault is None:
            raise failure
        raise TemplateRenderError(
            f"{failure} ({fault})", template=failure.template, line=failure.line, reason="content"
        ) from failure


def _unusual(messages: Messages) -> str | None:
    """What about the messages may have made a template fail, if anything."""
    for at, message in enumerate(messages):
        if not isinstance(message.get("role"), str):
            return f"message {at} has no role that is text"
        if not isinstance(message.get("content"), str | list | tuple):
            return f"message {at} has no content that is text or a list of parts"
        if not _are_calls(message.get("tool_calls")):
            return f"message {at} has tool_calls that aren't a list of functions with a name and arguments"
    return None


def _are_calls(calls: object) -> bool:
    if calls is None:
        return True
    return isinstance(calls, list | tuple) and all(_is_function(call) for call in calls)


def _is_function(call: object) -> bool:
    function = call.get("function", call) if isinstance(call, Mapping) else None
    return isinstance(function, Mapping) and "name" in function and "arguments" in function
