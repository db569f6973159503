"""Encoding long texts with `tokenizers` so that other threads run meanwhile."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tokenfacade.threads import SHORT_CHARACTERS

if TYPE_CHECKING:
    from collections.abc import MutableSequence

    import tokenizers

    from tokenfacade.backends.fast import FastEncoding

MANY_IDS = 100_000
"""Making a list of so many takes 3 ms."""

IN_PARTS_CHARACTERS = 1_000_000
"""From here on ids come in parts."""


def encoded(
    raw: tokenizers.Tokenizer, text: str, *, add_special_tokens: bool, with_offsets: bool = False
) -> tokenizers.Encoding:
    """What the library gives for a text; `encode` keeps the interpreter's lock all the time, a batch call doesn't."""
    # A batch call would take a pair for a text.
    if isinstance(text, str) and len(text) > SHORT_CHARACTERS:
        encode_batch = raw.encode_batch if with_offsets else raw.encode_batch_fast
        return encode_batch([text], add_special_tokens=add_special_tokens)[0]
    return raw.encode(text, add_special_tokens=add_special_tokens)


def take_ids(encodings: MutableSequence[FastEncoding]) -> list[int]:
    """The ids of the last of some encodings, which is taken out and let go.

    Making the list, and letting go of the encoding, each hold the interpreter's lock: 25 ns and 15 ns for each id.
    """
    ids = encodings[-1].ids
    if len(ids) > MANY_IDS:
        time.sleep(0)  # other threads may have their turn between the two
    encodings.pop()
    return ids


def ids_in_parts(twin: tokenizers.Tokenizer, text: str) -> list[int]:
    """The ids of a text, without those of the post-processor, by a tokenizer that nobody else uses.

    Truncation makes parts of an encoding while other threads run. One list of 1.4 million ids holds the interpreter's
    lock for 41 ms; copying the parts takes 22, and the list of each 3.
    """
    twin.enable_truncation(MANY_IDS, stride=0)
    found = twin.encode_batch_fast([text], add_special_tokens=False).pop()
    parts = [found, *found.overflowing]
    ids: list[int] = []
    for part in parts:
        ids += part.ids
    return ids
