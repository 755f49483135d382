"""Certificate authorities that nobody trusts, and what they sign for servers on this machine."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path

import trustme


@dataclass(frozen=True, slots=True)
class Authority:
    """A private authority.

    Attributes:
        ca_file: its certificate, as a client is told of it.
        tls: what a server of this machine needs to speak TLS with a certificate of it.
        server_pem: that certificate and its key, for a server that reads files.
    """

    ca_file: Path
    tls: ssl.SSLContext
    server_pem: Path


def new_authority(ca_file: Path, host: str = "127.0.0.1") -> Authority:
    """Found one and write its certificate; it signs that of a host."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(ca_file))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    issued = authority.issue_cert(host)
    issued.configure_cert(tls)
    server_pem = ca_file.with_name("server.pem")
    issued.private_key_and_cert_chain_pem.write_to_path(str(server_pem))
    return Authority(ca_file, tls, server_pem)
