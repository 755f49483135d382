"""What a terminal shows of a command, and a browser of a page, as pictures."""

from __future__ import annotations

import os
import pty
import re
import shutil
import subprocess
import sys
from io import StringIO
from pathlib import Path

from playwright.sync_api import sync_playwright
from rich.console import Console
from rich.text import Text

_FROM_OUTSIDE = re.compile(r"@font-face \{.*?\}\s*|<!--.*?-->\s*", re.DOTALL)
"""What rich writes of fonts on somebody's site, and of itself."""


def screen(path: Path, *arguments: str, columns: int = 100, head: int = 30, tail: int = 0) -> None:
    """Run `zoomgr` on a terminal, and draw that with what was typed.

    Args:
        path: of the SVG.
        arguments: verb, arguments and options.
        columns: of the terminal.
        head: lines that are drawn at most of what it says first, an ellipsis for what follows.
        tail: lines of what it says last, too.
    """
    lines = said(*arguments, columns=columns).splitlines()
    if len(lines) > head + tail:
        lines = [*lines[:head], "…", *lines[len(lines) - tail :]]
    console = Console(record=True, width=columns, file=StringIO())
    console.print(f"[bold]$ zoomgr {' '.join(arguments)}", highlight=False)
    for line in map(Text.from_ansi, lines):  # a terminal breaks it where it ends, also within a word
        for piece in line.divide(range(columns, len(line), columns)):
            console.print(piece, no_wrap=True)
    console.print()  # rich cuts off the descenders of the last line
    drawn = console.export_svg(title="", unique_id=path.stem)
    path.write_text(_FROM_OUTSIDE.sub("", drawn))


def photo(path: Path, address: str, *, width: int = 1100, height: int = 700) -> None:
    """Open a page in Debian's headless Chromium, and take a picture of its upper part, in light colours.

    Args:
        path: of the PNG.
        address: of the page.
        width: of the window, in pixels.
        height: of the window.
    """
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium-headless-shell"))
        page = browser.new_page(viewport={"width": width, "height": height}, color_scheme="light")
        page.goto(address)
        page.screenshot(path=path)
        browser.close()


def said(*arguments: str, columns: int = 100) -> str:
    """Run `zoomgr` on a terminal: all that it writes there."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "COLUMNS": str(columns), "TERM": "xterm-256color"}
    command = [sys.executable, "-c", "from zoomgr.cli.main import main; main()", *arguments]
    with subprocess.Popen(command, env=environment, stdin=theirs, stdout=theirs, stderr=theirs) as process:  # noqa: S603
        os.close(theirs)
        written = b""
        while more := _read(ours):
            written += more
    os.close(ours)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command, written)
    return written.decode()


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 1 << 16)
    except OSError:  # Linux's way to say that nobody has the other side any more
        return b""
