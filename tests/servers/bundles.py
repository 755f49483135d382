"""What tests of bundles have in common: two machines, and tars that no export writes."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from pathlib import Path

from servers.caches import put

from zoomgr.airgap.bundle.exporting import Packed, Sign, export
from zoomgr.airgap.bundle.members import END
from zoomgr.airgap.bundle.volumes import Volumes
from zoomgr.cache.store import Store
from zoomgr.records import Artifact, Digest, ModelCard, ModelRef
from zoomgr.settings import Settings
from zoomgr.zoo import Zoo

CONTENTS = {"own/one": b"weights of one " * 70, "own/two": b"and of two " * 200, "own/three": b"three"}


def machine(folder: Path) -> Zoo:
    """A zoo with a cache of its own, without a network."""
    return Zoo(Settings(cache_dir=folder, offline=True))


def add(zoo: Zoo, ref: str, content: bytes, license: str = "mit") -> None:  # noqa: A002 [the card's word]
    """Weights of one's own, with their card, as `zoomgr add` leaves them."""
    entry = put(zoo.store, ref, content)
    file = Artifact(("file:///here/x.pth",), "x.pth", len(content), entry.digest, "zoomgr add")
    zoo.store.keep_card(ModelCard(ModelRef.parse(ref), artifact=file, license=license))


def export_all(
    zoo: Zoo,
    path: Path,
    *,
    volume_bytes: int | None = None,
    there: frozenset[Digest] = frozenset(),
    sign: Sign | None = None,
) -> tuple[Packed, ...]:
    """Write all that a cache has to a bundle."""
    weights = [(entry, zoo.resolve(entry.ref)) for entry in zoo.cached()]
    return export(weights, Volumes(path, volume_bytes), there=there, sign=sign)


def state(store: Store) -> dict[str, bytes]:
    """All files of a cache that say or hold something, and all that is on its way."""
    return {
        str(path.relative_to(store.root)): path.read_bytes()
        for name in ("blobs", "refs", "partial", "cards")
        for path in (store.root / "v1" / name).rglob("*")
        if path.is_file()
    }


def members(tar: bytes) -> Iterator[tuple[tarfile.TarInfo, bytes]]:
    """What a tar holds, read by the standard library."""
    with tarfile.open(fileobj=io.BytesIO(tar)) as opened:
        for member in opened:
            file = opened.extractfile(member)
            yield member, file.read() if file else b""


def joined(parts: list[tuple[tarfile.TarInfo, bytes]], form: int = tarfile.GNU_FORMAT) -> bytes:
    """A tar of members, in their order, whatever they are; it ends as a bundle does."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as tar:
        for member, content in parts:
            tar.addfile(member, io.BytesIO(content))
        return out.getvalue() + END
