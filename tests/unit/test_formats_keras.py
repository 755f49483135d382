"""HDF5 as Keras lays it out, and what may not be in it; tests/integration has the files that Keras writes."""

from __future__ import annotations

import io
import json
import zipfile
import zlib
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zoomgr.api import UnreadableCheckpointError
from zoomgr.checkpoint import read
from zoomgr_formats import zoomgr_formats
from zoomgr_formats.keras import KerasH5Format

FORMATS = tuple(zoomgr_formats())
KERNEL = np.arange(6, dtype=np.float32).reshape(1, 1, 2, 3)


def _texts(*names: str) -> Any:
    return np.array([name.encode() for name in names])


def _listed(root: Any) -> None:
    """As Keras 2 wrote `save_weights`: TensorFlow's names, layers in the order of the network."""
    root.attrs["layer_names"] = _texts("z", "a", "flatten")
    root["z/z/kernel:0"], root["z/z/bias:0"] = KERNEL, np.ones(3, np.float32)
    root["a/model/a/gamma:0"] = np.ones(3, ">f8")
    root.create_group("flatten").attrs["weight_names"] = np.array([])
    root["z"].attrs["weight_names"] = _texts("z/kernel:0", "z/bias:0")
    root["a"].attrs["weight_names"] = _texts("model/a/gamma:0")


@pytest.mark.parametrize("group", ["", "model_weights"])
def test_weights_of_keras_2_are_read_in_the_order_of_the_network(group: str, tmp_path: Path) -> None:
    """Of a file of weights and of a whole model, whose training state lies beside."""
    with h5py.File(tmp_path / "w.h5", "w") as file:
        _listed(file.create_group(group) if group else file)
        if group:
            file["optimizer_weights/Adam/m:0"] = KERNEL

    for mapped in (True, False):
        found = read(tmp_path / "w.h5", FORMATS, mapped=mapped)

        assert found.format == "keras-h5"
        assert list(found.tensors) == ["z.kernel", "z.bias", "a.gamma"]
        np.testing.assert_array_equal(found.tensors["z.kernel"].numpy(), KERNEL)
        assert found.tensors["a.gamma"].tolist() == [1.0, 1.0, 1.0]
        assert ("optimizer_weights.Adam.m:0" in found.metadata.get("beside", ())) == bool(group)


def test_long_lists_of_names_are_put_together(tmp_path: Path) -> None:
    """HDF5 cannot keep more than 64 KiB in one attribute; Keras numbers the parts."""
    with h5py.File(tmp_path / "w.h5", "w") as file:
        file.attrs["layer_names0"], file.attrs["layer_names1"] = _texts("b", "a"), _texts("c")
        for name in "abc":
            file[f"{name}/w"] = KERNEL
            file[name].attrs["weight_names"] = _texts("w")

    assert list(KerasH5Format().read(tmp_path / "w.h5")) == ["b.w", "a.w", "c.w"]


def _numbered(root: Any, name: str, kind: str, count: int) -> None:
    variables = root.create_group(f"layers/{kind}/vars")
    variables.attrs["name"] = name
    for number in range(count):
        variables[str(number)] = np.full(3, number, np.float32)


def test_variables_of_keras_3_get_names_where_there_is_no_choice(tmp_path: Path) -> None:
    """Three of the four variables of a normalization may be any three; ten layers sort as numbers do."""
    with h5py.File(tmp_path / "w.weights.h5", "w") as file:
        _numbered(file, "head", "dense_10", 2)
        _numbered(file, "neck", "dense_9", 1)
        _numbered(file, "norm", "batch_normalization", 4)
        _numbered(file, "part", "batch_normalization_1", 3)
        _numbered(file, "own", "my_layer", 1)

    assert list(KerasH5Format().read(tmp_path / "w.weights.h5")) == [
        "norm.gamma", "norm.beta", "norm.moving_mean", "norm.moving_variance",
        "part.0", "part.1", "part.2", "neck.kernel", "head.kernel", "head.bias", "own.0",
    ]  # fmt: skip


def test_layers_of_one_name_are_told_apart_by_their_paths(tmp_path: Path) -> None:
    """Never two tensors under one name."""
    with h5py.File(tmp_path / "w.weights.h5", "w") as file:
        _numbered(file, "same", "dense", 1)
        _numbered(file, "same", "dense_1", 1)

    assert list(KerasH5Format().read(tmp_path / "w.weights.h5")) == [
        "layers.dense.vars.0",
        "layers.dense_1.vars.0",
    ]


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_an_archive_of_keras_3_has_the_order_of_its_configuration(compression: int, tmp_path: Path) -> None:
    """Whether its members are packed or not."""
    weights = io.BytesIO()
    with h5py.File(weights, "w") as file:
        _numbered(file, "first", "dense", 2)
        _numbered(file, "second", "conv2d", 2)
    config = {"config": {"layers": [{"config": {"name": "first"}}, {"config": {"name": "second"}}]}}
    with zipfile.ZipFile(tmp_path / "w.keras", "w", compression) as archive:
        archive.writestr("metadata.json", "{}")
        archive.writestr("config.json", json.dumps(config))
        archive.writestr("model.weights.h5", weights.getvalue())

    for mapped in (True, False):
        found = read(tmp_path / "w.keras", FORMATS, mapped=mapped)

        assert found.format == "keras"
        assert list(found.tensors) == ["first.kernel", "first.bias", "second.kernel", "second.bias"]
        assert found.tensors["second.bias"].tolist() == [1.0, 1.0, 1.0]


def test_other_hdf5_files_are_read_by_their_paths(tmp_path: Path) -> None:
    """Packed in the ways that HDF5 itself knows, or not."""
    values = np.arange(1000, dtype=np.int64)
    with h5py.File(tmp_path / "w.h5", "w", userblock_size=0) as file:
        file["a/plain"] = values
        file.create_dataset("a/packed", data=values, compression="gzip", shuffle=True, fletcher32=True)
        file.create_dataset("a/chunked", data=values, chunks=(100,))
        file.create_dataset("none", shape=(0, 3), dtype="f4")
        file["mask"], file["text"], file["scalar"] = np.array([True, False]), "adam", np.float16(1.5)

    found = read(tmp_path / "w.h5", FORMATS)

    assert set(found.tensors) == {"a.plain", "a.packed", "a.chunked", "none", "mask", "scalar"}
    assert all(
        found.tensors[f"a.{name}"].tolist() == list(range(1000)) for name in ("plain", "packed", "chunked")
    )
    assert found.metadata["beside"] == ("text",)


def _external(file: Any) -> None:
    file.create_dataset("w", (4,), "f4", external=[("/etc/passwd", 0, 16)])


def _virtual(file: Any) -> None:
    layout = h5py.VirtualLayout((4,), "f4")
    layout[:] = h5py.VirtualSource("/etc/other.h5", "w", shape=(4,))
    file.create_virtual_dataset("w", layout)


def _huge(file: Any) -> None:
    file.create_dataset("w", (1 << 40,), "f4")


def _zeros(file: Any) -> None:
    file.create_dataset("w", (1 << 28,), "f4", chunks=(1 << 20,), compression="gzip")


def _other_filter(file: Any) -> None:
    file.create_dataset("w", data=np.zeros(100), compression="lzf")


def _bomb(file: Any) -> None:
    """A chunk of a kilobyte, whose packed bytes become sixty-four megabytes."""
    dataset = file.create_dataset("w", (1 << 20,), "u1", chunks=(1 << 20,), compression="gzip")
    dataset.id.write_direct_chunk((0,), zlib.compress(bytes(64 << 20)))


def _circle(file: Any) -> None:
    file["a/b/w"] = KERNEL
    file["a/b/c"] = file["a"]


def _deep(file: Any) -> None:
    file["/".join("a" * 100)] = KERNEL


def _echoes(file: Any) -> None:
    """Names that may be as long as the longest text: each reference could lead to it."""
    file.attrs["layer_names"] = ["x"] * 4000
    file.attrs["model_config"] = "z" * 1_200_000


@pytest.mark.parametrize(
    ("write", "reason"),
    [
        (lambda file: file.__setitem__("w", h5py.ExternalLink("/etc/other.h5", "w")), "not followed"),
        (lambda file: file.__setitem__("w", h5py.SoftLink("/elsewhere")), "not followed"),
        (lambda file: file.__setitem__("w", h5py.Empty("f4")), "without a shape"),
        (_external, "other files"),
        (_virtual, "other files"),
        (_huge, "compress"),
        (_zeros, "compress"),
        (_other_filter, "filters"),
        (_bomb, "larger than it may"),
        (_echoes, "too long"),
        (lambda file: file.attrs.__setitem__("layer_names", "x" * 100_000), "no name"),
        (_circle, "twice"),
        (_deep, "deep"),
    ],
)
def test_what_leaves_the_file_or_its_size_is_refused(write: Any, reason: str, tmp_path: Path) -> None:
    """Before a byte of it is read."""
    with h5py.File(tmp_path / "w.h5", "w") as file:
        write(file)

    with pytest.raises(UnreadableCheckpointError, match=reason):
        KerasH5Format().read(tmp_path / "w.h5")


@settings(max_examples=150, deadline=5000)
@given(at=st.integers(0, 10**6), bits=st.integers(1, 255), cut=st.booleans())
def test_a_broken_file_is_one_error(
    at: int, bits: int, cut: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A changed byte, or an end that is missing: nothing but that error comes out."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        _listed(file)
    content = bytearray(buffer.getvalue())
    content[at % len(content)] ^= bits
    path = tmp_path_factory.mktemp("keras") / "w.h5"
    path.write_bytes(content[: at % len(content)] if cut else content)

    try:
        found = KerasH5Format().read(path)
    except UnreadableCheckpointError:
        return
    assert isinstance(found, dict)
