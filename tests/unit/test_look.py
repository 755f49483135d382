"""Pictures in, names out."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from PIL import Image
from timm.data import create_transform
from torchvision.models import ResNet50_Weights

from zoomgr.errors import UnreadableImageError
from zoomgr.labels import class_names
from zoomgr.look.predict import Classifier, predict
from zoomgr.look.preprocess import open_image, transforms
from zoomgr.records import Preprocess

CAT = Path(__file__).parents[2] / "examples" / "cat.png"
HALF = (0.5, 0.5, 0.5)


@pytest.mark.parametrize(
    ("size", "crop_pct", "crop_mode", "resize"),
    [
        (224, 0.875, "center", (256,)),
        (240, 1.0, "center", (240,)),
        (224, 0.95, "squash", (235, 235)),
        (224, 1.0, "squash", (224, 224)),
        (224, 1.0, "border", (224, 224)),
        ((160, 224), 0.875, "center", (182, 256)),
    ],
)
def test_a_picture_is_prepared_as_timm_prepares_it(
    size: int | tuple[int, int], crop_pct: float, crop_mode: str, resize: tuple[int, ...]
) -> None:
    """To the bit, for every mode of its catalogue."""
    height, width = size if isinstance(size, tuple) else (size, size)
    theirs = create_transform(
        (3, height, width),
        interpolation="bicubic",
        mean=HALF,
        std=HALF,
        crop_pct=crop_pct,
        crop_mode=crop_mode,
    )
    ours = transforms(Preprocess((height, width), resize, HALF, HALF, "bicubic", crop_mode))
    photo = open_image(CAT)

    assert torch.equal(theirs(photo), ours(photo))


def test_a_picture_is_prepared_as_torchvision_prepares_it() -> None:
    """To the bit."""
    photo = open_image(CAT)

    ours = transforms(Preprocess((224, 224), (232,)))(photo)

    assert torch.equal(ResNet50_Weights.IMAGENET1K_V2.transforms()(photo), ours)


def test_a_picture_is_turned_as_its_camera_was_held(tmp_path: Path) -> None:
    """EXIF orientation 6 is a quarter turn."""
    image = Image.new("RGB", (40, 20))
    exif = image.getexif()
    exif[0x0112] = 6
    image.save(tmp_path / "x.jpg", exif=exif)

    assert open_image(tmp_path / "x.jpg").size == (20, 40)


@pytest.mark.parametrize("mode", ["L", "LA", "RGBA", "P", "I;16", "1", "CMYK"])
def test_any_kind_of_picture_becomes_rgb(tmp_path: Path, mode: str) -> None:
    """Grey, transparent, indexed or for printing."""
    suffix = "tiff" if mode in {"I;16", "CMYK"} else "png"
    Image.new(mode, (8, 8)).save(tmp_path / f"x.{suffix}")

    assert open_image(tmp_path / f"x.{suffix}").mode == "RGB"


@pytest.mark.parametrize("content", [b"", b"no picture", b"\x89PNG\r\n\x1a\n", CAT.read_bytes()[:5000]])
def test_what_is_no_picture_is_one_clear_error(tmp_path: Path, content: bytes) -> None:
    """Empty, something else, cut."""
    (tmp_path / "x.png").write_bytes(content)

    with pytest.raises(UnreadableImageError):
        open_image(tmp_path / "x.png")


def test_a_set_of_labels_has_a_name_for_each_class() -> None:
    """ImageNet's, in the order of the heads."""
    names = class_names("imagenet-1k", 1000)

    assert len(set(names)) == 1000
    assert (names[0], names[281], names[999]) == ("tench", "tabby", "toilet tissue")


def test_labels_that_are_not_of_the_head_are_not_used() -> None:
    """A wrong name is worse than a number."""
    assert class_names("imagenet-1k", 3) == ("class 0", "class 1", "class 2")
    assert class_names("", 1) == ("class 0",)
    assert class_names(("cat", "dog"), 2) == ("cat", "dog")


def test_predictions_come_most_likely_first() -> None:
    """With probabilities of all classes, not of the shown ones."""
    logits = torch.tensor([[0.0, 3.0, 1.0]])
    model = torch.nn.Module()
    model.forward = lambda _: logits

    top = predict(model, lambda _: torch.zeros(3, 2, 2), Image.new("RGB", (2, 2)), ("a", "b", "c"), top=2)

    assert [found.name for found in top] == ["b", "c"]
    assert [found.index for found in top] == [1, 2]
    assert top[0].probability == pytest.approx(float(logits.softmax(1)[0, 1]))


def test_pictures_go_through_in_batches_and_in_their_order(tmp_path: Path) -> None:
    """Of two and two and one; the model is asked for when the first picture is prepared, and only then."""
    sizes: list[int] = []
    model = torch.nn.Module()

    def forward(pictures: torch.Tensor) -> torch.Tensor:
        sizes.append(len(pictures))
        return pictures.mean(dim=(2, 3))

    model.forward = forward
    (tmp_path / "bad.png").write_bytes(b"")
    files = [tmp_path / "bad.png"]
    for number, channel in enumerate((0, 1, 2, 0)):
        colour = tuple(255 * (channel == band) for band in range(3))
        files.append(tmp_path / f"{number}.png")
        Image.new("RGB", (2, 2), colour).save(files[-1])
    prepare = transforms(Preprocess((2, 2), mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0)))

    found = list(Classifier(lambda: model, prepare, ("r", "g", "b"), top=1).each(files, batch=2))
    nothing = Classifier(pytest.fail, prepare, ()).each(files[:1])

    assert [one.image for one in found] == files
    assert [one.classes[0].name if one.classes else "" for one in found] == ["", "r", "g", "b", "r"]
    assert sizes == [1, 2, 1]
    assert [type(one.error) for one in nothing] == [UnreadableImageError]
