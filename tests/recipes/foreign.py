"""A small network's arrays in the files of other libraries, each in the library's own layout."""

from __future__ import annotations

import pickle
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np

Arrays = Mapping[str, Any]
"""LAYER/kernel (height, width, input, output; of a Linear input, output) and LAYER/bias."""


def write_all(arrays: Arrays, folder: Path) -> None:
    """flax.npz, keras.h5, gluon.params, caffe2.pkl."""
    np.savez(folder / "flax.npz", **arrays)
    _keras(arrays, folder / "keras.h5")
    _mxnet(
        {
            name.replace("/kernel", ".weight").replace("/", "."): _outputs_first(a)
            for name, a in arrays.items()
        },
        folder / "gluon.params",
    )
    short = {"kernel": "w", "bias": "b"}
    blobs = {
        f"{name.partition('/')[0]}_{short[name.partition('/')[2]]}": _outputs_first(a)
        for name, a in arrays.items()
    }
    (folder / "caffe2.pkl").write_bytes(pickle.dumps({"blobs": blobs}, protocol=2))


def _outputs_first(array: Any) -> Any:
    """As Caffe, MXNet and torch have them."""
    order = {4: (3, 2, 0, 1), 2: (1, 0), 1: (0,)}[array.ndim]
    return np.ascontiguousarray(array.transpose(order))


def _keras(arrays: Arrays, path: Path) -> None:
    """As Keras 2 wrote `save_weights`."""
    with h5py.File(path, "w") as file:
        layers = list(dict.fromkeys(name.partition("/")[0] for name in arrays))
        file.attrs["layer_names"] = np.array([layer.encode() for layer in layers])
        for layer in layers:
            names = [f"{layer}/{part}:0" for part in ("kernel", "bias")]
            group = file.create_group(layer)
            group.attrs["weight_names"] = np.array([name.encode() for name in names])
            for name in names:
                group[name] = arrays[name.removesuffix(":0")]


def _mxnet(arrays: Arrays, path: Path) -> None:
    """A list of arrays in the format's third version: magic number, dense, shape, on the CPU, float32."""
    content = struct.pack("<QQQ", 0x112, 0, len(arrays))
    for array in arrays.values():
        content += struct.pack(f"<Iii{array.ndim}q3i", 0xF993FAC9, 0, array.ndim, *array.shape, 1, 0, 0)
        content += array.tobytes()
    content += struct.pack("<Q", len(arrays))
    for name in arrays:
        content += struct.pack("<Q", len(name)) + name.encode()
    path.write_bytes(content)
