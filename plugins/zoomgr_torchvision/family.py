"""Builds torchvision's models as their published weights need them."""

from __future__ import annotations

from collections.abc import Iterable
from inspect import signature
from typing import TYPE_CHECKING, Any

from zoomgr.api import (
    CannotAdaptHeadError,
    CannotAdaptStemError,
    UnknownArchitectureError,
    close_matches,
    set_in_ch,
)
from zoomgr_torchvision.catalogue import CATALOGUE

if TYPE_CHECKING:
    from torch import Tensor, nn

IMAGE_CHANNELS = 3
"""Input channels of everything that torchvision publishes."""


class TorchvisionFamily:
    """`torchvision.models.get_model`, with what its builders do only when they are given weights."""

    name = "torchvision"

    def names(self) -> Iterable[str]:
        """The models of the shipped catalogue."""
        return tuple(CATALOGUE.shipped["models"])

    def build(
        self, name: str, *, num_classes: int | None = None, in_ch: int | None = None, **kwargs: Any
    ) -> nn.Module:
        """The module in train mode, with keys and shapes of the default weights unless `kwargs` say else.

        Args:
            name: one of `names()`, or another model that the installed torchvision has.
            num_classes: outputs of the head; None keeps those of the default weights.
            in_ch: input channels; None keeps three.
            kwargs: of the builder. `frozen_norm_eps` is ours: the eps of the FrozenBatchNorm2d that replace
                the backbone's BatchNorm2d, None to keep those. Detectors need `image_mean` and `image_std`
                of `in_ch` values each when `in_ch` is not three.

        Raises:
            CannotAdaptHeadError: this architecture has no head to change.
            CannotAdaptStemError: it has no stem to change, or normalises three channels itself.
            UnknownArchitectureError: torchvision has no such model.
        """
        row = _row(name)
        arguments = {**row.get("build_args", {}), **kwargs}
        if num_classes is not None and num_classes != row.get("num_classes"):
            if not row.get("head"):
                raise CannotAdaptHeadError(f"torchvision/{name}", num_classes, "it has no layer of classes")
            arguments["num_classes"] = num_classes
        in_ch = IMAGE_CHANNELS if in_ch is None else in_ch
        if in_ch != IMAGE_CHANNELS:
            _check_stem(name, row, in_ch, arguments)

        frozen_norm_eps = arguments.pop("frozen_norm_eps", None)
        model = _build(name, arguments)
        if frozen_norm_eps is not None:
            _freeze_norms(model.get_submodule("backbone"), frozen_norm_eps)
        if in_ch != IMAGE_CHANNELS:
            _change_stem(model, row["stem"], in_ch)
        return model


def _row(name: str) -> dict[str, Any]:
    """The catalogue's row of an architecture; made anew where another version is installed."""
    known: dict[str, dict[str, Any]] = CATALOGUE.shipped["models"]
    if CATALOGUE.is_shipped_version:
        if name in known:
            return known[name]
        raise UnknownArchitectureError(name, ("torchvision",), close_matches(name, tuple(known)))
    from zoomgr_torchvision.generate import model_row

    try:
        return model_row(name)
    except ValueError as error:
        raise UnknownArchitectureError(name, ("torchvision",), close_matches(name, tuple(known))) from error


def _check_stem(name: str, row: dict[str, Any], in_ch: int, arguments: dict[str, Any]) -> None:
    problem = ""
    if not row.get("stem") or row["task"] == "optical-flow":
        problem = "no stem is declared" if not row.get("stem") else "it compares pictures of three channels"
    elif row["task"] in {"detection", "keypoints"} and not all(
        len(arguments.get(key, ())) == in_ch for key in ("image_mean", "image_std")
    ):
        problem = f"it normalises its input itself: give image_mean and image_std of {in_ch} values each"
    if problem:
        raise CannotAdaptStemError(f"torchvision/{name}", in_ch, problem)


def _build(name: str, arguments: dict[str, Any]) -> nn.Module:
    from torchvision.models import get_model_builder

    builder = get_model_builder(name)
    if "weights_backbone" in signature(builder).parameters:
        arguments = {"weights_backbone": None, **arguments}
    model: nn.Module = builder(weights=None, **arguments)
    return model


def _freeze_norms(backbone: nn.Module, eps: float) -> None:
    """Put FrozenBatchNorm2d in the place of BatchNorm2d, as the builders do when they are given weights."""
    from torch import nn
    from torchvision.ops import FrozenBatchNorm2d

    for path, module in list(backbone.named_modules()):
        if isinstance(module, nn.BatchNorm2d):
            backbone.set_submodule(path, FrozenBatchNorm2d(module.num_features, eps=eps))


def _change_stem(model: nn.Module, stem: list[str], in_ch: int) -> None:
    """Give each convolution that takes the picture `in_ch` input channels, freshly initialised."""
    set_in_ch(model, stem, in_ch)
    if getattr(model, "transform_input", False):
        # Its own method keeps three channels and drops the others.
        model._transform_input = _renormalise  # type: ignore[assignment]  # noqa: SLF001 (forward calls it)


_IMAGENET_MEAN, _IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def _renormalise(x: Tensor) -> Tensor:
    """From ImageNet's mean and std to 0.5 and 0.5, as googlenet and inception_v3 do it to their input.

    Args:
        x: (N, in_ch, H, W); channels after the third stay as they are.
    """
    scale, shift = x.new_ones(x.shape[1]), x.new_zeros(x.shape[1])
    for channel, (mean, std) in enumerate(zip(_IMAGENET_MEAN, _IMAGENET_STD, strict=True)):
        if channel < x.shape[1]:
            scale[channel], shift[channel] = std / 0.5, (mean - 0.5) / 0.5
    return x * scale.view(-1, 1, 1) + shift.view(-1, 1, 1)
