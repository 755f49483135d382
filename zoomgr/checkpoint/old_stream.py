"""The old format of torch.save: a row of pickles, then the storages; read without running anything.

The row: a magic number, the protocol, what the machine was, the object, the storages' keys. Then for each key
a count of values (int64) and the values, both little-endian (torch/serialization.py, `_legacy_save`).
"""

from __future__ import annotations

import os
from io import BufferedReader
from typing import Any

from zoomgr.checkpoint.inert import described
from zoomgr.checkpoint.saved import Tree, tree_of
from zoomgr.checkpoint.views import Storage, View, storage_of, values_of

MAGIC_NUMBER = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001
_COUNT_BYTES = 8


class OldStream:
    """A file of the old format.

    Args:
        file: at its begin; open until the stream is no longer used.

    Raises:
        OSError: it cannot be read.
        AttackError: it asks for what only attacks ask for.
        ValueError: torch did not write it, or it is cut or damaged.
    """

    def __init__(self, file: BufferedReader) -> None:
        if described(file) != MAGIC_NUMBER or described(file) != _PROTOCOL:
            raise ValueError("it is a pickle, but torch.save did not write it")
        described(file)  # the machine that wrote it: its order of bytes is not that of the values
        storages: dict[str, Storage] = {}
        self._file = file
        self.tree: Tree = tree_of(file, lambda key: _add(storages, storage_of(key)))
        self._begins = _places(file, described(file), storages)

    def values(self, view: View) -> bytearray:
        """The whole storage of a tensor."""
        if view.storage not in self._begins:
            raise ValueError("it is cut or damaged: a tensor has no values")
        self._file.seek(self._begins[view.storage])
        return values_of(self._file, view.size_bytes)


def _add(storages: dict[str, Storage], one: Storage) -> None:
    if storages.setdefault(one.key, one) != one:
        raise ValueError(f"it is damaged: its storage {one.key[:80]} is of two kinds")


def _places(file: BufferedReader, keys: Any, storages: dict[str, Storage]) -> dict[str, int]:
    """Where the values of each storage begin."""
    if not isinstance(keys, list) or any(not isinstance(key, str) or key not in storages for key in keys):
        raise ValueError("it is damaged: its list of storages is not that of its tensors")
    begins: dict[str, int] = {}
    begin, end = file.tell(), os.fstat(file.fileno()).st_size
    for key in keys:
        one = storages[key]
        file.seek(begin)
        count = int.from_bytes(file.read(_COUNT_BYTES), "little")
        begin += _COUNT_BYTES
        if key in begins or count * one.item_bytes != one.size_bytes or begin + one.size_bytes > end:
            raise ValueError(f"it is cut or damaged: its storage {key[:80]} is not {one.size_bytes:,} bytes")
        begins[key] = begin
        begin += one.size_bytes
    return begins
