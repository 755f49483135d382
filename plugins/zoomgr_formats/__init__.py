"""Files that other libraries write, as named tensors; one module for each format."""

from __future__ import annotations

from collections.abc import Iterable

from zoomgr.api import CheckpointFormat, hookimpl


@hookimpl
def zoomgr_formats() -> Iterable[CheckpointFormat]:
    """The bundled formats; each by its content; none begins as another does."""
    from zoomgr_formats.flax_msgpack import FlaxFormat  # torch's own files need nothing of these
    from zoomgr_formats.keras import KerasFormat, KerasH5Format
    from zoomgr_formats.mxnet_params import MxnetFormat
    from zoomgr_formats.npz import NpzFormat
    from zoomgr_formats.onnx_files import OnnxFormat
    from zoomgr_formats.pickled_arrays import PickledArraysFormat

    yield NpzFormat()
    yield FlaxFormat()
    yield KerasFormat()
    yield KerasH5Format()
    yield MxnetFormat()
    yield OnnxFormat()
    yield PickledArraysFormat()
