"""A map of values in colour over a photo, with Pillow alone: torchvision brings it, so nothing is to install.

matplotlib would add a table of colours, whose nodes are here, and text, which Pillow has too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import Image, ImageDraw, ImageFont
    from torch import Tensor

    Box = tuple[float, float, float, float]
    """Left, top, right, bottom, pixels."""

_VIRIDIS = (
    (68, 1, 84), (72, 24, 106), (71, 45, 123), (66, 64, 134), (59, 82, 139), (51, 99, 141),
    (44, 114, 142), (38, 130, 142), (33, 145, 140), (31, 160, 136), (40, 174, 128), (63, 188, 115),
    (94, 201, 98), (132, 212, 75), (173, 220, 48), (216, 226, 25), (253, 231, 37),
)  # fmt: skip
"""Nodes of a colour map that grows lighter all the way, also for who sees no red or green, and in grey.

Source: viridis of matplotlib (van der Walt & Smith, CC0), at 0, 1/16, … 1.
"""
_SIDES = (512, 1024)
"""Longest side of the photo in the answer, pixels: small ones are enlarged, large ones reduced to these."""
_SHARE = 0.6
"""How much of a place is colour; the rest is photo."""
_UNSEEN = 0.35
"""How bright the photo is where the network does not see it."""


def overlay(photo: Image.Image, values: Tensor, *, box: Box | None = None, title: str = "") -> Image.Image:
    """The map over the photo, which is grey below it; above them a title and what the colours mean.

    Args:
        photo: in any mode; its ratio is kept.
        values: (height, width), any numbers.
        box: what of the photo the map is of, see `seen_box`; without one all of it. The rest is dark.
        title: in a line above.
    """
    from PIL import Image

    factor = _factor(max(photo.size))
    size = (round(photo.width * factor), round(photo.height * factor))
    left, top, right, bottom = (side * factor for side in box or (0, 0, *photo.size))
    grey = photo.convert("L").resize(size, Image.Resampling.LANCZOS)
    picture = grey.point(lambda level: round(level * _UNSEEN)).convert("RGB")
    low, high = float(values.min()), float(values.max())
    shares = _shares(values, low, high).resize(
        (max(round(right - left), 1), max(round(bottom - top), 1)), Image.Resampling.BICUBIC
    )
    corner = (round(left), round(top))
    below = grey.crop((*corner, corner[0] + shares.width, corner[1] + shares.height)).convert("RGB")
    picture.paste(Image.blend(below, _coloured(shares), _SHARE), corner)
    return _titled(picture, title, f"{low:.3g}", f"{high:.3g}")


def _factor(side: int) -> float:
    least, most = _SIDES
    return min(max(side, least), most) / side


def _shares(values: Tensor, low: float, high: float) -> Image.Image:
    """0 for the least value, 255 for the greatest; a map that is the same everywhere is 0."""
    from PIL import Image

    scaled = (values.float() - low) * (255 / (high - low) if high > low else 0)
    return Image.fromarray(scaled.round().byte().numpy())


def _coloured(shares: Image.Image) -> Image.Image:
    from PIL import Image

    return Image.merge(
        "RGB", [shares.point([_colour(level)[band] for level in range(256)]) for band in range(3)]
    )


def _colour(level: int) -> tuple[int, ...]:
    """Of 0..255, between the two nearest nodes."""
    place = level / 255 * (len(_VIRIDIS) - 1)
    node = min(int(place), len(_VIRIDIS) - 2)
    pairs = zip(_VIRIDIS[node], _VIRIDIS[node + 1], strict=True)
    return tuple(round(one + (place - node) * (other - one)) for one, other in pairs)


# -- above the picture ---------------------------------------------------------------------------------------


def _titled(picture: Image.Image, title: str, low: str, high: str) -> Image.Image:
    """The picture below its title and a bar of the colours, between the least and the greatest value."""
    from PIL import Image, ImageDraw, ImageFont

    em = max(picture.width // 34, 12)
    font = ImageFont.load_default(em)
    height = 2 * em
    page = Image.new("RGB", (picture.width, picture.height + 2 * height), "white")
    page.paste(picture, (0, 2 * height))
    draw = ImageDraw.Draw(page)
    _write(draw, title, (em // 2, height // 2), font, picture.width - em)
    middle = height + height // 2 - em // 4
    end = _write(draw, low, (em // 2, middle), font, picture.width)
    bar = Image.linear_gradient("L").rotate(90).resize((picture.width // 3, em))
    page.paste(_coloured(bar), (end + em // 2, middle - em // 2))
    _write(draw, high, (end + em + bar.width, middle), font, picture.width)
    return page


def _write(
    draw: ImageDraw.ImageDraw,
    text: str,
    place: tuple[int, int],
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont,
    width: int,
) -> int:
    """Write a line around a height, cut to a width; gives where it ends."""
    while text and draw.textlength(text, font) > width:
        text = f"{text.rstrip('…')[:-1]}…" if len(text) > 1 else ""
    draw.text(place, text, "black", font, anchor="lm")
    return round(place[0] + draw.textlength(text, font))
