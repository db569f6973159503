"""Tokenizer files, never weights, from the Hugging Face Hub: the cache first, the network only for what it lacks.

A load has three ways to end. The cache is complete: no request is made. It isn't: one request lists the repository, and
the client fetches what is missing, pinned to the commit of that listing. The Hub has a bad day: the copy in the cache
is used, with a warning. The environment is read in each call, so that a variable set after the import counts.
"""

from __future__ import annotations

import logging
import os
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from tokenfacade.errors import (
    ConfigurationError,
    HubError,
    HubErrorKind,
    LoadError,
    TokenizerNotFoundError,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

_SIDECARS = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "config.json",
    "generation_config.json",
    "chat_template.jinja",
)
"""A cache is complete when it knows of each of these whether it exists."""

_MODELS = ("tokenizer.model", "spiece.model", "spm.model", "sentencepiece.bpe.model", "sentencepiece.model")
_VOCABULARIES = ("tokenizer.json", *_MODELS, "tiktoken.model", "*.tiktoken", "tekken.json", "vocab.txt")
"""Each is a vocabulary by itself. (``*.model`` could also be weights.)"""

_SPLIT_VOCABULARY = frozenset({"vocab.json", "merges.txt"})
"""Only together are these one."""

_LOOKED_FOR = ", ".join((*_VOCABULARIES, "vocab.json with merges.txt"))
_TEMPLATES = ("chat_template.json", "*.jinja", "additional_chat_templates/*.jinja")
_WANTED = (*_SIDECARS, *_VOCABULARIES, *sorted(_SPLIT_VOCABULARY), *_TEMPLATES)
"""Nothing else is ever downloaded."""

_TRANSIENT: frozenset[HubErrorKind] = frozenset({"rate_limited", "timeout", "offline", "server"})
"""Says something about the moment, not about the repository, so that a cached copy is as good as it was."""

_EXPLANATIONS: Mapping[HubErrorKind, str] = MappingProxyType(
    {
        "gated": "Access to {name} is restricted: accept its conditions on its page at {host}, and pass a token of that"
        " account that may read gated repositories (token= or HF_TOKEN).",
        "unauthorized": "{host} answered 401 for {name}: either there is no such repository (check the name), or it is"
        " private and the token is missing or not valid (pass token= or set HF_TOKEN).",
        "rate_limited": "{host} answered 429, too many requests, for {name}: wait a few minutes, send a token for a"
        " higher limit, or set HF_HUB_OFFLINE=1 to use only the cache.",
        "timeout": "{host} didn't answer for {name} within {seconds} s: check the network and the proxy, or set"
        " HF_HUB_ETAG_TIMEOUT to more seconds.",
        "offline": "{host} could not be reached for {name}: check the network, the proxy and HF_ENDPOINT, and that"
        " HF_HUB_OFFLINE was not set when huggingface_hub was imported.",
        "server": "{host} {answer} for {name}: try again later, and check HF_ENDPOINT.",
    }
)
"""What happened, and what to do."""

_TRUE = frozenset({"1", "ON", "YES", "TRUE"})
_TIMEOUT_SECONDS = 5

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class HubSnapshot:
    """Tokenizer files of one commit on disk.

    `commit` is the 40-digit commit, whatever revision was asked for: load by it again and get the same files.
    `folder` belongs to the cache of ``huggingface_hub``, so read it and leave it as it is.

    Example:
        >>> from pathlib import Path
        >>> from tokenfacade.hub import HubSnapshot
        >>> HubSnapshot(repo_id="org/name", commit="0" * 40, folder=Path("snapshots") / ("0" * 40)).repo_id
        'org/name'
    """

    repo_id: str
    commit: str
    folder: Path


def fetch_tokenizer_files(
    repo_id: str, *, revision: str | None = None, token: str | None = None, local_files_only: bool = False
) -> HubSnapshot:
    """Fetch the tokenizer files of a repository, or find them in the cache.

    A branch is not followed: once its files are complete in the cache they are used without asking whether it has
    moved. Pass a commit to pin what you get.

    `revision` is a branch, a tag or a commit (default ``"main"``). `token` wins over ``HF_TOKEN``.
    ``HF_HUB_OFFLINE``, ``TRANSFORMERS_OFFLINE``, ``HF_ENDPOINT``, ``HF_HUB_CACHE``, ``HF_HOME`` and
    ``HF_HUB_ETAG_TIMEOUT`` (seconds without an answer, default 5) are read in this call. An ``HF_HUB_OFFLINE`` that was
    set when ``huggingface_hub`` was first imported stays set for it.

    The listing and the questions after absent files, which come first, are not retried, except that old clients retry
    the latter after a 429. A download is the client's own: it retries a few times with back-off, and waits as long as a
    ``Retry-After`` says. The client may also ask its default endpoint for a list of agents, once a day and without a
    token; ``HF_HUB_DISABLE_TELEMETRY=1`` before its import turns that off.

    Raises:
        TokenizerNotFoundError: no such repository or revision, no tokenizer file in it, or not an id at all.
        HubError: the Hub refused or didn't answer, or it may not be asked and the cache has no vocabulary.
        LoadError: the cache folder can't be written to.
        ConfigurationError: ``HF_HUB_ETAG_TIMEOUT`` is not a number of seconds.

    Example:
        >>> from tokenfacade.hub import fetch_tokenizer_files
        >>> fetch_tokenizer_files("openai-community/gpt2").folder.joinpath("tokenizer.json").exists()  # doctest: +SKIP
        True
    """
    query = _Query(repo_id, _checked_revision(repo_id, revision or "main"), _checked_token(repo_id, token))
    cached = _cached_snapshot(query)
    if local_files_only or _is_offline():
        if cached is None:
            raise _missing_offline(query)
        return cached
    if cached is not None and _is_complete(query, cached.commit):
        return cached
    try:
        return _fetch(query)
    except HubError as failure:
        if cached is None or failure.kind not in _TRANSIENT:
            raise
        _log.warning("%s Using the copy in the cache, commit %s, which may lack files.", failure, cached.commit)
        return cached


# What the caller and the environment ask for


def _environment(*names: str, default: str = "") -> str:
    """The first of these variables that is set and not empty."""
    return next((value for name in names if (value := os.environ.get(name))), default)


def _is_offline() -> bool:
    return _environment("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE").upper() in _TRUE


def _endpoint() -> str:
    return _environment("HF_ENDPOINT", default="https://huggingface.co").rstrip("/")


def _cache_folder() -> Path:
    home = _environment("HF_HOME") or os.path.join(_environment("XDG_CACHE_HOME", default="~/.cache"), "huggingface")
    folder = _environment("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE") or os.path.join(home, "hub")
    return Path(os.path.expandvars(os.path.expanduser(folder)))


def _timeout_seconds() -> int:
    text = _environment("HF_HUB_ETAG_TIMEOUT")
    if text and not text.isdecimal():
        raise ConfigurationError(f"HF_HUB_ETAG_TIMEOUT is {text!r}; it takes a whole number of seconds.")
    return int(text or 0) or _TIMEOUT_SECONDS


def _checked_revision(repo_id: str, revision: str) -> str:
    """Refused if it would lead out of the cache's folder of branches, or the request to another address."""
    if not {"", ".", ".."}.isdisjoint(revision.replace("\\", "/").split("/")):
        message = f"{revision!r} of {repo_id!r} is not a revision: write a branch, a tag or a commit."
        raise TokenizerNotFoundError(message, source=repo_id)
    return revision


def _checked_token(repo_id: str, token: str | None) -> str | None:
    """The token argument, or None for the client to use its own; refused if an HTTP library would quote it."""
    given = (token or "").strip()
    secret = given or _environment("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN").strip()
    if not (secret.isascii() and secret.isprintable()):
        message = f"The token for {repo_id!r} has characters that no token has: copy it again (token= or HF_TOKEN)."
        raise HubError(message, source=repo_id, kind="unauthorized")
    return given or None


@dataclass(frozen=True, slots=True)
class _Query:
    """One call's question, with the environment as it was when the call began."""

    repo_id: str
    revision: str
    token: str | None = field(repr=False)
    endpoint: str = field(default_factory=_endpoint, repr=False)
    cache_folder: Path = field(default_factory=_cache_folder)
    timeout: int = field(default_factory=_timeout_seconds)

    @property
    def name(self) -> str:
        return f"{self.repo_id!r} (revision {self.revision!r})"

    @property
    def host(self) -> str:
        """Who is asked; without the name and password that a mirror's endpoint may hold."""
        return self.endpoint.rpartition("@")[2].removeprefix("https://").removeprefix("http://") or "the Hub"


def _matches(name: str, patterns: Collection[str]) -> bool:
    """Whether a pattern fits; a star stays inside its folder, unlike fnmatch's own."""
    return any(name.count("/") == pattern.count("/") and fnmatchcase(name, pattern) for pattern in patterns)


def _has_vocabulary(names: Collection[str]) -> bool:
    return _SPLIT_VOCABULARY.issubset(names) or any(_matches(name, _VOCABULARIES) for name in names)


def _download_order(name: str) -> tuple[bool, str]:
    """Vocabularies last: a load cut short then doesn't look complete, and one that succeeds ends with one."""
    return name in _SPLIT_VOCABULARY or _matches(name, _VOCABULARIES), name


# The cache


def _cached_snapshot(query: _Query) -> HubSnapshot | None:
    """What the cache has for the revision, if that includes a vocabulary; branches go through the cache's refs."""
    from huggingface_hub import snapshot_download

    with _translated(query):
        try:
            # The empty list keeps newer clients from minding files, such as weights, that nobody asked for.
            found = snapshot_download(
                query.repo_id,
                revision=query.revision,
                cache_dir=query.cache_folder,
                local_files_only=True,
                allow_patterns=[],
            )
            names = [path.name for path in Path(found).iterdir() if path.is_file()]
        except OSError:  # not there, or damaged
            return None
    return HubSnapshot(query.repo_id, Path(found).name, Path(found)) if _has_vocabulary(names) else None


def _is_known(query: _Query, name: str, commit: str) -> bool:
    """Whether the cache has the file, or the client's note that there is none."""
    from huggingface_hub import try_to_load_from_cache

    with _translated(query):
        cached = try_to_load_from_cache(query.repo_id, name, cache_dir=query.cache_folder, revision=commit)
    return cached is not None


def _is_complete(query: _Query, commit: str) -> bool:
    return all(_is_known(query, name, commit) for name in _SIDECARS)


# The network


def _fetch(query: _Query) -> HubSnapshot:
    """List, then complete the cache for the commit of the listing."""
    commit, names = _listing(query)
    if not _has_vocabulary(names):
        message = f"{query.name} has none of {_LOOKED_FOR}. Load from the repository of the base model."
        raise TokenizerNotFoundError(message, source=query.repo_id)
    # Absent ones first: asking for them is never retried, so a Hub that answers no more is found out at once.
    for name in _SIDECARS:
        if name not in names and not _is_known(query, name, commit):
            _note_absence(query, name, commit)
    wanted = sorted((name for name in names if _matches(name, _WANTED)), key=_download_order)
    paths = [_download(query, name, revision=commit) for name in wanted]
    _note_commit(query, wanted[0], commit)
    return HubSnapshot(query.repo_id, commit, paths[-1].parent)


def _listing(query: _Query) -> tuple[str, frozenset[str]]:
    """The commit of the revision and its file names, in one request."""
    from huggingface_hub import HfApi

    with _translated(query):
        api = HfApi(endpoint=query.endpoint, token=query.token)
        info = api.model_info(query.repo_id, revision=query.revision, timeout=query.timeout)
        if info.sha is None:
            raise ValueError("a listing without a commit")
        return info.sha, frozenset(sibling.rfilename for sibling in info.siblings or ())


def _download(query: _Query, name: str, *, revision: str, force: bool = False) -> Path:
    from huggingface_hub import hf_hub_download

    with _translated(query):
        path = hf_hub_download(
            query.repo_id,
            name,
            revision=revision,
            cache_dir=query.cache_folder,
            etag_timeout=query.timeout,
            token=query.token,
            endpoint=query.endpoint,
            force_download=force,
        )
        return Path(path)


def _note_absence(query: _Query, name: str, commit: str) -> None:
    """Have the client write its own marker, so that no later load asks for this file."""
    with suppress(TokenizerNotFoundError):
        # Forced, because only then does the client give up at the first failure.
        _download(query, name, revision=commit, force=True)


def _note_commit(query: _Query, name: str, commit: str) -> None:
    """Have the client write which commit the branch stands for; it does so only when asked by the branch's name."""
    noted = _cached_snapshot(query)
    if noted is None or noted.commit != commit:
        # All files are there by now: without the note, the next load makes a request again, and that is all.
        with suppress(LoadError):
            _download(query, name, revision=query.revision)


# Errors


@contextmanager
def _translated(query: _Query) -> Iterator[None]:
    """Turn whatever the client raises into an error of ours."""
    try:
        yield
    except Exception as error:
        raise _translate(error, query) from error


def _translate(error: Exception, query: _Query) -> LoadError:
    """The most specific of our errors; of the client's message nothing is quoted, as it may hold a secret."""
    # By name, because the client has changed its HTTP library twice, and its errors' family with it.
    causes = list(_causes(error))
    families = {family.__name__ for cause in causes for family in type(cause).__mro__}
    status = next((code for cause in causes if (code := _status_code(cause))), None)
    if "HFValidationError" in families:
        message = f"{query.repo_id!r} is not a repository id: write 'organization/name', or the path of a local folder."
        return TokenizerNotFoundError(message, source=query.repo_id)
    if status == 404:
        what = "revision" if "RevisionNotFoundError" in families else "repository"
        message = f"{query.host} has no such {what}: {query.name}. Check its spelling; a private one needs a token."
        return TokenizerNotFoundError(message, source=query.repo_id)
    kind = _kind(families, status)
    if kind == "server" and isinstance(error, OSError) and error.errno is not None:
        return _unwritable(query, error)
    answer = f"answered {status}" if status else f"gave no usable answer ({type(causes[-1]).__name__})"
    message = _EXPLANATIONS[kind].format(name=query.name, host=query.host, seconds=query.timeout, answer=answer)
    return HubError(message, source=query.repo_id, kind=kind)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and what it was raised from; the client wraps the telling one."""
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__


def _status_code(error: BaseException) -> int | None:
    code = getattr(getattr(error, "response", None), "status_code", None)
    return code if isinstance(code, int) else None


def _kind(families: Collection[str], status: int | None) -> HubErrorKind:
    if status == 403 or "GatedRepoError" in families:  # before 401, which a gated repository answers as well
        return "gated"
    if status == 401:
        return "unauthorized"
    if status == 429:
        return "rate_limited"
    if status == 408 or not {"TimeoutException", "Timeout", "TimeoutError"}.isdisjoint(families):
        return "timeout"
    if not {"ConnectionError", "NetworkError", "ProxyError"}.isdisjoint(families):
        return "offline"
    return "server"


def _missing_offline(query: _Query) -> HubError:
    message = (
        f"{query.name} is not in the cache, and the Hub may not be asked (local_files_only=True or HF_HUB_OFFLINE)."
        f" Looked in {query.cache_folder} for one of {_LOOKED_FOR}. Load it once with the network, or point"
        " HF_HUB_CACHE to where it is."
    )
    return HubError(message, source=query.repo_id, kind="offline")


def _unwritable(query: _Query, error: OSError) -> LoadError:
    message = (
        f"Could not store {query.name} in {query.cache_folder}: {error.strerror}. Make room or set HF_HUB_CACHE to a"
        " folder that can be written to."
    )
    return LoadError(message, source=query.repo_id)
