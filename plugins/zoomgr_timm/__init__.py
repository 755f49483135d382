"""timm's architectures and weights, described without importing timm."""

from collections.abc import Iterator

from zoomgr.api import Options, hookimpl
from zoomgr_timm.family import TimmFamily
from zoomgr_timm.source import TimmSource


@hookimpl
def zoomgr_sources(options: Options) -> Iterator[TimmSource]:
    """The catalogue of the installed version; the shipped one where timm is not installed."""
    yield TimmSource(options)


@hookimpl
def zoomgr_architectures() -> Iterator[TimmFamily]:
    """All that `timm.create_model` builds."""
    yield TimmFamily()
