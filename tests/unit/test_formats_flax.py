"""Flax's MessagePack; `flax-0.12.8.msgpack` was written by Flax, with chunks of 64 bytes."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import msgpack
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from zoomgr.api import UnreadableCheckpointError
from zoomgr.checkpoint import format_of, read
from zoomgr_formats import zoomgr_formats
from zoomgr_formats.flax_msgpack import FlaxFormat

FORMATS = tuple(zoomgr_formats())
REAL = Path(__file__).parents[1] / "data/formats/flax-0.12.8.msgpack"


def test_a_file_of_flax_is_read() -> None:
    """Nested names; bfloat16, numbers without dimensions, chunks; and what is no tensor beside them."""
    found = read(REAL, FORMATS)

    assert found.format == "flax-msgpack"
    assert {name: (str(tensor.dtype), tensor.tolist()) for name, tensor in found.tensors.items()} == {
        "params.Dense_0.kernel": ("torch.float32", [[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]),
        "params.Dense_0.bias": ("torch.bfloat16", [1.5, -2.0]),
        "params.big.w": ("torch.float32", torch.arange(40.0).reshape(5, 8).tolist()),
        "batch_stats.mean": ("torch.float32", 3.5),
        "batch_stats.n": ("torch.int64", 3),
        "mask": ("torch.bool", [True, False]),
        "pair.1": ("torch.float16", [1.0, 1.0]),
    }
    assert found.metadata["beside"] == ("step", "c", "pair.0")


def _array(shape: Any, dtype: str, values: bytes) -> msgpack.ExtType:
    return msgpack.ExtType(1, msgpack.packb((shape, dtype, values)))


def _chunked(shape: list[int], chunks: dict[str, Any]) -> dict[str, Any]:
    return {"__msgpack_chunked_array__": True, "shape": shape, "chunks": chunks}


def _saved(path: Path, tree: Any) -> Path:
    path.write_bytes(msgpack.packb(tree))
    return path


@pytest.mark.parametrize(
    ("leaf", "reason"),
    [
        (_array((2**40, 2**40), "float32", b""), "shape"),
        (_array((3,), "float32", b"12345678"), "bytes"),
        (_array((-1,), "float32", b""), "shape"),
        (_array((1,), "float7", b"1"), "float7"),
        (_array("ab", "float32", b""), "no shape"),
        (msgpack.ExtType(1, b"\x93"), "cut or damaged"),
        (msgpack.ExtType(9, b"x"), "extension 9"),
        (_chunked([3], {"0": _array((2,), "uint8", b"ab")}), "chunks"),
        (_chunked([3], {"0": _array((1,), "uint8", b"a"), "1": _array((1,), "int16", b"ab")}), "chunks"),
        (_chunked([3], {}), "cut or damaged"),
        (list(range(1 << 17)), "exceeds"),
    ],
)  # fmt: skip
def test_an_array_that_is_none_is_refused(leaf: Any, reason: str, tmp_path: Path) -> None:
    """With one error that says what is wrong."""
    with pytest.raises(UnreadableCheckpointError, match=reason):
        FlaxFormat().read(_saved(tmp_path / "w.msgpack", {"params": {"w": leaf}}))


def test_nesting_without_end_is_refused(tmp_path: Path) -> None:
    """A byte a level."""
    path = tmp_path / "w.msgpack"
    path.write_bytes(b"\x81\xa1w" * 100_000 + b"\x01")

    with pytest.raises(UnreadableCheckpointError):
        FlaxFormat().read(path)


def test_it_is_told_from_safetensors(tmp_path: Path) -> None:
    """Whose length may look like a mapping of one short key."""
    path = tmp_path / "w.safetensors"
    text = b'{"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}'
    path.write_bytes(struct.pack("<Q", 0x41A181) + text.ljust(0x41A181))

    assert format_of(path, FORMATS).name == "safetensors"


@settings(max_examples=150, deadline=2000)
@given(at=st.integers(0, 10**6), bits=st.integers(1, 255), cut=st.booleans())
def test_a_broken_file_is_one_error(
    at: int, bits: int, cut: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A changed byte, or an end that is missing: nothing but that error comes out."""
    content = bytearray(REAL.read_bytes())
    content[at % len(content)] ^= bits
    path = tmp_path_factory.mktemp("flax") / "w.msgpack"
    path.write_bytes(content[: at % len(content)] if cut else content)

    try:
        found = FlaxFormat().read(path)
    except UnreadableCheckpointError:
        return
    assert isinstance(found, dict)
