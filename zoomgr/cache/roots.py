"""What stays in the cache whatever is to be removed: what is pinned, and what lock files name.

    v1/pins/<as the record>    a ref
    v1/roots/<any>.json        where a lock file lies, and the digests in it when it was last used here

A lock file is read again when it matters; one that is gone counts no more.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from zoomgr.cache.refs import VERSION, file_name

_DIGEST = re.compile(r"\b[0-9a-f]{64}\b")


def pins_in(base: Path) -> Path:
    """The folder of pins of the cache at `base`, named as the records of refs are."""
    return base / VERSION / "pins"


def pin_of(base: Path, ref: str) -> Path:
    """The pin of a ref."""
    return pins_in(base) / file_name(ref)


def pinned(base: Path) -> frozenset[str]:
    """The names of all pins, which are those of the records."""
    return frozenset(_names_in(pins_in(base)))


def pinned_refs(base: Path) -> tuple[str, ...]:
    """All refs that are pinned, sorted; a pin that cannot be read is shown by its name."""
    return tuple(sorted(_pinned_ref(pins_in(base) / name) for name in pinned(base)))


def _pinned_ref(pin: Path) -> str:
    with suppress(OSError, ValueError, KeyError, TypeError):
        return str(json.loads(pin.read_bytes())["ref"])
    return pin.name


def root_of(base: Path, lock: Path) -> Path:
    """Where the cache at `base` remembers a lock file."""
    return base / VERSION / "roots" / file_name(str(lock))


@dataclass(frozen=True, slots=True)
class Root:
    """A lock file that was used with a cache.

    Attributes:
        lock: where it lies.
        digests: whole digests, in hex, that it named then.
    """

    lock: Path
    digests: frozenset[str]

    @classmethod
    def of(cls, lock: Path) -> Root:
        """As the lock file is now; OSError when it cannot be read.

        Every whole digest in its text counts: so a file that somebody has edited, or that two have and git
        shows both of, keeps what it may mean.
        """
        return cls(lock, frozenset(_DIGEST.findall(lock.read_text(encoding="utf-8", errors="replace"))))

    def dump(self) -> bytes:
        """As JSON."""
        return json.dumps({"lock": str(self.lock), "digests": sorted(self.digests)}, indent=1).encode()

    def now(self) -> Root:
        """As it is now: without digests when it is gone, as it was when this user may not look."""
        try:
            return Root.of(self.lock)
        except (FileNotFoundError, NotADirectoryError):
            return Root(self.lock, frozenset())
        except OSError:
            return self


def locked(base: Path) -> dict[str, Path]:
    """The digests, in hex, that lock files name, and one of the files that does."""
    return {digest: root.lock for root in _roots(base) for digest in root.now().digests}


def _roots(base: Path) -> Iterator[Root]:
    folder = base / VERSION / "roots"
    for name in _names_in(folder):
        try:
            known = json.loads((folder / name).read_bytes())
            yield Root(Path(known["lock"]), frozenset(map(str, known["digests"])))
        except (OSError, ValueError, KeyError, TypeError):
            continue  # a lock file that is used again is remembered again


def _names_in(folder: Path) -> list[str]:
    try:
        return [name for name in os.listdir(folder) if name.endswith(".json")]  # noqa: PTH208 [names, no paths]
    except OSError:
        return []
