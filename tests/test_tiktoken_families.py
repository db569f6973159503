"""The families of rank files: their patterns, their special tokens, and how a model folder shows its family."""

from __future__ import annotations

import hashlib
import inspect
import json
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import tiktoken
from transformers.convert_slow_tokenizer import TikTokenConverter
from transformers.models.whisper import tokenization_whisper

from tests.data import DATA, HAS_DATA
from tokenfacade.backends.tiktoken_families import FAMILIES, RANK_FILES, family_of_config

NEEDS_DATA = pytest.mark.skipif(not HAS_DATA, reason="reads the shared test data")
openai_public = import_module("tiktoken_ext.openai_public")  # has no types
OPENAI_ENCODINGS = ("cl100k_base", "o200k_base", "o200k_harmony", "p50k_base", "p50k_edit", "r50k_base", "gpt2")
KIMI_TOKENS = {163584: "[BOS]", 163585: "[EOS]", 163586: "<|im_end|>", 163587: "<|im_user|>", 163839: "[PAD]"}


def added_tokens(tokens: dict[int, str]) -> dict[str, Any]:
    return {
        "added_tokens_decoder": {
            str(token_id): {"content": content, "special": True} for token_id, content in tokens.items()
        }
    }


@dataclass(frozen=True)
class Published:
    """What tiktoken's constructor for an encoding returns, and what it would have fetched."""

    table: dict[str, Any]
    url: str
    sha256: str


def published(name: str, monkeypatch: pytest.MonkeyPatch) -> Published:
    loads: list[tuple[str, str]] = []

    def load_tiktoken_bpe(url: str, expected_hash: str) -> dict[bytes, int]:
        loads.append((url, expected_hash))
        return {}

    def data_gym_to_mergeable_bpe_ranks(**files: str) -> dict[bytes, int]:
        loads.append((files["vocab_bpe_file"], files["vocab_bpe_hash"]))
        return {}

    monkeypatch.setattr(openai_public, "load_tiktoken_bpe", load_tiktoken_bpe)
    monkeypatch.setattr(openai_public, "data_gym_to_mergeable_bpe_ranks", data_gym_to_mergeable_bpe_ranks)
    table: dict[str, Any] = openai_public.ENCODING_CONSTRUCTORS[name]()
    [(url, sha256)] = loads
    return Published(table, url, sha256)


def test_every_family_is_listed_under_its_own_name() -> None:
    assert {name: family.name for name, family in FAMILIES.items()} == {name: name for name in FAMILIES}
    assert set(FAMILIES) == {*OPENAI_ENCODINGS, "llama3", "qwen", "kimi", "whisper"}
    assert set(RANK_FILES) == set(OPENAI_ENCODINGS)


def test_we_cover_every_encoding_that_tiktoken_publishes() -> None:
    assert set(openai_public.ENCODING_CONSTRUCTORS) == set(OPENAI_ENCODINGS)


@pytest.mark.parametrize("name", OPENAI_ENCODINGS)
def test_openai_patterns_and_special_tokens_equal_tiktokens(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    table = published(name, monkeypatch).table
    assert FAMILIES[name].pattern == table["pat_str"]
    assert FAMILIES[name].special_tokens(0, {}) == table["special_tokens"]


@pytest.mark.parametrize("name", [name for name in OPENAI_ENCODINGS if name != "gpt2"])
def test_rank_files_are_the_ones_that_tiktoken_loads(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    source = published(name, monkeypatch)
    rank_file = RANK_FILES[name]
    assert rank_file.name == source.url.rpartition("/")[2]
    assert rank_file.cache_name == hashlib.sha1(source.url.encode(), usedforsecurity=False).hexdigest()
    assert rank_file.sha256 == source.sha256


@NEEDS_DATA
def test_gpt2_has_the_ranks_of_r50k_base() -> None:
    content = DATA.joinpath("models", "gpt2-tiktoken", "gpt2.tiktoken").read_bytes()
    assert RANK_FILES["gpt2"] == RANK_FILES["r50k_base"]
    assert RANK_FILES["gpt2"].sha256 == hashlib.sha256(content).hexdigest()


@NEEDS_DATA
def test_files_in_a_tiktoken_cache_are_found_and_verified() -> None:
    cached = {path.name: path for path in DATA.joinpath("tiktoken_cache").iterdir()}
    known = {rank_file.cache_name: rank_file for rank_file in RANK_FILES.values()}
    assert cached.keys() <= known.keys()
    for name, path in cached.items():
        assert hashlib.sha256(path.read_bytes()).hexdigest() == known[name].sha256


def test_the_meaningful_name_of_a_harmony_id_wins_when_the_table_is_inverted() -> None:
    tokens = FAMILIES["o200k_harmony"].special_tokens(199998, {})
    assert tokens["<|reserved_200018|>"] == tokens["<|endofprompt|>"] == 200018
    assert {token_id: name for name, token_id in tokens.items()}[200018] == "<|endofprompt|>"
    assert set(tokens.values()) == set(range(199998, 201088))


@pytest.mark.parametrize(
    ("ranks", "vocabulary", "languages"), [(50256, 51864, 99), (50257, 51865, 99), (50257, 51866, 100)]
)
def test_whisper_special_tokens_fill_its_vocabulary(ranks: int, vocabulary: int, languages: int) -> None:
    tokens = FAMILIES["whisper"].special_tokens(ranks, {"vocab_size": vocabulary})
    assert list(tokens.values()) == list(range(ranks, vocabulary))
    assert tokens["<|startoftranscript|>"] == ranks + 1
    assert tokens["<|en|>"] == ranks + 2
    assert tokens["<|su|>"] == ranks + 2 + 98
    assert ("<|yue|>" in tokens) == (languages == 100)
    assert tokens["<|translate|>"] == ranks + 2 + languages
    assert tokens["<|notimestamps|>"] == tokens["<|0.00|>"] - 1
    assert list(tokens)[-1501:] == [f"<|{step * 0.02:.2f}|>" for step in range(1501)]


def test_whisper_languages_equal_those_of_transformers() -> None:
    tokens = list(FAMILIES["whisper"].special_tokens(50257, {"vocab_size": 51866}))
    assert tokens[2:102] == [f"<|{language}|>" for language in tokenization_whisper.LANGUAGES]


def test_whisper_has_99_languages_unless_the_vocabulary_shows_100() -> None:
    special_tokens = FAMILIES["whisper"].special_tokens
    assert special_tokens(50257, {}) == special_tokens(50257, {"vocab_size": 51865})
    assert special_tokens(50257, {"vocab_size": 51968}) == special_tokens(50257, {"vocab_size": 51865})


@NEEDS_DATA
def test_qwen_equals_the_reference_with_and_without_vision() -> None:
    meta = json.loads(DATA.joinpath("goldens", "encode", "qwen-tiktoken.meta.json").read_text(encoding="utf-8"))
    qwen = FAMILIES["qwen"]
    assert qwen.pattern == meta["pat_str"]
    assert qwen.special_tokens(151643, {"visual": {"layers": 48}}) == meta["special_tokens"]
    text_only = {name: token_id for name, token_id in meta["special_tokens"].items() if token_id <= 151850}
    assert qwen.special_tokens(151643, {}) == text_only
    assert len(text_only) == 208


LLAMA3_CONFIGS: dict[str, dict[str, Any]] = {
    "3": {"max_position_embeddings": 8192, "rope_scaling": None},
    "3.1": {"max_position_embeddings": 131072, "rope_scaling": {"rope_type": "llama3", "factor": 8.0}},
    "3.2": {"max_position_embeddings": 131072, "rope_parameters": {"rope_type": "llama3", "factor": 32.0}},
    "bare": {},
}


@pytest.mark.parametrize("version", LLAMA3_CONFIGS)
def test_llama3_has_256_special_tokens_after_its_ranks(version: str) -> None:
    tokens = FAMILIES["llama3"].special_tokens(128000, LLAMA3_CONFIGS[version])
    assert list(tokens.values()) == list(range(128000, 128256))
    assert tokens["<|begin_of_text|>"] == 128000
    assert tokens["<|end_of_text|>"] == 128001
    assert tokens["<|start_header_id|>"] == 128006
    assert tokens["<|end_header_id|>"] == 128007
    assert tokens["<|eot_id|>"] == 128009


def test_llama3_splits_as_transformers_converter_does() -> None:
    assert FAMILIES["llama3"].pattern == inspect.signature(TikTokenConverter).parameters["pattern"].default


def test_llama3_names_differ_between_3_0_and_later() -> None:
    special_tokens = FAMILIES["llama3"].special_tokens
    first = special_tokens(128000, LLAMA3_CONFIGS["3"])
    assert [first[f"<|reserved_special_token_{number}|>"] for number in (0, 2, 3, 4, 5, 250)] == [
        *(128002, 128004, 128005, 128008, 128010, 128255),
    ]
    for version in ("3.1", "3.2", "bare"):
        later = special_tokens(128000, LLAMA3_CONFIGS[version])
        assert [later[name] for name in ("<|finetune_right_pad_id|>", "<|eom_id|>", "<|python_tag|>")] == [
            *(128004, 128008, 128010),
        ]
        assert [later[f"<|reserved_special_token_{number}|>"] for number in (1, 2, 3, 247)] == [
            *(128003, 128005, 128011, 128255),
        ]


def test_llama3_with_vision_has_the_image_token_behind_the_others() -> None:
    config = {"architectures": ["MllamaForConditionalGeneration"], "text_config": {"vocab_size": 128256}}
    tokens = FAMILIES["llama3"].special_tokens(128000, config)
    assert tokens == FAMILIES["llama3"].special_tokens(128000, {"model_type": "mllama"})
    assert list(tokens.values()) == list(range(128000, 128257))
    assert tokens["<|step_id|>"] == 128005
    assert tokens["<|reserved_special_token_2|>"] == 128011
    assert tokens["<|reserved_special_token_246|>"] == 128255
    assert tokens["<|image|>"] == 128256


def test_kimi_keeps_explicit_ids_and_fills_the_gaps_with_placeholders() -> None:
    tokens = FAMILIES["kimi"].special_tokens(163584, added_tokens(KIMI_TOKENS))
    names = {token_id: name for name, token_id in tokens.items()}
    assert sorted(names) == list(range(163584, 163840))
    for token_id, name in names.items():
        assert name == KIMI_TOKENS.get(token_id, f"<|reserved_token_{token_id}|>")


@pytest.mark.parametrize("name", FAMILIES)
def test_an_explicit_name_replaces_the_familys_at_its_id(name: str) -> None:
    special_tokens = FAMILIES[name].special_tokens
    before = special_tokens(1000, {})
    first_name, first_id = next(iter(before.items()))
    after = special_tokens(1000, added_tokens({first_id: "<|renamed|>"}))
    assert after == {"<|renamed|>" if token == first_name else token: token_id for token, token_id in before.items()}


@pytest.mark.parametrize("name", FAMILIES)
def test_an_explicit_id_moves_the_familys_token(name: str) -> None:
    special_tokens = FAMILIES[name].special_tokens
    before = special_tokens(1000, {})
    first_name = next(iter(before))
    after = special_tokens(1000, added_tokens({900000: first_name}))
    assert after == before | {first_name: 900000}
    assert list(after.values()) == sorted(after.values())


def test_explicit_tokens_may_be_plain_texts_and_are_never_empty() -> None:
    config = {"added_tokens_decoder": {"50256": "<|end|>", 50300: {"content": ""}, "50301": {"lstrip": False}}}
    assert FAMILIES["gpt2"].special_tokens(50256, config) == {"<|end|>": 50256}


@pytest.mark.parametrize("name", FAMILIES)
def test_every_pattern_splits_a_text_without_loss(name: str) -> None:
    ranks = {bytes([value]): value for value in range(256)}
    encoding = tiktoken.Encoding(name, pat_str=FAMILIES[name].pattern, mergeable_ranks=ranks, special_tokens={})
    text = "It's HTTPServer 2024年。你好、wörld\r\n\n  don't\t 12345 \n"
    assert encoding.decode(encoding.encode_ordinary(text)) == text


def test_kimi_keeps_han_apart_from_other_letters() -> None:
    # A rank for the bytes across a boundary is used only where the pattern leaves both sides in one piece.
    ranks = {bytes([value]): value for value in range(256)} | {b"a" + "你".encode()[:1]: 256}
    text = "a你"
    pieces = {
        name: tiktoken.Encoding(
            name, pat_str=FAMILIES[name].pattern, mergeable_ranks=ranks, special_tokens={}
        ).encode_ordinary(text)
        for name in ("kimi", "o200k_base")
    }
    assert 256 in pieces["o200k_base"]
    assert 256 not in pieces["kimi"]


MOONSHOT = "TikTokenTokenizer"


@pytest.mark.parametrize(
    ("tokenizer_config", "config", "family"),
    [
        pytest.param({"tokenizer_class": "QWenTokenizer"}, {"model_type": "qwen"}, "qwen", id="Qwen-7B"),
        pytest.param({}, {"model_type": "qwen", "tokenizer_class": "QWenTokenizer"}, "qwen", id="class in config.json"),
        pytest.param(
            {"auto_map": {"AutoTokenizer": ["tokenization_qwen.QWenTokenizer", None]}},
            {"model_type": "qwen", "visual": {"layers": 48}},
            "qwen",
            id="Qwen-VL",
        ),
        pytest.param({}, {"architectures": ["QWenLMHeadModel"]}, "qwen", id="Qwen by architecture"),
        pytest.param(
            {"tokenizer_class": "QWenTokenizer"}, {"model_type": "qwen", "audio": {"n_mels": 80}}, None, id="Qwen-Audio"
        ),
        pytest.param({"tokenizer_class": "QWenTokenizer"}, {"model_type": "GOT"}, None, id="derived from Qwen"),
        pytest.param({"tokenizer_class": "Qwen2Tokenizer"}, {"model_type": "qwen2"}, None, id="Qwen2"),
        pytest.param(
            {"tokenizer_class": MOONSHOT, "auto_map": {"AutoTokenizer": [f"tokenization_kimi.{MOONSHOT}", None]}},
            {"model_type": "kimi_k2", "architectures": ["DeepseekV3ForCausalLM"]},
            "kimi",
            id="Kimi-K2",
        ),
        pytest.param(
            {"auto_map": {"AutoTokenizer": f"moonshotai/Kimi-K2.5--tokenization_kimi.{MOONSHOT}"}},
            {"model_type": "kimi_k25", "architectures": ["KimiK25ForConditionalGeneration"]},
            "kimi",
            id="Kimi-K2.5 with code elsewhere",
        ),
        pytest.param(
            {"auto_map": {"AutoTokenizer": [f"tokenization_moonshot.{MOONSHOT}", None]}},
            {"model_type": "deepseek_v3"},
            "kimi",
            id="Moonlight",
        ),
        pytest.param({"tokenizer_class": MOONSHOT}, {"model_type": "deepseek_v3"}, "kimi", id="Moonlight by class"),
        pytest.param({}, {"model_type": "kimi_linear"}, "kimi", id="Kimi-Linear by type"),
        pytest.param(
            {"auto_map": {"AutoTokenizer": [f"tokenization_kimia.{MOONSHOT}", None]}},
            {"model_type": "kimi_audio"},
            None,
            id="Kimi-Audio",
        ),
        pytest.param({"tokenizer_class": MOONSHOT}, {"model_type": "somebody"}, None, id="the class of somebody else"),
        pytest.param({"tokenizer_class": "LlamaTokenizerFast"}, {"model_type": "deepseek_v3"}, None, id="DeepSeek-V3"),
        pytest.param(
            {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<|begin_of_text|>"},
            {"model_type": "llama", "vocab_size": 128256},
            "llama3",
            id="Llama 3",
        ),
        pytest.param(
            {"bos_token": {"content": "<|begin_of_text|>"}}, {"model_type": "llama"}, "llama3", id="Llama 3 by token"
        ),
        pytest.param({}, {"model_type": "llama", "vocab_size": 128256}, "llama3", id="Llama 3 by vocabulary"),
        pytest.param(
            {},
            {"architectures": ["MllamaForConditionalGeneration"], "text_config": {"vocab_size": 128256}},
            "llama3",
            id="Llama 3.2 with vision",
        ),
        pytest.param({}, {"model_type": "llama", "vocab_size": 32000}, None, id="Llama 2"),
        pytest.param(
            {"bos_token": "<s>"}, {"model_type": "llama", "vocab_size": 128256}, None, id="another of Llama's shape"
        ),
        pytest.param({"bos_token": "<|begin_of_text|>"}, {"model_type": "llama4"}, None, id="Llama 4"),
        pytest.param({"tokenizer_class": "WhisperTokenizer"}, {"model_type": "whisper"}, "whisper", id="Whisper"),
        pytest.param({}, {"model_type": "whisper", "vocab_size": 51866}, "whisper", id="Whisper by type"),
        pytest.param(
            {"tokenizer_class": "PreTrainedTokenizerFast"}, {"model_type": "gpt_oss"}, "o200k_harmony", id="gpt-oss"
        ),
        pytest.param(
            {"auto_map": {"AutoTokenizer": ["tokenization_chatglm.ChatGLM4Tokenizer", None]}},
            {"model_type": "chatglm"},
            None,
            id="GLM-4",
        ),
        pytest.param({"tokenizer_class": "ChatGLM4Tokenizer"}, {"model_type": "llama"}, None, id="unknown class"),
        pytest.param({"tokenizer_class": 7, "auto_map": "?"}, {"model_type": [], "architectures": 1}, None, id="junk"),
        pytest.param({}, {}, None, id="nothing"),
    ],
)
def test_a_family_is_told_from_the_configuration_or_not_at_all(
    tokenizer_config: dict[str, Any], config: dict[str, Any], family: str | None
) -> None:
    assert family_of_config(tokenizer_config, config) == family
    assert family is None or family in FAMILIES


def test_the_module_needs_nothing_but_the_standard_library() -> None:
    # Read as text: other tests have long imported everything into this process.
    import tokenfacade.backends.tiktoken_families as module

    source = Path(module.__file__).read_text(encoding="utf-8")
    imported = {
        line.split()[1].partition(".")[0] for line in source.splitlines() if line.startswith(("import ", "from "))
    }
    assert imported == {"__future__", "collections", "dataclasses", "types", "typing"}
