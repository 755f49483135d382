"""Preprocessing follows the stem: as many channels, each with the values that its weights were trained on."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor

from zoomgr.errors import InvalidSettingError
from zoomgr.look.preprocess import for_channels, transforms
from zoomgr.records import Preprocess

RGB = Preprocess((16, 24), (20,), (0.1, 0.2, 0.6), (0.3, 0.4, 0.8))
BGR = Preprocess((16, 24), (20,), (0.6, 0.2, 0.1), (0.8, 0.4, 0.3), channels="bgr")
MEAN: Any = pytest.approx(0.3)
STD: Any = pytest.approx(0.5)


@pytest.mark.parametrize(
    ("in_ch", "policy", "mean"),
    [
        (1, "zero", (MEAN,)),
        (1, "cyclic", (MEAN,)),
        (2, "zero", (0.1, 0.2)),
        (2, "mean", (MEAN, MEAN)),
        (3, "mean", (0.1, 0.2, 0.6)),
        (5, "zero", (0.1, 0.2, 0.6, MEAN, MEAN)),
        (5, "mean", (0.1, 0.2, 0.6, MEAN, MEAN)),
        (5, "fresh", (0.1, 0.2, 0.6, MEAN, MEAN)),
        (5, "copy:B", (0.1, 0.2, 0.6, 0.6, 0.6)),
        (7, "cyclic", (0.1, 0.2, 0.6, 0.1, 0.2, 0.6, 0.1)),
    ],
)
def test_each_channel_has_the_mean_of_what_its_slice_is_made_of(
    in_ch: int, policy: str, mean: tuple[Any, ...]
) -> None:
    """And the std, and nothing else changes."""
    how = for_channels(RGB, in_ch, policy=policy)

    assert how.mean == mean
    assert len(how.std) == in_ch
    assert (how.size, how.resize, how.channels) == (RGB.size, RGB.resize, "rgb")


def test_bands_bring_their_values_along() -> None:
    """In the order of the bands; those that the weights do not know take part in the policy."""
    order = (None, 2, 1, 0, None)

    assert for_channels(RGB, 5, order=order).mean == (MEAN, 0.6, 0.2, 0.1, MEAN)
    assert for_channels(RGB, 5, order=order).std == (STD, 0.8, 0.4, 0.3, STD)
    assert for_channels(RGB, 5, policy="copy:R", order=order).mean == (0.1, 0.6, 0.2, 0.1, 0.1)
    assert for_channels(RGB, 5, policy="cyclic", order=order).mean == (0.1, 0.6, 0.2, 0.1, 0.2)
    assert for_channels(RGB, 1, order=(1,)).mean == (0.2,)
    assert for_channels(RGB, 3, order=(2, 1, 0)).mean == (0.6, 0.2, 0.1)


def test_three_channels_without_bands_stay_as_they_are() -> None:
    """The same record."""
    assert for_channels(BGR, 3) is BGR


def test_weights_in_bgr_take_their_first_three_channels_turned() -> None:
    """Pictures come as red, green, blue and more; bands as they are named."""
    how = Preprocess((16, 24), (16, 24), BGR.mean, BGR.std, crop="squash", channels="bgr")
    picture = torch.rand(5, 16, 24)

    wide = transforms(for_channels(how, 5, policy="copy:R"))(picture)
    named = transforms(for_channels(how, 3, order=(2, 1, 0)))(picture[:3])

    def normalised(rows: list[int], mean: list[float], std: list[float]) -> Tensor:
        return (picture[rows] - torch.tensor(mean).view(-1, 1, 1)) / torch.tensor(std).view(-1, 1, 1)

    turned = normalised([2, 1, 0, 3, 4], [0.6, 0.2, 0.1, 0.1, 0.1], [0.8, 0.4, 0.3, 0.3, 0.3])
    torch.testing.assert_close(turned, wide)
    torch.testing.assert_close(normalised([0, 1, 2], [0.1, 0.2, 0.6], [0.3, 0.4, 0.8]), named)


def noise(*bands: str) -> Image.Image:
    """A picture of (40, 30) pixels, by a fixed seed."""
    generator = torch.Generator().manual_seed(0)
    values = torch.randint(0, 256, (len(bands), 30 * 40), dtype=torch.uint8, generator=generator)
    made = [Image.frombytes("L", (40, 30), bytes(band.tolist())) for band in values]
    return made[0] if len(made) == 1 else Image.merge("".join(bands), made)


CROPS = [("center", (20,)), ("center", (20, 30)), ("squash", (20, 30)), ("border", (16, 24))]


@pytest.mark.parametrize("channels", ["rgb", "bgr"])
@pytest.mark.parametrize(("crop", "resize"), CROPS)
def test_a_fourth_band_changes_nothing_in_the_first_three(
    channels: str, crop: str, resize: tuple[int, ...]
) -> None:
    """To the bit: it is a channel, and no transparency that would hide the others."""
    how = Preprocess((16, 24), resize, BGR.mean, BGR.std, "bicubic", crop, channels)
    picture = noise("R", "G", "B", "A")
    coloured = Image.merge("RGB", picture.split()[:3])

    wide = transforms(for_channels(how, 4))(picture)

    assert tuple(wide.shape) == (4, 16, 24)
    assert torch.equal(transforms(how)(coloured), wide[:3])
    grey = Preprocess((16, 24), resize, wide_of(how.mean), wide_of(how.std), "bicubic", crop)
    assert torch.equal(transforms(grey)(picture.getchannel("A")), wide[3:])


def wide_of(values: tuple[float, ...]) -> tuple[float]:
    """What a further channel gets."""
    return (sum(values) / 3,)


@pytest.mark.parametrize(("crop", "resize"), CROPS)
@pytest.mark.parametrize("in_ch", [1, 3, 7])
def test_tensors_have_any_count_of_channels(crop: str, resize: tuple[int, ...], in_ch: int) -> None:
    """Of bytes or of floats in 0..1, and come out as large and normalised as pictures do."""
    how = for_channels(Preprocess((16, 24), resize, RGB.mean, RGB.std, crop=crop), in_ch)
    levels = torch.arange(in_ch, dtype=torch.uint8) * 30 + 10
    flat = levels.view(-1, 1, 1).expand(in_ch, 30, 45).contiguous()

    out = transforms(how)(flat)

    normalised = (levels / 255 - torch.tensor(how.mean)) / torch.tensor(how.std)
    assert tuple(out.shape) == (in_ch, 16, 24)
    torch.testing.assert_close(out[:, 8, 12], normalised)
    torch.testing.assert_close(transforms(how)(flat / 255), out, rtol=0, atol=0.02)


def test_a_border_is_of_the_mean_colour_for_tensors_too() -> None:
    """So that it is next to nothing once normalised."""
    how = for_channels(Preprocess((20, 20), (20, 20), BGR.mean, BGR.std, crop="border", channels="bgr"), 4)

    out = transforms(how)(torch.ones(4, 10, 30))

    assert float(out[:, 0].abs().max()) < 0.01
    assert float(out[:, 10].min()) > 0.4


@pytest.mark.parametrize(
    ("in_ch", "picture", "problem"),
    [
        (4, noise("R", "G", "B"), "a PIL image of mode RGB: these weights take PIL images of mode RGBA, or"),
        (
            3,
            noise("R", "G", "B", "A"),
            "mode RGBA: these weights take PIL images of mode RGB, or tensors (3,",
        ),
        (1, noise("R", "G", "B"), "these weights take PIL images of mode L, or tensors (1, height, width)"),
        (3, noise("L").convert("P"), "a PIL image of mode P"),
        (4, noise("R", "G", "B").convert("CMYK"), "a PIL image of mode CMYK"),
        (13, noise("R", "G", "B"), "these weights take tensors (13, height, width)"),
        (4, torch.zeros(3, 8, 8), "a tensor (3, 8, 8): these weights take (4, height, width)"),
        (3, torch.zeros(1, 3, 8, 8), "a tensor (1, 3, 8, 8)"),
        (3, torch.zeros(3, 8, 8, dtype=torch.int16), "its range is not known"),
        (3, "cat.png", "picture=str: it is neither a PIL image nor a tensor"),
    ],
)
def test_a_picture_with_other_channels_is_one_clear_error(
    in_ch: int, picture: Image.Image | Tensor, problem: str
) -> None:
    """With what it has and what is wanted."""
    with pytest.raises(InvalidSettingError) as caught:
        transforms(for_channels(RGB, in_ch))(picture)

    assert problem in str(caught.value)
    assert f"with {in_ch} channel" in caught.value.remedy
