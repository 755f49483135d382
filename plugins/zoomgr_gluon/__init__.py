"""gluoncv-torch: GluonCV's networks and weights for torch, described without importing `gluoncvth`."""

from collections.abc import Iterator

from zoomgr.api import Options, Transport, hookimpl
from zoomgr_gluon.family import GluonFamily
from zoomgr_gluon.source import GluonSource


@hookimpl
def zoomgr_sources(options: Options) -> Iterator[GluonSource]:
    """The published table; the shipped one where gluoncv-torch is not installed."""
    yield GluonSource(options)


@hookimpl
def zoomgr_architectures() -> Iterator[GluonFamily]:
    """The networks of `gluoncvth.models`."""
    yield GluonFamily()


@hookimpl
def zoomgr_transports() -> Iterator[Transport]:
    """Its weights lie in zip files, of which only the sha1 of what is inside is known."""
    from zoomgr_gluon.transport import GluonTransport  # only a download needs what this imports

    yield GluonTransport()
