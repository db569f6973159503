"""A small tokenizer without files, for tests of code that uses tokenizers."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from tokenfacade.cut_points import safe_cut_points
from tokenfacade.decoding.pieces import Pieces
from tokenfacade.decoding.transducer import checked_id
from tokenfacade.encoding import Encoding, SpecialTokens
from tokenfacade.errors import ConfigurationError
from tokenfacade.lazy import cached_property
from tokenfacade.protocols import Tokenizer, checked_text

if TYPE_CHECKING:
    from tokenfacade.chat.discovery import ChatTemplateSource
    from tokenfacade.decoding.pieces import Piece

DEFAULT_WORDS = (
    "a about after all and as at be but by can do for from get go good has have he hello her him his how I if in is "
    "it its just know like "
    "make me my no not now of on one or our out over say see she so some stop take test than that the their them then "
    "there they this "
    "time to token tokens two up use want was we what when which who will with word words world would yes you your"
)
DEFAULT_SPECIAL = ("<s>", "</s>", "<unk>", "<pad>", "<|im_start|>", "<|im_end|>")

_WORD = re.compile(r" ?\w+| ?[^\w\s]+|\s")


class MockTokenizer(Tokenizer):
    """A deterministic tokenizer that obeys every law: known words, each with and without a leading space, and bytes
    for the rest.

    Ids 0 to 255 are the bytes, then come the words, then the special tokens. Every text survives encode and decode,
    and characters outside ASCII take several tokens, so that streams of partial characters can be tested. The fields
    `bos`, `eos`, `unk` and `pad` of its special tokens are ``<s>``, ``</s>``, ``<unk>`` and ``<pad>`` where those are
    among them.

    Args:
        words: The known words, in the order of their ids.
        special_tokens: The special tokens, in the order of their ids.
        chat_template: Its chat template, as for `with_chat_template`; there is none by default.

    Raises:
        ConfigurationError: A word or special token is empty, doubled, or spelled like a byte token.
        ChatTemplateError: `chat_template` is no template.

    Example:
        >>> tokenizer = MockTokenizer(["router", "worker"])
        >>> tokenizer.encode("router worker", add_special_tokens=True).tokens
        ['<s>', 'router', ' worker']
        >>> tokenizer.decode(tokenizer.encode("any text 😊"))
        'any text 😊'
    """

    def __init__(
        self,
        words: Iterable[str] | None = None,
        *,
        special_tokens: Sequence[str] = DEFAULT_SPECIAL,
        chat_template: ChatTemplateSource | None = None,
    ) -> None:
        self._words = _spellings("words", DEFAULT_WORDS.split() if words is None else words)
        self._special_words = _spellings("special_tokens", special_tokens)
        spelled = [form for word in self._words for form in (word, f" {word}")]
        self._spellings = [f"<0x{byte:02X}>" for byte in range(256)] + spelled + list(self._special_words)
        self._ids = {token: token_id for token_id, token in enumerate(self._spellings)}
        if len(self._ids) != len(self._spellings) or "" in self._ids or " " in self._ids:
            raise ConfigurationError(
                "words and special tokens of a MockTokenizer must be different from each other and not empty"
            )
        first_special = len(self._spellings) - len(self._special_words)
        roles = {role: token for role, token in _ROLES.items() if token in self._special_words}
        self._special = SpecialTokens(
            bos=roles.get("bos"),
            eos=roles.get("eos"),
            unk=roles.get("unk"),
            pad=roles.get("pad"),
            ids={token: first_special + index for index, token in enumerate(self._special_words)},
        )
        self._special_ids = frozenset(self._special.ids.values())
        longest_first = sorted(self._special_words, key=len, reverse=True)
        self._split = re.compile("|".join(map(re.escape, longest_first)) or r"(?!)")
        if chat_template is not None:
            self.chat_templates = self.chat_templates.replaced(chat_template).checked()

    def encode(self, text: str, *, add_special_tokens: bool = False, parse_special_tokens: bool = True) -> Encoding:
        text = checked_text(text)
        ids = [self._ids["<s>"]] if add_special_tokens and self._special.bos else []
        at = 0
        for match in self._split.finditer(text) if parse_special_tokens else ():
            ids += self._plain_ids(text[at : match.start()])
            ids.append(self._special.ids[match.group()])
            at = match.end()
        ids += self._plain_ids(text[at:])
        return Encoding(
            ids, text, self, add_special_tokens=add_special_tokens, parse_special_tokens=parse_special_tokens
        )

    def _plain_ids(self, text: str) -> list[int]:
        ids: list[int] = []
        first_special = self.vocab_size - len(self._special_words)
        for match in _WORD.finditer(text):  # not findall, which lets no other thread run until it has found all
            word = match.group()
            token_id = self._ids.get(word, first_special)
            if 256 <= token_id < first_special:
                ids.append(token_id)
            else:
                ids += word.encode()
        return ids

    def decode(self, token_ids: Iterable[int], *, skip_special_tokens: bool = True) -> str:
        return self.decode_bytes(token_ids, skip_special_tokens=skip_special_tokens).decode("utf-8", "replace")

    def token_to_id(self, token: str) -> int | None:
        token = checked_text(token)
        return self._ids.get(token)

    def id_to_token(self, token_id: int) -> str | None:
        token_id = checked_id(token_id)
        return self._spellings[token_id] if 0 <= token_id < len(self._spellings) else None

    def pieces(self, *, skip_special_tokens: bool) -> Pieces:
        def piece(token_id: int) -> Piece:
            token = self.id_to_token(token_id)
            if token is None:
                raise KeyError(token_id)
            if skip_special_tokens and token_id in self._special_ids:
                return None
            return bytes([token_id]) if token_id < 256 else token.encode()

        return Pieces(piece)

    @property
    def vocab_size(self) -> int:
        return len(self._spellings)

    @property
    def special_tokens(self) -> SpecialTokens:
        return self._special

    @property
    def eos_token_ids(self) -> tuple[int, ...]:
        return (self._ids["</s>"],) if self._special.eos else ()

    @property
    def backend(self) -> str:
        return "mock"

    @property
    def source(self) -> str:
        return "mock:"

    @cached_property
    def vocabulary_fingerprint(self) -> str:
        return hashlib.sha256(repr((self._words, self._special_words)).encode()).hexdigest()

    def cut_points(self) -> frozenset[str]:
        return safe_cut_points(self._special_words, self._special_words)

    def added_around(self) -> tuple[int, int]:
        return (1 if self._special.bos else 0), 0

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (self._words, self._special_words)


_ROLES = {"bos": "<s>", "eos": "</s>", "unk": "<unk>", "pad": "<pad>"}


def _spellings(name: str, tokens: Iterable[str]) -> tuple[str, ...]:
    if isinstance(tokens, str) or not isinstance(tokens, Iterable):
        raise ConfigurationError(f"{name} takes a list of strings, not {tokens!r}")
    spelled = tuple(tokens)
    if not all(isinstance(token, str) for token in spelled):
        raise ConfigurationError(f"{name} takes strings, not {spelled!r}")
    return spelled


def _rebuild(words: tuple[str, ...], special_tokens: tuple[str, ...]) -> MockTokenizer:
    return MockTokenizer(words, special_tokens=special_tokens)
