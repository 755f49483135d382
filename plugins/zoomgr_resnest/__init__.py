"""ResNeSt's networks and weights, described without importing `resnest`."""

from collections.abc import Iterator

from zoomgr.api import Options, hookimpl
from zoomgr_resnest.family import ResnestFamily
from zoomgr_resnest.source import ResnestSource


@hookimpl
def zoomgr_sources(options: Options) -> Iterator[ResnestSource]:
    """The published table; the shipped one where `resnest` is not installed."""
    yield ResnestSource(options)


@hookimpl
def zoomgr_architectures() -> Iterator[ResnestFamily]:
    """The networks of `resnest.torch`."""
    yield ResnestFamily()
