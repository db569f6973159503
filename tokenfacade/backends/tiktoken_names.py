"""OpenAI's names: from a model to its encoding, and from an encoding to its file."""

from __future__ import annotations

import hashlib
import os
import tempfile
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import tiktoken
from tiktoken.model import MODEL_PREFIX_TO_ENCODING, MODEL_TO_ENCODING

from tokenfacade.backends.tiktoken_families import FAMILIES, RANK_FILES
from tokenfacade.backends.tiktoken_files import make_encoding, read_bytes, read_ranks
from tokenfacade.errors import CorruptTokenizerError, HubError, TokenizerNotFoundError

if TYPE_CHECKING:
    from tokenfacade.backends.tiktoken_families import RankFile
    from tokenfacade.errors import HubErrorKind

_PROVIDERS = ("openai/", "azure/")


def encoding_name_of(name: str) -> str | None:
    """The encoding of a model or encoding name, by tiktoken's own tables; None for one that they don't have.

    Fine-tunes are looked up by the model they were made of, in both spellings (``ft:gpt-4o:org::id``,
    ``davinci:ft-org-date``): tiktoken's own prefix ``ft:gpt-4`` would fit ``ft:gpt-4.1`` as well.

    Example:
        >>> encoding_name_of("openai/gpt-4o-mini"), encoding_name_of("ft:gpt-4.1-nano:org::id")
        ('o200k_base', 'o200k_base')
        >>> encoding_name_of("my-gpt-4")
    """
    if name in tiktoken.list_encoding_names():
        return name
    for provider in _PROVIDERS:
        name = name.removeprefix(provider)
    if name.startswith("ft:"):
        base = name.split(":")[1]
        return _lookup(base) or MODEL_PREFIX_TO_ENCODING.get(f"ft:{base}")
    return _lookup(name.partition(":ft-")[0])


def _lookup(model: str) -> str | None:
    if model in MODEL_TO_ENCODING:
        return MODEL_TO_ENCODING[model]
    prefixes = [prefix for prefix in MODEL_PREFIX_TO_ENCODING if model.startswith(prefix)]
    return MODEL_PREFIX_TO_ENCODING[max(prefixes, key=len)] if prefixes else None


def load_encoding(name: str, *, local_files_only: bool) -> tiktoken.Encoding:
    """The encoding of that name.

    Raises:
        TokenizerNotFoundError: There is none.
        HubError: Its file is not here, and can't be fetched or mustn't.
        CorruptTokenizerError: The file here is not what OpenAI published.
    """
    if name not in tiktoken.list_encoding_names():
        known = ", ".join(sorted(tiktoken.list_encoding_names()))
        raise TokenizerNotFoundError(f"tiktoken has no encoding {name!r}; it has {known}", source=name)
    published = RANK_FILES.get(name)
    file = _local_file(name, published) if published else None
    if file is not None:
        return _from_published_file(name, file)
    if published and local_files_only:
        raise HubError(f"{_advice(name)}, and local_files_only forbids to fetch it", source=name, kind="offline")
    try:
        return tiktoken.get_encoding(name)
    except Exception as error:  # whatever its HTTP client raises
        raise _download_error(name, error) from error


def _download_error(name: str, error: Exception) -> HubError:
    """The failure as a router sees it: worth another try or not. Exceptions of HTTP clients are told by their names."""
    names = " ".join(kind.__name__ for kind in type(error).__mro__)
    kind: HubErrorKind = "timeout" if "Timeout" in names else "offline" if "ConnectionError" in names else "server"
    reason = type(error).__name__ if kind != "server" else f"{type(error).__name__}: {error}"
    return HubError(f"{_advice(name)}, and can't be downloaded ({reason})", source=name, kind=kind)


def _cache_folder() -> Path | None:
    """The folder that tiktoken itself would use; None if caching is switched off."""
    folder = os.environ.get("TIKTOKEN_CACHE_DIR", os.environ.get("DATA_GYM_CACHE_DIR"))
    if folder is None:
        return Path(tempfile.gettempdir()) / "data-gym-cache"
    return Path(folder) if folder else None


def _local_file(name: str, published: RankFile) -> Path | None:
    """The file of an encoding in that folder. One under a natural name was put there by hand, and must be right; what
    tiktoken stored, and is damaged, it fetches anew."""
    folder = _cache_folder()
    if folder is None:
        return None
    for file in (folder / f"{name}.tiktoken", folder / published.name):
        if os.path.isfile(file):
            if _is_published(file, published):
                return file
            raise CorruptTokenizerError(
                f"{file} is not the file that OpenAI published as {published.name} (sha256 {published.sha256}): fetch "
                f"it again, or remove it",
                source=name,
            )
    stored = folder / published.cache_name
    return stored if os.path.isfile(stored) and _is_published(stored, published) else None


@lru_cache(maxsize=16)
def _from_published_file(name: str, file: Path) -> tiktoken.Encoding:
    """Kept, as tiktoken keeps its encodings: what OpenAI published never changes."""
    ranks = read_ranks(file)
    return make_encoding(file, FAMILIES[name].pattern, ranks, FAMILIES[name].special_tokens(len(ranks), {}))


def _is_published(file: Path, published: RankFile) -> bool:
    return hashlib.sha256(read_bytes(file)).hexdigest() == published.sha256


def _advice(name: str) -> str:
    published = RANK_FILES.get(name)
    if published is None:
        return f"the files of the encoding {name!r} can't be had from its plugin"
    return (
        f"the ranks of {name!r} are not on this machine (to provide them, put {published.name} into a folder and set "
        f"TIKTOKEN_CACHE_DIR to it)"
    )
