"""What torch.save writes: zip archives, which are mapped, and the old format, which cannot be."""

from __future__ import annotations

import pickle
import warnings
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoomgr.checkpoint.pickles import foreign_globals
from zoomgr.checkpoint.zip_tensors import stored_tensors
from zoomgr.errors import UnreadableCheckpointError, UnsafeCheckpointError, reason_of

if TYPE_CHECKING:
    import torch

ZIP_MAGICS = (b"PK\x03\x04", b"PK\x05\x06")
_LEGACY_MAGIC = pickle.dumps(0x1950A86A20F9469CFC6C, protocol=2)[2:-1]
"""The number that torch.save's old format begins with, as an opcode; the protocol stands before it."""


class TorchZipFormat:
    """torch.save since 1.6: a zip archive with a pickle of the structure and a record for each storage."""

    name = "torch-zip"

    def recognises(self, path: Path, first_bytes: bytes) -> bool:  # noqa: ARG002 (the protocol has it)
        """Whether it is a zip archive; `read` says what is wrong with one that torch did not write."""
        return first_bytes.startswith(ZIP_MAGICS)

    def read(self, path: Path) -> Mapping[str, Any]:
        """The saved mapping; its tensors map the file, privately, where its records are not compressed."""
        records = _records(path)
        if any(member.compress_type != zipfile.ZIP_STORED for member in records):
            return _load(path, mmap=False)
        saved = _load(path, mmap=True)
        # A mapped storage is not compared with its record by torch: it would run into the bytes after it.
        lengths = Counter(member.file_size for member in records)
        if Counter(_storage_bytes(saved)) <= lengths:
            return saved
        return _load(path, mmap=False)

    def read_copied(self, path: Path) -> Mapping[str, Any]:
        """The same in memory: the file may be written over afterwards."""
        _records(path)
        return _load(path, mmap=False)

    def stored(self, path: Path) -> Mapping[str, Any]:
        """The saved mapping, its tensors as `Stored`: found without torch, and without touching their values.

        Raises:
            UnreadableCheckpointError: torch did not write it.
            OSError: it cannot be read.
            ValueError: its tensors cannot be told or mapped this way; `read` may be able to read it.
        """
        return stored_tensors(path, _records(path))


class TorchLegacyFormat:
    """torch.save until 1.5: a stream of pickles, then the storages."""

    name = "torch-legacy"

    def recognises(self, path: Path, first_bytes: bytes) -> bool:  # noqa: ARG002 (the protocol has it)
        """Whether it begins as a pickle; `read` says what is wrong with one that torch did not write."""
        return first_bytes[:1] == pickle.PROTO and first_bytes[1:2] <= bytes([pickle.HIGHEST_PROTOCOL])

    def read(self, path: Path) -> Mapping[str, Any]:
        """The saved mapping, its tensors in memory."""
        with path.open("rb") as file:
            is_torch = _LEGACY_MAGIC in file.read(64)
        if not is_torch:
            _refuse_foreign(path)
            raise UnreadableCheckpointError(str(path), "it is a pickle, but torch.save did not write it")
        return _load(path, mmap=False)

    read_copied = read


def _records(path: Path) -> list[zipfile.ZipInfo]:
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        reason = f"it begins as a zip archive and is cut or damaged ({path.stat().st_size:,} bytes; {error})"
        raise UnreadableCheckpointError(str(path), reason) from error
    names = [member.filename for member in members]
    if any(name.endswith("/constants.pkl") for name in names):
        reason = "it is a TorchScript program, not a state dict; save module.state_dict() of it instead"
        raise UnreadableCheckpointError(str(path), reason)
    if not any(name.endswith("/data.pkl") for name in names):
        inside = ", ".join(names[:3]) or "nothing"
        reason = f"it is a zip archive that torch.save did not write (it holds {inside})"
        raise UnreadableCheckpointError(str(path), reason)
    return members


def _load(path: Path, *, mmap: bool) -> Mapping[str, Any]:
    import torch

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's advice to whoever wrote the file
            saved = torch.load(path, map_location="cpu", weights_only=True, mmap=mmap)
    except Exception as error:
        # torch raises whatever the bytes provoke: RuntimeError, KeyError, EOFError, struct.error, …
        _refuse_foreign(path)
        raise UnreadableCheckpointError(str(path), _reason(error)) from error
    if not isinstance(saved, Mapping):
        reason = f"it holds a {type(saved).__name__}, not a mapping of names to tensors"
        raise UnreadableCheckpointError(str(path), reason)
    return saved


def _reason(error: Exception) -> str:
    """What torch could not read, without its advice to read it unsafely."""
    if not isinstance(error, pickle.UnpicklingError):
        return f"it is cut or damaged: {reason_of(error)}"
    detail = str(error).rpartition("WeightsUnpickler error: ")[2].strip().split("\n")[0]
    return f"its pickle is damaged, or of a kind that cannot be read without running it ({detail})"


def _refuse_foreign(path: Path) -> None:
    if wanted := foreign_globals(path):
        raise UnsafeCheckpointError(str(path), wanted)


def _storage_bytes(saved: Mapping[Any, Any]) -> Iterator[int]:
    """Length of every storage of a mapping's tensors, each storage once."""
    storages: dict[int, torch.UntypedStorage] = {}
    for tensor in _tensors(saved, set()):
        storage = tensor.untyped_storage()
        storages[storage.data_ptr()] = storage
    return (storage.nbytes() for storage in storages.values() if storage.nbytes())


def _tensors(saved: Any, seen: set[int]) -> Iterator[torch.Tensor]:
    import torch

    if isinstance(saved, torch.Tensor):
        if saved.layout == torch.strided:
            yield saved
    elif isinstance(saved, Mapping | list | tuple | set) and id(saved) not in seen:
        seen.add(id(saved))
        for value in saved.values() if isinstance(saved, Mapping) else saved:
            yield from _tensors(value, seen)
