"""An SFTP server on a free loopback port (paramiko's), for what lies on a group's file server."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import paramiko

LOGIN = ("me", "hunter2")


@dataclass(frozen=True, slots=True)
class Sftp:
    """A running server.

    Attributes:
        host: host and port.
        known_hosts: its line in a known_hosts file.
        logins: passwords that were tried.
        connections: transports of paramiko; one that is closed is a connection that breaks.
    """

    host: str
    known_hosts: str
    logins: list[str]
    connections: list[Any]


class _Gate(paramiko.ServerInterface):  # type: ignore[misc] # [paramiko has no types]
    def __init__(self, logins: list[str]) -> None:
        self._logins = logins

    def check_auth_password(self, username: str, password: str) -> int:
        self._logins.append(password)
        ok = (username, password) == LOGIN
        return paramiko.AUTH_SUCCESSFUL if ok else paramiko.AUTH_FAILED  # type: ignore[no-any-return] # [as above]

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return paramiko.OPEN_SUCCEEDED  # type: ignore[no-any-return] # [as above]


class _Files(paramiko.SFTPServerInterface):  # type: ignore[misc] # [as above]
    def __init__(self, server: Any, folder: Path) -> None:
        super().__init__(server)
        self._folder = folder

    def _answer(self, path: str, make: Any) -> Any:
        try:
            return make(self._folder / path.lstrip("/"))
        except OSError as error:
            return paramiko.SFTPServer.convert_errno(error.errno)

    def stat(self, path: str) -> Any:
        return self._answer(path, lambda real: paramiko.SFTPAttributes.from_stat(real.stat()))

    lstat = stat

    def open(self, path: str, flags: int, attr: Any) -> Any:
        def opened(real: Path) -> Any:
            handle = paramiko.SFTPHandle(flags)
            if flags & (os.O_WRONLY | os.O_RDWR):
                handle.writefile = real.open("wb")
            else:
                handle.readfile = real.open("rb")
            handle.stat = lambda: paramiko.SFTPAttributes.from_stat(real.stat())
            return handle

        return self._answer(path, opened)

    def list_folder(self, path: str) -> Any:
        def listed(real: Path) -> Any:
            return [paramiko.SFTPAttributes.from_stat(each.stat(), each.name) for each in real.iterdir()]

        return self._answer(path, listed)

    def mkdir(self, path: str, attr: Any) -> Any:
        return self._done(path, lambda real: real.mkdir())

    def remove(self, path: str) -> Any:
        return self._done(path, lambda real: real.unlink())

    def posix_rename(self, oldpath: str, newpath: str) -> Any:
        return self._done(oldpath, lambda real: real.replace(self._folder / newpath.lstrip("/")))

    def _done(self, path: str, act: Any) -> Any:
        def acted(real: Path) -> Any:
            act(real)
            return paramiko.SFTP_OK

        return self._answer(path, acted)


@contextmanager
def sftp_serving(folder: Path) -> Iterator[Sftp]:
    """Serve a folder as the root to whoever has `LOGIN`, until the context ends."""
    key = paramiko.ECDSAKey.generate()
    logins: list[str] = []
    served: list[Any] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

        def serve() -> None:
            while True:
                try:
                    accepted, _ = listener.accept()
                except OSError:  # the listener is closed
                    return
                transport = paramiko.Transport(accepted)
                transport.add_server_key(key)
                transport.set_subsystem_handler("sftp", paramiko.SFTPServer, _Files, folder)
                served.append(transport)
                transport.start_server(server=_Gate(logins), event=threading.Event())

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            line = f"[127.0.0.1]:{port} {key.get_name()} {key.get_base64()}\n"
            yield Sftp(f"127.0.0.1:{port}", line, logins, served)
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()
            for transport in served:
                transport.close()
