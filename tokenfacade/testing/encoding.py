"""The laws of encoding: Total, Same however it is asked for, flags, offsets and truncation."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from hypothesis import strategies as st

from tokenfacade.errors import ConfigurationError, EncodeError
from tokenfacade.testing.checks import equal, for_all, refuses, require, works
from tokenfacade.testing.oracles import mended, touched
from tokenfacade.testing.strategies import FRAGMENTS, byte_ids, texts_of

if TYPE_CHECKING:
    from tokenfacade.encoding import Encoding
    from tokenfacade.protocols import Tokenizer

FLAGS = tuple(
    {"add_special_tokens": added, "parse_special_tokens": parsed} for added in (False, True) for parsed in (False, True)
)
HOSTILE = ("<|endoftext|>", "a<|endoftext|>b", "\x00", "", " ", "\ud800", "ok\ud83d\udc4dok", "\udc4d\ud83d", "\ufeff")
LONG = (" " * 100_000 + "x", "\n" * 30_000, "a" * 100_000, "\x00" * 1000, "世" * 20_000, "😊" * 10_000)
NO_TEXTS: tuple[Any, ...] = (None, 5, b"bytes", ["a"], ("a", "b"), object())
NO_TEXTS += (["a"] * 3000, ("a", "b") * 1500, b"x" * 3000, dict.fromkeys(range(3000)))  # long texts go other ways


class EncodingLaws:
    """Every `str` encodes, and to the same ids however it is asked for.

    Attributes:
        round_trip: ``"exact"``: decoding gives back every text; ``"lossy"``: the vocabulary lacks some characters, or
            text is normalised.
    """

    round_trip: ClassVar[Literal["exact", "lossy"]] = "exact"

    def reference_ids(self, text: str, **flags: bool) -> list[int] | None:
        """The ids of the format's own library, for the law "same everywhere"; override it where there is one.

        `flags` are `add_special_tokens` and `parse_special_tokens`. The text has no surrogates. None says that the
        library doesn't know either.
        """
        return None

    def test_ids_are_those_of_the_reference(self, tokenizer: Tokenizer) -> None:
        """**Same everywhere.** The ids are those of the format's own library, with any flags, whatever engine or cache
        is in use. As far as `reference_ids` says them."""
        if type(self).reference_ids is EncodingLaws.reference_ids:
            return

        @for_all(texts_of(tokenizer).map(mended), st.sampled_from(FLAGS))
        def law(text: str, flags: dict[str, bool]) -> None:
            expected = self.reference_ids(text, **flags)
            if expected is not None:
                equal(tokenizer.encode(text, **flags).ids, expected, f"encode({text!r}, {flags})")

        law()

    def test_every_text_encodes_however_it_is_asked_for(self, tokenizer: Tokenizer) -> None:
        """**Total.** Every `str` encodes, to ids of the vocabulary; a batch gives what single texts give, and
        `count_tokens` their number."""

        @for_all(texts_of(tokenizer), st.sampled_from(FLAGS))
        def law(text: str, flags: dict[str, bool]) -> None:
            encoding = works(partial(tokenizer.encode, text, **flags), f"encode({text!r}, {flags})")
            for token_id in encoding:
                require(type(token_id) is int, f"{token_id!r}, an id of {text!r}, is an int")
                require(0 <= token_id < tokenizer.vocab_size, f"{token_id}, an id of {text!r}, is below vocab_size")
            count = works(partial(tokenizer.count_tokens, text, **flags), f"count_tokens({text!r}, {flags})")
            equal(count, len(encoding.ids), f"count_tokens({text!r}, {flags})")
            batch = works(partial(tokenizer.encode_batch, [text, "", text], **flags), f"a batch of {text!r}")
            expected = [encoding.ids, tokenizer.encode("", **flags).ids, encoding.ids]
            equal([one.ids for one in batch], expected, f"encode_batch of {[text, '', text]!r}, {flags},")

        law()

    def test_surrogates_are_mended(self, tokenizer: Tokenizer) -> None:
        """**Total.** A surrogate pair counts as its character, a lone surrogate as U+FFFD: in the ids, and in the text
        that an encoding and its offsets speak of."""

        surrogates = st.sampled_from(["\ud83d\ude0a", "\ud800", "\udc00", "\ude0a\ud83d", ""])

        @for_all(texts_of(tokenizer), surrogates, st.sampled_from(FLAGS))
        def law(text: str, surrogate: str, flags: dict[str, bool]) -> None:
            text = text[:4] + surrogate + text[4:]
            encoding = works(partial(tokenizer.encode, text, **flags), f"encode({text!r}, {flags})")
            equal(encoding.ids, tokenizer.encode(mended(text), **flags).ids, f"encode({text!r}, {flags}).ids")
            equal(encoding.text, mended(text), f"encode({text!r}, {flags}).text")

        law()

    def test_hostile_texts_encode_with_any_flags(self, tokenizer: Tokenizer) -> None:
        """**Total.** Special-token look-alikes, NUL, the empty text and surrogates encode with any flags, and what they
        give decodes."""
        for text in HOSTILE:
            for flags in FLAGS:
                encoding = works(partial(tokenizer.encode, text, **flags), f"encode({text!r}, {flags})")
                for skip in (True, False):
                    decode = partial(tokenizer.decode, encoding, skip_special_tokens=skip)
                    works(decode, f"decode of {encoding.ids}, the ids of {text!r},")

    def test_long_unbroken_texts_encode(self, tokenizer: Tokenizer) -> None:
        """**Total.** Texts without a place to split encode too, in time that grows linearly: if this law takes minutes,
        it is broken."""
        for text in LONG:
            what = f"encode({text[0]!r} * {len(text)})"
            ids = works(partial(tokenizer.encode, text), what).ids
            require(ids or self.round_trip != "exact", f"{what} gives ids")
            equal(tokenizer.count_tokens(text), len(ids), f"the count of {text[0]!r} * {len(text)}")

    def test_decoding_gives_back_the_text(self, tokenizer: Tokenizer) -> None:
        """**Total.** Nothing of a text is lost: ``decode(encode(text), skip_special_tokens=False)`` is the text. Where
        `round_trip` is ``"exact"``."""
        if self.round_trip != "exact":
            return

        @for_all(texts_of(tokenizer), st.booleans())
        def law(text: str, parsed: bool) -> None:  # noqa: FBT001
            ids = tokenizer.encode(text, parse_special_tokens=parsed).ids
            equal(tokenizer.decode(ids, skip_special_tokens=False), mended(text), f"decode({ids})")

        law()

    def test_the_defaults_are_what_a_rendered_prompt_needs(self, tokenizer: Tokenizer) -> None:
        """By default no special tokens are added, and those in the text are parsed."""

        @for_all(texts_of(tokenizer))
        def law(text: str) -> None:
            flags = {"add_special_tokens": False, "parse_special_tokens": True}
            expected = tokenizer.encode(text, **flags).ids
            equal(tokenizer.encode(text).ids, expected, f"encode({text!r}), without flags,")
            equal(tokenizer.encode_batch([text])[0].ids, expected, f"encode_batch([{text!r}]), without flags,")
            equal(tokenizer.count_tokens(text), len(expected), f"count_tokens({text!r}), without flags,")

        law()

    def test_special_tokens_in_a_text_are_parsed(self, tokenizer: Tokenizer) -> None:
        """With ``parse_special_tokens=True`` a special token spelled in the text becomes its id."""
        for special, token_id in list(tokenizer.special_tokens.ids.items())[:20]:
            ids = tokenizer.encode(special, parse_special_tokens=True).ids
            require(token_id in ids, f"the ids {ids} of {special!r} hold {token_id}")

    def test_special_tokens_in_a_text_are_text_when_they_are_not_to_be_parsed(self, tokenizer: Tokenizer) -> None:
        """With ``parse_special_tokens=False`` special tokens spelled in the text are ordinary text. For vocabularies
        that can spell them with bytes; in one of words special tokens are words too."""
        single, tokens = byte_ids(tokenizer), tokenizer.special_tokens.ids
        if not tokens or not single.keys() >= {byte for token in tokens for byte in token.encode()}:
            return
        unknown = tokenizer.token_to_id(tokenizer.special_tokens.unk or "<unk>")

        @for_all(texts_of(tokenizer), st.sampled_from(list(tokens)), texts_of(tokenizer))
        def law(before: str, special: str, after: str) -> None:
            text = before + special + after
            ids = tokenizer.encode(text, parse_special_tokens=False).ids
            equal(set(ids) & set(tokens.values()) - {unknown}, set(), f"looking for special ids in {ids} of {text!r}")

        law()

    def test_added_special_tokens_stand_around_the_text(self, tokenizer: Tokenizer) -> None:
        """``add_special_tokens=True`` adds the same tokens around every text, and changes nothing between them."""
        around = tokenizer.encode("", add_special_tokens=True).ids

        @for_all(texts_of(tokenizer), st.booleans())
        def law(text: str, parsed: bool) -> None:  # noqa: FBT001
            plain = tokenizer.encode(text, parse_special_tokens=parsed).ids
            ids = tokenizer.encode(text, add_special_tokens=True, parse_special_tokens=parsed).ids
            wrapped = [[*around[:n], *plain, *around[n:]] for n in range(len(around) + 1)]
            require(ids in wrapped, f"{ids}, with special tokens added to {text!r}, are {plain} within {around}")

        law()

    def test_offsets_are_spans_of_the_text(self, tokenizer: Tokenizer) -> None:
        """Each id has one span of characters of `Encoding.text`, which holds no character that the bytes of the token
        don't touch; characters are counted, not bytes."""

        @for_all(texts_of(tokenizer), st.sampled_from(FLAGS))
        def law(text: str, flags: dict[str, bool]) -> None:
            encoding = tokenizer.encode(text, **flags)
            offsets = works(lambda: encoding.offsets, f"encode({text!r}, {flags}).offsets")
            equal(len(offsets), len(encoding), f"counting the offsets of {text!r}")
            equal(encoding.tokens, [tokenizer.id_to_token(n) for n in encoding], f"the tokens of {text!r}")
            for start, end in offsets:
                require(0 <= start <= end <= len(encoding.text), f"({start}, {end}) is a span of {encoding.text!r}")
            if not flags["add_special_tokens"]:
                _lie_within_what_they_touch(tokenizer, encoding)

        law()

    def test_truncate_gives_the_longest_part_that_fits(self, tokenizer: Tokenizer) -> None:
        """`truncate` gives the longest prefix, or suffix, of whole characters whose count fits when it is encoded
        again."""

        @for_all(texts_of(tokenizer).map(lambda text: mended(text)[:40]), st.integers(0, 12), st.booleans())
        def law(text: str, most: int, added: bool) -> None:  # noqa: FBT001
            def fits(part: str) -> bool:
                return tokenizer.count_tokens(part, add_special_tokens=added) <= most

            prefixes = (text[:length] for length in range(len(text), -1, -1))
            suffixes = (text[start:] for start in range(len(text) + 1))
            what = f"truncate({text!r}, {most})"
            equal(tokenizer.truncate(text, most, add_special_tokens=added), next(filter(fits, prefixes), ""), what)
            left = tokenizer.truncate(text, most, side="left", add_special_tokens=added)
            equal(left, next(filter(fits, suffixes), ""), f"{what} from the left")

        law()

    def test_truncate_is_exact_on_long_texts_too(self, tokenizer: Tokenizer) -> None:
        """`truncate` of a long text fits, and the next characters wouldn't."""
        text = "".join(FRAGMENTS[n * n % 25] + f" {n} " for n in range(600))
        most = tokenizer.count_tokens(text) // 2
        right, left = tokenizer.truncate(text, most), tokenizer.truncate(text, most, side="left")
        require(text.startswith(right), "a text truncated on the right is a prefix of it")
        require(text.endswith(left), "a text truncated on the left is a suffix of it")
        for longer in range(24):
            for side, part in (("right", text[: len(right) + longer]), ("left", text[-len(left) - longer :])):
                fits = tokenizer.count_tokens(part) <= most
                equal(fits, longer == 0, f"whether {longer} characters more than truncate gave ({side}) fit")

    def test_truncate_refuses_what_can_not_be(self, tokenizer: Tokenizer) -> None:
        """`truncate` raises `ConfigurationError` for a negative number of tokens and for any other side."""
        neither: Any = "middle"
        refuses(ConfigurationError, partial(tokenizer.truncate, "text", -1), "truncate to -1 tokens")
        refuses(ConfigurationError, partial(tokenizer.truncate, "text", 1, side=neither), "truncate in the middle")

    def test_what_is_no_text_is_refused(self, tokenizer: Tokenizer) -> None:
        """What isn't a `str` raises `EncodeError`, and nothing else, wherever a text is expected."""
        for no_text in NO_TEXTS:
            refuses(EncodeError, partial(tokenizer.encode, no_text), f"encode({no_text!r})")
            refuses(EncodeError, partial(tokenizer.count_tokens, no_text), f"count_tokens({no_text!r})")
            if not isinstance(no_text, list | tuple):
                refuses(EncodeError, partial(tokenizer.encode_batch, no_text), f"encode_batch({no_text!r})")
            refuses(EncodeError, partial(tokenizer.encode_batch, ["a", no_text]), f"a batch with {no_text!r}")
            refuses(EncodeError, partial(tokenizer.truncate, no_text, 3), f"truncate({no_text!r}, 3)")

    def test_encodings_are_sequences_of_their_ids(self, tokenizer: Tokenizer) -> None:
        """An `Encoding` is a sequence of its ids, equal to another exactly when its ids are."""
        encoding, again = tokenizer.encode("the worker"), tokenizer.encode("the worker")
        equal([list(encoding), encoding[:]], [encoding.ids, encoding.ids], "iterating and slicing an encoding")
        equal(encoding, again, "encoding a text twice")
        equal(hash(encoding), hash(again), "the hash of an encoding")
        require(encoding != encoding.ids, "an encoding is not equal to a list")
        if (other := tokenizer.encode("another")).ids != encoding.ids:
            require(encoding != other, "encodings of other ids are not equal")
        require("tokens" in repr(encoding), "repr says how many tokens there are")
        require("<span" in encoding._repr_html_() or not encoding.ids, "a notebook shows the tokens")


def _lie_within_what_they_touch(tokenizer: Tokenizer, encoding: Encoding) -> None:
    """Where the tokens are the text; elsewhere it was normalised, and nothing is known."""
    parts = [tokenizer.token_bytes(token_id) for token_id in encoding]
    decoded = tokenizer.decode(encoding, skip_special_tokens=False)
    if decoded != encoding.text or b"".join(parts) != encoding.text.encode():
        return
    for span, (first, last) in zip(encoding.offsets, touched(encoding.text, parts), strict=True):
        if span[0] < span[1]:
            require(first <= span[0] and span[1] <= last, f"{span} lies within ({first}, {last}) of {encoding.text!r}")
