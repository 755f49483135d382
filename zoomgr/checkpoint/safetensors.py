"""The safetensors format: a header of names, types, shapes and offsets, then the values, to be mapped."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoomgr.errors import UnreadableCheckpointError, reason_of
from zoomgr.records import TensorSpec

if TYPE_CHECKING:
    import torch

_LENGTH_BYTES = 8
_MAX_HEADER_BYTES = 100_000_000  # the limit of the reference implementation

_DTYPES: Mapping[str, tuple[str, int]] = {
    "F64": ("float64", 64), "F32": ("float32", 32), "F16": ("float16", 16), "BF16": ("bfloat16", 16),
    "F8_E4M3": ("float8_e4m3fn", 8), "F8_E5M2": ("float8_e5m2", 8), "F8_E8M0": ("float8_e8m0fnu", 8),
    "I64": ("int64", 64), "I32": ("int32", 32), "I16": ("int16", 16), "I8": ("int8", 8),
    "U64": ("uint64", 64), "U32": ("uint32", 32), "U16": ("uint16", 16), "U8": ("uint8", 8),
    "BOOL": ("bool", 8), "C64": ("complex64", 64),
}  # fmt: skip
"""The format's names of types: torch's name without the prefix, and bits per value."""


class SafetensorsFormat:
    """safetensors: holds no code at all, and is mapped."""

    name = "safetensors"

    def recognises(self, path: Path, first_bytes: bytes) -> bool:  # noqa: ARG002 (the protocol has it)
        """Whether it begins with the length of a header that is a JSON object."""
        length = int.from_bytes(first_bytes[:_LENGTH_BYTES], "little")
        opens = first_bytes[_LENGTH_BYTES : _LENGTH_BYTES + 1] == b"{"
        return opens and length <= _MAX_HEADER_BYTES

    def read(self, path: Path) -> Mapping[str, torch.Tensor]:
        """Tensors by name, in the header's order."""
        from safetensors import SafetensorError, safe_open

        specs, _ = safetensors_specs(path)
        try:
            with safe_open(path, framework="pt", device="cpu") as opened:
                return {spec.name: opened.get_tensor(spec.name) for spec in specs}
        except (SafetensorError, RuntimeError, OSError) as error:
            raise UnreadableCheckpointError(str(path), reason_of(error)) from error


def safetensors_specs(path: Path) -> tuple[tuple[TensorSpec, ...], dict[str, str]]:
    """The tensors of a safetensors file and the texts that it keeps, from its header alone; without torch.

    Raises:
        UnreadableCheckpointError: the header is not sound, or does not describe the file's bytes.
    """
    try:
        return _parsed(path)
    except (OSError, ValueError, TypeError, LookupError, RecursionError) as error:
        reason = str(error) if type(error) is ValueError else f"its header is not sound: {reason_of(error)}"
        raise UnreadableCheckpointError(str(path), reason) from error


def _parsed(path: Path) -> tuple[tuple[TensorSpec, ...], dict[str, str]]:
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        length = int.from_bytes(file.read(_LENGTH_BYTES), "little")
        if length > min(_MAX_HEADER_BYTES, size - _LENGTH_BYTES):
            raise ValueError(f"it promises a header of {length:,} bytes, the file has {size:,}")
        header = json.loads(file.read(length), object_pairs_hook=_unique)
    return _checked(header, size - _LENGTH_BYTES - length)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("its header has a key twice")
    return found


def _checked(header: Any, data_bytes: int) -> tuple[tuple[TensorSpec, ...], dict[str, str]]:
    """Specs and texts; the tensors must lie side by side and fill the data exactly."""
    if not isinstance(header, dict):
        raise ValueError("its header is no JSON object")  # noqa: TRY004 (a fault of the file, as the others)
    texts = {str(key): str(value) for key, value in dict(header.pop("__metadata__", None) or {}).items()}
    specs, spans = [], []
    for name, entry in header.items():
        dtype, bits = _DTYPES[entry["dtype"]]
        begin, end = (int(offset) for offset in entry["data_offsets"])
        spec = TensorSpec(name, tuple(int(length) for length in entry["shape"]), dtype)
        if min((begin, *spec.shape)) < 0 or (end - begin) * 8 != math.prod(spec.shape) * bits:
            raise ValueError(f"{name} has {spec.shape} {dtype} in {end - begin:,} bytes")
        specs.append(spec)
        spans.append((begin, end))
    position = 0
    for begin, end in sorted(spans):
        if begin != position:
            raise ValueError(f"its tensors leave or share bytes at {min(begin, position):,}")
        position = end
    if position != data_bytes:
        raise ValueError(f"its header describes {position:,} bytes of values, the file has {data_bytes:,}")
    return tuple(specs), texts
