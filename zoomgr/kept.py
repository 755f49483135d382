"""Checkpoints of the cache, as fast as the disk's own cache: what was found out once of a file is kept.

Where its tensors lie is kept for a file that can be mapped; for one that cannot, a copy that can.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoomgr.cache.refs import Memo
from zoomgr.cache.store import Store
from zoomgr.checkpoint import index_of, mapped, read, read_index
from zoomgr.checkpoint.torch_files import TorchLegacyFormat
from zoomgr.errors import CacheError
from zoomgr.host import PluginHost
from zoomgr.records import Digest

if TYPE_CHECKING:
    from zoomgr.checkpoint import Checkpoint, Index

_DAMAGED = (ValueError, LookupError, TypeError, AttributeError, OSError, RuntimeError)


class Kept:
    """Reads files of the cache.

    Args:
        store: the cache; one that cannot be written keeps nothing, and everything works.
        host: gives the formats of plugins.
    """

    def __init__(self, store: Store, host: PluginHost) -> None:
        self._store = store
        self._host = host

    def checkpoint(self, blob: Path, digest: Digest) -> Checkpoint:
        """The tensors of a proven file, mapped where its format can be; see `zoomgr.checkpoint.read`.

        Raises:
            UnreadableCheckpointError, UnsafeCheckpointError: as `zoomgr.checkpoint.read`.
        """
        return self._known(blob, digest) or self._indexed(blob, digest) or self._read(blob, digest)

    def _known(self, blob: Path, digest: Digest) -> Checkpoint | None:
        """By an index that is kept; None when there is none that fits."""
        for content, copy in self._store.indexes(digest):
            with suppress(*_DAMAGED):
                known = json.loads(content)
                path = copy if "copy" in known else blob
                # A copy is not named by its digest: any change of it is worth a new one.
                if path == blob or Memo(**known["copy"]) == Memo.of(copy.stat()):
                    return mapped(path, read_index(known))
        return None

    def _indexed(self, blob: Path, digest: Digest) -> Checkpoint | None:
        index = index_of(blob, self._formats)
        if index is None:
            return None
        self._keep(digest, index)
        try:
            return mapped(blob, index)
        except (OSError, RuntimeError, ValueError):  # a file system without maps, or limits of the process
            return None

    def _read(self, blob: Path, digest: Digest) -> Checkpoint:
        whole = read(blob, self._formats)
        if whole.format != TorchLegacyFormat.name:
            return whole
        with suppress(CacheError):
            copy = self._store.keep_converted(digest, _saved(whole))
            if index := index_of(copy):
                ours = type(index)(whole.format, index.tensors, whole.metadata, whole.wrappers)
                self._keep(digest, ours, copy)
                return self._known(blob, digest) or whole
        return whole

    def _keep(self, digest: Digest, index: Index, copy: Path | None = None) -> None:
        of_copy: dict[str, Any] = {"copy": json.loads(Memo.of(copy.stat()).dump())} if copy else {}
        with suppress(CacheError):
            self._store.keep_index(digest, json.dumps({**index.dump(), **of_copy}).encode())

    @property
    def _formats(self) -> tuple[Any, ...]:
        return tuple(self._host.formats.items.values())


def _saved(whole: Checkpoint) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        import torch

        # torch's own zip format: its values are aligned for every processor, and any tool opens it.
        try:
            torch.save(dict(whole.tensors), path)
        except RuntimeError as error:  # what its writer raises when the disk is full
            raise OSError(str(error)) from error

    return write
