"""Clients of stores, made by fsspec; they find logins and endpoints where their users set them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from zoomgr.stores.known_hosts import known_hosts_policy

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

_CONNECT_S, _SILENCE_S = 10.0, 60.0  # as `HttpClient` has them; paramiko would wait for ever


def new_client(url: str) -> AbstractFileSystem:
    """A client for a URL; one of SFTP checks whom it speaks to, and gives up a server that is silent.

    It is not kept: fsspec's own cache is of the process, and would keep what the environment said of logins
    long ago. It raises what fsspec and the store's package raise; see `store_faults`.
    """
    import fsspec

    kind = fsspec.get_filesystem_class(url.partition(":")[0].lower())
    options = kind._get_kwargs_from_urls(url)  # noqa: SLF001 [what fsspec's plugins implement]
    protocols = {kind.protocol} if isinstance(kind.protocol, str) else {*kind.protocol}
    if "sftp" not in protocols:
        return kind(**options, skip_instance_cache=True)
    safer = {"host_key_policy": known_hosts_policy(), "timeout": _CONNECT_S}
    store: Any = kind(**options, **safer, skip_instance_cache=True)
    store.ftp.get_channel().settimeout(_SILENCE_S)
    return store
