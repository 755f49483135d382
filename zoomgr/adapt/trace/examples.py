"""What to call a network with that nobody gave an example for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from zoomgr.adapt.declared import declared
from zoomgr.adapt.trace.rehearse import Example

if TYPE_CHECKING:
    from torch import nn

_BATCH = 2
"""BatchNorm in train mode needs more than one value per channel."""
_SIDES = (224, 32, 28, 64, 256, 299, 384, 512)
"""Heights and widths, pixels: ImageNet's, CIFAR's and MNIST's first, then what some networks insist on."""
_CLIPS = ((16, 112), (16, 224), (32, 224), (8, 64))
"""(frames, pixels) of videos."""
_LENGTHS = (1024, 128, 16000)
"""Samples of a signal."""


def examples_for(model: nn.Module, given: Any = None) -> Iterator[Example]:
    """Examples to try, the likeliest first.

    Args:
        model: asked for its declared input, and for what its first layers take.
        given: by the user: a batch, a list of pictures (one argument), a tuple of arguments, or a dictionary
            of named ones; then it is the only one.
    """
    if given is not None:
        yield _from(given)
        return
    seen: set[tuple[Any, ...]] = set()
    for shapes in _shapes(model):
        if shapes not in seen:
            seen.add(shapes)
            yield _made(model, shapes)


def _from(given: Any) -> Example:
    if isinstance(given, Mapping):
        return Example((), given)
    return Example(given if isinstance(given, tuple) else (given,))


def _made(model: nn.Module, shapes: tuple[Any, ...]) -> Example:
    """A list stands for a list of pictures, one argument; each other shape is an argument."""
    import torch

    dtype = next((one.dtype for one in model.parameters() if one.is_floating_point()), torch.float32)
    if isinstance(shapes[0], str):
        return Example(([torch.rand(shapes[1:], dtype=dtype, device="meta")],))
    return Example(tuple(torch.empty(shape, dtype=dtype, device="meta") for shape in shapes))


def _shapes(model: nn.Module) -> Iterator[tuple[Any, ...]]:
    declared_size = _declared_size(model)
    if declared_size:
        yield ((_BATCH, *declared_size),)
    first = _first_layer(model)
    origin = declared(model)
    known = [origin.in_ch] if origin and origin.stem else []
    own = [first.in_channels] if hasattr(first, "in_channels") else []
    channels = list(dict.fromkeys([*known, *own, 3, 1]))
    axes = len(getattr(first, "kernel_size", (0, 0)))
    for in_ch in channels:
        if axes == 3:  # noqa: PLR2004 (frames, height, width)
            yield from (((_BATCH, in_ch, frames, side, side),) for frames, side in _CLIPS)
        elif axes == 1:
            yield from (((_BATCH, in_ch, length),) for length in _LENGTHS)
        else:
            yield from (((_BATCH, in_ch, side, side),) for side in (*_own_sides(model), *_SIDES))
    if hasattr(first, "in_features"):
        yield ((_BATCH, first.in_features),)
    yield ("list", 3, 224, 224)  # torchvision's detectors
    yield ((_BATCH, 3, 128, 128), (_BATCH, 3, 128, 128))  # optical flow compares two


def _declared_size(model: nn.Module) -> tuple[int, ...]:
    """(in_ch, height, width) as the library that made it says; empty when nobody says."""
    for name in ("pretrained_cfg", "default_cfg"):  # timm's
        config = getattr(model, name, None)
        size = (
            config.get("input_size") if isinstance(config, Mapping) else getattr(config, "input_size", None)
        )
        if size:
            return tuple(size)
    origin = declared(model)
    return (origin.in_ch, *origin.preprocess.size) if origin and origin.preprocess else ()


def _own_sides(model: nn.Module) -> list[int]:
    """Sizes that a network insists on, as its attributes have them."""
    sizes = [getattr(model, name, None) for name in ("image_size", "img_size")]
    return [size[0] if isinstance(size, tuple) else size for size in sizes if isinstance(size, int | tuple)]


def _first_layer(model: nn.Module) -> Any:
    """The first linear layer or convolution that is registered."""
    from torch import nn
    from torch.nn.modules.conv import _ConvNd

    return next((one for one in model.modules() if isinstance(one, nn.Linear | _ConvNd)), None)
