"""Making huggingface_hub trust the servers that downloads trust."""

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from httpx2 import Client

_CA_VARIABLES = (
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "SSL_CERT_FILE",
)  # in the order that downloads follow


def trust_as_downloads_do(environ: Mapping[str, str]) -> None:
    """Let huggingface_hub trust the system's store beside the authorities that the environment names.

    Its own client reads SSL_CERT_FILE alone, and then nothing beside it. A client can only be changed for
    the whole process, and an application may have set its own: so this is for a server that has just been
    refused for its certificate, and for no other.

    Args:
        environ: of it REQUESTS_CA_BUNDLE, CURL_CA_BUNDLE and SSL_CERT_FILE, the first that is set.

    Raises:
        OSError: the file cannot be read.
    """
    from huggingface_hub import get_session, set_client_factory

    context = _context(environ)
    like = get_session()

    def make() -> Client:
        return type(like)(
            verify=context,
            event_hooks=like.event_hooks,
            follow_redirects=like.follow_redirects,
            timeout=like.timeout,
        )

    set_client_factory(make)


def _context(environ: Mapping[str, str]) -> ssl.SSLContext:
    import truststore

    context = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    named = next(filter(None, (environ.get(name) for name in _CA_VARIABLES)), "")
    if os.path.isdir(named):  # noqa: PTH112 [stays a text, and empty where it is]
        context.load_verify_locations(capath=named)
    elif named:
        context.load_verify_locations(cafile=named)
    return context
