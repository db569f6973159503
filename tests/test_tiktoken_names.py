"""OpenAI's names: from models to encodings, and from encodings to files that may be here already."""

from __future__ import annotations

import os
import pickle
import shutil
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import tiktoken
from tiktoken.model import MODEL_PREFIX_TO_ENCODING, MODEL_TO_ENCODING

from tests.data import DATA, HAS_DATA
from tests.hub_fixtures import closed_endpoint
from tests.hub_fixtures import connections as connections
from tests.rank_files import content_of, publish
from tokenfacade import ConfigurationError, CorruptTokenizerError, HubError, TiktokenTokenizer, TokenizerNotFoundError
from tokenfacade.backends import tiktoken_names
from tokenfacade.backends.tiktoken_families import RANK_FILES
from tokenfacade.backends.tiktoken_names import encoding_name_of

if TYPE_CHECKING:
    from collections.abc import Callable

NEEDS_DATA = pytest.mark.skipif(not HAS_DATA, reason="reads the shared test data")
registry = import_module("tiktoken.registry")


class TestNames:
    @pytest.mark.parametrize(
        ("name", "encoding"),
        [
            ("gpt-4", "cl100k_base"),
            ("gpt-4-0613", "cl100k_base"),
            ("gpt-4-turbo-2024-04-09", "cl100k_base"),
            ("gpt-4o", "o200k_base"),
            ("gpt-4o-mini-2024-07-18", "o200k_base"),
            ("gpt-4.1-nano", "o200k_base"),
            ("gpt-4.5-preview", "o200k_base"),
            ("gpt-5-mini", "o200k_base"),
            ("gpt-oss-120b", "o200k_harmony"),
            ("o1", "o200k_base"),
            ("o3-mini", "o200k_base"),
            ("chatgpt-4o-latest", "o200k_base"),
            ("gpt-3.5-turbo-16k", "cl100k_base"),
            ("text-embedding-3-small", "cl100k_base"),
            ("text-davinci-edit-001", "p50k_edit"),
            ("davinci", "r50k_base"),
            ("gpt2", "gpt2"),
        ],
    )
    def test_models_are_known_by_name_or_by_the_longest_prefix(self, name: str, encoding: str) -> None:
        assert encoding_name_of(name) == encoding

    @pytest.mark.parametrize(
        ("name", "encoding"),
        [
            ("ft:gpt-4o:org::id", "o200k_base"),
            ("ft:gpt-4o-mini-2024-07-18:org:name:id", "o200k_base"),
            ("ft:gpt-4.1-nano-2025-04-14:org::id", "o200k_base"),
            ("ft:gpt-4.1", "o200k_base"),
            ("ft:gpt-4-0613:org::id", "cl100k_base"),
            ("ft:gpt-3.5-turbo:org::id", "cl100k_base"),
            ("ft:davinci-002:org::id", "cl100k_base"),
            ("davinci:ft-org-2023-01-01-00-00-00", "r50k_base"),
            ("curie:ft-org", "r50k_base"),
        ],
    )
    def test_a_fine_tune_in_either_spelling_is_its_base_model(self, name: str, encoding: str) -> None:
        assert encoding_name_of(name) == encoding

    @pytest.mark.parametrize(
        ("name", "encoding"),
        [
            ("gpt-35-turbo", "cl100k_base"),
            ("gpt-35-turbo-16k", "cl100k_base"),
            ("azure/gpt-4o", "o200k_base"),
            ("azure/gpt-35-turbo", "cl100k_base"),
            ("openai/gpt-4o-mini", "o200k_base"),
            ("openai/ft:gpt-4o:org::id", "o200k_base"),
        ],
    )
    def test_azures_spellings_and_providers_count(self, name: str, encoding: str) -> None:
        assert encoding_name_of(name) == encoding

    @pytest.mark.parametrize("name", [*MODEL_TO_ENCODING, *MODEL_PREFIX_TO_ENCODING])
    def test_every_name_of_tiktokens_tables_has_the_tables_encoding(self, name: str) -> None:
        assert encoding_name_of(name) == {**MODEL_PREFIX_TO_ENCODING, **MODEL_TO_ENCODING}[name]

    @pytest.mark.parametrize("name", tiktoken.list_encoding_names())
    def test_an_encoding_is_its_own_name(self, name: str) -> None:
        assert encoding_name_of(name) == name

    def test_the_longest_prefix_wins_in_whatever_order_they_stand(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for order in (1, -1):
            prefixes = [("gpt-x-", "cl100k_base"), ("gpt-x-big-", "o200k_base"), ("gpt-", "r50k_base")][::order]
            monkeypatch.setattr(tiktoken_names, "MODEL_PREFIX_TO_ENCODING", dict(prefixes))
            assert encoding_name_of("gpt-x-big-1") == "o200k_base"
            assert encoding_name_of("gpt-x-1") == "cl100k_base"

    @pytest.mark.parametrize(
        "name",
        [
            "my-gpt-4-clone",
            "gpt4",
            "GPT-4",
            " gpt-4",
            "gpt-4 ",
            "gpt-4x",
            "gpt-",
            "gpt-neo",
            "ft:gpt-4.9:org::id",
            "ft:my-gpt-4:org::id",
            "ft:",
            ":ft-org",
            "org/gpt-4",
            "openai/whisper-large-v3",
            "openai-community/gpt2",
            "CL100K_BASE",
            "",
        ],
    )
    def test_an_unknown_name_is_an_error_and_never_a_guess(self, name: str) -> None:
        assert encoding_name_of(name) is None
        with pytest.raises(TokenizerNotFoundError, match="knows no model") as caught:
            TiktokenTokenizer.from_model_name(name)
        assert caught.value.source == name

    def test_an_unknown_encoding_is_an_error_that_lists_the_known_ones(self) -> None:
        with pytest.raises(TokenizerNotFoundError, match="cl100k_base, gpt2"):
            TiktokenTokenizer.from_encoding("o300k_base")

    @pytest.mark.parametrize("wrong", [None, 5, b"gpt-4"])
    def test_a_name_that_is_no_text_is_an_error_of_ours(self, wrong: Any) -> None:
        with pytest.raises(ConfigurationError):
            TiktokenTokenizer.from_model_name(wrong)
        with pytest.raises(TokenizerNotFoundError):
            TiktokenTokenizer.from_encoding(wrong)


class TestFilesOnThisMachine:
    @pytest.fixture(autouse=True)
    def folder(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
        """An empty cache, and nothing that tiktoken has loaded before."""
        monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))
        monkeypatch.setattr(registry, "ENCODINGS", {})
        return tmp_path

    @pytest.mark.parametrize("local_files_only", [True, False])
    @pytest.mark.parametrize("encoding", ["cl100k_base", "gpt2"])
    @pytest.mark.parametrize("name", ["natural", "stored"])
    def test_a_file_under_its_natural_or_stored_name_is_used_without_a_socket(
        self,
        folder: Path,
        monkeypatch: pytest.MonkeyPatch,
        connections: Callable[[], list[object]],
        name: str,
        encoding: str,
        *,
        local_files_only: bool,
    ) -> None:
        published = publish(monkeypatch, encoding)
        (folder / (published.name if name == "natural" else published.cache_name)).write_bytes(content_of())
        attempts = connections()
        tokenizer = TiktokenTokenizer.from_encoding(encoding, local_files_only=local_files_only)
        assert tokenizer.encode("the").tokens == ["the"]
        assert tokenizer.source == f"tiktoken:{encoding}"
        assert attempts == []

    def test_two_encodings_may_share_a_file(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        publish(monkeypatch, "p50k_base", "p50k_edit")
        (folder / "p50k_base.tiktoken").write_bytes(content_of())
        base, edit = (TiktokenTokenizer.from_encoding(name) for name in ("p50k_base", "p50k_edit"))
        assert "<|fim_prefix|>" not in base.special_tokens.ids
        assert edit.special_tokens.ids["<|fim_prefix|>"] == 50281
        assert base.fingerprint != edit.fingerprint

    def test_a_wrong_file_under_a_natural_name_is_corrupt_and_named(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch, connections: Callable[[], list[object]]
    ) -> None:
        published = publish(monkeypatch, "cl100k_base")
        (folder / "cl100k_base.tiktoken").write_bytes(content_of() + b"\n")
        attempts = connections()
        with pytest.raises(CorruptTokenizerError, match=published.sha256) as caught:
            TiktokenTokenizer.from_model_name("gpt-4")
        assert str(folder / "cl100k_base.tiktoken") in str(caught.value)
        assert attempts == []

    def test_a_file_that_becomes_wrong_after_a_load_is_noticed(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        publish(monkeypatch, "cl100k_base")
        (folder / "cl100k_base.tiktoken").write_bytes(content_of())
        TiktokenTokenizer.from_encoding("cl100k_base")
        (folder / "cl100k_base.tiktoken").write_bytes(b"")
        with pytest.raises(CorruptTokenizerError):
            TiktokenTokenizer.from_encoding("cl100k_base")

    @pytest.mark.parametrize("encoding", ["cl100k_base", "o200k_harmony", "gpt2"])
    @pytest.mark.parametrize("is_damaged", [False, True])
    def test_local_files_only_opens_no_socket_and_says_how_to_provide_the_file(
        self, folder: Path, connections: Callable[[], list[object]], encoding: str, *, is_damaged: bool
    ) -> None:
        if is_damaged:
            (folder / RANK_FILES[encoding].cache_name).write_bytes(b"IQ== 0\n")
        attempts = connections()
        with pytest.raises(HubError, match="TIKTOKEN_CACHE_DIR") as caught:
            TiktokenTokenizer.from_encoding(encoding, local_files_only=True)
        assert RANK_FILES[encoding].name in str(caught.value)
        assert (caught.value.source, caught.value.kind) == (encoding, "offline")
        assert attempts == []

    def test_a_download_that_fails_is_one_error_that_says_how_to_provide_the_file(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in list(os.environ):
            if name.lower().endswith("_proxy"):
                monkeypatch.delenv(name)
        monkeypatch.setenv("HTTPS_PROXY", closed_endpoint())
        with pytest.raises(HubError, match=r"cl100k_base\.tiktoken.*TIKTOKEN_CACHE_DIR") as caught:
            TiktokenTokenizer.from_model_name("gpt-4")
        assert caught.value.__cause__ is not None
        assert caught.value.kind == "offline"
        assert list(folder.iterdir()) == []

    def test_a_download_with_other_content_is_an_error_of_the_server(
        self, monkeypatch: pytest.MonkeyPatch, connections: Callable[[], list[object]]
    ) -> None:
        monkeypatch.setattr(import_module("tiktoken.load"), "read_file", lambda _: b"<html>Log in</html>")
        with pytest.raises(HubError, match="Hash mismatch"):
            TiktokenTokenizer.from_encoding("r50k_base")

    @pytest.mark.parametrize("variable", ["", "no/such/folder", "x" * 5000])
    def test_a_cache_folder_that_is_none_is_an_error_of_ours(
        self, monkeypatch: pytest.MonkeyPatch, variable: str
    ) -> None:
        monkeypatch.setenv("TIKTOKEN_CACHE_DIR", variable)
        with pytest.raises(HubError):
            TiktokenTokenizer.from_encoding("cl100k_base", local_files_only=True)

    def test_the_folder_of_data_gym_counts_where_tiktokens_is_not_set(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        publish(monkeypatch, "cl100k_base")
        (folder / "cl100k_base.tiktoken").write_bytes(content_of())
        monkeypatch.delenv("TIKTOKEN_CACHE_DIR")
        monkeypatch.setenv("DATA_GYM_CACHE_DIR", str(folder))
        assert TiktokenTokenizer.from_encoding("cl100k_base", local_files_only=True).encode("the").tokens == ["the"]

    def test_a_named_tokenizer_pickles_by_its_name(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        publish(monkeypatch, "o200k_harmony")
        (folder / "o200k_harmony.tiktoken").write_bytes(content_of())
        tokenizer = TiktokenTokenizer.from_model_name("gpt-oss-20b")
        data = pickle.dumps(tokenizer)
        assert len(data) < 200
        again = pickle.loads(data)
        assert (again.source, again.fingerprint) == ("tiktoken:o200k_harmony", tokenizer.fingerprint)

    def test_harmony_ends_with_the_three_tokens_of_its_models(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        publish(monkeypatch, "o200k_harmony")
        (folder / "o200k_harmony.tiktoken").write_bytes(content_of())
        tokenizer = TiktokenTokenizer.from_encoding("o200k_harmony")
        assert set(tokenizer.eos_token_ids) == {199999, 200002, 200012}
        assert tokenizer.special_tokens.eos == "<|endoftext|>"
        assert tokenizer.vocab_size == 201088

    @NEEDS_DATA
    @pytest.mark.parametrize("name", ["cl100k_base", "p50k_base", "p50k_edit"])
    def test_real_files_make_the_same_tokenizer_under_each_name(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch, name: str
    ) -> None:
        published = RANK_FILES[name]
        shutil.copy(DATA / "tiktoken_cache" / published.cache_name, folder / f"{name}.tiktoken")
        natural = TiktokenTokenizer.from_encoding(name, local_files_only=True)
        monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(DATA / "tiktoken_cache"))
        stored = TiktokenTokenizer.from_encoding(name, local_files_only=True)
        library = tiktoken.get_encoding(name)
        assert natural.fingerprint == stored.fingerprint == TiktokenTokenizer(library).fingerprint
        assert dict(natural.special_tokens.ids) == library._special_tokens
