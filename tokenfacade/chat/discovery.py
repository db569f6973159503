"""Which template belongs to a model, and which of those that it has to a conversation.

The order is that of transformers 5, found out by running it: ``chat_template.jinja`` and the files of
``additional_chat_templates`` together replace what ``tokenizer_config.json`` has. Only where none of them has a
template count the files that engines look at beside: ``chat_template.json``, then any other ``*.jinja``; and only where
there is no file at all, a prompt format that is code.
"""

from __future__ import annotations

import os
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from inspect import getattr_static
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

from tokenfacade.chat.arguments import merge_template_arguments
from tokenfacade.chat.shaping import ShapingRenderer
from tokenfacade.chat.template_files import (
    DEFAULT,
    LOOKED_FOR,
    TOOL_USE,
    has_template_syntax,
    templates_of_file,
    templates_of_folder,
)
from tokenfacade.detect import looks_like_path
from tokenfacade.errors import ConfigurationError, NoChatTemplateError

if TYPE_CHECKING:
    from tokenfacade.chat.renderer import ChatRenderer, Tools
    from tokenfacade.model_config import ModelConfig

    ChatTemplateSource = str | os.PathLike[str] | ChatRenderer
    """What stands for a template: a name, a template's text, a path, or a template or renderer itself."""

ContentShape = Literal["shape", "exact"]
"""Whether messages are adapted to what the template reads, or rendered as they are."""

_SUFFIXES = (".jinja2", ".j2", ".template", ".tmpl")


@dataclass(frozen=True, eq=False)
class ChatTemplates:
    """The chat templates of one model by name: most have one, called ``"default"``, and many have none.

    A template is compiled when it is first asked for, so a broken one doesn't keep a tokenizer from loading.

    Attributes:
        entries: The text of each template by name, or what renders in its place.
        special_tokens: The special tokens as templates see them.
        folder: Where they were looked for, if anywhere.
        is_override: Whether the caller chose them, and not the model.
        rendered: Kinds of chats that `encode_chat_async` has seen rendered. The first of a kind takes up to 70 ms: it
            imports Jinja, compiles, and works out the traits of the template.

    Example:
        >>> templates = ChatTemplates({"default": "{{ messages[0].content }}", "tool_use": "{{ tools }}"})
        >>> list(templates), "rag" in templates
        (['default', 'tool_use'], False)
        >>> templates.select(tools=[]) == templates["tool_use"]
        True
    """

    entries: Mapping[str, str | ChatRenderer] = field(default_factory=dict)
    special_tokens: Mapping[str, str] = field(default_factory=dict)
    folder: str | None = None
    is_override: bool = False
    rendered: set[Hashable] = field(default_factory=set, init=False, repr=False)
    _made: dict[str, ChatRenderer] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "entries", MappingProxyType(dict(self.entries)))
        object.__setattr__(self, "special_tokens", MappingProxyType(dict(self.special_tokens)))

    def __eq__(self, other: object) -> bool:
        return self.identity == other.identity if isinstance(other, ChatTemplates) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.identity)

    def __reduce__(self) -> tuple[type[ChatTemplates], tuple[object, ...]]:
        return ChatTemplates, (dict(self.entries), dict(self.special_tokens), self.folder, self.is_override)

    def __iter__(self) -> Iterator[str]:
        return iter(self.entries)

    def __len__(self) -> int:
        return len(self.entries)

    def __contains__(self, name: object) -> bool:
        return name in self.entries

    def __getitem__(self, name: str) -> ChatRenderer:
        """The template of that name.

        Raises:
            NoChatTemplateError: There is none of that name.
            TemplateSyntaxError: Its text is not a template.
        """
        found = self._made.get(name)
        if found is None:
            if name not in self.entries:
                raise self._unknown(name)
            entry = self.entries[name]
            found = self._made[name] = self._compiled(entry, name) if isinstance(entry, str) else entry
        return found

    @property
    def default(self) -> ChatRenderer | None:
        """The template that is used when the caller names none and has no tools; None if there is none.

        Raises:
            TemplateSyntaxError: Its text is not a template.
        """
        return self[DEFAULT] if DEFAULT in self.entries else None

    @property
    def identity(self) -> str:
        """Equal exactly when the renderings are: for fingerprints. Works for templates that don't compile, too."""
        return repr([(name, self._identity(self.entries[name])) for name in sorted(self.entries)])

    def select(self, chat_template: ChatTemplateSource | None = None, tools: object = None) -> ChatRenderer:
        """The template for one conversation.

        Args:
            chat_template: None for the model's own: ``"tool_use"`` if `tools` is not None and it has one, else
                ``"default"``. Or a name, the text of a template, the path of a file, or a template or renderer itself.
            tools: The tools of the conversation.

        Raises:
            NoChatTemplateError: There is none, none of that name, or no such file.
            TemplateSyntaxError: It is not a template.
            ConfigurationError: `chat_template` is none of these kinds.
        """
        if chat_template is None:
            return self._usual(tools)
        if isinstance(chat_template, str) and chat_template in self.entries:
            return self[chat_template]
        return self.replaced(chat_template)._usual(tools)

    def replaced(self, chat_template: ChatTemplateSource) -> ChatTemplates:
        """The templates when the caller chooses: as `select`, but nothing is compiled yet.

        Raises:
            NoChatTemplateError: There is none of that name, or no such file.
            TemplateSyntaxError: The file is not text.
            ConfigurationError: `chat_template` is of none of those kinds.
        """
        return replace(self, entries=self._chosen(chat_template), is_override=True)

    def renderer(
        self, chat_template: ChatTemplateSource | None, tools: Tools | None, content: ContentShape
    ) -> ChatRenderer:
        """What renders one conversation: as `select`, and with messages shaped first if `content` says so.

        Raises:
            ChatTemplateError: There is no such template.
            ConfigurationError: `content` is neither of its values.
        """
        if content not in ("shape", "exact"):
            raise ConfigurationError(f'content takes "shape" or "exact", not {content!r}')
        renderer = self.select(chat_template, tools)
        return ShapingRenderer(renderer) if content == "shape" else renderer

    def arguments(self, from_request: Mapping[str, Any] | None, own: Mapping[str, Any]) -> dict[str, Any]:
        """The variables that a template gets; see `merge_template_arguments`."""
        return merge_template_arguments(from_request, own)

    def checked(self) -> ChatTemplates:
        """Itself, when every template compiles.

        Raises:
            TemplateSyntaxError: One doesn't.
        """
        for name in self:
            self[name]
        return self

    def _usual(self, tools: object) -> ChatRenderer:
        if tools is not None and TOOL_USE in self.entries:
            return self[TOOL_USE]
        if DEFAULT in self.entries:
            return self[DEFAULT]
        if self.entries:
            raise NoChatTemplateError(
                f"the model has several chat templates and none of them is the default: pass chat_template= with one "
                f"of {', '.join(self)}"
            )
        raise NoChatTemplateError(
            f"there is no chat template: {self._searched()}. Pass chat_template= with a template's text, the path of a "
            f"file, or a prompt format that is built in ({', '.join(_renderer_names())})"
        )

    def _searched(self) -> str:
        return f"no {LOOKED_FOR} in {self.folder}" if self.folder else "this tokenizer came without a folder of files"

    def _chosen(self, chat_template: ChatTemplateSource) -> Mapping[str, str | ChatRenderer]:
        if isinstance(chat_template, os.PathLike):
            return templates_of_file(Path(os.fsdecode(chat_template)))
        if not isinstance(chat_template, str):
            return {DEFAULT: self._adopted(chat_template)}
        if chat_template in self.entries:
            return {DEFAULT: self.entries[chat_template]}
        if has_template_syntax(chat_template):
            return {DEFAULT: chat_template}
        if (renderer := _renderer_named(chat_template)) is not None:
            return {DEFAULT: renderer}
        if os.path.isfile(chat_template) or looks_like_path(chat_template) or chat_template.endswith(_SUFFIXES):
            return templates_of_file(Path(os.path.expanduser(chat_template)))
        raise self._unknown(chat_template)

    def _unknown(self, name: str) -> NoChatTemplateError:
        own = f"the model has {', '.join(self)}" if self.entries else f"the model has none: {self._searched()}"
        return NoChatTemplateError(
            f"there is no chat template {name!r:.80} ({own}). Pass one of its names, a prompt format that is built in "
            f"({', '.join(_renderer_names())}), the path of a file, or a template's text, with {{{{ or {{% in it",
            template=name,
        )

    def _compiled(self, text: str, name: str) -> ChatRenderer:
        from tokenfacade.chat.template import ChatTemplate

        return ChatTemplate(text, special_tokens=self.special_tokens, name=name)

    def _adopted(self, renderer: ChatRenderer) -> ChatRenderer:
        """The renderer; a template that has no special tokens of its own gets those of the model."""
        from tokenfacade.chat.template import ChatTemplate

        members = ("render", "render_traced", "traits", "identity")
        # Statically, because to work out the traits of a template takes some 30 ms.
        if isinstance(renderer, type) or not all(getattr_static(renderer, name, None) for name in members):
            raise ConfigurationError(
                f"chat_template takes a name, a template's text, a path, or a ChatTemplate, not {renderer!r:.80}"
            )
        if isinstance(renderer, ChatTemplate) and not renderer.special_tokens and self.special_tokens:
            return renderer.with_special_tokens(self.special_tokens)
        return renderer

    def _identity(self, entry: str | ChatRenderer) -> str:
        # Not that of a ChatTemplate, although the same: a broken one has a fingerprint as well.
        return repr((entry, sorted(self.special_tokens.items()))) if isinstance(entry, str) else entry.identity


def find_chat_templates(folder: Path, config: ModelConfig) -> ChatTemplates:
    """The templates of a model folder; if it has none, and its prompt format is built in, that.

    Raises:
        CorruptTokenizerError: A file should hold templates, and holds something else.

    Example:
        >>> from tokenfacade.model_config import read_model_config
        >>> folder = Path("examples/tokenizer")
        >>> list(find_chat_templates(folder, read_model_config(folder)))
        ['default']
    """
    entries: dict[str, str | ChatRenderer] = {**templates_of_folder(folder, config)}
    if not entries and (renderer := _renderer_of(config)) is not None:
        entries = {DEFAULT: renderer}
    return ChatTemplates(entries, config.special_tokens({}).variables, str(folder))


def _renderer_of(config: ModelConfig) -> ChatRenderer | None:
    from tokenfacade.chat.renderers import renderer_for

    return renderer_for(config.model) if config.model else None


def _renderer_names() -> tuple[str, ...]:
    from tokenfacade.chat.renderers import renderer_names

    return renderer_names()


def _renderer_named(name: str) -> ChatRenderer | None:
    from tokenfacade.chat.renderers import renderer_named

    return renderer_named(name)
