"""Mistral's Tekken vocabularies (``tekken.json``): byte pairs as in tiktoken, with the special tokens before them."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

import tiktoken

from tokenfacade.backends.fast import Accelerated, Accelerator
from tokenfacade.backends.tekken_fast import TekkenPlan
from tokenfacade.backends.tekken_files import find_tekken_file, read_vocabulary
from tokenfacade.backends.tiktoken import TiktokenTokenizer
from tokenfacade.chat.discovery import find_chat_templates
from tokenfacade.decoding.pieces import Pieces
from tokenfacade.decoding.transducer import checked_ids, listed
from tokenfacade.encoding import Encoding, SpecialTokens
from tokenfacade.engine import checked_choice
from tokenfacade.errors import CorruptTokenizerError
from tokenfacade.lazy import cached_property
from tokenfacade.model_config import ModelConfig, read_model_config
from tokenfacade.protocols import Tokenizer, checked_texts

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tokenfacade.backends.fast import FastEncoding
    from tokenfacade.backends.tekken_files import TekkenVocabulary
    from tokenfacade.chat.discovery import ChatTemplateSource
    from tokenfacade.decoding.pieces import Piece
    from tokenfacade.engine import EngineChoice

_ROLES = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}


class TekkenTokenizer(Accelerated, Tokenizer):
    """A Tekken vocabulary, made by `from_file`; ids equal those of mistral-common, which it doesn't need.

    mistral-common itself never finds special tokens in a text, as ``parse_special_tokens=False`` does here. The default
    finds all of them, also those that fill unused ids (``<SPECIAL_20>``), as the ``tokenizer.json`` of the same models
    does. All special tokens are skipped by `decode`, whatever the file says in ``is_control``; skipped or not, one ends
    a run of bytes, so that the halves of a character on both sides of it don't join.

    `id_to_token` spells a token's bytes in the byte alphabet of GPT-2, as `TiktokenTokenizer` does.

    Example:
        >>> from base64 import b64encode
        >>> from json import dumps
        >>> from tempfile import TemporaryDirectory
        >>> tokens = [{"rank": n, "token_bytes": b64encode(bytes([n])).decode()} for n in range(256)]
        >>> config = {"version": "v3", "pattern": "(?s).+", "default_num_special_tokens": 30}
        >>> config["default_vocab_size"] = 30 + len(tokens)
        >>> with TemporaryDirectory() as folder:
        ...     _ = Path(folder, "tekken.json").write_text(dumps({"config": config, "vocab": tokens}))
        ...     tokenizer = TekkenTokenizer.from_file(folder)
        >>> tokenizer.encode("hi</s>", add_special_tokens=True).tokens
        ['<s>', 'h', 'i', '</s>']
        >>> tokenizer.decode([1, 30 + ord("h"), 30 + ord("i"), 2])
        'hi'
    """

    def __init__(
        self, vocabulary: TekkenVocabulary, config: ModelConfig, source: str, *, engine: EngineChoice = "auto"
    ) -> None:
        self._names = vocabulary.special_tokens
        self._ids = {name: token_id for token_id, name in enumerate(self._names)}
        self._byte_pairs = TiktokenTokenizer(_encoding(vocabulary, self._ids, source), engine="reference")
        self._accelerator = Accelerator(TekkenPlan(vocabulary, self._byte_pairs), source, engine)
        self._special = config.special_tokens(self._ids)
        self._eos_token_ids = config.eos_token_ids(self._ids.get)
        self._before = [self._ids["<s>"]] if "<s>" in self._ids else []
        self._beginnings = _beginnings(self._names)
        self._source = source
        self._recipe: tuple[str, EngineChoice] | None = None

    @classmethod
    def from_file(
        cls,
        path: str | Path,
        *,
        chat_template: ChatTemplateSource | None = None,
        source: str | None = None,
        engine: EngineChoice = "auto",
    ) -> TekkenTokenizer:
        """Load a ``tekken.json``, or a folder that holds one.

        A generation ends with ``</s>``, and with what ``generation_config.json`` and ``config.json`` beside the file
        name.

        Args:
            path: The file or folder.
            chat_template: A chat template in place of those beside the file, as for `with_chat_template`.
            source: What `source` should say, where the file stands for something else; `create_tokenizer` must take
                it.
            engine: As for `create_tokenizer`.

        Raises:
            TokenizerNotFoundError: There is no such path, or no such file in the folder.
            UnsupportedFormatError: The file is of a version that is not known.
            CorruptTokenizerError: The file is cut off or contradictory.
            ConfigurationError: The `engine` can't be had, or the folder holds several vocabularies.
            MissingDependencyError: ``engine="fast"`` needs the extra ``fast``.
            ChatTemplateError: `chat_template` is no template.
        """
        checked_choice(engine)
        file = find_tekken_file(Path(path))
        folder, absolute = file.absolute().parent, str(Path(path).absolute())
        vocabulary = read_vocabulary(file)
        roles = {role: token for role, token in _ROLES.items() if token in vocabulary.special_tokens}
        config = read_model_config(folder).with_names(roles)
        tokenizer = cls(vocabulary, config, source or absolute, engine=engine)
        tokenizer.chat_templates = find_chat_templates(folder, config)
        if source is None:
            tokenizer._recipe = (absolute, engine)
        return tokenizer.with_chat_template(chat_template)

    def encode(self, text: str, *, add_special_tokens: bool = False, parse_special_tokens: bool = True) -> Encoding:
        found = self._accelerator.encode(text, add_special_tokens=False, parse_special_tokens=parse_special_tokens)
        ids = self._reference_ids(text, parse_special_tokens=parse_special_tokens) if found is None else found.ids
        if add_special_tokens:
            ids = [*self._before, *ids]
        return Encoding(
            ids, text, self, add_special_tokens=add_special_tokens, parse_special_tokens=parse_special_tokens
        )

    def _reference_ids(self, text: str, *, parse_special_tokens: bool) -> list[int]:
        # At every call tiktoken takes over the names of all 1,000 special tokens, if they are to be found: 0.1 ms.
        parsed = parse_special_tokens and self._may_hold_special(text)
        return self._byte_pairs.encode(text, parse_special_tokens=parsed).ids

    def _may_hold_special(self, text: str) -> bool:
        return isinstance(text, str) and any(beginning in text for beginning in self._beginnings)

    def encode_batch(
        self, texts: Sequence[str], *, add_special_tokens: bool = False, parse_special_tokens: bool = True
    ) -> list[Encoding]:
        texts = checked_texts(texts)
        parsed = parse_special_tokens
        found: Sequence[FastEncoding | Encoding] | None = self._accelerator.encode_batch(
            texts, add_special_tokens=False, parse_special_tokens=parsed
        )
        if found is None:
            found = self._byte_pairs.encode_batch(texts, parse_special_tokens=parsed)
        before = self._before if add_special_tokens else []
        return [
            Encoding(
                [*before, *part.ids], text, self, add_special_tokens=add_special_tokens, parse_special_tokens=parsed
            )
            for text, part in zip(texts, found, strict=True)
        ]

    def count_tokens(self, text: str, *, add_special_tokens: bool = False, parse_special_tokens: bool = True) -> int:
        before = len(self._before) if add_special_tokens else 0
        found = self._accelerator.encode(text, add_special_tokens=False, parse_special_tokens=parse_special_tokens)
        if found is not None:
            return len(found) + before
        parsed = parse_special_tokens and self._may_hold_special(text)
        return self._byte_pairs.count_tokens(text, parse_special_tokens=parsed) + before

    def decode(self, token_ids: Iterable[int], *, skip_special_tokens: bool = True) -> str:
        ids = listed(token_ids)
        decode, n_special = self._byte_pairs.decode, len(self._names)
        try:
            if min(ids, default=n_special) >= n_special:  # the usual case, and much faster than the loop below
                return decode(ids, skip_special_tokens=False)
        except TypeError:
            pass
        texts, start = [], 0
        ids = checked_ids(ids)
        for position, token_id in enumerate(ids):
            if 0 <= token_id < n_special:
                texts.append(decode(ids[start:position], skip_special_tokens=False))
                if not skip_special_tokens:
                    texts.append(self._names[token_id])
                start = position + 1
        return "".join(texts) + decode(ids[start:], skip_special_tokens=False)

    def pieces(self, *, skip_special_tokens: bool) -> Pieces:
        names, n_special = self._names, len(self._names)
        byte_pairs = self._byte_pairs.pieces(skip_special_tokens=False).piece

        def piece(token_id: int) -> Piece:
            if not 0 <= token_id < n_special:
                return byte_pairs(token_id)
            return "" if skip_special_tokens else names[token_id]

        return Pieces(piece)

    def token_to_id(self, token: str) -> int | None:
        return self._byte_pairs.token_to_id(token)

    def id_to_token(self, token_id: int) -> str | None:
        return self._byte_pairs.id_to_token(token_id)

    def cut_points(self) -> frozenset[str]:
        return self._byte_pairs.cut_points()

    def added_around(self) -> tuple[int, int]:
        return len(self._before), 0

    @property
    def vocab_size(self) -> int:
        return self._byte_pairs.vocab_size

    @property
    def special_tokens(self) -> SpecialTokens:
        return self._special

    @property
    def eos_token_ids(self) -> tuple[int, ...]:
        return self._eos_token_ids

    @property
    def backend(self) -> str:
        return "tekken"

    @property
    def source(self) -> str:
        return self._source

    @cached_property
    def vocabulary_fingerprint(self) -> str:
        # Not that of tiktoken alone: a special token ends a run of bytes here, and not there.
        return sha256(f"tekken {self._byte_pairs.vocabulary_fingerprint}".encode()).hexdigest()

    def __reduce__(self) -> tuple[object, ...]:
        return super().__reduce__() if self._recipe is None else (_from_recipe, self._recipe)


def _from_recipe(path: str, engine: EngineChoice) -> TekkenTokenizer:
    return TekkenTokenizer.from_file(path, engine=engine)


def _encoding(vocabulary: TekkenVocabulary, special_tokens: Mapping[str, int], source: str) -> tiktoken.Encoding:
    try:
        # Byte-pair encoding asks only which of two ranks is lower, so the ids stand for the ranks.
        return tiktoken.Encoding(
            source, pat_str=vocabulary.pattern, mergeable_ranks=vocabulary.ids, special_tokens=dict(special_tokens)
        )
    except ValueError as error:
        raise CorruptTokenizerError(
            f"{source} has the pattern {vocabulary.pattern!r:.80}, which is no regular expression that tiktoken takes: "
            f"{error}",
            source=source,
        ) from error


def _beginnings(tokens: Iterable[str]) -> frozenset[str]:
    """Characters of which a text has one if it has a token; ASCII, so that no mended surrogate is one."""
    beginnings = frozenset(token[0] for token in tokens)
    return beginnings if all(map(str.isascii, beginnings)) else frozenset([""])
