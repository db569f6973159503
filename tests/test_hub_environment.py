"""Fetching from the Hub: what the environment says, above all that the network may not be used."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.fake_hub import FakeHub
from tests.hub_fixtures import FILES, REPO, SECRET, failure_of, in_new_process, names_in
from tests.hub_fixtures import cache as cache
from tests.hub_fixtures import connections as connections
from tests.hub_fixtures import hub as hub
from tests.hub_fixtures import hub_environment as hub_environment
from tokenfacade.errors import ConfigurationError, HubError, TokenizerNotFoundError
from tokenfacade.hub import fetch_tokenizer_files

if TYPE_CHECKING:
    from collections.abc import Callable


class TestOffline:
    def test_a_cached_repository_loads_without_a_socket(
        self, hub: FakeHub, connections: Callable[[], list[object]]
    ) -> None:
        commit = hub.add(REPO, FILES)
        fetch_tokenizer_files(REPO)
        attempts = connections()
        assert fetch_tokenizer_files(REPO, local_files_only=True).commit == commit
        assert attempts == []

    @pytest.mark.parametrize("variable", ["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"])
    @pytest.mark.parametrize("value", ["1", "true", "Yes", "ON"])
    def test_the_variable_counts_although_it_was_set_after_the_import(
        self, monkeypatch: pytest.MonkeyPatch, connections: Callable[[], list[object]], variable: str, value: str
    ) -> None:
        monkeypatch.setenv(variable, value)
        attempts = connections()
        assert failure_of().kind == "offline"
        assert attempts == []

    def test_the_variable_can_say_no(self, hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
        hub.add(REPO, FILES)
        monkeypatch.setenv("HF_HUB_OFFLINE", "0")
        assert names_in(fetch_tokenizer_files(REPO)) == set(FILES)

    def test_a_miss_names_repository_revision_files_and_folder(
        self, cache: Path, connections: Callable[[], list[object]]
    ) -> None:
        attempts = connections()
        with pytest.raises(HubError) as caught:
            fetch_tokenizer_files(REPO, revision="v7", local_files_only=True)
        assert (caught.value.kind, caught.value.source) == ("offline", REPO)
        for part in (REPO, "v7", "tokenizer.json", "tekken.json", str(cache)):
            assert part in str(caught.value)
        assert attempts == []

    def test_a_branch_is_resolved_through_the_cache(self, hub: FakeHub) -> None:
        hub.add(REPO, FILES)
        commit = hub.repositories[REPO].push({**FILES, "config.json": b"[]"}, branch="feature/x")
        fetch_tokenizer_files(REPO, revision="feature/x")
        assert fetch_tokenizer_files(REPO, revision="feature/x", local_files_only=True).commit == commit

    @pytest.mark.parametrize("revision", ["main", "feature", "feature/y", "0" * 40])
    def test_an_unknown_revision_is_a_miss_even_if_another_is_cached(self, hub: FakeHub, revision: str) -> None:
        hub.add(REPO, FILES)
        hub.repositories[REPO].push(FILES, branch="feature/x")
        fetch_tokenizer_files(REPO, revision="feature/x")
        with pytest.raises(HubError, match="not in the cache"):
            fetch_tokenizer_files(REPO, revision=revision, local_files_only=True)

    def test_a_vocabulary_is_enough_even_if_sidecars_are_unknown(self, hub: FakeHub, cache: Path) -> None:
        from huggingface_hub import hf_hub_download

        commit = hub.add(REPO, FILES)
        hf_hub_download(REPO, "tokenizer.json", cache_dir=cache, endpoint=hub.endpoint)
        assert fetch_tokenizer_files(REPO, local_files_only=True).commit == commit

    def test_a_snapshot_without_a_vocabulary_is_a_miss(self, hub: FakeHub, cache: Path) -> None:
        from huggingface_hub import hf_hub_download

        hub.add(REPO, {**FILES, "vocab.json": b"{}"})
        for name in ("config.json", "vocab.json"):
            hf_hub_download(REPO, name, cache_dir=cache, endpoint=hub.endpoint)
        with pytest.raises(HubError, match="not in the cache"):
            fetch_tokenizer_files(REPO, local_files_only=True)

    def test_a_malformed_id_is_not_found(self) -> None:
        with pytest.raises(TokenizerNotFoundError):
            fetch_tokenizer_files("a/b/c", local_files_only=True)

    def test_a_client_that_was_imported_offline_stays_so_and_the_error_says_it(self, hub: FakeHub) -> None:
        hub.add(REPO, FILES)
        code = f"""if True:
            import os
            from huggingface_hub import constants
            from tokenfacade.hub import fetch_tokenizer_files
            del os.environ["HF_HUB_OFFLINE"]
            try:
                fetch_tokenizer_files("{REPO}")
            except Exception as error:
                print(getattr(error, "kind", None), error)
        """
        assert in_new_process(code, HF_HUB_OFFLINE="1").startswith("offline")
        assert hub.requests == []


class TestEnvironment:
    def test_importing_the_module_does_not_import_the_client(self) -> None:
        assert in_new_process("import sys, tokenfacade.hub; print('huggingface_hub' in sys.modules)") == "False"

    def test_the_endpoint_is_read_in_each_call(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with ExitStack() as stack:
            hubs = [stack.enter_context(FakeHub()) for _ in range(2)]
            for number, hub in enumerate(hubs):
                hub.add(f"acme/bird-{number}", FILES)
                monkeypatch.setenv("HF_ENDPOINT", f"{hub.endpoint}/")
                fetch_tokenizer_files(f"acme/bird-{number}")
        for number, hub in enumerate(hubs):
            assert hub.requests
            assert all(f"acme/bird-{number}" in request.path for request in hub.requests)

    @pytest.mark.parametrize(
        ("variable", "below"),
        [
            ("HF_HUB_CACHE", ""),
            ("HUGGINGFACE_HUB_CACHE", ""),
            ("HF_HOME", "hub"),
            ("XDG_CACHE_HOME", "huggingface/hub"),
        ],
    )
    def test_the_cache_folder_is_read_in_each_call(
        self, hub: FakeHub, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, variable: str, below: str
    ) -> None:
        hub.add(REPO, FILES)
        monkeypatch.delenv("HF_HUB_CACHE")
        monkeypatch.setenv("ELSEWHERE", str(tmp_path / "elsewhere"))
        monkeypatch.setenv(variable, "$ELSEWHERE")
        assert fetch_tokenizer_files(REPO).folder.is_relative_to(tmp_path / "elsewhere" / below)

    def test_the_token_is_read_in_each_call(self, hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
        hub.add(REPO, FILES, token=SECRET)
        assert failure_of().kind == "unauthorized"
        monkeypatch.setenv("HF_TOKEN", SECRET)
        assert names_in(fetch_tokenizer_files(REPO)) == set(FILES)

    def test_a_token_argument_wins_and_goes_with_every_request(
        self, hub: FakeHub, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        hub.add(REPO, FILES, token=SECRET)
        monkeypatch.setenv("HF_TOKEN", "hf_another")
        fetch_tokenizer_files(REPO, token=f" {SECRET}\n")
        assert {request.authorization for request in hub.requests} == {f"Bearer {SECRET}"}

    @pytest.mark.parametrize("token", [None, "", " \n"])
    def test_no_token_means_no_header(self, hub: FakeHub, token: str | None) -> None:
        hub.add(REPO, FILES)
        fetch_tokenizer_files(REPO, token=token)
        assert {request.authorization for request in hub.requests} == {None}

    def test_a_token_is_not_sent_on_to_where_files_are_stored(self, hub: FakeHub) -> None:
        hub.add(REPO, FILES, token=SECRET)
        with FakeHub(hub.repositories) as storage:
            hub.storage = storage.endpoint
            assert names_in(fetch_tokenizer_files(REPO, token=SECRET)) == set(FILES)
        assert len(storage.requests) == len(FILES)
        assert {request.authorization for request in storage.requests} == {None}

    def test_a_timeout_that_is_no_number_is_refused(self, hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HF_HUB_ETAG_TIMEOUT", "soon")
        with pytest.raises(ConfigurationError, match="HF_HUB_ETAG_TIMEOUT"):
            fetch_tokenizer_files(REPO)
        assert hub.requests == []
