"""Tokenizers that each break one law, for the tests of the published suite."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from typing import Any

from tokenfacade import Encoding, MockTokenizer, SpecialTokens
from tokenfacade.engine import Engine, EngineName


class RefusesSurrogates(MockTokenizer):
    def encode(self, text: str, **flags: Any) -> Encoding:
        text.encode()
        return super().encode(text, **flags)


class KeepsSurrogates(MockTokenizer):
    def encode(self, text: str, **flags: Any) -> Encoding:
        return super().encode(text.replace("\ud83d\ude0a", "?") if isinstance(text, str) else text, **flags)


class RefusesNul(MockTokenizer):
    def encode(self, text: str, **flags: Any) -> Encoding:
        if text == "\x00":
            raise ValueError("embedded null byte")
        return super().encode(text, **flags)


class RefusesLongTexts(MockTokenizer):
    def encode(self, text: str, **flags: Any) -> Encoding:
        if isinstance(text, str) and len(text) > 50_000 and " " not in text:
            raise RecursionError("maximum recursion depth exceeded")
        return super().encode(text, **flags)


class CountsOneTooMany(MockTokenizer):
    def count_tokens(self, text: str, **flags: Any) -> int:
        return super().count_tokens(text, **flags) + (len(text) > 3)


class BatchesAreUnlikeSingles(MockTokenizer):
    def encode_batch(self, texts: Any, **flags: Any) -> list[Encoding]:
        return super().encode_batch([str(text).strip() for text in texts], **flags)


class IdsBeyondTheVocabulary(MockTokenizer):
    @property
    def vocab_size(self) -> int:
        return 200


class LosesTabs(MockTokenizer):
    def encode(self, text: str, **flags: Any) -> Encoding:
        return super().encode(text.replace("\n", " ") if isinstance(text, str) else text, **flags)


class AddsByDefault(MockTokenizer):
    def encode(self, text: str, *, add_special_tokens: bool = True, parse_special_tokens: bool = True) -> Encoding:
        flags = {"add_special_tokens": add_special_tokens, "parse_special_tokens": parse_special_tokens}
        return super().encode(text, **flags)


class NeverParses(MockTokenizer):
    def encode(self, text: str, **flags: Any) -> Encoding:
        return super().encode(text, **{**flags, "parse_special_tokens": False})


class AlwaysParses(MockTokenizer):
    def encode(self, text: str, **flags: Any) -> Encoding:
        return super().encode(text, **{**flags, "parse_special_tokens": True})


class AddsInTheMiddle(MockTokenizer):
    def encode(self, text: str, **flags: Any) -> Encoding:
        encoding = super().encode(text, **flags)
        if flags.get("add_special_tokens"):
            encoding.ids.append(encoding.ids[len(encoding.ids) // 2])
        return encoding


class OffsetsAreShifted(MockTokenizer):
    def token_offsets(self, encoding: Encoding) -> list[tuple[int, int]]:
        end = len(encoding.text)
        return [(min(start + 1, end), min(last + 1, end)) for start, last in super().token_offsets(encoding)]


class OffsetsCountBytes(MockTokenizer):
    def token_offsets(self, encoding: Encoding) -> list[tuple[int, int]]:
        spans, at = [], 0
        for token_id in encoding:
            spans.append((at, at + len(self.token_bytes(token_id))))
            at = spans[-1][1]
        return spans


class TruncatesTooMuch(MockTokenizer):
    def truncate(self, text: str, max_tokens: int, **options: Any) -> str:
        part = super().truncate(text, max_tokens, **options)
        return part[:-1] if len(part) < len(text) < 100 else part


class TruncatesLongTextsTooMuch(MockTokenizer):
    def truncate(self, text: str, max_tokens: int, **options: Any) -> str:
        part = super().truncate(text, max_tokens, **options)
        return part[:-1] if len(part) > 100 else part


class TruncatesAnything(MockTokenizer):
    def truncate(self, text: str, max_tokens: int, **options: Any) -> str:
        return super().truncate(text, abs(max_tokens), **options)


class EncodesAnything(MockTokenizer):
    def encode(self, text: str, **flags: Any) -> Encoding:
        return super().encode(text if isinstance(text, str) else "", **flags)


class UnequalEncodings(MockTokenizer):
    def encode(self, text: str, **flags: Any) -> Encoding:
        encoding = super().encode(text, **flags)
        encoding.ids = tuple(encoding.ids)  # type: ignore[assignment]
        return encoding


class SpellingsAreDoubled(MockTokenizer):
    def id_to_token(self, token_id: int) -> str | None:
        return super().id_to_token(token_id - 1 if token_id == 300 else token_id)


class VocabularyIsTooLarge(MockTokenizer):
    @property
    def vocab_size(self) -> int:
        return super().vocab_size + 8


class SpecialTokensAreElsewhere(MockTokenizer):
    @property
    def special_tokens(self) -> SpecialTokens:
        return SpecialTokens(eos="</s>", ids={"</s>": 7})


class SkipsNothing(MockTokenizer):
    def decode(self, token_ids: Iterable[int], *, skip_special_tokens: bool = False) -> str:
        return super().decode(token_ids, skip_special_tokens=skip_special_tokens)


class DecodesKnownIdsOnly(MockTokenizer):
    def decode(self, token_ids: Iterable[int], **options: Any) -> str:
        ids = list(token_ids)
        if ids and max(ids) > 2**40:
            raise OverflowError("int too large to convert")
        return super().decode(ids, **options)


class RefusesBools(MockTokenizer):
    def decode(self, token_ids: Iterable[int], **options: Any) -> str:
        return super().decode([n for n in token_ids if not isinstance(n, bool)], **options)


class RaisesKeyErrors(MockTokenizer):
    def id_to_token(self, token_id: int) -> str | None:
        if token_id is None:
            raise KeyError(token_id)
        return super().id_to_token(token_id)


class BytesAreReplaced(MockTokenizer):
    def token_bytes(self, token_id: int) -> bytes:
        return super().token_bytes(token_id).decode("utf-8", "replace").encode()


class BatchesKeepSpecialTokens(MockTokenizer):
    def decode_batch(self, batch: Any, **options: Any) -> list[str]:
        return super().decode_batch(batch, skip_special_tokens=False)


class EngineWithoutReason(MockTokenizer):
    @property
    def engine(self) -> Engine:
        return Engine("reference", reason="")


class IgnoresTemplates(MockTokenizer):
    @property
    def fingerprint(self) -> str:
        return self.vocabulary_fingerprint


class FingerprintOfTheObject(MockTokenizer):
    @property
    def vocabulary_fingerprint(self) -> str:
        return f"{id(self):064x}"


class PicklesByContent(MockTokenizer):
    def __reduce__(self) -> tuple[object, ...]:
        return MockTokenizer, (), {"vocabulary": list(range(10_000))}


class LosesItsEngine(MockTokenizer):
    def __init__(self, name: EngineName = "fast") -> None:
        super().__init__()
        self.name = name

    @property
    def engine(self) -> Engine:
        return Engine(self.name, reason="a choice of the caller")

    def __reduce__(self) -> tuple[object, ...]:
        return LosesItsEngine, ("reference",)


class CopiesAreOthers(MockTokenizer):
    def __copy__(self) -> CopiesAreOthers:
        return CopiesAreOthers()


class SharesItsLists(MockTokenizer):
    def encode(self, text: str, **flags: Any) -> Encoding:
        known: dict[Any, Encoding] = vars(self).setdefault("known", {})
        key = str(text), *sorted(flags.items())
        if key not in known:
            known[key] = super().encode(text, **flags)
        return known[key]


class NotSafeInThreads(MockTokenizer):
    parses = True

    def encode(self, text: str, *, add_special_tokens: bool = False, parse_special_tokens: bool = True) -> Encoding:
        self.parses = parse_special_tokens
        time.sleep(1e-4)
        return super().encode(text, add_special_tokens=add_special_tokens, parse_special_tokens=self.parses)


class LostAfterFork(MockTokenizer):
    def __init__(self) -> None:
        super().__init__()
        self.process = os.getpid()

    def encode(self, text: str, **flags: Any) -> Encoding:
        return super().encode(text if os.getpid() == self.process else "", **flags)


class AsyncIsUnlikeSync(MockTokenizer):
    async def encode_async(self, text: str, **flags: Any) -> Encoding:
        return self.encode(text)


class AsyncCutsLongTexts(MockTokenizer):
    async def encode_async(self, text: str, **flags: Any) -> Encoding:
        return self.encode(text[:10_000], **flags)


class AsyncTakesAnything(MockTokenizer):
    async def encode_async(self, text: str, **flags: Any) -> Encoding:
        return self.encode(str(text), **flags)


class UnlikeItsReference(MockTokenizer):
    def encode(self, text: str, **flags: Any) -> Encoding:
        encoding = super().encode(text, **flags)
        encoding.ids = [token_id if token_id != 0x20 else 0x21 for token_id in encoding.ids]
        return encoding


TOKENIZERS: dict[type[MockTokenizer], str] = {
    RefusesSurrogates: "surrogates_are_mended",
    KeepsSurrogates: "surrogates_are_mended",
    RefusesNul: "hostile_texts_encode_with_any_flags",
    RefusesLongTexts: "long_unbroken_texts_encode",
    CountsOneTooMany: "every_text_encodes_however_it_is_asked_for",
    BatchesAreUnlikeSingles: "every_text_encodes_however_it_is_asked_for",
    IdsBeyondTheVocabulary: "every_text_encodes_however_it_is_asked_for",
    LosesTabs: "decoding_gives_back_the_text",
    AddsByDefault: "the_defaults_are_what_a_rendered_prompt_needs",
    NeverParses: "special_tokens_in_a_text_are_parsed",
    AlwaysParses: "special_tokens_in_a_text_are_text_when_they_are_not_to_be_parsed",
    AddsInTheMiddle: "added_special_tokens_stand_around_the_text",
    OffsetsAreShifted: "offsets_are_spans_of_the_text",
    OffsetsCountBytes: "offsets_are_spans_of_the_text",
    TruncatesTooMuch: "truncate_gives_the_longest_part_that_fits",
    TruncatesLongTextsTooMuch: "truncate_is_exact_on_long_texts_too",
    TruncatesAnything: "truncate_refuses_what_can_not_be",
    EncodesAnything: "what_is_no_text_is_refused",
    UnequalEncodings: "encodings_are_sequences_of_their_ids",
    SpellingsAreDoubled: "token_and_id_are_inverse",
    VocabularyIsTooLarge: "token_and_id_are_inverse",
    SpecialTokensAreElsewhere: "special_tokens_are_tokens",
    SkipsNothing: "special_tokens_are_skipped_only_when_they_should_be",
    DecodesKnownIdsOnly: "unknown_ids_are_no_token",
    RefusesBools: "bools_are_the_integers_that_they_are_in_python",
    RaisesKeyErrors: "what_is_no_id_is_refused",
    BytesAreReplaced: "decode_bytes_are_what_decode_reads",
    BatchesKeepSpecialTokens: "a_batch_is_decoded_as_its_lists_are",
    EngineWithoutReason: "it_says_what_it_is",
    IgnoresTemplates: "the_fingerprint_is_of_vocabulary_and_templates",
    FingerprintOfTheObject: "it_pickles_and_stays_itself",
    PicklesByContent: "it_pickles_and_stays_itself",
    LosesItsEngine: "it_pickles_and_stays_itself",
    CopiesAreOthers: "a_copy_is_the_tokenizer_itself",
    SharesItsLists: "results_are_the_callers_own",
    NotSafeInThreads: "threads_share_it",
    LostAfterFork: "a_forked_child_goes_on_encoding",
    AsyncIsUnlikeSync: "async_equals_sync",
    AsyncCutsLongTexts: "long_texts_and_chats_are_the_same_async",
    AsyncTakesAnything: "what_is_no_text_is_refused_async",
    UnlikeItsReference: "ids_are_those_of_the_reference",
}
"""Each broken tokenizer, and the law that must find it."""
