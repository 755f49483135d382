"""The safetensors format: a header of names, types, shapes and offsets, then the values, to be mapped."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from zoomgr.checkpoint.index import Stored, stored
from zoomgr.checkpoint.record import Saved
from zoomgr.errors import UnreadableCheckpointError, reason_of
from zoomgr.records import TensorSpec

if TYPE_CHECKING:
    import torch

_LENGTH_BYTES = 8
_MAX_HEADER_BYTES = 100_000_000  # the limit of the reference implementation

DTYPES: Mapping[str, tuple[str, int]] = {
    "F64": ("float64", 64), "F32": ("float32", 32), "F16": ("float16", 16), "BF16": ("bfloat16", 16),
    "F8_E4M3": ("float8_e4m3fn", 8), "F8_E5M2": ("float8_e5m2", 8), "F8_E8M0": ("float8_e8m0fnu", 8),
    "I64": ("int64", 64), "I32": ("int32", 32), "I16": ("int16", 16), "I8": ("int8", 8),
    "U64": ("uint64", 64), "U32": ("uint32", 32), "U16": ("uint16", 16), "U8": ("uint8", 8),
    "BOOL": ("bool", 8), "C64": ("complex64", 64),
}  # fmt: skip
"""The format's names of types: torch's name without the prefix, and bits per value."""


_MAX_DIMENSIONS = 64  # torch's own operators take no more; bounds what a header can make us multiply
_MAX_SIZE = 2**63
_MAX_REASON = 300  # names and shapes of a hostile header may be as long as the header


@dataclass(frozen=True, slots=True)
class _Header:
    """Of each tensor what it is and where its bytes lie in the file; and the texts that the file keeps."""

    specs: tuple[TensorSpec, ...]
    spans: tuple[tuple[int, int], ...]
    texts: dict[str, str]


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

        specs, texts = safetensors_specs(path)
        try:
            with safe_open(path, framework="pt", device="cpu") as opened:
                return Saved({spec.name: opened.get_tensor(spec.name) for spec in specs}, texts)
        except (SafetensorError, RuntimeError, OSError) as error:
            raise UnreadableCheckpointError(str(path), reason_of(error)) from error

    def read_copied(self, path: Path) -> Mapping[str, torch.Tensor]:
        """The same in memory: the file may be written over afterwards."""
        with _refused(path), path.open("rb") as file:
            header = _header(file)
            pairs = zip(header.specs, header.spans, strict=True)
            tensors = {spec.name: _tensor(_bytes_at(file, *span), spec) for spec, span in pairs}
            return Saved(tensors, header.texts)

    def stored(self, path: Path) -> Mapping[str, Stored]:
        """The tensors as `Stored`, from the header alone; raises as `safetensors_specs`."""
        with _refused(path), path.open("rb") as file:
            header = _header(file)
            pairs = zip(header.specs, header.spans, strict=True)
            return Saved({s.name: stored(s.dtype, s.shape, begin) for s, (begin, _) in pairs}, header.texts)


def _bytes_at(file: BinaryIO, begin: int, end: int) -> bytearray:
    values = bytearray(end - begin)
    file.seek(begin)
    if file.readinto(values) != len(values):  # type: ignore[attr-defined] # (typeshed leaves it out of BinaryIO)
        raise ValueError("it was cut while it was read")
    return values


def _tensor(values: bytearray, spec: TensorSpec) -> torch.Tensor:
    import torch

    dtype = getattr(torch, spec.dtype)
    if not values:  # torch.frombuffer takes no empty buffer
        return torch.empty(spec.shape, dtype=dtype)
    return torch.frombuffer(values, dtype=dtype).reshape(spec.shape)


def safetensors_specs(path: Path) -> tuple[tuple[TensorSpec, ...], dict[str, str]]:
    """The tensors of a safetensors file and the texts that it keeps, from its header alone; without torch.

    Raises:
        UnreadableCheckpointError: the header is not sound, or does not describe the file's bytes.
    """
    with _refused(path), path.open("rb") as file:
        header = _header(file)
    return header.specs, header.texts


@contextmanager
def _refused(path: Path) -> Iterator[None]:
    """Turn what a header provokes into one error of ours."""
    try:
        yield
    except (
        OSError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError,
    ) as error:  # fmt: skip
        reason = str(error) if type(error) is ValueError else f"its header is not sound: {reason_of(error)}"
        raise UnreadableCheckpointError(str(path), _cut(reason)) from error


def _cut(text: str) -> str:
    return text if len(text) <= _MAX_REASON else f"{text[:_MAX_REASON]}…"


def _header(file: BinaryIO) -> _Header:
    size = os.fstat(file.fileno()).st_size
    length = int.from_bytes(file.read(_LENGTH_BYTES), "little")
    if length > min(_MAX_HEADER_BYTES, size - _LENGTH_BYTES):
        raise ValueError(f"it promises a header of {length:,} bytes, the file has {size:,}")
    known = json.loads(file.read(length).decode(), object_pairs_hook=_unique)
    return _checked(known, _LENGTH_BYTES + length, size - _LENGTH_BYTES - length)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("its header has a key twice")
    return found


def _checked(known: Any, data_begin: int, data_bytes: int) -> _Header:
    """Believe a header; the tensors must lie side by side and fill the data exactly."""
    if not isinstance(known, dict):
        raise ValueError("its header is no JSON object")  # noqa: TRY004 (a fault of the file, as the others)
    texts = {_text(key): _text(value) for key, value in dict(known.pop("__metadata__", None) or {}).items()}
    specs, spans = [], []
    for name, entry in known.items():
        dtype, bits = DTYPES[entry["dtype"]]
        begin, end = _sizes(entry["data_offsets"], "data_offsets", 2)
        spec = TensorSpec(_text(name), _sizes(entry["shape"], "shape", _MAX_DIMENSIONS), dtype)
        if (end - begin) * 8 != spec.numel * bits:
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
    in_file = tuple((data_begin + begin, data_begin + end) for begin, end in spans)
    return _Header(tuple(specs), in_file, texts)


def _text(value: Any) -> str:
    """A text that can be printed and written: JSON's escapes also give halves of characters."""
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    value.encode()
    return value


def _sizes(value: Any, what: str, most: int) -> tuple[int, ...]:
    """Whole numbers of a list. `int()` would take true, "7", 7.5 and infinity too."""
    if not isinstance(value, list) or len(value) > most:
        raise TypeError(f"{what} is no list of up to {most} numbers")
    if not all(type(size) is int and 0 <= size < _MAX_SIZE for size in value):
        raise TypeError(f"{what} holds what is no size")
    return tuple(value)
