"""Fetching from the Hub: how each failure is told, and when the copy in the cache is used instead."""

from __future__ import annotations

import pickle
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.hub_fixtures import FILES, REPO, SECRET, closed_endpoint, failure_of
from tests.hub_fixtures import cache as cache
from tests.hub_fixtures import hub as hub
from tests.hub_fixtures import hub_environment as hub_environment
from tokenfacade.errors import HubError, HubErrorKind, LoadError, TokenFacadeError, TokenizerNotFoundError
from tokenfacade.hub import fetch_tokenizer_files

if TYPE_CHECKING:
    from tests.fake_hub import Failure, FakeHub

OLD_CLIENTS_RETRY = pytest.mark.skipif(
    tuple(map(int, version("huggingface_hub").split(".")[:2])) < (1, 5), reason="old clients retry a 429"
)


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


def test_all_errors_are_of_one_family() -> None:
    assert issubclass(HubError, TokenFacadeError)
    assert issubclass(TokenizerNotFoundError, LookupError)
