"""What a pickle asks for, read off its opcodes; nothing is executed or imported."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO

from zoomgr.checkpoint.attacks import is_attack
from zoomgr.checkpoint.inert import described

_PLAIN = re.compile(
    r"collections\.(OrderedDict|Counter|defaultdict)"
    r"|torch\._utils\._rebuild_\w+"
    r"|torch\.((cuda\.)?\w+Storage|storage\.\w+|Size|Tensor|device|nn\.parameter\.(Parameter|Buffer))"
    r"|torch\.(q?u?int\d+\w*|b?float\d+\w*|complex\d+|bool|quint\dx\d|per_\w+)"
    r"|torch\.serialization\._get_layout|torch\._tensor\._rebuild_from_type_v2"
    r"|torch\.jit\._pickle\.\w+"
    r"|_codecs\.encode|builtins\.(dict|bytearray|set|frozenset|complex)"
    r"|__builtin__\.(dict|set|frozenset|bytearray|complex)"
)
"""Globals that a plain state dict is made of: not worth a word when a file asks for others too."""


def is_plain(name: str) -> bool:
    """Whether a global, MODULE.NAME, is one that state dicts are made of."""
    return _PLAIN.fullmatch(name) is not None


_STREAM_PICKLES = 5  # an old-format file: magic number, protocol, sizes, the object, the storages' keys


class Asked:
    """Writes down what pickles ask for; to be given to `described`, which then goes on."""

    def __init__(self) -> None:
        self._names: dict[str, None] = {}

    def __call__(self, name: str) -> bool:
        """Write a global down, MODULE.NAME; whatever it is, it may be described."""
        self._names[name] = None
        return True

    @property
    def attacks(self) -> tuple[str, ...]:
        """What no training script asks for, sorted; see `is_attack`."""
        return tuple(sorted(filter(is_attack, self._names)))

    @property
    def others(self) -> tuple[str, ...]:
        """What state dicts are not made of, sorted."""
        return tuple(sorted(name for name in self._names if not is_plain(name)))


def attacks_in(path: Path) -> tuple[str, ...]:
    """Globals that the pickles of a file ask for only in order to attack, sorted.

    What cannot be followed (a damaged pickle) ends the search: what was found until then is returned.
    """
    asked = Asked()
    with suppress(Exception):  # zipfile and zlib raise whatever the bytes provoke
        for stream in _pickles(path):
            described(stream, asked)
    return asked.attacks


def _pickles(path: Path) -> Iterator[IO[bytes]]:
    """Each pickle of a file, to be read before the next one is asked for."""
    if not zipfile.is_zipfile(path):
        with path.open("rb") as file:
            for _ in range(_STREAM_PICKLES):
                yield file
        return
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            if member.filename.endswith(".pkl"):
                with archive.open(member) as file:
                    yield file
