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
    """

    ca_file: Path
    tls: ssl.SSLContext


def new_authority(ca_file: Path) -> Authority:
    """Found one and write its certificate."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(ca_file))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(tls)
    return Authority(ca_file, tls)
