"""From a picture to the tensor that the weights were trained on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from zoomgr.adapt.stem import RGB_CHANNELS, policy_in, slices
from zoomgr.errors import InvalidSettingError, UnreadableImageError, reason_of
from zoomgr.records import Preprocess

if TYPE_CHECKING:
    from PIL import Image
    from torch import Tensor

_MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}
"""Of PIL images, by their bands; others (palettes, CMYK, Lab) hold nothing that a stem takes as it is."""


def for_channels(
    how: Preprocess, in_ch: int, *, policy: str = "zero", order: Sequence[int | None] = ()
) -> Preprocess:
    """The preprocessing of a network whose stem was adapted.

    Args:
        how: as the weights were trained, for three channels.
        in_ch: channels of the adapted stem, a count >= 1.
        policy: of the stem, as of `zoomgr.adapt.stem.expand_stem`.
        order: as of `expand_stem`; the channels then come in the order of the bands.

    Returns:
        The same, with a mean and a std for each channel: a trained channel's own; of a further one those of
        the channel that it repeats, else the mean of the three; for a single channel without `order` the mean
        of the three.
    """
    if in_ch == len(how.mean) and not order:
        return how
    picks = slices(in_ch, policy_in(policy, how.channels), order)

    def picked(values: tuple[float, ...]) -> tuple[float, ...]:
        return tuple(values[pick] if pick >= 0 else sum(values) / len(values) for pick in picks)

    # Bands come as their names say, and one or two channels have no order of three.
    channels = "rgb" if order or in_ch < RGB_CHANNELS else how.channels
    return replace(how, mean=picked(how.mean), std=picked(how.std), channels=channels)


def transforms(how: Preprocess) -> Callable[[Image.Image | Tensor], Tensor]:
    """A torchvision transform: picture -> (channels, height, width), float32, normalised.

    It takes PIL images with as many bands as `how.mean` has values (modes L, LA, RGB, RGBA; the fourth is a
    channel like the others, no transparency), and tensors (channels, height, width), of uint8 or of floats in
    0..1; of a tensor the first three channels are R, G and B. For RGB images it is bit-equal to torchvision's
    presets and timm's evaluation transforms, which resize the PIL image (a tensor is resized to other values)
    and divide by 255. The channels come out in the order of `how.channels`.

    Raises:
        InvalidSettingError: (by the transform) a picture has other channels, or is none of the two.
    """
    from torchvision.transforms import Compose, Normalize

    reordered = [_reversed] if how.channels == "bgr" else []
    composed: Callable[[Image.Image | Tensor], Tensor] = Compose(
        [_Channels(how), *reordered, Normalize(mean=list(how.mean), std=list(how.std))]
    )
    return composed


class _Channels:
    """Resizes and crops a picture, and makes it a tensor (channels, height, width) of 0..1."""

    def __init__(self, how: Preprocess) -> None:
        from torchvision.transforms import Compose

        self.count = len(how.mean)
        mean = (*how.mean[2::-1], *how.mean[3:]) if how.channels == "bgr" else how.mean
        self.geometry = Compose(_geometry(how, mean))
        self.bands = [Compose(_geometry(how, (value,))) for value in mean]

    def __call__(self, picture: Image.Image | Tensor) -> Tensor:
        import torch
        from torchvision.transforms.functional import convert_image_dtype, to_tensor

        if isinstance(picture, torch.Tensor):
            self._check_tensor(picture)
            prepared: Tensor = self.geometry(convert_image_dtype(picture, torch.float32))
            return prepared
        self._check_image(picture)
        if picture.mode == "RGB":
            coloured: Tensor = to_tensor(self.geometry(picture))
            return coloured
        # Each band by itself: PIL would weigh the others by the last one, which it takes for transparency.
        bands = zip(picture.split(), self.bands, strict=True)
        return torch.cat([to_tensor(geometry(band)) for band, geometry in bands])

    def _check_tensor(self, picture: Tensor) -> None:
        import torch

        shape = tuple(picture.shape)
        if len(shape) != 3 or shape[0] != self.count:  # noqa: PLR2004 (channels, height, width)
            self._refuse(f"a tensor {shape}", f"these weights take ({self.count}, height, width)")
        if not picture.is_floating_point() and picture.dtype != torch.uint8:
            self._refuse(
                f"a tensor of {picture.dtype}", "its range is not known; give uint8, or floats in 0..1"
            )

    def _check_image(self, picture: Image.Image) -> None:
        from PIL import Image

        if not isinstance(picture, Image.Image):
            self._refuse(type(picture).__name__, "it is neither a PIL image nor a tensor")
        if picture.mode != _MODES.get(self.count):
            wanted = f"PIL images of mode {_MODES[self.count]}, or " if self.count in _MODES else ""
            takes = f"these weights take {wanted}tensors ({self.count}, height, width)"
            self._refuse(f"a PIL image of mode {picture.mode}", takes)

    def _refuse(self, picture: str, problem: str) -> NoReturn:
        channels = "1 channel" if self.count == 1 else f"{self.count} channels"
        raise InvalidSettingError("picture", picture, problem, f"give a picture with {channels}")


def _reversed(picture: Tensor) -> Tensor:
    """R, G, B, … (channels, height, width) -> B, G, R, …, or back."""
    import torch

    return torch.cat((picture[:RGB_CHANNELS].flip(0), picture[RGB_CHANNELS:]))


def _geometry(how: Preprocess, mean: tuple[float, ...]) -> list[Any]:
    """Resize and crop (source of the modes: timm/data/transforms_factory.py, `transforms_imagenet_eval`).

    `mean` is of the channels that are resized together, in the picture's order.
    """
    from torchvision.transforms import CenterCrop, InterpolationMode, Resize

    interpolation = InterpolationMode(how.interpolation)
    resize, crop = list(how.resize or how.size), CenterCrop(list(how.size))
    match how.crop:
        case "squash":
            return [Resize(resize, interpolation=interpolation), crop]
        case "border":
            colour = tuple(round(255 * value) for value in mean)
            return [_KeepRatio(resize, interpolation, inside=True), _Border(how.size, colour)]
        case _ if len(resize) == 1:
            return [Resize(resize[0], interpolation=interpolation), crop]
        case _:
            return [_KeepRatio(resize, interpolation, inside=False), crop]


class _KeepRatio:
    """Resizes a picture to fit inside (height, width), pixels, or to cover it; its ratio stays."""

    def __init__(self, size: Sequence[int], interpolation: Any, *, inside: bool) -> None:
        self.size = size
        self.interpolation = interpolation
        self.choose = min if inside else max

    def __call__(self, image: Any) -> Any:
        from torchvision.transforms import functional

        _, *own = functional.get_dimensions(image)
        factor = self.choose(wanted / have for wanted, have in zip(self.size, own, strict=True))
        return functional.resize(
            image, [round(have * factor) for have in own], interpolation=self.interpolation
        )


class _Border:
    """Puts a picture into the middle of (height, width), pixels, of one colour (0..255 for each channel)."""

    def __init__(self, size: tuple[int, int], colour: tuple[int, ...]) -> None:
        self.size = size
        self.colour = colour

    def __call__(self, image: Any) -> Any:
        from PIL import Image
        from torchvision.transforms import functional

        (height, width), (_, *own) = self.size, functional.get_dimensions(image)
        top, left = (height - own[0]) // 2, (width - own[1]) // 2
        if not isinstance(image, Image.Image):
            canvas = (image.new_tensor(self.colour) / 255).view(-1, 1, 1).repeat(1, height, width)
            canvas[:, top : top + own[0], left : left + own[1]] = image
            return canvas
        canvas = Image.new(
            image.mode, (width, height), self.colour if len(self.colour) > 1 else self.colour[0]
        )
        canvas.paste(image, (left, top))
        return canvas


def seen_box(how: Preprocess, size: tuple[int, int]) -> tuple[float, float, float, float]:
    """What of a picture the network is shown: left, top, right and bottom, in the picture's pixels.

    It lies beyond the picture where a border is put around that.

    Args:
        how: as `transforms` takes it.
        size: (width, height) of the picture.
    """
    width, height = size
    wanted = how.resize or how.size
    if len(wanted) == 1:
        across = down = wanted[0] / min(size)
    else:
        down, across = wanted[0] / height, wanted[1] / width
        if how.crop != "squash":
            across = down = (min if how.crop == "border" else max)(down, across)
    half_width, half_height = how.size[1] / across / 2, how.size[0] / down / 2
    return (
        width / 2 - half_width,
        height / 2 - half_height,
        width / 2 + half_width,
        height / 2 + half_height,
    )


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
