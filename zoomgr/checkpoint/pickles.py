"""What a pickle asks for, read off its opcodes; nothing is executed or imported."""

from __future__ import annotations

import pickletools
import re
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO

_PLAIN = re.compile(
    r"collections\.(OrderedDict|Counter)"
    r"|torch\._utils\._rebuild_\w+"
    r"|torch\.((cuda\.)?\w+Storage|storage\.\w+|Size|Tensor|device|nn\.parameter\.Parameter)"
    r"|torch\.(q?u?int\d+\w*|b?float\d+\w*|complex\d+|bool|quint\dx\d|per_\w+)"
    r"|torch\.serialization\._get_layout|torch\._tensor\._rebuild_from_type_v2"
    r"|_codecs\.encode|builtins\.(bytearray|set|complex)|__builtin__\.(set|bytearray|complex)"
)
"""Globals that a plain state dict is made of: not worth a word when a pickle is refused for others.

What may be built is decided by torch's own list (`weights_only=True`); this one decides what is said, and
which files need not be built at all (`zip_tensors`).
"""


def is_plain(name: str) -> bool:
    """Whether a global, MODULE.NAME, is one that state dicts are made of."""
    return _PLAIN.fullmatch(name) is not None


_MAX_PICKLE_BYTES = 256 << 20
_STREAM_PICKLES = 5  # an old-format file: magic number, protocol, sizes, the object, the storages' keys


def foreign_globals(path: Path) -> tuple[str, ...]:
    """Globals that the pickles of a file ask for and that no state dict needs, sorted.

    What cannot be followed (a damaged pickle) ends the search: what was found until then is returned.
    """
    wanted: set[str] = set()
    with suppress(Exception):  # zipfile and pickletools raise whatever the bytes provoke
        for name in _all_globals(path):
            wanted.add(name)
    return tuple(sorted(name for name in wanted if not is_plain(name)))


def _all_globals(path: Path) -> Iterator[str]:
    if not zipfile.is_zipfile(path):
        with path.open("rb") as stream:
            for _ in range(_STREAM_PICKLES):
                yield from _globals(stream)
        return
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            if member.filename.endswith(".pkl") and member.file_size <= _MAX_PICKLE_BYTES:
                with archive.open(member) as stream:
                    yield from _globals(stream)


def _globals(stream: IO[bytes]) -> Iterator[str]:
    """MODULE.NAME of every global of the next pickle; `?` for a part that is itself computed."""
    memo: dict[int, str] = {}
    texts = ["?", "?"]  # the last two strings put on the stack, for STACK_GLOBAL
    top = "?"
    for opcode, argument, _ in pickletools.genops(stream):
        name = opcode.name
        if name in {"GLOBAL", "INST", "STACK_GLOBAL"}:
            yield ".".join(texts) if argument is None else str(argument).replace(" ", ".", 1)
            top = "?"
        elif name == "MEMOIZE":
            memo[len(memo)] = top
        elif name in {"PUT", "BINPUT", "LONG_BINPUT"}:
            memo[int(argument or 0)] = top
        else:
            top = (
                memo.get(int(argument or 0), "?")
                if name in {"GET", "BINGET", "LONG_BINGET"}
                else _text(argument)
            )
            if top != "?":
                texts = [texts[1], top]


def _text(argument: object) -> str:
    return argument if isinstance(argument, str) else "?"
