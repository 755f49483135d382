"""A mirror in a store that fsspec writes to: a bucket, or a folder of a file server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from zoomgr.airgap.mirror.place import Model
from zoomgr.cache.copying import copy_hashed
from zoomgr.cache.disk import unique_name
from zoomgr.cache.progress import Progress
from zoomgr.cache.refs import blob_in, cards_in, dump_entry, file_name, parse_entry, ref_in, refs_in
from zoomgr.cards import dump_card
from zoomgr.errors import BlobAlteredError, CacheDamagedError, reason_of
from zoomgr.records import CacheEntry
from zoomgr.stores import new_client, store_faults

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

_OF_OBJECTS = frozenset({"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "oss"})
"""Stores in which an object appears when its upload is ended, and to rename one is to copy it."""
_PARTIAL = "v1/partial"


class StorePlace:
    """A store.

    Args:
        url: of the mirror; may hold a login.
    """

    has_pages = True

    def __init__(self, url: str) -> None:
        self._url = url
        self._is_of_objects = url.partition(":")[0].lower() in _OF_OBJECTS
        with store_faults(url):
            self._client: AbstractFileSystem = new_client(url)
            self._root = self._client._strip_protocol(url).rstrip("/")  # noqa: SLF001 [as fsspec's plugins have it]

    def publish(self, model: Model, progress: Progress) -> bool:
        """As `Place.publish`."""
        entry, card = model.entry, model.own_card
        ref, blob = _text(ref_in(Path(), entry.ref)), _text(blob_in(Path(), entry.digest))
        has_blob = self._size_of(blob) == entry.size_bytes
        if not has_blob:
            self._upload(entry, blob, progress)
        known = parse_entry(self.read(ref))
        has_ref = known is not None and known.digest == entry.digest
        if not has_ref:
            self.write(ref, dump_entry(entry))
        if card:
            self.write(_text(cards_in(Path()) / file_name(entry.ref)), dump_card(card))
        return not (has_blob and has_ref)

    def _upload(self, entry: CacheEntry, place: str, progress: Progress) -> None:
        """Hashed while it travels; it gets its name when the digest is right."""
        try:
            source = entry.path.open("rb", buffering=0)
        except OSError as error:
            raise CacheDamagedError(str(entry.path), reason_of(error)) from error
        with source, self._writing(place) as file, progress.start(entry.filename, entry.size_bytes) as step:

            def write(block: memoryview) -> None:
                file.write(bytes(block))
                step(len(block))

            try:
                actual = str(copy_hashed(source.readinto, write, entry.size_bytes))
            except EOFError:
                actual = "a shorter file"
            if actual == str(entry.digest) and source.read(1):
                actual = "a longer file"
            if actual != str(entry.digest):
                raise BlobAlteredError(entry.ref, str(entry.path), str(entry.digest), actual)

    def names(self) -> frozenset[str]:
        """As `Place.names`."""
        with store_faults(self._url):
            self._client.invalidate_cache()
            found = self._client.find(self._path(_text(refs_in(Path()))))
        return frozenset(path.rpartition("/")[2] for path in found)

    def record(self, name: str) -> CacheEntry | None:
        """As `Place.record`."""
        entry = parse_entry(self.read(_text(refs_in(Path()) / name)))
        return entry if entry and file_name(entry.ref) == name else None

    def read(self, path: str) -> bytes:
        """As `Place.read`."""
        with store_faults(self._url):
            self._client.invalidate_cache()
            try:
                content: bytes = self._client.cat_file(self._path(path))
            except FileNotFoundError:
                return b""
        return content

    def write(self, path: str, content: bytes) -> None:
        """As `Place.write`."""
        with self._writing(path) as file:
            file.write(content)

    def _size_of(self, path: str) -> int | None:
        with store_faults(self._url):
            self._client.invalidate_cache()
            try:
                size: int | None = self._client.info(self._path(path)).get("size")
            except FileNotFoundError:
                return None
        return size

    @contextmanager
    def _writing(self, path: str) -> Iterator[BinaryIO]:
        """A file that is there at the end of the context, and is not when that raises."""
        with store_faults(self._url):
            writing = self._object if self._is_of_objects else self._renamed
            with writing(self._path(path)) as file:
                yield file

    @contextmanager
    def _object(self, path: str) -> Iterator[BinaryIO]:
        file = self._client.open(path, "wb", autocommit=False)
        try:
            yield file
            file.close()
        except BaseException:
            with suppress(Exception):  # closing would be tried again, by whoever collects it
                file.close()
            file.discard()
            raise
        file.commit()

    @contextmanager
    def _renamed(self, path: str) -> Iterator[BinaryIO]:
        temporary = self._path(f"{_PARTIAL}/{unique_name()}")
        self._client.makedirs(self._path(_PARTIAL), exist_ok=True)
        try:
            with self._client.open(temporary, "wb") as file:
                yield file
            self._client.makedirs(path.rpartition("/")[0], exist_ok=True)
            self._client.mv(temporary, path)
        except BaseException:
            with suppress(Exception):
                self._client.rm_file(temporary)
            raise

    def _path(self, path: str) -> str:
        return f"{self._root}/{path}"


def _text(path: Path) -> str:
    return path.as_posix()
