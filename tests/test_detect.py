"""What a file is, told from its first bytes, and what name was meant as a path."""

from __future__ import annotations

import gzip
import json
import pickle
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.data import DATA, HAS_DATA
from tests.rank_files import content_of
from tokenfacade import CorruptTokenizerError, TokenizerNotFoundError
from tokenfacade.detect import FIRST_BYTES, FileFormat, detect_format, format_of, looks_like_path

NEEDS_DATA = pytest.mark.skipif(not HAS_DATA, reason="reads the shared test data")
HUGGING_FACE: dict[str, object] = {
    "version": "1.0",
    "truncation": None,
    "padding": None,
    "added_tokens": [],
    "normalizer": None,
    "pre_tokenizer": None,
    "post_processor": None,
    "decoder": None,
    "model": {"type": "BPE", "dropout": None, "vocab": {f"token{n}": n for n in range(2000)}, "merges": []},
}
TEKKEN: dict[str, object] = {
    "config": {"pattern": ".", "num_vocab_tokens": 150000, "default_vocab_size": 131072, "version": "v3"},
    "vocab": [{"rank": n, "token_bytes": "AA==", "token_str": "?"} for n in range(200)],
    "special_tokens": [{"rank": 0, "token_str": "<unk>", "is_control": True}],
}
SENTENCEPIECE = b"\x0a\x0e\x0a\x05<unk>\x15\x00\x00\x00\x00\x18\x02\x0a\x0c"
SAFETENSORS = (100).to_bytes(8, "little") + b'{"__metadata__":{}}' + b" " * 81


def orders(document: dict[str, object]) -> list[dict[str, object]]:
    """The document with each of its keys first."""
    return [{first: document[first], **document} for first in document]


class TestFormats:
    @pytest.mark.parametrize("indent", [None, 2, "\t"])
    @pytest.mark.parametrize("beginning", [b"", b"\xef\xbb\xbf", b"\n  ", b"\xef\xbb\xbf\r\n"])
    def test_json_is_told_in_any_order_and_layout(self, indent: int | str | None, beginning: bytes) -> None:
        for kind, document in {"huggingface": HUGGING_FACE, "tekken": TEKKEN}.items():
            for ordered in orders(document):
                head = beginning + json.dumps(ordered, indent=indent).encode()[:FIRST_BYTES]
                assert format_of(head) == kind

    @pytest.mark.parametrize(
        "document",
        [
            {},
            {"model_type": "llama", "architectures": ["LlamaForCausalLM"]},
            {"hello": 0, "world": 1},
            {"added_tokens_decoder": {}, "truncation_side": "left", "tokenizer_class": "PreTrainedTokenizerFast"},
        ],
    )
    def test_other_json_is_json(self, document: dict[str, object]) -> None:
        assert format_of(json.dumps(document).encode()) == "json"

    @pytest.mark.parametrize(
        ("head", "kind"),
        [
            (content_of(), "tiktoken"),
            (b"IQ== 0\r\nIg== 1\r\n", "tiktoken"),
            (b"IQ==\t0\n", "tiktoken"),
            (b"IQ== 0", "tiktoken"),
            (b"aGVsbG8h 4294967294\n", "tiktoken"),
            (b"= 50256\n", "tiktoken"),
            (b"Chapter 1\n", "unknown"),
            (b"IQ== zero\n", "unknown"),
            (b"IQ=== 0\n", "unknown"),
            (b"#version: 0.2\nt h\nth e\n", "unknown"),
            (b"[PAD]\n[unused0]\n[unused1]\n", "unknown"),
            (SENTENCEPIECE, "sentencepiece"),
            (b"\x0a\x09\x0a\x05<unk>\x18\x02\x0a\x07", "sentencepiece"),
            (b"\x0a\x09\x0a\x05<unk>", "unknown"),
            (b"\n \n some text", "unknown"),
            (b"\n\n\n some text", "unknown"),
            (b"GGUF\x03\0\0\0", "gguf"),
            (SAFETENSORS, "safetensors"),
            (b"version https://git-lfs.github.com/spec/v1\noid sha256:", "lfs"),
            (gzip.compress(content_of()), "archive"),
            (b"", "empty"),
            (b" \n\t\r\n", "empty"),
            (b"\0" * 100, "unknown"),
            (bytes(range(128, 256)), "unknown"),
            (b"<html>", "unknown"),
        ],
    )
    def test_each_format_is_told_by_its_beginning(self, head: bytes, kind: FileFormat) -> None:
        assert format_of(head) == kind

    @pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
    def test_pickles_are_archives(self, protocol: int) -> None:
        assert format_of(pickle.dumps({"weight": [0.0]}, protocol)) == "archive"

    def test_zips_are_archives(self, tmp_path: Path) -> None:
        with zipfile.ZipFile(tmp_path / "pytorch_model.bin", "w") as archive:
            archive.writestr("archive/data.pkl", b"weights")
        assert detect_format(tmp_path / "pytorch_model.bin") == "archive"

    @given(head=st.binary(max_size=64))
    def test_any_bytes_are_something(self, head: bytes) -> None:
        assert isinstance(format_of(head), str)

    def test_only_the_first_bytes_are_read(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_bytes(b" " * FIRST_BYTES + b"GGUF")
        assert detect_format(tmp_path / "file") == "empty"

    @NEEDS_DATA
    def test_every_model_file_of_the_test_data_is_recognised(self) -> None:
        expected: dict[str, FileFormat] = {
            "tokenizer.json": "huggingface",
            "tokenizer.model": "sentencepiece",
            "tekken.json": "tekken",
            "tokenizer_config.json": "json",
            "special_tokens_map.json": "json",
            "generation_config.json": "json",
            "vocab.json": "json",
            "vocab.txt": "unknown",
            "merges.txt": "unknown",
            "LICENSE": "unknown",
        }
        by_suffix: dict[str, FileFormat] = {".tiktoken": "tiktoken", ".gguf": "gguf"}
        found = set()
        for file in (DATA / "models").rglob("*"):
            if file.is_dir():
                continue
            name = file.name.removesuffix(".gz")
            head = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
            kind = expected.get(name) or by_suffix[Path(name).suffix]
            assert format_of(head[:FIRST_BYTES]) == kind, file
            found.add(kind)
        assert found >= {"huggingface", "sentencepiece", "tekken", "tiktoken", "gguf"}
        for file in (DATA / "tiktoken_cache").iterdir():
            assert detect_format(file) == "tiktoken"


class TestUnreadable:
    @pytest.mark.parametrize("name", ["absent", "file/below", "a\0b"])
    def test_what_is_not_there_is_not_found(self, tmp_path: Path, name: str) -> None:
        (tmp_path / "file").write_bytes(b"")
        with pytest.raises(TokenizerNotFoundError):
            detect_format(tmp_path / name)

    def test_a_folder_is_no_file(self, tmp_path: Path) -> None:
        with pytest.raises(CorruptTokenizerError, match="can't be read"):
            detect_format(tmp_path)

    def test_a_file_that_may_not_be_read_is_an_error_of_ours(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(*_arguments: object) -> None:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(Path, "open", refuse)
        with pytest.raises(CorruptTokenizerError, match="Permission denied"):
            detect_format(tmp_path / "file")


@pytest.mark.parametrize(
    "name",
    [
        "./model",
        "../model",
        ".",
        "..",
        "~",
        "~/model",
        "~somebody/model",
        "/models/llama",
        "models/",
        "org/name/",
        "home/someone/model",
        "a//b",
        "C:\\models\\llama",
        "C:/models",
        "D:model",
        "models\\llama",
        "\\\\server\\share",
        "tokenizer.json",
        "org/tokenizer.json",
        "tokenizer.model",
        "cl100k_base.tiktoken",
        "model.GGUF",
        "model.safetensors",
        "pytorch_model.bin",
        "vocab.txt",
        "tekken.json.gz",
        "https://huggingface.co/org/name",
    ],
)
def test_a_path_is_known_by_its_look(name: str) -> None:
    assert looks_like_path(name)


@pytest.mark.parametrize(
    "name",
    [
        "gpt2",
        "gpt-4.1",
        "org/name",
        "org/Name-3.5_mini.v2",
        "org/name@main",
        "org/model-GGUF",
        "ft:gpt-4o:org::id",
        "davinci:ft-org-2023-01-01",
        "azure/gpt-35-turbo",
    ],
)
def test_a_name_does_not_look_like_a_path(name: str) -> None:
    assert not looks_like_path(name)
