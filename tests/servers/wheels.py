"""Wheels made in a test, and the pages on which an index lists them."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path

from servers.caches import sha256


def packed(members: Mapping[str, bytes]) -> bytes:
    """A zip file (a wheel is one) with these members; the same bytes each time, whatever the clock says."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            file.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
    return made.getvalue()


def publish(index: Path, dist: str, files: Mapping[str, bytes], promised: str | None = None) -> None:
    """Write the page of a distribution (PEP 503), and its files beside it.

    Args:
        index: folder of the index.
        dist: normalised name.
        files: by name; each is linked with its sha256.
        promised: another fragment instead, e.g. "#sha256=…", or "" for none.
    """
    folder = index / dist
    folder.mkdir(parents=True, exist_ok=True)
    links = []
    for name, content in files.items():
        (folder / name).write_bytes(content)
        fragment = f"#sha256={sha256(content)}" if promised is None else promised
        links.append(f'<a href="{name}{fragment}">{name}</a>')
    (folder / "index.html").write_text(f"<!DOCTYPE html><html><body>{'<br>'.join(links)}</body></html>")
