"""Checkpoints in several files: an index says which tensor is in which; the layout is Hugging Face's."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

from zoomgr.checkpoint.record import Saved
from zoomgr.checkpoint.safetensors import SafetensorsFormat
from zoomgr.checkpoint.torch_files import TorchLegacyFormat, TorchZipFormat
from zoomgr.errors import UnreadableCheckpointError, reason_of

_MAX_INDEX_BYTES = 100_000_000  # as much as the header of a safetensors file
_MAX_SHARDS = 10_000
_FIRST_BYTES = 64
_SHOWN = 3
_MARK = b'"weight_map"'


class SafetensorsIndexFormat:
    """`*.safetensors.index.json`: the shards lie beside it."""

    name = "safetensors-index"
    _suffix = ".safetensors"
    _formats: tuple[Any, ...] = (SafetensorsFormat(),)

    def recognises(self, path: Path, first_bytes: bytes) -> bool:
        """Whether it is JSON that maps names of tensors to names of such files."""
        if not first_bytes.lstrip().startswith(b"{") or path.stat().st_size > _MAX_INDEX_BYTES:
            return False
        content = path.read_bytes()
        return _MARK in content and f'{self._suffix}"'.encode() in content

    def read(self, path: Path) -> Mapping[str, Any]:
        """The tensors of all shards, in the order of the index, as each shard's own format gives them."""
        return self._together(path, lambda one, shard: one.read(shard))

    def read_copied(self, path: Path) -> Mapping[str, Any]:
        """The same in memory."""
        return self._together(path, lambda one, shard: one.read_copied(shard))

    def stored(self, path: Path) -> Mapping[str, Any]:
        """The same as `zoomgr.checkpoint.index.Stored`, counted from the begin of each shard; without torch.

        Raises:
            ValueError: a shard cannot be told this way.
        """
        return self._together(path, lambda one, shard: one.stored(shard))

    def _together(self, path: Path, read: Callable[[Any, Path], Mapping[str, Any]]) -> Saved:
        with _refused(path):
            names, shards, told = _index(path)
            found: dict[str, Any] = {}
            for shard, promised in shards.items():
                tensors = read(self._format_of(shard), shard)
                _compare(path, shard, promised, tensors)
                found |= tensors
            return Saved({name: found[name] for name in names}, told)

    def _format_of(self, shard: Path) -> Any:
        with shard.open("rb") as file:
            first_bytes = file.read(_FIRST_BYTES)
        for one in self._formats:
            if one.recognises(shard, first_bytes):
                return one
        raise ValueError(f"its shard {shard.name} is of another format")


class TorchIndexFormat(SafetensorsIndexFormat):
    """`*.bin.index.json`: the same with shards that torch.save has written."""

    name = "torch-index"
    _suffix = ".bin"
    _formats = (TorchZipFormat(), TorchLegacyFormat())

    def recognises(self, path: Path, first_bytes: bytes) -> bool:
        """Whether it is JSON that maps names of tensors to names of files that are no safetensors."""
        if not first_bytes.lstrip().startswith(b"{") or path.stat().st_size > _MAX_INDEX_BYTES:
            return False
        return _MARK in path.read_bytes()


INDEXES: tuple[SafetensorsIndexFormat, ...] = (SafetensorsIndexFormat(), TorchIndexFormat())


def _index(path: Path) -> tuple[list[str], dict[Path, set[str]], dict[str, Any]]:
    """All names in their order, the names of each file, and what the index says beside."""
    known = json.loads(path.read_bytes(), object_pairs_hook=_unique)
    weight_map, told = known["weight_map"], known.get("metadata") or {}
    if not isinstance(weight_map, dict) or not isinstance(told, dict) or not weight_map:
        raise ValueError("its weight_map is no mapping of names to files")
    by_file: dict[str, set[str]] = {}
    for name, file in weight_map.items():
        by_file.setdefault(file, set()).add(name)
    if len(by_file) > _MAX_SHARDS:
        raise ValueError(f"it names more than {_MAX_SHARDS:,} files")
    texts = {key: value for key, value in told.items() if isinstance(value, str | int | float)}
    return list(weight_map), {_shard(path, file): names for file, names in by_file.items()}, texts


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("it has a key twice")
    return found


def _shard(path: Path, name: str) -> Path:
    """A file beside the index: no other folder, by whatever name or link."""
    if PurePosixPath(name).name != name or "\\" in name or ":" in name or name in {"", ".", ".."}:
        raise ValueError(f"it names {name[:80]!r}, which is no file beside it")
    shard = path.parent / name
    if not shard.exists():
        raise ValueError(f"its shard {name[:80]} is missing")
    if shard.is_symlink() and not _may_link(path, shard):
        raise ValueError(f"its shard {name[:80]} is a link that leads out of its folder")
    if not shard.is_file():
        raise ValueError(f"its shard {name[:80]} is no file")
    return shard


def _may_link(path: Path, shard: Path) -> bool:
    """Within the folder, or as Hugging Face's cache links index and shards: to `blobs` beside `snapshots`."""
    target, folder = shard.resolve(), path.parent.resolve()
    if target.is_relative_to(folder):
        return True
    in_hub = folder.parent.name == "snapshots" and path.is_symlink()
    return in_hub and target.parent == path.resolve().parent == folder.parent.parent / "blobs"


def _compare(path: Path, shard: Path, promised: set[str], tensors: Mapping[str, Any]) -> None:
    """Refuse a shard that has other tensors than the index says."""
    found = {str(name) for name in tensors}
    for what, names in (("lacks", promised - found), ("has, unknown to the index,", found - promised)):
        if names:
            shown = ", ".join(sorted(names)[:_SHOWN])
            more = f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else ""
            raise UnreadableCheckpointError(str(path), f"its shard {shard.name} {what} {shown[:300]}{more}")


@contextmanager
def _refused(path: Path) -> Iterator[None]:
    """Turn what an index provokes into one error of ours."""
    try:
        yield
    except (OSError, ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        reason = str(error) if type(error) is ValueError else f"its index is not sound: {reason_of(error)}"
        raise UnreadableCheckpointError(str(path), reason[:300]) from error
