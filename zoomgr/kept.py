"""Checkpoints of the cache, as fast as the disk's own cache: what was found out once of a file is kept.

Where its tensors lie is kept for a file that can be mapped; for one that cannot, a copy that can.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoomgr.cache.refs import Memo
from zoomgr.cache.store import Store
from zoomgr.checkpoint import mapped, read_index
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
        """The tensors of a proven file, mapped where its format can be; see `zoomgr.checkpoint.reading.read`.

        Raises:
            UnreadableCheckpointError, UnsafeCheckpointError: as `zoomgr.checkpoint.reading.read`.
        """
        return self._known(blob, digest) or self._indexed(blob, digest) or self._read(blob, digest)

    def _known(self, blob: Path, digest: Digest) -> Checkpoint | None:
        """By an index that is kept; None when there is none that fits."""
        for content, copy in self._store.indexes(digest, blob):
            with suppress(*_DAMAGED):
                index, of_copy = _parsed(content)
                # A copy is not named by its digest: any change of it is worth a new one.
                if of_copy is None or of_copy == Memo.of(copy.stat()):
                    return mapped(copy if of_copy else blob, index)
        return None

    def _indexed(self, blob: Path, digest: Digest) -> Checkpoint | None:
        from zoomgr.checkpoint import index_of

        index = index_of(blob, self._formats)
        if index is None:
            return None
        self._keep(digest, index)
        try:
            return mapped(blob, index)
        except (OSError, RuntimeError, ValueError):  # a file system without maps, or limits of the process
            return None

    def _read(self, blob: Path, digest: Digest) -> Checkpoint:
        from zoomgr.checkpoint import read
        from zoomgr.checkpoint.torch_files import TorchLegacyFormat

        whole = read(blob, self._formats)
        if whole.format != TorchLegacyFormat.name or not _is_mappable(whole):
            return whole
        made: list[tuple[Index, Memo]] = []
        with suppress(CacheError):
            self._store.keep_converted(digest, lambda path: made.append(_converted(whole, path)))
            self._keep(digest, *made[0])
            return self._known(blob, digest) or whole
        return whole

    def _keep(self, digest: Digest, index: Index, copy: Memo | None = None) -> None:
        of_copy = {"copy": json.loads(copy.dump())} if copy else {}
        with suppress(CacheError):
            self._store.keep_index(digest, json.dumps({**index.dump(), **of_copy}).encode())

    @property
    def _formats(self) -> tuple[Any, ...]:
        return tuple(self._host.formats.items.values())


@lru_cache(maxsize=16)
def _parsed(content: bytes) -> tuple[Index, Memo | None]:
    """An index, and what the copy that it is of looked like; raises `_DAMAGED`."""
    known = json.loads(content)
    return read_index(known), Memo(**known["copy"]) if "copy" in known else None


def _is_mappable(whole: Checkpoint) -> bool:
    """Whether a copy in torch's zip format gets an index."""
    from zoomgr.checkpoint.views import DTYPES

    plain = all(spec.dtype in DTYPES for spec in whole.specs)
    return plain and not any(tensor.is_conj() or tensor.is_neg() for tensor in whole.tensors.values())


def _converted(whole: Checkpoint, path: Path) -> tuple[Index, Memo]:
    """Write the copy; its index, and what it looks like, also under the name that it gets.

    Both are told before it has that name: from then on other processes may replace or remove it.

    Raises:
        OSError: the disk refuses.
    """
    import torch

    from zoomgr.checkpoint import index_of

    # torch's own zip format: its values are aligned for every processor, and any tool opens it.
    try:
        torch.save(dict(whole.tensors), path)
    except RuntimeError as error:  # what its writer raises when the disk is full
        raise OSError(str(error)) from error
    if (index := index_of(path)) is None:
        raise OSError("the copy cannot be mapped")
    ours = replace(index, format=whole.format, metadata=whole.metadata, wrappers=whole.wrappers)
    return ours, Memo.of(path.stat())
