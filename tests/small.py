"""Small tokenizers of our own, one for each backend and each way of decoding, so that a fresh clone has a complete
suite."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache
from typing import TYPE_CHECKING

import tiktoken
from tokenizers import (
    AddedToken,
    Regex,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)
from tokenizers import Tokenizer as RawTokenizer

from tests.gguf_metadata import BYTE, CONTROL, NORMAL, UNKNOWN, USER_DEFINED, vocabulary, write_gguf
from tests.real import scratch_folder
from tests.tekken_files import write_tekken
from tokenfacade import HuggingFaceTokenizer, MockTokenizer, TiktokenTokenizer, create_tokenizer
from tokenfacade.backends.gguf import GGUFTokenizer
from tokenfacade.backends.sentencepiece import SentencePieceTokenizer
from tokenfacade.backends.sentencepiece_model import SentencePiece
from tokenfacade.backends.tekken import TekkenTokenizer
from tokenfacade.cache import CacheConfig, CachedTokenizer
from tokenfacade.decoding.pieces import byte_alphabet
from tokenfacade.lazy import cached_property

if TYPE_CHECKING:
    from tokenfacade import Tokenizer
    from tokenfacade.decoding.pieces import Pieces

TEXT = [
    "The router sends each request to a worker, and the worker streams tokens back. 'Quoted', (bracketed); x != y.",
    "Ein Zeichen kann mehrere Bytes haben: é, ß, 世界, 한국어, 😊, 👩‍👩‍👧. Der Strom bricht es nie.",
    "def step(token_id): return self.table[token_id]  # one look-up",
]
SPECIAL = ["<s>", "</s>", "<unk>", "<|im_start|>", "<|im_end|>"]
SENTENCE_PIECE_SPECIAL = [
    SentencePiece("<unk>", kind="unknown"),
    *(SentencePiece(token, kind="control") for token in ("<s>", "</s>", "<|im_start|>", "<|im_end|>")),
]


def byte_level() -> Tokenizer:
    """Byte-level BPE with special tokens, an added token in the byte alphabet and one outside it."""
    raw = RawTokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=340, special_tokens=SPECIAL, initial_alphabet=alphabet, show_progress=False
    )
    raw.train_from_iterator(TEXT * 3, trainer)
    raw.add_tokens(
        [AddedToken("<tool>", special=False), AddedToken("é", special=False), AddedToken("世", special=False)]
    )
    bos, eos = raw.token_to_id("<s>"), raw.token_to_id("</s>")
    raw.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A $B </s>", special_tokens=[("<s>", bos), ("</s>", eos)]
    )
    return HuggingFaceTokenizer(raw)


def _sentencepiece_like(decoder: decoders.Decoder, normalizer: normalizers.Normalizer) -> Tokenizer:
    byte_tokens = [f"<0x{byte:02X}>" for byte in range(256)]
    letters = sorted({letter for text in TEXT for letter in text.replace(" ", "▁")} - {"😊", "世", "é"})
    merges = [("▁", "t"), ("▁t", "h"), ("▁th", "e"), ("e", "r"), ("▁", "w"), ("o", "r"), ("k", "er"), ("▁", "▁")]
    tokens = list(dict.fromkeys([*SPECIAL, *byte_tokens, *letters, *(left + right for left, right in merges)]))
    vocabulary = {token: token_id for token_id, token in enumerate(tokens)}
    raw = RawTokenizer(
        models.BPE(vocab=vocabulary, merges=merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True)
    )
    raw.normalizer = normalizer
    raw.decoder = decoder
    raw.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in SPECIAL])
    return HuggingFaceTokenizer(raw)


def byte_fallback() -> Tokenizer:
    """As Llama 2: byte tokens for what the vocabulary lacks, and the space before the first word stripped."""
    decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    return _sentencepiece_like(decoder, normalizer)


def byte_fallback_unstripped() -> Tokenizer:
    """As Gemma: the same without a space before the first word."""
    decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    return _sentencepiece_like(decoder, normalizers.Replace(" ", "▁"))


def metaspace() -> Tokenizer:
    """As T5: Unigram, and the first word without its space."""
    pieces = [(token, 0.0) for token in SPECIAL]
    letters = sorted({letter for text in TEXT for letter in text if letter != " "})
    pieces += [("▁", -3.0), *((letter, -6.0) for letter in letters), ("▁the", -2.0), ("er", -3.0), ("▁w", -3.0)]
    raw = RawTokenizer(models.Unigram(pieces, unk_id=2, byte_fallback=False))
    raw.pre_tokenizer = pre_tokenizers.Metaspace()
    raw.decoder = decoders.Metaspace()
    raw.add_special_tokens([AddedToken(token, special=True) for token in SPECIAL])
    return HuggingFaceTokenizer(raw)


def _words(model: Callable[[dict[str, int]], models.Model], extra: Iterable[str] = ()) -> RawTokenizer:
    words = sorted({word for text in TEXT for word in text.split()})
    tokens = dict.fromkeys([*SPECIAL, "[UNK]", *words, *".,'", *extra])
    raw = RawTokenizer(model({token: token_id for token_id, token in enumerate(tokens)}))
    raw.pre_tokenizer = pre_tokenizers.Whitespace()
    raw.add_special_tokens([AddedToken(token, special=True) for token in SPECIAL])
    return raw


def word_piece() -> Tokenizer:
    """As BERT: parts of words, and spaces taken away before punctuation."""
    letters = [form for letter in "abcdefghijklmnopqrstuvwxyz" for form in (letter, f"##{letter}")]
    raw = _words(lambda vocabulary: models.WordPiece(vocabulary, unk_token="[UNK]"), [*letters, "##er", "##ing", "'s"])
    raw.normalizer = normalizers.Lowercase()
    raw.decoder = decoders.WordPiece()
    return HuggingFaceTokenizer(raw)


def no_decoder() -> Tokenizer:
    """Without a decoder tokens are joined by spaces."""
    return HuggingFaceTokenizer(_words(lambda vocabulary: models.WordLevel(vocabulary, unk_token="[UNK]")))


def windowed_suffix() -> Tokenizer:
    """A decoder that must know which token is the last, so that only windows are left: the space comes with the next
    word."""
    letters = [form for letter in "abcdefghijklmnopqrstuvwxyz" for form in (letter, f"{letter}</w>")]
    raw = _words(lambda vocabulary: models.WordLevel(vocabulary, unk_token="[UNK]"), letters)
    raw.decoder = decoders.BPEDecoder(suffix="</w>")
    return HuggingFaceTokenizer(raw)


def windowed_regex() -> Tokenizer:
    """A decoder with a regular expression, which only its own engine reads."""
    raw = _words(lambda vocabulary: models.WordLevel(vocabulary, unk_token="[UNK]"))
    raw.decoder = decoders.Sequence([decoders.Replace(Regex("[aeiou]"), "_"), decoders.Fuse()])
    return HuggingFaceTokenizer(raw)


class WindowedMock(MockTokenizer):
    """A tokenizer that knows nothing but `decode`, over bytes: the hardest case for windows."""

    def pieces(self, *, skip_special_tokens: bool) -> Pieces | None:  # type: ignore[override]
        return None

    def decode(self, token_ids: Iterable[int], *, skip_special_tokens: bool = True) -> str:
        return self._exact.decode(token_ids, skip_special_tokens=skip_special_tokens)

    def token_bytes(self, token_id: int) -> bytes:
        return self._exact.token_bytes(token_id)

    @cached_property
    def _exact(self) -> MockTokenizer:
        return MockTokenizer()


def tiktoken_small() -> Tokenizer:
    """256 bytes, a few merges, special tokens with gaps between their ids."""
    ranks = {bytes([byte]): byte for byte in range(256)}
    for merge in (b"th", b"the", b" the", b"er", b"in", b" w", b"\xe4\xb8", b"\xf0\x9f", b"\xf0\x9f\x98", b"  "):
        ranks[merge] = len(ranks)
    special = {token: 300 + 3 * index for index, token in enumerate(SPECIAL)}
    pattern = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
    encoding = tiktoken.Encoding("small", pat_str=pattern, mergeable_ranks=ranks, special_tokens=special)
    return TiktokenTokenizer(encoding)


def sentencepiece_bpe() -> Tokenizer:
    """As Llama 2's ``tokenizer.model``: byte pairs, and bytes for what the vocabulary lacks."""
    pieces = [*SENTENCE_PIECE_SPECIAL, *(SentencePiece(f"<0x{byte:02X}>", kind="byte") for byte in range(256))]
    merged = ["▁t", "▁th", "▁the", "er", "▁w", "or", "ker", "▁wor", "▁worker", "▁▁"]
    pieces += [SentencePiece(text, -rank) for rank, text in enumerate(merged)]
    letters = sorted({letter for text in TEXT for letter in text.replace(" ", "▁")} - {"😊", "世", "é"})
    pieces += [SentencePiece(letter, -100 - rank) for rank, letter in enumerate(letters)]
    return SentencePieceTokenizer.from_pieces(pieces, algorithm="bpe", roles={"bos": 1, "eos": 2})


def sentencepiece_unigram() -> Tokenizer:
    """As T5's ``spiece.model``: the likeliest pieces, an unknown token, and a piece that is found in any text."""
    letters = sorted({letter for text in TEXT for letter in text if letter != " "})
    pieces = [*SENTENCE_PIECE_SPECIAL, SentencePiece("<tool>", kind="user_defined"), SentencePiece("▁", -3.0)]
    pieces += [SentencePiece(letter, -6.0) for letter in letters]
    pieces += [SentencePiece(text, score) for text, score in (("▁the", -2.0), ("er", -3.0), ("▁w", -3.0))]
    return SentencePieceTokenizer.from_pieces(pieces, algorithm="unigram", roles={"eos": 2})


def tekken_small() -> Tokenizer:
    """As Mistral's ``tekken.json``: byte pairs after the special tokens."""
    return TekkenTokenizer.from_file(write_tekken(scratch_folder() / "tekken_small"), engine="reference")


def gguf_byte_pairs() -> Tokenizer:
    """A GGUF file with byte-level BPE, as of GPT-2."""
    merges = ["t h", "th e", "Ġ w", "e r", "Ġ the", "Ġw o"]
    texts = [*byte_alphabet(), *(merge.replace(" ", "") for merge in merges)]
    tokens = [*((token, CONTROL) for token in SPECIAL), *((text, NORMAL) for text in texts)]
    roles = {"bos_token_id": 0, "eos_token_id": 1, "unknown_token_id": 2}
    metadata = vocabulary("gpt2", tokens, pre="gpt-2", merges=merges, **roles)
    return GGUFTokenizer.from_file(write_gguf(scratch_folder() / "gguf_byte_pairs.gguf", metadata), engine="reference")


def gguf_sentencepiece() -> Tokenizer:
    """A GGUF file with the vocabulary of a SentencePiece model, as of Llama 2."""
    tokens = [("<unk>", UNKNOWN), ("<s>", CONTROL), ("</s>", CONTROL), ("<|im_end|>", USER_DEFINED)]
    tokens += [(f"<0x{byte:02X}>", BYTE) for byte in range(256)]
    texts = ["▁t", "▁th", "▁the", "er", "▁w", "or", "▁", *"abcdefghijklmnopqrstuvwxyz"]
    tokens += [(text, NORMAL) for text in texts]
    scores = [-float(rank) for rank in range(len(tokens))]
    metadata = vocabulary("llama", tokens, scores=scores, bos_token_id=1, eos_token_id=2, unknown_token_id=0)
    return GGUFTokenizer.from_file(write_gguf(scratch_folder() / "gguf_sentencepiece.gguf", metadata))


def gguf_word_pieces() -> Tokenizer:
    """A GGUF file with parts of words, as of BERT."""
    tokens = [(token, CONTROL) for token in ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")]
    letters = "abcdefghijklmnopqrstuvwxyz"
    tokens += [
        (text, NORMAL) for text in (*(f"▁{letter}" for letter in letters), *letters, "er", "▁the", "▁worker", "▁.")
    ]
    roles = {"bos_token_id": 2, "eos_token_id": 3, "unknown_token_id": 1, "seperator_token_id": 3}
    metadata = vocabulary("bert", tokens, **roles)
    return GGUFTokenizer.from_file(write_gguf(scratch_folder() / "gguf_word_pieces.gguf", metadata))


def fast() -> Tokenizer:
    """The tokenizer of the examples, encoded by the fast engine."""
    return create_tokenizer("examples/tokenizer", engine="fast")


def cached() -> Tokenizer:
    """Behind a cache that is soon full."""
    return CachedTokenizer(byte_level(), CacheConfig(text_bytes=2000, segment_bytes=2000))


def cached_segments() -> Tokenizer:
    """Behind a cache that remembers what lies between special tokens."""
    return CachedTokenizer(tiktoken_small())


def example() -> Tokenizer:
    """The tokenizer of the examples."""
    return create_tokenizer("examples/tokenizer")


SMALL: dict[str, Callable[[], Tokenizer]] = {
    "byte_level": byte_level,
    "byte_fallback": byte_fallback,
    "byte_fallback_unstripped": byte_fallback_unstripped,
    "metaspace": metaspace,
    "word_piece": word_piece,
    "no_decoder": no_decoder,
    "tiktoken_small": tiktoken_small,
    "mock": MockTokenizer,
    "mock_words": lambda: MockTokenizer(["alpha", "beta", "世界"], special_tokens=("<s>", "</s>", "<stop>")),
    "sentencepiece_bpe": sentencepiece_bpe,
    "sentencepiece_unigram": sentencepiece_unigram,
    "tekken_small": tekken_small,
    "gguf_byte_pairs": gguf_byte_pairs,
    "gguf_sentencepiece": gguf_sentencepiece,
    "gguf_word_pieces": gguf_word_pieces,
    "fast": fast,
    "cached": cached,
    "cached_segments": cached_segments,
    "windowed_mock": WindowedMock,
    "windowed_suffix": windowed_suffix,
    "windowed_regex": windowed_regex,
}


@cache
def small_tokenizer(name: str) -> Tokenizer:
    """One of `SMALL`, made once."""
    return SMALL[name]()
