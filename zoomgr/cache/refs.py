"""How the cache writes down what it knows: file names, refs and memos as JSON. Nothing here writes."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from zoomgr.errors import CacheDamagedError, reason_of
from zoomgr.records import CacheEntry, Digest

VERSION = "v1"
"""The folder of this layout; another layout gets another folder beside it."""

_SLUG_LENGTH = 80  # with the digits and the suffix well below the 255 bytes that file systems allow
_NAME_DIGITS = 16
_BLOCK_BYTES = 1 << 16  # more than any record has


def file_name(text: str) -> str:
    """A file name for any text: readable, the same each time, and never a path (`../x` gives `x-….json`)."""
    slug = re.sub(r"[^A-Za-z0-9._=@-]+", "-", text)[:_SLUG_LENGTH].strip(".-")
    digits = hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:_NAME_DIGITS]
    return f"{slug}-{digits}.json" if slug else f"{digits}.json"


def blob_in(base: Path, digest: Digest) -> Path:
    """Where the cache at `base` keeps the file of a whole digest."""
    return _blob_folder(base, digest.hex[:2]) / digest.hex


@functools.lru_cache(maxsize=512)  # to join paths is half of what reading a record costs
def _blob_folder(base: Path, start: str) -> Path:
    return base / VERSION / "blobs" / "sha256" / start


def index_in(base: Path, digest: Digest) -> Path:
    """Where the cache at `base` keeps where the tensors of a file lie."""
    return base / VERSION / "index" / f"{digest.hex}.json"


def converted_in(base: Path, digest: Digest) -> Path:
    """Where the cache at `base` keeps the copy of a file that can be mapped, for one that cannot."""
    return base / VERSION / "converted" / digest.hex


def ref_in(base: Path, ref: str) -> Path:
    """Where the cache at `base` keeps what it knows of a ref."""
    return refs_in(base) / file_name(ref)


def refs_in(base: Path) -> Path:
    """The folder in which the cache at `base` keeps what it knows of refs."""
    return base / VERSION / "refs"


def cards_in(base: Path) -> Path:
    """The folder in which the cache at `base` keeps cards of weights of one's own, named as refs are."""
    return base / VERSION / "cards"


def dump_entry(entry: CacheEntry) -> bytes:
    """The JSON of a ref; the blob's place follows from the digest and is not written."""
    known: dict[str, Any] = {
        "ref": entry.ref,
        "digest": str(entry.digest),
        "size_bytes": entry.size_bytes,
        "url": entry.url,
        "promised": str(entry.promised) if entry.promised else None,
        "fetched_at": entry.fetched_at,
        "license": entry.license,
        "filename": entry.filename,
    }
    return json.dumps(known, indent=1).encode()


def read_entry(path: Path | str, base: Path, *, is_layer: bool = False) -> CacheEntry | None:
    """Read a ref of the cache at `base`; None when there is no such file.

    Of a layer also when this user may not read it: it is somebody else's, and has nothing for this user. The
    own cache must not be passed over so, for what it has recorded is demanded.

    Raises:
        CacheDamagedError: the file is not a ref, or not the one that its name says; or it cannot be read.
    """
    try:
        entry = _entry(json.loads(_content_of(path).decode()), base)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        if is_layer and isinstance(error, PermissionError):
            return None
        raise CacheDamagedError(str(path), reason_of(error)) from error
    if os.path.basename(path) != file_name(entry.ref):  # noqa: PTH119 [as `records_in`]
        raise CacheDamagedError(str(path), f"it speaks of another ref, {entry.ref}")
    return entry


def parse_entry(content: bytes, base: Path = Path()) -> CacheEntry | None:
    """The ref that somebody else's cache at `base` has, as `dump_entry` writes it; None when it is none."""
    try:
        return _entry(json.loads(content), base)
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def _content_of(path: Path | str) -> bytes:
    """The bytes of a file; a file object would cost as much again, and a cache has thousands of records."""
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
    try:
        content = b""
        while block := os.read(descriptor, _BLOCK_BYTES):
            content += block
        return content
    finally:
        os.close(descriptor)


def records_in(base: Path, *, is_layer: bool = False) -> Iterator[CacheEntry | CacheDamagedError]:
    """Every record of the cache at `base`, sorted by file name, also where its blob is missing.

    Raises:
        CacheDamagedError: their folder cannot be read; one of a layer then has none, as in `read_entry`.
    """
    folder = refs_in(base)
    for name in sorted(record_names(base, is_layer=is_layer)):
        try:
            # Text, for to make a path of each takes as long as to read it.
            entry = read_entry(f"{folder}/{name}", base, is_layer=is_layer)
        except CacheDamagedError as error:
            yield error
        else:
            if entry:  # else it was removed since the folder was listed
                yield entry


def record_names(base: Path, *, is_layer: bool = False) -> list[str]:
    """The file names of all records of the cache at `base`, in no order; raises as `records_in`."""
    folder = refs_in(base)
    try:
        return [name for name in os.listdir(folder) if name.endswith(".json")]  # noqa: PTH208 [names, no paths]
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        if is_layer and isinstance(error, PermissionError):
            return []
        raise CacheDamagedError(str(folder), reason_of(error)) from error


def _entry(known: dict[str, Any], base: Path) -> CacheEntry:
    digest = Digest.parse(known["digest"])
    if digest.is_weak:
        raise ValueError(f"{digest} is not whole")
    return CacheEntry(
        ref=_text(known, "ref"),
        path=blob_in(base, digest),
        digest=digest,
        size_bytes=int(known["size_bytes"]),
        url=_text(known, "url"),
        promised=Digest.parse(known["promised"]) if known["promised"] else None,
        fetched_at=_text(known, "fetched_at"),
        license=_text(known, "license"),
        filename=_text(known, "filename"),
    )


def _text(known: dict[str, Any], key: str) -> str:
    if not isinstance(value := known[key], str):
        raise TypeError(f"{key} is no text")
    return value


@dataclass(frozen=True, slots=True)
class Memo:
    """What a blob's file looked like when it was last proven; any change of it is worth a new proof."""

    size_bytes: int
    mtime_ns: int
    inode: int

    @classmethod
    def of(cls, stat: os.stat_result) -> Self:
        """The memo of a file as it is now."""
        return cls(stat.st_size, stat.st_mtime_ns, stat.st_ino)

    def dump(self) -> bytes:
        """As JSON."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def read(cls, path: Path) -> Self | None:
        """Read it back; None when it is missing or damaged, for then the blob is simply hashed again."""
        try:
            return cls(**json.loads(path.read_bytes()))
        except (OSError, ValueError, TypeError):
            return None
