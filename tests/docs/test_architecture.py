"""The design that the docs tell is the one that stands."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "architecture.md").read_text()


def test_the_layers_are_those_that_are_enforced() -> None:
    """As the linter of imports has them."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layers = next(contract["layers"] for contract in contracts if contract["type"] == "layers")

    told = next(
        block for block in re.findall(r"```text\n(.*?)```", PAGE, re.DOTALL) if "zoomgr.cli\n" in block
    )
    assert told.splitlines() == layers


def test_every_package_and_module_is_in_a_layer() -> None:
    """A new one is given its place, or nothing says who may import it."""
    stand = {
        f"zoomgr.{path.stem}"
        for path in (ROOT / "zoomgr").iterdir()
        if (path.suffix == ".py" and path.stem != "__init__") or (path / "__init__.py").is_file()
    }

    layered = set(re.findall(r"zoomgr\.\w+", PAGE))
    assert stand - layered == set()


def test_the_files_that_are_named_are_there() -> None:
    """Written as they lie below `zoomgr/`, or below the folder that a line is about."""
    folders = [path for path in (ROOT / "zoomgr").rglob("*") if path.is_dir()]

    named = set(re.findall(r"\b((?:\w+/)*\w+\.py|(?:\w+/)+)(?=[\s`),.;:])", PAGE))
    missing = [
        name for name in named if not any((folder / name).exists() for folder in (ROOT / "zoomgr", *folders))
    ]
    assert len(named) > 20
    assert missing == []


def test_decisions_are_numbered_and_say_where_they_stand() -> None:
    """In the order of their files, without a gap."""
    decisions = sorted((ROOT / "docs" / "adr").glob("*.md"))

    for number, page in enumerate(decisions, 1):
        lines = page.read_text().splitlines()
        assert page.name.startswith(f"{number:04}-")
        assert lines[0].startswith(f"# {number}. ")
        assert lines[2].startswith("Status: ")
