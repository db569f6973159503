"""What a rank file does not say: the split pattern and the special tokens of each family, and how to tell the family.

A ``.tiktoken`` or ``tiktoken.model`` file holds byte strings and their ranks, nothing else. The rest is knowledge about
the family, kept here as data: nothing is read or fetched. Each fact names its source. Patterns stand as published, so
the engine that runs them must know possessive quantifiers (``++``, in OpenAI's), flags within a pattern (``(?i:...)``)
and intersections of classes (``[...&&[^...]]``, in Kimi's).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

Config = Mapping[str, Any]
"""A model's configuration files as read: values of any type, since strangers wrote them."""

SpecialTokens = Callable[[int, Config], dict[str, int]]
"""From the number of ranks and the merged configuration to every special token with its id, in order of id."""


@dataclass(frozen=True, slots=True)
class Family:
    """How the models of one family split a text, and which special tokens they have.

    ``special_tokens`` takes the number of ranks in the file and ``tokenizer_config.json`` merged over ``config.json``.
    The ids that the configuration's ``added_tokens_decoder`` names are always as it says; the family fills the rest.
    """

    name: str
    pattern: str
    special_tokens: SpecialTokens


@dataclass(frozen=True, slots=True)
class RankFile:
    """A rank file that OpenAI publishes: its natural name, and how to find and verify a copy of it."""

    name: str
    cache_name: str
    """The sha1 of its url in hex, the name under which tiktoken's cache folder keeps it (as in tiktoken/load.py)."""
    sha256: str


# The one configuration field that outranks every family. ------------------------------------------------------------


def _added_tokens(config: Config) -> dict[int, str]:
    decoder = config.get("added_tokens_decoder")
    if not isinstance(decoder, Mapping):
        return {}
    contents = {
        int(token_id): entry.get("content") if isinstance(entry, Mapping) else entry
        for token_id, entry in decoder.items()
    }
    # An empty text can't be a special token: it would match everywhere.
    return {token_id: content for token_id, content in contents.items() if isinstance(content, str) and content}


def _completed(family_tokens: Iterable[tuple[str, int]], config: Config) -> dict[str, int]:
    """The explicit tokens, with the family's where these leave both the id and the name free."""
    added = _added_tokens(config)
    taken_names = set(added.values())
    tokens = [(name, token_id) for name, token_id in family_tokens if token_id not in added and name not in taken_names]
    tokens += [(name, token_id) for token_id, name in added.items()]
    return dict(sorted(tokens, key=lambda token: token[1]))


# OpenAI's encodings, as published in tiktoken's tiktoken_ext/openai_public.py. --------------------------------------

_R50K_PATTERN = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s"

_CL100K_PATTERN = (
    r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+"
    r"|\s++$|\s*[\r\n]|\s+(?!\S)|\s"
)

# The end of a word in English, and the two kinds of letters that o200k tells apart; the other letters belong to both.
_CONTRACTION = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
_CAPITALS = r"\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}"
_SMALL_LETTERS = r"\p{Ll}\p{Lm}\p{Lo}\p{M}"

_O200K_PATTERN = (
    rf"[^\r\n\p{{L}}\p{{N}}]?[{_CAPITALS}]*[{_SMALL_LETTERS}]+{_CONTRACTION}?"
    rf"|[^\r\n\p{{L}}\p{{N}}]?[{_CAPITALS}]+[{_SMALL_LETTERS}]*{_CONTRACTION}?"
    r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)

_R50K_TOKENS = {"<|endoftext|>": 50256}

_P50K_EDIT_TOKENS = _R50K_TOKENS | {"<|fim_prefix|>": 50281, "<|fim_middle|>": 50282, "<|fim_suffix|>": 50283}

_CL100K_TOKENS = {
    "<|endoftext|>": 100257,
    "<|fim_prefix|>": 100258,
    "<|fim_middle|>": 100259,
    "<|fim_suffix|>": 100260,
    "<|endofprompt|>": 100276,
}

_O200K_TOKENS = {"<|endoftext|>": 199999, "<|endofprompt|>": 200018}

_HARMONY_NAMED_TOKENS = _O200K_TOKENS | {
    "<|startoftext|>": 199998,
    "<|return|>": 200002,
    "<|constrain|>": 200003,
    "<|channel|>": 200005,
    "<|start|>": 200006,
    "<|end|>": 200007,
    "<|message|>": 200008,
    "<|call|>": 200012,
}

# tiktoken gives 200018 two names, <|reserved_200018|> and <|endofprompt|>. The named tokens come last, so that a table
# from ids to names made of this one has the meaningful name.
_HARMONY_TOKENS = {
    f"<|reserved_{token_id}|>": token_id
    for token_id in range(200000, 201088)
    if token_id > 200012 or token_id not in _HARMONY_NAMED_TOKENS.values()
} | _HARMONY_NAMED_TOKENS


def _fixed(tokens: Mapping[str, int]) -> SpecialTokens:
    """Special tokens that do not depend on the rank file."""

    def special_tokens(n_ranks: int, config: Config) -> dict[str, int]:
        return _completed(tokens.items(), config)

    return special_tokens


# Llama 3, as published in meta-llama/llama-models models/llama3/tokenizer.py and in transformers'
# convert_llama_weights_to_hf.py (3, 3.1) and convert_mllama_weights_to_hf.py (3.2 with vision). -----------------------

_LLAMA3_PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)

_LLAMA3_SPECIAL_COUNT = 256

# The names that carry a meaning, by offset from the first special id. The offsets between them hold
# <|reserved_special_token_0|>, <|reserved_special_token_1|> and so on, counted without the named ones.
_LLAMA3_0_NAMES = {
    0: "<|begin_of_text|>",
    1: "<|end_of_text|>",
    6: "<|start_header_id|>",
    7: "<|end_header_id|>",
    9: "<|eot_id|>",
}
_LLAMA3_1_NAMES = _LLAMA3_0_NAMES | {4: "<|finetune_right_pad_id|>", 8: "<|eom_id|>", 10: "<|python_tag|>"}
_LLAMA3_VISION_NAMES = _LLAMA3_1_NAMES | {5: "<|step_id|>"}


def _llama3_special_tokens(n_ranks: int, config: Config) -> dict[str, int]:
    vision = _model_type(config) == "mllama"
    if vision:
        names = _LLAMA3_VISION_NAMES
    elif _is_llama3_0(config):
        names = _LLAMA3_0_NAMES
    else:
        names = _LLAMA3_1_NAMES
    reserved_offsets = [offset for offset in range(_LLAMA3_SPECIAL_COUNT) if offset not in names]
    reserved_names = {offset: f"<|reserved_special_token_{i}|>" for i, offset in enumerate(reserved_offsets)}
    tokens = [(name, n_ranks + offset) for offset, name in (names | reserved_names).items()]
    if vision:
        # Meta's own files have it at offset 11; the conversion to the Hub's layout moves it behind the other 256.
        tokens.append(("<|image|>", n_ranks + _LLAMA3_SPECIAL_COUNT))
    return _completed(tokens, config)


def _is_llama3_0(config: Config) -> bool:
    """Whether a configuration shows a model before 3.1, which renamed five tokens and scaled the rotary embedding.

    A configuration that says nothing about positions (or is absent) counts as 3.1 or later.
    """
    scaling = config.get("rope_scaling") or config.get("rope_parameters")
    kind = (scaling.get("rope_type") or scaling.get("type")) if isinstance(scaling, Mapping) else None
    return "max_position_embeddings" in config and kind != "llama3"


# Qwen 1, as published in Qwen/Qwen-7B and Qwen/Qwen-VL tokenization_qwen.py. ----------------------------------------

_QWEN_PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_QWEN_NAMES = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", *(f"<|extra_{number}|>" for number in range(205)))
_QWEN_VISION_NAMES = tuple("<ref> </ref> <box> </box> <quad> </quad> <img> </img> <imgpad>".split())


def _qwen_special_tokens(n_ranks: int, config: Config) -> dict[str, int]:
    names = _QWEN_NAMES if config.get("visual") is None else _QWEN_NAMES + _QWEN_VISION_NAMES
    return _completed(((name, n_ranks + offset) for offset, name in enumerate(names)), config)


# Kimi and Moonlight, as published in moonshotai/Kimi-K2-Instruct tokenization_kimi.py (K2.5, K3 and Kimi-Linear have
# the same pattern) and moonshotai/Moonlight-16B-A3B tokenization_moonshot.py. ----------------------------------------

_NOT_HAN = r"&&[^\p{Han}]"
_KIMI_PATTERN = (
    r"[\p{Han}]+"
    rf"|[^\r\n\p{{L}}\p{{N}}]?[{_CAPITALS}{_NOT_HAN}]*[{_SMALL_LETTERS}{_NOT_HAN}]+{_CONTRACTION}?"
    rf"|[^\r\n\p{{L}}\p{{N}}]?[{_CAPITALS}{_NOT_HAN}]+[{_SMALL_LETTERS}{_NOT_HAN}]*{_CONTRACTION}?"
    r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)

# Moonlight's and the first Kimi-Linear code reserve two more, but these ids lie past the 163840 rows of every model.
_KIMI_SPECIAL_COUNT = 256


def _kimi_special_tokens(n_ranks: int, config: Config) -> dict[str, int]:
    """The reserved ids under their placeholder names: the files name the ones in use in ``added_tokens_decoder``."""
    token_ids = range(n_ranks, n_ranks + _KIMI_SPECIAL_COUNT)
    return _completed(((f"<|reserved_token_{token_id}|>", token_id) for token_id in token_ids), config)


# Whisper, as published in openai/whisper whisper/tokenizer.py. ------------------------------------------------------

_WHISPER_PATTERN = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"

# In the order of their ids. The last, Cantonese, came with large-v3: earlier models have the first 99.
_WHISPER_LANGUAGES = (
    "en zh de es ru ko fr ja pt tr pl ca nl ar sv it id hi fi vi he uk el ms cs ro da hu ta no th ur hr bg lt la mi ml "
    "cy sk te fa lv bn sr az sl kn et mk br eu is hy ne mn bs kk sq sw gl mr pa si km sn yo so af oc ka be tg sd gu am "
    "yi lo uz fo ht ps tk nn mt sa lb my bo tl mg as tt haw ln ha ba jw su yue"
).split()
_WHISPER_FIRST_NAMES = ("<|endoftext|>", "<|startoftranscript|>")
_WHISPER_TASK_NAMES = ("<|translate|>", "<|transcribe|>", "<|startoflm|>", "<|startofprev|>")
_WHISPER_LAST_NAMES = (*_WHISPER_TASK_NAMES, "<|nospeech|>", "<|notimestamps|>")
# Every 20 ms from 0 to 30 s, in whole hundredths of a second so that no rounding comes in.
_WHISPER_TIMESTAMPS = tuple(f"<|{time // 100}.{time % 100:02}|>" for time in range(0, 3001, 2))


def _whisper_special_tokens(n_ranks: int, config: Config) -> dict[str, int]:
    languages = _WHISPER_LANGUAGES[: _whisper_language_count(n_ranks, config)]
    language_names = tuple(f"<|{language}|>" for language in languages)
    names = _WHISPER_FIRST_NAMES + language_names + _WHISPER_LAST_NAMES + _WHISPER_TIMESTAMPS
    return _completed(((name, n_ranks + offset) for offset, name in enumerate(names)), config)


def _whisper_language_count(n_ranks: int, config: Config) -> int:
    """100 where the vocabulary has room for them, else 99, the published default.

    51864 ids are 50256 English ranks and 99 languages, 51865 are 50257 multilingual ranks and 99, 51866 the same and
    100 (transformers' convert_openai_to_hf.py counts alike).
    """
    others = len(_WHISPER_FIRST_NAMES + _WHISPER_LAST_NAMES + _WHISPER_TIMESTAMPS)
    has_all = config.get("vocab_size") == n_ranks + others + len(_WHISPER_LANGUAGES)
    return len(_WHISPER_LANGUAGES) if has_all else len(_WHISPER_LANGUAGES) - 1


# The tables. --------------------------------------------------------------------------------------------------------

FAMILIES: Mapping[str, Family] = MappingProxyType(
    {
        family.name: family
        for family in (
            Family("cl100k_base", _CL100K_PATTERN, _fixed(_CL100K_TOKENS)),
            Family("o200k_base", _O200K_PATTERN, _fixed(_O200K_TOKENS)),
            Family("o200k_harmony", _O200K_PATTERN, _fixed(_HARMONY_TOKENS)),
            Family("p50k_base", _R50K_PATTERN, _fixed(_R50K_TOKENS)),
            Family("p50k_edit", _R50K_PATTERN, _fixed(_P50K_EDIT_TOKENS)),
            Family("r50k_base", _R50K_PATTERN, _fixed(_R50K_TOKENS)),
            Family("gpt2", _R50K_PATTERN, _fixed(_R50K_TOKENS)),
            Family("llama3", _LLAMA3_PATTERN, _llama3_special_tokens),
            Family("qwen", _QWEN_PATTERN, _qwen_special_tokens),
            Family("kimi", _KIMI_PATTERN, _kimi_special_tokens),
            Family("whisper", _WHISPER_PATTERN, _whisper_special_tokens),
        )
    }
)
"""Every family that a rank file can belong to, by name."""

# As published in tiktoken_ext/openai_public.py: https://openaipublic.blob.core.windows.net/encodings/<name>.
_CL100K_FILE = RankFile(
    "cl100k_base.tiktoken",
    cache_name="9b5ad71b2ce5302211f9c61530b329a4922fc6a4",
    sha256="223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7",
)
_O200K_FILE = RankFile(
    "o200k_base.tiktoken",
    cache_name="fb374d419588a4632f3f557e76b4b70aebbca790",
    sha256="446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d",
)
_P50K_FILE = RankFile(
    "p50k_base.tiktoken",
    cache_name="ec7223a39ce59f226a68acc30dc1af2788490e15",
    sha256="94b5ca7dff4d00767bc256fdd1b27e5b17361d7b8a5f968547f9f23eb70d2069",
)
_R50K_FILE = RankFile(
    "r50k_base.tiktoken",
    cache_name="0ea1e91bbb3a60f729a8dc8f777fd2fc07cd8df4",
    sha256="306cd27f03c1a714eca7108e03d66b7dc042abe8c258b44c199a7ed9838dd930",
)

RANK_FILES: Mapping[str, RankFile] = MappingProxyType(
    {
        "cl100k_base": _CL100K_FILE,
        "o200k_base": _O200K_FILE,
        "o200k_harmony": _O200K_FILE,
        "p50k_base": _P50K_FILE,
        "p50k_edit": _P50K_FILE,
        "r50k_base": _R50K_FILE,
        # tiktoken builds gpt2 from other files (vocab.bpe, encoder.json), with the same ranks as a result: the
        # gpt2.tiktoken in openai/whisper has the bytes of r50k_base.tiktoken.
        "gpt2": _R50K_FILE,
    }
)
"""The rank file of every OpenAI encoding, by the name of the encoding."""


# Which family a model folder belongs to. ----------------------------------------------------------------------------

# Classes that say nothing about the family, so that the model's type decides. The last is what transformers 5 saves.
_GENERIC_CLASSES = frozenset({"", "PreTrainedTokenizer", "PreTrainedTokenizerFast", "TokenizersBackend"})

# Modules with Moonshot's TikTokenTokenizer of this family. Kimi-Audio's class has that name too, but lives in
# tokenization_kimia and has other tokens.
_KIMI_MODULES = frozenset({"tokenization_kimi", "tokenization_moonshot"})
_KIMI_MODEL_TYPES = frozenset({"kimi_k2", "kimi_k25", "kimi_k3", "kimi_linear", "kimi_vl"})

_MODEL_TYPE_OF_ARCHITECTURE = {
    "GptOssForCausalLM": "gpt_oss",
    "KimiK25ForConditionalGeneration": "kimi_k25",
    "KimiLinearForCausalLM": "kimi_linear",
    "KimiVLForConditionalGeneration": "kimi_vl",
    "LlamaForCausalLM": "llama",
    "MllamaForConditionalGeneration": "mllama",
    "QWenLMHeadModel": "qwen",
    "WhisperForConditionalGeneration": "whisper",
}


def family_of_config(tokenizer_config: Config, config: Config) -> str | None:
    """The family that ``tokenizer_config.json`` and ``config.json`` show, as a key of `FAMILIES`, or None.

    None means unknown: a wrong family would encode without an error, and wrongly. So a class or a type of model that is
    not known with certainty (Kimi-Audio, Qwen-Audio, a derivative with its own class) gives None.
    """
    module, class_name = _tokenizer_class(tokenizer_config, config)
    model_type = _model_type(config)
    generic = class_name in _GENERIC_CLASSES
    if class_name == "QWenTokenizer" or (generic and model_type == "qwen"):
        # Qwen-Audio shares the class and the type, and has other tokens (Qwen/Qwen-Audio tokenization_qwen.py).
        return "qwen" if model_type in {"", "qwen"} and config.get("audio") is None else None
    if class_name in {"WhisperTokenizer", "WhisperTokenizerFast"} or (generic and model_type == "whisper"):
        return "whisper"
    if class_name == "TikTokenTokenizer":
        # Without its module the class could be anyone's. Moonlight is a DeepSeek-V3 model by type.
        kimi = module in _KIMI_MODULES if module else model_type in _KIMI_MODEL_TYPES | {"deepseek_v3"}
        return "kimi" if kimi else None
    if not generic:
        return None
    if model_type in _KIMI_MODEL_TYPES:
        return "kimi"
    if model_type == "gpt_oss":
        return "o200k_harmony"
    if model_type in {"llama", "mllama"} and _has_llama3_vocabulary(tokenizer_config, config):
        return "llama3"
    return None


def _tokenizer_class(tokenizer_config: Config, config: Config) -> tuple[str, str]:
    """The module ("" for a class of transformers) and the name of the tokenizer class; "" for what isn't stated."""
    for source in (tokenizer_config, config):
        auto_map = source.get("auto_map")
        reference = auto_map.get("AutoTokenizer") if isinstance(auto_map, Mapping) else None
        # Either one reference or a pair of the slow and the fast class, either of which may be null.
        references = reference if isinstance(reference, list | tuple) else [reference]
        for entry in references:
            if isinstance(entry, str):
                # "tokenization_kimi.TikTokenTokenizer", after "owner/name--" where another repository has the code.
                module, _, class_name = entry.rpartition("--")[2].rpartition(".")
                return module, class_name
    stated = tokenizer_config.get("tokenizer_class") or config.get("tokenizer_class")
    return "", stated if isinstance(stated, str) else ""


def _model_type(config: Config) -> str:
    model_type = config.get("model_type")
    if isinstance(model_type, str):
        return model_type
    architectures = config.get("architectures")
    names = architectures if isinstance(architectures, list | tuple) else ()
    return next((_MODEL_TYPE_OF_ARCHITECTURE[name] for name in names if name in _MODEL_TYPE_OF_ARCHITECTURE), "")


def _has_llama3_vocabulary(tokenizer_config: Config, config: Config) -> bool:
    """Whether a Llama model has Llama 3's vocabulary: its type also covers Llama 1, 2 and many unrelated models."""
    bos_token = tokenizer_config.get("bos_token")
    if isinstance(bos_token, Mapping):
        bos_token = bos_token.get("content")
    if bos_token is not None:
        return bool(bos_token == _LLAMA3_0_NAMES[0])
    text_config = config.get("text_config")
    vocabulary = text_config if isinstance(text_config, Mapping) else config
    return bool(vocabulary.get("vocab_size") == 128000 + _LLAMA3_SPECIAL_COUNT)
