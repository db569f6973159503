"""Fetching from the Hub: which requests are made, and what the cache knows afterwards."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.fake_hub import FakeHub, FakeRepository
from tests.hub_fixtures import ABSENT, FILES, REPO, SIDECARS, WEIGHTS, failure_of, names_in
from tests.hub_fixtures import cache as cache
from tests.hub_fixtures import connections as connections
from tests.hub_fixtures import hub as hub
from tests.hub_fixtures import hub_environment as hub_environment
from tokenfacade.errors import HubError, LoadError
from tokenfacade.hub import HubSnapshot, fetch_tokenizer_files

if TYPE_CHECKING:
    from collections.abc import Callable


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


def test_a_snapshot_cannot_be_changed() -> None:
    snapshot = HubSnapshot(REPO, "0" * 40, Path("folder"))
    with pytest.raises(AttributeError):
        snapshot.commit = "1" * 40  # type: ignore[misc]
