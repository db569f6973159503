"""Text with special tokens in it to ids, as the slow classes of transformers do it: token by token, the rest apart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tokenfacade.backends.sentencepiece_added import AddedTokens
from tokenfacade.backends.sentencepiece_model import SPACE
from tokenfacade.lazy import cached_property

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tokenfacade.backends.sentencepiece_config import Rules
    from tokenfacade.backends.sentencepiece_library import Library
    from tokenfacade.encoding import Span


@dataclass(frozen=True, slots=True)
class _Step:
    """An added token, or a stretch of text for the library: `before` is encoded with it, and then dropped."""

    text: str
    start: int
    token_id: int | None = None
    before: str = ""
    dropped: int = 0


class Parser:
    """Encodes texts in which added tokens are found.

    With a prefix other than the library's, a stretch of text is encoded without a space before it. The library drops
    spaces from the start of such a text, so that one which begins with a space follows the unknown token there.
    """

    def __init__(self, library: Library, rules: Rules) -> None:
        self._library = library
        self._rules = rules
        self._tokens = AddedTokens(rules.added.values())
        self._ids = {token.content: token_id for token_id, token in rules.added.items()}
        moved = enumerate(library.model.texts)
        self._moved = {n: self._ids[text] for n, text in moved if self._ids.get(text, n) != n}
        self._is_plain = rules.prefix == "library" and not self._moved

    def ids(self, text: str) -> list[int]:
        """The ids of a text without lone surrogates."""
        if self._is_plain and not self._tokens.may_be_in(text):
            return self._library.encode(text)
        ids: list[int] = []
        for step in self._steps(text):
            if step.token_id is not None:
                ids.append(step.token_id)
            else:
                found = self._encode(step.before + step.text)
                ids += found[step.dropped :] if len(found) >= step.dropped else found
        moved = self._moved
        return [moved.get(token_id, token_id) for token_id in ids] if moved else ids

    def spans(self, text: str) -> list[Span]:
        """The characters that each of those ids stands for."""
        spans: list[Span] = []
        for step in self._steps(text):
            if step.token_id is not None:
                spans.append((max(step.start, 0), step.start + len(step.text)))
                continue
            inside = self._rules.prefix != "library"
            found = self._library.spans(step.before + step.text, inside=inside)
            shift = step.start - len(step.before)
            end = step.start + len(step.text)
            kept = found[step.dropped :] if len(found) >= step.dropped else found
            spans += [
                (min(max(one + shift, step.start, 0), end), max(other + shift, step.start, 0)) for one, other in kept
            ]
        return spans

    def _encode(self, text: str) -> list[int]:
        library = self._library
        return library.encode(text) if self._rules.prefix == "library" else library.encode_inside(text)

    def _steps(self, text: str) -> Iterator[_Step]:
        prefix = self._rules.prefix
        shift = 0
        if prefix != "library" and text:
            text = text.replace(SPACE, " ")
            if prefix == "space":
                text, shift = SPACE + text, 1
        parts = self._tokens.split(text) if self._tokens.may_be_in(text) else []
        steps = [self._step(part.text, part.start - shift, is_token=part.is_token) for part in parts]
        if not parts and text:
            steps = [self._step(text, -shift, is_token=False)]
        if prefix != "library" and len(steps) > 1 and steps[0].text in (SPACE, " ") and self._is_special(steps[1]):
            del steps[0]
        yield from steps

    def _step(self, text: str, start: int, *, is_token: bool) -> _Step:
        if is_token:
            return _Step(text, start, token_id=self._ids[text])
        if self._rules.prefix == "library" or not text.startswith((SPACE, " ")):
            return _Step(text, start)
        return _Step(text, start, before=self._unknown, dropped=self._unknown_length)

    def _is_special(self, step: _Step) -> bool:
        return step.token_id is not None and step.text in self._rules.named

    @cached_property
    def _unknown(self) -> str:
        named = self._rules.config.named.get("unk_token")
        return named.content if named else self._library.model.roles["unk"]

    @cached_property
    def _unknown_length(self) -> int:
        return len(self._library.encode_inside(self._unknown))
