"""ONNX initialisers, written by the packages `onnx` and torch."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from zoomgr.api import UnreadableCheckpointError
from zoomgr.checkpoint import format_of, read
from zoomgr_formats import zoomgr_formats
from zoomgr_formats.onnx_files import OnnxFormat
from zoomgr_formats.protobuf import varints

FORMATS = tuple(zoomgr_formats())
TYPED: list[tuple[str, int, list[Any], torch.dtype]] = [
    ("float", TensorProto.FLOAT, [1.5, -2.0], torch.float32),
    ("double", TensorProto.DOUBLE, [1.5, -2.0], torch.float64),
    ("half", TensorProto.FLOAT16, [1.5, -2.0], torch.float16),
    ("brain", TensorProto.BFLOAT16, [1.5, -2.0], torch.bfloat16),
    ("complex", TensorProto.COMPLEX64, [1 + 2j, 3], torch.complex64),
    ("bool", TensorProto.BOOL, [True, False], torch.bool),
    ("byte", TensorProto.UINT8, [0, 255], torch.uint8),
    ("tiny", TensorProto.INT8, [-128, 127], torch.int8),
    ("short", TensorProto.INT16, [-3, 300], torch.int16),
    ("int", TensorProto.INT32, [-3, 70_000], torch.int32),
    ("long", TensorProto.INT64, [-3, 1 << 40], torch.int64),
    ("unsigned", TensorProto.UINT64, [0, 2**64 - 1], torch.uint64),
]


def _model(initializers: list[Any]) -> Any:
    output = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    node = helper.make_node("Identity", [initializers[0].name], ["y"])
    return helper.make_model(helper.make_graph([node], "g", [], [output], initializer=initializers))


@pytest.mark.parametrize("raw", [True, False])
def test_values_of_every_type_are_read(raw: bool, tmp_path: Path) -> None:
    """Whether they are raw or in fields of their own; names as they are."""
    typed = [helper.make_tensor(f"layer/{name}", kind, [2], values) for name, kind, values, _ in TYPED]
    if raw:
        typed = [numpy_helper.from_array(numpy_helper.to_array(one), one.name) for one in typed]
    onnx.save(_model(typed), tmp_path / "w.onnx")

    for mapped in (True, False):
        found = read(tmp_path / "w.onnx", FORMATS, mapped=mapped)

        assert found.format == "onnx"
        assert {name: (tensor.dtype, tensor.tolist()) for name, tensor in found.tensors.items()} == {
            f"layer/{name}": (dtype, values) for name, _, values, dtype in TYPED
        }


def test_an_exported_network_gives_its_weights(tmp_path: Path) -> None:
    """Those that torch wrote, mapped."""
    net = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.Flatten(), torch.nn.Linear(144, 2)).eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's advice to export in another way
        torch.onnx.export(net, (torch.zeros(1, 3, 8, 8),), tmp_path / "w.onnx", dynamo=False)

    found = read(tmp_path / "w.onnx", FORMATS).tensors

    assert set(found) == set(net.state_dict())
    assert all(torch.equal(tensor, found[name]) for name, tensor in net.state_dict().items())


def test_texts_are_no_tensors(tmp_path: Path) -> None:
    """They are told beside them."""
    both = [
        helper.make_tensor("w", TensorProto.FLOAT, [], [7.0]),
        helper.make_tensor("s", TensorProto.STRING, [1], [b"x"]),
    ]
    onnx.save(_model(both), tmp_path / "w.onnx")

    found = read(tmp_path / "w.onnx", FORMATS)

    assert found.tensors["w"].item() == 7.0
    assert found.metadata["beside"] == ("s",)


def _apart(folder: Path, location: str = "w.data") -> Any:
    model = _model([numpy_helper.from_array(np.arange(6, dtype=np.float32).reshape(2, 3), "w")])
    onnx.save(model, folder / "w.onnx", save_as_external_data=True, location="w.data", size_threshold=0)
    model = onnx.load(folder / "w.onnx", load_external_data=False)
    model.graph.initializer[0].external_data[0].value = location
    (folder / "w.onnx").write_bytes(model.SerializeToString())
    return model


def test_values_in_a_file_beside_it_are_read(tmp_path: Path) -> None:
    """As large models have them."""
    _apart(tmp_path)

    assert OnnxFormat().read(tmp_path / "w.onnx")["w"].tolist() == [[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]


@pytest.mark.parametrize("location", ["../w.data", "/etc/passwd", "a/b", "..", "", "..\\w.data"])
def test_values_elsewhere_are_refused(location: str, tmp_path: Path) -> None:
    """A file must not name others of the disk."""
    _apart(tmp_path, location)

    with pytest.raises(UnreadableCheckpointError, match=r"lies in"):
        OnnxFormat().read(tmp_path / "w.onnx")


def test_a_link_beside_it_is_refused(tmp_path: Path) -> None:
    """It would lead elsewhere too."""
    _apart(tmp_path, "link")
    (tmp_path / "link").symlink_to(tmp_path / "w.data")

    with pytest.raises(UnreadableCheckpointError, match="no plain name"):
        OnnxFormat().read(tmp_path / "w.onnx")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"dims": [2**40, 2**40]}, "shape"),
        ({"dims": [-1]}, "shape"),
        ({"dims": [3]}, "takes 12"),
        ({"data_type": TensorProto.INT4}, "type 22"),
        ({"data_type": TensorProto.INT64, "int64_data": [1]}, "takes 16"),
    ],
)
def test_an_initialiser_that_is_no_tensor_is_refused(
    change: dict[str, Any], reason: str, tmp_path: Path
) -> None:
    """With one error that says what is wrong."""
    wrong = TensorProto(
        **{"name": "w", "dims": [2], "data_type": TensorProto.FLOAT, "raw_data": b"12345678", **change}
    )
    (tmp_path / "w.onnx").write_bytes(_model([wrong]).SerializeToString())

    with pytest.raises(UnreadableCheckpointError, match=reason):
        OnnxFormat().read(tmp_path / "w.onnx")


@pytest.mark.parametrize(
    "content", [b"\x08\x01", b"\x08\x0a\x3a\x7f", b"\x08\x0a\x07", b"\x08\x0a" + b"\xff" * 20]
)
def test_what_only_begins_like_it_is_not_taken_for_it(content: bytes, tmp_path: Path) -> None:
    """It has no magic bytes: all of it must be a message with a graph."""
    (tmp_path / "w").write_bytes(content)

    with pytest.raises(UnreadableCheckpointError, match="no known format"):
        format_of(tmp_path / "w", FORMATS)


@given(st.lists(st.integers(0, 2**64 - 1)))
def test_packed_numbers_are_unpacked(numbers: list[int]) -> None:
    """As protocol buffers pack them: seven bits a byte, the least first."""
    packed = bytearray()
    for number in numbers:
        rest = number
        while rest > 127:
            packed.append(rest & 127 | 128)
            rest >>= 7
        packed.append(rest)

    assert varints(bytes(packed)).tolist() == numbers


@pytest.mark.parametrize("packed", [b"\x80", b"\x01\x80", b"\x80" * 10 + b"\x01"])
def test_packed_numbers_without_an_end_are_refused(packed: bytes) -> None:
    """Or longer than 64 bits can be."""
    with pytest.raises(ValueError, match="no end"):
        varints(packed)


@settings(max_examples=150, deadline=2000)
@given(at=st.integers(0, 10**6), bits=st.integers(1, 255), cut=st.booleans())
def test_a_broken_file_is_one_error(
    at: int, bits: int, cut: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A changed byte, or an end that is missing: nothing but that error comes out."""
    typed = [helper.make_tensor(name, kind, [2], values) for name, kind, values, _ in TYPED]
    content = bytearray(_model(typed).SerializeToString())
    content[at % len(content)] ^= bits
    path = tmp_path_factory.mktemp("onnx") / "w.onnx"
    path.write_bytes(content[: at % len(content)] if cut else content)

    OnnxFormat().recognises(path, path.read_bytes()[:64])
    try:
        found = OnnxFormat().read(path)
    except UnreadableCheckpointError:
        return
    assert isinstance(found, dict)
