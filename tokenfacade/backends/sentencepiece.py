"""SentencePiece models (``tokenizer.model``, ``spiece.model``): BPE, Unigram, words and characters."""

from __future__ import annotations

import hashlib
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from tokenfacade.backends.sentencepiece_config import read_rules
from tokenfacade.backends.sentencepiece_files import find_model_file, read_model_file
from tokenfacade.backends.sentencepiece_library import Library
from tokenfacade.backends.sentencepiece_model import write_model
from tokenfacade.backends.sentencepiece_parsing import Parser
from tokenfacade.backends.sentencepiece_pieces import DecodingTable
from tokenfacade.chat.discovery import find_chat_templates
from tokenfacade.cut_points import safe_cut_points
from tokenfacade.decoding.transducer import checked_id, checked_ids, listed
from tokenfacade.encoding import Encoding, SpecialTokens
from tokenfacade.errors import ConfigurationError, EncodeError
from tokenfacade.lazy import cached_property
from tokenfacade.model_config import ModelConfig, read_model_config
from tokenfacade.protocols import Tokenizer, checked_text, checked_texts
from tokenfacade.threads import map_in_pool

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import sentencepiece

    from tokenfacade.backends.sentencepiece_model import Algorithm, Role, SentencePiece
    from tokenfacade.chat.discovery import ChatTemplateSource
    from tokenfacade.decoding.pieces import Pieces
    from tokenfacade.encoding import Span

PARALLEL_CHARACTERS = 100_000
"""A batch of fewer is encoded sooner than threads would start."""


class SentencePieceTokenizer(Tokenizer):
    """A SentencePiece model, with what the files beside it say about special tokens.

    With ``parse_special_tokens=False`` the ids are those of the library itself. Otherwise special tokens are found as
    the slow classes of transformers find them, and what is between is encoded apart; ``legacy=False`` in the config,
    where the class honours it, then means that no space is put after a special token.

    Decoding gives the text of the library, but bytes that aren't UTF-8 are U+FFFD by maximal subparts, and
    ``skip_special_tokens=False`` spells special tokens out. The unknown token is text (``" ⁇ "``), so it isn't among
    `special_tokens.ids`. User-defined pieces are found in any text, also with ``parse_special_tokens=False``.

    Args:
        model: The content of a model file, or a processor of the library. It is copied, without the options for
            sampling and for BOS and EOS that a processor may have. Its BOS is added as in Llama's class; a model
            without BOS has its EOS added, as in T5's.
        chat_template: Its chat template, as for `with_chat_template`; there is none by default.

    Raises:
        MissingDependencyError: The `sentencepiece` package is not installed.
        UnsupportedFormatError: It is no SentencePiece model.
        CorruptTokenizerError: It is cut off or contradictory.
        ChatTemplateError: `chat_template` is no template.

    Example:
        >>> from tokenfacade.backends.sentencepiece_model import SentencePiece
        >>> pieces = [SentencePiece("<unk>", kind="unknown"), SentencePiece("▁a", -1), SentencePiece("b", -2)]
        >>> tokenizer = SentencePieceTokenizer.from_pieces(pieces, algorithm="unigram")
        >>> tokenizer.encode("ab a").tokens
        ['▁a', 'b', '▁a']
        >>> tokenizer.decode([1, 2, 1])
        'ab a'
    """

    def __init__(
        self,
        model: bytes | sentencepiece.SentencePieceProcessor,
        *,
        chat_template: ChatTemplateSource | None = None,
    ) -> None:
        data = model if isinstance(model, bytes) else _serialized(model)
        self._set_up(data, ModelConfig(), None)
        if chat_template is not None:
            self.chat_templates = self.chat_templates.replaced(chat_template).checked()

    @classmethod
    def from_file(
        cls, path: str | Path, *, chat_template: ChatTemplateSource | None = None, source: str | None = None
    ) -> SentencePieceTokenizer:
        """Load a model file with what lies beside it, or a folder that holds one.

        Args:
            path: The file, or the folder: its ``tokenizer.model``, or the only ``*.model`` that is SentencePiece.
            chat_template: A chat template in place of those in the folder, as for `with_chat_template`.
            source: What `source` should say, where the files stand for something else; `create_tokenizer` must take
                it.

        Raises:
            MissingDependencyError: The `sentencepiece` package is not installed.
            TokenizerNotFoundError: There is no such path, or no such file in the folder.
            UnsupportedFormatError: It is no SentencePiece model, or its class has a way of its own with pieces or text.
            CorruptTokenizerError: A file is empty, cut off or contradictory.
            ConfigurationError: The folder holds several models.
            ChatTemplateError: `chat_template` is no template.
        """
        file = find_model_file(Path(path))
        folder = file.absolute().parent
        config = read_model_config(folder)
        tokenizer = cls.__new__(cls)
        absolute = str(Path(path).absolute())
        tokenizer._set_up(read_model_file(file), config, source or absolute)
        if source is None:
            tokenizer._path = absolute
        tokenizer.chat_templates = find_chat_templates(folder, tokenizer._rules.config)
        return tokenizer.with_chat_template(chat_template)

    @classmethod
    def from_pieces(
        cls,
        pieces: Sequence[SentencePiece],
        *,
        algorithm: Algorithm,
        add_dummy_prefix: bool = True,
        remove_extra_whitespaces: bool = False,
        escape_whitespaces: bool = True,
        treat_whitespace_as_suffix: bool = False,
        byte_fallback: bool | None = None,
        precompiled_charsmap: bytes = b"",
        roles: Mapping[Role, int] | None = None,
        chat_template: ChatTemplateSource | None = None,
    ) -> SentencePieceTokenizer:
        """Make a model of pieces, as other formats keep them.

        Args:
            pieces: The vocabulary; the position of a piece is its id.
            algorithm: How text is divided.
            add_dummy_prefix: Whether a space is put before a text.
            remove_extra_whitespaces: Whether spaces at both ends, and those after a space, are dropped.
            escape_whitespaces: Whether pieces spell a space as ``▁``.
            treat_whitespace_as_suffix: Whether spaces end words, and don't begin them.
            byte_fallback: Whether unknown characters become bytes; None: where there are byte pieces.
            precompiled_charsmap: How characters are rewritten first, in the library's own form.
            roles: The ids of ``"bos"``, ``"eos"`` and ``"pad"``, which must be control pieces. BOS is added as in
                Llama's class; where there is none, EOS is, as in T5's.
            chat_template: Its chat template, as for `with_chat_template`; there is none by default.

        Raises:
            MissingDependencyError: The `sentencepiece` package is not installed.
            ConfigurationError: A piece, the algorithm or a role can't be.
            CorruptTokenizerError: The pieces contradict each other.
            ChatTemplateError: `chat_template` is no template.
        """
        data = write_model(
            pieces,
            algorithm=algorithm,
            add_dummy_prefix=add_dummy_prefix,
            remove_extra_whitespaces=remove_extra_whitespaces,
            escape_whitespaces=escape_whitespaces,
            treat_whitespace_as_suffix=treat_whitespace_as_suffix,
            byte_fallback=byte_fallback,
            precompiled_charsmap=precompiled_charsmap,
            roles=roles,
        )
        return cls(data, chat_template=chat_template)

    def _set_up(self, data: bytes, config: ModelConfig, source: str | None) -> None:
        self._source = source
        self._path: str | None = None
        self._library = Library(data, self.source)
        model = self._model = self._library.model
        rules = self._rules = read_rules(model, config, self.source)
        self._parser = Parser(self._library, rules)
        self._added = {token_id: token.content for token_id, token in rules.added.items()}
        self._ids = {text: token_id for token_id, text in enumerate(model.texts)}
        self._ids |= {text: token_id for token_id, text in self._added.items()}
        self._special = rules.config.special_tokens(dict(sorted(rules.special.items(), key=lambda item: item[1])))
        self._eos_token_ids = rules.config.eos_token_ids(self._ids.get)

    def encode(self, text: str, *, add_special_tokens: bool = False, parse_special_tokens: bool = True) -> Encoding:
        ids = self._text_ids(text, parsed=parse_special_tokens)
        if add_special_tokens:
            ids = [*self._rules.before, *ids, *self._rules.after]
        return Encoding(
            ids, text, self, add_special_tokens=add_special_tokens, parse_special_tokens=parse_special_tokens
        )

    def _text_ids(self, text: str, *, parsed: bool) -> list[int]:
        # The library takes bytes and lists as well.
        if type(text) is not str:
            text = checked_text(text)
        try:
            return self._parser.ids(text) if parsed else self._library.encode(text)
        except Exception as error:
            if (mended := checked_text(text)) is text:
                raise EncodeError(f"{self!r} can't encode a text of {len(text)} characters: {error}") from error
            return self._text_ids(mended, parsed=parsed)

    def encode_batch(
        self, texts: Sequence[str], *, add_special_tokens: bool = False, parse_special_tokens: bool = True
    ) -> list[Encoding]:
        encode = partial(self.encode, add_special_tokens=add_special_tokens, parse_special_tokens=parse_special_tokens)
        texts = checked_texts(texts)
        if sum(map(len, texts)) < PARALLEL_CHARACTERS:
            return list(map(encode, texts))
        return map_in_pool(encode, texts)

    def count_tokens(self, text: str, *, add_special_tokens: bool = False, parse_special_tokens: bool = True) -> int:
        around = sum(self.added_around()) if add_special_tokens else 0
        return len(self._text_ids(text, parsed=parse_special_tokens)) + around

    def cut_points(self) -> frozenset[str]:
        # Each stretch between added tokens is encoded apart; with a prefix of the config's it matters what precedes it.
        tokens = self._rules.added.values()
        if self._rules.prefix != "library" or any(token.single_word for token in tokens):
            return frozenset()
        # A token with `rstrip` takes white space from what follows, and none begins with it; one with `lstrip` would
        # take it from what precedes.
        candidates = [token.content for token in tokens if not token.lstrip and not token.content[:1].isspace()]
        return safe_cut_points((token.content for token in tokens), candidates)

    def token_offsets(self, encoding: Encoding) -> list[Span]:
        text = encoding.text
        spans = self._parser.spans(text) if encoding.parse_special_tokens else self._library.spans(text)
        if not encoding.add_special_tokens:
            return spans
        before, after = self.added_around()
        return [*[(0, 0)] * before, *spans, *[(len(text), len(text))] * after]

    def decode(self, token_ids: Iterable[int], *, skip_special_tokens: bool = True) -> str:
        table = self._skipping if skip_special_tokens else self._spelling
        if self._model.has_denormalizer:
            return self._decode_rewritten(checked_ids(token_ids), table)
        return table.decode(listed(token_ids))

    def _decode_rewritten(self, token_ids: list[int], table: DecodingTable) -> str:
        """The text of a model that rewrites what it has decoded; special tokens that are spelled stay as they are."""
        text = ""
        for is_spelled, group in groupby(token_ids, table.is_spelled):
            ids = list(group)
            known = [token_id for token_id in ids if 0 <= token_id < len(self._model.texts)]
            text += table.decode(ids) if is_spelled else self._library.decode(known)
        return text

    @cached_property
    def _skipping(self) -> DecodingTable:
        return self._table(skip_special_tokens=True)

    @cached_property
    def _spelling(self) -> DecodingTable:
        return self._table(skip_special_tokens=False)

    def _table(self, *, skip_special_tokens: bool) -> DecodingTable:
        special = frozenset(self._special.ids.values())
        return DecodingTable(self._model, self._added, special, skip_special_tokens=skip_special_tokens)

    def token_to_id(self, token: str) -> int | None:
        return self._ids.get(checked_text(token))

    def id_to_token(self, token_id: int) -> str | None:
        token_id = checked_id(token_id)
        texts = self._model.texts
        token = self._added.get(token_id) or (texts[token_id] if 0 <= token_id < len(texts) else None)
        # A piece whose spelling a config gives to another id has none left.
        return token if token is not None and self._ids[token] == token_id else None

    def pieces(self, *, skip_special_tokens: bool) -> Pieces | None:
        if self._model.has_denormalizer:
            return None
        return (self._skipping if skip_special_tokens else self._spelling).pieces

    def added_around(self) -> tuple[int, int]:
        return len(self._rules.before), len(self._rules.after)

    @cached_property
    def vocab_size(self) -> int:
        return max(len(self._model.texts), max(self._added, default=-1) + 1)

    @property
    def special_tokens(self) -> SpecialTokens:
        return self._special

    @cached_property
    def added_tokens(self) -> Mapping[str, int]:
        model = self._model
        own = {
            text: n
            for n, (text, kind) in enumerate(zip(model.texts, model.kinds, strict=True))
            if kind == "user_defined"
        }
        return {**own, **{text: token_id for token_id, text in self._added.items()}}

    @property
    def eos_token_ids(self) -> tuple[int, ...]:
        return self._eos_token_ids

    @property
    def backend(self) -> str:
        return "sentencepiece"

    @property
    def source(self) -> str:
        return self._source or "<SentencePiece model>"

    @cached_property
    def vocabulary_fingerprint(self) -> str:
        rules = self._rules
        around = rules.before, rules.after, rules.prefix
        return hashlib.sha256(self._library.data + repr((rules.added, self._special, around)).encode()).hexdigest()

    def __reduce__(self) -> tuple[object, ...]:
        if self._path is not None:
            return SentencePieceTokenizer.from_file, (self._path,)
        return (SentencePieceTokenizer, (self._library.data,)) if self._source is None else super().__reduce__()


def _serialized(model: object) -> bytes:
    try:
        data = model.serialized_model_proto()  # type: ignore[attr-defined]
    except Exception as error:
        raise ConfigurationError(
            f"SentencePieceTokenizer takes the bytes of a model or a SentencePieceProcessor, not {type(model).__name__}"
        ) from error
    return bytes(data)
