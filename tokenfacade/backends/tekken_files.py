"""Tekken files: finding, reading and checking them.

The rules are those of mistral-common 1.13. What a file says about images, audio and the settings of models is not read:
it changes no id.
"""

from __future__ import annotations

import os
import re
from binascii import a2b_base64
from dataclasses import dataclass
from itertools import islice
from operator import itemgetter
from typing import TYPE_CHECKING, Any, TypeVar

from tokenfacade.errors import ConfigurationError, CorruptTokenizerError, TokenizerNotFoundError, UnsupportedFormatError
from tokenfacade.model_config import read_json

if TYPE_CHECKING:
    from pathlib import Path

VERSIONS = ("v1", "v2", "v3", "v7", "v11", "v13", "v15")
"""They differ in how chats are written, and not in how texts are encoded."""

VERSIONS_WITH_DEFAULTS = ("v1", "v2", "v3", "v7")
"""Their files needn't list the special tokens."""

DEFAULT_SPECIAL_TOKENS = (
    *("<unk>", "<s>", "</s>", "[INST]", "[/INST]", "[AVAILABLE_TOOLS]", "[/AVAILABLE_TOOLS]", "[TOOL_RESULTS]"),
    *("[/TOOL_RESULTS]", "[TOOL_CALLS]", "[IMG]", "<pad>", "[IMG_BREAK]", "[IMG_END]", "[PREFIX]", "[MIDDLE]"),
    *("[SUFFIX]", "[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]", "[TOOL_CONTENT]"),
)

MOST_SPECIAL_TOKENS = 10_000
"""Every file so far has 1,000; for more than this many tiktoken needs too long a time."""

_BASE64 = re.compile(r"[A-Za-z0-9+/=]*")
_Kind = TypeVar("_Kind")


@dataclass(frozen=True, slots=True)
class TekkenVocabulary:
    """What a file says about ids: the special tokens come first, then the tokens by rank.

    Attributes:
        pattern: The regular expression that splits a text into pieces.
        special_tokens: The special tokens by id, with what fills the unused ids (``<SPECIAL_20>``).
        ids: Every other token by its bytes, in the order of ids.
    """

    pattern: str
    special_tokens: tuple[str, ...]
    ids: dict[bytes, int]


def find_tekken_file(path: Path) -> Path:
    """The file itself, or that of a folder: ``tekken.json``, else the one ``tekken*.json``.

    Raises:
        TokenizerNotFoundError: There is none.
        ConfigurationError: There are several, and none has the plain name.
    """
    if os.path.isfile(path):  # unlike the method, False for what can't be a path at all
        return path
    if not os.path.isdir(path):
        raise TokenizerNotFoundError(f"there is no file {path}", source=str(path))
    found = sorted(file for file in path.glob("tekken*.json") if file.is_file())
    plain = [file for file in found if file.name == "tekken.json"]
    if not found:
        raise TokenizerNotFoundError(f"there is no tekken.json in {path}", source=str(path))
    if len(found) > 1 and not plain:
        names = ", ".join(file.name for file in found)
        raise ConfigurationError(f"{path} holds several Tekken vocabularies ({names}): pass the path of one")
    return (plain or found)[0]


def read_vocabulary(file: Path) -> TekkenVocabulary:
    """The vocabulary in a file, cut to the size that its config says.

    Raises:
        UnsupportedFormatError: It is of a version that is not known.
        CorruptTokenizerError: It is not JSON, something is missing or of a wrong type, or numbers contradict each
            other.
    """
    content = read_json(file)
    config = _member(file, content, "config", dict)
    version = _member(file, config, "version", str)
    if version not in VERSIONS:
        raise UnsupportedFormatError(
            f"{file} is a Tekken vocabulary of version {version!r:.40}; known are {', '.join(VERSIONS)}",
            source=str(file),
        )
    n_special = _member(file, config, "default_num_special_tokens", int)
    n_tokens = _member(file, config, "default_vocab_size", int) - n_special
    entries = _member(file, content, "vocab", list)
    if not 0 <= n_special <= MOST_SPECIAL_TOKENS:
        raise _corrupt(file, f"should have 0 to {MOST_SPECIAL_TOKENS} special tokens, not {n_special}")
    if not 256 <= n_tokens <= len(entries):
        raise _corrupt(file, f"should have 256 to {len(entries)} other tokens, as it lists them, not {n_tokens}")
    return TekkenVocabulary(
        pattern=_member(file, config, "pattern", str),
        special_tokens=_special_tokens(file, content, version, n_special),
        ids=_ids(file, entries[:n_tokens], n_special),
    )


def _special_tokens(file: Path, content: dict[str, Any], version: str, count: int) -> tuple[str, ...]:
    if content.get("special_tokens") is not None:
        tokens = _listed_special_tokens(file, _member(file, content, "special_tokens", list))
    elif version in VERSIONS_WITH_DEFAULTS:
        tokens = list(DEFAULT_SPECIAL_TOKENS)
    else:
        raise _corrupt(file, f"should list its special tokens, as version {version} does")
    if len(tokens) > count:
        raise _corrupt(file, f"has {len(tokens)} special tokens, and room for {count}")
    tokens += [f"<SPECIAL_{token_id}>" for token_id in range(len(tokens), count)]
    if len(set(tokens)) != count:
        raise _corrupt(file, "has two special tokens of the same spelling")
    return tuple(tokens)


def _listed_special_tokens(file: Path, entries: list[Any]) -> list[str]:
    try:
        ids = [entry["rank"] for entry in entries]
        tokens = [entry["token_str"] for entry in entries]
    except (TypeError, KeyError) as error:
        raise _corrupt(file, "has a special token without rank or token_str") from error
    if ids != list(range(len(ids))):
        raise _corrupt(file, "has special tokens whose ranks don't count from 0")
    if not all(isinstance(token, str) and token and _is_unicode(token) for token in tokens):
        raise _corrupt(file, "has a special token without a spelling")
    return tokens


def _is_unicode(text: str) -> bool:
    return not re.search("[\ud800-\udfff]", text)


def _ids(file: Path, entries: list[Any], first: int) -> dict[bytes, int]:
    try:
        ranks = list(map(itemgetter("rank"), entries))
        encoded = list(map(itemgetter("token_bytes"), entries))
        is_base64 = _BASE64.fullmatch("".join(encoded)) is not None  # the decoder passes over other characters
        ids = dict(zip(map(a2b_base64, encoded), range(first, first + len(entries)), strict=True))
    except (TypeError, KeyError, ValueError) as error:
        raise _corrupt(file, f"has a token without rank or token_bytes ({error!r:.80})") from error
    if not is_base64:
        raise _corrupt(file, "has a token whose token_bytes aren't base64")
    if ranks != list(range(len(ranks))):
        raise _corrupt(file, "has tokens whose ranks don't count from 0")
    if len(ids) != len(entries):
        raise _corrupt(file, "has two tokens of the same bytes")
    if list(islice(ids, 256)) != [bytes([byte]) for byte in range(256)]:
        raise _corrupt(file, "should begin with the 256 bytes, in order, so that every text can be encoded")
    return ids


def _member(file: Path, owner: object, name: str, kind: type[_Kind]) -> _Kind:
    value = owner.get(name) if isinstance(owner, dict) else None
    if type(value) is not kind:  # and not a bool for an int
        raise _corrupt(file, f"should have {name!r}, of type {kind.__name__}, not {value!r:.40}")
    return value


def _corrupt(file: Path, problem: str) -> CorruptTokenizerError:
    return CorruptTokenizerError(
        f"{file} {problem}: it is no Tekken vocabulary, or a damaged one; fetch it again", source=str(file)
    )
