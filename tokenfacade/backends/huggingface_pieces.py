"""The decoders of Hugging Face `tokenizers`, read as what each token contributes.

Read are the chains for which that is exact: ByteLevel; WordPiece; and the SentencePiece-like ones, steps on single
tokens (Replace, Metaspace, Strip), then perhaps ByteFallback, then perhaps Fuse and a Strip at the start of the text.
Anything else gives None, and streams decode windows.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from typing import TYPE_CHECKING, Any

from tokenfacade.decoding.pieces import Pieces, byte_alphabet, bytes_of

if TYPE_CHECKING:
    from tokenfacade.decoding.pieces import Piece

TokenStep = Callable[[str], str]
"""What one decoder makes of one token."""

_BYTE_TOKEN = re.compile(r"<0x(\+[0-9A-Fa-f]|[0-9A-Fa-f]{2})>")


@dataclass(frozen=True, slots=True)
class Chain:
    """A decoder as steps on one token: what it becomes, and what it becomes as the first of a text where that
    differs."""

    step: TokenStep
    first: TokenStep | None = None
    is_bytes: bool = False
    """Whether the characters of a token stand for bytes (ByteLevel)."""
    has_byte_tokens: bool = False
    """Whether tokens such as ``<0x0A>`` are bytes (ByteFallback)."""
    strip: str = " "
    strip_count: int = 0


def read_chain(decoder: Mapping[str, Any] | None) -> Chain | None:
    """The chain of a decoder as it stands in a ``tokenizer.json``; None for one that isn't token by token."""
    if decoder is None:
        return Chain(step=lambda token: f" {token}", first=lambda token: token)
    chain = Chain(step=lambda token: token)
    is_fused = False
    for part in _flat(decoder):
        kind = part.get("type")
        if chain.is_bytes or (is_fused and kind != "Strip"):
            return None
        if kind == "ByteFallback" and not chain.has_byte_tokens:
            chain = replace(chain, has_byte_tokens=True)
        elif kind == "Fuse":
            is_fused = True
        elif is_fused:
            is_split = chain.has_byte_tokens and not part["content"].isascii()
            if is_split or chain.strip_count or part["stop"] or not part["start"]:
                return None
            chain = replace(chain, strip=part["content"], strip_count=part["start"])
        else:
            steps = None if chain.has_byte_tokens else _token_steps(part)
            if steps is None:
                return None
            chain = _then(chain, *steps, is_bytes=kind == "ByteLevel")
    return chain


def pieces_of(chain: Chain, id_to_token: Callable[[int], str | None], skipped: frozenset[str]) -> Pieces:
    """The pieces of a vocabulary under a chain; tokens in `skipped` contribute nothing."""

    def piece_by(step: TokenStep) -> Callable[[int], Piece]:
        alphabet = byte_alphabet() if chain.is_bytes else {}

        def piece(token_id: int) -> Piece:
            token = id_to_token(token_id)
            if token is None:
                raise KeyError(token_id)
            if token in skipped:
                return None
            token = step(token)
            if chain.is_bytes:
                return bytes_of(token, alphabet)
            if chain.has_byte_tokens and (match := _BYTE_TOKEN.fullmatch(token)):
                return bytes([int(match[1], 16)])
            return token

        return piece

    return Pieces(
        piece_by(chain.step),
        first=piece_by(chain.first) if chain.first else None,
        strip=chain.strip,
        strip_count=chain.strip_count,
        invalid="run" if chain.has_byte_tokens else "subpart",
    )


def _flat(decoder: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    if decoder.get("type") != "Sequence":
        return [decoder]
    return [part for inner in decoder["decoders"] for part in _flat(inner)]


def _then(chain: Chain, step: TokenStep, first: TokenStep | None, *, is_bytes: bool) -> Chain:
    before, before_first = chain.step, chain.first or chain.step
    after_first = first or step
    return replace(
        chain,
        step=lambda token: step(before(token)),
        first=(lambda token: after_first(before_first(token))) if first or chain.first else None,
        is_bytes=is_bytes,
    )


def _token_steps(part: Mapping[str, Any]) -> tuple[TokenStep, TokenStep | None] | None:
    """What a decoder makes of a token, and of the first one where that differs; None if it isn't token by token."""
    kind = part.get("type")
    if kind == "ByteLevel":
        return _unchanged, None
    if kind == "Replace":
        return _replace_steps(part)
    if kind == "Metaspace":
        return _metaspace_steps(part)
    if kind == "WordPiece":
        return _word_piece_steps(part)
    if kind == "Strip":
        content, start, stop = part["content"], part["start"], part["stop"]
        return (lambda token: _strip(token, content, start, stop)), None
    return None


def _unchanged(token: str) -> str:
    return token


def _replace_steps(part: Mapping[str, Any]) -> tuple[TokenStep, None] | None:
    pattern, content = part["pattern"].get("String"), part["content"]
    return ((lambda token: token.replace(pattern, content)), None) if pattern else None


def _metaspace_steps(part: Mapping[str, Any]) -> tuple[TokenStep, TokenStep | None]:
    mark = part["replacement"]
    scheme = part.get("prepend_scheme") or ("always" if part.get("add_prefix_space", True) else "never")
    drops_first = scheme != "never"
    return (lambda token: token.replace(mark, " ")), (lambda token: token.replace(mark, "")) if drops_first else None


def _word_piece_steps(part: Mapping[str, Any]) -> tuple[TokenStep, TokenStep]:
    prefix = part["prefix"]
    clean = _clean_up if part["cleanup"] else _unchanged
    return (lambda token: clean(token[len(prefix) :] if token.startswith(prefix) else f" {token}")), clean


def _clean_up(token: str) -> str:
    """What WordPiece decoding does to each token (`tokenizers`, decoders/wordpiece.rs)."""
    return reduce(lambda text, pair: text.replace(*pair), _CLEAN_UP, token)


_CLEAN_UP: Sequence[tuple[str, str]] = (
    (" .", "."),
    (" ?", "?"),
    (" !", "!"),
    (" ,", ","),
    (" ' ", "'"),
    (" n't", "n't"),
    (" 'm", "'m"),
    (" do not", " don't"),
    (" 's", "'s"),
    (" 've", "'ve"),
    (" 're", "'re"),
)


def _strip(token: str, content: str, start: int, stop: int) -> str:
    begin, end = 0, len(token)
    while begin < min(start, end) and token[begin] == content:
        begin += 1
    while end > max(len(token) - stop, 0) and token[end - 1] == content:
        end -= 1
    return token[begin:end] if begin < end else ""
