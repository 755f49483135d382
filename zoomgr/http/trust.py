"""Whom to trust: what a server presents must be signed by one of these authorities.

The file that the caller names, else the one that REQUESTS_CA_BUNDLE, CURL_CA_BUNDLE or SSL_CERT_FILE names
(the first that is set), else those that come with requests; and always the system's own trust store, as pip
does since 24.2.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoomgr.errors import InvalidSettingError

if TYPE_CHECKING:
    from requests.adapters import HTTPAdapter

CA_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")
"""What may name a file of authorities; the first that is set does."""
_CONNECTIONS = 64  # kept open to one host; urllib3 warns on stderr when it has to close one


def authorities(environ: Mapping[str, str], ca_file: str) -> str | bool:
    """What requests takes as `verify`: a file or a folder, or True for its own authorities.

    Args:
        environ: of it the three variables.
        ca_file: the caller's word; empty when it has none.

    Raises:
        InvalidSettingError: what is named is not there; to ask without it would be to trust others.
    """
    named = [("the file of certificate authorities", ca_file)]
    named += [(name, environ.get(name, "")) for name in CA_VARIABLES]
    for name, path in named:
        if path and not Path(path).exists():
            raise InvalidSettingError(name, path, "there is no such file", "give the path of a PEM file")
        if path:
            return path
    return True


def system_trusting_adapter() -> HTTPAdapter:
    """An adapter of requests that trusts the system's store beside the authorities that a request names.

    Those stay in it: requests that name others need another adapter.
    """
    import ssl

    import truststore
    from requests.adapters import HTTPAdapter

    context = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)

    class SystemTrust(HTTPAdapter):
        def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
            super().init_poolmanager(*args, **kwargs, ssl_context=context)

        def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
            return super().proxy_manager_for(proxy, **kwargs, ssl_context=context)

    return SystemTrust(pool_maxsize=_CONNECTIONS)
