"""A real nginx on a free loopback port, for what a test downloads."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

_READY = "GET /-/ready "
_CONFIG = """
daemon off;
{user}
pid {scratch}/nginx.pid;
error_log {scratch}/error.log info;
events {{ worker_connections 64; }}
http {{
    access_log {scratch}/access.log;
    client_body_temp_path {scratch}/body;
    proxy_temp_path {scratch}/proxy;
    fastcgi_temp_path {scratch}/fastcgi;
    uwsgi_temp_path {scratch}/uwsgi;
    scgi_temp_path {scratch}/scgi;
    types {{ text/html html; }}
    default_type application/octet-stream;
    server {{
        listen 127.0.0.1:{port}{tls};
        root {folder};
        index index.html;
        location = /-/ready {{ access_log off; return 204; }}
        {extra}
    }}
}}
"""


@dataclass(frozen=True, slots=True)
class Nginx:
    """A running server.

    Attributes:
        url: its base, without a slash at the end.
        folder: what it serves.
        scratch: its configuration, its logs and its temporary files.
    """

    url: str
    folder: Path
    scratch: Path

    def requests(self) -> list[str]:
        """Its access log, a line a request; nginx writes the line when the request is over."""
        lines = (self.scratch / "access.log").read_text().splitlines()
        return [line for line in lines if _READY not in line]


@contextmanager
def serving(folder: Path, scratch: Path, extra: str = "", server_pem: Path | None = None) -> Iterator[Nginx]:
    """Serve `folder` until the context ends.

    Args:
        folder: made if it does not exist.
        scratch: an own folder for everything that nginx writes.
        extra: further directives of the server block.
        server_pem: speak TLS with this certificate and key.
    """
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
    if program is None:
        give_up = pytest.fail if os.environ.get("CI") else pytest.skip
        give_up("nginx is not installed (apt install nginx-light)")
    folder.mkdir(parents=True, exist_ok=True)
    scratch.mkdir(parents=True, exist_ok=True)
    # nginx takes over a socket that already listens, as it does when it replaces its own binary: no port can
    # be lost to another process, and a request that comes before nginx is ready waits in the backlog.
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        user = "user root;" if os.geteuid() == 0 else ""  # else its worker could not enter a private folder
        config = scratch / "nginx.conf"
        tls = f" ssl; ssl_certificate {server_pem}; ssl_certificate_key {server_pem}" if server_pem else ""
        config.write_text(
            _CONFIG.format(scratch=scratch, folder=folder, port=port, extra=extra, user=user, tls=tls)
        )
        log = scratch / "error.log"
        process = subprocess.Popen(
            [program, "-e", log, "-p", scratch, "-c", config],
            env={**os.environ, "NGINX": f"{listener.fileno()};"},
            pass_fds=[listener.fileno()],
            stderr=subprocess.DEVNULL,
        )
    try:
        # Also because a SIGTERM that comes while nginx starts is noted and then slept over.
        _wait_until_ready(port, log, b" 400 " if server_pem else b" 204 ")
        yield Nginx(f"http{'s' if server_pem else ''}://127.0.0.1:{port}", folder, scratch)
    finally:
        status = process.poll()
        process.terminate()
        process.wait(timeout=30)
        assert status is None, f"nginx ended by itself: {log.read_text()}"


def _wait_until_ready(port: int, log: Path, expected: bytes) -> None:
    """Ask without TLS: nginx says 400 to that where it speaks it."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=30) as probe:
            probe.sendall(f"{_READY}HTTP/1.0\r\n\r\n".encode())
            answer = probe.recv(100)
    except OSError as error:
        pytest.fail(f"nginx does not answer ({error}): {log.read_text()}")
    assert expected in answer
