"""Encoding a text in which some added tokens stand at known places, and all else is text, with `tokenizers`.

The library looks for added tokens by their spelling, and what follows one is encoded otherwise than what begins a
text. So the text is encoded in one go, by a twin of the tokenizer that has stand-ins for these tokens, spelled with
characters that the text lacks, and no other added tokens.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING

import tokenizers

from tokenfacade.backends.huggingface_twins import bare_twin

if TYPE_CHECKING:
    from tokenfacade.encoding import Span

Part = tuple[str, "int | None"]
"""A text; or a token's text, and its id."""

_PRIVATE = range(0xF0000, 0x10FFFE)
"""Two planes of characters that no standard will ever give a meaning."""

_BORDER = -1


def encode_parts(raw: tokenizers.Tokenizer, parts: Sequence[Part]) -> tuple[list[int], list[Span]] | None:
    """The ids and offsets of parts, of which adjacent texts are encoded apart; None if the pipeline doesn't let the
    stand-ins through."""
    added = raw.get_added_tokens_decoder()
    wanted = {token_id for _, token_id in parts if token_id is not None}
    if not wanted <= added.keys():
        return None
    characters = _unused_characters("".join(text for text, _ in parts))
    stand_ins = {_BORDER: next(characters), **{token_id: next(characters) for token_id in wanted}}
    twin = bare_twin(raw)
    tokens = [_stand_in(raw, stand_ins[token_id], added[token_id]) for token_id in wanted]
    twin.add_tokens([tokenizers.AddedToken(stand_ins[_BORDER], normalized=False), *tokens])
    laid_out = list(_with_borders(parts))
    texts = [text if token_id is None else stand_ins[token_id] for text, token_id in laid_out]
    encoding = twin.encode("".join(texts), add_special_tokens=False)
    known = {twin.token_to_id(character): token_id for token_id, character in stand_ins.items()}
    return _read(laid_out, texts, encoding, known)


def _unused_characters(text: str) -> Iterator[str]:
    used = set(text)
    return (character for character in map(chr, _PRIVATE) if character not in used)


def _stand_in(raw: tokenizers.Tokenizer, character: str, token: tokenizers.AddedToken) -> tokenizers.AddedToken:
    """A token that is found as this one is: before the normalizer has changed the text, or after."""
    survives = raw.normalizer is None or character in raw.normalizer.normalize_str(character)
    return tokenizers.AddedToken(character, normalized=token.normalized and survives)


def _with_borders(parts: Sequence[Part]) -> Iterator[Part]:
    """The parts, with an empty token between each two texts."""
    was_text = False
    for part in parts:
        if was_text and part[1] is None:
            yield "", _BORDER
        was_text = part[1] is None
        yield part


def _read(
    parts: list[Part], texts: list[str], encoding: tokenizers.Encoding, known: dict[int | None, int]
) -> tuple[list[int], list[Span]] | None:
    """The ids and offsets in the parts' own text, if each stand-in came out as itself, and only it."""
    starts = [0, *accumulate(map(len, texts))]
    true_starts = [0, *accumulate(len(text) for text, _ in parts)]
    ids, offsets, met = [], [], 0
    for found, (start, end) in zip(encoding.ids, encoding.offsets, strict=True):
        at = min(bisect_right(starts, start), len(parts)) - 1
        token_id = parts[at][1]
        if token_id is None:
            ids.append(found)
            offsets.append((true_starts[at] + start - starts[at], true_starts[at] + end - starts[at]))
            continue
        met += 1
        if known.get(found) != token_id:
            return None
        if token_id != _BORDER:
            ids.append(token_id)
            offsets.append((true_starts[at], true_starts[at + 1]))
    return (ids, offsets) if met == sum(token_id is not None for _, token_id in parts) else None
