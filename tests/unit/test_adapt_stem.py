"""What each policy for input channels keeps; docs/stem.md says the same in words."""

from __future__ import annotations

import pytest
import torch
from timm.models import adapt_input_conv
from torch import Tensor
from torch.nn.functional import conv2d

from zoomgr.adapt.stem import expand_stem
from zoomgr.errors import CannotAdaptStemError, InvalidSettingError


def rgb(*window: int, dtype: torch.dtype = torch.float64, out_ch: int = 8) -> Tensor:
    """A pretrained stem, by a fixed seed."""
    generator = torch.Generator().manual_seed(0)
    return torch.randn(out_ch, 3, *window, dtype=torch.float64, generator=generator).to(dtype)


@pytest.mark.parametrize("window", [(7,), (7, 7), (3, 5, 5)])
@pytest.mark.parametrize("policy", ["zero", "mean", "cyclic", "copy:R"])
@pytest.mark.parametrize("in_ch", [3, 4, 7])
def test_the_result_has_the_asked_channels_for_any_convolution(
    window: tuple[int, ...], policy: str, in_ch: int
) -> None:
    """Stems of signals, pictures and films are adapted alike, into a new tensor."""
    weight = rgb(*window, dtype=torch.float16)

    wide = expand_stem(weight, in_ch, policy=policy)

    assert (8, in_ch, *window) == tuple(wide.shape)
    assert weight.dtype == wide.dtype
    assert wide.data_ptr() != weight.data_ptr()


@pytest.mark.parametrize("policy", ["zero", "mean", "cyclic", "copy:G"])
def test_three_channels_stay_as_they_are(policy: str) -> None:
    """Nothing is to be adapted."""
    assert torch.equal(rgb(7, 7), expand_stem(rgb(7, 7), 3, policy=policy))


@pytest.mark.parametrize("in_ch", [4, 5, 6, 13])
def test_zero_keeps_the_response_to_rgb_whatever_else_is_seen(in_ch: int) -> None:
    """The new channels are silent until they are trained."""
    picture = torch.randn(2, in_ch, 16, 16, dtype=torch.float64)

    wide = conv2d(picture, expand_stem(rgb(7, 7), in_ch, policy="zero"))

    torch.testing.assert_close(wide, conv2d(picture[:, :3], rgb(7, 7)), rtol=0, atol=1e-12)
    assert torch.equal(rgb(7, 7), expand_stem(rgb(7, 7), in_ch, policy="zero")[:, :3])


@pytest.mark.parametrize("in_ch", [1, 2, 4, 5, 6, 13])
def test_mean_keeps_the_response_to_a_grey_picture(in_ch: int) -> None:
    """Equal values in every channel must excite the stem as they did in RGB."""
    wide = expand_stem(rgb(7, 7), in_ch, policy="mean")

    torch.testing.assert_close(wide.sum(dim=1), rgb(7, 7).sum(dim=1), rtol=0, atol=1e-12)


@pytest.mark.parametrize("in_ch", range(1, 9))
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_cyclic_is_timms_rule_to_the_bit(in_ch: int, dtype: torch.dtype) -> None:
    """Who has trained with timm's stem must be able to get it."""
    weight = rgb(7, 7, dtype=dtype)

    assert torch.equal(adapt_input_conv(in_ch, weight.clone()), expand_stem(weight, in_ch, policy="cyclic"))


@pytest.mark.parametrize(("channel", "index"), [("R", 0), ("G", 1), ("B", 2)])
def test_copy_repeats_one_channel_unscaled(channel: str, index: int) -> None:
    """Near infrared begins as red, say; R, G and B stay as they are."""
    wide = expand_stem(rgb(7, 7), 5, policy=f"copy:{channel}")

    assert torch.equal(rgb(7, 7), wide[:, :3])
    for extra in (3, 4):
        assert torch.equal(rgb(7, 7)[:, index], wide[:, extra])


def test_zero_gives_one_channel_the_sum_and_two_the_cyclic_rule() -> None:
    """With fewer than three channels no policy keeps RGB; one channel then answers grey exactly."""
    torch.testing.assert_close(
        expand_stem(rgb(7, 7), 1).squeeze(1), rgb(7, 7).sum(dim=1), rtol=1e-6, atol=1e-6
    )
    assert torch.equal(expand_stem(rgb(7, 7), 2, policy="cyclic"), expand_stem(rgb(7, 7), 2))


@pytest.mark.parametrize(
    ("weight", "in_ch", "policy"),
    [
        (torch.zeros(8, 4, 7, 7), 5, "zero"),  # not of RGB
        (torch.zeros(8, 3), 5, "zero"),  # no convolution
        (torch.zeros(8, 3, 7, 7, dtype=torch.int8), 5, "zero"),
        (torch.zeros(8, 3, 7, 7), 0, "zero"),
        (torch.zeros(8, 3, 7, 7), 2, "copy:R"),  # nothing is extra
        (torch.zeros(8, 3, 7, 7), 4, "fresh"),  # a layer's own business
    ],
)
def test_what_cannot_be_extended_is_refused(weight: Tensor, in_ch: int, policy: str) -> None:
    """A stem is never made up."""
    with pytest.raises(CannotAdaptStemError):
        expand_stem(weight, in_ch, policy=policy)


def test_an_unknown_policy_is_refused_with_a_close_one() -> None:
    """A slip of the keyboard must not change weights."""
    with pytest.raises(InvalidSettingError, match="cyclic"):
        expand_stem(rgb(7, 7), 4, policy="cylic")
