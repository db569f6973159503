"""From a source to a tokenizer: which backend, and where its files are."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tokenfacade.detect import detect_format, looks_like_path
from tokenfacade.engine import checked_choice
from tokenfacade.errors import (
    ConfigurationError,
    CorruptTokenizerError,
    TokenizerNotFoundError,
    UnsupportedFormatError,
)

if TYPE_CHECKING:
    from tokenfacade.chat.discovery import ChatTemplateSource
    from tokenfacade.detect import FileFormat
    from tokenfacade.engine import EngineChoice
    from tokenfacade.protocols import Tokenizer

_SCHEME = re.compile(r"(file|tiktoken|hf|mock|grpc|[a-z]+\+https?):")


def create_tokenizer(
    source: str | os.PathLike[str],
    *,
    chat_template: ChatTemplateSource | None = None,
    revision: str | None = None,
    token: str | None = None,
    local_files_only: bool = False,
    engine: EngineChoice = "auto",
) -> Tokenizer:
    """Find out what a source is, and load its tokenizer.

    In this order: an explicit scheme (``file:PATH``, ``tiktoken:NAME``, ``hf:org/name@revision``, ``mock:``); an
    existing path; what looks like a path but isn't there, which is an error and never sent to the network; the name
    of an OpenAI model or encoding; a repository on the Hugging Face Hub. Files are recognised by content, whatever
    they are called.

    The Hub is asked only for what isn't in its cache; ``HF_TOKEN``, ``HF_ENDPOINT`` and ``HF_HUB_OFFLINE`` count as
    they are when this is called.

    Args:
        source: What to load.
        chat_template: A chat template in place of the model's own: its text, the path of a file, one of the names that
            the model has, the name of a format that is built in, or a `ChatTemplate`.
        revision: For the Hub: a branch, a tag, or a commit to pin; the commit that was used is part of the
            tokenizer's `source`.
        token: For the Hub: an access token. It is not kept.
        local_files_only: Whether to forbid the network.
        engine: ``"auto"`` encodes through the fast engine (extra ``fast``) where it is installed and was shown to give
            the same ids, and never waits for it, but a program that ends within two seconds after may take up to about
            one more to end; ``"fast"`` waits, and raises where it can't be; ``"reference"`` never loads it. See
            `Tokenizer.engine`.

    Raises:
        TokenizerNotFoundError: There is no such path, name, repository or revision, or no tokenizer in it.
        UnsupportedFormatError: It is not a tokenizer, or of a kind that can't be read.
        MissingDependencyError: It needs an extra that isn't installed.
        CorruptTokenizerError: A file is empty, cut off or contradictory.
        HubError: The Hub refused or didn't answer, and nothing is cached.
        ChatTemplateError: `chat_template` is no template.
        ConfigurationError: The source is not a string or path, `revision` is given for what isn't on the Hub, or
            ``engine="fast"`` for what has no fast engine.

    Example:
        >>> create_tokenizer("examples/tokenizer").backend
        'huggingface'
        >>> create_tokenizer("mock:").backend
        'mock'
    """
    options = _Options(revision, token, local_files_only, checked_choice(engine))
    return _load(source, options).with_chat_template(chat_template)


async def create_tokenizer_async(
    source: str | os.PathLike[str],
    *,
    chat_template: ChatTemplateSource | None = None,
    revision: str | None = None,
    token: str | None = None,
    local_files_only: bool = False,
    engine: EngineChoice = "auto",
) -> Tokenizer:
    """As `create_tokenizer`, in a thread: loading takes up to seconds, and the event loop goes on meanwhile.

    Cancelling the caller doesn't stop the load; it ends unseen.

    Raises:
        TokenFacadeError: As for `create_tokenizer`.

    Example:
        >>> import asyncio
        >>> asyncio.run(create_tokenizer_async("mock:")).backend
        'mock'
    """
    import asyncio

    return await asyncio.to_thread(
        create_tokenizer,
        source,
        chat_template=chat_template,
        revision=revision,
        token=token,
        local_files_only=local_files_only,
        engine=engine,
    )


@dataclass(frozen=True, slots=True)
class _Options:
    """What the caller said beside the source."""

    revision: str | None = None
    token: str | None = None
    local_files_only: bool = False
    engine: EngineChoice = "auto"


def _load(source: str | os.PathLike[str], options: _Options) -> Tokenizer:
    if isinstance(source, os.PathLike):
        _check_revision(source, options)
        return _from_path(_expanded(os.fsdecode(source)), None, options)
    if not isinstance(source, str) or not source:
        raise ConfigurationError(f"a source is a path, a name or a scheme like 'hf:org/name', not {source!r}")
    scheme = _SCHEME.match(source)
    if scheme:
        return _from_scheme(scheme[1], source[scheme.end() :], options)
    path = _expanded(source)
    if os.path.exists(path):  # unlike the method, False for what can't be a path at all
        _check_revision(source, options)
        return _from_path(path, None, options)
    if looks_like_path(source):
        raise TokenizerNotFoundError(
            f"there is no file or folder {source!r}; it looks like a path, so nothing was fetched", source=source
        )
    from tokenfacade.backends.tiktoken import TiktokenTokenizer
    from tokenfacade.backends.tiktoken_names import encoding_name_of

    encoding = encoding_name_of(source)
    if encoding is not None:
        _check_revision(source, options)
        return TiktokenTokenizer.from_encoding(
            encoding, local_files_only=options.local_files_only, engine=options.engine
        )
    return _from_hub(source, options)


def _check_revision(source: str | os.PathLike[str], options: _Options) -> None:
    if options.revision is not None:
        raise ConfigurationError(f"revision= is for the Hub, and {os.fsdecode(source)!r} is not on it")


def _expanded(path: str | Path) -> Path:
    try:
        return Path(os.path.expanduser(path))
    except ValueError:  # no name of a user can have a NUL or half a surrogate pair in it
        return Path(path)


def _from_scheme(scheme: str, rest: str, options: _Options) -> Tokenizer:
    if scheme != "hf":
        _check_revision(f"{scheme}:", options)
    if scheme == "file":
        location = _path_of_url(rest) if rest.startswith("//") else rest
        if not location:
            raise ConfigurationError("a source file: goes on with a path, as in 'file:models/tokenizer.json'")
        return _from_path(_expanded(location), None, options)
    if scheme == "tiktoken":
        from tokenfacade.backends.tiktoken import TiktokenTokenizer

        return TiktokenTokenizer.from_model_name(rest, local_files_only=options.local_files_only, engine=options.engine)
    if scheme == "hf":
        return _from_hub(rest, options)
    if scheme == "mock" and not rest:
        from tokenfacade.backends.mock import MockTokenizer

        _refuse_fast("mock:", options)
        return MockTokenizer()
    raise UnsupportedFormatError(
        f"there are no such {scheme}: sources; known are file:PATH, tiktoken:NAME, hf:org/name and mock: alone",
        source=f"{scheme}:",  # the rest may hold a password
    )


def _path_of_url(rest: str) -> str:
    """The path in a URL, after ``file:``."""
    from urllib.request import url2pathname

    return url2pathname(rest.removeprefix("//localhost").removeprefix("//"))


def _refuse_fast(source: str, options: _Options) -> None:
    if options.engine == "fast":
        raise ConfigurationError(f"{source} has one engine, and no fast one: leave engine= out")


def _from_hub(name: str, options: _Options) -> Tokenizer:
    from tokenfacade.hub import fetch_tokenizer_files

    repo_id, separator, named_revision = name.partition("@")
    revision = options.revision
    if separator and not named_revision:
        raise ConfigurationError(f"{name!r} ends where a revision should come")
    if revision is not None and not isinstance(revision, str):
        raise ConfigurationError(f"a revision is a branch, a tag or a commit as a string, not {revision!r}")
    if named_revision and revision and named_revision != revision:
        raise ConfigurationError(f"{name!r} names a revision, and revision={revision!r} another one")
    snapshot = fetch_tokenizer_files(
        repo_id,
        revision=named_revision or revision,
        token=options.token,
        local_files_only=options.local_files_only,
    )
    return _from_path(snapshot.folder, f"hf:{repo_id}@{snapshot.commit}", options)


def _from_path(path: Path, source: str | None, options: _Options) -> Tokenizer:
    """The tokenizer of an existing path; `source` is what its files stand for, if not themselves."""
    if not os.path.exists(path):
        raise TokenizerNotFoundError(f"there is no file or folder {str(path)!r}", source=str(path))
    return _from_folder(path, source, options) if path.is_dir() else _from_file(path, source, options)


def _from_folder(folder: Path, source: str | None, options: _Options) -> Tokenizer:
    from tokenfacade.backends.huggingface import HuggingFaceTokenizer

    if (folder / "tokenizer.json").is_file():
        return _from_file(folder / "tokenizer.json", source or str(folder.absolute()), options)
    if (folder / "vocab.json").is_file() and (folder / "merges.txt").is_file():
        return HuggingFaceTokenizer.from_file(folder, source=source, engine=options.engine)
    file = _file_in(folder)
    if file is None:
        raise TokenizerNotFoundError(
            f"there is no tokenizer in {folder}: no tokenizer.json, vocab.json with merges.txt, tokenizer.model, "
            f"*.tiktoken, tekken.json or *.gguf",
            source=source or str(folder),
        )
    return _from_file(file, source or str(folder.absolute()), options)


def _file_in(folder: Path) -> Path | None:
    """The file of the first kind that a folder holds; which of several, or none of them, is for its backend to say."""
    plain = folder / "tokenizer.model"
    if _holds(folder, "tekken*.json"):
        from tokenfacade.backends.tekken_files import find_tekken_file

        return find_tekken_file(folder)
    if plain.is_file() and detect_format(plain) != "tiktoken":
        return plain
    if plain.is_file() or _holds(folder, "tiktoken.model") or _holds(folder, "*.tiktoken"):
        from tokenfacade.backends.tiktoken_files import find_rank_file

        return find_rank_file(folder)
    if _holds(folder, "*.model"):
        from tokenfacade.backends.sentencepiece_files import find_model_file

        return find_model_file(folder)
    if _holds(folder, "*.gguf"):
        from tokenfacade.backends.gguf import find_gguf_file

        return find_gguf_file(folder)
    return None


def _holds(folder: Path, pattern: str) -> bool:
    return any(file.is_file() for file in folder.glob(pattern))


def _from_file(file: Path, source: str | None, options: _Options) -> Tokenizer:
    kind = detect_format(file)
    engine = options.engine
    if kind in ("huggingface", "json"):
        from tokenfacade.backends.huggingface import HuggingFaceTokenizer

        return HuggingFaceTokenizer.from_file(file, source=source, engine=engine)
    if kind == "tiktoken":
        from tokenfacade.backends.tiktoken import TiktokenTokenizer

        return TiktokenTokenizer.from_file(file, source=source, engine=engine)
    if kind == "tekken":
        from tokenfacade.backends.tekken import TekkenTokenizer

        return TekkenTokenizer.from_file(file, source=source, engine=engine)
    if kind == "gguf":
        from tokenfacade.backends.gguf import GGUFTokenizer

        return GGUFTokenizer.from_file(file, source=source, engine=engine)
    if kind == "sentencepiece":
        from tokenfacade.backends.sentencepiece import SentencePieceTokenizer

        _refuse_fast(str(file), options)
        return SentencePieceTokenizer.from_file(file, source=source)
    raise _unreadable(file, kind)


def _unreadable(file: Path, kind: FileFormat) -> Exception:
    if kind == "empty":
        return CorruptTokenizerError(f"{file} is empty: fetch it again", source=str(file))
    if kind == "lfs":
        return CorruptTokenizerError(
            f"{file} is a Git LFS pointer, not the file itself: run git lfs pull", source=str(file)
        )
    what = {"safetensors": "model weights (safetensors)", "archive": "an archive or pickle, as model weights are"}.get(
        kind
    )
    return UnsupportedFormatError(
        f"{file} is {what or 'not in any format of tokenizers that is known'}; pass the tokenizer's own file or its "
        f"folder: tokenizer.json, vocab.json with merges.txt, tokenizer.model, *.tiktoken, tekken.json or *.gguf",
        source=str(file),
    )
