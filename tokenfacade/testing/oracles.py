"""What the laws say, worked out the slow way: whole texts, brute force, nothing shared with the code under test."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tokenfacade.decoding.pieces import Pieces
    from tokenfacade.protocols import Decoder

REPLACEMENT = "\ufffd"

# Unicode 15, table 3-7: for each first byte the second bytes that are well-formed, and how many bytes there are in all.
_WELL_FORMED: list[tuple[range, range, int]] = [
    (range(0xC2, 0xE0), range(0x80, 0xC0), 2),
    (range(0xE0, 0xE1), range(0xA0, 0xC0), 3),
    (range(0xE1, 0xED), range(0x80, 0xC0), 3),
    (range(0xED, 0xEE), range(0x80, 0xA0), 3),
    (range(0xEE, 0xF0), range(0x80, 0xC0), 3),
    (range(0xF0, 0xF1), range(0x90, 0xC0), 4),
    (range(0xF1, 0xF4), range(0x80, 0xC0), 4),
    (range(0xF4, 0xF5), range(0x80, 0x90), 4),
]


@dataclass(frozen=True)
class Character:
    """A character of the text, and whether any byte of it came after the prompt."""

    text: str
    is_new: bool


def subpart(data: bytes) -> tuple[int, bool]:
    """How many bytes of the beginning belong together, and whether they are a character; `data` isn't empty."""
    if data[0] < 0x80:
        return 1, True
    for firsts, seconds, length in _WELL_FORMED:
        if data[0] in firsts:
            good = 1
            for position, byte in enumerate(data[1:length], 1):
                if byte not in (seconds if position == 1 else range(0x80, 0xC0)):
                    break
                good += 1
            return good, good == length
    return 1, False


def stream_text(tokenizer: Decoder, prompt: Sequence[int], ids: Sequence[int], *, skip: bool) -> str:
    """What a stream over `ids` that continues `prompt` must give out in all, for a vocabulary with pieces.

    Raises:
        LookupError: The tokenizer doesn't say what its ids contribute: its `pieces` are None.

    Example:
        >>> from tokenfacade import MockTokenizer
        >>> stream_text(MockTokenizer(), [0xC3], [0xA9, 0x21, 0xFF], skip=True)
        'é!\ufffd'
    """
    pieces = tokenizer.pieces(skip_special_tokens=skip)
    if pieces is None:
        raise LookupError("no pieces")
    characters = list(_characters(pieces, prompt, ids))
    stripped = 0
    while stripped < min(pieces.strip_count, len(characters)) and characters[stripped].text == pieces.strip:
        stripped += 1
    return "".join(character.text for character in characters[stripped:] if character.is_new)


def _characters(pieces: Pieces, prompt: Sequence[int], ids: Sequence[int]) -> Iterator[Character]:
    run: list[tuple[int, bool]] = []
    is_first = True
    for position, token_id in enumerate([*prompt, *ids]):
        is_new = position >= len(prompt)
        try:
            piece = pieces.first(token_id) if is_first and pieces.first else pieces.piece(token_id)
        except KeyError:
            continue
        if piece is None:
            continue
        is_first = False
        if isinstance(piece, bytes):
            run += [(byte, is_new) for byte in piece]
            continue
        yield from _of_run(run, pieces.invalid)
        run = []
        yield from (Character(text, is_new) for text in piece)
    yield from _of_run(run, pieces.invalid)


def _of_run(run: list[tuple[int, bool]], invalid: str) -> Iterator[Character]:
    data = bytes(byte for byte, _ in run)
    at = 0
    while at < len(data):
        length, is_whole = subpart(data[at:])
        is_new = any(new for _, new in run[at : at + length])
        if is_whole:
            yield Character(data[at : at + length].decode(), is_new)
        elif invalid == "run":
            yield from (Character(REPLACEMENT, new) for _, new in run[at:])
            return
        else:
            yield Character(REPLACEMENT, is_new)
        at += length


def first_stop(text: str, stops: Sequence[str]) -> tuple[int, str] | None:
    """Where in the text a stop is first complete, and the longest that is complete there.

    Example:
        >>> first_stop("there", ["re", "he"])
        (3, 'he')
    """
    for end in range(1, len(text) + 1):
        complete = [stop for stop in stops if text[:end].endswith(stop)]
        if complete:
            return end, max(complete, key=len)
    return None


def held_back(text: str, stops: Sequence[str]) -> str:
    """The longest suffix of the text that is a proper prefix of a stop.

    Example:
        >>> held_back("an e", ["end"])
        'e'
    """
    longest = ""
    for stop in stops:
        for length in range(1, min(len(stop), len(text) + 1)):
            if text.endswith(stop[:length]) and length > len(longest):
                longest = stop[:length]
    return longest


def run_steps(step: Callable[[int], str | None], ids: Sequence[int]) -> list[str]:
    """The chunk of each step, ``""`` for None."""
    return [step(token_id) or "" for token_id in ids]


def mended(text: str) -> str:
    r"""The text as it must be encoded: a pair of surrogates is its character, a lone one U+FFFD.

    Example:
        >>> mended("\ud83d\ude0a \ud83d") == "😊 \ufffd"
        True
    """
    characters: list[str] = []
    for character in text:
        if "\udc00" <= character <= "\udfff" and characters and "\ud800" <= characters[-1] <= "\udbff":
            high, low = ord(characters.pop()), ord(character)
            character = chr(0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00))
        characters.append(character)
    return "".join(REPLACEMENT if "\ud800" <= character <= "\udfff" else character for character in characters)


def touched(text: str, parts: Sequence[bytes]) -> list[tuple[int, int]]:
    """For parts whose bytes joined are the text: the characters of which each holds a byte, as (first, last excluded).

    Example:
        >>> touched("aé", [b"a", b"\\xc3", b"\\xa9"])
        [(0, 1), (1, 2), (1, 2)]
    """
    spans, end = [], 0
    for part in parts:
        start, end = end, end + len(part)
        inside = [index for index, (first, last) in enumerate(_byte_spans(text)) if first < end and last > start]
        spans.append((min(inside, default=0), max(inside, default=-1) + 1))
    return spans


def _byte_spans(text: str) -> Iterator[tuple[int, int]]:
    at = 0
    for character in text:
        yield at, at + len(character.encode())
        at += len(character.encode())
