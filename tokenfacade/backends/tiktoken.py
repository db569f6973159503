"""OpenAI's encodings by name, and files of ranks (``.tiktoken``, ``tiktoken.model``) of any family."""

from __future__ import annotations

import hashlib
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from tokenfacade.backends.fast import Accelerated, Accelerator
from tokenfacade.backends.tiktoken_config import ids_to_add, not_special, openai_config, with_end_token
from tokenfacade.backends.tiktoken_families import FAMILIES
from tokenfacade.backends.tiktoken_fast import TiktokenPlan
from tokenfacade.backends.tiktoken_files import (
    family_of_file,
    find_rank_file,
    folder_of_config,
    make_encoding,
    read_ranks,
)
from tokenfacade.backends.tiktoken_names import encoding_name_of, load_encoding
from tokenfacade.backends.tiktoken_reference import TiktokenReference
from tokenfacade.chat.discovery import find_chat_templates
from tokenfacade.cut_points import safe_cut_points
from tokenfacade.decoding.pieces import Pieces, byte_alphabet
from tokenfacade.decoding.transducer import checked_id, checked_ids, listed
from tokenfacade.encoding import Encoding, SpecialTokens
from tokenfacade.errors import ConfigurationError, TokenizerNotFoundError
from tokenfacade.lazy import cached_property
from tokenfacade.model_config import ModelConfig, read_model_config
from tokenfacade.protocols import Tokenizer, checked_text, checked_texts

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    import tiktoken

    from tokenfacade.chat.discovery import ChatTemplateSource
    from tokenfacade.decoding.pieces import Piece
    from tokenfacade.engine import EngineChoice

NO_SPECIAL: frozenset[str] = frozenset()


class TiktokenTokenizer(Accelerated, Tokenizer):
    """A tiktoken encoding: byte-pair encoding whose vocabulary is bytes, so that any text and any bytes survive.

    `id_to_token` spells a token's bytes in the byte alphabet of GPT-2 (``"Ġworld"``), as the same vocabulary in
    Hugging Face's format does: the only spelling in which every token, also half a character, is a different `str`.
    Special tokens are spelled as they are.

    Args:
        encoding: An encoding of the tiktoken library.
        chat_template: Its chat template, as for `with_chat_template`; there is none by default.
        engine: As for `create_tokenizer`.

    Raises:
        ConfigurationError: The `engine` can't be had.
        ChatTemplateError: `chat_template` is no template.

    Example:
        >>> import tiktoken
        >>> ranks = {bytes([byte]): byte for byte in range(256)} | {b"he": 256, b"ll": 257, b"hell": 258}
        >>> special = {"<|end|>": 300}
        >>> encoding = tiktoken.Encoding(
        ...     "tiny", pat_str=r"\\w+|\\W+", mergeable_ranks=ranks, special_tokens=special
        ... )
        >>> tokenizer = TiktokenTokenizer(encoding)
        >>> tokenizer.encode("hello<|end|>").ids
        [258, 111, 300]
        >>> tokenizer.token_bytes(258), tokenizer.vocab_size
        (b'hell', 301)
    """

    def __init__(
        self,
        encoding: tiktoken.Encoding,
        *,
        chat_template: ChatTemplateSource | None = None,
        engine: EngineChoice = "auto",
    ) -> None:
        self._set_up(encoding, ModelConfig(), None)
        self._accelerate(engine)
        if chat_template is not None:
            self.chat_templates = self.chat_templates.replaced(chat_template).checked()

    @classmethod
    def from_encoding(
        cls,
        name: str,
        *,
        chat_template: ChatTemplateSource | None = None,
        local_files_only: bool = False,
        engine: EngineChoice = "auto",
    ) -> TiktokenTokenizer:
        """Load an encoding by name: ``o200k_base``, ``o200k_harmony``, ``cl100k_base``, ``p50k_base``, ``p50k_edit``,
        ``r50k_base``, ``gpt2``, or that of a plugin.

        Its file is looked for in ``TIKTOKEN_CACHE_DIR``, under its natural name (``o200k_base.tiktoken``) or
        tiktoken's own, and otherwise downloaded by tiktoken, which keeps it there.

        Raises:
            TokenizerNotFoundError: There is no such encoding.
            HubError: Its file is not here, and can't be fetched or mustn't.
            CorruptTokenizerError: The file here is not what OpenAI published.
            ConfigurationError: The `engine` can't be had.
            ChatTemplateError: `chat_template` is no template; there is none by default.
        """
        encoding = load_encoding(name, local_files_only=local_files_only)
        made = cls._made(encoding, openai_config(encoding), f"tiktoken:{name}")
        made._accelerate(engine)
        return made.with_chat_template(chat_template)

    @classmethod
    def from_model_name(
        cls,
        name: str,
        *,
        chat_template: ChatTemplateSource | None = None,
        local_files_only: bool = False,
        engine: EngineChoice = "auto",
    ) -> TiktokenTokenizer:
        """Load the encoding of an OpenAI model: ``gpt-4o``, ``ft:gpt-4o:org::id``, ``openai/gpt-4o-mini``,
        ``gpt-35-turbo``.

        Names come from tiktoken's own tables: exact ones, then the longest prefix. An unknown name is an error, never
        a guess.

        Raises:
            TokenizerNotFoundError: tiktoken knows no such model.
            HubError: The file of its encoding is not here, and can't be fetched or mustn't.
            ConfigurationError: The `engine` can't be had.
            ChatTemplateError: `chat_template` is no template; there is none by default.
        """
        if not isinstance(name, str):
            raise ConfigurationError(f"the name of a model is a str, not {type(name).__name__}")
        encoding = encoding_name_of(name)
        if encoding is None:
            raise TokenizerNotFoundError(
                f"tiktoken knows no model {name!r}; pass the name of its encoding instead, as in "
                f"'tiktoken:o200k_base', or update tiktoken if the model is new",
                source=name,
            )
        return cls.from_encoding(
            encoding, chat_template=chat_template, local_files_only=local_files_only, engine=engine
        )

    @classmethod
    def from_file(
        cls,
        path: str | Path,
        *,
        pattern: str | None = None,
        special_tokens: Mapping[str, int] | None = None,
        family: str | None = None,
        chat_template: ChatTemplateSource | None = None,
        source: str | None = None,
        engine: EngineChoice = "auto",
    ) -> TiktokenTokenizer:
        """Load a file of ranks, or a folder that holds one.

        Such a file holds neither the pattern that splits a text nor the special tokens. They come from the arguments,
        else from the family that the config beside the file shows, else from the file itself where it is one that
        OpenAI published.

        Args:
            path: The file or folder.
            pattern: The regular expression that splits a text into pieces.
            special_tokens: Every special token with its id; without it, those of the family and of
                ``added_tokens_decoder``. What stands there as not special (Kimi's ``</think>``) is parsed like the
                others, but not skipped by `decode`.
            family: A known family by name: ``llama3``, ``qwen``, ``kimi``, ``whisper`` or an OpenAI encoding.
            chat_template: A chat template in place of those beside the file, as for `with_chat_template`.
            source: What `source` should say, where the file stands for something else; `create_tokenizer` must take
                it.
            engine: As for `create_tokenizer`.

        Raises:
            TokenizerNotFoundError: There is no such path, or no such file in the folder.
            UnsupportedFormatError: The family is unknown and no pattern is given.
            ConfigurationError: There is no family of that name, an id is both a rank and a special token, or the
                `engine` can't be had.
            CorruptTokenizerError: The file is empty, cut off or contradictory.
            ChatTemplateError: `chat_template` is no template.
        """
        file = find_rank_file(Path(path))
        if family is not None and family not in FAMILIES:
            raise ConfigurationError(f"there is no family {family!r}; known are {', '.join(FAMILIES)}")
        ranks = read_ranks(file)
        folder = folder_of_config(file)
        config = read_model_config(folder)
        known = FAMILIES.get(family or family_of_file(file, config, is_required=not pattern) or "")
        tokens, plain = special_tokens, NO_SPECIAL
        if tokens is None:
            added = {token_id: token.content for token_id, token in config.added_tokens.items()}
            merged = {**config.model, **config.tokenizer, "added_tokens_decoder": added}
            tokens = known.special_tokens(len(ranks), merged) if known else {name: n for n, name in added.items()}
            plain = not_special(config)
        encoding = make_encoding(file, pattern or (known.pattern if known else ""), ranks, tokens)
        absolute = str(Path(path).absolute())
        config = with_end_token(config, encoding)
        tokenizer = cls._made(encoding, config, source or absolute, plain)
        tokenizer._accelerate(engine)
        tokenizer.chat_templates = find_chat_templates(folder, config)
        if source is None:
            special_tokens = special_tokens and dict(special_tokens)
            load = partial(cls.from_file, pattern=pattern, special_tokens=special_tokens, family=family, engine=engine)
            tokenizer._recipe = (load, (absolute,))
        return tokenizer.with_chat_template(chat_template)

    @classmethod
    def _made(
        cls, encoding: tiktoken.Encoding, config: ModelConfig, source: str, plain: Collection[str] = NO_SPECIAL
    ) -> TiktokenTokenizer:
        tokenizer = cls.__new__(cls)
        tokenizer._set_up(encoding, config, source, plain)
        return tokenizer

    def _set_up(
        self, encoding: tiktoken.Encoding, config: ModelConfig, source: str | None, plain: Collection[str] = NO_SPECIAL
    ) -> None:
        self._encoding = encoding
        self._reference = TiktokenReference(encoding)
        self._source = source
        self._recipe: tuple[object, ...] | None = None
        self._added = dict(sorted(encoding._special_tokens.items(), key=lambda item: item[1]))
        self._added_ids = frozenset(self._added.values())
        if not {self._bytes_of(token_id) for token_id in self._added_ids} <= {name.encode() for name in self._added}:
            raise ConfigurationError(f"special tokens of {encoding!r} have ids that are ranks already")
        self._special = config.special_tokens({name: n for name, n in self._added.items() if name not in plain})
        self._special_ids = frozenset(self._special.ids.values())
        self._eos_token_ids = config.eos_token_ids(self._added.get)
        self._before = ids_to_add(config, self._added, "bos_token")
        self._after = ids_to_add(config, self._added, "eos_token")
        self._alphabet = byte_alphabet()
        self._spelling = {byte: character for character, byte in self._alphabet.items()}

    def _accelerate(self, engine: EngineChoice) -> None:
        self._accelerator = Accelerator(TiktokenPlan(self._encoding), self.source, engine)

    def encode(self, text: str, *, add_special_tokens: bool = False, parse_special_tokens: bool = True) -> Encoding:
        found = self._accelerator.encode(text, add_special_tokens=False, parse_special_tokens=parse_special_tokens)
        ids = self._reference.ids(text, parse_special_tokens=parse_special_tokens) if found is None else found.ids
        if add_special_tokens:
            ids = [*self._before, *ids, *self._after]
        return Encoding(
            ids, text, self, add_special_tokens=add_special_tokens, parse_special_tokens=parse_special_tokens
        )

    def encode_batch(
        self, texts: Sequence[str], *, add_special_tokens: bool = False, parse_special_tokens: bool = True
    ) -> list[Encoding]:
        added, parsed = add_special_tokens, parse_special_tokens
        texts = checked_texts(texts)
        found = self._accelerator.encode_batch(texts, add_special_tokens=False, parse_special_tokens=parsed)
        batch = self._reference.batch(texts, parse_special_tokens=parsed) if found is None else [e.ids for e in found]
        if added:
            batch = [[*self._before, *ids, *self._after] for ids in batch]
        return [
            Encoding(ids, text, self, add_special_tokens=added, parse_special_tokens=parsed)
            for ids, text in zip(batch, texts, strict=True)
        ]

    def count_tokens(self, text: str, *, add_special_tokens: bool = False, parse_special_tokens: bool = True) -> int:
        around = len(self._before) + len(self._after) if add_special_tokens else 0
        found = self._accelerator.encode(text, add_special_tokens=False, parse_special_tokens=parse_special_tokens)
        if found is not None:
            return len(found) + around
        return self._reference.count(text, parse_special_tokens=parse_special_tokens) + around

    def decode(self, token_ids: Iterable[int], *, skip_special_tokens: bool = True) -> str:
        ids = listed(token_ids)
        try:
            if skip_special_tokens:
                special = self._special_ids
                ids = [token_id for token_id in ids if token_id not in special]
            return self._encoding.decode(ids)
        except (KeyError, OverflowError, TypeError):
            known = [token_id for token_id in checked_ids(ids) if self._bytes_of(token_id) is not None]
            return self._encoding.decode(known)

    def token_to_id(self, token: str) -> int | None:
        token = checked_text(token)
        if token in self._added:
            return self._added[token]
        try:
            return self._encoding.encode_single_token(bytes([self._alphabet[character] for character in token]))
        except KeyError:
            return None

    def id_to_token(self, token_id: int) -> str | None:
        data = self._bytes_of(checked_id(token_id))
        if data is None:
            return None
        if token_id in self._added_ids:
            return data.decode()
        return "".join([self._spelling[byte] for byte in data])

    def _bytes_of(self, token_id: int) -> bytes | None:
        try:
            return self._encoding.decode_single_token_bytes(token_id)
        except (KeyError, OverflowError):
            return None

    def pieces(self, *, skip_special_tokens: bool) -> Pieces:
        skipped = self._special_ids if skip_special_tokens else frozenset()

        def piece(token_id: int) -> Piece:
            data = self._bytes_of(token_id)
            if data is None:
                raise KeyError(token_id)
            return None if token_id in skipped else data

        return Pieces(piece)

    def cut_points(self) -> frozenset[str]:
        # The library searches for these from left to right, and splits and merges each text between two of them alone.
        return safe_cut_points(self._added, self._added)

    def added_around(self) -> tuple[int, int]:
        return len(self._before), len(self._after)

    @property
    def vocab_size(self) -> int:
        return self._encoding.n_vocab

    @property
    def special_tokens(self) -> SpecialTokens:
        return self._special

    @property
    def added_tokens(self) -> Mapping[str, int]:
        return self._added

    @property
    def eos_token_ids(self) -> tuple[int, ...]:
        return self._eos_token_ids

    @property
    def backend(self) -> str:
        return "tiktoken"

    @property
    def source(self) -> str:
        return self._source or f"<tiktoken.Encoding {self._encoding.name!r}>"

    @cached_property
    def vocabulary_fingerprint(self) -> str:
        # The three fields that tiktoken's README names for making one encoding from another.
        encoding = self._encoding
        added = sorted(self._added.items()), sorted(self._special.ids.items())
        digest = hashlib.sha256(repr((encoding._pat_str, added)).encode())
        for token, rank in sorted(encoding._mergeable_ranks.items(), key=lambda item: item[1]):
            digest.update(b"%d %s\n" % (rank, token.hex().encode()))
        digest.update(repr((self._before, self._after)).encode())
        return digest.hexdigest()

    def __reduce__(self) -> tuple[object, ...]:
        if self._recipe is not None:
            return self._recipe
        if self._source is None:
            return partial(TiktokenTokenizer, engine=self._accelerator.choice), (self._encoding,)
        return super().__reduce__()
