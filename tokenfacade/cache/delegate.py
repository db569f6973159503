"""A tokenizer that asks another one for everything; what wraps a tokenizer overrides what it does itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from tokenfacade.lazy import cached_property
from tokenfacade.protocols import Tokenizer

if TYPE_CHECKING:
    from tokenfacade.chat.control_tokens import ControlTokens
    from tokenfacade.chat.discovery import ChatTemplates
    from tokenfacade.decoding.pieces import Pieces
    from tokenfacade.decoding.sequence import Sequence as TextSequence
    from tokenfacade.decoding.stop import StopSequenceDecoder
    from tokenfacade.decoding.stream import DecodeStream
    from tokenfacade.decoding.tables import StreamTables
    from tokenfacade.encoding import Encoding, Span, SpecialTokens
    from tokenfacade.engine import Engine


class DelegatingTokenizer(Tokenizer):
    """What `_tokenizer` is, in everything but chats: those are derived from its templates here, so that a twin with
    others works, and the ids of prompts come from `encode`."""

    _tokenizer: Tokenizer

    def encode(self, text: str, *, add_special_tokens: bool = False, parse_special_tokens: bool = True) -> Encoding:
        return self._tokenizer.encode(
            text, add_special_tokens=add_special_tokens, parse_special_tokens=parse_special_tokens
        )

    def encode_batch(
        self, texts: Sequence[str], *, add_special_tokens: bool = False, parse_special_tokens: bool = True
    ) -> list[Encoding]:
        return self._tokenizer.encode_batch(
            texts, add_special_tokens=add_special_tokens, parse_special_tokens=parse_special_tokens
        )

    def count_tokens(self, text: str, *, add_special_tokens: bool = False, parse_special_tokens: bool = True) -> int:
        return self._tokenizer.count_tokens(
            text, add_special_tokens=add_special_tokens, parse_special_tokens=parse_special_tokens
        )

    def truncate(self, text: str, max_tokens: int, *, side: Literal["right", "left"] = "right", **options: Any) -> str:
        return self._tokenizer.truncate(text, max_tokens, side=side, **options)

    def encode_placed(self, text: str) -> Encoding:
        return self._tokenizer.encode_placed(text)

    def encode_parts(self, parts: Sequence[tuple[str, int | None]]) -> Encoding:
        return self._tokenizer.encode_parts(parts)

    def token_offsets(self, encoding: Encoding) -> list[Span]:
        return self._tokenizer.token_offsets(encoding)

    def added_around(self) -> tuple[int, int]:
        return self._tokenizer.added_around()

    def cut_points(self) -> frozenset[str]:
        return self._tokenizer.cut_points()

    def decode(self, token_ids: Iterable[int], *, skip_special_tokens: bool = True) -> str:
        return self._tokenizer.decode(token_ids, skip_special_tokens=skip_special_tokens)

    def decode_batch(self, batch: Iterable[Iterable[int]], *, skip_special_tokens: bool = True) -> list[str]:
        return self._tokenizer.decode_batch(batch, skip_special_tokens=skip_special_tokens)

    def decode_bytes(self, token_ids: Iterable[int], *, skip_special_tokens: bool = True) -> bytes:
        return self._tokenizer.decode_bytes(token_ids, skip_special_tokens=skip_special_tokens)

    def token_bytes(self, token_id: int) -> bytes:
        return self._tokenizer.token_bytes(token_id)

    def token_to_id(self, token: str) -> int | None:
        return self._tokenizer.token_to_id(token)

    def id_to_token(self, token_id: int) -> str | None:
        return self._tokenizer.id_to_token(token_id)

    def pieces(self, *, skip_special_tokens: bool) -> Pieces | None:
        return self._tokenizer.pieces(skip_special_tokens=skip_special_tokens)

    def decode_stream(self, prompt_ids: Sequence[int] = (), **options: Any) -> DecodeStream:
        return self._tokenizer.decode_stream(prompt_ids, **options)

    def stop_decoder(self, stop: Sequence[str] | None = (), **options: Any) -> StopSequenceDecoder:
        return self._tokenizer.stop_decoder(stop, **options)

    def sequence(self, prompt_ids: Sequence[int] = (), **options: Any) -> TextSequence:
        return self._tokenizer.sequence(prompt_ids, **options)

    @cached_property
    def stream_tables(self) -> StreamTables:
        return self._tokenizer.stream_tables

    @property
    def vocab_size(self) -> int:
        return self._tokenizer.vocab_size

    @property
    def special_tokens(self) -> SpecialTokens:
        return self._tokenizer.special_tokens

    @property
    def added_tokens(self) -> Mapping[str, int]:
        return self._tokenizer.added_tokens

    @cached_property
    def control_tokens(self) -> ControlTokens:
        return self._tokenizer.control_tokens

    @property
    def eos_token_ids(self) -> tuple[int, ...]:
        return self._tokenizer.eos_token_ids

    @property
    def backend(self) -> str:
        return self._tokenizer.backend

    @property
    def source(self) -> str:
        return self._tokenizer.source

    @property
    def engine(self) -> Engine:
        return self._tokenizer.engine

    def wait_for_engine(self, *, timeout: float | None = None) -> Engine:
        return self._tokenizer.wait_for_engine(timeout=timeout)

    @property
    def vocabulary_fingerprint(self) -> str:
        return self._tokenizer.vocabulary_fingerprint

    @cached_property
    def chat_templates(self) -> ChatTemplates:
        return self._tokenizer.chat_templates

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self._tokenizer,)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} around {self._tokenizer!r}>"
