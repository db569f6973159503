"""Loading SentencePiece models: files, folders, what lies beside them, and a package that isn't there."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.data import DATA, HAS_DATA, ROOT
from tests.sentencepiece_models import model_data, write_folder
from tokenfacade import (
    ConfigurationError,
    CorruptTokenizerError,
    MissingDependencyError,
    TokenizerNotFoundError,
    UnsupportedFormatError,
)
from tokenfacade.backends import sentencepiece_files
from tokenfacade.backends.sentencepiece import SentencePieceTokenizer


def test_a_folder_or_its_file_is_loaded_with_what_lies_beside(tmp_path: Path) -> None:
    template = "{% for m in messages %}{{ m.content }}{% endfor %}"
    config = {"tokenizer_class": "LlamaTokenizer", "add_eos_token": True, "chat_template": template}
    folder = write_folder(tmp_path, "bpe plain", config)
    (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": [2, 7]}))
    for path in (folder, folder / "tokenizer.model", str(folder)):
        tokenizer = SentencePieceTokenizer.from_file(path)
        assert (tokenizer.backend, tokenizer.source) == ("sentencepiece", str(path))
        assert tokenizer.added_around() == (1, 1)
        assert tokenizer.eos_token_ids == (2, 7)
        assert tokenizer.apply_chat_template([{"role": "user", "content": "the fox"}]) == "the fox"
    other = SentencePieceTokenizer.from_file(folder, chat_template="{{ messages[0].role }}", source="hf:org/name@1")
    assert other.apply_chat_template([{"role": "user", "content": "the fox"}]) == "user"
    assert other.source == "hf:org/name@1"


def test_a_folder_may_hold_one_model_of_any_name(tmp_path: Path) -> None:
    with pytest.raises(TokenizerNotFoundError, match=r"no tokenizer\.model"):
        SentencePieceTokenizer.from_file(tmp_path)
    (tmp_path / "other.model").write_bytes(b"IQ== 0\nIg== 1\n")
    (tmp_path / "spiece.model").write_bytes(model_data("unigram plain"))
    assert SentencePieceTokenizer.from_file(tmp_path).encode("the")
    (tmp_path / "spm.model").write_bytes(model_data("bpe plain"))
    with pytest.raises(ConfigurationError, match=r"spiece\.model, spm\.model"):
        SentencePieceTokenizer.from_file(tmp_path)


@pytest.mark.parametrize("path", ["no/such/file.model", "no\0path"])
def test_a_path_that_is_not_there_is_not_found(path: str) -> None:
    with pytest.raises(TokenizerNotFoundError):
        SentencePieceTokenizer.from_file(path)


@pytest.mark.parametrize(
    ("content", "error", "message"),
    [
        (b"", CorruptTokenizerError, "is empty"),
        (b"version https://git-lfs.github.com/spec/v1\n", CorruptTokenizerError, "git lfs pull"),
        (b"IQ== 0\nIg== 1\n", UnsupportedFormatError, "tiktoken"),
        (b'{"model": {}}', UnsupportedFormatError, "huggingface"),
        (b"\x80\x02pickled", UnsupportedFormatError, "archive"),
        (b"some words", UnsupportedFormatError, "no SentencePiece model"),
        (model_data("bpe plain")[:1000], CorruptTokenizerError, "fetch it again"),
    ],
)
def test_other_files_are_named(tmp_path: Path, content: bytes, error: Any, message: str) -> None:
    file = tmp_path / "tokenizer.model"
    file.write_bytes(content)
    with pytest.raises(error, match=message) as caught:
        SentencePieceTokenizer.from_file(file)
    assert caught.value.source == str(file)


def test_a_file_too_large_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sentencepiece_files, "LARGEST", 1000)
    with pytest.raises(UnsupportedFormatError, match="too large"):
        SentencePieceTokenizer.from_file(write_folder(tmp_path, "bpe plain"))


@pytest.mark.parametrize("name", ["XLMRobertaTokenizer", "MBartTokenizerFast", "PegasusTokenizer", "SiglipTokenizer"])
def test_classes_with_ways_of_their_own_are_refused(tmp_path: Path, name: str) -> None:
    folder = write_folder(tmp_path, "unigram plain", {"tokenizer_class": name})
    with pytest.raises(UnsupportedFormatError, match=name.removesuffix("Fast")):
        SentencePieceTokenizer.from_file(folder)


def test_a_config_that_is_no_config_is_corrupt(tmp_path: Path) -> None:
    folder = write_folder(tmp_path, "bpe plain")
    (folder / "tokenizer_config.json").write_text("[1]")
    with pytest.raises(CorruptTokenizerError, match="tokenizer_config"):
        SentencePieceTokenizer.from_file(folder)


def test_the_kind_of_model_says_which_class_it_is(tmp_path: Path) -> None:
    folder = write_folder(tmp_path, "unigram as_t5")
    (folder / "config.json").write_text(json.dumps({"model_type": "t5"}))
    tokenizer = SentencePieceTokenizer.from_file(folder)
    assert tokenizer.added_around() == (0, 1)
    assert tokenizer.token_to_id("<extra_id_0>") == tokenizer.vocab_size - 1


def test_pickles_are_small_and_load_the_same(tmp_path: Path) -> None:
    config = {"tokenizer_class": "LlamaTokenizer", "legacy": False, "chat_template": "{{ messages[0].content }}"}
    tokenizer = SentencePieceTokenizer.from_file(write_folder(tmp_path, "bpe as_llama", config))
    pickled = pickle.dumps(tokenizer)
    assert len(pickled) < 1000
    again = pickle.loads(pickled)
    assert (again.fingerprint, again.source) == (tokenizer.fingerprint, tokenizer.source)
    assert again.encode("a <s>the 😀") == tokenizer.encode("a <s>the 😀")
    twin = pickle.loads(pickle.dumps(tokenizer.with_chat_template("other {{ bos_token }}")))
    assert twin.fingerprint != tokenizer.fingerprint
    assert twin.vocabulary_fingerprint == tokenizer.vocabulary_fingerprint


def test_fingerprints_tell_ways_of_encoding_apart(tmp_path: Path) -> None:
    configs: list[dict[str, Any]] = [
        {"tokenizer_class": "LlamaTokenizer", "legacy": False},
        {"tokenizer_class": "LlamaTokenizer", "legacy": True},
        {"tokenizer_class": "LlamaTokenizer", "legacy": True, "add_bos_token": False},
        {"tokenizer_class": "LlamaTokenizer", "added_tokens_decoder": {"900": {"content": "<pad>"}}},
        {"tokenizer_class": "LlamaTokenizer", "added_tokens_decoder": {"900": {"content": "<pad>", "lstrip": True}}},
    ]
    folders = [write_folder(tmp_path / str(n), "bpe as_llama", config) for n, config in enumerate(configs)]
    found = {SentencePieceTokenizer.from_file(folder).vocabulary_fingerprint for folder in folders}
    assert len(found) == len(configs)
    assert SentencePieceTokenizer(model_data("bpe plain")).vocabulary_fingerprint not in found
    # Without a config it does what Llama's class does.
    assert SentencePieceTokenizer(model_data("bpe as_llama")).vocabulary_fingerprint in found


def test_without_the_package_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sentencepiece", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'tokenfacade\[sentencepiece\]'") as caught:
        SentencePieceTokenizer(model_data("bpe plain"))
    assert caught.value.extra == "sentencepiece"


def test_loading_registers_no_message_of_protocol_buffers(tmp_path: Path) -> None:
    config = {"tokenizer_class": "LlamaTokenizer", "legacy": False}
    folder = write_folder(tmp_path, "bpe as_llama", config)
    code = (
        "import sys\n"
        "from tokenfacade.backends.sentencepiece import SentencePieceTokenizer\n"
        f"tokenizer = SentencePieceTokenizer.from_file({str(folder)!r})\n"
        "encoding = tokenizer.encode('the <s> fox')\n"
        "encoding.offsets, tokenizer.decode(encoding), tokenizer.fingerprint\n"
        "print(*[name for name in sys.modules if name.startswith('google') or name.endswith('_pb2')])"
    )
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == ""


@pytest.mark.skipif(not HAS_DATA, reason="the test data is not here; .ci/run insists on it")
def test_a_real_folder_has_its_names_and_bos() -> None:
    tokenizer = SentencePieceTokenizer.from_file(DATA / "models" / "llama2-spm")
    assert tokenizer.special_tokens.variables == {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
    assert tokenizer.special_tokens.ids == {"<s>": 1, "</s>": 2}
    assert tokenizer.encode("Hello <s>.", add_special_tokens=True).ids == [1, 15043, 29871, 1, 869]
    assert tokenizer.vocab_size == 32000
    assert len(pickle.dumps(tokenizer)) < 1000
