"""Which tokens of a vocabulary steer a model, so that no message may write them."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tokenfacade.encoding import Encoding, Span
    from tokenfacade.protocols import Tokenizer

_FORMATTING = frozenset(
    (
        *("b", "blockquote", "br", "caption", "code", "div", "em", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "i", "li"),
        *("ol", "p", "pre", "span", "strong", "sub", "sup", "table", "tbody", "td", "tfoot", "th", "thead", "tr", "u"),
        "ul",
    )
)
"""Tags of HTML that vocabularies such as Gemma's have as tokens, because texts are full of them."""

_UNKNOWN = ("\ufffd", "\ue000", "𓂀", "\U0002a6a5", "ꙮ", "🫎")
"""Characters that hardly any vocabulary has; normalizers take some of them away."""


def is_structural(token: str) -> bool:
    """Whether an added token that isn't flagged special looks as if it steered the model.

    Most do: DeepSeek's ``<｜User｜>`` and Qwen's ``<think>`` are flagged no more than Gemma's runs of line breaks. What
    can stand in any text doesn't: white space, words, emoji, and the tags of formatted text.

    Example:
        >>> [is_structural(token) for token in ("<think>", "[TOOL_CALLS]", "｜DSML｜", "  ", "word", "<table>")]
        [True, True, True, False, False, False]
    """
    if is_formatting_tag(token):
        return False
    return token != token.strip("_") or any(map(_is_mark, token.replace("_", "")))


def is_formatting_tag(token: str) -> bool:
    """Whether it is a tag of formatted text."""
    return token.startswith("<") and token.endswith(">") and token[1:-1].removeprefix("/") in _FORMATTING


def _is_mark(character: str) -> bool:
    """Whether it is punctuation or a sign, or no character to be seen."""
    kind = unicodedata.category(character)
    return kind[0] == "P" or kind in ("Sm", "Sc", "Sk") or (kind[0] == "C" and not character.isspace())


class ControlTokens:
    """The tokens of a vocabulary that are found by their spelling, and which of them steer the model.

    Attributes:
        spellings: The added tokens by id.
        ids: Those that steer: special ones, and others that look like it.
        tags: Those that steer in the prompts of templates that write them, and are text elsewhere.
        unknown: Those that stand for characters that the vocabulary lacks.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        added = tokenizer.added_tokens
        special = tokenizer.special_tokens.ids
        self.spellings: Mapping[int, str] = {token_id: token for token, token_id in added.items()}
        self.ids = frozenset(
            n for token, n in added.items() if is_structural(token) or (token in special and not token.isspace())
        )
        self.tags = frozenset(n for token, n in added.items() if is_formatting_tag(token)) - self.ids
        # What stands for unknown characters is flagged special too, and comes out of innocent text.
        plain = (tokenizer.encode(character, parse_special_tokens=False).ids for character in _UNKNOWN)
        self.unknown = self.ids & {n for ids in plain for n in ids}

    def found(self, encoding: Encoding, ids: frozenset[int]) -> list[tuple[Span, int]]:
        """Where in the text of an encoding any of these ids stand for something that is spelled there."""
        if ids.isdisjoint(encoding.ids):
            return []
        text = encoding.text
        return [
            (span, token_id)
            for token_id, span in zip(encoding.ids, encoding.offsets, strict=True)
            if token_id in ids and self._is_meant(text[span[0] : span[1]], token_id)
        ]

    def _is_meant(self, text: str, token_id: int) -> bool:
        """Whether the text spells the token; some vocabularies have a token for line breaks, and for the unknown."""
        spelling = self.spellings[token_id]
        if text.isspace() and not spelling.isspace():
            return False
        return token_id not in self.unknown or _folded(text) == _folded(spelling)

    def core(self, text: str, placed: tuple[Span, int]) -> Span:
        """Where a token is spelled, without the white space around it that it takes along."""
        (start, end), token_id = placed
        found, spelling = text[start:end], self.spellings[token_id]
        if not found.strip() or spelling != spelling.strip():
            return start, end
        return end - len(found.lstrip()), start + len(found.rstrip())

    def absent_character(self, candidates: Iterable[str]) -> str:
        """The first of these characters that is in no added token, or else the first."""
        some = list(candidates)
        used = {character for token in self.spellings.values() for character in token.casefold()}
        return next((character for character in some if character not in used), some[0])


def _folded(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold().strip()
