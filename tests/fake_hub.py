"""A Hugging Face Hub on this machine: a real HTTP server that answers the client of ``huggingface_hub``."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Literal
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType


Failure = Literal[408, 429, 500, 503, "timeout", "nonsense"]
"""How every request is answered: with a status, not at all, or with a page that has nothing to do with a Hub."""

_INFO = re.compile(r"/api/models/(?P<repo>[^/]+(?:/[^/]+)?)(?:/revision/(?P<revision>[^/]+))?")
_TREE = re.compile(r"/api/models/(?P<repo>[^/]+(?:/[^/]+)?)/tree/(?P<revision>[^/]+)/?")
_FILE = re.compile(r"/(?P<repo>[^/]+(?:/[^/]+)?)/resolve/(?P<revision>[^/]+)/(?P<name>.+)")
_STORED = re.compile(r"/storage/(?P<digest>[0-9a-f]{40})")


@dataclass(frozen=True, slots=True)
class RecordedRequest:
    """What a client sent."""

    method: str
    path: str
    authorization: str | None

    @property
    def file_name(self) -> str | None:
        """The file that was asked for, None for any other question."""
        found = _FILE.fullmatch(self.path)
        return found["name"] if found else None


@dataclass(slots=True)
class FakeRepository:
    """A repository with its history; `token` is the only one that may read it, None means public."""

    token: str | None = None
    gated: bool = False
    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)

    def push(self, files: Mapping[str, bytes], *, branch: str = "main") -> str:
        """Make these the files of the branch, and return their commit; earlier commits stay readable."""
        history = repr((len(self.commits), branch, sorted(files.items())))
        commit = hashlib.sha1(history.encode(), usedforsecurity=False).hexdigest()
        self.commits[commit] = dict(files)
        self.branches[branch] = commit
        return commit

    def resolve(self, revision: str) -> str | None:
        """The commit of a branch or a commit, None if there is no such revision."""
        commit = self.branches.get(revision, revision)
        return commit if commit in self.commits else None


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


class FakeHub:
    """The server; enter it to start it, leave it to stop it and end its threads.

    `fail_with` makes it fail from now on, for the paths that contain `fail_only`. `storage` is the endpoint of another
    fake Hub, which large files are redirected to as to a CDN.
    """

    def __init__(self, repositories: Mapping[str, FakeRepository] | None = None, *, storage: str | None = None) -> None:
        self.repositories: dict[str, FakeRepository] = dict(repositories or {})
        self.storage = storage
        self.fail_with: Failure | None = None
        self.fail_only = ""
        self.requests: list[RecordedRequest] = []
        self.stopping = threading.Event()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.hub = self
        # A short poll, so that stopping takes no half second.
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), name="fake-hub")

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    @property
    def requested_files(self) -> list[str]:
        """The names of the files that were asked for, in order, each as often as it was."""
        return [request.file_name for request in self.requests if request.file_name]

    def add(self, repo_id: str, files: Mapping[str, bytes], *, token: str | None = None, gated: bool = False) -> str:
        """Add a repository with one commit on its main branch, and return that commit."""
        self.repositories[repo_id] = FakeRepository(token=token, gated=gated)
        return self.repositories[repo_id].push(files)

    def __enter__(self) -> FakeHub:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stopping.set()
        self._server.shutdown()
        self._server.server_close()  # waits for the threads of requests, too
        self._thread.join()

    def answer(self, request: RecordedRequest) -> _Answer:
        """What the Hub says to a request that it doesn't fail for."""
        if found := _FILE.fullmatch(request.path):
            return self._file(found["repo"], unquote(found["revision"]), unquote(found["name"]), request)
        if found := _TREE.fullmatch(request.path):
            return self._tree(found["repo"], unquote(found["revision"]), request)
        if found := _STORED.fullmatch(request.path):
            return self._stored(found["digest"])
        if found := _INFO.fullmatch(request.path):
            return self._info(found["repo"], unquote(found["revision"] or "main"), request)
        return _Answer(404)

    def _refusal(self, repo_id: str, request: RecordedRequest, *, for_file: bool) -> _Answer | None:
        """Why this request may not read the repository; a gated one still lists its files to everybody."""
        repository = self.repositories.get(repo_id)
        sent = (request.authorization or "").removeprefix("Bearer ")
        if repository is None:
            return _error(404 if sent else 401, "RepoNotFound")
        if repository.token in (None, sent) or (repository.gated and not for_file):
            return None
        if repository.gated:
            return _error(403 if sent else 401, "GatedRepo")
        return _error(401, None if sent else "RepoNotFound", "Invalid credentials in Authorization header")

    def _info(self, repo_id: str, revision: str, request: RecordedRequest) -> _Answer:
        if refusal := self._refusal(repo_id, request, for_file=False):
            return refusal
        commit = self.repositories[repo_id].resolve(revision)
        if commit is None:
            return _error(404, "RevisionNotFound")
        siblings = [{"rfilename": name} for name in self.repositories[repo_id].commits[commit]]
        about = {"private": False, "downloads": 0, "likes": 0, "tags": []}
        return _json({"_id": "0", "id": repo_id, "modelId": repo_id, "sha": commit, "siblings": siblings, **about})

    def _tree(self, repo_id: str, revision: str, request: RecordedRequest) -> _Answer:
        if refusal := self._refusal(repo_id, request, for_file=False):
            return refusal
        commit = self.repositories[repo_id].resolve(revision)
        if commit is None:
            return _error(404, "RevisionNotFound")
        files = self.repositories[repo_id].commits[commit]
        return _json([{"type": "file", "path": n, "oid": _digest(c), "size": len(c)} for n, c in files.items()])

    def _file(self, repo_id: str, revision: str, name: str, request: RecordedRequest) -> _Answer:
        if refusal := self._refusal(repo_id, request, for_file=True):
            return refusal
        commit = self.repositories[repo_id].resolve(revision)
        if commit is None:
            return _error(404, "RevisionNotFound")
        content = self.repositories[repo_id].commits[commit].get(name)
        if content is None:
            return _error(404, "EntryNotFound", commit=commit)
        digest = _digest(content)
        headers = {"X-Repo-Commit": commit, "ETag": f'"{digest}"'}
        if self.storage is None:
            return _Answer(200, content, headers)
        linked = {"X-Linked-Etag": f'"{digest}"', "X-Linked-Size": str(len(content))}
        return _Answer(302, headers={**headers, **linked, "Location": f"{self.storage}/storage/{digest}"})

    def _stored(self, digest: str) -> _Answer:
        """A file by its digest, for everybody who has the link."""
        for repository in self.repositories.values():
            for files in repository.commits.values():
                for content in files.values():
                    if _digest(content) == digest:
                        return _Answer(200, content, {"ETag": f'"{digest}"'})
        return _Answer(404)


class _Server(ThreadingHTTPServer):
    daemon_threads = False  # so that closing waits for them
    hub: FakeHub


class _Handler(BaseHTTPRequestHandler):
    """Speaks HTTP/1.0: each connection ends with its answer, so that no thread waits for a client."""

    server: _Server

    def do_GET(self) -> None:
        self._respond(with_body=True)

    def do_HEAD(self) -> None:
        self._respond(with_body=False)

    def log_message(self, format: str, *args: object) -> None:
        """Keep quiet."""

    def _respond(self, *, with_body: bool) -> None:
        hub = self.server.hub
        request = RecordedRequest(self.command, urlsplit(self.path).path, self.headers["Authorization"])
        hub.requests.append(request)
        failure = hub.fail_with if hub.fail_only in request.path else None
        if failure == "timeout":
            hub.stopping.wait(30)
        else:
            self._send(hub.answer(request) if failure is None else _failed(failure), with_body=with_body)

    def _send(self, answer: _Answer, *, with_body: bool) -> None:
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        if with_body:
            self.wfile.write(answer.body)


def _digest(content: bytes) -> str:
    return hashlib.sha1(content, usedforsecurity=False).hexdigest()


def _json(value: object) -> _Answer:
    return _Answer(200, json.dumps(value).encode(), {"Content-Type": "application/json"})


def _error(status: int, code: str | None, message: str = "", *, commit: str | None = None) -> _Answer:
    said = {"X-Error-Code": code, "X-Error-Message": message, "X-Repo-Commit": commit}
    return _Answer(status, headers={name: value for name, value in said.items() if value})


def _failed(failure: Literal[408, 429, 500, 503, "nonsense"]) -> _Answer:
    if failure == "nonsense":
        return _Answer(200, b"<html>Log in to this network</html>", {"Content-Type": "text/html"})
    return _Answer(failure, headers={"Retry-After": "300"})
