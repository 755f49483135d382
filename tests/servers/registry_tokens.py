"""A server that gives the tokens of a registry (docker's token authentication), signed by an authority."""

from __future__ import annotations

import base64
import json
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from cryptography.x509 import load_pem_x509_certificates
from servers.authorities import Authority

SERVICE, ISSUER = "zoo", "zoomgr"
_LIFETIME_S = 300
_NUMBER_BYTES = 32  # ES256: two numbers of so many bytes


@dataclass(frozen=True, slots=True)
class TokenServer:
    """A running server.

    Attributes:
        realm: where a token is to be had.
        asked: what was asked for, `repository:zoo:pull`, and by whom, in this order.
    """

    realm: str
    asked: list[tuple[str, str]] = field(default_factory=list)


@contextmanager
def giving_tokens(authority: Authority, login: tuple[str, str]) -> Iterator[TokenServer]:
    """Give whoever knows the login what is asked for, and nobody else anything."""
    wanted = f"Basic {base64.b64encode(':'.join(login).encode()).decode()}"
    asked: list[tuple[str, str]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            scopes = parse_qs(urlsplit(self.path).query).get("scope", [])
            known = self.headers.get("Authorization") == wanted
            asked.extend((scope, login[0] if known else "") for scope in scopes)
            token = _token(authority, scopes if known else [])
            body = json.dumps({"token": token, "expires_in": _LIFETIME_S}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 [named by the base class]
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield TokenServer(f"http://127.0.0.1:{server.server_port}/token", asked)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _token(authority: Authority, scopes: list[str]) -> str:
    """A JSON web token (RFC 7519) with the certificate that signs it (RFC 7515, `x5c`)."""
    pem = authority.server_pem.read_bytes()
    key = load_pem_private_key(pem, None)
    assert isinstance(key, EllipticCurvePrivateKey)
    chain = [
        base64.b64encode(one.public_bytes(Encoding.DER)).decode() for one in load_pem_x509_certificates(pem)
    ]
    granted = [scope.split(":") for scope in scopes]
    now = int(time.time())
    claims = {
        "iss": ISSUER,
        "aud": SERVICE,
        "sub": "",
        "iat": now,
        "nbf": now - 10,
        "exp": now + _LIFETIME_S,
        "jti": secrets.token_hex(8),
        "access": [{"type": kind, "name": name, "actions": what.split(",")} for kind, name, what in granted],
    }
    signed = f"{_encoded({'typ': 'JWT', 'alg': 'ES256', 'x5c': chain})}.{_encoded(claims)}"
    r, s = decode_dss_signature(key.sign(signed.encode(), ECDSA(hashes.SHA256())))
    return f"{signed}.{_base64(r.to_bytes(_NUMBER_BYTES) + s.to_bytes(_NUMBER_BYTES))}"


def _encoded(value: dict[str, Any]) -> str:
    return _base64(json.dumps(value).encode())


def _base64(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()
