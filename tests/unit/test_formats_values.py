"""What formats of other libraries have in common: types, sizes, growth, missing packages."""

from __future__ import annotations

import copy
import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from zoomgr.api import CopyingFormat, MissingPackageError, UnreadableCheckpointError
from zoomgr.checkpoint import read
from zoomgr_formats import zoomgr_formats
from zoomgr_formats.faults import check_growth, package, refused
from zoomgr_formats.values import ITEM_BYTES, Kind, Values, dotted, kind_of, named, tensor_of


def test_each_is_a_format_of_its_own_name() -> None:
    """The host checks the same."""
    formats = list(zoomgr_formats())

    assert all(isinstance(one, CopyingFormat) for one in formats)
    assert len({one.name for one in formats}) == len(formats)


def test_a_file_of_a_user_is_read_into_memory_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may be written over while the tensors live; and what is in memory is not copied once more."""
    np.savez(tmp_path / "w.npz", w=np.arange(4, dtype=np.float32))
    monkeypatch.setattr(copy, "deepcopy", pytest.fail)

    found = read(tmp_path / "w.npz", tuple(zoomgr_formats()), mapped=False)
    (tmp_path / "w.npz").write_bytes(b"")

    assert found.tensors["w"].tolist() == [0.0, 1.0, 2.0, 3.0]


@pytest.mark.parametrize("name", ITEM_BYTES)
def test_every_type_has_the_bytes_that_torch_gives_it(name: str) -> None:
    """The table must not tell another size than torch takes."""
    assert torch.empty(0, dtype=getattr(torch, name)).element_size() == ITEM_BYTES[name]


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("code", ["f2", "f4", "f8", "c8", "c16", "i2", "i4", "i8", "u2", "u4", "u8"])
def test_bytes_of_both_orders_give_the_same_values(code: str, order: str, tmp_path: Path) -> None:
    """Old files come from machines of the other order; parts of complex numbers are swapped one by one."""
    array = np.array([1, 2, 300], f"{order}{code}")
    (tmp_path / "w").write_bytes(b"12345678" + array.tobytes())
    kind = kind_of(array.dtype)
    assert kind is not None

    for mapped in (True, False):
        tensor = Values(tmp_path / "w", mapped=mapped).tensor(8, kind, (3,))

        np.testing.assert_array_equal(tensor.numpy(), array.astype(f"={code}"))
    np.testing.assert_array_equal(tensor_of(array.copy(), kind).numpy(), array.astype(f"={code}"))


def test_a_tensor_is_mapped_where_it_lies_right_and_copied_where_it_does_not(tmp_path: Path) -> None:
    """A copy does not follow the file; a map is private, and saving one tensor does not save the others."""
    path = tmp_path / "w"
    path.write_bytes(np.arange(6, dtype=np.float32).tobytes() + b"...")
    values = Values(path, mapped=True)

    mapped, copied = (
        values.tensor(4, Kind("float32"), (2,)),
        Values(path, mapped=False).tensor(4, Kind("float32"), (2,)),
    )
    unaligned = values.tensor(5, Kind("uint16"), (2,))
    mapped[0] = 9

    assert mapped.untyped_storage().nbytes() == 8
    assert path.read_bytes()[4:8] == np.float32(1).tobytes()
    assert copied.tolist() == [1.0, 2.0]
    assert unaligned.shape == (2,)


def test_truth_is_one_or_zero(tmp_path: Path) -> None:
    """Any other byte would be a bool that torch does not know."""
    (tmp_path / "w").write_bytes(b"\x00\x07\xff")

    tensor = Values(tmp_path / "w", mapped=True).tensor(0, Kind("bool"), (3,))

    assert tensor.view(torch.uint8).tolist() == [0, 1, 1]


@pytest.mark.parametrize("shape", [(3,), (-1,), (2**40, 2**40), (1,) * 65, (2**62,)])
def test_what_is_no_shape_of_the_file_is_refused_before_memory_is_asked_for(
    shape: Any, tmp_path: Path
) -> None:
    """Whatever a file announces."""
    (tmp_path / "w").write_bytes(b"12345678")

    with pytest.raises(ValueError, match=r"cut|shape"):
        Values(tmp_path / "w", mapped=True).tensor(0, Kind("float32"), shape)


@pytest.mark.parametrize(
    ("dtype", "name"),
    [
        ("V2", "bfloat16"),
        ("?", "bool"),
        ("O", None),
        ("S3", None),
        ("M8[s]", None),
        ([("a", "f4")], None),
        ("V3", None),
    ],
)
def test_only_numbers_have_a_kind(dtype: Any, name: str | None) -> None:
    """Two bytes without a meaning are what numpy makes of bfloat16."""
    found = kind_of(np.dtype(dtype))

    assert (found.name if found else None) == name


def test_numbers_that_torch_does_not_have_are_refused() -> None:
    """Rather than left out."""
    with pytest.raises(ValueError, match=r"longdouble|float128|float96"):
        kind_of(np.dtype(np.longdouble))


def test_two_tensors_of_one_name_are_refused() -> None:
    """One would silently win."""
    assert list(dotted([("a/b", 1), ("c", 2)])) == ["a.b", "c"]
    with pytest.raises(ValueError, match=r"called a\.b"):
        dotted([("a/b", 1), ("a.b", 2)])
    with pytest.raises(ValueError, match="called a"):
        named([("a", 1), ("a", 2)])


def test_what_grows_out_of_proportion_is_refused(tmp_path: Path) -> None:
    """A little may become 256 MiB, not more; much may become a multiple of itself."""
    (tmp_path / "w").write_bytes(b"x" * 100)

    check_growth(256 << 20, tmp_path / "w")
    with pytest.raises(ValueError, match="compress"):
        check_growth((256 << 20) + 1, tmp_path / "w")


def test_a_missing_package_is_named_with_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """And not taken for a damaged file."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)

    with pytest.raises(MissingPackageError) as caught, refused(Path("a.h5")):
        package("h5py", "an HDF5 file")
    assert "zoomgr[formats]" in str(caught.value)


def test_whatever_a_file_provokes_is_one_short_error() -> None:
    """What a hostile file says may be as long as the file, and hold what a terminal obeys."""
    with pytest.raises(UnreadableCheckpointError) as caught, refused(Path("a.h5")):
        raise RuntimeError("\x1b[2J" + "x" * 10_000)

    assert len(caught.value.reason) < 400
    assert caught.value.reason.isprintable()
