"""From a picture to the tensor that the weights were trained on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoomgr.errors import UnreadableImageError, reason_of
from zoomgr.records import Preprocess

if TYPE_CHECKING:
    from PIL import Image
    from torch import Tensor


def transforms(how: Preprocess) -> Callable[[Image.Image], Tensor]:
    """A torchvision transform: PIL image in RGB -> (3, height, width), float32, normalised.

    Bit-equal to torchvision's presets and timm's evaluation transforms, which resize the PIL image (a tensor
    is resized to other values) and divide by 255. The channels come in the order of `how.channels`.
    """
    from torchvision.transforms import Compose, Normalize, ToTensor

    normalise = Normalize(mean=list(how.mean), std=list(how.std))
    reordered = [_reversed] if how.channels == "bgr" else []
    steps = [*_geometry(how), ToTensor(), *reordered, normalise]
    composed: Callable[[Image.Image], Tensor] = Compose(steps)
    return composed


def _reversed(picture: Tensor) -> Tensor:
    """RGB (3, height, width) -> BGR, or back."""
    return picture.flip(0)


def _geometry(how: Preprocess) -> list[Any]:
    """Resize and crop (source of the modes: timm/data/transforms_factory.py, `transforms_imagenet_eval`)."""
    from torchvision.transforms import CenterCrop, InterpolationMode, Resize

    interpolation = InterpolationMode(how.interpolation)
    resize, crop = list(how.resize or how.size), CenterCrop(list(how.size))
    match how.crop:
        case "squash":
            return [Resize(resize, interpolation=interpolation), crop]
        case "border":
            mean = how.mean[::-1] if how.channels == "bgr" else how.mean
            colour = tuple(round(255 * value) for value in mean)
            return [_KeepRatio(resize, interpolation, inside=True), _Border(how.size, colour)]
        case _ if len(resize) == 1:
            return [Resize(resize[0], interpolation=interpolation), crop]
        case _:
            return [_KeepRatio(resize, interpolation, inside=False), crop]


class _KeepRatio:
    """Resizes a PIL image to fit inside (height, width), pixels, or to cover it; its ratio stays."""

    def __init__(self, size: Sequence[int], interpolation: Any, *, inside: bool) -> None:
        self.size = size
        self.interpolation = interpolation
        self.choose = min if inside else max

    def __call__(self, image: Image.Image) -> Image.Image:
        from torchvision.transforms import functional

        height, width = self.size
        factor = self.choose(height / image.height, width / image.width)
        wanted = [round(image.height * factor), round(image.width * factor)]
        resized: Image.Image = functional.resize(image, wanted, interpolation=self.interpolation)
        return resized


class _Border:
    """Puts a PIL image into the middle of (height, width), pixels, of one colour."""

    def __init__(self, size: tuple[int, int], colour: tuple[int, ...]) -> None:
        self.size = size
        self.colour = colour

    def __call__(self, image: Image.Image) -> Image.Image:
        from PIL import Image

        height, width = self.size
        canvas = Image.new("RGB", (width, height), self.colour)
        canvas.paste(image, ((width - image.width) // 2, (height - image.height) // 2))
        return canvas


def open_image(path: Path) -> Image.Image:
    """A picture file in RGB, turned as its EXIF orientation says.

    Raises:
        UnreadableImageError: missing, no picture, cut, or so large that it is likely an attack (PIL's limit).
    """
    from PIL import Image, ImageOps

    try:
        with Image.open(path) as image:
            return ImageOps.exif_transpose(image).convert("RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise UnreadableImageError(str(path), reason_of(error)) from error
