"""Pages of the docs as programs: their code blocks, run in order as a reader would."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import zoomgr

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"

_BLOCK = re.compile(r'^```(\w+)(?: title="([^"]+)")?\n(.*?)^```$', re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Block:
    """A piece of code on a page.

    Attributes:
        language: as written behind the fence.
        title: the name of the file that it is; empty for what is run.
        text: the code.
        says: what it prints, where a block of text stands right below it; see `is_as_shown`.
    """

    language: str
    title: str
    text: str
    says: str


@dataclass(frozen=True, slots=True)
class Ran:
    """What running a page gave.

    Attributes:
        names: of its Python.
        printed: by each block, in their order.
    """

    names: dict[str, Any] = field(default_factory=dict)
    printed: list[str] = field(default_factory=list)

    def __getitem__(self, name: str) -> Any:
        return self.names[name]


def blocks(page: Path, *languages: str) -> Iterator[Block]:
    """The code of a page in its order, in these languages."""
    text = page.read_text()
    found = list(_BLOCK.finditer(text))
    for one, after in zip(found, [*found[1:], None], strict=False):
        if one[1] in languages:
            is_shown = after and after[1] == "text" and not text[one.end() : after.start()].strip()
            yield Block(one[1], one[2] or "", one[3], after[3] if after and is_shown else "")


def run(page: Path, *languages: str, **names: Any) -> Ran:
    """Run a page in the working folder: its files are written, its Python and its commands run.

    What they print must be as it stands there.

    Args:
        page: Python shares one scope, the commands are the installed ones.
        *languages: of what runs; by default both.
        **names: what its Python finds there already.
    """
    ran = Ran(dict(names))
    zoomgr._default_zoo.cache_clear()
    try:
        for block in sorted(
            blocks(page, *(languages or ("python", "bash"))), key=lambda block: not block.title
        ):
            if block.title:
                Path(block.title).write_text(block.text)
                continue
            printed = _python(block.text, ran.names) if block.language == "python" else shell(block.text)
            ran.printed.append(printed)
            assert not block.says or is_as_shown(printed, block.says), f"{block.text}\nprinted\n{printed}"
    finally:
        zoomgr._default_zoo.cache_clear()
    return ran


def is_as_shown(printed: str, shown: str) -> bool:
    """Whether it is what a page shows; "…" is anything, on a line of its own any lines. Gaps may be wider."""
    pattern = "".join(
        r"(?:.*\n)*?" if line == "…" else re.escape(line).replace("…", ".*?") + r"\n" for line in _even(shown)
    )
    return re.fullmatch(pattern, "".join(f"{line}\n" for line in _even(printed))) is not None


def _even(text: str) -> list[str]:
    return [re.sub(r"[ \t]+", " ", line).strip() for line in text.strip().splitlines()]


def _python(code: str, names: dict[str, Any]) -> str:
    with redirect_stdout(io.StringIO()) as told:
        exec(compile(code, "<page>", "exec"), names)  # noqa: S102 [our own page]
    return told.getvalue()


def shell(script: str) -> str:
    """What a terminal would show of it; every command must succeed."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        env={**os.environ, "PATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{script}\nprinted\n{done.stdout}"
    return done.stdout
