"""From a name to a tokenizer on the Hugging Face Hub, and loading in a thread beside an event loop."""

from __future__ import annotations

import asyncio
import json
import pickle
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest

from tests.hub_fixtures import REPO, SECRET, failure_of
from tests.hub_fixtures import cache as cache
from tests.hub_fixtures import connections as connections
from tests.hub_fixtures import hub as hub
from tests.hub_fixtures import hub_environment as hub_environment
from tests.rank_files import content_of
from tests.test_factory import TOKENIZER_JSON, sentencepiece_model
from tests.test_factory import workplace as workplace
from tokenfacade import (
    ConfigurationError,
    HubError,
    MissingDependencyError,
    TokenFacadeError,
    UnsupportedFormatError,
    create_tokenizer,
    create_tokenizer_async,
    factory,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.fake_hub import FakeHub

QWEN = json.dumps({"tokenizer_class": "QWenTokenizer"}).encode()


class TestHub:
    @pytest.mark.parametrize("source", [REPO, f"hf:{REPO}"])
    def test_a_revision_can_be_part_of_the_name_or_an_argument(self, hub: FakeHub, source: str) -> None:
        old = hub.add(REPO, {"tokenizer.json": TOKENIZER_JSON})
        new = hub.repositories[REPO].push({"tokenizer.json": TOKENIZER_JSON, "config.json": b"{}"}, branch="next")
        assert create_tokenizer(f"{source}@next").source == f"hf:{REPO}@{new}"
        assert create_tokenizer(source, revision="next").source == f"hf:{REPO}@{new}"
        assert create_tokenizer(f"{source}@next", revision="next").source == f"hf:{REPO}@{new}"
        assert create_tokenizer(f"{source}@{old}").source == create_tokenizer(source).source == f"hf:{REPO}@{old}"

    def test_two_revisions_that_contradict_each_other_are_refused(self, hub: FakeHub) -> None:
        with pytest.raises(ConfigurationError, match="next"):
            create_tokenizer(f"hf:{REPO}@main", revision="next")
        assert hub.requests == []

    def test_the_token_is_used_and_not_kept(self, hub: FakeHub) -> None:
        hub.add(REPO, {"tokenizer.json": TOKENIZER_JSON}, token=SECRET)
        tokenizer = create_tokenizer(REPO, token=SECRET)
        assert {request.authorization for request in hub.requests} == {f"Bearer {SECRET}"}
        assert SECRET not in f"{tokenizer!r} {tokenizer.source} {vars(tokenizer)}"
        assert SECRET.encode() not in pickle.dumps(tokenizer)

    def test_an_error_does_not_hold_the_token(self, hub: FakeHub) -> None:
        hub.add(REPO, {"tokenizer.json": TOKENIZER_JSON}, token="hf_another")
        error: BaseException | None = None
        with pytest.raises(HubError) as caught:
            create_tokenizer(REPO, token=SECRET)
        error = caught.value
        while error is not None:
            assert SECRET not in f"{error} {error!r} {vars(error)}"
            error = error.__cause__
        assert failure_of(token=SECRET).kind == "unauthorized"

    def test_it_pickles_by_its_commit_and_loads_again_from_the_cache(
        self, hub: FakeHub, connections: Callable[[], list[object]]
    ) -> None:
        commit = hub.add(REPO, {"tokenizer.json": TOKENIZER_JSON})
        tokenizer = create_tokenizer(REPO)
        data = pickle.dumps(tokenizer)
        assert commit.encode() in data
        hub.repositories[REPO].push({"tokenizer.json": b"{}"})
        attempts = connections()
        again = pickle.loads(data)
        assert (again.source, again.fingerprint) == (tokenizer.source, tokenizer.fingerprint)
        assert attempts == []

    def test_a_repository_with_ranks_and_a_config_is_a_tokenizer(self, hub: FakeHub) -> None:
        commit = hub.add(REPO, {"qwen.tiktoken": content_of(), "tokenizer_config.json": QWEN})
        tokenizer = create_tokenizer(REPO)
        assert (tokenizer.backend, tokenizer.source) == ("tiktoken", f"hf:{REPO}@{commit}")
        assert pickle.loads(pickle.dumps(tokenizer)).fingerprint == tokenizer.fingerprint

    def test_a_repository_with_ranks_of_an_unknown_family_is_unsupported(self, hub: FakeHub) -> None:
        hub.add(REPO, {"mine.tiktoken": content_of()})
        with pytest.raises(UnsupportedFormatError, match="family="):
            create_tokenizer(REPO)

    def test_a_repository_with_sentencepiece_only_says_which_extra(
        self, hub: FakeHub, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        hub.add(REPO, {"tokenizer.model": sentencepiece_model()})
        monkeypatch.setitem(sys.modules, "sentencepiece", None)
        with pytest.raises(MissingDependencyError) as caught:
            create_tokenizer(REPO)
        assert caught.value.extra == "sentencepiece"

    def test_local_files_only_forbids_the_network(self, connections: Callable[[], list[object]]) -> None:
        attempts = connections()
        for source in (REPO, f"hf:{REPO}@main", "GPT-4"):
            with pytest.raises(HubError) as caught:
                create_tokenizer(source, local_files_only=True)
            assert caught.value.kind == "offline"
        assert attempts == []


class TestAsync:
    def test_it_gives_the_same(self, hub: FakeHub) -> None:
        hub.add(REPO, {"tokenizer.json": TOKENIZER_JSON}, token=SECRET)
        tokenizer = asyncio.run(create_tokenizer_async(f"{REPO}@main", token=SECRET))
        assert tokenizer.fingerprint == create_tokenizer(REPO, revision="main", local_files_only=True).fingerprint

    def test_it_raises_the_same(self, workplace: Path) -> None:
        for source in ("./gone", "", "hf:a/b/c"):
            with pytest.raises(TokenFacadeError) as expected:
                create_tokenizer(source)
            with pytest.raises(type(expected.value)) as caught:
                asyncio.run(create_tokenizer_async(source))
            assert str(caught.value) == str(expected.value)

    def test_the_event_loop_goes_on_meanwhile(self, monkeypatch: pytest.MonkeyPatch) -> None:
        may_end = threading.Event()
        create = create_tokenizer

        def waiting(*arguments: Any, **options: Any) -> object:
            assert may_end.wait(30)
            return create(*arguments, **options)

        monkeypatch.setattr(factory, "create_tokenizer", waiting)

        async def load() -> str:
            task = asyncio.create_task(create_tokenizer_async("mock:"))
            await asyncio.sleep(0)
            assert not task.done()
            may_end.set()
            return (await task).backend

        assert asyncio.run(load()) == "mock"
