"""First layers for another count of input channels; docs/stem.md derives what each policy keeps."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from zoomgr.errors import CannotAdaptStemError, InvalidSettingError, close_matches

if TYPE_CHECKING:
    from torch import Tensor

    from zoomgr.records import StemExpand

RGB_CHANNELS = 3
_COPY = "copy:"
POLICIES = ("zero", "mean", "cyclic", "copy:R", "copy:G", "copy:B", "fresh")

ZERO, MEAN, SUM = -1, -2, -3
"""What a wanted channel gets instead of the slice of one trained channel: nothing, their mean, their sum."""


def check_policy(policy: str) -> None:
    """Refuse a policy that does not exist.

    Raises:
        InvalidSettingError: it does not.
    """
    if policy not in POLICIES:
        close = close_matches(str(policy), POLICIES)
        remedy = f"did you mean {close[0]}?" if close else f"choose one of {', '.join(POLICIES)}"
        raise InvalidSettingError("stem", str(policy), "there is no such policy", remedy)


def policy_in(policy: str, channels: str) -> str:
    """A policy for weights whose channels lie in this order, "rgb" or "bgr".

    Only "copy:R" and "copy:B" ask for the order: of weights in BGR, the red slice is where blue is in RGB,
    and is written by its position, "copy:2".
    """
    if channels == "rgb" or not policy.startswith(_COPY):
        return policy
    return f"{_COPY}{_copied(policy, channels)}"


def _copied(policy: str, channels: str = "rgb") -> int:
    """Which trained channel a policy "copy:R" or "copy:2" repeats."""
    name = policy.removeprefix(_COPY)
    return int(name) if name.isdigit() else channels.index(name.lower())


def slices(in_ch: int, policy: str, order: Sequence[int | None] = ()) -> tuple[int, ...]:
    """What each wanted channel gets: the slice of a trained channel (0, 1, 2), or ZERO, MEAN or SUM.

    Args:
        in_ch: a count >= 1.
        policy: of `POLICIES`, but not "fresh"; or by position, see `policy_in`.
        order: as of `expand_stem`.
    """
    if not order and in_ch == 1:
        return (SUM,)
    if not order and in_ch < RGB_CHANNELS:
        return (MEAN,) * in_ch if policy == "mean" else tuple(range(in_ch))
    wanted = list(order) or [*range(RGB_CHANNELS), *(None for _ in range(in_ch - RGB_CHANNELS))]
    picks, further = [], 0
    for channel in wanted:
        if channel is not None:
            picks.append(channel)
            continue
        picks.append(_further(policy, further))
        further += 1
    return tuple(picks)


def _further(policy: str, number: int) -> int:
    """What the further channel of this number gets, counted from 0."""
    if policy.startswith(_COPY):
        return _copied(policy)
    return {"mean": MEAN, "cyclic": number % RGB_CHANNELS}.get(policy, ZERO)


def expand_stem(  # noqa: PLR0913 (what the new channels get, and how the old ones lie)
    weight: Tensor,
    in_ch: int,
    *,
    policy: str = "zero",
    order: Sequence[int | None] = (),
    blocks: int = 1,
    width: int = 1,
) -> Tensor:
    """Adapt a pretrained RGB first layer to `in_ch` input channels.

    Args:
        weight: (out_ch, blocks * 3 * width, ...), floating point; of a convolution over one, two or three
            axes, or (out_ch, blocks * 3 * width) of a Linear that embeds flattened patches.
        in_ch: wanted input channels, a count >= 1; 3 gives a copy under every policy, unless `order` says
            otherwise.
        policy: what the channels get that are none of the trained ones. "zero": nothing, so that the response
            to RGB is kept whatever the others carry. "mean": the mean of R, G and B, and all channels are
            scaled by 3/in_ch (exact for grey pictures, which show one value in all channels). "cyclic": R, G,
            B, R, … in turn, and all channels are scaled by 3/in_ch. "copy:R", "copy:G", "copy:B": that
            channel once more, unscaled; "copy:0" … by its position, for weights in another order than RGB
            (`policy_in`).
        order: of each wanted channel, which trained one it is (0, 1, 2), or None; empty when the first three
            are the trained ones. Without it, one channel gets the sum (exact for grey pictures) and two are
            3/2 of the first two, or of the mean under "mean"; "copy:…" then needs three or more.
        blocks: how often the run of channels is repeated along axis 1, e.g. the pixels that a space-to-depth
            stem gathers.
        width: how many entries each channel has next to one another.

    Returns:
        (out_ch, blocks * in_ch * width, ...), dtype and device of `weight`; always a new tensor.

    Raises:
        CannotAdaptStemError: `weight` is no layer over RGB, or the policy cannot give `in_ch` channels.
        InvalidSettingError: there is no such policy.

    Source: "cyclic" is the rule of timm.models.adapt_input_conv, bit for bit; so is the sum for one channel.
    """
    import torch

    if not re.fullmatch(f"{_COPY}[012]", policy):
        check_policy(policy)
    what = _check_weight(weight, in_ch, blocks * RGB_CHANNELS * width)
    check_count(what, in_ch, policy, order)
    picks = slices(in_ch, policy, order)
    scale = 1.0 if picks == (SUM,) else _scale(in_ch, policy, order)
    precise = {"mean": torch.float64, "cyclic": torch.float32}.get(policy, torch.float32)
    as_they_are = scale == 1 and not {MEAN, SUM}.intersection(picks)
    parts = _by_channel(weight, RGB_CHANNELS, blocks, width)
    wide = _picked(parts if as_they_are else parts.to(precise), picks)
    return (wide if scale == 1 else wide * scale).flatten(1, 3).to(weight.dtype)


def check_count(what: str, in_ch: int, policy: str, order: Sequence[int | None]) -> None:
    """Refuse a policy that cannot give so many channels, and an order of another count.

    Args:
        what: whose stem it is, for the error.
        in_ch: wanted input channels.
        policy: as of `expand_stem`.
        order: as of `expand_stem`.

    Raises:
        CannotAdaptStemError: no rule is for it.
    """
    if order and (len(order) != in_ch or not set(order) <= {0, 1, 2, None}):
        raise CannotAdaptStemError(what, in_ch, f"the order {tuple(order)} does not say what each of them is")
    few = policy.startswith(_COPY) and in_ch < RGB_CHANNELS and not order
    if in_ch < 1 or policy == "fresh" or few:
        raise CannotAdaptStemError(what, in_ch, f"the policy {policy!r} does not give that many")


def _check_weight(weight: Tensor, in_ch: int, entries: int) -> str:
    """Refuse what is no layer over RGB, whose axis 1 has `entries`; how it is called in errors."""
    shape = tuple(weight.shape)
    what = f"a stem {shape} of {str(weight.dtype).removeprefix('torch.')}"
    if len(shape) < 2 or shape[1] != entries or not weight.is_floating_point():  # noqa: PLR2004 (out, in)
        problem = f"it is no floating-point layer over RGB, with {entries} entries along axis 1"
        raise CannotAdaptStemError(what, in_ch, problem)
    return what


def _by_channel(weight: Tensor, channels: int, blocks: int, width: int) -> Tensor:
    """(out_ch, blocks * channels * width, ...) -> (out_ch, blocks, channels, width, ...)."""
    return weight.reshape(weight.shape[0], blocks, channels, width, *weight.shape[2:])


def _scale(in_ch: int, policy: str, order: Sequence[int | None]) -> float:
    """By what all channels are multiplied, so that together they excite the layer as three did."""
    is_scaled = policy in {"mean", "cyclic"} or (in_ch < RGB_CHANNELS and not order)
    return RGB_CHANNELS / in_ch if is_scaled else 1.0


def _picked(parts: Tensor, picks: tuple[int, ...]) -> Tensor:
    """What `picks` name, of (out_ch, blocks, 3, width, ...), along axis 2."""
    import torch

    made = {
        ZERO: lambda: torch.zeros_like(parts[:, :, :1]),
        MEAN: lambda: parts.mean(dim=2, keepdim=True),
        SUM: lambda: parts.sum(dim=2, keepdim=True),
    }
    kinds = sorted(set(picks))
    stack = [made[kind]() if kind < 0 else parts[:, :, kind : kind + 1] for kind in kinds]
    where = torch.tensor([kinds.index(pick) for pick in picks], device=parts.device)
    return torch.cat(stack, dim=2).index_select(2, where)


def stem_shift(before: Tensor, after: Tensor, op: StemExpand) -> float | None:
    """How far adapting a stem has moved its response to RGB, while the further channels are zero.

    Args:
        before: the pretrained weight.
        after: what `expand_stem` made of it, of any type and on any device: only what adapting has changed
            counts.
        op: the move's operation, of the same arguments.

    Returns:
        The change of the response as a part of the response, relative L2 over independent pixels of unit
        variance, for which it is that of the slices that R, G and B meet: 0.0 when they are the same. None
        when the wanted channels do not have all three.
    """
    wanted = op.order or tuple(range(min(op.in_ch, RGB_CHANNELS)))
    if not {0, 1, 2} <= set(wanted):
        return None
    old = _by_channel(before.to(after), RGB_CHANNELS, op.blocks, op.width).double()
    new = _by_channel(after, op.in_ch, op.blocks, op.width)
    met = new[:, :, [wanted.index(channel) for channel in range(RGB_CHANNELS)]].double()
    size = float(old.norm())
    return float((met - old).norm()) / size if size else 0.0
