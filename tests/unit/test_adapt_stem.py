"""What each policy for input channels keeps; docs/stem.md says the same in words."""

from __future__ import annotations

import pytest
import torch
from timm.models import adapt_input_conv
from torch import Tensor
from torch.nn.functional import conv2d

from zoomgr.adapt.stem import expand_stem, policy_in, stem_shift
from zoomgr.errors import CannotAdaptStemError, InvalidSettingError
from zoomgr.records import StemExpand


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


@pytest.mark.parametrize("in_ch", [*range(1, 9), 13])
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
        (torch.zeros(3), 5, "zero"),  # no layer with inputs
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


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_one_channel_of_a_space_to_depth_stem_is_timms_sum_to_the_bit(dtype: torch.dtype) -> None:
    """Each pixel that the stem gathers is summed by itself."""
    weight = rgb(3, 3, dtype=dtype, out_ch=8).repeat(1, 16, 1, 1) * torch.arange(48, dtype=dtype).view(
        48, 1, 1
    )

    grey = expand_stem(weight, 1, policy="cyclic", blocks=16)

    assert tuple(grey.shape) == (8, 16, 3, 3)
    assert torch.equal(adapt_input_conv(1, weight.clone()), grey)
    assert torch.equal(grey, expand_stem(weight, 1, blocks=16))


@pytest.mark.parametrize(("blocks", "width"), [(1, 16), (16, 1), (2, 4)])
@pytest.mark.parametrize(
    ("policy", "in_ch"), [("zero", 1), ("mean", 1), ("zero", 4), ("mean", 4), ("cyclic", 4), ("copy:B", 4)]
)
def test_each_entry_of_a_channel_is_adapted_as_a_stem_of_its_own(
    blocks: int, width: int, policy: str, in_ch: int
) -> None:
    """Linear patch embeddings flatten (pixels, channels) or (channels, pixels)."""
    weight = torch.randn(8, blocks * 3 * width, dtype=torch.float64)

    wide = expand_stem(weight, in_ch, policy=policy, blocks=blocks, width=width)

    assert (8, blocks * in_ch * width) == tuple(wide.shape)
    entries = weight.view(8, blocks, 3, width), wide.view(8, blocks, in_ch, width)
    for block in range(blocks):
        for entry in range(width):
            old, new = (side[:, block, :, entry, None] for side in entries)
            torch.testing.assert_close(expand_stem(old, in_ch, policy=policy), new, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("policy", "slices"),
    [
        ("zero", (None, 2, None, 1, 0)),
        ("copy:G", (1, 2, 1, 1, 0)),
        ("copy:2", (2, 2, 2, 1, 0)),
        ("cyclic", (0, 2, 1, 1, 0)),
    ],
)
def test_an_order_puts_the_trained_slices_where_their_bands_are(
    policy: str, slices: tuple[int | None, ...]
) -> None:
    """Bands nir, blue, swir, green, red."""
    wide = expand_stem(rgb(7, 7), 5, policy=policy, order=(None, 2, None, 1, 0))

    scale = 3 / 5 if policy == "cyclic" else 1
    for channel, source in enumerate(slices):
        expected = torch.zeros_like(rgb(7, 7)[:, 0]) if source is None else rgb(7, 7)[:, source] * scale
        torch.testing.assert_close(expected, wide[:, channel], rtol=1e-6, atol=1e-6)


def test_mean_keeps_the_response_to_grey_in_any_order() -> None:
    """When the bands have all of red, green and blue."""
    wide = expand_stem(rgb(7, 7), 5, policy="mean", order=(None, 2, None, 1, 0))

    torch.testing.assert_close(wide.sum(dim=1), rgb(7, 7).sum(dim=1), rtol=0, atol=1e-12)


@pytest.mark.parametrize("policy", ["zero", "mean", "cyclic", "copy:R"])
def test_three_bands_in_another_order_are_only_put_in_order(policy: str) -> None:
    """To the bit, in whatever type."""
    wide = expand_stem(rgb(7, 7), 3, policy=policy, order=(2, 0, 1))

    assert torch.equal(rgb(7, 7)[:, [2, 0, 1]], wide)


def test_a_band_alone_gets_its_own_slice() -> None:
    """Who names the one channel does not ask for a sum."""
    assert torch.equal(rgb(7, 7)[:, 1:2], expand_stem(rgb(7, 7), 1, order=(1,)))


@pytest.mark.parametrize("order", [(0, 1, 2), (0, 1, 2, 3), (0, 1, 2, -1)])
def test_an_order_that_is_none_is_refused(order: tuple[int | None, ...]) -> None:
    """Of another count, or with channels that no weights have."""
    with pytest.raises(CannotAdaptStemError, match="order"):
        expand_stem(rgb(7, 7), 4, order=order)


def test_weights_in_bgr_have_red_at_the_end() -> None:
    """Caffe's."""
    bgr = rgb(7, 7).flip(1)

    for name in "RGB":
        wide = expand_stem(bgr, 4, policy=policy_in(f"copy:{name}", "bgr"))
        assert torch.equal(rgb(7, 7)[:, "RGB".index(name)], wide[:, 3])
    assert policy_in("copy:R", "rgb") == "copy:R"
    assert policy_in("mean", "bgr") == "mean"


def shift(policy: str, in_ch: int, order: tuple[int | None, ...] = ()) -> float | None:
    """Of one stem."""
    op = StemExpand(in_ch, policy, order)
    return stem_shift(rgb(7, 7), expand_stem(rgb(7, 7), in_ch, policy=policy, order=order), op)


@pytest.mark.parametrize("policy", ["zero", "copy:R"])
@pytest.mark.parametrize("order", [(), (None, 2, 1, None, 0)])
def test_zero_and_copy_do_not_shift_the_response_at_all(policy: str, order: tuple[int | None, ...]) -> None:
    """Exactly."""
    assert shift(policy, 5, order) == 0.0


@pytest.mark.parametrize("policy", ["cyclic", "mean"])
@pytest.mark.parametrize(("in_ch", "expected"), [(3, 0.0), (4, 0.25), (6, 0.5)])
def test_scaled_policies_shift_the_response_by_their_scale(policy: str, in_ch: int, expected: float) -> None:
    """1 - 3/n."""
    assert shift(policy, in_ch) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("in_ch", "order"), [(1, ()), (2, ()), (2, (0, 1)), (3, (0, 1, None)), (4, (0, None, 2, None))]
)
def test_what_cannot_show_rgb_has_no_shift(in_ch: int, order: tuple[int | None, ...]) -> None:
    """There is no response to compare with."""
    assert shift("zero", in_ch, order) is None


def test_the_shift_is_what_a_convolution_of_noise_shows() -> None:
    """Relative L2 of the response to pixels of unit variance, further channels zero."""
    noise = torch.randn(8, 3, 64, 64, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    wide = expand_stem(rgb(7, 7), 5, policy="cyclic", order=(None, 2, 1, None, 0))

    seen = torch.cat([noise[:, :1] * 0, noise[:, [2]], noise[:, [1]], noise[:, :1] * 0, noise[:, [0]]], dim=1)
    before, after = conv2d(noise, rgb(7, 7)), conv2d(seen, wide)

    measured = float((after - before).norm() / before.norm())
    assert shift("cyclic", 5, (None, 2, 1, None, 0)) == pytest.approx(measured, rel=1e-6)


def test_casting_is_no_shift() -> None:
    """A model in half precision has rounded weights, and an exact stem all the same."""
    wide = expand_stem(rgb(7, 7), 4).half()

    assert stem_shift(rgb(7, 7), wide, StemExpand(4, "zero")) == 0.0
