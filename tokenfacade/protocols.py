"""What a tokenizer is: a few abstract members, and everything else derived from them once.

A backend subclasses `Tokenizer` and writes the abstract members; batching, counting, truncating, streaming and
stopping then work, and it overrides those for which it has something faster. Functions take the narrowest protocol
that they need.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Literal, Protocol, SupportsIndex

from tokenfacade.async_protocol import AsyncEncoder
from tokenfacade.chat_protocol import ChatEncoder, with_templates
from tokenfacade.encoding import Encoding, SpecialTokens, mend_surrogates, spans_of_bytes
from tokenfacade.engine import Engine
from tokenfacade.errors import ConfigurationError, DecodeError, EncodeError
from tokenfacade.lazy import cached_property

if TYPE_CHECKING:
    from tokenfacade.decoding.pieces import Pieces
    from tokenfacade.decoding.sequence import Sequence as TextSequence
    from tokenfacade.decoding.stop import StopSequenceDecoder
    from tokenfacade.decoding.stream import DecodeStream
    from tokenfacade.decoding.tables import StreamTables, UnknownIds
    from tokenfacade.encoding import Span
    from tokenfacade.engine import EngineChoice


class Encoder(AsyncEncoder, Protocol):
    """Text to ids."""

    @abstractmethod
    def encode(self, text: str, *, add_special_tokens: bool = False, parse_special_tokens: bool = True) -> Encoding:
        """Encode a text as it stands; the defaults are what a rendered chat prompt needs.

        Every `str` encodes: a surrogate pair counts as its character, a lone surrogate as U+FFFD.

        Args:
            text: The text.
            add_special_tokens: Whether to add what the model's post-processor adds (BOS, EOS). A rendered prompt has
                them already: leave it off there, or BOS comes twice.
            parse_special_tokens: Whether special tokens spelled in the text become their ids. Text that a user wrote
                should be encoded with False, or the user can write ``<|im_end|>``.

        Raises:
            EncodeError: `text` is not a `str`.

        Example:
            >>> from tokenfacade import MockTokenizer
            >>> MockTokenizer().encode("hello</s>").tokens
            ['hello', '</s>']
            >>> MockTokenizer().encode("hello</s>", parse_special_tokens=False).tokens[:3]
            ['hello', '<0x3C>', '<0x2F>']
        """

    def encode_batch(
        self, texts: Sequence[str], *, add_special_tokens: bool = False, parse_special_tokens: bool = True
    ) -> list[Encoding]:
        """Encode several texts, in parallel where the backend can.

        Raises:
            EncodeError: One of them is not a `str`.
        """
        return [
            self.encode(text, add_special_tokens=add_special_tokens, parse_special_tokens=parse_special_tokens)
            for text in checked_texts(texts)
        ]

    def count_tokens(self, text: str, *, add_special_tokens: bool = False, parse_special_tokens: bool = True) -> int:
        """How many tokens `encode` would give, without making more of them than the backend must.

        Raises:
            EncodeError: `text` is not a `str`.

        Example:
            >>> from tokenfacade import MockTokenizer
            >>> MockTokenizer().count_tokens("hello world")
            2
        """
        return len(self.encode(text, add_special_tokens=add_special_tokens, parse_special_tokens=parse_special_tokens))

    def truncate(
        self,
        text: str,
        max_tokens: int,
        *,
        side: Literal["right", "left"] = "right",
        add_special_tokens: bool = False,
        parse_special_tokens: bool = True,
    ) -> str:
        """The longest prefix of whole characters whose token count fits, or with ``side="left"`` the longest suffix.

        The count is that of the result when it is encoded again, so it holds on the other side of a wire. It takes some
        fifty counts of the result.

        Args:
            text: The text.
            max_tokens: The most tokens that the result may have.
            side: Which end to cut.
            add_special_tokens: Whether added tokens count.
            parse_special_tokens: As for `encode`.

        Raises:
            ConfigurationError: `max_tokens` is negative, or `side` is neither.
            EncodeError: `text` is not a `str`.

        Example:
            >>> from tokenfacade import MockTokenizer
            >>> MockTokenizer().truncate("hello world again", 2)
            'hello world'
            >>> MockTokenizer().truncate("hello world again", 1, side="left")
            'in'
        """
        from tokenfacade.truncation import longest_fit

        if side not in ("right", "left") or not isinstance(max_tokens, SupportsIndex) or max_tokens < 0:
            raise ConfigurationError(
                f'truncate takes max_tokens >= 0 and side "right" or "left", not {max_tokens}, {side!r}'
            )
        added, parsed = add_special_tokens, parse_special_tokens
        encode = partial(self.encode, add_special_tokens=added, parse_special_tokens=parsed)
        count = partial(self.count_tokens, add_special_tokens=added, parse_special_tokens=parsed)
        return longest_fit(checked_text(text), max_tokens, side, encode, count)


class Decoder(Protocol):
    """Ids to text."""

    @property
    @abstractmethod
    def vocab_size(self) -> int:
        """The largest id + 1; with gaps in the vocabulary, more than there are tokens."""

    @property
    @abstractmethod
    def special_tokens(self) -> SpecialTokens:
        """The special tokens: the named ones, and every one with its id."""

    @abstractmethod
    def decode(self, token_ids: Iterable[int], *, skip_special_tokens: bool = True) -> str:
        """The text of some ids. Ids that the vocabulary lacks, whatever integer they are, contribute nothing.

        To decode ids as they arrive use `decode_stream`: the parts of a text decoded one by one don't join to the
        text.

        Raises:
            DecodeError: An id is not an integer.

        Example:
            >>> from tokenfacade import MockTokenizer
            >>> tokenizer = MockTokenizer()
            >>> tokenizer.decode([*tokenizer.encode("hello world</s>"), -1, 2**63])
            'hello world'
        """

    @abstractmethod
    def token_to_id(self, token: str) -> int | None:
        """The id of a token in the vocabulary's own spelling (``"Ġworld"``, ``"▁world"``), or None."""

    @abstractmethod
    def id_to_token(self, token_id: int) -> str | None:
        """The vocabulary's own spelling of an id, or None for one that it lacks; the inverse of `token_to_id`."""

    def pieces(self, *, skip_special_tokens: bool) -> Pieces | None:
        """What each id contributes to the text, where that is known exactly; None makes streams decode windows of ids
        instead.

        A backend that can overrides this: streams are then far faster, and exact for any ids.
        """
        return None

    def decode_batch(self, batch: Iterable[Iterable[int]], *, skip_special_tokens: bool = True) -> list[str]:
        """The texts of several lists of ids."""
        if not isinstance(batch, Iterable):
            raise DecodeError(f"a batch is a collection of lists of ids, not {type(batch).__name__}")
        return [self.decode(token_ids, skip_special_tokens=skip_special_tokens) for token_ids in batch]

    def token_bytes(self, token_id: int) -> bytes:
        """The exact bytes that an id stands for in the middle of a text, which may be part of a character.

        Raises:
            DecodeError: The vocabulary has no such id.

        Example:
            >>> from tokenfacade import MockTokenizer
            >>> tokenizer = MockTokenizer()
            >>> [tokenizer.token_bytes(token_id) for token_id in tokenizer.encode("é")]
            [b'\\xc3', b'\\xa9']
        """
        from tokenfacade.decoding.pieces import contribution
        from tokenfacade.decoding.transducer import checked_id

        token_id = checked_id(token_id)
        pieces = self.stream_tables.pieces
        if self.id_to_token(token_id) is None:
            raise DecodeError(f"{self!r} has no token {token_id}", token_id=token_id)
        if pieces is None:
            return self.decode([token_id], skip_special_tokens=False).encode()
        return contribution(pieces.piece(token_id))

    def decode_bytes(self, token_ids: Iterable[int], *, skip_special_tokens: bool = True) -> bytes:
        """The exact bytes of some ids, before anything becomes U+FFFD.

        Raises:
            DecodeError: An id is not an integer.

        Example:
            >>> from tokenfacade import MockTokenizer
            >>> tokenizer = MockTokenizer()
            >>> tokenizer.decode_bytes(tokenizer.encode("é").ids[:1])
            b'\\xc3'
        """
        from tokenfacade.decoding.pieces import join_bytes
        from tokenfacade.decoding.transducer import checked_ids

        ids = checked_ids(token_ids)
        pieces = self.pieces(skip_special_tokens=skip_special_tokens)
        if pieces is None:
            return self.decode(ids, skip_special_tokens=skip_special_tokens).encode()
        return join_bytes(pieces, ids)

    def decode_stream(
        self,
        prompt_ids: Sequence[int] = (),
        *,
        skip_special_tokens: bool = True,
        errors: UnknownIds = "ignore",
    ) -> DecodeStream:
        """A `DecodeStream` over this tokenizer: ids to text as they arrive."""
        from tokenfacade.decoding.stream import DecodeStream

        return DecodeStream(self, prompt_ids, skip_special_tokens=skip_special_tokens, errors=errors)

    def stop_decoder(
        self,
        stop: Sequence[str] | None = (),
        *,
        stop_token_ids: Sequence[int] | None = (),
        visible_stop: Sequence[str] | None = (),
        visible_stop_token_ids: Sequence[int] | None = (),
        skip_special_tokens: bool = True,
        prompt_ids: Sequence[int] = (),
        min_tokens: int = 0,
        errors: UnknownIds = "ignore",
    ) -> StopSequenceDecoder:
        """A `StopSequenceDecoder` over this tokenizer: ids to text that ends at the first stop to complete."""
        from tokenfacade.decoding.stop import StopSequenceConfig, StopSequenceDecoder

        config = StopSequenceConfig(
            () if stop is None else stop,
            () if stop_token_ids is None else stop_token_ids,
            () if visible_stop is None else visible_stop,
            () if visible_stop_token_ids is None else visible_stop_token_ids,
            skip_special_tokens,
            min_tokens,
            errors,
        )
        return StopSequenceDecoder(self, config, prompt_ids=prompt_ids)

    @cached_property
    def stream_tables(self) -> StreamTables:
        """What all streams of this tokenizer share; made when the first is."""
        from tokenfacade.decoding.tables import StreamTables

        return StreamTables(self)


class Tokenizer(Encoder, Decoder, ChatEncoder, Protocol):
    """Both ways, chats, and what a router asks about the model behind it."""

    @property
    @abstractmethod
    def backend(self) -> str:
        """Which backend this is: ``"huggingface"``, ``"tiktoken"``, ``"sentencepiece"``, ``"tekken"``, ``"gguf"``,
        ``"mock"``."""

    @property
    def engine(self) -> Engine:
        """The engine that encodes, ``"reference"`` or ``"fast"``, with the `reason` why it is this one.

        It may change from the first to the second, once: the fast engine is made in the background.
        """
        return Engine("reference", reason="this backend has one engine")

    def wait_for_engine(self, *, timeout: float | None = None) -> Engine:
        """Wait until it is settled which engine encodes, for benchmarks and readiness probes; nothing else needs it.

        Args:
            timeout: The most seconds to wait; None waits as long as it takes, a second or two.

        Returns:
            The engine in use then; after a timeout, the reference.

        Example:
            >>> from tokenfacade import create_tokenizer
            >>> create_tokenizer("examples/tokenizer").wait_for_engine(timeout=60) in ("fast", "reference")
            True
        """
        return self.engine

    @property
    @abstractmethod
    def source(self) -> str:
        """Where it came from: what `create_tokenizer` takes, with the commit where it came from the Hub.

        For a tokenizer made in memory, or from a file with options of the caller, it only describes.
        """

    @property
    @abstractmethod
    def eos_token_ids(self) -> tuple[int, ...]:
        """The ids that end a generation: the ordered union of tokenizer_config, generation_config and config."""

    def sequence(
        self,
        prompt_ids: Sequence[int] = (),
        *,
        skip_special_tokens: bool = True,
        errors: UnknownIds = "ignore",
    ) -> TextSequence:
        """A `Sequence` over this tokenizer: a growing text and its ids, together."""
        from tokenfacade.decoding.sequence import Sequence as TextSequence

        return TextSequence(self, prompt_ids, skip_special_tokens=skip_special_tokens, errors=errors)

    def cut_points(self) -> frozenset[str]:
        """The added tokens before which a text may be cut, wherever they stand in it: the ids of the parts, joined, are
        those of the text, and ``add_special_tokens`` puts the same ids around every text.

        None by default, which switches a cache of segments off; `safe_cut_points` helps to find them.

        Example:
            >>> from tokenfacade import MockTokenizer
            >>> "<|im_start|>" in MockTokenizer().cut_points()
            True
        """
        return frozenset()

    def added_around(self) -> tuple[int, int]:
        """How many tokens ``add_special_tokens`` puts before and after a text, for the offsets of byte vocabularies."""
        return 0, 0

    def token_offsets(self, encoding: Encoding) -> list[Span]:
        """The character spans behind `Encoding.offsets`; from the bytes of the tokens, where a backend knows nothing
        better."""
        before, after = self.added_around() if encoding.add_special_tokens else (0, 0)
        end = len(encoding) - after
        return spans_of_bytes(
            encoding.text,
            (self.token_bytes(token_id) if before <= n < end else b"" for n, token_id in enumerate(encoding.ids)),
        )

    def __copy__(self) -> Tokenizer:
        """Itself: a tokenizer doesn't change, so there is nothing to keep apart."""
        return self

    def __deepcopy__(self, memo: dict[int, object]) -> Tokenizer:
        """Itself, as for a shallow copy."""
        return self

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle by source, not by content: a tokenizer is loaded anew where it arrives."""
        return load_again, (self.source,)

    def __reduce_ex__(self, protocol: SupportsIndex) -> tuple[object, ...]:
        """As `__reduce__` says, and with the templates if the caller chose them: no source knows of those."""
        from tokenfacade.chat.discovery import ChatTemplates

        templates = self.chat_templates
        if not templates.is_override:
            return self.__reduce__()
        return with_templates, (with_templates(self, ChatTemplates()), templates)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.source!r}>"


def load_again(source: str, engine: EngineChoice = "auto") -> Tokenizer:
    """What unpickling a tokenizer calls."""
    from tokenfacade.factory import create_tokenizer

    return create_tokenizer(source, engine=engine)


def checked_texts(texts: Iterable[str]) -> list[str]:
    """The texts as UTF-8 can hold them; raises `EncodeError` for what isn't a `str`, or no collection of them."""
    if isinstance(texts, str) or not isinstance(texts, Iterable):
        raise EncodeError(f"texts to encode must be a collection of str, not {type(texts).__name__}")
    return [checked_text(text) for text in texts]


def checked_text(text: str) -> str:
    """The text as UTF-8 can hold it; raises `EncodeError` for what isn't a `str`."""
    if not isinstance(text, str):
        raise EncodeError(f"a text to encode must be a str, not {type(text).__name__}")
    return mend_surrogates(text)
