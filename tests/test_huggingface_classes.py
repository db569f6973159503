"""Folders of ``vocab.json`` and ``merges.txt``: the ids are those of the class in transformers that reads them."""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

from tests.data import DATA, HAS_DATA
from tokenfacade import CorruptTokenizerError, HuggingFaceTokenizer, UnsupportedFormatError
from tokenfacade.backends.huggingface_classes import _CLASS_OF_MODEL, _CLASSES

if TYPE_CHECKING:
    from collections.abc import Iterable

TEXTS = (
    "",
    "The router sends tokens, and the worker streams them back.",
    "  Two  spaces,\ttabs\r\n\n and 12345 don't I'LL ",
    "naïve cafe\u0301 世界 한국어 😊 \u00a0\u3000x",
    "a<|endoftext|>b <s>c</s> <mask> <|im_start|>user<|im_end|>",
    "<|startoftext|>UPPER lower<|endoftext|><tool> <tool>",
    "hello<pad> world <unk>!",
)
CLASSES = ("GPT2Tokenizer", "RobertaTokenizer", "BartTokenizer", "Qwen2Tokenizer", "CLIPTokenizer")


@pytest.fixture(scope="module")
def vocabulary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small byte-level vocabulary, without any special token."""
    return trained(tmp_path_factory.mktemp("vocabulary"))


@pytest.fixture(scope="module")
def vocabularies(vocabulary: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One for each class: CLIP marks the ends of words, and needs its unknown token in the vocabulary."""
    special = ["<|startoftext|>", "<|endoftext|>"]
    clip = trained(tmp_path_factory.mktemp("clip"), end_of_word_suffix="</w>", special_tokens=special)
    return {**dict.fromkeys(CLASSES, vocabulary), "CLIPTokenizer": clip}


def trained(folder: Path, **options: Any) -> Path:
    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=400, initial_alphabet=alphabet, show_progress=False, **options)
    raw.train_from_iterator(TEXTS, trainer)
    raw.model.save(str(folder))
    return folder


def folder_with(vocabulary: Path, folder: Path, tokenizer_config: dict[str, Any], **others: dict[str, Any]) -> Path:
    for name in ("vocab.json", "merges.txt"):
        (folder / name).write_bytes((vocabulary / name).read_bytes())
    for name, content in {"tokenizer_config": tokenizer_config, **others}.items():
        (folder / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")
    return folder


def reference(name: str, folder: Path) -> Any:
    import transformers

    return getattr(transformers, name).from_pretrained(folder, local_files_only=True)


def assert_same(theirs: Any, ours: HuggingFaceTokenizer, texts: Iterable[str] = TEXTS) -> None:
    assert ours.vocab_size == max(theirs.get_vocab().values()) + 1
    assert {token: ours.token_to_id(token) for token in theirs.get_added_vocab()} == theirs.get_added_vocab()
    special = ours.special_tokens
    for role in ("bos", "eos", "unk", "sep", "pad", "cls", "mask"):
        assert getattr(special, role) == getattr(theirs, f"{role}_token"), role
    for text, add, parse in product(texts, (False, True), (False, True)):
        expected = theirs(text, add_special_tokens=add, split_special_tokens=not parse, return_offsets_mapping=True)
        encoding = ours.encode(text, add_special_tokens=add, parse_special_tokens=parse)
        assert encoding.ids == expected["input_ids"], (text, add, parse)
        assert encoding.offsets == expected["offset_mapping"]
        if type(theirs).__name__ != "CLIPTokenizer":  # whose decode replaces </w> besides
            for skip in (False, True):
                assert ours.decode(encoding, skip_special_tokens=skip) == theirs.decode(
                    encoding.ids, skip_special_tokens=skip, clean_up_tokenization_spaces=False
                )


CONFIGS: tuple[dict[str, Any], ...] = (
    {},
    {"add_prefix_space": True, "trim_offsets": False},
    {"add_bos_token": True, "bos_token": "<s>"},
    {"add_bos_token": True, "add_eos_token": True, "bos_token": "<|endoftext|>", "eos_token": "</s>"},
    {
        "bos_token": "<mask>",
        "add_bos_token": False,
        "add_eos_token": True,
        "pad_token": "<pad>",
        "image_token": "<tool>",
    },
    {
        "additional_special_tokens": ["<|im_start|>", "<|im_end|>"],
        "mask_token": {"__type": "AddedToken", "content": "<mask>"},
    },
    {
        "eos_token": "<|im_end|>",
        "pad_token": "<|endoftext|>",
        "add_bos_token": False,
        "added_tokens_decoder": {
            "400": {"content": "<|endoftext|>", "special": True},
            "401": {"content": "<|im_start|>", "special": True},
            "402": {"content": "<|im_end|>", "special": True},
            "403": {"content": "<tool>", "special": False},
        },
    },
)


@pytest.mark.parametrize("config", CONFIGS)
@pytest.mark.parametrize("name", CLASSES)
def test_ids_are_those_of_the_class(
    name: str, config: dict[str, Any], vocabularies: dict[str, Path], tmp_path: Path
) -> None:
    folder = folder_with(vocabularies[name], tmp_path, {"tokenizer_class": name, **config})
    assert_same(reference(name, folder), HuggingFaceTokenizer.from_file(folder))


@pytest.mark.parametrize("name", ["GPT2Tokenizer", "Qwen2Tokenizer", "CLIPTokenizer"])
def test_a_name_that_is_null_takes_the_default_of_the_class_away(
    name: str, vocabularies: dict[str, Path], tmp_path: Path
) -> None:
    nulls = (
        {"pad_token": None} if name == "CLIPTokenizer" else {"unk_token": None, "bos_token": None, "pad_token": None}
    )
    folder = folder_with(vocabularies[name], tmp_path, {"tokenizer_class": name, "add_bos_token": True, **nulls})
    assert_same(reference(name, folder), HuggingFaceTokenizer.from_file(folder))


def test_files_of_the_old_layout_count(vocabulary: Path, tmp_path: Path) -> None:
    special = {"eos_token": "<|im_end|>", "additional_special_tokens": ["<|im_start|>", "<|im_end|>"]}
    added = {"<|im_end|>": 401, "<|im_start|>": 400, "<tool>": 402}
    folder = folder_with(
        vocabulary, tmp_path, {"tokenizer_class": "GPT2Tokenizer"}, special_tokens_map=special, added_tokens=added
    )
    theirs, ours = reference("GPT2Tokenizer", folder), HuggingFaceTokenizer.from_file(folder)
    assert {token: ours.token_to_id(token) for token in theirs.get_added_vocab()} == theirs.get_added_vocab()
    assert [ours.encode(text).ids for text in TEXTS] == [theirs(text)["input_ids"] for text in TEXTS]
    assert ours.special_tokens.eos == theirs.eos_token == "<|im_end|>"


@pytest.fixture(scope="module")
def pairs(
    vocabularies: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> list[tuple[Any, HuggingFaceTokenizer]]:
    folders = {
        name: folder_with(vocabularies[name], tmp_path_factory.mktemp(name), {"tokenizer_class": name})
        for name in CLASSES
    }
    return [(reference(name, folder), HuggingFaceTokenizer.from_file(folder)) for name, folder in folders.items()]


@given(text=st.text(max_size=60) | st.text("aThe <|endoftext|>'ll\n\r 12é", max_size=60))
def test_any_text_has_the_ids_of_the_class(text: str, pairs: list[tuple[Any, HuggingFaceTokenizer]]) -> None:
    for theirs, ours in pairs:
        assert ours.encode(text, add_special_tokens=True).ids == theirs(text)["input_ids"]


@pytest.mark.skipif(not HAS_DATA, reason="needs the shared test data")
@pytest.mark.parametrize("name", CLASSES)
@pytest.mark.parametrize("config", [{}, {"add_prefix_space": True, "add_bos_token": True, "bos_token": "<s>"}])
def test_a_published_vocabulary_has_the_ids_of_the_class(name: str, config: dict[str, Any], tmp_path: Path) -> None:
    config = {"tokenizer_class": name, "unk_token": "<unk>", **config}
    folder = folder_with(DATA / "models" / "roberta-base", tmp_path, config)
    assert_same(reference(name, folder), HuggingFaceTokenizer.from_file(folder))


def test_the_type_of_the_model_names_the_class(vocabulary: Path, tmp_path: Path) -> None:
    from transformers.models.auto.tokenization_auto import TOKENIZER_MAPPING_NAMES

    for model_type, name in _CLASS_OF_MODEL.items():
        theirs = (TOKENIZER_MAPPING_NAMES[model_type] or "").removesuffix("Fast")
        assert _CLASSES[name] is _CLASSES[theirs], model_type
        folder = folder_with(vocabulary, tmp_path, {}, config={"model_type": model_type})
        named = folder_with(vocabulary, tmp_path, {}, config={"model_type": "other", "tokenizer_class": name})
        found = HuggingFaceTokenizer.from_file(folder)
        assert found.fingerprint == HuggingFaceTokenizer.from_file(named).fingerprint


@pytest.mark.parametrize("config", [{}, {"tokenizer_class": "XLMTokenizer"}, {"tokenizer_class": ["GPT2Tokenizer"]}])
def test_an_unknown_class_is_refused_with_advice(config: dict[str, Any], vocabulary: Path, tmp_path: Path) -> None:
    folder = folder_with(vocabulary, tmp_path, config, config={"model_type": "llama"})
    with pytest.raises(UnsupportedFormatError, match=r"GPT2Tokenizer.*tokenizer\.json.*save it again") as caught:
        HuggingFaceTokenizer.from_file(folder)
    assert caught.value.source == str(folder)


@pytest.mark.parametrize("name", ["RobertaTokenizer", "CLIPTokenizer"])
def test_a_class_without_the_tokens_it_puts_around_a_text_is_refused(
    name: str, vocabulary: Path, tmp_path: Path
) -> None:
    nulls = dict.fromkeys(("bos_token", "eos_token", "unk_token", "sep_token", "cls_token"))
    with pytest.raises(CorruptTokenizerError, match="needs a"):
        HuggingFaceTokenizer.from_file(folder_with(vocabulary, tmp_path, {"tokenizer_class": name, **nulls}))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("vocab.json", b""),
        ("vocab.json", b'{"a": 1'),
        ("vocab.json", b'["a", "b"]'),
        ("vocab.json", b'{"a": "b"}'),
        ("vocab.json", b'{"a": -1}'),
        ("vocab.json", b"\xff\xfe\x00"),
        ("merges.txt", b"no such tokens here\n"),
        ("merges.txt", b"#version: 0.2\nx y\n"),
        ("merges.txt", b"\xff\xff \xfe\n"),
    ],
)
def test_a_damaged_vocabulary_is_corrupt(name: str, content: bytes, vocabulary: Path, tmp_path: Path) -> None:
    folder = folder_with(vocabulary, tmp_path, {"tokenizer_class": "GPT2Tokenizer"})
    (folder / name).write_bytes(content)
    with pytest.raises(CorruptTokenizerError, match="together"):
        HuggingFaceTokenizer.from_file(folder)
