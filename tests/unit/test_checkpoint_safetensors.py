"""safetensors headers are read without torch, and believed only where they agree with the file."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from zoomgr.checkpoint import read
from zoomgr.checkpoint.safetensors import safetensors_specs
from zoomgr.errors import UnreadableCheckpointError
from zoomgr.records import TensorSpec


def _write(path: Path, header: Any, data: bytes = b"") -> Path:
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(raw)) + raw + data)
    return path


def _entry(begin: int, end: int, shape: tuple[int, ...], dtype: str = "F32") -> dict[str, Any]:
    return {"dtype": dtype, "shape": list(shape), "data_offsets": [begin, end]}


def test_a_header_gives_specs_in_its_order_and_the_texts(tmp_path: Path) -> None:
    """Names, shapes and torch's names of types."""
    header = {
        "__metadata__": {"format": "pt"},
        "z": _entry(4, 12, (2,)),
        "a": _entry(0, 4, (1, 2), "BF16"),
    }

    specs, texts = safetensors_specs(_write(tmp_path / "x", header, bytes(12)))

    assert (TensorSpec("z", (2,), "float32"), TensorSpec("a", (1, 2), "bfloat16")) == specs
    assert texts == {"format": "pt"}


@pytest.mark.parametrize(
    "dtype",
    [
        torch.float64,
        torch.float32,
        torch.float16,
        torch.bfloat16,
        torch.float8_e4m3fn,
        torch.float8_e5m2,
        torch.int64,
        torch.int32,
        torch.int16,
        torch.int8,
        torch.uint8,
        torch.bool,
        torch.complex64,
    ],
)
def test_types_are_named_as_torch_names_them(tmp_path: Path, dtype: torch.dtype) -> None:
    """A spec from the header equals the one of the tensor."""
    save_file({"a": torch.zeros(2, 3).to(dtype)}, tmp_path / "x")

    assert (TensorSpec("a", (2, 3), str(dtype).removeprefix("torch.")),) == read(tmp_path / "x").specs
    assert read(tmp_path / "x").specs == safetensors_specs(tmp_path / "x")[0]


@pytest.mark.parametrize(
    ("header", "data"),
    [
        ({"a": _entry(0, 8, (2,))}, 4),  # cut
        ({"a": _entry(0, 8, (2,))}, 12),  # bytes that nothing describes
        ({"a": _entry(4, 12, (2,))}, 12),  # a hole
        ({"a": _entry(0, 8, (2,)), "b": _entry(4, 12, (2,))}, 12),  # an overlap
        ({"a": _entry(0, 8, (3,))}, 8),  # another shape than bytes
        ({"a": _entry(8, 0, (-2,))}, 8),
        ({"a": _entry(-8, 0, (2,))}, 8),
        ({"a": _entry(0, 8, (2,), "F99")}, 8),
        ({"a": {"dtype": "F32"}}, 0),
        ({"a": [1, 2]}, 0),
        ({"a": None}, 0),
        (b"[]", 0),
        (b"{", 0),
        (b"\xff\xfe", 0),
        (b'{"a": {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}, "a": {}}', 0),
        (b'{"a":' * 100_000, 0),
        ({"__metadata__": 3}, 0),
        ({"__metadata__": {"a": 3}}, 0),
        (b'{"__metadata__": {"a": "\\ud800"}}', 0),
        (b'{"\\ud800w": {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}}', 0),
        (b'{"\xed\xa0\x80w": {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}}', 0),
        (b'{"a": {"dtype": "F32", "shape": [1e999], "data_offsets": [0, 8]}}', 8),
        (b'{"a": {"dtype": "F32", "shape": [NaN], "data_offsets": [0, 8]}}', 8),
        (b'{"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 1e999]}}', 8),
        ({"a": {"dtype": "F32", "shape": [2.0], "data_offsets": [0, 8]}}, 8),
        ({"a": {"dtype": "F32", "shape": ["2"], "data_offsets": [0, 8]}}, 8),
        ({"a": {"dtype": "F32", "shape": "2", "data_offsets": [0, 8]}}, 8),
        ({"a": {"dtype": "F32", "shape": {"2": 1}, "data_offsets": [0, 8]}}, 8),
        ({"a": {"dtype": "F32", "shape": [[2]], "data_offsets": [0, 8]}}, 8),
        ({"a": {"dtype": "F32", "shape": [True, 2], "data_offsets": [0, 8]}}, 8),
        ({"a": {"dtype": "F32", "shape": [2], "data_offsets": [False, 8]}}, 8),
        ({"a": {"dtype": "F32", "shape": [2], "data_offsets": "08"}}, 8),
        ({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8, 8]}}, 8),
        ({"a": {"dtype": "F32", "shape": [2], "data_offsets": [8]}}, 8),
        ({"a": {"dtype": "F32", "shape": [2], "data_offsets": 8}}, 8),
        ({"a": {"dtype": ["F32"], "shape": [2], "data_offsets": [0, 8]}}, 8),
        ({"a": _entry(0, 0, (2**63, 0))}, 0),
        ({"a" * 5000: _entry(0, 8, (3,))}, 8),
        ({"a": {"dtype": "F32", "shape": {}, "data_offsets": [0, 4]}}, 4),
        ({"a": {"dtype": "F32", "shape": "", "data_offsets": [0, 4]}}, 4),
        ({"a": _entry(0, 8, (10**4000,))}, 8),
        (b'{"a": {"dtype": "F32", "shape": [' + b"9" * 5000 + b'], "data_offsets": [0, 8]}}', 8),
        ({"a": _entry(0, 4, (1,) * 65)}, 4),
        ({"a": _entry(0, 8, (2**62,) * 200_000)}, 8),
        (b'{"a": ' + b"[" * 100_000, 0),
    ],
)
def test_a_header_that_does_not_describe_the_file_is_refused(tmp_path: Path, header: Any, data: int) -> None:
    """Offsets decide which bytes become weights, so every byte must be described once."""
    path = _write(tmp_path / "x", header, bytes(data))

    with pytest.raises(UnreadableCheckpointError) as caught:
        safetensors_specs(path)

    str(caught.value).encode()
    assert len(caught.value.reason) < 400


@pytest.mark.parametrize("length", [100_000_001, 2**63, 2**64 - 1, 500])
def test_a_header_longer_than_allowed_or_than_the_file_is_not_read(tmp_path: Path, length: int) -> None:
    """A length of a few exabytes must cost nothing."""
    (tmp_path / "x").write_bytes(struct.pack("<Q", length) + b"{}")

    with pytest.raises(UnreadableCheckpointError, match="bytes"):
        safetensors_specs(tmp_path / "x")


def test_specs_need_no_torch(tmp_path: Path) -> None:
    """`zoomgr inspect` of a safetensors file starts in a blink."""
    save_file({"a": torch.zeros(2)}, tmp_path / "x")
    program = (
        "import sys; from pathlib import Path; from zoomgr.checkpoint import inspect\n"
        f"assert inspect(Path({str(tmp_path / 'x')!r})).specs[0].name == 'a'\n"
        "sys.exit(any(name in sys.modules for name in ('torch', 'safetensors', 'numpy')))"
    )

    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
