"""What the tests of the Hub share: a cache of their own, a Hub on this machine, and a network that can be forbidden.

Import the fixtures by name; `hub_environment` then holds for every test of the module.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.fake_hub import FakeHub
from tokenfacade.errors import HubError
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
WEIGHTS = dict.fromkeys(("model.safetensors", "pytorch_model.bin", "parrot.gguf", "consolidated.00.pth"), b"\0" * 99)


@pytest.fixture(autouse=True)
def hub_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
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
