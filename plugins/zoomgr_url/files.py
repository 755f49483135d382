"""Opening file URLs: local disks and mounted shares."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urlsplit
from urllib.request import url2pathname

from zoomgr.api import WHOLE, Body, NoSuchFileError, Span, TruncatedBodyError, UnreachableError, reason_of

_CHUNK_BYTES = 1 << 20


class FileBody:
    """A part of an open file, which has the size that it had when it was opened."""

    content_type = ""
    accepts_ranges = True

    def __init__(self, url: str, file: BinaryIO, span: Span, status: os.stat_result) -> None:
        self.validator = f"{status.st_ino}-{status.st_mtime_ns}-{status.st_size}"
        if span.validator not in {"", self.validator}:
            span = WHOLE
        self.offset = span.start
        self.total_bytes: int | None = status.st_size
        self._url = url
        self._file = file
        self._end = status.st_size if span.stop is None else min(span.stop, status.st_size)

    def __iter__(self) -> Iterator[bytes]:
        """Chunks of 1 MiB."""
        received = self.offset
        try:
            self._file.seek(self.offset)
            while chunk := self._file.read(min(_CHUNK_BYTES, self._end - received)):
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
    def open(self, url: str, span: Span = WHOLE) -> Iterator[Body]:
        """A part of the file.

        Raises:
            NoSuchFileError: there is no such file, or it is a folder or a device.
            UnreachableError: it cannot be read, or lies on another host.
        """
        path = _path_of(url)
        try:
            status = path.stat()
            if not stat.S_ISREG(status.st_mode):  # asked before opening: a pipe would wait for a writer
                raise NoSuchFileError(str(path))
            file = path.open("rb", buffering=0)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise NoSuchFileError(str(path)) from error
        except (OSError, ValueError) as error:
            raise UnreachableError(url, reason_of(error)) from error
        with file:
            yield FileBody(url, file, span, status)


def _path_of(url: str) -> Path:
    parts = urlsplit(url)
    if parts.netloc not in {"", "localhost"}:
        raise UnreachableError(url, f"file URLs name files of this host, not of {parts.netloc}")
    return Path(url2pathname(parts.path))
