"""What a bundle is read from: a file, or volumes one after another."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from zoomgr.airgap.bundle.volumes import volume, volume_number
from zoomgr.errors import InvalidBundleError, MissingVolumeError, NoSuchFileError, reason_of


class Source:
    """The bytes of a bundle; a context.

    Args:
        path: the file, or the first volume, or what volumes are called without their numbers.

    Attributes:
        name: of it, for messages.
        left_bytes: how many there are behind those that were read.

    Raises:
        NoSuchFileError: there is none.
        InvalidBundleError: it is a later volume, or cannot be read; the latter also by all methods.
    """

    def __init__(self, path: Path) -> None:
        if not path.exists() and volume(path, 1).exists():
            path = volume(path, 1)
        if not path.exists():
            raise NoSuchFileError(str(path))
        self.name = str(path)
        with self._refusals():
            self._volumes = list(_following(path))
            self.left_bytes = sum(each.stat().st_size for each in self._volumes)
            self._further = iter(self._volumes[1:])
            self._file = path.open("rb", buffering=0)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def exactly(self, count: int) -> bytes:
        """So many bytes; raises as `check_left`."""
        self.check_left(count)
        content = bytearray(count)
        view = memoryview(content)
        while view:
            view = view[self.read(view) or self._cut(len(view)) :]
        return bytes(content)

    def read(self, buffer: memoryview) -> int:
        """Fill a buffer or a part of it; how many bytes, 0 at the end."""
        with self._refusals():
            while not (count := self._file.readinto(buffer)):
                if not self._turn():
                    return 0
        self.left_bytes -= count
        return count

    def skip(self, count: int) -> None:
        """Pass over so many bytes without reading them; raises as `check_left`."""
        self.check_left(count)
        self.left_bytes -= count
        with self._refusals():
            while count:
                here = os.fstat(self._file.fileno()).st_size - self._file.tell()
                self._file.seek(min(count, here), os.SEEK_CUR)
                count -= min(count, here)
                if count and not self._turn():
                    self._cut(count)

    def check_left(self, count: int) -> None:
        """Nothing, when so many bytes are left.

        Raises:
            MissingVolumeError: they are in a volume that is not there.
            InvalidBundleError: they are nowhere.
        """
        if count > self.left_bytes:
            self._cut(count - self.left_bytes)

    def _cut(self, count: int) -> int:
        """Raise that so many bytes are missing."""
        if found := volume_number(self._volumes[-1]):
            base, number, digits = found
            raise MissingVolumeError(str(volume(base, number + 1, digits)))
        raise InvalidBundleError(self.name, f"it is cut off; {count:,} bytes or more are missing")

    def _turn(self) -> bool:
        """Go on to the next volume; False when there is none."""
        path = next(self._further, None)
        if path is not None:
            self._file.close()
            self._file = path.open("rb", buffering=0)
        return path is not None

    @contextmanager
    def _refusals(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise InvalidBundleError(self.name, f"it cannot be read: {reason_of(error)}") from error


def _following(path: Path) -> Iterator[Path]:
    """A file; of the first volume all that follow without a gap."""
    yield path
    if found := volume_number(path):
        base, number, digits = found
        if number != 1:
            first = volume(base, 1, digits)
            raise InvalidBundleError(str(path), f"it is volume {number}; name the first, {first.name}")
        while (path := volume(base, number := number + 1, digits)).exists():
            yield path
