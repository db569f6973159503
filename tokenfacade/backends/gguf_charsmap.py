"""SentencePiece's compiled rules of normalization: which characters are rewritten, and to what.

They are a double array whose keys are the UTF-8 of one or several characters, and whose values are places in a list of
texts; see https://github.com/s-yata/darts-clone.
"""

from __future__ import annotations

import struct
from collections import defaultdict

from tokenfacade.errors import CorruptTokenizerError

_LONGEST_KEY = 64
_MOST_NODES = 1 << 20


def read_charsmap(data: bytes, source: str) -> dict[str, str]:
    """What is rewritten to what.

    Raises:
        CorruptTokenizerError: It is no such table.
    """
    if not data:
        return {}
    size = struct.unpack_from("<I", data)[0] if len(data) >= 4 else 0
    if size % 4 or not 4 <= size < len(data) - 4:
        raise _damaged(source)
    units = struct.unpack_from(f"<{size // 4}I", data, 4)
    texts = data[4 + size :]
    rules = {}
    for key, place in _keys(units, source).items():
        end = texts.find(b"\0", place)
        if end < 0:
            raise _damaged(source)
        try:
            rules[key.decode()] = texts[place:end].decode("utf-8", "replace")
        except UnicodeDecodeError:
            continue  # no text has it
    return rules


def _keys(units: tuple[int, ...], source: str) -> dict[bytes, int]:
    """The keys with their values. Each unit knows the byte that leads to it, and so where it is reached from."""
    reached = defaultdict(list)
    for index, unit in enumerate(units):
        label = unit & 0x800000FF
        if 0 < label < 0x100:
            reached[index ^ label].append((label, index))
    found = {}
    nodes = [(b"", _offset(units[0]))]
    count = 0
    while nodes:
        key, base = nodes.pop()
        for label, index in reached.get(base, ()):
            count += 1
            longer = key + bytes((label,))
            if count > _MOST_NODES or len(longer) > _LONGEST_KEY:
                raise _damaged(source)
            unit = units[index]
            inner = index ^ _offset(unit)
            if unit >> 8 & 1:
                if inner >= len(units):
                    raise _damaged(source)
                found[longer] = units[inner] & 0x7FFFFFFF
            nodes.append((longer, inner))
    return found


def _offset(unit: int) -> int:
    return unit >> 10 << ((unit & 0x200) >> 6)


def _damaged(source: str) -> CorruptTokenizerError:
    return CorruptTokenizerError(f"{source} has damaged rules of normalization: convert the model again", source=source)
