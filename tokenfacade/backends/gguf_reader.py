"""The metadata of GGUF files: a bounded reader of their first part, which never looks at tensors.

The format is that of ggml's ``docs/gguf.md``, versions 2 and 3, in either byte order. A header is not trusted: counts
and lengths are compared with the size of the file before anything is made of them.
"""

from __future__ import annotations

import os
import re
import struct
from typing import TYPE_CHECKING, BinaryIO, TypeVar

from tokenfacade.errors import CorruptTokenizerError, UnsupportedFormatError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

MAX_BYTES = 1 << 28
"""The most metadata that is read; that of models with 256,000 tokens takes some 15 MB."""

MAX_ITEMS = 1 << 22
"""The most strings and arrays in all."""

MAX_DEPTH = 4

_PREFIXES = ("general.", "tokenizer.", "split.")
_CHUNK = 1 << 20
_FORMATS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_STRING, _ARRAY = 8, 9
_LEAST_PAIR = 8 + 4 + 1
_SHARD = re.compile(r"-(\d{5,})-of-(\d{5,})\.gguf\Z")

Value = int | float | bool | str | list[str] | list["Value"] | tuple[int | float | bool, ...]
_Kind = TypeVar("_Kind", bound=Value)


class Metadata:
    """What a file says about itself and its tokenizer, by key; a value of another kind than it should be is damage."""

    def __init__(self, values: Mapping[str, Value], source: str) -> None:
        self._values = values
        self._source = source

    def __contains__(self, key: object) -> bool:
        return key in self._values

    def text(self, key: str) -> str | None:
        """The text under a key, None where there is no such key."""
        return self._checked(key, str, "a string")

    def flag(self, key: str) -> bool | None:
        """The truth value under a key, None where there is no such key."""
        return self._checked(key, bool, "a truth value")

    def integer(self, key: str) -> int | None:
        """The number under a key, None where there is no such key."""
        found = self._checked(key, int, "an integer")
        if isinstance(found, bool):
            raise self._wrong(key, "an integer", found)
        return found

    def texts(self, key: str) -> list[str] | None:
        """The texts under a key, None where there is no such key."""
        found = self._checked(key, list, "an array of strings")
        if found and not isinstance(found[0], str):  # a list holds texts alone, or arrays alone
            raise self._wrong(key, "an array of strings", found)
        return found

    def numbers(self, key: str) -> tuple[int | float | bool, ...] | None:
        """The numbers under a key, None where there is no such key."""
        found = self._values.get(key)
        if isinstance(found, list) and not found:
            return ()
        return self._checked(key, tuple, "an array of numbers")

    def _checked(self, key: str, kind: type[_Kind], name: str) -> _Kind | None:
        found = self._values.get(key)
        if found is not None and not isinstance(found, kind):
            raise self._wrong(key, name, found)
        return found

    def _wrong(self, key: str, name: str, found: Value) -> CorruptTokenizerError:
        return CorruptTokenizerError(
            f"{self._source} should have {name} as {key}, not {found!r:.80}: convert the model again",
            source=self._source,
        )


def read_metadata(file: Path) -> Metadata:
    """Read the keys of ``general``, ``tokenizer`` and ``split``.

    Raises:
        UnsupportedFormatError: It is no GGUF file, or of another version.
        CorruptTokenizerError: It is empty, cut off or contradictory, or not the first of a set.
    """
    source = str(file)
    try:
        with file.open("rb") as stream:
            values = _Reader(stream, source).values()
    except OSError as error:
        raise CorruptTokenizerError(f"{source} can't be read: {error}", source=source) from error
    metadata = Metadata(values, source)
    if number := metadata.integer("split.no"):
        first = _SHARD.sub(lambda found: f"-{1:0{len(found[1])}}-of-{found[2]}.gguf", file.name)
        of = f"the file {first}" if first != file.name else "the first file"
        raise CorruptTokenizerError(
            f"{source} is part {number + 1} of a set, and only the first has the tokenizer: load {of} instead",
            source=source,
        )
    return metadata


class _Reader:
    """A position in a file, with the bytes that follow as far as they were fetched."""

    def __init__(self, stream: BinaryIO, source: str) -> None:
        self._stream = stream
        self._source = source
        self._left = os.fstat(stream.fileno()).st_size
        self._budget = MAX_BYTES
        self._items = MAX_ITEMS
        self._data = b""
        self._at = 0
        self._order = "<"

    def values(self) -> dict[str, Value]:
        self._read_head()
        count = self._count(_LEAST_PAIR, "keys")
        values: dict[str, Value] = {}
        known = set()
        for _ in range(count):
            key = self._text()
            if key in known:
                raise self._corrupt(f"it has the key {key!r:.80} twice")
            known.add(key)
            kind = self._number("I")
            if key.startswith(_PREFIXES):
                values[key] = self._value(kind, 0)
            else:
                self._skip(kind, 0)
        return values

    def _read_head(self) -> None:
        if self._left == 0:
            raise self._corrupt("it is empty")
        if self._take(4) != b"GGUF":
            raise UnsupportedFormatError(f"{self._source} is no GGUF file", source=self._source)
        head = self._take(4)
        self._order = "<" if head[:2] != b"\0\0" else ">"
        (version,) = struct.unpack(f"{self._order}I", head)
        if version not in (2, 3):
            raise UnsupportedFormatError(
                f"{self._source} is GGUF of version {version}; versions 2 and 3 can be read: convert the model again",
                source=self._source,
            )
        self._number("Q")  # how many tensors there are

    def _value(self, kind: int, depth: int) -> Value:
        if kind == _STRING:
            return self._text()
        if kind in _FORMATS:
            value: Value = self._number(_FORMATS[kind])
            return value
        inner, count = self._array_head(kind, depth)
        if inner == _STRING:
            return self._texts(count)
        if inner == _ARRAY:
            return [self._value(_ARRAY, depth + 1) for _ in range(count)]
        layout = f"{self._order}{count}{_FORMATS[inner]}"
        return struct.unpack(layout, self._take(struct.calcsize(layout)))

    def _skip(self, kind: int, depth: int) -> None:
        if kind == _STRING:
            self._take(self._length())
        elif kind in _FORMATS:
            self._take(struct.calcsize(f"<{_FORMATS[kind]}"))
        else:
            inner, count = self._array_head(kind, depth)
            if inner in _FORMATS:
                self._take(count * struct.calcsize(f"<{_FORMATS[inner]}"))
                return
            for _ in range(count):
                self._skip(inner, depth + 1)

    def _array_head(self, kind: int, depth: int) -> tuple[int, int]:
        """The kind of an array's values, and how many there are: no more than the file can hold."""
        if kind != _ARRAY:
            raise self._corrupt(f"it has a value of the unknown type {kind}")
        if depth > MAX_DEPTH:
            raise self._corrupt(f"it has arrays in arrays, deeper than {MAX_DEPTH}")
        inner = self._number("I")
        if inner in _FORMATS:
            return inner, self._count(struct.calcsize(f"<{_FORMATS[inner]}"), "numbers")
        if inner not in (_STRING, _ARRAY):
            raise self._corrupt(f"it has an array of the unknown type {inner}")
        count = self._count(8 if inner == _STRING else 12, "items")
        self._items -= count
        if self._items < 0:
            raise self._corrupt(f"it has more than {MAX_ITEMS} texts and arrays")
        return inner, count

    def _texts(self, count: int) -> list[str]:
        # Inlined, because there are some 250,000: a third of the time that calls of _text take.
        texts: list[str] = []
        append, length_at = texts.append, struct.Struct(f"{self._order}Q").unpack_from
        data, at = self._data, self._at
        end = len(data)
        try:
            for _ in range(count):
                start = at + 8
                if start <= end:
                    (length,) = length_at(data, at)
                    at = start + length
                    if at <= end:
                        append(data[start:at].decode())
                        continue
                self._at = start - 8
                append(self._text())
                data, at = self._data, self._at
                end = len(data)
        except UnicodeDecodeError as error:
            raise self._corrupt(f"it has a text that is not UTF-8: {error}") from error
        self._at = at
        return texts

    def _text(self) -> str:
        data = self._take(self._length())
        try:
            return data.decode()
        except UnicodeDecodeError as error:
            raise self._corrupt(f"it has a text that is not UTF-8: {error}") from error

    def _length(self) -> int:
        return self._count(1, "bytes in a text")

    def _count(self, size: int, what: str) -> int:
        count: int = self._number("Q")
        available = len(self._data) - self._at + self._left
        if count * size > available:
            raise self._corrupt(f"it should have {count} {what}, where {available} bytes are left")
        return count

    def _number(self, layout: str) -> int:
        number: int
        (number,) = struct.unpack(f"{self._order}{layout}", self._take(struct.calcsize(f"<{layout}")))
        return number

    def _take(self, count: int) -> bytes:
        end = self._at + count
        if end > len(self._data):
            self._fetch(end - len(self._data))
            end = count
        taken = self._data[self._at : end]
        self._at = end
        return taken

    def _fetch(self, least: int) -> None:
        """Read on, by at least so many bytes; what was passed is let go."""
        if least > self._left:
            raise self._corrupt("it ends within its metadata")
        if least > self._budget:
            raise self._corrupt(f"its metadata takes more than {MAX_BYTES} bytes")
        fetched = self._stream.read(min(max(least, _CHUNK), self._left, self._budget))
        if len(fetched) < least:
            raise self._corrupt("it ends within its metadata")
        self._left -= len(fetched)
        self._budget -= len(fetched)
        self._data = self._data[self._at :] + fetched
        self._at = 0

    def _corrupt(self, problem: str) -> CorruptTokenizerError:
        return CorruptTokenizerError(
            f"{self._source} is damaged: {problem}; fetch it again or convert the model again", source=self._source
        )
