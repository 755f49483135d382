"""Writing safetensors: tensor by tensor, whole or not at all, and never over what nobody gave up."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from zoomgr.checkpoint.safetensors import DTYPES
from zoomgr.checkpoint.stream import pieces
from zoomgr.errors import CannotConvertError, FileUnwritableError, InvalidSettingError, reason_of
from zoomgr.records import Digest, TensorSpec

if TYPE_CHECKING:
    from torch import Tensor

SUFFIX = ".safetensors"
_NAMES = {dtype: (name, bits // 8) for name, (dtype, bits) in DTYPES.items()}
"""By torch's name of a type: the format's, and bytes per value."""

_TEXTS = "__metadata__"
_PIECE = 1 << 24  # values
_ALIGNMENT = 8


def check_place(path: Path, *, replace: bool) -> None:
    """Refuse a place where no file can, or may, be written; before anything is read for it.

    Raises:
        InvalidSettingError: it is no name of a safetensors file, or there is something.
        FileUnwritableError: its folder is not there.
    """
    if path.suffix != SUFFIX:
        problem, remedy = "only safetensors are written", f"call it {path.with_suffix(SUFFIX).name or 'X'}"
        raise InvalidSettingError("output", str(path), problem, remedy)
    if path.is_symlink() or path.exists():
        if not path.is_file():
            raise InvalidSettingError("output", str(path), "it is there, and no file", "choose another name")
        if not replace:
            problem, remedy = "it is there already", "choose another name, or --force (replace=True)"
            raise InvalidSettingError("output", str(path), problem, remedy)
    if not path.parent.is_dir():
        raise FileUnwritableError(str(path), f"there is no folder {path.parent}")


def write_safetensors(
    path: Path,
    specs: Sequence[TensorSpec],
    tensor: Callable[[str], Tensor],
    texts: Mapping[str, str],
) -> Digest:
    """Write a file under its final name when it is all there; what had that name is replaced.

    The header keeps the order of `specs`; the values lie by the size of their types, so that each can be
    mapped where it lies. Every tensor is asked for once, written and let go.

    Args:
        path: of the file.
        specs: what it will hold.
        tensor: gives the values of a name.
        texts: kept in the file's own metadata.

    Returns:
        The sha256 of the file.

    Raises:
        CannotConvertError: the format has no such type.
        FileUnwritableError: the disk is full, or refuses; nothing is left behind.
    """
    header, order = _laid_out(path, specs, texts)
    wanted_bytes = len(header) + sum(_size(spec) for spec in specs)
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{os.urandom(4).hex()}")
    sha256 = hashlib.sha256()
    with _refusals(path):
        if shutil.disk_usage(path.parent).free < wanted_bytes:
            raise OSError(errno.ENOSPC, f"no space left for {wanted_bytes:,} bytes")
        try:
            with temporary.open("xb") as file:
                for block in _blocks(header, order, tensor):
                    file.write(block)
                    sha256.update(block)
                file.flush()
                os.fsync(file.fileno())  # some disks say only now that they are full
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    return Digest(sha256.hexdigest())


def _blocks(
    header: bytes, order: Sequence[TensorSpec], tensor: Callable[[str], Tensor]
) -> Iterator[bytes | memoryview]:
    yield header
    for spec in order:
        value = tensor(spec.name).detach().resolve_conj().resolve_neg()
        if (tuple(value.shape), str(value.dtype)) != (spec.shape, f"torch.{spec.dtype}"):
            raise AssertionError(f"{spec.name} is {value.dtype} {tuple(value.shape)}, not {spec}")
        yield from map(_bytes, pieces(value, _PIECE))


def _laid_out(
    path: Path, specs: Sequence[TensorSpec], texts: Mapping[str, str]
) -> tuple[bytes, list[TensorSpec]]:
    """The header, padded, and the order in which the values lie."""
    for spec in specs:
        if problem := _problem(spec):
            raise CannotConvertError(str(path), problem)
    order = sorted(specs, key=lambda spec: -_NAMES[spec.dtype][1])
    offsets, end = {}, 0
    for spec in order:
        offsets[spec.name] = [end, end := end + _size(spec)]
    entries = {
        spec.name: {
            "dtype": _NAMES[spec.dtype][0],
            "shape": spec.shape,
            "data_offsets": offsets[spec.name],
        }
        for spec in specs
    }
    text = json.dumps({_TEXTS: texts, **entries}, separators=(",", ":")).encode()
    text += b" " * (-len(text) % _ALIGNMENT)
    return len(text).to_bytes(8, "little") + text, order


def _problem(spec: TensorSpec) -> str:
    """Why the format cannot have a tensor; empty when it can."""
    if spec.dtype not in _NAMES:
        return f"safetensors have no type for {spec.name}, {spec.dtype}"
    if spec.name == _TEXTS or not spec.name.isprintable():
        return f"{spec.name!r} is no name of a tensor there"
    return ""


def _size(spec: TensorSpec) -> int:
    return spec.numel * _NAMES[spec.dtype][1]


def _bytes(value: Tensor) -> memoryview:
    """The memory of a tensor without gaps; little-endian, as every machine that torch is built for."""
    import torch

    whole: memoryview = value.view(torch.uint8).numpy().data
    return whole


@contextmanager
def _refusals(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise FileUnwritableError(str(path), error.strerror or reason_of(error)) from error
