"""One way from a file to a `Checkpoint`."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from zoomgr.checkpoint.index import Index, Stored
from zoomgr.checkpoint.record import Checkpoint, Contents, Saved, specs_of
from zoomgr.checkpoint.safetensors import SafetensorsFormat
from zoomgr.checkpoint.shards import INDEXES, SafetensorsIndexFormat
from zoomgr.checkpoint.torch_files import TorchLegacyFormat, TorchScriptFormat, TorchZipFormat
from zoomgr.checkpoint.unwrap import Unwrapped, unwrap
from zoomgr.errors import UnreadableCheckpointError, reason_of
from zoomgr.hookspecs import CheckpointFormat, CopyingFormat
from zoomgr.records import TensorSpec


class _OwnFormat(CheckpointFormat, Protocol):
    """A format of ours: it can also be read without a map."""

    def read_copied(self, path: Path) -> Mapping[str, Any]: ...


BUILT_IN: tuple[_OwnFormat, ...] = (
    TorchScriptFormat(),
    TorchZipFormat(),
    SafetensorsFormat(),
    TorchLegacyFormat(),
    *INDEXES,
)

_FIRST_BYTES = 64

_NOT_WEIGHTS = (
    (b"version https://git-lfs", "it is a Git LFS pointer; `git lfs pull` fetches the file behind it"),
    (b"<", "it is an HTML or XML page, perhaps a login or error page in place of the file"),
    (b"\x1f\x8b", "it is gzip-compressed; unpack it first"),
    (b"\x89HDF", "it is an HDF5 file, for which no format is installed"),
)
"""What is often found in place of weights, by its first bytes."""


def read(path: Path, formats: Sequence[CheckpointFormat] = (), *, mapped: bool = True) -> Checkpoint:
    """Read the tensors of a file, recognised by its content; nothing in it is executed.

    Args:
        path: the file.
        formats: of plugins; asked before the built-in ones.
        mapped: the tensors may be a map of the file. A file that may be written over while they live, such as
            a user's own, must be read with False: touching a map of a file that was cut kills the process.

    Raises:
        UnreadableCheckpointError: no format knows it, it is cut or damaged, or it holds no tensors.
        UnsafeCheckpointError: it asks for code to run.
    """
    chosen = format_of(path, formats)
    saved = _saved(path, chosen, mapped=mapped)
    found = _unwrapped(path, saved, _has_values)
    metadata = _metadata(found, saved)
    tensors = {name: tensor.detach() for name, tensor in found.tensors.items()}
    if not mapped and not isinstance(chosen, CopyingFormat):
        tensors = copy.deepcopy(tensors)  # in one go: tensors that share values go on sharing them
    return Checkpoint(path, chosen.name, specs_of(tensors), metadata, found.wrappers, tensors)


def inspect(path: Path, formats: Sequence[CheckpointFormat] = ()) -> Contents:
    """What a file holds, as `read` would give it; without torch where a file says where its tensors lie.

    Raises:
        UnreadableCheckpointError, UnsafeCheckpointError: as `read`.
    """
    told = _told(path, format_of(path, formats))
    if told is None:
        whole = read(path, formats)
        return Contents(path, whole.format, whole.specs, whole.metadata, whole.wrappers)
    specs = tuple(TensorSpec(name, one.shape, one.dtype) for name, one in told.tensors.items())
    return Contents(path, told.format, specs, told.metadata, told.wrappers)


def index_of(path: Path, formats: Sequence[CheckpointFormat] = ()) -> Index | None:
    """Where the tensors that `read` would give lie in a file; None when only `read` can tell.

    Raises:
        UnreadableCheckpointError: no format knows it.
    """
    chosen = format_of(path, formats)
    told = None if chosen in INDEXES else _told(path, chosen)  # an index: the values lie in other files
    return told if told and all(one.is_aligned for one in told.tensors.values()) else None


def _told(path: Path, chosen: CheckpointFormat) -> Index | None:
    """What a file says of its tensors, without torch; None when it does not, or when `read` must judge it."""
    if not isinstance(chosen, TorchZipFormat | SafetensorsFormat | SafetensorsIndexFormat):
        return None
    # zipfile, zlib and struct raise whatever the bytes provoke; `read` says what is wrong, or knows better.
    with suppress(Exception):
        saved = chosen.stored(path)
        found = _unwrapped(path, saved, lambda value: isinstance(value, Stored))
        return Index(chosen.name, found.tensors, _metadata(found, saved), found.wrappers)
    return None


def format_of(path: Path, formats: Sequence[CheckpointFormat] = ()) -> CheckpointFormat:
    """The format that knows a file, by its content; reads the start of it, without torch.

    Raises:
        UnreadableCheckpointError: none does, or the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            first_bytes = file.read(_FIRST_BYTES)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        raise UnreadableCheckpointError(str(path), reason_of(error)) from error
    for candidate in (*formats, *BUILT_IN):
        if candidate.recognises(path, first_bytes):
            return candidate
    raise UnreadableCheckpointError(str(path), _what_it_is(first_bytes))


def _saved(path: Path, chosen: CheckpointFormat, *, mapped: bool) -> Mapping[str, Any]:
    try:
        return (
            chosen.read(path) if mapped or not isinstance(chosen, CopyingFormat) else chosen.read_copied(path)
        )
    except OSError as error:
        raise UnreadableCheckpointError(str(path), reason_of(error)) from error


def _unwrapped(path: Path, saved: Mapping[str, Any], is_tensor: Callable[[Any], bool]) -> Unwrapped:
    try:
        return unwrap(saved, is_tensor)
    except ValueError as error:
        raise UnreadableCheckpointError(str(path), str(error)) from error


def _metadata(found: Unwrapped, saved: Mapping[str, Any]) -> dict[str, Any]:
    around = {"beside": found.beside, "copies": found.copies}
    told = saved.metadata if isinstance(saved, Saved) else {}
    return {**told, **{key: names for key, names in around.items() if names}}


def _what_it_is(first_bytes: bytes) -> str:
    if not first_bytes:
        return "it is empty"
    for magic, what in _NOT_WEIGHTS:
        if first_bytes.lstrip().startswith(magic):
            return what
    return f"its first bytes, {first_bytes[:8].hex(' ')}, are of no known format"


def _has_values(value: Any) -> bool:
    """Whether it is a tensor that can fill a parameter: neither sparse nor a mere shape (the meta device)."""
    import torch

    return isinstance(value, torch.Tensor) and value.layout == torch.strided and not value.is_meta
