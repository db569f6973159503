"""Unigram (``t5``): the most probable pieces of a text, with the rules of llama.cpp for what comes before.

The sums are those of llama.cpp, in double precision, as the `tokenizers` library makes them; `sentencepiece` makes
them in single precision, which divides long texts otherwise.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import tokenizers
from tokenizers import models

from tokenfacade.backends.gguf_charsmap import read_charsmap
from tokenfacade.backends.gguf_fragments import FragmentEncoder
from tokenfacade.backends.gguf_vocabulary import NORMAL, UNUSED, USER_DEFINED
from tokenfacade.errors import CorruptTokenizerError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from tokenfacade.backends.gguf_vocabulary import Vocabulary
    from tokenfacade.encoding import Span

SPACE = "▁"
_LONGEST_KEPT = 512


class UnigramEncoder(FragmentEncoder):
    """The pieces of a file and their scores, after normalization.

    Pieces that mustn't be found in text have spellings here that no text has.

    Args:
        vocabulary: The vocabulary.
        source: What error messages call it.
    """

    def __init__(self, vocabulary: Vocabulary, source: str) -> None:
        self._prefixes = vocabulary.add_space_prefix
        self._merges = vocabulary.remove_extra_whitespaces
        rules = read_charsmap(vocabulary.charsmap, source)
        self._single = {ord(key): text for key, text in rules.items() if len(key) == 1}
        self._several = {key: text for key, text in rules.items() if len(key) > 1}
        self._longest = max(map(len, self._several), default=0)
        defined = [vocabulary.tokens[n] for n, kind in enumerate(vocabulary.types) if kind == USER_DEFINED]
        self._kept = {token[:end] for token in defined for end in range(1, min(len(token), _LONGEST_KEPT) + 1)}
        self._notable = re.compile(_notable(defined, self._several), re.DOTALL)
        if "unk" not in vocabulary.roles:
            raise CorruptTokenizerError(f"{source} has no unknown token: convert the model again", source=source)
        model = models.Unigram(_scored(vocabulary), vocabulary.roles["unk"], byte_fallback=False)
        self._raw = tokenizers.Tokenizer(model)

    def encode(self, text: str, *, is_first: bool) -> list[int]:
        ids: list[int] = self._raw.encode(self._normalized(text), add_special_tokens=False).ids
        return ids

    def offsets(self, text: str, ids: list[int], *, is_first: bool) -> list[Span]:
        characters: list[tuple[str, Span]] = []
        for start, end, rewritten in self._segments(text):
            if rewritten is not None:
                characters += [(character, (start, end)) for character in rewritten]
                continue
            for place, original in enumerate(text[start:end], start):
                letters = self._single.get(ord(original), original)
                characters += [(letter, (place, place + 1)) for letter in letters]
        normalized, places = self._spaced_with_places(characters)
        spans = self._raw.encode(normalized, add_special_tokens=False).offsets
        return [(places[start][0], places[max(end - 1, start)][1]) for start, end in spans]

    def _normalized(self, text: str) -> str:
        if self._single or self._several:
            text = "".join(
                text[start:end].translate(self._single) if rewritten is None else rewritten
                for start, end, rewritten in self._segments(text)
            )
        if self._merges:
            return "".join(SPACE + word for word in text.split(" ") if word)
        words = text.lstrip(" ")
        if self._prefixes and words:
            text = f"{text[: len(text) - len(words)]} {words}"
        return text.replace(" ", SPACE)

    def _spaced_with_places(self, characters: list[tuple[str, Span]]) -> tuple[str, list[Span]]:
        """What `_normalized` does to spaces, for characters that know where they come from."""
        spaced: list[tuple[str, Span]] = []
        is_inside = was_prefixed = False
        for character, span in characters:
            if character == " ":
                is_inside = False
                if not self._merges:
                    spaced.append((SPACE, span))
                continue
            if not is_inside and (self._merges or (self._prefixes and not was_prefixed)):
                spaced.append((SPACE, (span[0], span[0])))
                was_prefixed = True
            is_inside = True
            spaced.append((character, span))
        return "".join(character for character, _ in spaced), [span for _, span in spaced]

    def _segments(self, text: str) -> Iterator[tuple[int, int, str | None]]:
        """The text in segments: what several characters become, and between them those that become something alone."""
        at = place = 0
        while match := self._notable.search(text, place):
            place = match.start()
            length, rewritten = self._rewritten_at(text, place)
            if length == 0:
                place += 1
                continue
            if at < place:
                yield at, place, None
            yield place, place + length, rewritten
            at = place = place + length
        if at < len(text):
            yield at, len(text), None

    def _rewritten_at(self, text: str, place: int) -> tuple[int, str]:
        """How many characters from here are kept as they are or rewritten together, and what they become."""
        length = 0
        # llama.cpp keeps whatever a user-defined token begins with.
        while text[place : place + length + 1] in self._kept and place + length < len(text):
            length += 1
        if length:
            return length, text[place : place + length]
        for length in range(min(self._longest, len(text) - place), 1, -1):
            rewritten = self._several.get(text[place : place + length])
            if rewritten is not None:
                return length, rewritten
        return 0, ""


def _notable(defined: list[str], several: Collection[str]) -> str:
    """Finds where a user-defined token may begin, or several characters that are rewritten together."""
    first, second, kept = (
        re.escape("".join(sorted(set(letters))))
        for letters in ((key[0] for key in several), (key[1] for key in several), (token[0] for token in defined))
    )
    patterns = [f"[{kept}]" if kept else "", f"[{first}][{second}]" if first else ""]
    return "|".join(filter(None, patterns)) or "(?!)"


def _scored(vocabulary: Vocabulary) -> list[tuple[str, float]]:
    scores = vocabulary.scores or [0.0] * len(vocabulary.tokens)
    normal = [score for score, kind in zip(scores, vocabulary.types, strict=True) if kind == NORMAL]
    least, greatest = min(normal, default=0.0), max(normal, default=0.0)
    pieces = []
    for token_id, (token, score, kind) in enumerate(zip(vocabulary.tokens, scores, vocabulary.types, strict=True)):
        if kind == USER_DEFINED:
            pieces.append((token, 0.0))
        elif kind == NORMAL or (kind == UNUSED and score >= least):
            pieces.append((token, score))
        else:
            # A less probable unused piece is never worth its price, and would lower that of the unknown.
            pieces.append((f"\ufdd0{token_id}\ufdd1{token}\ufdd0", greatest))
    return pieces
