"""The pictures of the docs are made by tools/pictures.py of what is there today, and pages show them."""

from __future__ import annotations

import re
from pathlib import Path
from statistics import fmean, stdev

import pytest
from pictures import FOLDER, PICTURES, ROOT, chosen

PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]
_IMAGE = re.compile(r"!\[([^\]]*)\]\(([^)\s]+)\)")
_ASKS = re.compile(r"""(?:href|src)\s*=\s*["']\w+://|url\(\s*["']?\w+://|@import|@font-face""")
MOST = {".jpg": 150_000, ".png": 150_000, ".svg": 100_000}


def shown() -> dict[Path, set[str]]:
    """The pictures that pages show, and what those who do not see them are told."""
    found: dict[Path, set[str]] = {}
    for page in PAGES:
        for text, target in _IMAGE.findall(page.read_text()):
            found.setdefault((page.parent / target).resolve(), set()).add(text)
    return found


def test_every_picture_is_made_and_shown() -> None:
    """None was drawn by hand, none lies there for nobody, none is missing."""
    there = set(FOLDER.iterdir())

    assert there == {FOLDER / name for name in PICTURES}
    assert there == set(shown())


def test_every_picture_says_what_is_on_it() -> None:
    """In more than a word, for those who do not see it."""
    assert [path.name for path, texts in shown().items() if any(len(text) < 20 for text in texts)] == []


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_is_small_and_asks_nobody_for_anything(name: str) -> None:
    """Neither fonts nor styles nor other pictures come from outside."""
    path = FOLDER / name

    assert path.stat().st_size <= MOST[path.suffix]
    assert path.suffix != ".svg" or not _ASKS.search(path.read_text())


@pytest.mark.parametrize("name", ["show.svg", "finetune.svg"])
def test_a_picture_is_what_the_tool_makes_now(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To the last byte, of the two that need no weights: python tools/pictures.py makes them anew."""
    monkeypatch.chdir(ROOT)

    PICTURES[name](tmp_path / name)

    assert (FOLDER / name).read_bytes() == (tmp_path / name).read_bytes()


def test_the_page_on_the_fine_tune_has_the_figures_of_its_table() -> None:
    """Every seed, the mean and the spread, as docs/finetune.csv has them."""
    page = (ROOT / "docs" / "fine-tuning.md").read_text()

    assert chosen().keys() == {"pretrained", "random"}
    for scores in chosen().values():
        tested = scores["test"]
        seeds = " ".join(f"{score:.3f}" for score in tested)
        assert f"| {seeds} | {fmean(tested):.3f} | {stdev(tested):.3f} |" in page
