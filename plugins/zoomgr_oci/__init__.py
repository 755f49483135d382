"""Weights in OCI registries, where `zoomgr mirror sync oci://…` has put them."""

from __future__ import annotations

from collections.abc import Iterable

from zoomgr.api import Options, Transport, hookimpl


@hookimpl
def zoomgr_transports(options: Options) -> Iterable[Transport]:
    """Open the files of mirrors in registries."""
    from zoomgr_oci.transport import RegistryTransport  # only a download needs what this imports

    yield RegistryTransport(options.token)
