"""WordPiece (``bert``) as llama.cpp does it, with words that begin with ``▁`` in place of parts that begin with ``##``.

It differs from that of BERT in what it takes for accents and in the characters that it decomposes: of each only the
first part is left. See ``llm_tokenizer_wpm_session``.
"""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING

from tokenfacade.backends.gguf_fragments import FragmentEncoder

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tokenfacade.backends.gguf_vocabulary import Vocabulary
    from tokenfacade.encoding import Span

BEGIN = "▁"
_SPACES = frozenset("\t\n\v\f\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000") | {chr(n) for n in range(0x2000, 0x200B)}
_CHINESE = (
    *((0x4E00, 0x9FFF), (0x3400, 0x4DBF), (0x20000, 0x2A6DF), (0x2A700, 0x2B73F), (0x2B740, 0x2B81F)),
    *((0x2B920, 0x2CEAF), (0xF900, 0xFAFF), (0x2F800, 0x2FA1F)),
)
# Marks and punctuation since Unicode 14, which the Python that runs this may not know.
_NEWER_MARKS = (
    *((0x898, 0x89F), (0x8CA, 0x8D2), (0xC3C, 0xC3C), (0xCF3, 0xCF3), (0xECE, 0xECE), (0x1715, 0x1715)),
    *((0x180F, 0x180F), (0x1AC1, 0x1ACE), (0x1DFA, 0x1DFA), (0x10EFD, 0x10EFF), (0x10F82, 0x10F85)),
    *((0x11070, 0x11070), (0x11073, 0x11074), (0x110C2, 0x110C2), (0x11241, 0x11241), (0x11F00, 0x11F01)),
    *((0x11F03, 0x11F03), (0x11F34, 0x11F3A), (0x11F3E, 0x11F42), (0x13440, 0x13440), (0x13447, 0x13455)),
    *((0x1CF00, 0x1CF2D), (0x1CF30, 0x1CF46), (0x1E08F, 0x1E08F), (0x1E2AE, 0x1E2AE), (0x1E4EC, 0x1E4EF)),
)
_NEWER_SIGNS = (
    *((0x61D, 0x61D), (0x1B7D, 0x1B7E), (0x2E53, 0x2E5D), (0x10F86, 0x10F89), (0x116B9, 0x116B9)),
    *((0x11B00, 0x11B09), (0x11F43, 0x11F4F), (0x12FF1, 0x12FF2)),
)
_MOST_WORDS = 1 << 15
_LONGEST_KEPT = 40
_MOST_CHARACTERS = 1 << 16


class _Rewriting(dict[int, str]):
    """What becomes of each character; worked out when it is first met."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        super().__init__()
        self._lowercase = vocabulary.lowercase
        self._strip_accents = vocabulary.strip_accents

    def __missing__(self, code: int) -> str:
        if len(self) >= _MOST_CHARACTERS:
            self.clear()
        found = self[code] = self._rewritten(chr(code))
        return found

    def _rewritten(self, character: str) -> str:
        if self._strip_accents:
            character = unicodedata.normalize("NFD", character)[0]
        if character in _SPACES:
            return " "
        category = _category(character)
        if character in "\0\ufffd" or category in ("Cc", "Cf", "Co"):
            return ""
        if self._strip_accents and category[0] == "M":
            return ""
        spelled = character.lower()[0] if self._lowercase else character
        is_sign = category[0] == "P" or (category[0] == "S" and character < "\x7f")
        return f" {spelled} " if is_sign or _is_in(character, _CHINESE) else spelled


class WordPieceEncoder(FragmentEncoder):
    """The longest tokens that a word consists of, from its beginning; a word that doesn't is one unknown token."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._ids = vocabulary.ids
        self._tokens = vocabulary.tokens
        self._lengths = sorted(set(map(len, vocabulary.tokens)), reverse=True)
        self._unknown = [vocabulary.roles["unk"]] if "unk" in vocabulary.roles else []
        self._rewriting = _Rewriting(vocabulary)
        self._known: dict[str, list[int]] = {}

    def encode(self, text: str, *, is_first: bool) -> list[int]:
        ids: list[int] = []
        known = self._known
        for word in text.translate(self._rewriting).split(" "):
            if word:
                found = known.get(word)
                ids += self._encode_word(word) if found is None else found
        return ids

    def _encode_word(self, word: str) -> list[int]:
        ids = self._pieces(BEGIN + word)
        if len(word) <= _LONGEST_KEPT:
            if len(self._known) >= _MOST_WORDS:
                self._known.clear()
            self._known[word] = ids
        return ids

    def _pieces(self, word: str) -> list[int]:
        ids = []
        at, end = 0, len(word)
        while at < end:
            for length in self._lengths:
                token_id = self._ids.get(word[at : at + length]) if at + length <= end else None
                if token_id is not None:
                    ids.append(token_id)
                    at += length
                    break
            else:
                return self._unknown
        return ids

    def offsets(self, text: str, ids: list[int], *, is_first: bool) -> list[Span]:
        spans: list[Span] = []
        for word, places in self._words(text):
            found = self._pieces(BEGIN + word)
            if found == self._unknown:
                spans += [(places[0], places[-1] + 1)] * len(found)
                continue
            at = -1  # the mark of the beginning is not in the text
            for token_id in found:
                start, at = max(at, 0), at + len(self._tokens[token_id])
                spans.append((places[start], places[at - 1] + 1) if at > start else (places[start], places[start]))
        return spans

    def _words(self, text: str) -> list[tuple[str, list[int]]]:
        """The words, and for each of their characters where it stands in the text."""
        words: list[tuple[list[str], list[int]]] = [([], [])]
        for place, character in enumerate(text):
            for letter in self._rewriting[ord(character)]:
                if letter == " ":
                    words.append(([], []))
                else:
                    words[-1][0].append(letter)
                    words[-1][1].append(place)
        return [("".join(letters), places) for letters, places in words if letters]


def _category(character: str) -> str:
    category = unicodedata.category(character)
    if category == "Cn" and _is_in(character, _NEWER_MARKS):
        return "Mn"
    return "Po" if category == "Cn" and _is_in(character, _NEWER_SIGNS) else category


def _is_in(character: str, ranges: Iterable[tuple[int, int]]) -> bool:
    return any(first <= ord(character) <= last for first, last in ranges)
