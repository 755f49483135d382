"""Finds the layers of a model that follow the counts of channels and classes, by building it without memory.

torchvision publishes neither. The model is built on the meta device as it is and with other counts of
outputs; what differs is the head. How the classes lie along an axis is not to be seen from its length, so the
two orders that torchvision has are written here; a test selects classes of every detector by them.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from inspect import signature
from typing import TYPE_CHECKING, Any, NamedTuple

from zoomgr.api import Place

if TYPE_CHECKING:
    from torch import nn

IMAGE_CHANNELS = 3

_BOXES = "bbox_pred"
"""The one layer with several values for each class, next to one another: `FastRCNNPredictor`, whose outputs
roi_heads.py of torchvision/models/detection reads by `reshape(N, -1, 4)`. All others with more outputs than
classes have all classes for each anchor in turn: `view(N, -1, num_classes, H, W)` in retinanet.py, fcos.py
and ssd.py there."""
_OTHER_COUNT = 7
"""A count of outputs that no published model has."""


class Places(NamedTuple):
    """Where the counts are.

    Attributes:
        stem, head: as texts that `Place.parse` reads, in order of registration.
        outputs: of the last layer of the head; None without one.
    """

    stem: list[str]
    head: list[str]
    outputs: int | None


def find_places(builder: Callable[..., nn.Module], arguments: dict[str, Any]) -> Places:
    """Stem and head of a model.

    Args:
        builder: of torchvision.
        arguments: how it is called.
    """
    model = _build(builder, **arguments)
    found = dict(_head(model, builder, arguments))
    head = [found[path] for path, _ in model.named_modules() if path in found]
    outputs = model.get_parameter(f"{head[-1].path}.weight").shape[0] if head else None
    return Places(list(_stem(model)), [str(place) for place in head], outputs)


def _stem(model: nn.Module) -> Iterator[str]:
    from torch import nn

    for path, module in model.named_modules():
        if isinstance(module, nn.Conv2d | nn.Conv3d) and module.in_channels == IMAGE_CHANNELS:
            yield path


def _head(
    model: nn.Module, builder: Callable[..., nn.Module], arguments: dict[str, Any]
) -> Iterator[tuple[str, Place]]:
    """Layers whose weight changes with a count, and how it follows that."""
    for count in ("num_classes", "num_keypoints"):
        other = _with_other(builder, count, arguments)
        shapes = {key: value.shape for key, value in other.named_parameters()} if other else {}
        for key, value in model.named_parameters():
            if key.endswith(".weight") and shapes.get(key, value.shape) != value.shape:
                axis = next(axis for axis, size in enumerate(value.shape) if size != shapes[key][axis])
                path = key.removesuffix(".weight")
                yield path, _place(path, shapes[key][axis] // _OTHER_COUNT, count)


def _place(path: str, times: int, count: str) -> Place:
    """A layer whose axis is as long as so many times the count."""
    count = "" if count == "num_classes" else count
    if path.rpartition(".")[2] == _BOXES:
        return Place(path, width=times, count=count)
    return Place(path, blocks=times, count=count)


def _with_other(builder: Callable[..., nn.Module], count: str, arguments: dict[str, Any]) -> nn.Module | None:
    """The model with another count of outputs; None where its builder knows no such count."""
    if count != "num_classes" and count not in signature(builder).parameters:
        return None
    try:
        return _build(builder, **arguments, **{count: _OTHER_COUNT})
    except TypeError:  # RAFT has no classes
        return None


def _build(builder: Callable[..., nn.Module], **arguments: Any) -> nn.Module:
    """The model without memory for its parameters."""
    import torch

    if "weights_backbone" in signature(builder).parameters:
        arguments["weights_backbone"] = None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torchvision announces another default initialisation, unused here
        try:
            with torch.device("meta"):
                return builder(weights=None, **arguments)
        except NotImplementedError:  # RegNet computes its widths with tensors
            with empty_on_meta():
                return builder(weights=None, **arguments)


def empty_on_meta() -> AbstractContextManager[Any]:
    """A mode in which only `torch.empty`, where layers get their parameters from, is on the meta device."""
    import torch
    from torch.overrides import TorchFunctionMode

    class EmptyOnMeta(TorchFunctionMode):
        def __torch_function__(
            self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
        ) -> Any:
            kwargs = {**(kwargs or {}), "device": "meta"} if func is torch.empty else kwargs or {}
            return func(*args, **kwargs)

    return EmptyOnMeta()
