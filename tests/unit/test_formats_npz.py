"""numpy's `.npz`, written by numpy."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from zoomgr.api import UnreadableCheckpointError
from zoomgr.checkpoint import format_of, read
from zoomgr_formats import zoomgr_formats
from zoomgr_formats.npz import NpzFormat

FORMATS = tuple(zoomgr_formats())
ARRAYS: dict[str, Any] = {
    "params/Transformer/encoderblock_0/kernel": np.arange(24, dtype=np.float32).reshape(2, 3, 4),
    "params/embedding/bias": np.arange(3, dtype=">f8"),
    "fortran": np.asfortranarray(np.arange(6, dtype=np.int64).reshape(2, 3)),
    "half": np.float16(1.5),
    "none": np.zeros((0, 3), np.float32),
    "mask": np.array([True, False]),
}


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_arrays_are_read_as_numpy_wrote_them(save: Any, tmp_path: Path) -> None:
    """In their order; of any order of axes or bytes; without dimensions, or without values."""
    path = tmp_path / "w.npz"
    save(path, **ARRAYS)

    for mapped in (True, False):
        found = read(path, FORMATS, mapped=mapped)

        assert found.format == "npz"
        assert list(found.tensors) == [name.replace("/", ".") for name in ARRAYS]
        for tensor, array in zip(found.tensors.values(), ARRAYS.values(), strict=True):
            np.testing.assert_array_equal(
                tensor.numpy(), array.astype(array.dtype.newbyteorder("=")), strict=True
            )


def test_bfloat16_is_read_though_numpy_has_no_name_for_it(tmp_path: Path) -> None:
    """big_vision saves such."""
    np.savez(tmp_path / "w.npz", w=np.array([1.5, -2], ml_dtypes.bfloat16))

    tensor = NpzFormat().read(tmp_path / "w.npz")["w"]

    assert tensor.dtype == torch.bfloat16
    assert tensor.tolist() == [1.5, -2.0]


def test_what_is_no_number_is_told_but_not_opened(tmp_path: Path) -> None:
    """Objects are pickles; nothing unpickles them."""
    np.savez(tmp_path / "w.npz", w=np.ones(2), opt=np.array([{}, open], dtype=object), note=np.array("adam"))

    found = read(tmp_path / "w.npz", FORMATS)

    assert list(found.tensors) == ["w"]
    assert found.metadata["beside"] == ("opt", "note")


def test_it_is_told_from_other_archives(tmp_path: Path) -> None:
    """Those of torch are zip archives too."""
    torch.save({"w": torch.ones(2)}, tmp_path / "w.pth")
    long: dict[str, Any] = {
        "a/very/long/name/of/a/tensor/that/does/not/fit/into/sixty-four/bytes": np.ones(2)
    }
    np.savez(tmp_path / "n.npz", **long)

    assert format_of(tmp_path / "w.pth", FORMATS).name == "torch-zip"
    assert format_of(tmp_path / "n.npz", FORMATS).name == "npz"


def _npy(shape: str, values: bytes = b"", dtype: str = "<f4") -> bytes:
    head = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}".encode()
    head += b" " * (-(len(head) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(head).to_bytes(2, "little") + head + values


def _zip(path: Path, compression: int, **members: bytes) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", content)
    return path


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_shape_that_is_not_there_is_refused(compression: int, tmp_path: Path) -> None:
    """Before memory is asked for it."""
    path = _zip(tmp_path / "w.npz", compression, w=_npy("(1000000, 1000000)", b"1234"))

    with pytest.raises(UnreadableCheckpointError, match="describes"):
        NpzFormat().read(path)


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    """By the size that the directory announces; nothing beyond that is ever unpacked."""
    path = _zip(tmp_path / "w.npz", zipfile.ZIP_DEFLATED, w=_npy("(4,)", b"1234" * 4))
    with zipfile.ZipFile(path, "a") as archive:
        archive.filelist[0].file_size = 1 << 30
        archive._didModify = True  # type: ignore[attr-defined]

    with pytest.raises(UnreadableCheckpointError, match="compress"):
        NpzFormat().read(path)


def test_members_that_share_bytes_are_refused(tmp_path: Path) -> None:
    """A directory may name one member a thousand times."""
    path = _zip(tmp_path / "w.npz", zipfile.ZIP_STORED, a=_npy("(1000,)", b"1234" * 1000), b=b"")
    with zipfile.ZipFile(path, "a") as archive:
        for number in range(9):
            again = zipfile.ZipInfo(f"{number}.npy")
            first = archive.filelist[0]
            again.header_offset, again.file_size, again.compress_size, again.CRC = (
                first.header_offset, first.file_size, first.compress_size, first.CRC,
            )  # fmt: skip
            archive.filelist.append(again)
        archive._didModify = True  # type: ignore[attr-defined]

    with pytest.raises(UnreadableCheckpointError, match="share"):
        NpzFormat().read(path)


@settings(max_examples=150, deadline=2000)
@given(at=st.integers(0, 10**6), bits=st.integers(1, 255), cut=st.booleans(), packed=st.booleans())
def test_a_broken_file_is_one_error_or_the_same_names(
    at: int, bits: int, cut: bool, packed: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A changed byte, or an end that is missing: nothing but that error comes out."""
    buffer = io.BytesIO()
    (np.savez_compressed if packed else np.savez)(buffer, **ARRAYS)
    content = bytearray(buffer.getvalue())
    content[at % len(content)] ^= bits
    path = tmp_path_factory.mktemp("npz") / "w.npz"
    path.write_bytes(content[: at % len(content)] if cut else content)

    try:
        found = NpzFormat().read(path)
    except UnreadableCheckpointError:
        return
    assert len(found) <= len(ARRAYS)
