"""Debian's docker-registry on a free loopback port, for what lies in OCI registries."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import bcrypt
import pytest
import requests
from servers.authorities import Authority
from servers.registry_tokens import ISSUER, SERVICE, TokenServer

LOGIN = ("me", "hunter2")
_CONFIG = """
version: 0.1
log: {{level: error, accesslog: {{disabled: true}}}}
storage: {{filesystem: {{rootdirectory: {folder}}}, delete: {{enabled: true}}}}
http: {{addr: "{host}"{tls}}}
"""
_TLS = ", tls: {{certificate: {pem}, key: {pem}}}"
_TOKENS = "auth: {{token: {{realm: {realm}, service: {service}, issuer: {issuer}, rootcertbundle: {ca}}}}}\n"


@dataclass(frozen=True, slots=True)
class OciRegistry:
    """A running registry.

    Attributes:
        host: host and port.
    """

    host: str

    def manifest(self, repository: str, tag: str) -> requests.Response:
        """What it has as an artifact."""
        accept = {"Accept": "application/vnd.oci.image.manifest.v1+json"}
        url = f"http://{self.host}/v2/{repository}/manifests/{tag}"
        return requests.get(url, headers=accept, timeout=30)


@contextmanager
def registry_serving(
    folder: Path,
    *,
    is_private: bool = False,
    authority: Authority | None = None,
    tokens: TokenServer | None = None,
) -> Iterator[OciRegistry]:
    """Be a registry that keeps its files in a folder.

    Args:
        folder: to be made.
        is_private: whether it wants `LOGIN`.
        authority: gives it a certificate; then it speaks TLS.
        tokens: who gives the tokens that it wants, signed by the authority.
    """
    program = shutil.which("docker-registry")
    if program is None:
        give_up = pytest.fail if os.environ.get("CI") else pytest.skip
        give_up("docker-registry is not installed (apt install docker-registry)")
    folder.mkdir(parents=True)
    with socket.create_server(("127.0.0.1", 0)) as probe:
        host = f"127.0.0.1:{probe.getsockname()[1]}"
    tls = _TLS.format(pem=authority.server_pem) if authority else ""
    text = _CONFIG.format(folder=folder / "data", host=host, tls=tls)
    if is_private:
        secret = bcrypt.hashpw(LOGIN[1].encode(), bcrypt.gensalt(4)).decode()
        (folder / "users").write_text(f"{LOGIN[0]}:{secret}\n")
        text += f"auth: {{htpasswd: {{realm: zoo, path: {folder / 'users'}}}}}\n"
    if tokens and authority:
        text += _TOKENS.format(realm=tokens.realm, service=SERVICE, issuer=ISSUER, ca=authority.ca_file)
    (folder / "config.yml").write_text(text)
    log = folder / "log"
    with log.open("wb") as said:
        process = subprocess.Popen(
            [program, "serve", folder / "config.yml"],
            stdout=said,
            stderr=said,
            env={**os.environ, "OTEL_TRACES_EXPORTER": "none"},
        )
    try:
        _wait_until_ready(host, process, log)
        yield OciRegistry(host)
    finally:
        process.kill()
        process.wait(timeout=30)


def _wait_until_ready(host: str, process: subprocess.Popen[bytes], log: Path) -> None:
    name, _, port = host.partition(":")
    while process.poll() is None:
        try:
            socket.create_connection((name, int(port)), timeout=30).close()
        except ConnectionRefusedError:
            time.sleep(0.02)
        else:
            return
    pytest.fail(f"docker-registry ended: {log.read_text()}")
