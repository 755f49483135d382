"""Where a mirror lies, and what is asked of such a place."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit
from urllib.request import url2pathname

from zoomgr.cache.progress import Progress
from zoomgr.errors import InvalidSettingError, redacted
from zoomgr.records import CacheEntry, ModelCard
from zoomgr.settings import place_url

_REMEDY = "give a folder, oci://HOST/PATH, or a URL of a store, such as s3://BUCKET/PATH or sftp://HOST/PATH"


@dataclass(frozen=True, slots=True)
class Model:
    """Weights that go to a mirror.

    Attributes:
        entry: of a cache.
        card: None where no catalogue knows them.
        is_own: whether they are weights of one's own, whose card nodes know from the mirror alone.
    """

    entry: CacheEntry
    card: ModelCard | None = None
    is_own: bool = False

    @property
    def own_card(self) -> ModelCard | None:
        """The card that nodes must find."""
        return self.card if self.is_own else None


class Place(Protocol):
    """A mirror that can be written.

    All of it raises `NetworkError` or `CacheError` when the place does not do what it is asked.

    Attributes:
        has_pages: whether people can look at it with a browser.
    """

    has_pages: bool

    def publish(self, model: Model, progress: Progress) -> bool:
        """See to it that it has a file and then the ref that means it; whether it had not.

        Args:
            model: out of a cache.
            progress: shown while bytes travel.

        Raises:
            BlobAlteredError: the file is not what was proven; the place does not have it then.
        """
        ...

    def names(self) -> frozenset[str]:
        """The file names of all refs that it has."""
        ...

    def record(self, name: str) -> CacheEntry | None:
        """What the ref of a file name says; None when it says nothing that can be used, or is gone."""
        ...

    def read(self, path: str) -> bytes:
        """A file of it; empty when there is none."""
        ...

    def write(self, path: str, content: bytes) -> None:
        """Put a file in its place, at once."""
        ...


def place_of(destination: str, cache: Path, *, offline: bool = False) -> Place:
    """The place that a destination names; touches nothing.

    Args:
        destination: path of a folder, or a URL.
        cache: what is synced from, which cannot be the place too.
        offline: no socket may be opened.

    Raises:
        InvalidSettingError: it is neither, it is the cache, or nothing can be written there.
        MissingPackageError: the client of such places is not installed.
    """
    folder = _folder(destination)
    if folder:
        from zoomgr.airgap.mirror.folder import FolderPlace

        if folder.resolve() == cache.resolve():
            raise InvalidSettingError("DEST", destination, "it is the cache itself", "give another folder")
        return FolderPlace(folder)
    scheme = destination.partition(":")[0].lower()
    if scheme in {"http", "https"}:
        remedy = "write the folder that it serves"
        raise InvalidSettingError("DEST", redacted(destination), "nothing is written to web servers", remedy)
    if offline:
        remedy = "give a folder, or drop --offline (ZOOMGR_OFFLINE)"
        raise InvalidSettingError("DEST", redacted(destination), "offline forbids to write there", remedy)
    if scheme == "oci":
        from zoomgr.airgap.mirror.registry import RegistryPlace

        return RegistryPlace(destination)
    from zoomgr.airgap.mirror.store import StorePlace

    return StorePlace(destination)


def _folder(destination: str) -> Path | None:
    try:
        if "://" not in destination and destination:
            return Path(destination).expanduser().absolute()
        url = place_url(destination)
    except (ValueError, RuntimeError) as error:
        raise InvalidSettingError("DEST", redacted(destination), str(error), _REMEDY) from error
    return Path(url2pathname(urlsplit(url).path)) if url.startswith("file:") else None
