"""Builds torchvision's models as their published weights need them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from inspect import signature
from typing import TYPE_CHECKING, Any

from zoomgr.api import (
    CannotAdaptHeadError,
    CannotAdaptStemError,
    UnknownArchitectureError,
    close_matches,
    replace_inputs,
)
from zoomgr_torchvision.catalogue import CATALOGUE

if TYPE_CHECKING:
    from torch import Tensor, nn

IMAGE_CHANNELS = 3
"""Input channels of everything that torchvision publishes."""
_NORMALISATION = ("image_mean", "image_std")
"""Arguments of detectors, and attributes of their `GeneralizedRCNNTransform`: a value for each channel."""
_INT8 = "it is built as int8; {}, which are floats (quantize=False), can be adapted"


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
            num_classes: outputs of the head; None keeps those of the default weights. Detectors and
                segmentation count the background as the first class, as torchvision does: two kinds of
                things to find are three classes.
            in_ch: input channels; None keeps three. Detectors normalise their input themselves: they get
                `image_mean` and `image_std` of that length, see `for_channels`, unless they are given.
            kwargs: of the builder. `frozen_norm_eps` is ours: the eps of the FrozenBatchNorm2d that replace
                the backbone's BatchNorm2d, None to keep those. `quantize=False` builds a quantized_* model of
                floats, which can have other counts.

        Raises:
            CannotAdaptHeadError: this architecture has no classes, or is built as int8.
            CannotAdaptStemError: it has no stem to change, is built as int8, or is given `image_mean` or
                `image_std` of another length.
            UnknownArchitectureError: torchvision has no such model.
        """
        row = _row(name)
        own = row.get("float_args" if kwargs.get("quantize") is False else "build_args", {})
        arguments = {**own, **kwargs}
        if num_classes is not None and num_classes != row.get("num_classes"):
            _check_head(name, row, num_classes, arguments)
            arguments["num_classes"] = num_classes
        in_ch = IMAGE_CHANNELS if in_ch is None else in_ch
        if in_ch != IMAGE_CHANNELS:
            _check_stem(name, row, in_ch, arguments)

        frozen_norm_eps = arguments.pop("frozen_norm_eps", None)
        model = _build(name, arguments)
        if frozen_norm_eps is not None:
            _freeze_norms(model.get_submodule("backbone"), frozen_norm_eps)
        if in_ch != IMAGE_CHANNELS:
            replace_inputs(model, row["stem"], in_ch)
            _renormalise_all(model, in_ch, arguments)
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


def _check_head(name: str, row: dict[str, Any], num_classes: int, arguments: dict[str, Any]) -> None:
    problem = _why_fixed(name, arguments) if row.get("head") else "it has no layer of classes"
    if problem:
        raise CannotAdaptHeadError(f"torchvision/{name}", num_classes, problem)


def _check_stem(name: str, row: dict[str, Any], in_ch: int, arguments: dict[str, Any]) -> None:
    problem = _why_fixed(name, arguments) if row.get("stem") else "no stem is declared"
    for key in _NORMALISATION:
        if len(arguments.get(key) or ()) not in {0, in_ch}:
            problem = f"{key} has {len(arguments[key])} values, and a value for each channel is needed"
    if problem:
        raise CannotAdaptStemError(f"torchvision/{name}", in_ch, problem)


def _why_fixed(name: str, arguments: dict[str, Any]) -> str:
    """Why no count of a model can be changed; empty when it can."""
    if not arguments.get("quantize"):
        return ""
    floats = [
        f"{name}@{row['tag']}"
        for row in CATALOGUE.shipped["weights"]
        if row["model"] == name and not row["build_args"]["quantize"]
    ]
    return _INT8.format(" and ".join(floats) or "other weights of it")


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


# -- normalising inside --------------------------------------------------------------------------------------

_IMAGENET_MEAN, _IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def for_channels(values: Sequence[float], in_ch: int) -> list[float]:
    """A value for each channel from those of RGB: further channels get the mean of the three.

    A single channel is grey and gets the mean, too; of two, each gets its own.
    """
    mean = sum(values) / len(values)
    return [mean] if in_ch == 1 else [*values, *[mean] * in_ch][:in_ch]


def _renormalise_all(model: nn.Module, in_ch: int, given: dict[str, Any]) -> None:
    """Let what a model does with its input itself be done with all channels."""
    from torchvision.models.detection.transform import GeneralizedRCNNTransform

    transform = getattr(model, "transform", None)
    if isinstance(transform, GeneralizedRCNNTransform):
        for key in _NORMALISATION:
            if not given.get(key):
                setattr(transform, key, for_channels(getattr(transform, key), in_ch))
    if getattr(model, "transform_input", False):
        # Its own method keeps three channels and drops the others.
        model._transform_input = _renormalise  # type: ignore[assignment]  # noqa: SLF001 (forward calls it)


def _renormalise(x: Tensor) -> Tensor:
    """From ImageNet's mean and std to 0.5 and 0.5, as googlenet and inception_v3 do it to their input.

    Args:
        x: (N, in_ch, H, W), normalised by ImageNet's values as `for_channels` has them.
    """
    mean, std = (x.new_tensor(for_channels(values, x.shape[1])) for values in (_IMAGENET_MEAN, _IMAGENET_STD))
    return x * (std / 0.5).view(-1, 1, 1) + ((mean - 0.5) / 0.5).view(-1, 1, 1)
