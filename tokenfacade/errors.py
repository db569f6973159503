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
    └─ DecodeError (ValueError)                  not a token id, or an unknown one      .token_id

Catch a family to catch all below it; the built-in in brackets works too. Every error pickles, so it can cross
processes, and none carries a credential. Match on classes and fields, never on the words of a message: they may change.
"""

from __future__ import annotations

from typing import Literal

HubErrorKind = Literal["unauthorized", "gated", "rate_limited", "timeout", "offline", "server"]
"""Why the Hub didn't answer with a file; see `HubError`."""


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
