"""A cached file handed to its user: a copy in a folder of theirs, under the file's own name."""

from __future__ import annotations

import shutil
from contextlib import suppress
from pathlib import Path

from zoomgr.cache.disk import sha256_of, unique_name
from zoomgr.cache.reading import is_there
from zoomgr.errors import BlobAlteredError, FileUnwritableError, PlaceTakenError, reason_of
from zoomgr.records import CacheEntry


def copy_into(folder: Path, entry: CacheEntry) -> Path:
    """Where the copy lies: hashed, there whole or not at all. A file that is it already stays.

    Args:
        folder: made if need be.
        entry: of the cache.

    Raises:
        PlaceTakenError: something else has its name there.
        BlobAlteredError: the cached file is not any more what was fetched.
        FileUnwritableError: the disk refuses.
    """
    place = folder / Path(entry.filename).name
    temporary = folder / unique_name()
    try:
        if place.is_symlink() or place.exists():
            if not is_there(place) or sha256_of(place) != entry.digest:
                raise PlaceTakenError(str(place), f"it is not the file of {entry.ref}")
            return place
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(entry.path, temporary)
        if (actual := sha256_of(temporary)) != entry.digest:
            raise BlobAlteredError(entry.ref, str(entry.path), str(entry.digest), str(actual))
        temporary.replace(place)
    except OSError as error:
        raise FileUnwritableError(str(place), reason_of(error)) from error
    finally:
        with suppress(OSError):
            temporary.unlink()
    return place
