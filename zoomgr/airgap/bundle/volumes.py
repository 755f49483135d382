"""What a bundle is written to: a file, volumes of one size (zoo.tar.001, …) that `cat` joins, or a pipe."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Protocol

from zoomgr.cache.disk import check_room
from zoomgr.cache.syncing import Syncing
from zoomgr.errors import FileUnwritableError, reason_of

_LEAST_DIGITS = 3
_NUMBERED = re.compile(rf"(.+)\.(\d{{{_LEAST_DIGITS},}})", re.DOTALL)


def volume(path: Path, number: int, digits: int = _LEAST_DIGITS) -> Path:
    """The name of a volume, the first is 1; with more digits where there are more than 999 of them."""
    return path.with_name(f"{path.name}.{number:0{digits}}")


def volume_number(path: Path) -> tuple[Path, int, int] | None:
    """What `volume` was given for a name; None when it is no volume's."""
    found = _NUMBERED.fullmatch(path.name)
    return (path.with_name(found[1]), int(found[2]), len(found[2])) if found else None


class Target(Protocol):
    """What a bundle is written to.

    Raises (all methods):
        FileUnwritableError, DiskFullError: it cannot be written.
    """

    def begin(self, total_bytes: int) -> None:
        """So many bytes will be written."""
        ...

    def write(self, block: bytes | memoryview) -> None:
        """Write all of it."""
        ...

    def finish(self) -> None:
        """All is written."""
        ...

    def discard(self) -> None:
        """Remove what is unfinished."""
        ...


class Piped:
    """A stream that another program reads, such as ssh.

    After an export that failed it lacks its end, and no import takes it.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def begin(self, total_bytes: int) -> None:
        """Nothing to prepare."""

    def write(self, block: bytes | memoryview) -> None:
        """Write all of it."""
        self._stream.write(block)

    def finish(self) -> None:
        """Hand over the rest."""
        self._stream.flush()

    def discard(self) -> None:
        """What is out cannot be called back."""


class Volumes:
    """A file, or volumes; none has its final name before all of them are on the disk, and the first is last.

    Args:
        path: of the file; volumes have a number behind it.
        volume_bytes: size of each volume but the last; None for one file.
    """

    def __init__(self, path: Path, volume_bytes: int | None = None) -> None:
        self._path = path
        self._volume_bytes = volume_bytes
        self._names: list[Path] = []
        self._written: list[_Growing] = []
        self._room = 0

    def begin(self, total_bytes: int) -> None:
        """Nothing is written over but what the bundle takes the place of."""
        self._names = [self._path]
        if self._volume_bytes:
            count = -(-total_bytes // self._volume_bytes)
            digits = max(_LEAST_DIGITS, len(str(count)))
            self._names = [volume(self._path, number, digits) for number in range(1, count + 1)]
            further = volume(self._path, count + 1, digits)
            if further.exists():  # it would be taken for one of this
                reason = f"{further} is of an earlier bundle, and must be removed first"
                raise FileUnwritableError(str(self._path), reason)
        for name in self._names:
            if name.is_dir():
                raise FileUnwritableError(str(name), "it is a folder")
        if not self._path.parent.is_dir():
            raise FileUnwritableError(str(self._path), f"there is no folder {self._path.parent}")
        check_room(self._path.parent, total_bytes)

    def write(self, block: bytes | memoryview) -> None:
        """Write all of it, over as many volumes as that takes."""
        left = memoryview(block)
        while left:
            if not self._room:
                self._next()
            piece = left[: self._room]
            self._written[-1].write(piece)
            self._room -= len(piece)
            left = left[len(piece) :]

    def finish(self) -> None:
        """Bring the last to the disk, and give all their names."""
        self._written[-1].close()
        for written in reversed(self._written):
            written.name_it()

    def discard(self) -> None:
        """Remove what has no final name yet."""
        for written in self._written:
            written.discard()

    def _next(self) -> None:
        if self._written:
            self._written[-1].close()
        name = self._names[len(self._written)]
        self._written.append(_Growing(name))
        self._room = self._volume_bytes or 1 << 63


class _Growing:
    """A file under a temporary name beside its own."""

    def __init__(self, name: Path) -> None:
        self._name = name
        self._path = name.with_name(f".{name.name}.{secrets.token_hex(4)}")
        with _refusals(name):
            self._file = self._path.open("xb")
        self._syncing = Syncing(self._file.fileno())

    def write(self, piece: memoryview) -> None:
        with _refusals(self._name):
            self._file.write(piece)
        self._syncing.wrote(len(piece))

    def close(self) -> None:
        """Bring it to the disk: who sees its name may pull out the stick."""
        with _refusals(self._name), self._file:
            self._file.flush()
            self._syncing.finish()

    def name_it(self) -> None:
        with _refusals(self._name):
            self._path.replace(self._name)

    def discard(self) -> None:
        with suppress(OSError):  # closing flushes, which a full disk refuses again
            self._file.close()
        self._path.unlink(missing_ok=True)


@contextmanager
def _refusals(name: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise FileUnwritableError(str(name), error.strerror or reason_of(error)) from error
