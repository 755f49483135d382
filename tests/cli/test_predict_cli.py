"""zoomgr predict: many pictures."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from cli.saying import Say
from PIL import Image

pytestmark = pytest.mark.usefixtures("acme")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Three pictures, one of them in a folder of its own; beside them a text, and what is hidden."""
    for number, name in enumerate(("b.png", "c.JPG", 'sub/a, "1".png', ".hidden.png")):
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), (80 * number, 40, 200 - 60 * number)).save(path)
    (tmp_path / "photos" / "notes.txt").write_text("no picture")
    return tmp_path / "photos"


def test_predict_takes_a_folder_and_several_pictures(zoomgr: Say, photos: Path) -> None:
    """In batches that say what each alone does; each line begins with its picture."""
    names = [photos / "b.png", photos / "c.JPG", photos / 'sub/a, "1".png']

    told = zoomgr("predict", "tiny", photos, "--batch", "2", "--top", "1")

    assert told.code == 0
    assert [line.split("\t")[0] for line in told.out.splitlines()] == [str(name) for name in names]
    alone = [zoomgr("predict", "tiny", name, "--top", "1").out.split("%  ") for name in names]
    assert [line.split("\t")[1:] for line in told.out.splitlines()] == [
        [f"{share}%", name.rstrip()] for share, name in alone
    ]
    again = zoomgr("predict", "tiny", *names, "--top", "1")
    assert again.out == told.out


def test_predict_writes_csv_and_json(zoomgr: Say, photos: Path) -> None:
    """Names of files as CSV quotes them; the same figures."""
    told = zoomgr("predict", "tiny", photos, "--csv")
    data = zoomgr("predict", "tiny", photos, "--json").json

    rows = list(csv.DictReader(told.out.splitlines()))
    assert rows == [
        {
            "image": one["image"],
            "rank": str(rank),
            "index": str(likely["index"]),
            "name": likely["name"],
            "probability": f"{likely['probability']:.6f}",
        }
        for one in data
        for rank, likely in enumerate(one["classes"], 1)
    ]
    assert len(rows) == 6
    assert zoomgr("predict", "tiny", photos, "--csv", "--json").code == 2


def test_a_picture_that_cannot_be_read_does_not_keep_the_others(zoomgr: Say, photos: Path) -> None:
    """All of them are told at the end; a folder without any is told at once."""
    (photos / "a.png").write_text("no picture")
    (photos / "sub" / "z.png").write_bytes(b"")

    told = zoomgr("predict", "tiny", photos, "--top", "1")

    assert (told.code, len(told.out.splitlines())) == (2, 3)
    assert (told.err.count("error[unreadable-image]"), "a.png" in told.err, "z.png" in told.err) == (
        2,
        True,
        True,
    )
    (photos / "none").mkdir()
    empty = zoomgr("predict", "tiny", photos, photos / "none")
    assert (empty.code, empty.out, "this folder has no pictures" in empty.err) == (2, "", True)
