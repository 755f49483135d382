"""From a picture to the tensor that the weights were trained on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoomgr.errors import UnreadableImageError, reason_of
from zoomgr.records import Preprocess

if TYPE_CHECKING:
    from PIL import Image
    from torch import Tensor


def transforms(how: Preprocess) -> Callable[[Image.Image], Tensor]:
    """A torchvision transform: PIL image in RGB -> (3, height, width), float32, normalised.

    Resizing happens on the PIL image, as in torchvision's presets and timm's evaluation transforms; resizing
    a tensor gives other values.
    """
    import torch
    from torchvision.transforms import v2

    steps: list[Any] = [
        *_geometry(how),
        v2.PILToTensor(),
        v2.ToDtype(torch.float32, scale=True),
        v2.Normalize(mean=list(how.mean), std=list(how.std)),
    ]
    composed: Callable[[Image.Image], Tensor] = v2.Compose(steps)
    return composed


def _geometry(how: Preprocess) -> list[Any]:
    from torchvision.transforms import InterpolationMode, v2

    interpolation = InterpolationMode(how.interpolation)
    match how.crop:
        case "squash":
            return [v2.Resize(list(how.size), interpolation=interpolation)]
        case "border":
            # timm/data/transforms_factory.py: the longer side fits, the rest is filled with the mean colour.
            fit = v2.Resize(None, interpolation=interpolation, max_size=max(how.size))
            return [fit, _PadTo(how.size, tuple(round(255 * value) for value in how.mean))]
        case _:
            resize = list(how.resize or how.size)
            return [v2.Resize(resize, interpolation=interpolation), v2.CenterCrop(list(how.size))]


class _PadTo:
    """Pads a PIL image on all sides to (height, width), pixels."""

    def __init__(self, size: tuple[int, int], fill: tuple[int, ...]) -> None:
        self.size = size
        self.fill = fill

    def __call__(self, image: Image.Image) -> Image.Image:
        from PIL import ImageOps

        return ImageOps.pad(image, (self.size[1], self.size[0]), color=self.fill)


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
