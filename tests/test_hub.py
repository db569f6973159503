"""Fetching from the Hub: which requests are made, what the cache knows afterwards, and how each failure is told."""

from __future__ import annotations

import os
import pickle
import socket
import subprocess
import sys
import threading
from contextlib import ExitStack
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.fake_hub import Failure, FakeHub, FakeRepository
from tokenfacade.errors import (
    ConfigurationError,
    HubError,
    HubErrorKind,
    LoadError,
    TokenFacadeError,
    TokenizerNotFoundError,
)
from tokenfacade.hub import HubSnapshot, fetch_tokenizer_files

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

REPO = "acme/parrot"
SECRET = "hf_aSecretThatNobodyMaySee"
SIDECARS = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "config.json",
    "generation_config.json",
    "chat_template.jinja",
)
FILES = {"config.json": b"{}", "tokenizer.json": b'{"model": {}}', "tokenizer_config.json": b'{"eos_token": "!"}'}
ABSENT = [name for name in SIDECARS if name not in FILES]
OLD_CLIENTS_RETRY = pytest.mark.skipif(
    tuple(map(int, version("huggingface_hub").split(".")[:2])) < (1, 5), reason="old clients retry a 429"
)
WEIGHTS = dict.fromkeys(("model.safetensors", "pytorch_model.bin", "parrot.gguf", "consolidated.00.pth"), b"\0" * 99)


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A cache of its own, nothing of the developer's, and no questions of the client to the real Hub."""
    from huggingface_hub import constants

    for name in list(os.environ):
        if name.startswith(("HF_", "HUGGING", "TRANSFORMERS_", "XDG_")) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_TELEMETRY", True)
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "no-token"))


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    with FakeHub() as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
        yield hub


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def connections(monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[object]]:
    """Forbids every connection from its call on, and returns the list of attempts."""

    def forbid() -> list[object]:
        attempts: list[object] = []

        def refuse(*target: object, **_options: object) -> None:
            attempts.append(target)
            raise OSError("no connection in this test")

        for name in ("connect", "connect_ex"):
            monkeypatch.setattr(socket.socket, name, refuse)
        monkeypatch.setattr(socket, "getaddrinfo", refuse)
        return attempts

    return forbid


def names_in(snapshot: HubSnapshot) -> set[str]:
    return {path.relative_to(snapshot.folder).as_posix() for path in snapshot.folder.rglob("*") if path.is_file()}


def failure_of(repo_id: str = REPO, *, revision: str | None = None, token: str | None = None) -> HubError:
    with pytest.raises(HubError) as caught:
        fetch_tokenizer_files(repo_id, revision=revision, token=token)
    return caught.value


def in_new_process(code: str, **environment: str) -> str:
    command = [sys.executable, "-c", code]
    root = Path(__file__).parents[1]
    done = subprocess.run(command, cwd=root, env={**os.environ, **environment}, stdout=subprocess.PIPE, check=True)
    return done.stdout.decode().strip()


def closed_endpoint() -> str:
    """An endpoint where nobody listens."""
    with socket.socket() as briefly:
        briefly.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{briefly.getsockname()[1]}"


class TestFirstLoad:
    def test_the_files_and_the_commit_of_the_branch_come_back(self, hub: FakeHub) -> None:
        commit = hub.add(REPO, FILES)
        snapshot = fetch_tokenizer_files(REPO)
        assert (snapshot.repo_id, snapshot.commit) == (REPO, commit)
        assert {name: (snapshot.folder / name).read_bytes() for name in FILES} == FILES

    def test_weights_are_never_asked_for(self, hub: FakeHub) -> None:
        hub.add(REPO, {**FILES, **WEIGHTS})
        assert names_in(fetch_tokenizer_files(REPO)) == set(FILES)
        assert not set(hub.requested_files) & set(WEIGHTS)

    def test_only_tokenizer_files_are_asked_for(self, hub: FakeHub) -> None:
        other = ("README.md", "original/tokenizer.model", "onnx/tokenizer.json", "deep/down/extra.jinja", "vocab.bin")
        hub.add(REPO, {**FILES, **dict.fromkeys(other, b"?")})
        fetch_tokenizer_files(REPO)
        assert set(hub.requested_files) == {*SIDECARS}

    def test_every_kind_of_tokenizer_file_is_fetched(self, hub: FakeHub) -> None:
        fixed = (*SIDECARS, "vocab.json", "merges.txt", "vocab.txt", "tokenizer.model", "tiktoken.model", "tekken.json")
        free = ("parrot.tiktoken", "chat_template.json", "tool_use.jinja", "additional_chat_templates/rag.jinja")
        hub.add(REPO, {name: name.encode() for name in (*fixed, *free)})
        assert names_in(fetch_tokenizer_files(REPO)) == {*fixed, *free}

    @pytest.mark.parametrize(
        "names",
        [
            ("tokenizer.model",),
            ("tiktoken.model",),
            ("qwen.tiktoken",),
            ("tekken.json",),
            ("vocab.txt",),
            ("vocab.json", "merges.txt"),
        ],
    )
    def test_any_vocabulary_makes_a_tokenizer(self, hub: FakeHub, names: tuple[str, ...]) -> None:
        hub.add(REPO, dict.fromkeys(names, b"x"))
        assert names_in(fetch_tokenizer_files(REPO)) == set(names)

    def test_the_requests_are_one_listing_and_what_each_file_needs(self, hub: FakeHub) -> None:
        commit = hub.add(REPO, FILES)
        fetch_tokenizer_files(REPO)
        made = [(request.method, request.path) for request in hub.requests]
        at_commit = f"/{REPO}/resolve/{commit}"
        last_the_vocabulary = ("config.json", "tokenizer_config.json", "tokenizer.json")
        assert made == [
            ("GET", f"/api/models/{REPO}/revision/main"),
            *(("HEAD", f"{at_commit}/{name}") for name in ABSENT),
            *((method, f"{at_commit}/{name}") for name in last_the_vocabulary for method in ("HEAD", "GET")),
            ("HEAD", f"/{REPO}/resolve/main/config.json"),
        ]

    def test_an_id_without_an_organization_works(self, hub: FakeHub) -> None:
        commit = hub.add("gpt2", FILES)
        assert fetch_tokenizer_files("gpt2").commit == commit

    def test_a_branch_a_tag_with_a_slash_and_a_commit_can_be_asked_for(self, hub: FakeHub) -> None:
        old = hub.add(REPO, FILES)
        new = hub.repositories[REPO].push({**FILES, "config.json": b"[]"}, branch="refs/pr/1")
        assert fetch_tokenizer_files(REPO, revision=old).commit == old
        assert fetch_tokenizer_files(REPO, revision="refs/pr/1").commit == new
        assert fetch_tokenizer_files(REPO, revision="").commit == old

    def test_files_of_the_listed_commit_come_even_when_the_branch_moves_meanwhile(self, hub: FakeHub) -> None:
        class Moving(FakeRepository):
            def resolve(self, revision: str) -> str | None:
                found = super().resolve(revision)
                if revision == "main":  # moves right after each look
                    self.push({"tokenizer.json": b"newer"})
                return found

        hub.repositories[REPO] = moving = Moving()
        commit = moving.push(FILES)
        snapshot = fetch_tokenizer_files(REPO)
        assert snapshot.commit == commit
        assert {name: (snapshot.folder / name).read_bytes() for name in FILES} == FILES

    def test_nothing_unfinished_is_left_in_the_cache(self, hub: FakeHub, cache: Path) -> None:
        hub.add(REPO, FILES)
        fetch_tokenizer_files(REPO)
        left = {path.suffix for path in cache.rglob("*") if path.is_file()}
        assert not left & {".incomplete", ".tmp", ".part"}

    def test_two_threads_that_load_at_once_both_get_whole_files(self, hub: FakeHub) -> None:
        hub.add(REPO, FILES)
        read: list[bytes] = []

        def load() -> None:
            read.append((fetch_tokenizer_files(REPO).folder / "tokenizer.json").read_bytes())

        threads = [threading.Thread(target=load) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert read == [FILES["tokenizer.json"]] * 2


class TestCache:
    @pytest.mark.parametrize("by_commit", [False, True], ids=["branch", "commit"])
    def test_a_second_load_makes_no_request(self, hub: FakeHub, *, by_commit: bool) -> None:
        commit = hub.add(REPO, {**FILES, **WEIGHTS})
        revision = commit if by_commit else None
        first = fetch_tokenizer_files(REPO, revision=revision)
        hub.requests.clear()
        assert fetch_tokenizer_files(REPO, revision=revision) == first
        assert fetch_tokenizer_files(REPO, revision=commit) == first
        assert hub.requests == []

    def test_a_complete_cache_opens_no_socket(self, hub: FakeHub, connections: Callable[[], list[object]]) -> None:
        hub.add(REPO, FILES)
        first = fetch_tokenizer_files(REPO)
        attempts = connections()
        assert fetch_tokenizer_files(REPO) == first
        assert attempts == []

    def test_a_branch_that_moved_is_not_followed_while_the_cache_is_complete(self, hub: FakeHub) -> None:
        commit = hub.add(REPO, FILES)
        fetch_tokenizer_files(REPO)
        hub.repositories[REPO].push({"tokenizer.json": b"newer"})
        assert fetch_tokenizer_files(REPO).commit == commit

    def test_a_cache_that_others_filled_in_part_is_completed(self, hub: FakeHub, cache: Path) -> None:
        from huggingface_hub import hf_hub_download

        hub.add(REPO, FILES)
        hf_hub_download(REPO, "tokenizer.json", cache_dir=cache, endpoint=hub.endpoint)
        hub.requests.clear()
        assert names_in(fetch_tokenizer_files(REPO)) == set(FILES)
        assert "tokenizer.json" not in hub.requested_files
        hub.requests.clear()
        fetch_tokenizer_files(REPO)
        assert hub.requests == []

    def test_a_snapshot_that_others_know_to_lack_weights_counts(
        self, hub: FakeHub, cache: Path, connections: Callable[[], list[object]]
    ) -> None:
        from huggingface_hub import snapshot_download

        commit = hub.add(REPO, {**FILES, **WEIGHTS})
        snapshot_download(REPO, cache_dir=cache, endpoint=hub.endpoint, allow_patterns=["*.json"])
        attempts = connections()
        assert fetch_tokenizer_files(REPO, local_files_only=True).commit == commit
        assert attempts == []

    def test_a_lost_blob_is_fetched_again(self, hub: FakeHub) -> None:
        hub.add(REPO, FILES)
        vocabulary = fetch_tokenizer_files(REPO).folder / "tokenizer.json"
        vocabulary.resolve().unlink()
        assert (fetch_tokenizer_files(REPO).folder / "tokenizer.json").read_bytes() == FILES["tokenizer.json"]

    @pytest.mark.parametrize("content", ["", "nonsense", "0" * 40, "../.."])
    def test_a_damaged_branch_note_is_repaired(self, hub: FakeHub, content: str) -> None:
        commit = hub.add(REPO, FILES)
        note = fetch_tokenizer_files(REPO).folder.parents[1] / "refs" / "main"
        note.write_text(content)
        assert fetch_tokenizer_files(REPO).commit == commit
        assert note.read_text() == commit

    def test_a_false_note_of_absence_does_not_hide_the_vocabulary(self, hub: FakeHub) -> None:
        commit = hub.add(REPO, FILES)
        snapshot = fetch_tokenizer_files(REPO)
        (snapshot.folder.parents[1] / ".no_exist" / commit / "tokenizer.json").touch()
        (snapshot.folder / "tokenizer.json").unlink()
        assert names_in(fetch_tokenizer_files(REPO)) == set(FILES)

    def test_a_cut_short_load_does_not_look_complete(self, hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
        import huggingface_hub

        commit = hub.add(REPO, {**FILES, "additional_chat_templates/rag.jinja": b"{{ x }}"})
        download = huggingface_hub.hf_hub_download

        def cut_short(repo_id: str, filename: str, **options: object) -> str:
            if filename == "tokenizer.json":
                raise KeyboardInterrupt
            return str(download(repo_id, filename, **options))  # type: ignore[call-overload]

        with monkeypatch.context() as patch:
            patch.setattr(huggingface_hub, "hf_hub_download", cut_short)
            with pytest.raises(KeyboardInterrupt):
                fetch_tokenizer_files(REPO, revision=commit)
        hub.fail_with = 503
        assert failure_of(revision=commit).kind == "server"

    def test_a_cache_folder_that_is_a_file_is_an_error_that_names_it(self, hub: FakeHub, cache: Path) -> None:
        hub.add(REPO, FILES)
        cache.write_text("")
        with pytest.raises(LoadError, match="HF_HUB_CACHE") as caught:
            fetch_tokenizer_files(REPO)
        assert str(cache) in str(caught.value)
        assert not isinstance(caught.value, HubError)


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


class TestFallback:
    @pytest.fixture
    def commit(self, hub: FakeHub, cache: Path, monkeypatch: pytest.MonkeyPatch) -> str:
        """A cache with a vocabulary, but not known to be complete."""
        from huggingface_hub import hf_hub_download

        monkeypatch.setenv("HF_HUB_ETAG_TIMEOUT", "1")
        commit = hub.add(REPO, FILES)
        hf_hub_download(REPO, "tokenizer.json", cache_dir=cache, endpoint=hub.endpoint)
        return commit

    @pytest.mark.parametrize(
        ("failure", "said"),
        [
            (429, "429"),
            (408, "didn't answer"),
            (500, "500"),
            (503, "503"),
            ("timeout", "didn't answer"),
            ("nonsense", "no usable answer"),
        ],
    )
    def test_a_failing_hub_gives_the_cached_copy_and_a_warning(
        self, hub: FakeHub, commit: str, caplog: pytest.LogCaptureFixture, failure: Failure, said: str
    ) -> None:
        hub.fail_with = failure
        assert fetch_tokenizer_files(REPO).commit == commit
        [record] = [record for record in caplog.records if record.name == "tokenfacade.hub"]
        assert record.levelname == "WARNING"
        for part in (REPO, said, commit):
            assert part in record.getMessage()

    @pytest.mark.parametrize("failure", [pytest.param(429, marks=OLD_CLIENTS_RETRY), 500, 503, "timeout"])
    def test_files_that_fail_after_the_listing_are_found_out_without_a_retry(
        self, hub: FakeHub, commit: str, failure: Failure
    ) -> None:
        hub.fail_with, hub.fail_only = failure, "/resolve/"
        hub.requests.clear()
        assert fetch_tokenizer_files(REPO).commit == commit
        assert len(hub.requests) == 2

    def test_a_failed_update_leaves_the_old_commit_usable(self, hub: FakeHub, commit: str) -> None:
        hub.repositories[REPO].push({"tokenizer.json": b"newer"})
        hub.fail_with, hub.fail_only = 503, "/resolve/"
        for _ in range(2):
            assert fetch_tokenizer_files(REPO).commit == commit

    def test_an_unreachable_hub_gives_the_cached_copy(self, commit: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HF_ENDPOINT", closed_endpoint())
        assert fetch_tokenizer_files(REPO).commit == commit

    def test_a_clear_no_is_not_papered_over(self, hub: FakeHub, commit: str) -> None:
        hub.repositories[REPO].token = SECRET
        assert failure_of().kind == "unauthorized"
        del hub.repositories[REPO]
        with pytest.raises(TokenizerNotFoundError):
            fetch_tokenizer_files(REPO, token=SECRET)

    def test_another_revision_is_no_substitute(self, hub: FakeHub, commit: str) -> None:
        hub.fail_with = 503
        assert failure_of(revision="v2").kind == "server"


class TestErrors:
    @pytest.mark.parametrize(
        ("failure", "kind"),
        [
            (429, "rate_limited"),
            (408, "timeout"),
            ("timeout", "timeout"),
            (500, "server"),
            (503, "server"),
            ("nonsense", "server"),
        ],
    )
    def test_each_failure_has_its_kind_and_takes_one_request(
        self, hub: FakeHub, monkeypatch: pytest.MonkeyPatch, failure: Failure, kind: HubErrorKind
    ) -> None:
        monkeypatch.setenv("HF_HUB_ETAG_TIMEOUT", "1")
        hub.fail_with = failure
        error = failure_of()
        assert (error.kind, error.source) == (kind, REPO)
        assert REPO in str(error)
        assert len(hub.requests) == 1

    @pytest.mark.parametrize("endpoint", ["", "http://no-such-host.invalid"], ids=["nobody listens", "no such host"])
    def test_an_unreachable_endpoint_is_offline(self, monkeypatch: pytest.MonkeyPatch, endpoint: str) -> None:
        monkeypatch.setenv("HF_ENDPOINT", endpoint or closed_endpoint())
        assert failure_of().kind == "offline"

    @pytest.mark.parametrize("endpoint", ["not an address", "ftp://127.0.0.1", "http://", "http://[::1", "@"])
    def test_an_endpoint_that_is_no_address_is_an_error_that_names_the_variable(
        self, monkeypatch: pytest.MonkeyPatch, endpoint: str
    ) -> None:
        monkeypatch.setenv("HF_ENDPOINT", endpoint)
        assert "HF_ENDPOINT" in str(failure_of())

    def test_without_a_token_an_unknown_repository_may_be_private_or_not_exist(self, hub: FakeHub) -> None:
        error = failure_of()
        assert error.kind == "unauthorized"
        assert "no such repository" in str(error)
        assert "private" in str(error)

    def test_with_a_token_an_unknown_repository_is_not_found(self, hub: FakeHub) -> None:
        with pytest.raises(TokenizerNotFoundError, match="no such repository") as caught:
            fetch_tokenizer_files(REPO, token=SECRET)
        assert caught.value.source == REPO

    def test_a_wrong_token_is_unauthorized(self, hub: FakeHub) -> None:
        hub.add(REPO, FILES, token=SECRET)
        assert failure_of(token="hf_wrong").kind == "unauthorized"

    @pytest.mark.parametrize("token", [None, "hf_not_accepted"])
    def test_a_gated_repository_is_gated_with_and_without_a_token(self, hub: FakeHub, token: str | None) -> None:
        hub.add(REPO, FILES, token=SECRET, gated=True)
        error = failure_of(token=token)
        assert error.kind == "gated"
        assert "accept" in str(error)

    def test_an_unknown_revision_is_not_found_and_named(self, hub: FakeHub) -> None:
        hub.add(REPO, FILES)
        with pytest.raises(TokenizerNotFoundError, match=r"revision.*'v9'"):
            fetch_tokenizer_files(REPO, revision="v9")

    @pytest.mark.parametrize("names", [(), ("vocab.json",), ("README.md", "config.json", "onnx/tokenizer.json")])
    def test_a_repository_without_a_tokenizer_is_not_found_and_nothing_is_downloaded(
        self, hub: FakeHub, names: tuple[str, ...]
    ) -> None:
        hub.add(REPO, dict.fromkeys(names, b"{}"))
        with pytest.raises(TokenizerNotFoundError, match=r"tokenizer\.json"):
            fetch_tokenizer_files(REPO)
        assert hub.requested_files == []

    @pytest.mark.parametrize(
        "repo_id", ["", "a/b/c", "./local", "a b", "a--b", "a..b", "C:\\models\\x", "x.git", "a/ü?"]
    )
    def test_a_malformed_id_is_not_found_and_never_sent(self, hub: FakeHub, repo_id: str) -> None:
        with pytest.raises(TokenizerNotFoundError) as caught:
            fetch_tokenizer_files(repo_id)
        assert caught.value.source == repo_id
        assert hub.requests == []

    @pytest.mark.parametrize(
        "revision", ["..", "../../etc", "/etc", "a\\..\\b", "a\0b", "ü", "%2e%2e", " ", "a\nb", "x" * 5000]
    )
    def test_a_strange_revision_is_an_error_of_ours(self, hub: FakeHub, revision: str) -> None:
        hub.add(REPO, FILES)
        with pytest.raises(LoadError):
            fetch_tokenizer_files(REPO, revision=revision)
        with pytest.raises(LoadError):
            fetch_tokenizer_files(REPO, revision=revision, local_files_only=True)

    def test_every_error_says_what_it_came_from_and_pickles(self, hub: FakeHub) -> None:
        error = failure_of()
        assert error.__cause__ is not None
        again = pickle.loads(pickle.dumps(error))
        assert (str(again), again.kind, again.source) == (str(error), error.kind, error.source)


class TestSecrets:
    @pytest.mark.parametrize("failure", [None, 429, 500, "nonsense"])
    @pytest.mark.parametrize("gated", [False, True])
    def test_no_message_of_the_chain_holds_the_token(
        self, hub: FakeHub, failure: Failure | None, *, gated: bool
    ) -> None:
        hub.add(REPO, FILES, token="hf_another", gated=gated)
        hub.fail_with = failure
        cause: BaseException | None = failure_of(token=SECRET)
        while cause is not None:
            assert SECRET not in f"{cause} {cause!r}"
            cause = cause.__cause__

    @pytest.mark.parametrize("token", [f"{SECRET}\nX-Evil: 1", f"{SECRET}é", f"{SECRET}\0"])
    @pytest.mark.parametrize("by_variable", [False, True])
    def test_a_token_that_no_header_can_hold_is_refused_without_quoting_it(
        self, hub: FakeHub, monkeypatch: pytest.MonkeyPatch, token: str, *, by_variable: bool
    ) -> None:
        if by_variable:
            token = token.replace("\0", "\1")  # no variable can hold a NUL
            monkeypatch.setenv("HF_TOKEN", token)
        error = failure_of(token=None if by_variable else token)
        assert error.kind == "unauthorized"
        assert SECRET not in str(error)
        assert hub.requests == []

    def test_a_password_in_the_endpoint_is_not_told(self, hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HF_ENDPOINT", hub.endpoint.replace("//", f"//user:{SECRET}@"))
        hub.fail_with = 500
        error = failure_of()
        assert "127.0.0.1" in str(error)
        assert SECRET not in str(error)


def test_a_snapshot_cannot_be_changed() -> None:
    snapshot = HubSnapshot(REPO, "0" * 40, Path("folder"))
    with pytest.raises(AttributeError):
        snapshot.commit = "1" * 40  # type: ignore[misc]


def test_all_errors_are_of_one_family() -> None:
    assert issubclass(HubError, TokenFacadeError)
    assert issubclass(TokenizerNotFoundError, LookupError)
