"""zoomgr activations: a row, and a picture, for each photo and layer."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli.saying import Say
from PIL import Image

pytestmark = pytest.mark.usefixtures("acme")


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """A bright spot on the right."""
    picture = Image.new("RGB", (40, 20), (10, 20, 30))
    picture.paste((250, 240, 230), (22, 8, 28, 12))
    picture.save(tmp_path / "spot.png")
    return tmp_path / "spot.png"


def test_a_row_and_a_picture_for_each_layer(zoomgr: Say, photo: Path, tmp_path: Path) -> None:
    """Of the photo's ratio, below a title."""
    told = zoomgr("activations", "tiny", photo, "-o", tmp_path / "out")

    written = tmp_path / "out" / "spot.stem.png"
    cells = told.out.rstrip("\n").split("\t")
    assert told.code == 0
    assert (cells[:5], cells[-2:]) == ([str(photo), "stem", "Conv2d", "1x4x6x6", "6x6"], ["", str(written)])
    with Image.open(written) as picture:
        assert picture.width == 512
        assert 256 < picture.height < 360


def test_as_json_it_is_a_list_and_nothing_is_written_unasked(
    zoomgr: Say, photo: Path, tmp_path: Path
) -> None:
    """Of Grad-CAM with its class: the one that was named, else the most likely."""
    (one,) = zoomgr("activations", "tiny", photo, "--grad-cam", "--class", "DOG", "--json").json
    (best,) = zoomgr("activations", "tiny", photo, "--grad-cam", "--json").json
    likely = zoomgr("predict", "tiny", photo, "--top", "1", "--json").json[0]["classes"][0]

    assert (one["layer"], one["map"], one["index"], one["name"], one["file"]) == (
        "stem",
        [6, 6],
        1,
        "dog",
        None,
    )
    assert (best["index"], best["name"]) == (likely["index"], likely["name"])
    assert 10 <= one["strongest"][0] < 30, "it lies outside of what the network was shown"
    assert [path.name for path in tmp_path.glob("*.png")] == ["spot.png"]


def test_pictures_of_classes_have_names_of_their_own(zoomgr: Say, photo: Path, tmp_path: Path) -> None:
    """Beside those of the layer; a second time only with --force."""
    asked = ("activations", "tiny", photo, "--grad-cam", "--class", "0", "-o", tmp_path / "out")

    assert [zoomgr(*asked).code, zoomgr(*asked).code, zoomgr(*asked, "--force").code] == [0, 2, 0]
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["spot.stem.class-0.png"]


def test_a_photo_that_is_none_does_not_keep_the_others(zoomgr: Say, photo: Path, tmp_path: Path) -> None:
    """It is told at the end."""
    (tmp_path / "no.png").write_text("no photo")

    told = zoomgr("activations", "tiny", tmp_path / "no.png", photo)

    assert (told.code, told.out.count("\n")) == (2, 1)
    assert "error[unreadable-image]" in told.err


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (("--layer", "steam"), 3, "did you mean stem?"),
        (("--layer", "head"), 2, "is no map of the picture"),
        (("--class", "0"), 2, "--class is what --grad-cam asks for"),
        (("--grad-cam", "--class", "2"), 2, "choose from 0 to 1"),
        (("--grad-cam", "--class", "dgo"), 2, "did you mean dog?"),
        (("-o", __file__), 8, "error[file-unwritable]"),
    ],
)
def test_what_cannot_be_shown_is_one_clear_error(
    zoomgr: Say, photo: Path, options: tuple[str, ...], code: int, said: str
) -> None:
    """Nothing on stdout."""
    told = zoomgr("activations", "tiny", photo, *options)

    assert (told.code, told.out, said in told.err) == (code, "", True), told.err
