"""Loading with the Hugging Face backend: what is refused and how, what makes two tokenizers the same, and processes."""

from __future__ import annotations

import copy
import json
import os
import pickle
import shutil
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tokenizers import NormalizedString, Tokenizer, models, normalizers, trainers

from tests.test_huggingface import FLAGS, TEXTS, byte_level, with_gaps
from tokenfacade import (
    ConfigurationError,
    CorruptTokenizerError,
    EncodeError,
    HuggingFaceTokenizer,
    LoadError,
    TokenizerNotFoundError,
    UnsupportedFormatError,
    create_tokenizer,
)

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "tokenizer.json"
    byte_level().save(str(path))
    return path


@pytest.fixture(scope="module")
def loaded(file: Path) -> HuggingFaceTokenizer:
    return HuggingFaceTokenizer.from_file(file.parent)


def test_truncation_and_padding_of_the_file_are_off(tmp_path: Path) -> None:
    raw = byte_level()
    raw.enable_truncation(max_length=2)
    raw.enable_padding(length=4)
    raw.save(str(tmp_path / "tokenizer.json"))
    for tokenizer in (HuggingFaceTokenizer(raw), HuggingFaceTokenizer.from_file(tmp_path)):
        for parse in (False, True):
            assert len(tokenizer.encode("abcdef", parse_special_tokens=parse)) == 6
            assert len(tokenizer.encode("a", parse_special_tokens=parse)) == 1
        assert tokenizer.fingerprint == HuggingFaceTokenizer(byte_level()).fingerprint
    assert len(raw.encode("abcdef").ids) == 4


def test_a_tokenizer_of_the_caller_is_neither_changed_nor_followed() -> None:
    raw = byte_level()
    before = raw.to_str()
    tokenizer = HuggingFaceTokenizer(raw)
    ids = {parse: tokenizer.encode(TEXTS[2], parse_special_tokens=parse).ids for parse in (False, True)}
    assert (raw.to_str(), raw.encode_special_tokens) == (before, False)
    raw.add_special_tokens(["ünï", "世界"])
    raw.pre_tokenizer.add_prefix_space = True
    raw.model.dropout = 1.0
    raw.normalizer = normalizers.Lowercase()
    raw.encode_special_tokens = True
    raw.enable_truncation(max_length=1)
    for parse in (False, True):
        assert tokenizer.encode(TEXTS[2], parse_special_tokens=parse).ids == ids[parse]
    assert tokenizer.decode(ids[True], skip_special_tokens=False) == TEXTS[2].replace("  <", "<")


class Shout:
    def normalize(self, text: NormalizedString) -> None:
        text.uppercase()


def test_a_tokenizer_that_cannot_be_copied_is_refused() -> None:
    raw = byte_level()
    raw.normalizer = normalizers.Normalizer.custom(Shout())
    for wrong in (raw, None, "bert"):
        with pytest.raises(ConfigurationError, match=r"takes a tokenizers\.Tokenizer"):
            HuggingFaceTokenizer(wrong)  # type: ignore[arg-type]
    trained_late = Tokenizer(models.WordLevel({}, unk_token="<unk>"))
    trained_late.add_tokens(["<first>"])
    trained_late.train_from_iterator(["a b c"], trainers.WordLevelTrainer(show_progress=False))
    with pytest.raises(ConfigurationError, match="ids that they lose"):
        HuggingFaceTokenizer(trained_late)


def test_a_folder_a_file_and_the_factory_load_the_same(file: Path, loaded: HuggingFaceTokenizer) -> None:
    renamed = file.parent / "other name.json"
    shutil.copy(file, renamed)
    others = [HuggingFaceTokenizer.from_file(str(path)) for path in (file, renamed)] + [create_tokenizer(file.parent)]
    assert {other.fingerprint for other in others} == {loaded.fingerprint}
    assert {other.backend for other in others} == {"huggingface"}
    assert loaded.source == str(file.parent)
    assert HuggingFaceTokenizer.from_file(file, source="hf:org/name@abc").source == "hf:org/name@abc"


@pytest.mark.parametrize(
    ("content", "error", "message"),
    [
        ("", CorruptTokenizerError, "empty"),
        ("{", CorruptTokenizerError, "not valid JSON"),
        ('{"model": {"type": "BPE"', CorruptTokenizerError, "cut off"),
        ("\x00\x01\x02", CorruptTokenizerError, "not valid JSON"),
        ("[1, 2]", UnsupportedFormatError, "no model"),
        ('"text"', UnsupportedFormatError, "no model"),
        ("null", UnsupportedFormatError, "no model"),
        ("{}", UnsupportedFormatError, "no model"),
        ('{"model_type": "gpt2", "vocab_size": 5}', UnsupportedFormatError, "no model"),
        ('{"hello": 0, "model": 1}', UnsupportedFormatError, "no model"),
        ('{"model": {}}', CorruptTokenizerError, "damaged"),
        ('{"version": "1.0", "model": {"type": "None such", "vocab": {}}}', CorruptTokenizerError, "newer version"),
    ],
)
def test_what_is_no_tokenizer_says_so(content: str, error: type[LoadError], message: str, tmp_path: Path) -> None:
    file = tmp_path / "tokenizer.json"
    file.write_text(content, encoding="utf-8")
    for path in (file, tmp_path):
        with pytest.raises(error, match=message) as caught:
            HuggingFaceTokenizer.from_file(path)
        assert caught.value.source == str(file)
        assert pickle.loads(pickle.dumps(caught.value)).args == caught.value.args


def test_a_file_cut_off_anywhere_is_corrupt(file: Path, tmp_path: Path) -> None:
    content = file.read_bytes()
    for length in range(1, len(content) - 1, 997):
        (tmp_path / "tokenizer.json").write_bytes(content[:length])
        with pytest.raises(CorruptTokenizerError):
            HuggingFaceTokenizer.from_file(tmp_path)


@pytest.mark.parametrize("name", ["", "none", "none/such", "vocab.json", "x" * 5000, "a\0b"])
def test_a_path_without_a_tokenizer_is_not_found(name: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{", encoding="utf-8")  # which isn't even looked at
    (tmp_path / "tokenizer.json").mkdir()
    with pytest.raises(TokenizerNotFoundError, match="no tokenizer"):
        HuggingFaceTokenizer.from_file(tmp_path / name)


def test_any_damage_is_a_load_error_or_none(file: Path, tmp_path: Path) -> None:
    content: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    values: list[Any] = [None, -1, "x", [], {}, [["a"]], {"type": "Fuse"}]
    places = [(part, None) for part in content] + [("model", key) for key in content["model"]]
    for (part, key), value in product(places, values):
        damaged = copy.deepcopy(content)
        if key is None:
            damaged[part] = value
        else:
            damaged[part][key] = value
        (tmp_path / "tokenizer.json").write_text(json.dumps(damaged), encoding="utf-8")
        try:
            HuggingFaceTokenizer.from_file(tmp_path).encode("hello", add_special_tokens=True)
        except (LoadError, EncodeError):
            continue


# Identity


def changed(change: Callable[[dict[str, Any]], object]) -> HuggingFaceTokenizer:
    content = json.loads(byte_level().to_str())
    change(content)
    return HuggingFaceTokenizer(Tokenizer.from_str(json.dumps(content)))


def test_the_fingerprint_tells_tokenizers_apart(tmp_path: Path) -> None:
    changes: list[Callable[[dict[str, Any]], object]] = [
        lambda content: None,
        lambda content: content["model"]["merges"].pop(),
        lambda content: content["model"].update(ignore_merges=True),
        lambda content: content.update(decoder={"type": "Fuse"}),
        lambda content: content.update(normalizer=None),
        lambda content: content.update(post_processor=None),
        lambda content: content["pre_tokenizer"].update(add_prefix_space=True),
        lambda content: content["added_tokens"].pop(),
        lambda content: content["added_tokens"][0].update(special=False),
        lambda content: content["added_tokens"][0].update(rstrip=True),
    ]
    assert len({changed(change).fingerprint for change in changes}) == len(changes)
    assert changed(changes[0]).fingerprint == HuggingFaceTokenizer(byte_level()).fingerprint
    file = tmp_path / "tokenizer.json"
    file.write_text(json.dumps(json.loads(byte_level().to_str()), indent=3), encoding="utf-8")
    assert HuggingFaceTokenizer.from_file(file).fingerprint == changed(changes[0]).fingerprint


def test_an_added_token_counts_the_same_wherever_it_is_named(file: Path, tmp_path: Path) -> None:
    shutil.copy(file, tmp_path)
    (tmp_path / "tokenizer_config.json").write_text('{"pad_token": "<pad>"}', encoding="utf-8")
    raw = byte_level()
    raw.add_special_tokens(["<pad>"])
    assert HuggingFaceTokenizer.from_file(tmp_path).fingerprint == HuggingFaceTokenizer(raw).fingerprint


def test_a_copy_equals_its_original(loaded: HuggingFaceTokenizer) -> None:
    for original in (loaded, HuggingFaceTokenizer(with_gaps())):
        for twin in (pickle.loads(pickle.dumps(original)), copy.copy(original), copy.deepcopy(original)):
            assert isinstance(twin, HuggingFaceTokenizer)
            assert (twin.fingerprint, twin.source) == (original.fingerprint, original.source)
            assert [twin.encode(text) for text in TEXTS] == [original.encode(text) for text in TEXTS]
    assert len(pickle.dumps(loaded)) < 1000  # by source, not by content


# Threads and processes


def ids_of(tokenizer: HuggingFaceTokenizer) -> list[list[int]]:
    calls = [tokenizer.encode_batch(TEXTS, add_special_tokens=add, parse_special_tokens=parse) for add, parse in FLAGS]
    return [encoding.ids for batch in calls for encoding in batch]


def test_sixteen_threads_get_the_ids_of_one(file: Path) -> None:
    shared, expected = HuggingFaceTokenizer.from_file(file), ids_of(HuggingFaceTokenizer.from_file(file))
    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(lambda _: ids_of(shared), range(48)))
    assert found == [expected] * 48


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_goes_on(loaded: HuggingFaceTokenizer) -> None:
    expected = ids_of(loaded)
    with get_context("fork").Pool(1) as pool:
        assert pool.apply_async(ids_of, (loaded,)).get(timeout=60) == expected


def test_a_spawned_child_loads_the_same(loaded: HuggingFaceTokenizer) -> None:
    in_memory = HuggingFaceTokenizer(byte_level())
    with get_context("spawn").Pool(1) as pool:
        for tokenizer in (loaded, in_memory):
            assert pool.apply_async(ids_of, (tokenizer,)).get(timeout=100) == ids_of(tokenizer)
