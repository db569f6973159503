"""The pre-tokenizers that llama.cpp knows by name: into which words a text is divided before merging.

The names, patterns and flags are those of ``llama-vocab.cpp`` and ``unicode.cpp`` in llama-cpp-python 0.3.36. It
matches on text in which every character outside ASCII stands for its general category alone, so ``\\p{Lu}`` means any
letter there, and some patterns that models publish are replaced by code of its own; what is written here is what it
does, in the syntax of Oniguruma. Where a published pattern divides the same texts alike, that is preferred: accelerated
engines know it.

One difference is left: Oniguruma's tables are those of Unicode 16, llama.cpp's those of 15.1, in which what is new
since is no letter, digit or sign.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Domain = Literal["all", "ascii"]
"""For which texts the usual patterns divide as the exact ones do; ``"all"`` leaves out those with an apostrophe before
a long s, which case folding takes for an s."""


@dataclass(frozen=True, slots=True)
class PreTokenizer:
    """How one kind of byte-level vocabulary prepares a text.

    Attributes:
        patterns: Each divides what the ones before it left; what it doesn't match stays between its matches.
        usual: The patterns as the models publish them, where they divide most texts alike.
        usual_for: Which texts.
        ignore_merges: Whether a word that is a token needs no merging.
        add_bos: Whether BOS is added, if the file says nothing.
        has_default_bos: Whether there is a BOS, if the file says nothing.
        is_byte_level: Whether tokens are spelled in the byte alphabet; otherwise in characters.
        escapes_spaces: Whether a space is spelled ``▁``.
        joins_newlines: Whether a run of newlines that is a token needs no merging.
    """

    patterns: tuple[str, ...]
    usual: tuple[str, ...] = ()
    usual_for: Domain = "all"
    ignore_merges: bool = False
    add_bos: bool = False
    has_default_bos: bool = True
    is_byte_level: bool = True
    escapes_spaces: bool = False
    joins_newlines: bool = False


_ANY_CASE = r"(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])"
_FOLDED = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
_LETTERS = r"[^\r\n\p{L}\p{N}]?\p{L}+"
_SIGNS = r" ?[^\s\p{L}\p{N}]+[\r\n]*"
_SIGNS_AND_SLASHES = r" ?[^\s\p{L}\p{N}]+[\r\n/]*"
_SPACES = r"\s*[\r\n]+|\s+(?!\S)|\s+"
_ASCII_SIGNS = r"""[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~]"""

GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
_LINES = r"[^\n]+|[\n]+"
_CJK = "[\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+"
_DEEPSEEK_CJK = "[[\u4e00-\u9fa5\u0800-\u4e00\uac00-\ud7ff]&&[^\\s]]+"
_SENTENCE = " ?[^(\\s|.,!?\u2026\u3002\uff0c\u3001\u0964\u06d4\u060c)]+"
# Digits in threes, counted from the right; what precedes a run stays with its first digits.
_GROUPED = r"[^\p{N}]*+(?<!\p{N})\p{N}{1,3}(?=(?:\p{N}{3})*+(?!\p{N}))|\p{N}{3}|[^\p{N}]+"
_GROUPS_AHEAD = "(?=(?:[0-9]{3})*+(?![0-9]))"
_TAIL = f"(?:[^0-9]+[0-9]{{0,2}}{_GROUPS_AHEAD})"
_HAN = (
    "\u4e00-\u9fff\u3400-\u4dbf\U00020000-\U0002a6df\U0002a700-\U0002b73f\U0002b740-\U0002b81f\U0002b820-\U0002ceaf"
    "\U0002ceb0-\U0002ebef\uf900-\ufaff\U0002f800-\U0002fa1f"
)
_LATIN = (
    "A-Za-z\u00b5\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u01ba\u01bc-\u01bf\u01c4-\u0293\u0295-\u02af\u0370-\u0373"
    "\u0376\u0377\u037b-\u037d\u037f\u0386\u0388-\u038a\u038c\u038e-\u03a1\u03a3-\u03f5\u03f7-\u0481\u048a-\u052f"
    "\u0531-\u0556\u10a0-\u10c5\u13a0-\u13f5\u13f8-\u13fd\u1c90-\u1cba\u1cbd-\u1cbf\u1d00-\u1d2b\u1d6b-\u1d77"
    "\u1d79-\u1d9a\u1e00-\u1f15\u1f18-\u1f1d\u1f20-\u1f45\u1f48-\u1f4d\u1f50-\u1f57\u1f59\u1f5b\u1f5d\u1f5f-\u1f7d"
    "\u1f80-\u1fb4\u1fb6-\u1fbc\u1fbe\u1fc2-\u1fc4\u1fc6-\u1fcc\u1fd0-\u1fd3\u1fd6-\u1fdb\u1fe0-\u1fec\u1ff2-\u1ff4"
    "\u1ff6-\u1ffc\u2102\u2107\u210a-\u2113\u2115\u2119-\u211d\u2124\u2126\u2128\u212a-\u212d\u212f-\u2134\u2139"
    "\u213c-\u213f\u2145-\u2149\u214e\u2183\u2184\u2c00-\u2c7b\u2c7e-\u2ce4\u2ceb-\u2cee\u2cf2\u2cf3\ua640-\ua66d"
    "\ua680-\ua69b\ua722-\ua76f\ua771-\ua787\ua78b-\ua78e\uab70-\uabbf\ufb00-\ufb06\ufb13-\ufb17\uff21-\uff3a"
    "\uff41-\uff5a\U00010400-\U0001044f\U000104b0-\U000104d3\U000104d8-\U000104fb\U00010c80-\U00010cb2"
    "\U00010cc0-\U00010cf2\U000118a0-\U000118df\U0001e900-\U0001e943"
)


def _words(digits: str, *, letters: str = _LETTERS, signs: str = _SIGNS, contractions: str = _ANY_CASE) -> str:
    return f"{contractions}|{letters}|{digits}|{signs}|{_SPACES}"


def _cased(upper: str, lower: str, contractions: str, digits: str) -> str:
    """Words in which capitals begin: those of o200k, Tekken and their kin."""
    one = f"[^\\r\\n\\p{{L}}\\p{{N}}]?{upper}*{lower}+{contractions}"
    other = f"[^\\r\\n\\p{{L}}\\p{{N}}]?{upper}+{lower}*{contractions}"
    return f"{one}|{other}|{digits}|{_SIGNS_AND_SLASHES}|{_SPACES}"


def _published_cased(contractions: str, digits: str) -> str:
    return _cased(r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]", contractions, digits)


def _exact_cased(contractions: str, digits: str, letters: str = r"\p{L}") -> str:
    return _cased(f"[{letters}&&[^a-z]]", f"[{letters}&&[^A-Z]]", contractions, digits)


def _by_marks(newline: str, tail: str) -> str:
    signs = rf" ?[\p{{P}}\p{{S}}]+{tail}"
    return rf"{_ASCII_SIGNS}[A-Za-z]+|[^{newline}\p{{L}}\p{{P}}\p{{S}}]?[\p{{L}}\p{{M}}]+|{signs}|\s+(?!\S)|\s+"


_DEEPSEEK3 = _by_marks("\r\n", "[\r\n]*|\\s*[\r\n]+")
_LLAMA3 = PreTokenizer(
    (_words(r"\p{N}{1,3}"),), usual=(_words(r"\p{N}{1,3}", contractions=_FOLDED),), ignore_merges=True, add_bos=True
)
_GPT2 = PreTokenizer((GPT2,))
_STARCODER = PreTokenizer((r"\p{N}", GPT2))
_QWEN2 = PreTokenizer((_words(r"\p{N}"),), usual=(_words(r"\p{N}", contractions=_FOLDED),))
_DEEPSEEK_V3 = PreTokenizer((r"\p{N}{1,3}", _CJK, _DEEPSEEK3))
_GLM4 = PreTokenizer(_LLAMA3.patterns, usual=_LLAMA3.usual, ignore_merges=True, has_default_bos=False)
_GPT4O = PreTokenizer(
    (_exact_cased(f"{_ANY_CASE}?", r"\p{N}{1,3}"),),
    usual=(_published_cased(f"{_FOLDED}?", r"\p{N}{1,3}"),),
    usual_for="ascii",
)
_TINY_AYA = PreTokenizer((_GROUPED, _cased(r"[\p{L}\p{M}]", r"[\p{L}\p{M}]", f"{_ANY_CASE}?", r"\p{N}{1,3}")))
_BAILING = PreTokenizer(
    (
        (
            r"'(?:[sSdDmMtT]|[lL][lL]|[vV][eE]|[rR][eE])|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
            r"|\s*[\r\n]|\s+(?!\S)|\s+"
        ),
    )
)
_BLOOM = PreTokenizer((_SENTENCE,))
_GEMMA4 = PreTokenizer((_LINES,), add_bos=True, is_byte_level=False, escapes_spaces=True, joins_newlines=True)

DEFAULT = PreTokenizer((r"[\p{P}\$\+<=>\^~\|]+", GPT2, r"\p{N}+", "[0-9][0-9][0-9]"))
"""What llama.cpp does where a file names none, or ``default``."""

_ALIKE: dict[PreTokenizer, str] = {
    _LLAMA3: "llama3 llama-v3 llama-bpe falcon3 falcon-h1 pixtral midm-2.0 lfm2 jina-v5-nano",
    _GPT2: "mpt gpt-2 phi-2 jina-es jina-de gigachat jina-v2-es jina-v2-de a.x-4.0 mellum modern-bert jina-v1-en "
    "jina-v2-code roberta-bpe olmo jais exaone4 trillion granite-docling",
    _STARCODER: "starcoder refact command-r smollm codeshell exaone minerva-7b mellum2",
    _QWEN2: "qwen2 deepseek-r1-qwen kormo f2llmv2 stablelm2 megrez hunyuan grok-2 solar-open",
    _DEEPSEEK_V3: "deepseek-v3 hunyuan-dense hy_v4 joyai-llm",
    PreTokenizer(_LLAMA3.patterns, usual=_LLAMA3.usual): "dbrx smaug-bpe",
    PreTokenizer(_LLAMA3.patterns, usual=_LLAMA3.usual, has_default_bos=False): "chatglm-bpe",
    _GLM4: "glm4 glm5",
    _GPT4O: "gpt-4o llama4 kanana2 talkie minimax-m2",
    _TINY_AYA: "tiny_aya cohere2moe",
    _BAILING: "bailingmoe bailingmoe2 llada-moe",
    _BLOOM: "poro-chat bloom gpt3-finnish",
    _GEMMA4: "gemma4 granite-embed-multi-311m",
}

_SINGLE: dict[str, PreTokenizer] = {
    "minicpm5": PreTokenizer((r"\p{N}{1,3}", _words(r"\p{N}+")), ignore_merges=True),
    "deepseek-llm": PreTokenizer(
        (
            r"[\r\n]",
            f"\\s?[{_LATIN}]+",
            "\\s?[!-/:-~\uff01-\uff0f\uff1a-\uff5e\u2018-\u201f\u3001-\u3002]+",
            r"\s+\z",
            _DEEPSEEK_CJK,
            r"\p{N}+",
        )
    ),
    "deepseek-coder": PreTokenizer((r"[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", _DEEPSEEK_CJK, r"\p{N}")),
    "spark2_5": PreTokenizer((r"\p{N}{1,3}", _CJK, _by_marks("\r\n", "|[\r\n]"), r"\p{N}")),
    "youtu": PreTokenizer(
        (
            (
                "[\uac00-\ud7a3\u3131-\u318e]+|[\uff01\u2026\u201c\u201d\u2018\u2019\u2014\uff1a\uff1b\uff0c\u3001-\u303f"
                f"\ufe30-\ufe4f]+|[\u3105-\u312f]+|{_CJK}"
            ),
            _cased(r"[\p{L}\p{M}]", r"[\p{L}\p{M}]", f"{_ANY_CASE}?", r"\p{N}"),
        ),
        ignore_merges=True,
    ),
    "falcon": PreTokenizer((r"[\p{P}\$\+<=>\^~\|`]+", GPT2, "[0-9][0-9][0-9]")),
    "jais-2": PreTokenizer(
        (
            # The look behind it spares looking for a newline again after each piece of a run of spaces.
            f"{_ANY_CASE}|{_LETTERS}|\\p{{N}}{{1,3}}|{_SIGNS}|(?<![^\\S\\r\\n])\\s*[\\r\\n]+|"
            + "".join(rf"\s{{{width}}}(?!\S)|" for width in (512, 256, 128, 64, 32, 16, 8, 4, "1,2"))
            + r"\s{1}",
        )
    ),
    "sarvam-moe": PreTokenizer((_LINES,), is_byte_level=False, escapes_spaces=True),
    "whitespace": PreTokenizer((r"\S+",), is_byte_level=False),
    "qwen35": PreTokenizer(
        (_words(r"\p{N}", letters=r"[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+", signs=r" ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*"),),
        usual=(
            _words(
                r"\p{N}",
                letters=r"[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+",
                signs=r" ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*",
                contractions=_FOLDED,
            ),
        ),
    ),
    "viking": PreTokenizer((_SENTENCE, r"\p{N}")),
    "tekken": PreTokenizer(
        (_exact_cased("", r"\p{N}"),),
        usual=(_published_cased("", r"\p{N}"),),
        usual_for="ascii",
        ignore_merges=True,
        add_bos=True,
    ),
    "exaone-moe": PreTokenizer(
        (
            (
                rf"{_ANY_CASE}|[^\r\n\p{{L}}\p{{N}}]?(?:\p{{L}}\p{{M}}*(?: \p{{L}}\p{{M}}*)*)+|\p{{N}}"
                r"| ?[^\s\p{L}\p{N}]+[\r\n/]?|\s*[\r\n]|\s+(?!\S)|\s+"
            ),
        )
    ),
    "chameleon": PreTokenizer(
        (
            "<sentinel:[0-9]+>",
            "(IMGIMG)((A|B|C|D|E|F|G|H|I){1,4})Z",
            r"([\t\n]|    |  )",
            r"\p{N}",
            r"[\p{P}!-/:-@\[-`{-~]",
            GPT2,
        ),
        add_bos=True,
    ),
    "granite-embed-multi-97m": PreTokenizer(
        (_exact_cased(f"{_ANY_CASE}?", r"\p{N}{1,3}", r"\p{L}\p{M}"),), ignore_merges=True
    ),
    # A run of digits is cut before each group of three; all that follows the last group stays with it.
    "superbpe": PreTokenizer(
        (
            r"\p{N}+",
            rf"(?<![0-9])[0-9]{{1,2}}{_GROUPS_AHEAD}{_TAIL}*|[0-9]{{3}}{_TAIL}*|{_TAIL}+",
        )
    ),
    "seed-coder": PreTokenizer((_words(r"\p{N}{1}", signs=r" ?[^\s\p{L}\p{N}\r\n]+"),)),
    "kimi-k2": PreTokenizer(
        (f"[{_HAN}]+|[^\\r\\n\\p{{L}}\\p{{N}}]?[\\p{{L}}&&[^{_HAN}]]+{_ANY_CASE}?|\\p{{N}}{{1,3}}|{_SIGNS}|{_SPACES}",)
    ),
    "ufakzeka": PreTokenizer((rf"{_LETTERS}|\p{{N}}|{_SIGNS}|{_SPACES}",)),
    "afmoe": PreTokenizer(
        (
            _GROUPED,
            (
                "[\u4e00-\u9fff\u3400-\u4dbf\u8c48-\ufaff\u3040-\u309f\u30a0-\u30ff\uff65-\uff9f\u2f00-\u2fdf\u0e40-\u0e7f"
                "\u0e80-\u0eff\u1780-\u17ff\u1000-\u109f\uaa60-\uaa7f\ua9e0-\ua9ff\uac00-\ud7af\u1100-\u11ff]+"
            ),
            _by_marks(r"\r\n", r"[\r\n]*|\s*[\r\n]+"),
        )
    ),
    "laguna": PreTokenizer((_LINES, *_QWEN2.patterns)),
}


def pre_tokenizer_named(name: str | None) -> PreTokenizer | None:
    """The pre-tokenizer of that name; None for ``default``, no name and one that isn't known.

    Example:
        >>> pre_tokenizer_named("qwen2").usual_for, pre_tokenizer_named("default")
        ('all', None)
    """
    if name in _SINGLE:
        return _SINGLE[name]
    return next((kind for kind, names in _ALIKE.items() if name in names.split()), None)
