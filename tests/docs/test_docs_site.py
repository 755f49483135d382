"""The site of the docs: it is built without a warning, its first page does what it says."""

from __future__ import annotations

import logging
import re
from pathlib import Path

import pytest
from mkdocs.commands.build import build
from mkdocs.config import load_config
from pages import ROOT, run


@pytest.mark.slow
def test_the_site_is_built_without_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """All pages, and a reference that is made of the docstrings; nothing is asked of another site."""
    caplog.set_level(logging.WARNING, logger="mkdocs")

    build(load_config(str(ROOT / "mkdocs.yml"), site_dir=str(tmp_path), strict=True))

    assert caplog.messages == []
    reference = (tmp_path / "reference" / "index.html").read_text()
    assert "zoomgr.zoo.Zoo.load_with_report" in reference
    for page in tmp_path.rglob("*.html"):
        asked = re.findall(r'<(?:script|link|img)\b[^>]*?(?:src|href)="(https?://[^"]+)"', page.read_text())
        assert asked == [], page


def test_every_page_is_in_the_navigation() -> None:
    """So that a reader finds it."""
    listed = re.findall(r"[\w/-]+\.md", (ROOT / "mkdocs.yml").read_text())

    docs = ROOT / "docs"
    assert sorted(listed) == sorted(str(page.relative_to(docs)) for page in docs.rglob("*.md"))


@pytest.mark.index
@pytest.mark.slow
def test_the_first_page_does_what_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the real weights and an empty cache, from a checkout; but for the installation."""
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    monkeypatch.chdir(tmp_path)

    ran = run(ROOT / "docs" / "index.md")

    assert len(ran.printed) == 3
