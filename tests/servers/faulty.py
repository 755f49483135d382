"""A server for the faults that nginx cannot be told to make, and for TLS."""

from __future__ import annotations

import ssl
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True, slots=True)
class Answer:
    """What the server says to a GET.

    Attributes:
        body: the bytes that it sends.
        status: of the answer.
        headers: further ones.
        announced_bytes: Content-Length; None means the true one, -1 means no such header.
        stalls: whether it sends nothing more after the body, but keeps the connection open.
    """

    body: bytes = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    announced_bytes: int | None = None
    stalls: bool = False


Reply = Answer | Callable[[dict[str, str]], Answer]


@dataclass(frozen=True, slots=True)
class Faulty:
    """A running server.

    Attributes:
        url: its base, without a slash at the end.
        asked: path and headers (names in lower case) of the requests so far.
        answers: by path, with the query; may be changed while it runs.
    """

    url: str
    asked: list[tuple[str, dict[str, str]]]
    answers: dict[str, Reply]


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that does not trust the certificate hangs up, which is no news; all else is."""
        if not isinstance(sys.exception(), ssl.SSLError):
            super().handle_error(request, client_address)


@contextmanager
def answering(
    answers: Mapping[str, Reply], tls: ssl.SSLContext | None = None, *, keeps_alive: bool = False
) -> Iterator[Faulty]:
    """Answer by path until the context ends; other paths get a 404.

    Args:
        answers: by path, with the query; a function makes the answer of the request's headers.
        tls: speak https with the certificate that this has.
        keeps_alive: speak HTTP/1.1 and leave connections open; then an answer must not be cut.
    """
    asked: list[tuple[str, dict[str, str]]] = []
    said: dict[str, Reply] = dict(answers)
    over = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1" if keeps_alive else "HTTP/1.0"

        def do_GET(self) -> None:
            headers = {name.lower(): text for name, text in self.headers.items()}
            asked.append((self.path, headers))
            reply = said.get(self.path, Answer(b"nothing here", 404))
            _send(self, reply if isinstance(reply, Answer) else reply(headers), over)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 [named by the base class]
            pass

    server = _Server(("127.0.0.1", 0), Handler)
    if tls:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield Faulty(f"{'https' if tls else 'http'}://127.0.0.1:{server.server_port}", asked, said)
    finally:
        over.set()
        server.shutdown()
        server.server_close()
        thread.join()


def _send(handler: BaseHTTPRequestHandler, answer: Answer, over: threading.Event) -> None:
    handler.send_response(answer.status)
    for name, text in answer.headers.items():
        handler.send_header(name, text)
    length = len(answer.body) if answer.announced_bytes is None else answer.announced_bytes
    if length >= 0:
        handler.send_header("Content-Length", str(length))
    handler.end_headers()
    handler.wfile.write(answer.body)
    if answer.stalls:
        over.wait()
