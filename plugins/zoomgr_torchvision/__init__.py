"""torchvision's models and weights, described without importing torchvision."""

from collections.abc import Iterator

from zoomgr.api import Adapter, Options, hookimpl
from zoomgr_torchvision.family import TorchvisionFamily
from zoomgr_torchvision.source import TorchvisionSource


@hookimpl
def zoomgr_sources(options: Options) -> Iterator[TorchvisionSource]:
    """The catalogue of the installed version; the shipped one where torchvision is not installed."""
    yield TorchvisionSource(options)


@hookimpl
def zoomgr_architectures() -> Iterator[TorchvisionFamily]:
    """All that `torchvision.models.get_model` builds."""
    yield TorchvisionFamily()


@hookimpl
def zoomgr_adapters() -> Iterator[Adapter]:
    """The old key names that some of torchvision's own files still have."""
    from zoomgr_torchvision.legacy import LegacyNames  # only a load needs what this compiles

    yield LegacyNames()
