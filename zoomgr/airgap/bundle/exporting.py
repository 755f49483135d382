"""Out of the cache, into a bundle: one pass over the bytes, which are hashed on the way and held nowhere."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from zoomgr.airgap.bundle.manifest import SIGNATURE, Manifest, Text, texts_for
from zoomgr.airgap.bundle.members import END, header, member_bytes, padding
from zoomgr.airgap.bundle.volumes import Target
from zoomgr.airgap.index import FILENAME, IndexEntry
from zoomgr.cache.copying import Read, copy_hashed
from zoomgr.cache.progress import Progress, SilentProgress
from zoomgr.errors import BlobAlteredError, CacheDamagedError, InvalidSettingError, reason_of
from zoomgr.gate import OWN_FILES
from zoomgr.records import CacheEntry, Digest, ModelCard

Sign = Callable[[bytes], bytes]
"""The ed25519 signature of bytes."""


@dataclass(frozen=True, slots=True)
class Packed:
    """A set of weights in a bundle.

    Attributes:
        ref, digest, size_bytes: as in the index.
        is_left_out: whether its file is not in the bundle, because the other side has it.
    """

    ref: str
    digest: Digest
    size_bytes: int
    is_left_out: bool


def export(
    weights: Sequence[tuple[CacheEntry, ModelCard | None]],
    target: Target,
    *,
    there: Collection[Digest] = (),
    sign: Sign | None = None,
    progress: Progress | None = None,
) -> tuple[Packed, ...]:
    """Write a bundle; the same weights give the same bytes.

    Args:
        weights: proven entries of a cache, with their cards where they are known.
        target: what it is written to.
        there: files that the other side has, which are left out.
        sign: signs it.
        progress: shown while files are copied.

    Raises:
        InvalidSettingError: weights are a file of this disk.
        BlobAlteredError: a file is not what was proven; the bundle is not there then.
        FileUnwritableError, DiskFullError: it cannot be written.
    """
    for entry, card in weights:
        if card and card.ref.scheme in OWN_FILES:
            problem = "a file of this disk means nothing on another"
            raise InvalidSettingError("NAMES", entry.ref, problem, "give it a name with zoomgr add")
    entries = tuple(IndexEntry.of(entry, card) for entry, card in weights)
    texts = texts_for(entries)
    manifest = Manifest(entries, {name: Text.of(content) for name, content in texts.items()})
    index = manifest.dump()
    heads = {FILENAME: index} | ({SIGNATURE: sign(index)} if sign else {}) | texts
    paths = {entry.digest: entry for entry, _ in weights}
    blobs = [blob for digest, blob in manifest.blobs.items() if digest not in there]
    sizes = [(name, len(content)) for name, content in heads.items()]
    sizes += [(blob.place, blob.size_bytes) for blob in blobs]
    try:
        target.begin(sum(member_bytes(*member) for member in sizes) + len(END))
        for name, content in heads.items():
            target.write(header(name, len(content)) + content + padding(len(content)))
        for blob in blobs:
            _copy(paths[blob.digest], blob.place, target, progress or SilentProgress())
        target.write(END)
        target.finish()
    finally:
        target.discard()
    return tuple(
        Packed(entry.ref, entry.digest, entry.size_bytes, entry.digest in there)
        for entry in sorted(entries, key=lambda entry: entry.ref)
    )


def _copy(entry: CacheEntry, place: str, target: Target, progress: Progress) -> None:
    """A blob as a member, proven while it goes out."""
    target.write(header(place, entry.size_bytes))
    with _reading(entry) as read, progress.start(entry.filename, entry.size_bytes) as step:

        def write(block: memoryview) -> None:
            target.write(block)
            step(len(block))

        try:
            actual = str(copy_hashed(read, write, entry.size_bytes))
        except EOFError:
            actual = "a shorter file"
        else:
            actual = "a longer file" if read(memoryview(bytearray(1))) else actual
    if actual != str(entry.digest):
        raise BlobAlteredError(entry.ref, str(entry.path), str(entry.digest), actual)
    target.write(padding(entry.size_bytes))


@contextmanager
def _reading(entry: CacheEntry) -> Iterator[Read]:
    """What reads the file of an entry; CacheDamagedError when it cannot be read."""

    @contextmanager
    def refusals() -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise CacheDamagedError(str(entry.path), reason_of(error)) from error

    def read(buffer: memoryview) -> int:
        with refusals():
            return file.readinto(buffer)

    with refusals():
        file = entry.path.open("rb", buffering=0)
    with file:
        yield read
