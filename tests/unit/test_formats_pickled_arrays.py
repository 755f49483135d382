"""Pickles of numpy arrays, written by numpy; and pickles that want something else."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from zoomgr.api import UnreadableCheckpointError, UnsafeCheckpointError
from zoomgr.checkpoint import format_of, read
from zoomgr_formats import zoomgr_formats
from zoomgr_formats.pickled_arrays import PickledArraysFormat

FORMATS = tuple(zoomgr_formats())
SHARED = np.arange(4, dtype=np.float32)
ARRAYS: dict[str, Any] = {
    "conv1_w": np.arange(6, dtype=np.float32).reshape(2, 3),
    "swapped": np.arange(3, dtype=">f8"),
    "fortran": np.asfortranarray(np.arange(6, dtype=np.int64).reshape(2, 3)),
    "scalar": np.float32(2.5),
    "point": np.array(7, np.int16),
    "none": np.zeros((0, 3), np.float32),
    "mask": np.array([True, False]),
    "one": SHARED,
    "two": SHARED,
    "large": np.arange(1 << 19, dtype=np.float32),
}


def _saved(path: Path, tree: Any, protocol: int = 2) -> Path:
    path.write_bytes(pickle.dumps(tree, protocol))
    return path


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_model_of_detectron2_is_read(protocol: int, tmp_path: Path) -> None:
    """In every protocol, with what its zoo writes beside the weights."""
    tree = {"model": ARRAYS, "__author__": "somebody", "matching_heuristics": True}
    path = _saved(tmp_path / "w.pkl", tree, protocol)

    found = read(path, FORMATS)

    assert (found.format, found.wrappers) == ("pickled-arrays", ("model",))
    assert found.metadata == {"beside": ("__author__", "matching_heuristics")}
    assert list(found.tensors) == list(ARRAYS)
    for tensor, array in zip(found.tensors.values(), ARRAYS.values(), strict=True):
        expected = array.astype(array.dtype.newbyteorder("="))
        np.testing.assert_array_equal(tensor.numpy(), np.asarray(expected), strict=True)


def test_bfloat16_is_read(tmp_path: Path) -> None:
    """A type of its own package, which is not imported for it."""
    path = _saved(tmp_path / "w.pkl", {"w": np.array([1.5, -2], ml_dtypes.bfloat16)})

    tensor = PickledArraysFormat().read(path)["w"]

    assert (tensor.dtype, tensor.tolist()) == (torch.bfloat16, [1.5, -2.0])


PYTHON_2 = (
    b"\x80\x02}q\x01U\x05blobsq\x02}q\x03U\x07conv1_wq\x04cnumpy.core.multiarray\n_reconstruct\nq\x05cnumpy\nndarray\n"
    b"q\x06K\x00\x85U\x01b\x87Rq\x07(K\x01K\x02\x85cnumpy\ndtype\nq\x08U\x02f4K\x00K\x01\x87Rq\x09(K\x03U\x01<NNN"
    b"J\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89U\x08\x00\x00\xc0\x3f\x00\x00\x00\xc0tbss."
)
"""As Python 2 pickled {"blobs": {"conv1_w": array([1.5, -2], float32)}}: bytes are texts of Latin-1."""


def test_a_pickle_of_python_2_is_read(tmp_path: Path) -> None:
    """Caffe2's and Detectron's zoos are such."""
    (tmp_path / "w.pkl").write_bytes(PYTHON_2)

    assert read(tmp_path / "w.pkl", FORMATS).tensors["blobs.conv1_w"].tolist() == [1.5, -2.0]


class Canary:
    """Makes a folder when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_an_attack_among_arrays_is_refused_and_does_not_run(protocol: int, tmp_path: Path) -> None:
    """Wherever it stands."""
    tree = {"model": {"w": SHARED, "x": Canary(tmp_path / "ran")}}
    path = _saved(tmp_path / "w.pkl", tree, protocol)

    with pytest.raises(UnsafeCheckpointError):
        read(path, FORMATS)
    assert not (tmp_path / "ran").exists()


def test_what_is_not_known_stays_a_name(tmp_path: Path) -> None:
    """It is told, and lies beside the arrays."""
    tree = {"w": SHARED, "folder": Path("a"), "names": np.array(["cat", None], dtype=object)}
    path = _saved(tmp_path / "w.pkl", tree)

    found = read(path, FORMATS)

    assert list(found.tensors) == ["w"]
    assert found.metadata["beside"] == ("folder", "names")
    assert any("Path" in name for name in found.metadata["inert"])


def _reconstructed(shape: bytes, values: bytes) -> bytes:
    """One array of the given description of a shape and of its bytes."""
    before, _, behind = PYTHON_2.partition(b"K\x01K\x02\x85")
    return before + b"K\x01" + shape + behind.replace(b"U\x08\x00\x00\xc0\x3f\x00\x00\x00\xc0", values)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (_reconstructed(b"J\xff\xff\xff\x7f\x85", b"U\x01x"), "shape"),
        (_reconstructed(b"J\xff\xff\xff\xff\x85", b"U\x01x"), "shape"),
        (_reconstructed(b"U\x01a\x85", b"U\x01x"), "shape"),
        (_reconstructed(b"K\x02\x85", b"]"), "objects"),
        (PYTHON_2.replace(b"U\x02f4", b"U\x02O8"), "no tensors"),
        (PYTHON_2.replace(b"U\x02f4", b"U\x02zz"), "cut or damaged"),
        (PYTHON_2[:-1], "exhausted"),
        (PYTHON_2.replace(b"\x80\x02}", b"\x80\x02]", 1), "pickle"),
    ],
)
def test_what_is_no_mapping_of_arrays_is_refused(content: bytes, reason: str, tmp_path: Path) -> None:
    """With one error that says what is wrong."""
    (tmp_path / "w.pkl").write_bytes(content)

    with pytest.raises(UnreadableCheckpointError, match=reason):
        read(tmp_path / "w.pkl", FORMATS)


def test_arrays_that_share_their_bytes_are_refused(tmp_path: Path) -> None:
    """A thousand descriptions of arrays around the same megabytes."""
    array = np.arange(1 << 19, dtype=np.float32)
    reduced: Any = array.__reduce__()
    _, shape, dtype, _, values = reduced[2]

    class Echo:
        def __reduce__(self) -> Any:
            return (*reduced[:2], (1, shape, dtype, False, values))

    path = _saved(tmp_path / "w.pkl", {str(number): Echo() for number in range(4)}, 4)

    with pytest.raises(UnreadableCheckpointError, match="share"):
        read(path, FORMATS)


def test_it_is_told_from_what_torch_writes(tmp_path: Path) -> None:
    """Whose old format is a pickle too, which may hold arrays."""
    state = {"w": torch.ones(2), "best": np.float64(0.5)}
    torch.save(state, tmp_path / "w.pth", _use_new_zipfile_serialization=False)

    assert format_of(tmp_path / "w.pth", FORMATS).name == "torch-legacy"


SMALL = {name: array for name, array in ARRAYS.items() if name != "large"}


@settings(max_examples=150, deadline=2000)
@given(
    at=st.integers(0, 10**6), bits=st.integers(1, 255), cut=st.booleans(), protocol=st.sampled_from([0, 2, 4])
)
def test_a_broken_file_is_one_error(
    at: int, bits: int, cut: bool, protocol: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A changed byte, or an end that is missing: nothing but these errors comes out."""
    content = bytearray(pickle.dumps(SMALL, protocol))
    content[at % len(content)] ^= bits
    path = tmp_path_factory.mktemp("pickle") / "w.pkl"
    path.write_bytes(content[: at % len(content)] if cut else content)

    try:
        found = PickledArraysFormat().read(path)
    except (UnreadableCheckpointError, UnsafeCheckpointError):
        return
    assert isinstance(found, dict)
