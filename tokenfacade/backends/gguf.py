"""GGUF files: the tokenizer in the metadata of a model, with the ids that llama.cpp gives."""

from __future__ import annotations

import logging
import re
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from tokenfacade.backends.gguf_partition import Partition
from tokenfacade.backends.gguf_pieces import PieceTable
from tokenfacade.backends.gguf_reader import read_metadata
from tokenfacade.backends.gguf_vocabulary import read_vocabulary
from tokenfacade.chat.discovery import ChatTemplates
from tokenfacade.cut_points import safe_cut_points
from tokenfacade.decoding.pieces import Pieces
from tokenfacade.decoding.transducer import checked_id, checked_ids, listed
from tokenfacade.encoding import Encoding
from tokenfacade.engine import checked_choice
from tokenfacade.errors import ConfigurationError, TokenizerNotFoundError, UnsupportedFormatError
from tokenfacade.protocols import Tokenizer, checked_text, checked_texts

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tokenfacade.backends.gguf_bpe import BytePairEncoder
    from tokenfacade.backends.gguf_fragments import FragmentEncoder
    from tokenfacade.backends.gguf_reader import Metadata
    from tokenfacade.backends.gguf_vocabulary import Vocabulary
    from tokenfacade.chat.discovery import ChatTemplateSource
    from tokenfacade.decoding.pieces import Piece
    from tokenfacade.encoding import Span, SpecialTokens
    from tokenfacade.engine import Engine, EngineChoice

logger = logging.getLogger(__name__)

_TEMPLATE = "tokenizer.chat_template"
_LATER_OF_SET = re.compile(r"-(?!0*1-)\d{5,}-of-\d{5,}\.gguf\Z")


class GGUFTokenizer(Tokenizer):
    """The tokenizer of a GGUF model, made from its metadata; tensors are never read.

    The ids are those of ``llama_tokenize``, the text that of the pieces of ``llama_token_to_piece`` joined, which for
    ``llama`` and ``bert`` begins with the space of the first word. Special tokens are as llama.cpp changes them when
    it loads a model: so they may differ from those of the model that the file was converted from, as may the ids.

    Tokens of the type "user defined" are found in a text even with ``parse_special_tokens=False``.

    Example:
        >>> GGUFTokenizer.from_file("no/such/model.gguf")
        Traceback (most recent call last):
            ...
        tokenfacade.errors.TokenizerNotFoundError: there is no GGUF file at no/such/model.gguf
    """

    _source: str
    _recipe: tuple[object, ...] | None = None
    _encoder: FragmentEncoder
    _whole: BytePairEncoder | None = None
    """The same, where it gives the final ids of any text, with the special tokens in it."""

    @classmethod
    def from_file(
        cls,
        path: str | Path,
        *,
        strict: bool = False,
        chat_template: ChatTemplateSource | None = None,
        source: str | None = None,
        engine: EngineChoice = "auto",
    ) -> GGUFTokenizer:
        """Load a file, or a folder that holds one; of a model in several files the first has the tokenizer.

        Args:
            path: The file or folder.
            strict: Whether to refuse a vocabulary whose pre-tokenizer the file doesn't name, or names ``default``, or
                by a name that isn't known. Otherwise llama.cpp's default is used, with a warning: ids may be wrong.
            chat_template: A chat template in place of those of the file, as for `with_chat_template`.
            source: What `source` should say, where the file stands for something else; `create_tokenizer` must take
                it.
            engine: As for `create_tokenizer`.

        Raises:
            TokenizerNotFoundError: There is no such path, or no such file in the folder.
            UnsupportedFormatError: It is no GGUF file, has no vocabulary or one of another kind, or `strict` says so.
            CorruptTokenizerError: It is empty, cut off, contradictory, or not the first of a set.
            MissingDependencyError: The vocabulary needs the extra ``gguf``.
            ConfigurationError: The folder holds several models, or the `engine` can't be had.
            ChatTemplateError: `chat_template` is no template.
        """
        file = find_gguf_file(Path(path))
        checked_choice(engine)
        metadata = read_metadata(file)
        vocabulary, unknown_pre = read_vocabulary(metadata, str(file))
        if unknown_pre is not None:
            _warn_of_pre_tokenizer(unknown_pre, str(file), strict=strict)
        tokenizer = cls.__new__(cls)
        absolute = str(Path(path).absolute())
        tokenizer._source = source or absolute
        if source is None or strict or engine != "auto":  # which no source says
            tokenizer._recipe = partial(cls.from_file, strict=strict, source=source, engine=engine), (absolute,)
        tokenizer._set_up(vocabulary, engine)
        variables = tokenizer.special_tokens.variables
        tokenizer.chat_templates = ChatTemplates(_templates(metadata), variables, f"the metadata of {file}")
        return tokenizer.with_chat_template(chat_template)

    def _set_up(self, vocabulary: Vocabulary, engine: EngineChoice) -> None:
        # What only the encoders need goes: 10 MB of merges.
        self._vocabulary = replace(vocabulary, merges=(), scores=(), charsmap=b"")
        self._special = vocabulary.special_tokens
        self._table = PieceTable(self._vocabulary)
        tokens, roles = vocabulary.tokens, vocabulary.roles
        last = "sep" if vocabulary.model == "bert" else "eos"
        self._before = [roles["bos"]] if vocabulary.add_bos and "bos" in roles else []
        self._after = [roles[last]] if vocabulary.adds_last and last in roles else []
        always = {tokens[n]: n for n in sorted(vocabulary.user_defined - vocabulary.control)}
        self._added = dict(sorted({**self._special.ids, **always}.items(), key=lambda item: item[1]))
        self._literal = Partition.of(always, vocabulary.strips)
        self._parsed = Partition.of(self._added, vocabulary.strips)
        if vocabulary.model == "gpt2":
            self._use_byte_pairs(vocabulary, engine, (list(self._special.ids), list(always)))
        elif engine == "fast":
            raise ConfigurationError(f"{self.source} has a vocabulary of the kind {vocabulary.model!r}: no fast engine")
        else:
            self._encoder = _encoder_of(vocabulary, self.source)

    def _use_byte_pairs(
        self, vocabulary: Vocabulary, engine: EngineChoice, added: tuple[Sequence[str], Sequence[str]]
    ) -> None:
        """The encoder is left to find the special tokens where it finds the same."""
        from tokenfacade.backends.gguf_bpe import BytePairEncoder

        is_simple = self._parsed.is_simple and self._literal.is_simple
        encoder = BytePairEncoder(
            vocabulary, engine, added if is_simple else ((), ()), self._table.__getitem__, self.source
        )
        self._encoder = encoder
        self._whole = encoder if is_simple and encoder.is_final else None

    def encode(self, text: str, *, add_special_tokens: bool = False, parse_special_tokens: bool = True) -> Encoding:
        if self._whole is not None and type(text) is str:  # which that tokenizer checks, and mends
            ids = self._whole.engine_for(text).encode(text, parse_special_tokens=parse_special_tokens).ids
        else:
            text = checked_text(text)
            ids = self._encode_parts_of(text, parse_special_tokens=parse_special_tokens)
        return self._encoding(ids, text, add_special_tokens=add_special_tokens, parse=parse_special_tokens)

    def _encoding(self, ids: list[int], text: str, *, add_special_tokens: bool, parse: bool) -> Encoding:
        if add_special_tokens:
            ids = [*self._before, *ids, *self._after]
        return Encoding(ids, text, self, add_special_tokens=add_special_tokens, parse_special_tokens=parse)

    def _encode_parts_of(self, text: str, *, parse_special_tokens: bool) -> list[int]:
        ids: list[int] = []
        is_first = True
        for start, end, token_id in (self._parsed if parse_special_tokens else self._literal).parts(text):
            if token_id is None:
                ids += self._encoder.encode(text[start:end], is_first=is_first)
            else:
                ids.append(token_id)
            is_first = token_id is not None
        return ids

    def encode_batch(
        self, texts: Sequence[str], *, add_special_tokens: bool = False, parse_special_tokens: bool = True
    ) -> list[Encoding]:
        texts = checked_texts(texts)
        if self._whole is None or not all(map(self._whole.is_usual, texts)):
            return super().encode_batch(
                texts, add_special_tokens=add_special_tokens, parse_special_tokens=parse_special_tokens
            )
        found = self._whole.usual.encode_batch(texts, parse_special_tokens=parse_special_tokens)
        return [
            self._encoding(encoding.ids, text, add_special_tokens=add_special_tokens, parse=parse_special_tokens)
            for encoding, text in zip(found, texts, strict=True)
        ]

    def count_tokens(self, text: str, *, add_special_tokens: bool = False, parse_special_tokens: bool = True) -> int:
        around = sum(self.added_around()) if add_special_tokens else 0
        if self._whole is not None and type(text) is str:
            engine = self._whole.engine_for(text)
            return engine.count_tokens(text, parse_special_tokens=parse_special_tokens) + around
        return len(self._encode_parts_of(checked_text(text), parse_special_tokens=parse_special_tokens)) + around

    def encode_parts(self, parts: Sequence[tuple[str, int | None]]) -> Encoding:
        ids: list[int] = []
        offsets: list[Span] = []
        at = 0
        is_first = True
        texts = [checked_text(text) for text, _ in parts]
        for text, (_, token_id) in zip(texts, parts, strict=True):
            if token_id is not None:
                ids.append(token_id)
                offsets.append((at, at + len(text)))
                is_first = True
            elif text:
                found = self._encoder.encode(text, is_first=is_first)
                spans = self._encoder.offsets(text, found, is_first=is_first)
                offsets += [(at + start, at + end) for start, end in spans]
                ids += found
                is_first = False
            at += len(text)
        return Encoding(
            ids, "".join(texts), self, add_special_tokens=False, parse_special_tokens=False, offsets=offsets
        )

    def token_offsets(self, encoding: Encoding) -> list[Span]:
        text = encoding.text
        spans: list[Span] = []
        is_first = True
        for start, end, token_id in (self._parsed if encoding.parse_special_tokens else self._literal).parts(text):
            if token_id is None:
                part = text[start:end]
                ids = self._encoder.encode(part, is_first=is_first)
                found = self._encoder.offsets(part, ids, is_first=is_first)
                spans += [(start + first, start + last) for first, last in found]
            else:
                spans.append((start, end))
            is_first = token_id is not None
        if not encoding.add_special_tokens:
            return spans
        before, after = self.added_around()
        return [*[(0, 0)] * before, *spans, *[(len(text), len(text))] * after]

    def added_around(self) -> tuple[int, int]:
        return len(self._before), len(self._after)

    def cut_points(self) -> frozenset[str]:
        # Both sides of a special token are encoded apart, and each as if nothing were before it.
        if not self._parsed.is_found_at_once:
            return frozenset()
        takes_space = self._vocabulary.strips.left
        candidates = [token for token, n in self._added.items() if n not in takes_space and not token[:1].isspace()]
        return safe_cut_points(self._added, candidates)

    def decode(self, token_ids: Iterable[int], *, skip_special_tokens: bool = True) -> str:
        return self.decode_bytes(token_ids, skip_special_tokens=skip_special_tokens).decode("utf-8", "replace")

    def decode_bytes(self, token_ids: Iterable[int], *, skip_special_tokens: bool = True) -> bytes:
        ids = listed(token_ids)
        skipped = self._vocabulary.control if skip_special_tokens else ()
        table = self._table
        try:
            return b"".join([table[token_id] for token_id in ids if token_id not in skipped])
        except (KeyError, TypeError):
            count = self.vocab_size
            known = [token_id for token_id in checked_ids(ids) if 0 <= token_id < count]
            return b"".join([table[token_id] for token_id in known if token_id not in skipped])

    def token_to_id(self, token: str) -> int | None:
        return self._vocabulary.ids.get(token) if checked_text(token) is token else None

    def id_to_token(self, token_id: int) -> str | None:
        token_id = checked_id(token_id)
        return self._vocabulary.tokens[token_id] if 0 <= token_id < self.vocab_size else None

    def pieces(self, *, skip_special_tokens: bool) -> Pieces:
        skipped = self._vocabulary.control if skip_special_tokens else frozenset()
        table = self._table

        def piece(token_id: int) -> Piece:
            data = table[token_id]
            return None if token_id in skipped else data

        return Pieces(piece)

    @property
    def vocab_size(self) -> int:
        return len(self._vocabulary.tokens)

    @property
    def special_tokens(self) -> SpecialTokens:
        return self._special

    @property
    def added_tokens(self) -> Mapping[str, int]:
        return self._added

    @property
    def eos_token_ids(self) -> tuple[int, ...]:
        return self._vocabulary.ends

    @property
    def engine(self) -> Engine:
        return self._encoder.engine

    def wait_for_engine(self, *, timeout: float | None = None) -> Engine:
        """Wait until it is settled which engine encodes, at most so many seconds; nothing needs it but benchmarks."""
        return self._encoder.wait_for_engine(timeout=timeout)

    @property
    def backend(self) -> str:
        return "gguf"

    @property
    def source(self) -> str:
        return self._source

    @property
    def vocabulary_fingerprint(self) -> str:
        return self._vocabulary.digest

    def __reduce__(self) -> tuple[object, ...]:
        return self._recipe or super().__reduce__()


def find_gguf_file(path: Path) -> Path:
    """The file itself, or the one model in a folder; of a model in several files, the first.

    Raises:
        TokenizerNotFoundError: There is none.
        ConfigurationError: There are several.
    """
    if path.is_file():
        return path
    found = sorted(file for file in path.glob("*.gguf") if file.is_file()) if path.is_dir() else []
    # Where the first of a set is missing, reading another says so.
    found = [file for file in found if not _LATER_OF_SET.search(file.name)] or found[:1]
    if len(found) > 1:
        names = ", ".join(file.name for file in found)
        raise ConfigurationError(f"{path} holds several models ({names}): pass the path of one")
    if not found:
        raise TokenizerNotFoundError(f"there is no GGUF file at {path}", source=str(path))
    return found[0]


def _warn_of_pre_tokenizer(name: str, source: str, *, strict: bool) -> None:
    said = f"names the pre-tokenizer {name!r:.80}" if name else "names no pre-tokenizer"
    known = "says nothing" if name in ("", "default") else "isn't known"
    advice = "convert the model again with a current llama.cpp, or load the tokenizer that it was converted from"
    if strict:
        raise UnsupportedFormatError(
            f"{source} {said}, which {known} about how text is divided into words: {advice}, or pass strict=False "
            f"for llama.cpp's default, whose ids may be others than the model was trained with",
            source=source,
        )
    logger.warning(
        "%s %s, which %s about how text is divided into words. LLAMA.CPP'S DEFAULT IS USED, AND IDS MAY BE OTHERS THAN "
        "THE MODEL WAS TRAINED WITH: %s; strict=True makes this an error",
        source,
        said,
        known,
        advice,
    )


def _templates(metadata: Metadata) -> dict[str, str]:
    """The templates by name; the one without a name is the default."""
    names = metadata.texts(f"{_TEMPLATE}s") or []
    found = {name: metadata.text(f"{_TEMPLATE}.{name}") for name in names}
    found = {"default": metadata.text(_TEMPLATE), **found}
    return {name: text for name, text in found.items() if text is not None}


def _encoder_of(vocabulary: Vocabulary, source: str) -> FragmentEncoder:
    if vocabulary.model == "llama":
        from tokenfacade.backends.gguf_spm import ScoredEncoder

        return ScoredEncoder(vocabulary, source)
    if vocabulary.model == "t5":
        from tokenfacade.backends.gguf_unigram import UnigramEncoder

        return UnigramEncoder(vocabulary, source)
    from tokenfacade.backends.gguf_wordpiece import WordPieceEncoder

    return WordPieceEncoder(vocabulary)
