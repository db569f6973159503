"""Every error that tokenfacade raises, in one tree.

::

    TokenFacadeError
    ├─ ConfigurationError (ValueError)           an option, or a combination of options, that can't be
    ├─ MissingDependencyError (ImportError)      an optional package is absent          .extra
    ├─ LoadError                                 a tokenizer could not be loaded        .source
    │  ├─ TokenizerNotFoundError (LookupError)   no such path, name or repository
    │  ├─ UnsupportedFormatError                 recognised, or not, but not readable
    │  ├─ CorruptTokenizerError                  the right format, damaged
    │  └─ HubError                               the Hub said no, or nothing            .kind
    ├─ EncodeError (ValueError)                  not a text
    ├─ DecodeError (ValueError)                  not a token id, or an unknown one      .token_id
    └─ ChatTemplateError                         messages could not become a prompt     .template
       ├─ NoChatTemplateError (LookupError)      the model has none, or none of this name
       ├─ TemplateSyntaxError (ValueError)       not a template                         .line
       ├─ TemplateRenderError (ValueError)       these messages and this template don't fit  .line .reason
       └─ TemplateLimitError                     too much output, or too long a time

Catch a family to catch all below it; the built-in in brackets works too. Every error pickles, so it can cross
processes, and none carries a credential. Match on classes and fields, never on the words of a message: they may change.
"""

from __future__ import annotations

from typing import Literal

HubErrorKind = Literal["unauthorized", "gated", "rate_limited", "timeout", "offline", "server"]
"""Why the Hub didn't answer with a file; see `HubError`."""

RenderFailure = Literal["raised", "undefined", "forbidden", "content", "other"]
"""Why a template failed; see `TemplateRenderError`."""


class TokenFacadeError(Exception):
    """Root of every error that tokenfacade raises.

    Example:
        >>> from tokenfacade import TokenFacadeError, create_tokenizer
        >>> try:
        ...     create_tokenizer("./no/such/folder")
        ... except TokenFacadeError as error:
        ...     print(type(error).__name__)
        TokenizerNotFoundError
    """


class ConfigurationError(TokenFacadeError, ValueError):
    """An option, or a combination of options, that can't be; the message names the option and what it takes."""


class MissingDependencyError(TokenFacadeError, ImportError):
    """An optional package is not installed.

    `extra` is the name in ``pip install "tokenfacade[extra]"``.
    """

    def __init__(self, message: str, *, extra: str | None = None) -> None:
        super().__init__(message)
        self.extra = extra


class LoadError(TokenFacadeError):
    """A tokenizer could not be loaded; `source` is what was asked for."""

    def __init__(self, message: str, *, source: str | None = None) -> None:
        super().__init__(message)
        self.source = source


class TokenizerNotFoundError(LoadError, LookupError):
    """No such path, name, revision or repository, or no tokenizer in it."""


class UnsupportedFormatError(LoadError):
    """The file is not a tokenizer, or one of a kind that can't be read; the message says which kind
    and what to pass."""


class CorruptTokenizerError(LoadError):
    """The file is of the right kind, but empty, cut off or contradictory."""


class HubError(LoadError):
    """The Hugging Face Hub, or the host of OpenAI's encodings, refused or didn't answer.

    `kind` says why: ``"unauthorized"`` (no token or a bad one), ``"gated"`` (the licence has not been accepted),
    ``"rate_limited"``, ``"timeout"``, ``"offline"`` (not allowed to ask, or nobody there) or ``"server"`` (any other
    failure of the
    server). A repository, revision or file that isn't there is a `TokenizerNotFoundError` instead.
    """

    def __init__(self, message: str, *, source: str | None = None, kind: HubErrorKind = "server") -> None:
        super().__init__(message, source=source)
        self.kind: HubErrorKind = kind


class EncodeError(TokenFacadeError, ValueError):
    """What was given to encode is not a text. Every `str` encodes, so this is never about the content of one."""


class DecodeError(TokenFacadeError, ValueError):
    """What was given to decode is not a token id, or, where ``errors="strict"``, not one of this vocabulary.

    `token_id` is the offender where it is known.
    """

    def __init__(self, message: str, *, token_id: int | None = None) -> None:
        super().__init__(message)
        self.token_id = token_id


class ChatTemplateError(TokenFacadeError):
    """Messages could not become a prompt; `template` is the name of the chat template, where it has one."""

    def __init__(self, message: str, *, template: str | None = None) -> None:
        super().__init__(message)
        self.template = template


class NoChatTemplateError(ChatTemplateError, LookupError):
    """The model has no chat template, or none of the name that was asked for; the message says what would work."""


class TemplateSyntaxError(ChatTemplateError, ValueError):
    """The text is not a Jinja template that this library knows how to render; `line` counts from 1."""

    def __init__(self, message: str, *, template: str | None = None, line: int | None = None) -> None:
        super().__init__(message, template=template)
        self.line = line


class TemplateRenderError(ChatTemplateError, ValueError):
    """The template failed on these messages; `line` is where, counted from 1, if that is known.

    `reason` says whose fault it is: ``"raised"`` (the template refused the messages by its own ``raise_exception``: the
    client's), ``"content"`` (the messages have a shape that no template takes: the client's), ``"undefined"`` (the
    template reads what isn't there), ``"forbidden"`` (the sandbox refused: a hostile template, or a broken one) or
    ``"other"``.
    """

    def __init__(
        self,
        message: str,
        *,
        template: str | None = None,
        line: int | None = None,
        reason: RenderFailure = "other",
    ) -> None:
        super().__init__(message, template=template)
        self.line = line
        self.reason: RenderFailure = reason


class TemplateLimitError(ChatTemplateError):
    """Rendering reached a limit: of characters, of steps, or of seconds. Nothing of it is kept."""
