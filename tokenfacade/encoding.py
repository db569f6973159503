"""The values that cross the API: an encoded text, and a model's special tokens."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Protocol, overload

Span = tuple[int, int]
"""A range of characters, first included, last excluded."""


MOST_SHOWN = 2000
"""Tokens that a notebook shows of one encoding."""


class EncodingSource(Protocol):
    """What an `Encoding` asks of the tokenizer that made it, when it is asked for more than ids."""

    def id_to_token(self, token_id: int) -> str | None: ...

    def token_bytes(self, token_id: int) -> bytes: ...

    def token_offsets(self, encoding: Encoding) -> list[Span]: ...


class Encoding(Sequence[int]):
    """An encoded text: a sequence of token ids that knows where each came from.

    `ids` is the very list that the backend made, not a copy: change it only if the encoding is yours alone. Tokens
    and offsets are worked out when they are asked for, so an encoding of which only the ids are read costs no more
    than they do. Two encodings are equal when their ids are.

    Attributes:
        ids: The token ids.
        add_special_tokens: Whether the post-processor's tokens (BOS, EOS) were added.
        parse_special_tokens: Whether special tokens spelled in the text became their ids.
        assistant_mask: For a chat, where it was asked for: 1 for each token of what the model said, else 0.

    Example:
        >>> from tokenfacade import MockTokenizer
        >>> encoding = MockTokenizer().encode("hello world")
        >>> encoding.tokens
        ['hello', ' world']
        >>> encoding.offsets
        [(0, 5), (5, 11)]
        >>> len(encoding), encoding[0] == encoding.ids[0]
        (2, True)
    """

    __slots__ = (
        *("_offsets", "_source", "_text", "add_special_tokens", "assistant_mask", "ids", "parse_special_tokens"),
    )

    def __init__(
        self,
        ids: list[int],
        text: str,
        source: EncodingSource,
        *,
        add_special_tokens: bool,
        parse_special_tokens: bool,
        offsets: list[Span] | None = None,
    ) -> None:
        self.ids = ids
        self._text = text
        self.add_special_tokens = add_special_tokens
        self.parse_special_tokens = parse_special_tokens
        self.assistant_mask: list[int] | None = None
        self._source = source
        self._offsets = offsets

    @property
    def text(self) -> str:
        """The text that was encoded; a lone surrogate in it has become U+FFFD."""
        return mend_surrogates(self._text)

    @property
    def tokens(self) -> list[str]:
        """The vocabulary's own spelling of each id; ``""`` for one that it lacks."""
        return [self._source.id_to_token(token_id) or "" for token_id in self.ids]

    @property
    def offsets(self) -> list[Span]:
        """For each id the characters of `text` that it stands for, as (first, last excluded).

        Tokens that share a character, because it takes several, have overlapping spans; what was added by the post-
        processor has an empty one.
        """
        return self._source.token_offsets(self) if self._offsets is None else self._offsets

    def __len__(self) -> int:
        return len(self.ids)

    def __iter__(self) -> Iterator[int]:
        return iter(self.ids)

    @overload
    def __getitem__(self, index: int) -> int: ...

    @overload
    def __getitem__(self, index: slice) -> list[int]: ...

    def __getitem__(self, index: int | slice) -> int | list[int]:
        return self.ids[index]

    def __eq__(self, other: object) -> bool:
        return self.ids == other.ids if isinstance(other, Encoding) else NotImplemented

    def __hash__(self) -> int:
        return hash(tuple(self.ids))

    def __repr__(self) -> str:
        shown = self.text if len(self.text) <= 40 else self.text[:39] + "…"
        return f"<Encoding of {shown!r}: {len(self.ids)} tokens>"

    def _repr_html_(self) -> str:
        """Coloured tokens, for a notebook; hovering shows the id and the spelling."""
        return '<div style="line-height:1.9;font-family:monospace">' + "".join(self._html_tokens()) + "</div>"

    def _html_tokens(self) -> Iterator[str]:
        from html import escape

        shown_ids = self.ids[:MOST_SHOWN]
        for index, token_id in enumerate(shown_ids):
            token = self._source.id_to_token(token_id) or ""
            shown = self._source.token_bytes(token_id).decode("utf-8", "replace") if token else "?"
            label = escape(shown).replace("\n", "⏎<br>").replace(" ", "&nbsp;")
            style = f"background:hsl({index * 67 % 360},70%,85%);color:#222;border-radius:3px;padding:1px 0"
            yield f'<span style="{style}" title="{token_id} {escape(repr(token))}">{label}</span>'
        if len(self.ids) > MOST_SHOWN:
            yield f" … and {len(self.ids) - MOST_SHOWN} more tokens"


def mend_surrogates(text: str) -> str:
    r"""The text as UTF-8 can hold it: a pair of surrogates becomes its character, a lone one U+FFFD.

    Such strings come from JSON that escapes half a character, and from file names; no tokenizer takes them.

    Example:
        >>> mend_surrogates("ok \ud83d\ude00 \ud800") == "ok 😀 \ufffd"
        True
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def spans_of_bytes(text: str, pieces: Iterable[bytes]) -> list[Span]:
    r"""Character spans of pieces whose bytes, joined, are the UTF-8 of `text`; a piece owns every character it
    touches.

    Example:
        >>> spans_of_bytes("a😊", [b"a", b"\xf0\x9f", b"\x98\x8a"])
        [(0, 1), (1, 2), (1, 2)]
    """
    owner = [index for index, character in enumerate(text) for _ in character.encode()]
    owner.append(len(text))
    spans, at = [], 0
    for piece in pieces:
        start, at = at, at + len(piece)
        spans.append((owner[start], owner[at - 1] + 1 if piece else owner[start]))
    return spans


@dataclass(frozen=True, slots=True)
class SpecialTokens:
    """A model's special tokens: the named ones as they are spelled, and every one with its id.

    A name that the model doesn't use is None. `named` holds what a model names beside the usual roles
    (``"image_token"``); `ids` holds every token that is flagged special, named or not, and decides what
    ``skip_special_tokens`` drops.

    Example:
        >>> from tokenfacade import MockTokenizer
        >>> special = MockTokenizer().special_tokens
        >>> special.eos, special.ids[special.eos] in MockTokenizer().eos_token_ids
        ('</s>', True)
    """

    bos: str | None = None
    eos: str | None = None
    unk: str | None = None
    pad: str | None = None
    sep: str | None = None
    cls: str | None = None
    mask: str | None = None
    named: Mapping[str, str] = field(default_factory=dict)
    ids: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "named", MappingProxyType(dict(self.named)))
        object.__setattr__(self, "ids", MappingProxyType(dict(self.ids)))

    @property
    def variables(self) -> dict[str, str]:
        """What a chat template may write: the named tokens under the names of a config (``"bos_token"``).

        Names that the model doesn't use are absent, so that a template can ask for them.

        Example:
            >>> SpecialTokens(eos="</s>", named={"image_token": "<image>"}).variables
            {'eos_token': '</s>', 'image_token': '<image>'}
        """
        roles = ("bos", "eos", "unk", "sep", "pad", "cls", "mask")  # in the order of transformers
        used = {f"{role}_token": token for role in roles if (token := getattr(self, role)) is not None}
        return {**used, **self.named}

    def __hash__(self) -> int:
        return hash(
            (self.bos, self.eos, self.unk, self.pad, self.sep, self.cls, self.mask, frozenset(self.ids.items()))
        )

    def __reduce__(self) -> tuple[type[SpecialTokens], tuple[object, ...]]:
        roles = (self.bos, self.eos, self.unk, self.pad, self.sep, self.cls, self.mask)
        return SpecialTokens, (*roles, dict(self.named), dict(self.ids))
