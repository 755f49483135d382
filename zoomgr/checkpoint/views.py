"""Tensors as torch pickles them: a part of a storage that lies elsewhere in the file; found without torch."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import IO, Any

from zoomgr.checkpoint.index import ITEM_BYTES, MAX_SIZE, Stored, stored
from zoomgr.checkpoint.objects import Call, Global, Persistent

_STORAGES: Mapping[str, str] = {
    "Double": "float64", "Float": "float32", "Half": "float16", "BFloat16": "bfloat16",
    "Long": "int64", "Int": "int32", "Short": "int16", "Char": "int8", "Byte": "uint8", "Bool": "bool",
    "ComplexFloat": "complex64", "ComplexDouble": "complex128", "Untyped": "uint8",
}  # fmt: skip
"""torch.…Storage -> the type of its values (torch/storage.py, `_dtype_to_storage_type_map`)."""

DTYPES = frozenset(_STORAGES.values())
"""Types of tensors that have an index where `torch.save` writes them."""

_PACKED = {"QInt8": 1, "QUInt8": 1, "QInt32": 4, "QUInt4x2": 1, "QUInt2x4": 1}
"""Storages of quantized tensors, and their bytes per value."""

_STORAGE = re.compile(r"torch\.(?:cuda\.|storage\.)?(\w+)Storage")
_MAKES_TENSORS = re.compile(
    r"torch\._utils\._rebuild_\w+|torch\._tensor\._rebuild_from_type_v2|torch\.Tensor"
)
_HOLDS_ONE = frozenset({
    "torch._utils._rebuild_parameter", "torch._utils._rebuild_parameter_with_state",
    "torch.nn.parameter.Parameter", "torch.nn.parameter.Buffer", "torch.nn.Parameter",
})  # fmt: skip
"""What makes a parameter or a buffer of the tensor that is its first argument."""
_TYPES = frozenset(
    Global(name) for name in ("torch.Tensor", "torch.nn.parameter.Parameter", "torch.nn.parameter.Buffer")
)


class NotStridedError(ValueError):
    """What makes a tensor that is no part of a storage as it lies there: sparse, quantized, or conjugated."""


@dataclass(frozen=True, slots=True)
class View:
    """A tensor's values in a storage.

    Attributes:
        storage: its key in the file.
        size_bytes: what the storage must have.
        place: of the values, counted from the begin of the storage.
    """

    storage: str
    size_bytes: int
    place: Stored


def view_of(call: Call) -> View | None:
    """The tensor that a call would have made; None where it makes something else. See torch/_utils.py.

    Whatever comes after hooks says that the values are not as they lie there: conjugated or negated.

    Raises:
        NotStridedError: a tensor of a kind that is not understood here.
        ValueError: the call is not sound.
    """
    match call.name, call.arguments:
        case name, (Call() as tensor, *_) if name in _HOLDS_ONE:
            return view_of(tensor)
        case "torch._tensor._rebuild_from_type_v2", (Global() as function, kind, tuple(inner), _):
            if kind in _TYPES:
                return view_of(Call(function, inner))
            raise NotStridedError(f"it holds a tensor of a kind of its own, {_kind(kind)}")
        case "torch._utils._rebuild_tensor", (storage, offset, shape, stride):
            return _view(storage, offset, shape, stride)
        case "torch._utils._rebuild_tensor_v2", (storage, offset, shape, stride, _, _, *bits) if not any(
            bits
        ):
            return _view(storage, offset, shape, stride)
        case "torch._utils._rebuild_tensor_v3", (storage, offset, shape, stride, _, _, Global(dtype), *bits):
            if not any(bits):
                return _view(storage, offset, shape, stride, dtype.removeprefix("torch."))
    if makes_tensor(call):
        raise NotStridedError(f"it holds a tensor that {call.name} makes")
    return None


def makes_tensor(call: Call) -> bool:
    """Whether the result would be a tensor, of whatever kind."""
    return _MAKES_TENSORS.fullmatch(call.name) is not None


def _kind(value: Any) -> str:
    return value.name if isinstance(value, Global) else "?"


@dataclass(frozen=True, slots=True)
class Storage:
    """What a pickle says of a storage: its key in the file, its bytes, and the type of its values, or ""."""

    key: str
    dtype: str
    item_bytes: int
    size_bytes: int


def storage_of(persistent: Any) -> Storage:
    """The storage that a pickle's persistent id means.

    Raises:
        ValueError: it means none.
    """
    match persistent:
        case ("storage", Global(kind), str(key), _, int(count), *_) if found := _STORAGE.fullmatch(kind):
            dtype = _STORAGES.get(found[1], "")
            item_bytes = ITEM_BYTES[dtype] if dtype else _PACKED.get(found[1], 0)
            if 0 <= count < MAX_SIZE and item_bytes:
                return Storage(key, dtype, item_bytes, count * item_bytes)
    raise ValueError("what it keeps outside of its pickle is no storage")


def _view(outside: Any, offset: Any, shape: Any, stride: Any, dtype: str = "") -> View:
    if not isinstance(outside, Persistent):
        raise ValueError("a tensor has no storage")  # noqa: TRY004 [of the file, not of a caller]
    storage = storage_of(outside.key)
    if not storage.dtype:
        raise NotStridedError("it holds a quantized tensor")
    dtype = dtype or storage.dtype
    # In the old format a tensor's storage may be a part of the one in the file.
    part = outside.key[5] if len(outside.key) > 5 else None  # noqa: PLR2004 (after the five of every storage)
    first = part[1] * storage.item_bytes if part else 0
    place = stored(dtype, _sizes(shape), first + offset * ITEM_BYTES.get(dtype, 1), _sizes(stride))
    if place.begin + place.size_bytes > storage.size_bytes:
        raise ValueError(f"a tensor {place.shape} is larger than its record")
    return View(storage.key, storage.size_bytes, place)


def _sizes(value: Any) -> Any:
    """A shape, plain or as torch.Size."""
    return value.arguments[0] if isinstance(value, Call) and value.name == "torch.Size" else value


def values_of(file: IO[bytes], size_bytes: int) -> bytearray:
    """So many bytes of a file, as a storage; the system gives at most 2 GiB at once.

    Raises:
        ValueError: the file ends before.
    """
    values = bytearray(size_bytes)
    rest = memoryview(values)
    while rest:
        count = file.readinto(rest)  # type: ignore[attr-defined] # (typeshed leaves it out of IO)
        if not count:
            raise ValueError("it is cut or damaged: it ends within its values")
        rest = rest[count:]
    return values
