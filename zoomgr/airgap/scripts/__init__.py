"""Which weights a script asks for, by its syntax tree alone: nothing of it is run or imported."""

from __future__ import annotations

import ast
import os
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from zoomgr.airgap.scripts.calls import Asked, asked_by
from zoomgr.airgap.scripts.scopes import calls_in
from zoomgr.errors import UnreadableScriptError, printable, reason_of

_SUFFIX = ".py"
_NO_SOURCES = frozenset({"__pycache__", "node_modules", "site-packages"})
_SHOWN = 80


@dataclass(frozen=True, slots=True)
class Call:
    """A place where a script names weights that it will fetch.

    Attributes:
        name: a reference to them, as zoomgr spells it.
        path: the script, as it was given.
        line: from 1.
        library: that is asked: "zoomgr", "torchvision" or "timm"; each looks in its own place.
    """

    name: str
    path: str
    line: int
    library: str


@dataclass(frozen=True, slots=True)
class Unclear:
    """A place that fetches weights, or may, and does not tell which.

    Attributes:
        path: the script, as it was given.
        line: from 1.
        code: what stands there, on one line, shortened.
        why: what cannot be told.
    """

    path: str
    line: int
    code: str
    why: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.why}: {self.code}"


@dataclass(frozen=True, slots=True)
class Found:
    """What scripts ask for, by file and line."""

    calls: tuple[Call, ...] = ()
    unclear: tuple[Unclear, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Each reference once, in the order in which they stand there."""
        return tuple(dict.fromkeys(call.name for call in self.calls))

    def place_of(self, name: str) -> Call:
        """The first call that names it."""
        return next(call for call in self.calls if call.name == name)


def read_scripts(paths: Iterable[Path]) -> Found:
    """What scripts ask zoomgr, torchvision and timm for.

    A name may be written in the call, or be a constant that is assigned once. What is computed is unclear.

    Args:
        paths: files of Python, and folders, of which all `*.py` are read, but for those of hidden folders, of
            virtual environments and of installed packages. One of these that cannot be read is unclear.

    Raises:
        UnreadableScriptError: a file that is named is not there, cannot be read, or is no Python that this
            Python understands.
    """
    calls: list[Call] = []
    unclear: list[Unclear] = []
    for path, is_named in _files(paths):
        try:
            found = _asked_in(path)
        except UnreadableScriptError as error:
            if is_named:
                raise
            unclear.append(Unclear(str(path), error.line, path.name, error.reason))
            continue
        for node, asked in found:
            if asked.name:
                calls.append(Call(asked.name, str(path), node.lineno, asked.library))
            else:
                unclear.append(Unclear(str(path), node.lineno, _shown(node), asked.problem))
    return Found(tuple(calls), tuple(unclear))


def _files(paths: Iterable[Path]) -> Iterator[tuple[Path, bool]]:
    """Files to read, and whether they were named."""
    for path in paths:
        if not path.is_dir():
            yield path, True
            continue
        for folder, folders, files in os.walk(path):
            folders[:] = sorted(name for name in folders if _has_sources(Path(folder, name)))
            yield from ((Path(folder, name), False) for name in sorted(files) if name.endswith(_SUFFIX))


def _has_sources(folder: Path) -> bool:
    """Whether a folder's files are the project's own."""
    is_other = folder.name.startswith(".") or folder.name in _NO_SOURCES
    return not is_other and not (folder / "pyvenv.cfg").exists()


def _asked_in(path: Path) -> list[tuple[ast.Call, Asked]]:
    try:
        with warnings.catch_warnings():  # of the script's own spelling, which is its author's matter
            warnings.simplefilter("ignore")
            tree = ast.parse(path.read_bytes())
        found = [(node, asked) for node, scope in calls_in(tree) for asked in asked_by(node, scope)]
    except SyntaxError as error:
        raise UnreadableScriptError(str(path), error.lineno or 0, f"no Python: {error.msg}") from error
    except (OSError, ValueError, MemoryError, RecursionError) as error:
        raise UnreadableScriptError(str(path), 0, reason_of(error)) from error
    return sorted(found, key=lambda item: item[0].lineno)


def _shown(node: ast.Call) -> str:
    text = printable(ast.unparse(node))
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"
