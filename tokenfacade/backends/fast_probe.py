"""The texts on which the accelerated engine is compared with the reference, for each tokenizer that is loaded."""

from __future__ import annotations

import random
from itertools import product
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tokenfacade.backends.fast import FastTokenizer, Plan

CHARACTERS = (
    # One of every kind that a regex may tell apart: white space of every width, line ends, control characters,
    *" \t\n\x0b\x0c\r\x1c\x1f\x85\xa0\u1680\u2000\u2009\u2028\u2029\u202f\u205f\u3000\u200b\u2060\ufeff\x00\x7f\xad",
    # letters of every case, and without one; letters that change their number when they change case,
    *"aZéÉßẞæøŁ\u01c5ʰªºİıſK\u212bΣςσжЖאبकกあアー한世々〇\u4e00\u9fa5\u9fa6\u3400\U00020000ﬁＡ𝐀𝔸",
    # marks, numbers of every kind,
    *"\u0301\u0308\u0345\u0903\u093f\u20e3\ufe0f\u3099७७٣９²½Ⅷ①㊿𝟘𐒠〇",
    # punctuation, symbols, emoji and what joins them,
    *"'’\"_-–(){}[]<>|/\\.,:;!?¡、。「$€+=~^`¨©°→∑",
    *"😊👍🏽\u200d👩❤🇯🇵",
    # what has no meaning: private, unassigned and reserved characters, and those of the latest versions of Unicode.
    *"\ue000\ufffd\uffff\u0378\U000e0001\U0010ffff\U000f0000\u1c89\U00010d4a\U0001fae9\U000323b0\u088f\U0001e6c0",
    # Hangul by parts, compositions that NFC leaves out or makes, and orders of marks that it changes.
    *("\u1100\u1161\u11a8", "e\u0301", "A\u030a", "\u0958", "\u212b", "q\u0307\u0323", "\u0344", "\u1e9b\u0323"),
)
WORDS = (
    *("the", "The", "THE", "router", "camelCase", "snake_case", "HTTPServer2", "x1", "don't", "I'LL", "we've", "'re"),
    *("'s", "'S", "'t", "'M", "'d", "'D", "'ll", "'lL", "'VE", "''s", "'x", " I'm", "\u2019s", "I'\u2019M"),
    *("1", "12", "123", "1234", "12345678", "3.14", "1,000", "v2.0", "0x1F", "²3", "x²"),
    *("def f(x):\n    return x\n", '{\n\t"a": [1, 2]\n}', "a//b", "!=", "...", "---", "/*", "*/", "://"),
    *("a\n/", "?/\n", "<!--", "x = -1;", "#", "@user", "100%", "a_b", "$9.99"),
    *("世界", "日本語の", "한국어", "Привет", "γειά", "שלום", "नमस्ते", "مرحبا", "ไทย", "naïve", "Straße", "ﬁn"),
    *("<s>", "</s>", "<|im_end|>", "<|endoftext|>", "<0xE4>", "<0x0A>", "▁", "▁▁the", "Ġ", "Ċ", "##ing", "<unk>"),
)
SPACES = (
    *("", " ", "  ", "   ", "\t", "\n", "\n\n", "\r\n", " \n", "\n ", "\n  ", "  \n  ", "\t\n", "\u3000", "\xa0"),
    *("\x85 ", "\u2028\n"),
)
RUNS = (
    *(" ", "\n", "\t", "\r\n", " \n", "a", "A", "é", "世", "1", "!", "'", "\u0301", "😊", "\u3000", "'s", " a", "ab"),
)
RUN_LENGTHS = (3, 4, 7, 16, 65, 300)
MOST_ADDED = 24
RANDOM_TEXTS = 250


def is_guarded(text: str) -> bool:
    """Whether it has a character that the engine's regexes class otherwise than the references' do: such texts never
    go to the engine."""
    return "\u017f" in text or "\u180e" in text


def probe_texts(added_tokens: Sequence[str]) -> Iterator[str]:
    """About 1,000 texts: every known class of difference, and the tokenizer's own added tokens in all surroundings."""
    yield ""
    yield from (f"{before}{character}{after}" for character in CHARACTERS for before, after in (("", ""), ("a ", "b")))
    yield from WORDS
    yield from (f"x{space}{word}{space}" for space, word in zip(SPACES * 4, WORDS, strict=False))
    yield from (f"{before}{space}{after}" for space in SPACES for before, after in product(("", "x", "!"), ("", "y")))
    yield from (run * length for run, length in product(RUNS, RUN_LENGTHS))
    yield from _with_added(added_tokens)
    chance = random.Random(0)
    mixed = (*CHARACTERS, *WORDS, *SPACES, *_some(added_tokens, 8))
    for _ in range(RANDOM_TEXTS):
        yield "".join(chance.choices(mixed, k=chance.randrange(2, 12)))


def _some(tokens: Sequence[str], most: int) -> list[str]:
    """Some of them, from the whole range; first and last are among them."""
    step = max(1, -(-len(tokens) // most))
    return [*tokens[::step], *tokens[-1:]]


def _with_added(tokens: Sequence[str]) -> Iterator[str]:
    for token in _some(sorted(tokens, key=len), MOST_ADDED):
        yield from (token, token + token, f"a{token}b", f" {token} ", f"\n {token} \n", f"x  {token}\u3000{token} 1")
        yield from (
            f"x{token[:1]}{token}{token[-1:]}",
            f"x \n{token}{token}\n x",
            f"{token} \n{token}",
            token[1:] + token,
        )
        yield from (token[:-1], token[1:], token.upper(), f"é{token}é", f"foo{token}bar_{token}", f"{token}'s")


def difference(plan: Plan, fast: FastTokenizer, is_wanted: Callable[[], bool]) -> str | None:
    """A text for which the engine gives other ids than the reference, with any flags; None if there is none, or it
    isn't wanted to know any more."""
    for text in probe_texts(plan.added_tokens()):
        if not is_wanted():
            return None
        if is_guarded(text):
            continue
        for added, parsed in product((False, True), repeat=2):
            expected = plan.reference_ids(text, add_special_tokens=added, parse_special_tokens=parsed)
            if fast.encode(text, added, not parsed).ids != expected:
                return text
    return None
