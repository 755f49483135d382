"""No everyday job is forgotten: each has its section, each section its test."""

from __future__ import annotations

import re
from pathlib import Path

from pages import DOCS, blocks

HOWTO = DOCS / "howto"
JOBS = {
    1: "download.md",
    2: "local-file.md",
    3: "look-inside.md",
    4: "graph.md",
    5: "look-inside.md#for-pictures-of-another-size",
    6: "initialise.md",
    7: "freeze.md#the-first-six-children",
    8: "learning-rates.md#only-what-trains",
    9: "learning-rates.md#biases-at-twice-the-rate-and-without-decay",
    10: "old-keys.md",
    11: "own-network.md#sequential-modulelist-moduledict",
    12: "activation-maps.md",
    13: "other-channels.md",
    14: "some-layers.md#keys-that-exist-here-another-number-of-classes-afterwards",
    15: "some-layers.md#layers-that-have-other-names-here",
    16: "other-classes.md",
    17: "own-network.md",
    18: "features.md",
    19: "own-network.md#a-trunk-a-deconvolution-and-a-new-classifier",
    20: "learning-rates.md",
    21: "keypoints.md",
    22: "own-network.md",
    23: "other-channels.md",
    24: "thaw.md",
    25: "pickled-model.md",
    26: "grow.md",
    27: "freeze.md#by-number",
    28: "list-keys.md",
    29: "freeze.md#what-exists-so-far-in-__init__",
    30: "resume.md",
    31: "some-layers.md",
    32: "own-network.md#instead-of-strictfalse",
    33: "other-frameworks.md",
    34: "other-classes.md#feature-extraction-all-frozen-but-the-new-head",
    35: "other-zoos.md",
    36: "freeze.md#the-first-six-children",
    37: "freeze.md#all-but-the-head",
    38: "freeze.md#a-part-of-a-network-of-your-own",
    39: "list-keys.md#without-module-in-front",
    40: "other-classes.md#onto-a-device-head-and-all",
    41: "finetune-schedule.md",
    42: "what-to-train.md",
}
"""The jobs for which zoomgr was made, by number, and where each is shown."""


def test_every_job_has_its_place_in_the_list() -> None:
    """By a link of the first how-to page; that links lead to sections, the strict build of the site asks."""
    listed = set(re.findall(r"\]\(([\w-]+\.md(?:#[\w-]+)?)\)", (HOWTO / "index.md").read_text()))

    assert sorted(JOBS) == list(range(1, 43))
    assert set(JOBS.values()) - listed == set()
    assert {link.partition("#")[0] for link in listed} == {
        page.name for page in HOWTO.glob("*.md") if page.name != "index.md"
    }


def test_every_page_is_run_and_every_section_has_code() -> None:
    """By a test that asks for it by its name."""
    tests = "".join(path.read_text() for path in Path(__file__).parent.glob("test_*_recipes.py"))

    for page in HOWTO.glob("*.md"):
        if page.name != "index.md":
            assert f'howto("{page.stem}"' in tests, page
            assert any(blocks(page, "python", "bash")), page
            for section in page.read_text().split("\n## ")[1:]:
                assert "```" in section, (page, section)
