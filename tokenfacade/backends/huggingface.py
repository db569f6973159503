"""Hugging Face tokenizers: ``tokenizer.json``, or ``vocab.json`` with ``merges.txt``, and what lies beside them."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import tokenizers

from tokenfacade.backends.fast import Accelerated, Accelerator
from tokenfacade.backends.huggingface_added import tokens_to_add
from tokenfacade.backends.huggingface_classes import vocabulary_class
from tokenfacade.backends.huggingface_cuts import cut_points
from tokenfacade.backends.huggingface_fast import HuggingFacePlan
from tokenfacade.backends.huggingface_files import copied, load_raw
from tokenfacade.backends.huggingface_long import IN_PARTS_CHARACTERS, encoded, ids_in_parts, take_ids
from tokenfacade.backends.huggingface_names import names_of_class
from tokenfacade.backends.huggingface_parts import encode_parts
from tokenfacade.backends.huggingface_pieces import pieces_of, read_chain
from tokenfacade.backends.huggingface_twins import literal_twin, state
from tokenfacade.backends.panics import is_failure
from tokenfacade.chat.discovery import find_chat_templates
from tokenfacade.decoding.transducer import checked_id, checked_ids, listed
from tokenfacade.encoding import Encoding, SpecialTokens
from tokenfacade.errors import DecodeError, EncodeError, TokenizerNotFoundError
from tokenfacade.lazy import cached_property
from tokenfacade.model_config import ModelConfig, read_model_config
from tokenfacade.protocols import Tokenizer, checked_text, checked_texts

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tokenfacade.chat.discovery import ChatTemplateSource
    from tokenfacade.decoding.pieces import Pieces
    from tokenfacade.encoding import Span
    from tokenfacade.engine import EngineChoice

MAX_ID = 2**32


class HuggingFaceTokenizer(Accelerated, Tokenizer):
    """A tokenizer of the `tokenizers` library, with the settings of the model folder around it.

    The ids are those of ``tokenizer.json``, with the added tokens that the files beside it name; truncation and
    padding, which such a file may carry, are off. ``add_bos_token`` and ``add_eos_token`` of the config count, as in
    transformers 5, only where there is no ``tokenizer.json``: its post-processor is the authority. Text is never
    cleaned up after decoding, whatever the config says; WordPiece's own decoder does what it does.

    Args:
        tokenizer: A tokenizer of yours. It is copied: it is not changed, and later changes to it have no effect here.
        chat_template: Its chat template, as for `with_chat_template`; there is none by default.
        engine: As for `create_tokenizer`.

    Raises:
        ConfigurationError: The tokenizer can't be copied, because parts of it are written in Python; or the `engine`
            can't be had.
        ChatTemplateError: `chat_template` is no template.

    Example:
        >>> import tokenizers
        >>> wrapped = tokenizers.Tokenizer(tokenizers.models.WordLevel({"hello": 0, "world": 1, "?": 2}, unk_token="?"))
        >>> wrapped.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
        >>> tokenizer = HuggingFaceTokenizer(wrapped)
        >>> tokenizer.encode("hello world").ids
        [0, 1]
        >>> tokenizer.decode([0, 1])
        'hello world'
    """

    def __init__(
        self,
        tokenizer: tokenizers.Tokenizer,
        *,
        chat_template: ChatTemplateSource | None = None,
        engine: EngineChoice = "auto",
    ) -> None:
        self._set_up(copied(tokenizer), ModelConfig(), None)
        self._accelerate(engine)
        if chat_template is not None:
            self.chat_templates = self.chat_templates.replaced(chat_template).checked()

    @classmethod
    def adopting(
        cls, tokenizer: tokenizers.Tokenizer, *, source: str | None = None, engine: EngineChoice = "auto"
    ) -> HuggingFaceTokenizer:
        """Take a tokenizer over as it is: copying one of 128,000 tokens takes half a second, and blocks other threads.

        Give it away and don't touch it again: it is changed here, and threads use it.

        Args:
            tokenizer: A tokenizer that could be saved and loaded again with the same ids.
            source: What `source`, the log and errors should say; to be pickled by it, `create_tokenizer` must take it.
            engine: As for `create_tokenizer`.

        Raises:
            ConfigurationError: The `engine` can't be had.

        Example:
            >>> import tokenizers
            >>> raw = tokenizers.Tokenizer(tokenizers.models.WordLevel({"hello": 0, "?": 1}, unk_token="?"))
            >>> HuggingFaceTokenizer.adopting(raw, source="my words", engine="reference")
            <HuggingFaceTokenizer 'my words'>
        """
        made = cls.__new__(cls)
        made._set_up(tokenizer, ModelConfig(), source)
        made._accelerate(engine)
        return made

    @classmethod
    def from_file(
        cls,
        path: str | Path,
        *,
        chat_template: ChatTemplateSource | None = None,
        source: str | None = None,
        engine: EngineChoice = "auto",
    ) -> HuggingFaceTokenizer:
        """Load a model folder, or a ``tokenizer.json`` with what lies beside it.

        Args:
            path: The folder or file. A folder without ``tokenizer.json`` may have ``vocab.json`` and ``merges.txt``,
                if its config names a class that says how to read them.
            chat_template: A chat template in place of those in the folder, as for `with_chat_template`.
            source: What `source` should say, where the files stand for something else; `create_tokenizer` must take
                it.
            engine: As for `create_tokenizer`.

        Raises:
            TokenizerNotFoundError: There is no such path, or no tokenizer in the folder.
            UnsupportedFormatError: There is a vocabulary, but nothing says how to read it.
            CorruptTokenizerError: A file is empty, cut off or contradictory.
            ConfigurationError: The `engine` can't be had.
            ChatTemplateError: `chat_template` is no template.

        Example:
            >>> tokenizer = HuggingFaceTokenizer.from_file("examples/tokenizer")
            >>> tokenizer.backend, tokenizer.special_tokens.eos
            ('huggingface', '<|im_end|>')
        """
        path = Path(path)
        is_folder = os.path.isdir(path)
        folder, file = (path, path / "tokenizer.json") if is_folder else (path.parent, path)
        is_bare = is_folder and all(os.path.isfile(folder / name) for name in ("vocab.json", "merges.txt"))
        if not os.path.isfile(file) and not is_bare:
            raise TokenizerNotFoundError(
                f"there is no tokenizer.json, nor vocab.json with merges.txt, at {path}", source=str(path)
            )
        config = read_model_config(folder)
        tokenizer = cls.__new__(cls)
        source = source or str(path.absolute())
        if os.path.isfile(file):
            tokenizer._set_up(load_raw(file), config, source)
            config = config.with_names(names_of_class(config, tokenizer._raw))
        else:
            vocabulary = vocabulary_class(folder, config)
            config = config.with_names(vocabulary.names)
            tokenizer._set_up(vocabulary.build(folder, config), config, source)
            vocabulary.set_post_processor(tokenizer._raw, config)
        tokenizer.chat_templates = find_chat_templates(folder, config)
        tokenizer._accelerate(engine)
        return tokenizer.with_chat_template(chat_template)

    def _set_up(self, raw: tokenizers.Tokenizer, config: ModelConfig, source: str | None) -> None:
        raw.no_truncation()
        raw.no_padding()
        own = dict(sorted(raw.get_added_tokens_decoder().items()))
        self._added = list(own.values()), tokens_to_add(own, config)
        if self._added[1]:
            raw.add_tokens(self._added[1])
            own = dict(sorted(raw.get_added_tokens_decoder().items()))
        self._raw = raw
        self._source = source
        # As the library sees it: a token once special stays so, although a later flag says otherwise.
        special = {str(token) for tokens in self._added for token in tokens if token.special}
        self._spelling = {token_id: str(token) for token_id, token in own.items()}
        self._special = config.special_tokens({token: n for n, token in self._spelling.items() if token in special})
        self._eos_token_ids = config.eos_token_ids(raw.token_to_id)

    def _accelerate(self, engine: EngineChoice) -> None:
        self._accelerator = Accelerator(HuggingFacePlan(self._raw, self._added), self.source, engine)

    def encode(self, text: str, *, add_special_tokens: bool = False, parse_special_tokens: bool = True) -> Encoding:
        found = self._accelerator.encode(
            text, add_special_tokens=add_special_tokens, parse_special_tokens=parse_special_tokens
        )
        if found is not None:
            ids = found.ids
        else:
            try:
                ids = self._reference_ids(text, added=add_special_tokens, parsed=parse_special_tokens)
            except BaseException as error:
                if not is_failure(error):
                    raise
                if (mended := checked_text(text)) is text:
                    _refuse(text, error)
                return self.encode(
                    mended, add_special_tokens=add_special_tokens, parse_special_tokens=parse_special_tokens
                )
        return Encoding(
            ids, text, self, add_special_tokens=add_special_tokens, parse_special_tokens=parse_special_tokens
        )

    def _reference_ids(self, text: str, *, added: bool, parsed: bool) -> list[int]:
        if not added and isinstance(text, str) and len(text) >= IN_PARTS_CHARACTERS:
            twin = literal_twin(self._raw, self._added)
            twin.encode_special_tokens = not parsed
            return ids_in_parts(twin, text)
        raw = self._raw if parsed else self._literal
        return take_ids([encoded(raw, text, add_special_tokens=added)])

    def encode_batch(
        self, texts: Sequence[str], *, add_special_tokens: bool = False, parse_special_tokens: bool = True
    ) -> list[Encoding]:
        texts = checked_texts(texts)
        found = self._accelerator.encode_batch(
            texts, add_special_tokens=add_special_tokens, parse_special_tokens=parse_special_tokens
        )
        if found is None:
            raw = self._raw if parse_special_tokens else self._literal
            try:
                found = raw.encode_batch_fast(texts, add_special_tokens=add_special_tokens)
            except BaseException as error:
                if not is_failure(error):
                    raise
                _refuse("one of a batch", error)
        encodings = list(found)
        del found
        last_first = [take_ids(encodings) for _ in texts]
        return [
            Encoding(ids, text, self, add_special_tokens=add_special_tokens, parse_special_tokens=parse_special_tokens)
            for ids, text in zip(reversed(last_first), texts, strict=True)
        ]

    def count_tokens(self, text: str, *, add_special_tokens: bool = False, parse_special_tokens: bool = True) -> int:
        found = self._accelerator.encode(
            text, add_special_tokens=add_special_tokens, parse_special_tokens=parse_special_tokens
        )
        if found is not None:
            return len(found)
        raw = self._raw if parse_special_tokens else self._literal
        try:
            return len(encoded(raw, text, add_special_tokens=add_special_tokens))
        except BaseException as error:
            if not is_failure(error):
                raise
            return super().count_tokens(
                text, add_special_tokens=add_special_tokens, parse_special_tokens=parse_special_tokens
            )

    def token_offsets(self, encoding: Encoding) -> list[Span]:
        raw = self._raw if encoding.parse_special_tokens else self._literal
        added = encoding.add_special_tokens
        offsets: list[Span] = encoded(raw, encoding.text, add_special_tokens=added, with_offsets=True).offsets
        return offsets

    def cut_points(self) -> frozenset[str]:
        return cut_points(self._raw)

    @property
    def added_tokens(self) -> Mapping[str, int]:
        return {token: token_id for token_id, token in self._spelling.items()}

    def encode_placed(self, text: str) -> Encoding:
        # Both in one go; `encode` leaves offsets for later, which takes encoding again.
        try:
            found = encoded(self._raw, text, add_special_tokens=False, with_offsets=True)
        except BaseException as error:
            if not is_failure(error):
                raise
            return self.encode(text)
        return Encoding(
            found.ids, text, self, add_special_tokens=False, parse_special_tokens=True, offsets=found.offsets
        )

    def encode_parts(self, parts: Sequence[tuple[str, int | None]]) -> Encoding:
        parts = [(checked_text(text), token_id) for text, token_id in parts]
        text = "".join(text for text, _ in parts)
        try:
            found = encode_parts(self._raw, parts)
        except BaseException as error:
            if not is_failure(error):
                raise
            _refuse(text, error)
        if found is None:
            return super().encode_parts(parts)
        ids, offsets = found
        return Encoding(ids, text, self, add_special_tokens=False, parse_special_tokens=False, offsets=offsets)

    def decode(self, token_ids: Iterable[int], *, skip_special_tokens: bool = True) -> str:
        ids = listed(token_ids)
        try:
            return self._raw.decode(ids, skip_special_tokens=skip_special_tokens)
        except BaseException as error:
            if not is_failure(error):
                raise
            known = [token_id for token_id in checked_ids(ids) if 0 <= token_id < MAX_ID]
            if len(known) == len(ids):
                raise DecodeError(f"the decoder of {self!r} fails on these ids: {error}") from error
            return self.decode(known, skip_special_tokens=skip_special_tokens)

    def token_to_id(self, token: str) -> int | None:
        return self._raw.token_to_id(mended) if (mended := checked_text(token)) == token else None

    def id_to_token(self, token_id: int) -> str | None:
        token = self._decoded_token(token_id)
        return None if token is None else self._spelling.get(token_id, token)

    def _decoded_token(self, token_id: int) -> str | None:
        """The token that decoding begins with: for an added token, tokenizers 0.23 takes what the normalizer makes of
        it."""
        try:
            return self._raw.id_to_token(token_id)
        except (OverflowError, TypeError):
            checked_id(token_id)
            return None

    def pieces(self, *, skip_special_tokens: bool) -> Pieces | None:
        chain = read_chain(state(self._raw.decoder))
        if chain is None:
            return None
        return pieces_of(chain, self._decoded_token, frozenset(self._special.ids if skip_special_tokens else ()))

    @cached_property
    def vocab_size(self) -> int:
        # Not the number of tokens: ids may have gaps. Finding the largest takes some 50 ms for 128,000 tokens, so not
        # at load.
        return max(self._raw.get_vocab(with_added_tokens=True).values(), default=-1) + 1

    @property
    def special_tokens(self) -> SpecialTokens:
        return self._special

    @property
    def eos_token_ids(self) -> tuple[int, ...]:
        return self._eos_token_ids

    @property
    def backend(self) -> str:
        return "huggingface"

    @property
    def source(self) -> str:
        return self._source or "<tokenizers.Tokenizer>"

    @cached_property
    def vocabulary_fingerprint(self) -> str:
        return hashlib.sha256("\0".join([self._raw.to_str(), *self._special.ids]).encode()).hexdigest()

    @cached_property
    def _literal(self) -> tokenizers.Tokenizer:
        return literal_twin(self._raw, self._added)

    def __reduce__(self) -> tuple[object, ...]:
        if self._source is None:
            return _from_json, (self._raw.to_str(), self._accelerator.choice)
        return super().__reduce__()


def _from_json(text: str, engine: EngineChoice) -> HuggingFaceTokenizer:
    return HuggingFaceTokenizer(tokenizers.Tokenizer.from_str(text), engine=engine)


def _refuse(text: object, error: BaseException) -> NoReturn:
    shown = text if isinstance(text, str) and len(text) < 40 else f"{str(text)[:40]}…"
    raise EncodeError(f"the tokenizer refuses {shown!r}: {error}") from error
