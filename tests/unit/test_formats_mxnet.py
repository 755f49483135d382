"""MXNet's `.params`; the files `mxnet-1.9.1*.params` were written by MXNet."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zoomgr.api import UnreadableCheckpointError
from zoomgr.checkpoint import read
from zoomgr_formats import zoomgr_formats
from zoomgr_formats.mxnet_params import MxnetFormat

FORMATS = tuple(zoomgr_formats())
REAL = Path(__file__).parents[1] / "data/formats"
HEAD = struct.pack("<QQ", 0x112, 0)
TWO = struct.pack("<2f", 1.5, -2)


def test_a_file_of_mxnet_is_read() -> None:
    """Without `arg:` and `aux:`; of several types."""
    for mapped in (True, False):
        found = read(REAL / "mxnet-1.9.1.params", FORMATS, mapped=mapped)

        assert found.format == "mxnet"
        assert {name: (str(tensor.dtype), tensor.tolist()) for name, tensor in found.tensors.items()} == {
            "w": ("torch.float32", [[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]),
            "mean": ("torch.float16", [1.0, 2.0]),
            "steps": ("torch.int64", [1, 2, 3]),
        }


def test_a_file_with_numpys_shapes_is_read() -> None:
    """Version 3: without dimensions, without values."""
    found = MxnetFormat().read(REAL / "mxnet-1.9.1-np.params")

    assert {name: (tuple(tensor.shape), tensor.tolist()) for name, tensor in found.items()} == {
        "scalar": ((), 3.5),
        "none": ((0, 2), []),
        "mask": ((2,), [True, False]),
    }


def test_arrays_without_names_are_numbered() -> None:
    """As a list was saved."""
    assert list(MxnetFormat().read(REAL / "mxnet-1.9.1-nameless.params")) == ["0"]


def _list(path: Path, arrays: list[bytes], names: list[bytes]) -> Path:
    texts = b"".join(struct.pack("<Q", len(name)) + name for name in names)
    counts = struct.pack("<Q", len(arrays)), struct.pack("<Q", len(names))
    path.write_bytes(HEAD + counts[0] + b"".join(arrays) + counts[1] + texts)
    return path


OLDEST = struct.pack("<2I3i", 1, 2, 1, 0, 0) + TWO
SECOND = struct.pack("<Iiq3i", 0xF993FAC8, 1, 2, 1, 0, 0) + TWO
THIRD = struct.pack("<Iiiq3i", 0xF993FAC9, 0, 1, 2, 1, 0, 0) + TWO
NONE = struct.pack("<Iii", 0xF993FAC9, 0, 0)


@pytest.mark.parametrize("array", [OLDEST, SECOND, THIRD])
def test_arrays_of_the_older_versions_are_read(array: bytes, tmp_path: Path) -> None:
    """As the documented layout has them."""
    found = MxnetFormat().read(_list(tmp_path / "w.params", [array], [b"arg:w"]))

    assert found["w"].tolist() == [1.5, -2.0]


def test_an_array_without_a_shape_is_no_tensor(tmp_path: Path) -> None:
    """But what comes behind it is found."""
    found = read(_list(tmp_path / "w.params", [NONE, THIRD], [b"n", b"w"]), FORMATS)

    assert found.tensors["w"].tolist() == [1.5, -2.0]
    assert found.metadata["beside"] == ("n",)


def test_prefixes_stay_where_names_would_meet(tmp_path: Path) -> None:
    """Never two tensors under one name."""
    path = _list(tmp_path / "w.params", [THIRD, THIRD], [b"arg:w", b"aux:w"])

    assert list(MxnetFormat().read(path)) == ["arg:w", "aux:w"]


@pytest.mark.parametrize(
    ("arrays", "names", "reason"),
    [
        ([THIRD], [b"a", b"b"], "2 names"),
        ([THIRD, THIRD], [b"a", b"a"], "called a"),
        ([struct.pack("<Ii", 0xF993FAC9, 1)], [b"a"], "sparse"),
        ([struct.pack("<Iiiq3i", 0xF993FAC9, 0, 1, 2, 1, 0, 99)], [b"a"], "type 99"),
        ([struct.pack("<Iiiq3i", 0xF993FAC9, 0, 1, 2**60, 1, 0, 0)], [b"a"], "cut|shape"),
        ([struct.pack("<Iii", 0xF993FAC9, 0, 2**30)], [b"a"], "dimensions"),
        ([b"\xff\xff\xff\xff"], [b"a"], "dimensions"),
        ([b""] * 3, [], "cut or damaged"),
    ],
)
def test_what_is_no_list_of_arrays_is_refused(
    arrays: list[bytes], names: list[bytes], reason: str, tmp_path: Path
) -> None:
    """With one error that says what is wrong."""
    with pytest.raises(UnreadableCheckpointError, match=reason):
        MxnetFormat().read(_list(tmp_path / "w.params", arrays, names))


def test_a_count_that_no_file_can_have_is_refused(tmp_path: Path) -> None:
    """Before it is counted to."""
    (tmp_path / "w.params").write_bytes(HEAD + struct.pack("<Q", 2**62))

    with pytest.raises(UnreadableCheckpointError, match="announces"):
        MxnetFormat().read(tmp_path / "w.params")


@settings(max_examples=150, deadline=2000)
@given(at=st.integers(0, 10**6), bits=st.integers(1, 255), cut=st.booleans(), np=st.booleans())
def test_a_broken_file_is_one_error(
    at: int, bits: int, cut: bool, np: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A changed byte, or an end that is missing: nothing but that error comes out."""
    content = bytearray((REAL / f"mxnet-1.9.1{'-np' if np else ''}.params").read_bytes())
    content[at % len(content)] ^= bits
    path = tmp_path_factory.mktemp("mxnet") / "w.params"
    path.write_bytes(content[: at % len(content)] if cut else content)

    try:
        found = MxnetFormat().read(path)
    except UnreadableCheckpointError:
        return
    assert isinstance(found, dict)
