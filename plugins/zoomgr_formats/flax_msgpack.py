"""Flax's `flax.serialization.to_bytes`: MessagePack, with arrays as its extension types.

The wire format is that of flax/serialization.py: extension 1 holds `(shape, name of the type, bytes)`, 2 a
complex number, 3 an array without dimensions; arrays of more than 1 GiB are mappings of flat chunks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from zoomgr_formats.faults import package, refused
from zoomgr_formats.values import Kind, dotted, read_tensor, reader

if TYPE_CHECKING:
    import torch

_ARRAY, _COMPLEX, _SCALAR = 1, 2, 3
_CHUNKED = "__msgpack_chunked_array__"
_MAX_LIST = 1 << 16  # shapes and tuples of arrays; a list costs memory for what it only announces
_MAX_MAP = 1 << 20
_MAX_TEXT_BYTES = 64 << 20
_MAX_ARRAY_BYTES = (1 << 31) - 1  # Flax cuts arrays at 1 GiB; the package knows no more either
_PIECE_BYTES = 1 << 20
_MAX_HEAD_BYTES = 4096  # of an array: its shape and the name of its type
_MAX_DEPTH = 64
_MAX_KEY_BYTES = 31
_SAFETENSORS_HEAD = slice(8, 9)
"""safetensors begin with eight bytes of a length, which may look like a map, then a brace."""


class FlaxFormat:
    """Nested mappings of arrays; names are their keys, joined."""

    name = "flax-msgpack"

    def recognises(self, path: Path, first_bytes: bytes) -> bool:  # noqa: ARG002 (the protocol has it)
        """Whether it begins as a mapping whose first key is a short text."""
        begins = _first_key(first_bytes)
        key = first_bytes[begins + 1 : begins + 1 + (first_bytes[begins] & _MAX_KEY_BYTES)] if begins else b""
        is_key = bool(key) and key.isascii() and key.decode().isprintable()
        return is_key and first_bytes[_SAFETENSORS_HEAD] != b"{"

    def read(self, path: Path) -> Mapping[str, Any]:
        """Its mapping, the tensors in memory: none of them lies where a processor could read it."""
        msgpack = package("msgpack", "a Flax checkpoint")
        with refused(path), path.open("rb") as file:
            saved = _unpacked(msgpack, file, path.stat().st_size, partial(_extension, msgpack))
            if not isinstance(saved, dict):
                raise ValueError("it is no mapping of names to tensors")  # noqa: TRY004 (a fault of the file)
            return _joined(saved, 0)

    read_copied = read


def _first_key(first_bytes: bytes) -> int:
    """Where the first key of a mapping, a text of up to 31 bytes, begins; 0 when there is none."""
    first = first_bytes[:1]
    begins = 1 if b"\x81" <= first <= b"\x8f" else {b"\xde": 3, b"\xdf": 5}.get(first, 0)
    return begins if b"\xa1" <= first_bytes[begins : begins + 1] <= b"\xbf" else 0


def _unpacked(msgpack: Any, file: BinaryIO, size_bytes: int, extension: Callable[[int, bytes], Any]) -> Any:
    """What a file holds; read piece by piece, so that no more than one array is there twice."""
    unpacker = msgpack.Unpacker(
        file,
        read_size=_PIECE_BYTES,
        max_buffer_size=min(size_bytes + 2 * _PIECE_BYTES, _MAX_ARRAY_BYTES),
        ext_hook=extension,
        raw=False,
        strict_map_key=False,
        max_array_len=_MAX_LIST,
        max_map_len=_MAX_MAP,
        max_str_len=_MAX_TEXT_BYTES,
    )
    found = unpacker.unpack()
    if unpacker.tell() != size_bytes:
        raise ValueError(f"behind its mapping are {size_bytes - unpacker.tell():,} more bytes")
    return found


def _extension(msgpack: Any, code: int, data: bytes) -> Any:
    if code in {_ARRAY, _SCALAR}:
        return _tensor(*_array(msgpack, data))
    return "a complex number" if code == _COMPLEX else _no_extension(code, data)


def _array(msgpack: Any, data: bytes) -> tuple[Any, Any, memoryview]:
    """Shape, name of the type, and bytes, which are not copied out: they are what is last."""
    head = msgpack.Unpacker(max_array_len=_MAX_LIST, strict_map_key=False)
    head.feed(data[:_MAX_HEAD_BYTES])
    parts = head.read_array_header()
    shape, kind, begin = head.unpack(), head.unpack(), head.tell()
    mark = data[begin : begin + 1]
    size_bytes = {b"\xc4": 1, b"\xc5": 2, b"\xc6": 4}[mark]  # of the length, by MessagePack's marks of bytes
    values = memoryview(data)[begin + 1 + size_bytes :]
    announced = int.from_bytes(data[begin + 1 : begin + 1 + size_bytes])
    if parts != 3 or announced != len(values):  # noqa: PLR2004 (shape, type, bytes)
        raise ValueError("an array in it is cut or damaged")
    return shape, kind, values


def _no_extension(code: int, _: bytes) -> Any:
    raise ValueError(f"Flax writes no extension {code}")


def _tensor(shape: Any, name: Any, values: memoryview) -> torch.Tensor | str:
    if not _are_sizes(shape) or not isinstance(name, str):
        raise ValueError("an array in it has no shape or no type")
    kind = Kind(name)
    if kind.bytes_of(shape) != len(values):
        raise ValueError(
            f"an array in it has {len(values):,} bytes, {tuple(shape)} {name} takes {kind.bytes_of(shape):,}"
        )
    return read_tensor(reader(values), kind, shape)


def _are_sizes(shape: Any) -> bool:
    return isinstance(shape, list | tuple) and all(type(size) is int for size in shape)


def _joined(saved: Mapping[Any, Any], depth: int) -> dict[str, Any]:
    """The same with chunked arrays made whole."""
    if depth > _MAX_DEPTH:
        raise ValueError(f"its mappings are nested more than {_MAX_DEPTH} deep")
    return dotted((str(key), _value(value, depth)) for key, value in saved.items())


def _value(value: Any, depth: int) -> Any:
    if not isinstance(value, dict):
        return value
    return _whole(value) if _CHUNKED in value else _joined(value, depth + 1)


def _whole(array: dict[str, Any]) -> torch.Tensor:
    """One tensor of an array's chunks; each is let go once it is copied."""
    import torch

    sizes, chunks = array["shape"], array["chunks"]
    shape = [sizes[str(axis)] for axis in range(len(sizes))] if isinstance(sizes, dict) else sizes
    first = chunks["0"]
    have = sum(chunks[str(number)].numel() for number in range(len(chunks)))
    if not _are_sizes(shape) or Kind("uint8").bytes_of(shape) != have:
        raise ValueError(f"the chunks of an array have {have:,} values, which are not its {shape}")
    whole = torch.empty(have, dtype=first.dtype)
    begin = 0
    for number in range(len(chunks)):
        chunk = chunks.pop(str(number)).reshape(-1)
        if chunk.dtype != whole.dtype:
            raise ValueError("the chunks of an array are of several types")
        whole[begin : begin + chunk.numel()] = chunk
        begin += chunk.numel()
    return whole.reshape(shape)
