"""A growing text and its ids, together."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from tokenfacade.decoding.stream import DecodeStream, refuse_pickling
from tokenfacade.decoding.transducer import checked_id

if TYPE_CHECKING:
    from collections.abc import Sequence as Ids

    from tokenfacade.decoding.tables import UnknownIds
    from tokenfacade.protocols import Tokenizer


class Sequence:
    """Collects ids and their text, for code that needs both at any time: agents, evaluations, logging.

    Unlike a `DecodeStream` it keeps what it has seen, so its memory grows with the text.

    Args:
        tokenizer: The tokenizer that made, or would make, the ids.
        prompt_ids: Ids that precede the sequence; they give context and are not part of it.
        skip_special_tokens: Whether special tokens have no text. Their ids are kept all the same.
        errors: What an unknown id does: ``"ignore"`` or ``"strict"``.

    Raises:
        DecodeError: As for `DecodeStream`.

    Example:
        >>> from tokenfacade import MockTokenizer
        >>> sequence = MockTokenizer().sequence()
        >>> sequence.append_text("hello")
        'hello'
        >>> sequence.append_token(MockTokenizer().encode(" world")[0])
        ' world'
        >>> sequence.text, len(sequence.token_ids)
        ('hello world', 2)
    """

    __slots__ = ("_chunks", "_start", "_stream", "_tokenizer", "token_ids")

    token_ids: list[int]
    """The ids so far, the prompt's not included."""
    _chunks: list[str]
    _stream: DecodeStream

    def __init__(
        self,
        tokenizer: Tokenizer,
        prompt_ids: Ids[int] = (),
        *,
        skip_special_tokens: bool = True,
        errors: UnknownIds = "ignore",
    ) -> None:
        self._tokenizer = tokenizer
        self._start = DecodeStream(tokenizer, prompt_ids, skip_special_tokens=skip_special_tokens, errors=errors)
        self.clear()

    def append_token(self, token_id: int) -> str:
        """Add one id, and return the text that it completes (``""`` if that is nothing)."""
        text = self._stream.step(token_id) or ""
        self.token_ids.append(checked_id(token_id))
        self._chunks.append(text)
        return text

    def append_text(self, text: str, *, add_special_tokens: bool = False, parse_special_tokens: bool = True) -> str:
        """Encode a text, add its ids, and return the text that they complete.

        That need not be `text` itself: a tokenizer may normalize, and SentencePiece-like ones write a space before
        each text that they encode on its own.
        """
        encoding = self._tokenizer.encode(
            text, add_special_tokens=add_special_tokens, parse_special_tokens=parse_special_tokens
        )
        return "".join([self.append_token(token_id) for token_id in encoding.ids])

    @property
    def text(self) -> str:
        """The text so far: whole characters only, until `flush`."""
        if len(self._chunks) > 1:
            self._chunks = ["".join(self._chunks)]
        return self._chunks[0] if self._chunks else ""

    def flush(self) -> str:
        """Add what is held back to the text, and return it (``""`` if that is nothing)."""
        tail = self._stream.flush() or ""
        self._chunks.append(tail)
        return tail

    def clear(self) -> None:
        """Begin anew after the same prompt."""
        self.token_ids = []
        self._chunks = []
        self._stream = self._start.__copy__()

    def __len__(self) -> int:
        return len(self.token_ids)

    def __repr__(self) -> str:
        return f"<Sequence of {len(self.token_ids)} tokens: {self.text!r}>"

    def __copy__(self) -> Sequence:
        twin = Sequence.__new__(Sequence)
        twin._tokenizer, twin._start, twin._stream = self._tokenizer, self._start, self._stream.__copy__()
        twin.token_ids, twin._chunks = list(self.token_ids), list(self._chunks)
        return twin

    def __deepcopy__(self, memo: dict[int, object]) -> Sequence:
        return self.__copy__()

    def __reduce__(self) -> NoReturn:
        refuse_pickling(self)
