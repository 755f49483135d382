"""First convolutions for another count of input channels; docs/stem.md derives what each policy keeps."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from zoomgr.errors import CannotAdaptStemError, InvalidSettingError, close_matches

if TYPE_CHECKING:
    from torch import Tensor

RGB_CHANNELS = 3
_COPY = "copy:"
POLICIES = ("zero", "mean", "cyclic", "copy:R", "copy:G", "copy:B", "fresh")


def check_policy(policy: str) -> None:
    """Refuse a policy that does not exist.

    Raises:
        InvalidSettingError: it does not.
    """
    if policy not in POLICIES:
        close = close_matches(policy, POLICIES)
        remedy = f"did you mean {close[0]}?" if close else f"choose one of {', '.join(POLICIES)}"
        raise InvalidSettingError("stem", policy, "there is no such policy", remedy)


def expand_stem(weight: Tensor, in_ch: int, *, policy: str = "zero") -> Tensor:
    """Adapt a pretrained RGB first convolution to `in_ch` input channels.

    Args:
        weight: (out_ch, 3, ...), floating point; of a convolution over one, two or three axes.
        in_ch: wanted input channels, a count >= 1; 3 gives a copy under every policy.
        policy: what the channels after the third get. "zero": nothing, so that the response to RGB is kept
            whatever the others carry; for fewer than three channels that cannot be, and one channel gets the
            sum (exact for grey pictures), two are as with "cyclic". "mean": the mean of R, G and B, and all
            channels are scaled by 3/in_ch (exact for grey pictures, which show one value in all channels).
            "cyclic": R, G, B, R, … scaled by 3/in_ch; one channel gets the sum. "copy:R", "copy:G", "copy:B":
            that channel once more, unscaled; needs three channels or more.

    Returns:
        (out_ch, in_ch, ...), dtype and device of `weight`; always a new tensor.

    Raises:
        CannotAdaptStemError: `weight` is no RGB convolution, or the policy cannot give `in_ch` channels.
        InvalidSettingError: there is no such policy.

    Source: "cyclic" is the rule of timm.models.adapt_input_conv, bit for bit.
    """
    check_policy(policy)
    shape = tuple(weight.shape)
    if len(shape) <= 2 or shape[1] != RGB_CHANNELS or not weight.is_floating_point():  # noqa: PLR2004 (out, in)
        raise CannotAdaptStemError(
            f"a stem {shape} of {weight.dtype}", in_ch, "it is no floating-point convolution of RGB"
        )
    if in_ch < 1 or policy == "fresh" or (policy.startswith(_COPY) and in_ch < RGB_CHANNELS):
        raise CannotAdaptStemError(f"a stem {shape}", in_ch, f"the policy {policy!r} does not give that many")
    if in_ch == RGB_CHANNELS:
        return weight.clone()
    if policy == "mean":
        return _mean(weight, in_ch)
    if policy == "cyclic" or in_ch < RGB_CHANNELS:
        return _cyclic(weight, in_ch)
    return _appended(weight, in_ch, policy)


def _appended(weight: Tensor, in_ch: int, policy: str) -> Tensor:
    """R, G and B as they are, then channels of zeros or copies of one of them."""
    extra = in_ch - RGB_CHANNELS
    if policy == "zero":
        more = weight.new_zeros((weight.shape[0], extra, *weight.shape[2:]))
    else:
        channel = "RGB".index(policy.removeprefix(_COPY))
        more = weight[:, channel : channel + 1].expand(-1, extra, *weight.shape[2:])
    return _joined(weight, more)


def _joined(weight: Tensor, more: Tensor) -> Tensor:
    import torch

    return torch.cat((weight, more), dim=1)


def _mean(weight: Tensor, in_ch: int) -> Tensor:
    """Sum over channels stays that of R, G and B: (R + G + B + (n - 3) * mean) * 3/n = 3 * mean."""
    precise = weight.double()
    mean = precise.mean(dim=1, keepdim=True)
    kept = precise if in_ch > RGB_CHANNELS else mean[:, :0]
    extra = mean.expand(-1, in_ch - kept.shape[1], *weight.shape[2:])
    return (_joined(kept, extra) * (RGB_CHANNELS / in_ch)).to(weight.dtype)


def _cyclic(weight: Tensor, in_ch: int) -> Tensor:
    """In float32, as timm does it whatever the type."""
    single = weight.float()
    if in_ch == 1:
        return single.sum(dim=1, keepdim=True).to(weight.dtype)
    repeats = (1, math.ceil(in_ch / RGB_CHANNELS), *(1 for _ in weight.shape[2:]))
    return (single.repeat(repeats)[:, :in_ch] * (RGB_CHANNELS / in_ch)).to(weight.dtype)
