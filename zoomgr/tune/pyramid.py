"""Maps of several resolutions from any network that makes them, as detection and segmentation need."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from zoomgr.adapt.site import uncompiled
from zoomgr.errors import InvalidSettingError
from zoomgr.tune.features import Features, hooked
from zoomgr.tune.stats import unmoved

if TYPE_CHECKING:
    import torch
    from torch import nn

STRIDES = (4, 8, 16, 32)
"""Of the four stages of a ResNet (He et al., arXiv 1512.03385, table 1), on which feature pyramids stand."""


def pyramid(model: nn.Module, example: torch.Tensor, *, strides: Sequence[int] = STRIDES) -> Features:
    """The last layer at each resolution, as `features` gives layers: fine maps first.

    Args:
        model: any network whose maps are (batch, channels, height, width).
        example: (batch, channels, height, width), one batch as the network takes it; it is run once.
        strides: by how much a map is smaller than the picture, on both sides (rounded up).

    Raises:
        InvalidSettingError: no layer has a map of that resolution.
    """
    from torch import nn

    model = uncompiled(model)
    sizes = {tuple(-(-side // stride) for side in example.shape[-2:]): stride for stride in strides}
    last: dict[int, str] = {}

    def see(path: str) -> Any:
        def hook(_module: nn.Module, _inputs: Any, output: Any) -> None:
            if getattr(output, "ndim", 0) == example.ndim and tuple(output.shape[-2:]) in sizes:
                last[sizes[tuple(output.shape[-2:])]] = path

        return hook

    # A pooling to a fixed size is no resolution of the picture, though it may have the size of one.
    fixed = (nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d)
    hooks = {path: see(path) for path, one in model.named_modules() if path and not isinstance(one, fixed)}
    with unmoved(model), hooked(model, hooks):
        model(example)
    for stride in strides:
        if stride not in last:
            problem = f"no layer of {type(model).__name__} has maps of that resolution"
            raise InvalidSettingError("strides", str(stride), problem, f"it has {sorted(last)}")
    return Features(model, tuple(last[stride] for stride in strides))
