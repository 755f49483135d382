"""A map in colour over a photo, and what of the photo the network has seen."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from PIL import Image

from zoomgr.errors import FileUnwritableError, InvalidSettingError
from zoomgr.look.overlay import overlay
from zoomgr.look.photos import Folder
from zoomgr.look.preprocess import seen_box, transforms
from zoomgr.records import Preprocess


@pytest.mark.parametrize(
    "how",
    [
        Preprocess((64, 64), (80,)),
        Preprocess((64, 64)),
        Preprocess((48, 64), (60, 80)),
        Preprocess((64, 64), (80, 80), crop="squash"),
        Preprocess((64, 64), crop="border"),
    ],
    ids=["one side", "none", "two sides", "squash", "border"],
)
@pytest.mark.parametrize("size", [(240, 160), (160, 240)])
def test_the_box_is_what_the_transform_cuts_out(how: Preprocess, size: tuple[int, int]) -> None:
    """A spot of the photo is where the tensor has it."""
    photo = Image.new("RGB", size)
    photo.paste((255, 255, 255), (90, 100, 96, 106))

    rows, columns = transforms(how)(photo)[0].gt(1).nonzero(as_tuple=True)
    left, top, right, bottom = seen_box(how, size)

    across = left + (columns.double().mean() + 0.5) / how.size[1] * (right - left)
    down = top + (rows.double().mean() + 0.5) / how.size[0] * (bottom - top)
    assert (float(across), float(down)) == pytest.approx((93, 103), abs=2.5)


def test_the_photo_keeps_its_ratio_and_shows_what_was_seen_in_colour() -> None:
    """Yellow where the map is strong, purple where it is weak, dark where nothing was seen."""
    photo = Image.new("RGB", (600, 300), (200, 200, 200))
    values = torch.zeros(4, 4)
    values[0, 3] = 5.0

    made = overlay(photo, values, box=(150, 0, 450, 300), title="layer4  Sequential")

    picture = made.crop((0, made.height - 300, 600, made.height))
    assert made.width == 600
    assert picture.getpixel((50, 150)) == (70, 70, 70)
    strong, weak = picture.getpixel((440, 10)), picture.getpixel((160, 290))
    assert isinstance(strong, tuple)
    assert isinstance(weak, tuple)
    assert strong[0] > 200 > strong[2] + 80
    assert weak[1] < 100 < weak[2]


def test_small_photos_are_enlarged_and_large_ones_reduced() -> None:
    """So that the words above can be read."""
    assert overlay(Image.new("L", (8, 4)), torch.rand(2, 2), title="x").width == 512
    assert overlay(Image.new("RGBA", (4000, 2000)), torch.rand(2, 2), title="x" * 500).width == 1024


def test_the_colours_grow_lighter_all_the_way() -> None:
    """So that who sees no red or green, and a printer without colours, tells them apart."""
    values = torch.arange(256.0)[None]

    made = overlay(Image.new("L", (512, 512)), values).convert("L")

    levels = made.crop((0, made.height - 9, 512, made.height - 8)).tobytes()[4::8]
    assert (list(levels) == sorted(levels), len(set(levels)) > 50) == (True, True)


def test_a_map_that_is_the_same_everywhere_is_drawn() -> None:
    """It has no least and no greatest place."""
    assert overlay(Image.new("L", (512, 512)), torch.ones(3, 3)).size[0] == 512


def test_pictures_are_not_written_over(tmp_path: Path) -> None:
    """Unless that is asked for; whatever a module is called, they stay in their folder."""
    folder, picture = Folder(tmp_path / "new" / "out"), Image.new("RGB", (4, 4))
    folder.prepare([Path("a.png"), Path("b.png")])

    assert folder.save(picture, "a.x/../y z") == tmp_path / "new" / "out" / "a.x_.._y_z.png"
    with pytest.raises(InvalidSettingError, match="it is there already"):
        folder.save(picture, "a.x/../y z")
    assert Folder(folder.path, replace=True).save(picture, "a.x/../y z").exists()
    assert [path.name for path in folder.path.iterdir()] == ["a.x_.._y_z.png"]


def test_two_photos_of_one_name_and_a_folder_that_cannot_be_made_are_told_first(tmp_path: Path) -> None:
    """Before anything is fetched or run."""
    (tmp_path / "file").touch()

    with pytest.raises(InvalidSettingError, match="several photos are called cat"):
        Folder(tmp_path).prepare([Path("a/cat.png"), Path("b/cat.jpg")])
    with pytest.raises(FileUnwritableError, match="Not a directory"):
        Folder(tmp_path / "file" / "out").prepare([])
    with pytest.raises(FileUnwritableError, match="File exists"):
        Folder(tmp_path / "file").prepare([])
