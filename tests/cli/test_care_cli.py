"""What keeps a cache in order, as a person and a program see it: gc with limits, pin, du."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from cli.saying import Say
from servers.caches import alter

pytestmark = pytest.mark.usefixtures("acme")


@pytest.fixture
def blob(zoomgr: Say) -> Path:
    """Weights in the cache that nobody has used for a hundred days; their file."""
    path = Path(zoomgr("pull", "tiny").out.split("\t")[3].strip())
    (record,) = (path.parents[3] / "refs").iterdir()
    then = time.time() - 100 * 86400
    os.utime(record, (then, then))
    return path


@pytest.mark.parametrize("limit", [("--unused", "90d"), ("--max-size", "500"), ("--max-size=0.5K",)])
def test_gc_shows_and_removes_what_is_beyond_a_limit(zoomgr: Say, blob: Path, limit: tuple[str, ...]) -> None:
    """A dry run removes nothing, and says what would be."""
    shown = zoomgr("gc", "--dry-run", *limit)

    assert shown.code == 0
    assert shown.out.split("\t")[:3] == ["weights", "", "985 B"]
    assert shown.out.split("\t")[4] == "acme/tiny@v1"
    assert "would free 985 B in 1 places" in shown.err
    assert blob.exists()
    (gone,) = zoomgr("gc", "--json", *limit).json
    assert (gone["kind"], gone["freed_bytes"]) == ("weights", 985)
    assert not blob.exists()
    assert zoomgr("list", "--cached", "--json").json == []


@pytest.mark.parametrize("limit", [("--unused", "101d"), ("--unused=15w",), ("--max-size", "1K"), ()])
def test_gc_leaves_what_is_within_the_limits(zoomgr: Say, blob: Path, limit: tuple[str, ...]) -> None:
    """Or when no limit is given."""
    assert zoomgr("gc", *limit).out == ""
    assert blob.exists()


@pytest.mark.parametrize(
    "limit",
    [("--unused", "soon"), ("--unused", "-1d"), ("--max-size", "big"), ("--max-size", "0"), ("--unused", "")],
)
def test_a_limit_that_is_none_is_a_usage_error(zoomgr: Say, blob: Path, limit: tuple[str, str]) -> None:
    """And nothing is removed."""
    told = zoomgr("gc", *limit)

    assert told.code == 2
    assert "such as" in told.err
    assert blob.exists()


def test_what_is_pinned_stays(zoomgr: Say, blob: Path) -> None:
    """Until it is let go; gc says what stays, and why."""
    assert zoomgr("pin", "tiny").out == "acme/tiny@v1\n"
    told = zoomgr("gc", "--unused", "1d")
    assert (told.code, told.out.split("\t")[:2]) == (0, ["weights", "stays"])
    assert "acme/tiny@v1 stays: pinned" in told.out
    assert "freed 0 B" in told.err
    assert blob.exists()

    assert zoomgr("pin", "--list", "--json").json == ["acme/tiny@v1"]
    assert zoomgr("pin", "--remove", "tiny").out == ""
    assert "tiny was not pinned" in zoomgr("pin", "--remove", "tiny").err
    assert zoomgr("gc", "--unused", "1d").code == 0
    assert not blob.exists()


def test_a_pin_of_nothing_is_an_error(zoomgr: Say) -> None:
    """What is not here cannot be kept here."""
    assert zoomgr("pin", "tiny").code == 3
    assert zoomgr("pin", "--list").out == ""
    assert zoomgr("pin").code == 2
    assert zoomgr("pin", "--list", "tiny").code == 2
    assert zoomgr("pin", "--list", "--remove").code == 2


def test_a_load_is_a_use(zoomgr: Say, blob: Path) -> None:
    """What is asked for goes on being kept; to be listed or shown is no use."""
    zoomgr("list", "--cached")
    zoomgr("show", "tiny")
    assert len(zoomgr("gc", "--dry-run", "--unused", "1d", "--json").json) == 1

    zoomgr("pull", "tiny", "--offline")

    assert zoomgr("gc", "--dry-run", "--unused", "1d", "--json").json == []
    assert blob.exists()


def test_du_tells_what_takes_how_much(
    zoomgr: Say, blob: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Weights, kinds, and a layer apart; as a table and as JSON."""
    cache = blob.parents[4]
    (cache / "v1" / "partial" / "left").write_bytes(b"x" * 5000)
    monkeypatch.setenv("ZOOMGR_CACHE_LAYERS", str(cache))

    own, layer = zoomgr("du", "--json", "--cache", str(tmp_path / "own")).json

    assert (own["root"], own["is_layer"], own["weights"]) == (str(tmp_path / "own"), False, [])
    assert (layer["root"], layer["is_layer"]) == (str(cache), True)
    assert [weights["refs"] for weights in layer["weights"]] == [["acme/tiny@v1"]]
    assert layer["weights"][0]["size_bytes"] == blob.stat().st_blocks * 512
    assert layer["kinds"]["weights"] == blob.stat().st_blocks * 512
    assert layer["kinds"]["partial"] >= 5000
    told = zoomgr("du")
    assert [line.split("\t")[0] for line in told.out.splitlines()[:3]] == [
        "weights",
        "all weights",
        "all partial",
    ]


def test_a_file_with_two_names_takes_its_room_once(zoomgr: Say, blob: Path, tmp_path: Path) -> None:
    """Both names are told."""
    copy = tmp_path / "mine.acme"
    copy.write_bytes(blob.read_bytes())
    assert zoomgr("add", copy, "--name", "mine").code == 0

    (usage,) = zoomgr("du", "--json").json

    assert [weights["refs"] for weights in usage["weights"]] == [["acme/tiny@v1", "own/mine"]]
    assert usage["kinds"]["weights"] == usage["weights"][0]["size_bytes"]


def test_verify_repairs_from_a_bundle(zoomgr: Say, blob: Path, tmp_path: Path) -> None:
    """Without network, and nothing else of it; a bundle is opened only when something is bad."""
    content = blob.read_bytes()
    (tmp_path / "mine.acme").write_bytes(content)
    zoomgr("add", tmp_path / "mine.acme", "--name", "mine")
    bundle = tmp_path / "zoo.tar"
    assert zoomgr("export", "tiny", "own/mine", "-o", bundle).code == 0
    zoomgr("rm", "own/mine")
    alter(blob)

    told = zoomgr("verify", "--from", bundle, "--offline", "--json")

    assert (told.code, [verdict["status"] for verdict in told.json]) == (0, ["repaired"])
    assert [entry["ref"] for entry in zoomgr("list", "--cached", "--json").json] == ["acme/tiny@v1"]
    assert blob.read_bytes() == content
    assert zoomgr("verify", "--from", tmp_path / "none.tar").code == 0
    alter(blob)
    assert zoomgr("verify", "--from", tmp_path / "none.tar").code == 3
