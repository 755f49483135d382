"""A real tinyproxy on a free loopback port, for downloads through a company's proxy."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

_CONFIG = """
Listen 127.0.0.1
Port {port}
Timeout 600
LogLevel Info
MaxClients 20
Allow 127.0.0.1
{login}
"""
_READY = "Accepting connections"
_ATTEMPTS = 5
_PATIENCE_S = 10


@dataclass(frozen=True, slots=True)
class Tinyproxy:
    """A running proxy.

    Attributes:
        host: its host and port, for a URL.
        log: what it said so far, a line each.
    """

    host: str
    log: list[str]

    def asked(self, at_least: int = 0) -> list[str]:
        """First lines of the requests so far; tinyproxy says them before it asks anybody.

        They are read beside the test: one that waits for some says how many, and has them in 10 s or never.
        """
        deadline = time.monotonic() + _PATIENCE_S
        while len(self._asked()) < at_least and time.monotonic() < deadline:
            time.sleep(0.01)
        return self._asked()

    def _asked(self) -> list[str]:
        return [line.partition("): ")[2] for line in self.log if "Request (file descriptor" in line]


@contextmanager
def proxying(scratch: Path, login: tuple[str, str] | None = None) -> Iterator[Tinyproxy]:
    """Be a proxy for http and, by CONNECT, for any port until the context ends.

    Args:
        scratch: an own folder for its configuration.
        login: user and password that it asks for.
    """
    program = shutil.which("tinyproxy") or shutil.which("tinyproxy", path="/usr/sbin:/usr/bin")
    if program is None:
        give_up = pytest.fail if os.environ.get("CI") else pytest.skip
        give_up("tinyproxy is not installed (apt install tinyproxy-bin)")
    scratch.mkdir(parents=True, exist_ok=True)
    process, proxy = _started(program, scratch, f"BasicAuth {login[0]} {login[1]}" if login else "")
    assert process.stdout is not None
    rest = threading.Thread(target=proxy.log.extend, args=[process.stdout])
    rest.start()
    try:
        yield proxy
    finally:
        process.terminate()
        process.wait(timeout=30)
        rest.join()
        process.stdout.close()


def _started(program: str, scratch: Path, login: str) -> tuple[subprocess.Popen[str], Tinyproxy]:
    """One that says that it is ready; another process may have taken its port meanwhile, then again."""
    log: list[str] = []
    for _ in range(_ATTEMPTS):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        config = scratch / "tinyproxy.conf"
        config.write_text(_CONFIG.format(port=port, login=login))
        command = [program, "-d", "-c", str(config)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        assert process.stdout is not None
        for line in process.stdout:
            log.append(line)
            if _READY in line:
                return process, Tinyproxy(f"127.0.0.1:{port}", log)
        process.stdout.close()
        process.wait(timeout=30)
    pytest.fail(f"tinyproxy does not start: {''.join(log)}")
