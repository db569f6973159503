"""Where special tokens stand in a text, as llama.cpp finds them before it looks at words.

It takes the tokens one by one, the longest first, and cuts what is left of the text at each occurrence. Where no two
tokens can overlap in a text, one regular expression finds the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tokenfacade.spellings import longest_first_pattern

if TYPE_CHECKING:
    import re
    from collections.abc import Collection, Iterable, Mapping

    from tokenfacade.backends.gguf_vocabulary import StripRules

Part = tuple[int, int, int | None]
"""From where to where in a text, and the id of the token there; None for text."""

_SPACE = " \t\n\v\f\r"
_LONGEST = 512
_MOST_CHARACTERS = 400_000


@dataclass(frozen=True, slots=True, eq=False)
class Partition:
    """The special tokens of one kind of call.

    Attributes:
        tokens: The tokens with their ids, longest first.
        strips: Which of them take the white space beside them.
        pattern: Finds them all; None where they have to be looked for one by one, or there are none.
    """

    tokens: Mapping[str, int]
    strips: StripRules
    pattern: re.Pattern[str] | None

    @classmethod
    def of(cls, tokens: Mapping[str, int], strips: StripRules) -> Partition:
        """Find out how these tokens can be looked for."""
        ordered = sorted(tokens, key=lambda token: len(token.encode()), reverse=True)
        has_strips = bool(strips.left or strips.right)
        is_simple = not can_overlap(tokens) and not (has_strips and any(map(_has_space_at_an_edge, tokens)))
        pattern = longest_first_pattern(tokens) if tokens and is_simple else None
        return cls({token: tokens[token] for token in ordered}, strips, pattern)

    @property
    def is_found_at_once(self) -> bool:
        """Whether they are found from left to right, and of those that begin together the longest."""
        return self.pattern is not None or not self.tokens

    @property
    def is_simple(self) -> bool:
        """Whether, beside this, they take no white space."""
        return self.is_found_at_once and not (self.strips.left or self.strips.right)

    def parts(self, text: str) -> list[Part]:
        """The text and tokens of which a text consists, in order; no part is empty.

        Example:
            >>> from tokenfacade.backends.gguf_vocabulary import StripRules
            >>> Partition.of({"<s>": 1}, StripRules()).parts("a<s>b")
            [(0, 1, None), (1, 4, 1), (4, 5, None)]
        """
        if self.pattern is not None:
            return self._found_at_once(text, self.pattern)
        parts: list[Part] = [(0, len(text), None)] if text else []
        for token, token_id in self.tokens.items():
            if token in text:
                parts = [cut for part in parts for cut in self._cut(text, part, token, token_id)]
        return parts

    def _found_at_once(self, text: str, pattern: re.Pattern[str]) -> list[Part]:
        parts: list[Part] = []
        at = 0
        for match in pattern.finditer(text):
            token_id = self.tokens[match.group()]
            start, end = match.span()
            self._append_text(text, at, start, token_id, parts)
            parts.append((start, end, token_id))
            at = self._after(text, end, len(text), token_id)
        if at < len(text):
            parts.append((at, len(text), None))
        return parts

    def _cut(self, text: str, part: Part, token: str, token_id: int) -> Iterable[Part]:
        at, end, found = part
        if found is not None:
            return (part,)
        parts: list[Part] = []
        while (start := text.find(token, at, end)) >= 0:
            self._append_text(text, at, start, token_id, parts)
            parts.append((start, start + len(token), token_id))
            at = self._after(text, start + len(token), end, token_id)
        if at < end:
            parts.append((at, end, None))
        return parts

    def _append_text(self, text: str, start: int, end: int, token_id: int, parts: list[Part]) -> None:
        """The text before a token, without the white space that the token takes."""
        if token_id in self.strips.left:
            while start < end and text[end - 1] in _SPACE:
                end -= 1
        if start < end:
            parts.append((start, end, None))

    def _after(self, text: str, at: int, end: int, token_id: int) -> int:
        if token_id in self.strips.right:
            while at < end and text[at] in _SPACE:
                at += 1
        return at


def can_overlap(tokens: Collection[str]) -> bool:
    """Whether the end of one token is the beginning of another, so that it matters which is found first.

    Runs of one character don't count: the longest from the left are found either way. For very long or very many tokens
    it isn't worked out, and taken to be so.

    Example:
        >>> can_overlap(["<|a|>", "<|b|>"]), can_overlap(["ab", "bc"]), can_overlap(["  ", "    "])
        (False, True, False)
    """
    if max(map(len, tokens), default=0) > _LONGEST or sum(map(len, tokens)) > _MOST_CHARACTERS:
        return True
    beginnings = {token[:end] for token in tokens for end in range(1, len(token))}
    for token in tokens:
        for start in range(1, len(token)):
            if token[start:] in beginnings and (_is_not_run(token) or _begins_other(token[start:], tokens)):
                return True
    return False


def _is_not_run(token: str) -> bool:
    return token.strip(token[0]) != ""


def _begins_other(end: str, tokens: Collection[str]) -> bool:
    return any(token.startswith(end) and _is_not_run(token) for token in tokens)


def _has_space_at_an_edge(token: str) -> bool:
    return token.strip(_SPACE) != token
