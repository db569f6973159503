"""Added tokens in a text: where the slow classes of transformers find them, and what they leave of the rest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tokenfacade.spellings import common_beginning, longest_first_pattern

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from tokenfacade.model_config import AddedTokenConfig

WINDOW = 1 << 16
"""Characters that are searched at a time: a search holds the interpreter's lock from its beginning to its end."""


@dataclass(slots=True)
class Part:
    """A stretch of a text: an added token, or what is left for the model, as it is after white space was stripped."""

    text: str
    start: int
    is_token: bool


class AddedTokens:
    """The added tokens of a vocabulary, found by their spelling.

    The rules are those of `PreTrainedTokenizer.tokenize` in transformers: the leftmost, of those the longest; then
    `lstrip` and `rstrip` take white space from what is beside, and a `single_word` that touches a word goes back to the
    text. (Its trie is a regular expression here, which finds a token also where a longer one began and ended too soon.)

    Args:
        tokens: The flags of each token.
    """

    def __init__(self, tokens: Iterable[AddedTokenConfig]) -> None:
        self._tokens = {token.content: token for token in tokens}
        self._pattern = longest_first_pattern(self._tokens)
        self._longest = max(map(len, self._tokens), default=0)
        self._has_flags = any(token.lstrip or token.rstrip or token.single_word for token in self._tokens.values())
        # They begin alike ("<"): a text without that beginning has none, and is spared the search.
        self._marker = common_beginning(self._tokens)

    def may_be_in(self, text: str) -> bool:
        """Whether a text could have one; for all but long texts, whether it has one."""
        if not self._tokens or self._marker not in text:
            return False
        return len(text) > WINDOW or self._pattern.search(text) is not None

    def split(self, text: str) -> list[Part]:
        """The parts of a text, in order; none is empty."""
        parts = list(self._found(text))
        if self._has_flags:
            parts = _with_flags(parts, self._tokens)
        return parts

    def _found(self, text: str) -> Iterator[Part]:
        done = searched = 0
        while searched < len(text):
            limit = searched + WINDOW
            match = self._pattern.search(text, searched, limit + self._longest)
            if match is None or match.start() >= limit:
                searched = limit
                continue
            if done < match.start():
                yield Part(text[done : match.start()], done, is_token=False)
            yield Part(match.group(), match.start(), is_token=True)
            done = searched = match.end()
        if done < len(text):
            yield Part(text[done:], done, is_token=False)


def _with_flags(parts: list[Part], tokens: Mapping[str, AddedTokenConfig]) -> list[Part]:
    for index, part in enumerate(parts):
        token = tokens.get(part.text)
        if token is None:
            continue
        left = parts[index - 1] if index else None
        right = parts[index + 1] if index + 1 < len(parts) else None
        before, after = left.text if left else "", right.text if right else ""
        if token.rstrip and right:
            right.text = after.lstrip()
            right.start += len(after) - len(right.text)
        if token.lstrip and left:
            left.text = before.rstrip()
        if token.single_word and left and before and before[-1] != " ":
            left.text += part.text
            part.text = ""
        elif token.single_word and right and after and after[0] != " ":
            right.text = part.text + right.text
            right.start = part.start
            part.text = ""
    for part in parts:
        part.is_token = part.text in tokens
    return [part for part in parts if part.text]
