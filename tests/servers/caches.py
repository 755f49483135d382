"""What tests of the cache have in common."""

from __future__ import annotations

import hashlib
from pathlib import Path

from zoomgr.cache.store import Store
from zoomgr.records import CacheEntry, Digest


def sha256(content: bytes) -> str:
    """Whole sha256, hex."""
    return hashlib.sha256(content).hexdigest()


def put(store: Store, ref: str, content: bytes, promised: Digest | None = None) -> CacheEntry:
    """Bring content into a store, as a fetch does."""
    with store.partial() as partial:
        partial.write(content)
        return store.commit(
            partial,
            ref=ref,
            url="https://host.example/x.pth",
            promised=promised,
            license="MIT",
            filename="x.pth",
        )


def left_behind(root: Path) -> list[str]:
    """Blobs, refs and partials of a cache: what a failure must not leave."""
    return sorted(
        str(path.relative_to(root))
        for name in ("blobs", "refs", "partial")
        for path in (root / "v1" / name).rglob("*")
        if path.is_file()
    )


def alter(blob: Path, content: bytes = b"something else") -> None:
    """Do to a blob what must never happen to one."""
    blob.chmod(0o644)
    blob.write_bytes(content)
