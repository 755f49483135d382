"""Opening file URLs: local disks and mounted shares."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urlsplit
from urllib.request import url2pathname

from zoomgr.api import Body, NoSuchFileError, TruncatedBodyError, UnreachableError, reason_of

_CHUNK_BYTES = 1 << 20


class FileBody:
    """The bytes of an open file, from where it stands to the size that it had when it was opened."""

    content_type = ""
    etag = ""

    def __init__(self, url: str, file: BinaryIO, offset: int, total_bytes: int) -> None:
        self.offset = offset
        self.total_bytes: int | None = total_bytes
        self._url = url
        self._file = file
        self._end = total_bytes

    def __iter__(self) -> Iterator[bytes]:
        """Chunks of 1 MiB."""
        received = self.offset
        try:
            while chunk := self._file.read(_CHUNK_BYTES):
                received += len(chunk)
                yield chunk
        except OSError as error:
            raise UnreachableError(self._url, reason_of(error)) from error
        if received < self._end:
            raise TruncatedBodyError(self._url, received, self._end)


class FileTransport:
    """Opens file URLs; needs no network (a share that is mounted is the system's business)."""

    schemes = frozenset({"file"})
    needs_network = False

    @contextmanager
    def open(self, url: str, *, offset: int = 0) -> Iterator[Body]:
        """The file's bytes from `offset` on.

        Raises:
            NoSuchFileError: there is no such file, or it is a folder or a device.
            UnreachableError: it cannot be read, or lies on another host.
        """
        path = _path_of(url)
        try:
            status = path.stat()
            if not stat.S_ISREG(status.st_mode):  # asked before opening: a pipe would wait for a writer
                raise NoSuchFileError(str(path))
            file = path.open("rb")
        except (FileNotFoundError, NotADirectoryError) as error:
            raise NoSuchFileError(str(path)) from error
        except (OSError, ValueError) as error:
            raise UnreachableError(url, reason_of(error)) from error
        with file:
            file.seek(offset)
            yield FileBody(url, file, offset, status.st_size)


def _path_of(url: str) -> Path:
    parts = urlsplit(url)
    if parts.netloc not in {"", "localhost"}:
        raise UnreachableError(url, f"file URLs name files of this host, not of {parts.netloc}")
    return Path(url2pathname(parts.path))
