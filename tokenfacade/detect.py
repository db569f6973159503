"""What is this file? Told from its first bytes, never from its name."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal

from tokenfacade.errors import CorruptTokenizerError, TokenizerNotFoundError

if TYPE_CHECKING:
    from pathlib import Path

FileFormat = Literal[
    "huggingface",
    "tekken",
    "json",
    "tiktoken",
    "sentencepiece",
    "gguf",
    "safetensors",
    "archive",
    "lfs",
    "empty",
    "unknown",
]
"""``json`` is JSON that the first bytes don't tell more about; ``archive`` a zip, as PyTorch's weights are; ``lfs`` a
Git LFS pointer."""

FIRST_BYTES = 4096

_RANK_LINE = re.compile(rb"([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=|=)?[ \t]\d{1,10}\r?(\n|$)")
_HUGGING_FACE_KEY = re.compile(rb'"(added_tokens|pre_tokenizer|normalizer|post_processor|truncation)"|"model"\s*:\s*\{')
_TEKKEN_KEY = re.compile(rb'"(default_vocab_size|default_num_special_tokens|token_bytes|token_str)"')
_ARCHIVES = (
    b"PK\x03\x04",
    b"\x80\x02",
    b"\x80\x03",
    b"\x80\x04",
    b"\x80\x05",
    b"\x1f\x8b",
    b"BZh",
    b"\x28\xb5\x2f\xfd",
)


def detect_format(path: Path) -> FileFormat:
    """What a file is, by its first 4 KiB.

    Raises:
        TokenizerNotFoundError: There is no such file.
        CorruptTokenizerError: It can't be read.

    Example:
        >>> from pathlib import Path
        >>> detect_format(Path("examples/tokenizer/tokenizer.json"))
        'huggingface'
    """
    try:
        with path.open("rb") as file:
            return format_of(file.read(FIRST_BYTES))
    except (FileNotFoundError, NotADirectoryError, ValueError) as error:  # the last for a path with a NUL
        raise TokenizerNotFoundError(f"there is no file {path}", source=str(path)) from error
    except OSError as error:
        raise CorruptTokenizerError(f"{path} can't be read: {error}", source=str(path)) from error


def format_of(head: bytes) -> FileFormat:
    """What a file is that begins with these bytes.

    Example:
        >>> format_of(b"IQ== 0\\nIg== 1\\n"), format_of(b"GGUF\\x03\\x00\\x00\\x00")
        ('tiktoken', 'gguf')
    """
    if not head.strip():
        return "empty"
    if head.startswith(b"GGUF"):
        return "gguf"
    if head.startswith(_ARCHIVES):
        return "archive"
    if head.startswith(b"version https://git-lfs"):
        return "lfs"
    if (
        len(head) > 8
        and head[8:9] == b"{"
        and int.from_bytes(head[:8], "little") < 1 << 32
        and head[4:8] == b"\0\0\0\0"
    ):
        return "safetensors"
    if head.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"{"):
        return _json_format(head)
    if _RANK_LINE.match(head):
        return "tiktoken"
    if _is_sentencepiece(head):
        return "sentencepiece"
    return "unknown"


def _json_format(head: bytes) -> FileFormat:
    if _TEKKEN_KEY.search(head):
        return "tekken"
    return "huggingface" if _HUGGING_FACE_KEY.search(head) else "json"


def _is_sentencepiece(head: bytes) -> bool:
    """A ModelProto begins with its first piece: field 1, a length, and in it field 1, the piece's text, with a length
    that fits, before field 2 or 3, the score or the kind."""
    begins = len(head) > 4 and head[0] == 0x0A and head[2] == 0x0A and 0 < head[3] < head[1] < 0x80
    return begins and head[4 + head[3] :][:1] in (b"\x15", b"\x18")


def looks_like_path(source: str) -> bool:
    """Whether a name that isn't an existing path was meant as one; such a name must never be sent to the Hub.

    Example:
        >>> [looks_like_path(name) for name in ("./model", "C:\\\\\\\\model", "a/b/c", "model.json", "org/name")]
        [True, True, True, True, False]
    """
    suffixes = (".json", ".model", ".tiktoken", ".gguf", ".safetensors", ".bin", ".txt", ".jinja", ".pt", ".gz", ".zip")
    return (
        source.startswith((".", "~", "/"))
        or source.endswith("/")
        or "\\" in source
        or source.count("/") > 1
        or bool(re.match(r"[A-Za-z]:", source))
        or source.lower().endswith(suffixes)
    )
