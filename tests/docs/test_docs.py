"""The docs say what the code does."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

from zoomgr.cli.main import VERBS
from zoomgr.hookspecs import ZoomgrSpecs

ROOT = Path(__file__).parents[2]
HOOKS = [name for name in vars(ZoomgrSpecs) if name.startswith("zoomgr_")]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/*.md")])


@pytest.mark.parametrize("hook", HOOKS)
def test_a_hook_is_documented_with_its_arguments(hook: str) -> None:
    """The heading shows the call to the letter."""
    signature = inspect.signature(getattr(ZoomgrSpecs, hook))
    arguments = ", ".join(name for name in signature.parameters if name != "self")

    heading = f"### `{hook}({arguments}) -> {signature.return_annotation}`"
    assert heading in (ROOT / "docs" / "plugins.md").read_text()


@pytest.mark.parametrize("hook", HOOKS)
def test_a_third_party_implements_every_hook_in_the_tests(hook: str) -> None:
    """So each is called by some test."""
    assert f"def {hook}(" in (ROOT / "tests/data/acme/acme_zoo.py").read_text()


@pytest.mark.parametrize("verb", list(VERBS))
def test_every_verb_is_in_the_readme(verb: str) -> None:
    """With its purpose."""
    assert f"`{verb}`" in (ROOT / "README.md").read_text()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    """Relative ones; the others cannot be asked here."""
    targets = re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text())

    gone = [target for target in targets if "://" not in target and not (page.parent / target).exists()]
    assert gone == []


def test_no_file_of_the_repository_names_an_index_or_a_machine() -> None:
    """The index is pip's matter; `constraints.txt` holds names and versions only."""
    lines = (ROOT / "constraints.txt").read_text().splitlines()

    assert all(re.fullmatch(r"[A-Za-z0-9_.-]+==[A-Za-z0-9_.+!-]+", line) for line in lines if line[:1] != "#")
    assert not (ROOT / "uv.lock").exists() or "/uv.lock" in (ROOT / ".gitignore").read_text()
