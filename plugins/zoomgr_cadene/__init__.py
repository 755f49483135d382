"""Cadene's pretrained-models, described without importing `pretrainedmodels`."""

from collections.abc import Iterator

from zoomgr.api import Adapter, Options, hookimpl
from zoomgr_cadene.family import CadeneFamily
from zoomgr_cadene.source import CadeneSource


@hookimpl
def zoomgr_sources(options: Options) -> Iterator[CadeneSource]:
    """The published table; the shipped one where `pretrainedmodels` is not installed."""
    yield CadeneSource(options)


@hookimpl
def zoomgr_architectures() -> Iterator[CadeneFamily]:
    """The networks of `pretrainedmodels`."""
    yield CadeneFamily()


@hookimpl
def zoomgr_adapters() -> Iterator[Adapter]:
    """What `pretrainedmodels` does to a file's tensors after reading them."""
    from zoomgr_cadene.keys import BACKGROUND, RENAMED  # only a load needs what this compiles

    yield RENAMED
    yield BACKGROUND
