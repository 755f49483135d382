"""What a download writes down, so that another process can go on with it after a kill or a crash.

One line of JSON for each thing that happened, appended; a line that a crash spoilt ends what is known. So who
goes on with a download begins a journal of his own, with what of the old one he relies on.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

from zoomgr.cache.extents import Extent
from zoomgr.errors import redacted

_MOST_BYTES = 64 << 20  # a file of 32 GiB in parts has some 12 MB of notes


@dataclass(frozen=True, slots=True)
class Origin:
    """What the bytes of a download are bytes of.

    Attributes:
        place: digest of the URL, which itself may hold a token.
        shown: the URL without what nobody may see.
        validator: of the version that the bytes are of; empty when the server names none.
        total_bytes: length of the whole file; None when the server does not say.
        boot: the start of the machine in which they were written.
    """

    place: str
    shown: str
    validator: str
    total_bytes: int | None
    boot: str

    @staticmethod
    def place_of(url: str) -> str:
        """What `place` is for a URL."""
        return hashlib.sha256(url.encode("utf-8", "surrogateescape")).hexdigest()

    @classmethod
    def of(cls, url: str, validator: str, total_bytes: int | None, boot: str) -> Self:
        """The origin of what a URL gives now."""
        return cls(cls.place_of(url), redacted(url), validator, total_bytes, boot)


@dataclass(frozen=True, slots=True)
class Known:
    """What a journal tells.

    Attributes:
        origin: of the bytes.
        written: extents that were handed to the system; after a crash of the machine some may be zeros.
        hashed: how many bytes, from the first on, had the digest `sha256`; the last such note.
        sha256: hex.
    """

    origin: Origin
    written: list[Extent] = field(default_factory=list)
    hashed: int = 0
    sha256: str = ""


class Journal:
    """The journal of a download that goes on. Notes may come from several threads.

    Args:
        path: where it lies; one that is there is replaced at once.
        known: what it begins with.

    Raises:
        OSError: the disk refuses.
    """

    def __init__(self, path: Path, known: Known) -> None:
        new = path.with_name(path.name + ".new")
        new.unlink(missing_ok=True)  # not written to: it may be a link to another file
        self._descriptor = os.open(new, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL, 0o644)
        try:
            self._begin(known)
            new.replace(path)
        except BaseException:
            os.close(self._descriptor)
            raise

    def _begin(self, known: Known) -> None:
        origin = known.origin
        self._note("origin", origin.place, origin.shown, origin.validator, origin.total_bytes, origin.boot)
        for start, stop in known.written:
            self.written(start, stop)
        if known.hashed:
            self.hashed(known.hashed, known.sha256)
        if known.hashed:  # else a crash may leave nothing of what it replaces
            os.fsync(self._descriptor)

    def written(self, start: int, stop: int) -> None:
        """These bytes were handed to the system."""
        self._note("written", start, stop)

    def hashed(self, count: int, sha256: str) -> None:
        """The first `count` bytes have this digest."""
        self._note("hashed", count, sha256)

    def alive(self) -> None:
        """Nothing came, but somebody still works on it: other processes look at when this file changed."""
        self._note("alive")

    def close(self) -> None:
        """No note comes after this."""
        descriptor, self._descriptor = self._descriptor, -1
        os.close(descriptor)

    def _note(self, *note: Any) -> None:
        os.write(self._descriptor, json.dumps(note).encode() + b"\n")  # at once: lines never mix


def read_journal(path: Path) -> Known | None:
    """What a journal tells; None when it tells not even the origin."""
    known: Known | None = None
    try:
        for line in _content_of(path).splitlines():
            known = _with(known, json.loads(line))
    except (OSError, ValueError, RecursionError):
        pass  # what was read so far is known
    return known


def _content_of(path: Path) -> bytes:
    """What is in a file: nothing if it is a link, a pipe or a device; the beginning if it is too long."""
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    with open(path, "rb", opener=lambda name, _: os.open(name, flags)) as file:
        return file.read(_MOST_BYTES) if stat.S_ISREG(os.fstat(file.fileno()).st_mode) else b""


def _with(known: Known | None, note: object) -> Known:
    """What is known after a note; ValueError when it is none."""
    match known, note:
        case None, ["origin", str(place), str(shown), str(validator), int() | None as total_bytes, str(boot)]:
            return Known(Origin(place, shown, validator, total_bytes, boot))
        case Known(), ["written", int(start), int(stop)] if 0 <= start <= stop:
            known.written.append((start, stop))
            return known
        case Known(), ["hashed", int(count), str(sha256)] if count >= 0:
            return replace(known, hashed=count, sha256=sha256)
        case Known(), ["alive"]:
            return known
    raise ValueError(f"{note} is no note")
