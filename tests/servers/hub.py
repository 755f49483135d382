"""A small hub: what huggingface_hub's client asks of a hub and of the store for large files behind it.

Headers, statuses and error codes are those that huggingface_hub 2.4 reads (`file_download.py`,
`utils/_http.py`): a file's URL answers with X-Repo-Commit; a small file's content comes from the hub itself,
a large one's from another origin, to which a redirect with X-Linked-Etag and X-Linked-Size leads.
"""

from __future__ import annotations

import hashlib
import json
import os
import ssl
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from servers.caches import sha256

_SIGNATURE = "X-Amz-Signature=s1gnature"
_GIT = b"blob %d\0"  # what git puts before a content to hash it
_LARGE = (".safetensors", ".bin", ".pth")


@dataclass(frozen=True, slots=True)
class Asked:
    """A request: to which of the two servers, with which method, path and headers (names in lower case)."""

    server: str
    method: str
    path: str
    headers: Mapping[str, str]


@dataclass(slots=True)
class Repository:
    """A model repository.

    Attributes:
        commits: files by commit, the latest last.
        revisions: commit by branch or tag.
        readers: tokens that may read it; None for everybody.
        is_gated: whether the others are told that it exists.
    """

    commits: dict[str, Mapping[str, bytes]] = field(default_factory=dict)
    revisions: dict[str, str] = field(default_factory=dict)
    readers: frozenset[str] | None = None
    is_gated: bool = False


@dataclass(slots=True)
class Hub:
    """A running hub.

    Attributes:
        url: its base, without a slash at the end.
        store_url: that of the store for large files, another origin.
        repositories: by OWNER/NAME.
        moved: new name by old one.
        large: contents of the store by sha256; a test may put other bytes in their place.
        instead: what the hub says to everything, status and headers; None when it does its work.
        asked: the requests so far.
    """

    url: str = ""
    store_url: str = ""
    repositories: dict[str, Repository] = field(default_factory=dict)
    moved: dict[str, str] = field(default_factory=dict)
    large: dict[str, bytes] = field(default_factory=dict)
    instead: tuple[int, Mapping[str, str]] | None = None
    asked: list[Asked] = field(default_factory=list)

    def publish(self, repo: str, files: Mapping[str, bytes], branch: str = "main") -> str:
        """Commit files to a branch, in place of all that it had; the new commit.

        What ends like weights goes into the store for large files.
        """
        repository = self.repositories.setdefault(repo, Repository())
        said = [branch, *repository.commits, *files, *(sha256(content) for content in files.values())]
        commit = _sha1("\n".join(said).encode())
        repository.commits[commit] = files
        repository.revisions[branch] = commit
        self.large |= {sha256(content): content for path, content in files.items() if path.endswith(_LARGE)}
        return commit

    def asked_of(self, server: str) -> list[Asked]:
        """The requests to "hub" or to "store"."""
        return [asked for asked in self.asked if asked.server == server]


def forget_own_hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No token, endpoint or authority of the developer's reaches a test; most were read at import."""
    from huggingface_hub import constants

    for name in [name for name in os.environ if name.startswith(("HF_", "HUGGING"))]:
        monkeypatch.delenv(name)
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))  # for processes that a test starts
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "hf" / "token"))
    monkeypatch.setattr(constants, "HF_STORED_TOKENS_PATH", str(tmp_path / "hf" / "stored_tokens"))
    monkeypatch.setattr(
        constants, "AGENT_HARNESSES_PATH", str(tmp_path / "hf" / "harnesses.json"), raising=False
    )
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_TELEMETRY", False)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_IMPLICIT_TOKEN", False)


@contextmanager
def hub_serving(tls: ssl.SSLContext | None = None) -> Iterator[Hub]:
    """Serve until the context ends.

    Args:
        tls: speak https with the certificate that this has.
    """
    hub = Hub()
    with ExitStack() as running:
        hub.store_url = running.enter_context(_running(_Store, hub, tls))
        hub.url = running.enter_context(_running(_Front, hub, tls))
        yield hub


class _Server(ThreadingHTTPServer):
    hub: Hub

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that does not trust the certificate, or has seen enough, hangs up; all else is news."""
        if not isinstance(sys.exception(), ssl.SSLError | ConnectionError):
            super().handle_error(request, client_address)


@contextmanager
def _running(handler: type[_Handler], hub: Hub, tls: ssl.SSLContext | None) -> Iterator[str]:
    server = _Server(("127.0.0.1", 0), handler)
    server.hub = hub
    if tls:
        server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"{'https' if tls else 'http'}://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    """What both servers do."""

    protocol_version = "HTTP/1.1"
    timeout = 30
    server: _Server
    name = ""

    @property
    def hub(self) -> Hub:
        """Whose handler it is."""
        return self.server.hub

    def note(self) -> Mapping[str, str]:
        """Remember the request; its headers, names in lower case."""
        headers = {name.lower(): text for name, text in self.headers.items()}
        self.hub.asked.append(Asked(self.name, self.command, self.path, headers))
        return headers

    def answer(self, status: int, headers: Mapping[str, str], body: bytes = b"") -> None:
        self.send_response(status)
        for name, text in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, text)
        self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 [named by the base class]
        pass


class _Store(_Handler):
    name = "store"

    def do_GET(self) -> None:
        asked = self.note()
        path, _, query = self.path.partition("?")
        content = self.hub.large[path.rpartition("/")[2]]
        if "authorization" in asked:  # beside a signature, as S3 answers
            self.answer(400, {}, b"Only one auth mechanism allowed")
        elif query != _SIGNATURE:
            self.answer(403, {}, b"no signature")
        else:
            self.answer(*_part(content, f'"{_sha1(content)}"', asked))


def _part(content: bytes, etag: str, asked: Mapping[str, str]) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body for a content, or for the range of it that was asked for."""
    headers = {"ETag": etag, "Accept-Ranges": "bytes", "Content-Type": "application/octet-stream"}
    unit, _, span = asked.get("range", "").partition("=")
    if unit != "bytes" or asked.get("if-range", etag) != etag:
        return 200, headers, content
    first, _, last = span.partition("-")
    start, stop = int(first), min(int(last) + 1, len(content)) if last else len(content)
    if start >= len(content):
        return 416, {"Content-Range": f"bytes */{len(content)}"}, b""
    headers["Content-Range"] = f"bytes {start}-{stop - 1}/{len(content)}"
    return 206, headers, content[start:stop]


class _Front(_Handler):
    name = "hub"

    def do_GET(self) -> None:
        asked = self.note()
        if self.hub.instead:
            self.answer(*self.hub.instead)
            return
        match [unquote(part) for part in urlsplit(self.path).path.strip("/").split("/")]:
            case [owner, name, "resolve", revision, *path]:
                self._file(f"{owner}/{name}", revision, "/".join(path), asked)
            case ["api", "models", owner, name, "revision", revision]:
                self._listing(f"{owner}/{name}", revision)
            case _:
                self.answer(404, {}, b"no such page")

    do_HEAD = do_GET  # noqa: N815 [named by the base class]

    def _file(self, repo: str, revision: str, path: str, asked: Mapping[str, str]) -> None:
        if repo in self.hub.moved:
            there = self.path.replace(repo, self.hub.moved[repo], 1)
            self.answer(307, {"Location": there})
        elif commit := self._commit(repo, revision):
            content = self.hub.repositories[repo].commits[commit].get(path)
            if content is None:
                self._refuse(404, "EntryNotFound", "Entry not found", {"X-Repo-Commit": commit})
            elif (digest := sha256(content)) in self.hub.large:
                self._redirect(commit, digest, len(content))
            else:
                etag = f'"{_sha1(_GIT % len(content) + content)}"'
                status, headers, body = _part(content, etag, asked)
                self.answer(status, {**headers, "X-Repo-Commit": commit}, body)

    def _redirect(self, commit: str, digest: str, size: int) -> None:
        there = f"{self.hub.store_url}/large/{digest}?{_SIGNATURE}"
        linked = {"X-Linked-Etag": f'"{digest}"', "X-Linked-Size": str(size)}
        self.answer(302, {"Location": there, "X-Repo-Commit": commit, **linked}, b"Found")

    def _listing(self, repo: str, revision: str) -> None:
        if commit := self._commit(repo, revision):
            files = [{"rfilename": path} for path in self.hub.repositories[repo].commits[commit]]
            said = {"id": repo, "sha": commit, "siblings": files}
            self.answer(200, {"Content-Type": "application/json"}, json.dumps(said).encode())

    def _commit(self, repo: str, revision: str) -> str:
        """The commit of a revision; empty when the request has been refused."""
        repository = self.hub.repositories.get(repo)
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        readers = repository.readers if repository else frozenset()
        if repository and readers is not None and token not in readers and repository.is_gated:
            self._refuse(403 if token else 401, "GatedRepo", f"Access to model {repo} is restricted.")
        elif repository is None or (readers is not None and token not in readers):
            status = 404 if token else 401  # nobody is told whether there is a private one
            self._refuse(status, "RepoNotFound", "Repository not found")
        else:
            commit = repository.revisions.get(revision, revision)
            if commit in repository.commits:
                return commit
            self._refuse(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        return ""

    def _refuse(self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> None:
        said = {"X-Error-Code": code, "X-Error-Message": message, **(headers or {})}
        self.answer(status, said, message.encode())


def _sha1(content: bytes) -> str:
    return hashlib.sha1(content, usedforsecurity=False).hexdigest()
