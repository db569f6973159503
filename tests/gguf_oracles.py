"""llama.cpp's algorithms as its source describes them, written for clearness and not for speed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

SPACES = " \t\n\v\f\r"


def parts(
    text: str, tokens: Mapping[str, int], *, left: frozenset[int] = frozenset(), right: frozenset[int] = frozenset()
) -> list[str | int]:
    """Special tokens one by one, the longest first, each cutting whatever text is left."""
    found: list[str | int] = [text] if text else []
    for token in sorted(tokens, key=lambda token: len(token.encode()), reverse=True):
        token_id = tokens[token]
        cut: list[str | int] = []
        for part in found:
            if isinstance(part, int):
                cut.append(part)
                continue
            while (at := part.find(token)) >= 0:
                before = part[:at].rstrip(SPACES) if token_id in left else part[:at]
                cut += [before] * bool(before) + [token_id]
                part = part[at + len(token) :]
                part = part.lstrip(SPACES) if token_id in right else part
            cut += [part] * bool(part)
        found = cut
    return found


def merged_by_score(text: str, tokens: Sequence[str], scores: Sequence[float]) -> list[int]:
    """Adjacent pieces become one, whichever has the best score, of equals the leftmost; then bytes for the rest."""
    ids = {token: token_id for token_id, token in enumerate(tokens)}
    pieces = list(text.replace(" ", "▁"))
    while True:
        pairs = [
            (-scores[ids[one + other]], at) for at, (one, other) in enumerate(pairwise(pieces)) if one + other in ids
        ]
        if not pairs:
            break
        at = min(pairs)[1]
        pieces[at : at + 2] = [pieces[at] + pieces[at + 1]]
    found: list[int] = []
    for piece in pieces:
        found += [ids[piece]] if piece in ids else [ids[f"<0x{byte:02X}>"] for byte in piece.encode()]
    return found


def most_probable(text: str, scores: Mapping[str, tuple[int, float]], unknown: int) -> list[int]:
    """The pieces whose scores have the greatest sum; neighbouring unknown characters are one."""
    penalty = min(score for _, score in scores.values()) - 10.0
    best: list[tuple[float, list[int]] | None] = [(0.0, []), *[None] * len(text)]
    for start in range(len(text)):
        reached = best[start]
        assert reached is not None
        found = [
            (end, *scores[text[start:end]]) for end in range(start + 1, len(text) + 1) if text[start:end] in scores
        ]
        if start + 1 not in [end for end, _, _ in found]:
            found.append((start + 1, unknown, penalty))
        for end, token_id, score in found:
            champion = best[end]
            if champion is None or reached[0] + score > champion[0]:
                best[end] = (reached[0] + score, [*reached[1], token_id])
    last = best[-1]
    assert last is not None
    return [
        token_id for n, token_id in enumerate(last[1]) if not (token_id == unknown and n and last[1][n - 1] == unknown)
    ]


def words_from_the_longest(words: Sequence[str], ids: Mapping[str, int], unknown: int) -> list[int]:
    """Of each word the longest beginning that is a token, again and again; all of it unknown where there is none."""
    found: list[int] = []
    for word in words:
        rest, pieces = f"▁{word}", []
        while rest:
            length = next((length for length in range(len(rest), 0, -1) if rest[:length] in ids), 0)
            if not length:
                pieces = [unknown]
                break
            pieces.append(ids[rest[:length]])
            rest = rest[length:]
        found += pieces
    return found
