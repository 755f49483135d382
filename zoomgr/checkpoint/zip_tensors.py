"""Where the tensors of a zip file of torch.save lie, told by its directory and its pickle; without torch."""

from __future__ import annotations

import itertools
import struct
import sys
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from zoomgr.checkpoint.index import ITEM_BYTES, stored
from zoomgr.checkpoint.inert import Call, Global, Persistent, described
from zoomgr.checkpoint.pickles import is_plain

_STORAGES: Mapping[str, str] = {
    "Double": "float64", "Float": "float32", "Half": "float16", "BFloat16": "bfloat16",
    "Long": "int64", "Int": "int32", "Short": "int16", "Char": "int8", "Byte": "uint8", "Bool": "bool",
    "ComplexFloat": "complex64", "ComplexDouble": "complex128",
}  # fmt: skip
"""torch.…Storage -> the type of its values (torch/storage.py, `_dtype_to_storage_type_map`)."""

DTYPES = frozenset(_STORAGES.values())
"""Types of tensors that have an index where `torch.save` writes them."""

_REBUILD = Global("torch._utils._rebuild_tensor_v2")
_PARAMETER = Global("torch._utils._rebuild_parameter")
_VALUES = frozenset(
    Global(name)
    for name in (
        "torch.Size", "torch.device", "torch.serialization._get_layout", "_codecs.encode",
        "builtins.bytearray", "builtins.complex", "builtins.set",
        "__builtin__.bytearray", "__builtin__.complex", "__builtin__.set",
    )
)  # fmt: skip
"""What is called to make what is neither a tensor nor a mapping."""

_PARTS = (
    6  # storage, offset, shape, stride, requires_grad, hooks; a seventh says that the values are conjugated
)

_LOCAL_HEADER = struct.Struct("<4s22xHH")  # signature, …, lengths of name and extra field (APPNOTE.TXT 4.3.7)
_MAX_PICKLE_BYTES = 64 << 20


def stored_tensors(path: Path, members: Sequence[zipfile.ZipInfo]) -> Mapping[str, Any]:
    """The saved mapping, perhaps nested, its tensors as `Stored`.

    Args:
        path: the file.
        members: its directory.

    Raises:
        OSError, zipfile.BadZipFile: it cannot be read.
        ValueError: it holds what is not understood here, or what cannot be mapped.
    """
    by_name = {member.filename: member for member in members}
    (pickle,) = [name for name in by_name if name.endswith("/data.pkl")]
    root = pickle.removesuffix("data.pkl")
    if by_name[pickle].file_size > _MAX_PICKLE_BYTES:
        raise ValueError("its pickle is too large")
    with zipfile.ZipFile(path) as archive:
        saved = described(archive.read(pickle), is_plain)
        order = archive.read(f"{root}byteorder") if f"{root}byteorder" in by_name else b"little"
    if order.decode() != sys.byteorder or not isinstance(saved, dict):
        raise ValueError("it is no mapping of this machine's byte order")
    with path.open("rb") as file:
        return _filled(saved, _Storages(file, by_name, root).tensor)


class _Storages:
    """The records `data/KEY` of a file, each of them a storage."""

    def __init__(self, file: BinaryIO, members: Mapping[str, zipfile.ZipInfo], root: str) -> None:
        self._file = file
        self._members = members
        self._root = root
        self._begins: dict[str, int] = {}

    def tensor(self, call: Call) -> Any:
        """What a call in the pickle would have made, where that is a tensor or a parameter."""
        if call.function == _PARAMETER and isinstance(call.arguments[0], Call):
            return self.tensor(call.arguments[0])
        if isinstance(call.function, Global) and call.function in _VALUES:
            return call
        # Whatever else is called may give tensors, which must not get lost: `torch.load` calls it.
        if call.function != _REBUILD or len(call.arguments) != _PARTS:
            raise ValueError("what is called is not understood")
        persistent, offset, shape, stride, *_ = call.arguments
        dtype, member, count = self._storage(persistent)
        begin = self._begin(member)
        tensor = stored(dtype, shape, begin + offset * ITEM_BYTES[dtype], stride)
        ends_inside = begin <= tensor.begin <= begin + member.file_size - tensor.size_bytes
        if not ends_inside or count * ITEM_BYTES[dtype] != member.file_size:
            raise ValueError("a tensor is larger than its record")
        return tensor

    def _storage(self, persistent: Any) -> tuple[str, zipfile.ZipInfo, int]:
        if not isinstance(persistent, Persistent):
            raise ValueError("a tensor has no storage")  # noqa: TRY004 [of the file, not of a caller]
        _, kind, key, _, count = persistent.key
        if not isinstance(key, str):  # to write out nested tuples could take for ever
            raise ValueError("a storage's key is no text")  # noqa: TRY004 [as above]
        dtype = _STORAGES[kind.name.removeprefix("torch.").removesuffix("Storage")]
        member = self._members[f"{self._root}data/{key}"]
        if member.compress_type != zipfile.ZIP_STORED or member.flag_bits & 1:
            raise ValueError("its records are compressed or encrypted")
        return dtype, member, count

    def _begin(self, member: zipfile.ZipInfo) -> int:
        """Where a record's bytes begin: behind its own header, whose padding the directory does not tell."""
        if member.filename not in self._begins:
            self._file.seek(member.header_offset)
            signature, name, extra = _LOCAL_HEADER.unpack(self._file.read(_LOCAL_HEADER.size))
            if signature != b"PK\x03\x04":
                raise ValueError("its directory does not fit its records")
            self._begins[member.filename] = member.header_offset + _LOCAL_HEADER.size + name + extra
        return self._begins[member.filename]


_MAX_DEPTH = 32  # of mappings in mappings; no training script comes near
_MAX_VISITS = 1_000_000  # far beyond any network; ends mappings that hold one another over and over


def _filled(saved: Mapping[Any, Any], tensor: Callable[[Call], Any]) -> dict[Any, Any]:
    """A copy in which each call is what `tensor` makes of it."""
    visits = itertools.count()

    def filled(value: Any, depth: int) -> Any:
        if next(visits) > _MAX_VISITS or depth > _MAX_DEPTH:
            raise ValueError("its mappings are nested without end")
        if isinstance(value, dict):
            return {key: filled(item, depth + 1) for key, item in value.items()}
        return tensor(value) if isinstance(value, Call) else value

    return {key: filled(value, 1) for key, value in saved.items()}
