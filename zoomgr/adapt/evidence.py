"""Whether a filled network computes what its weights mean, seen by running it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from zoomgr.adapt.modes import modes_kept
from zoomgr.errors import InvalidSettingError
from zoomgr.records import Evidence

if TYPE_CHECKING:
    from torch import Tensor, nn

_PICTURES = (2, 3, 224, 224)
_LEAST_CLASSES = 3


def check(model: nn.Module, against: nn.Module | Tensor, *, pictures: Tensor | None = None) -> Evidence:
    """Hold a filled model against the network that its weights come from, or against pictures.

    With the network, both see the same random pictures, and must answer the same: a proof. Without it, real
    pictures must give BatchNorm the inputs that its running statistics were made of, which exchanged layers
    do not; that shows what is wrong, and not that all is right: two blocks of one shape that are exchanged,
    another padding or another eps move the statistics too little (measured with efficientnet_lite0).

    Args:
        model: filled; its mode and its buffers are as before afterwards.
        against: the source's network, with its weights; or pictures, (n, channels, height, width), prepared
            as the weights were trained (`zoomgr.preprocess`).
        pictures: for both networks, instead of random ones of 2 x 3 x 224 x 224.

    Raises:
        InvalidSettingError: the model, or the network, does not take such pictures.
    """
    import torch

    if isinstance(against, torch.Tensor):
        return _by_pictures(model, against)
    seen = (
        torch.randn(_PICTURES, generator=torch.Generator().manual_seed(0)) if pictures is None else pictures
    )
    theirs, ours = (_answer(one, seen) for one in (against, model))
    if theirs.shape != ours.shape:
        return Evidence(parity=math.inf)
    largest = float(theirs.abs().max())
    return Evidence(parity=float((theirs - ours).abs().max()) / (largest or 1.0))


def _by_pictures(model: nn.Module, pictures: Tensor) -> Evidence:
    deviations: dict[str, float] = {}
    with _watched(model, deviations):
        said = _answer(model, pictures)
    layer = max(deviations, key=lambda name: deviations[name], default="")
    is_classifier = said.dim() == 2 and said.shape[1] >= _LEAST_CLASSES  # noqa: PLR2004 (n, classes)
    confidence = float(said.softmax(1).amax(1).mean()) if is_classifier else None
    return Evidence(deviation=deviations.get(layer), layer=layer, confidence=confidence)


@contextmanager
def _watched(model: nn.Module, deviations: dict[str, float]) -> Iterator[None]:
    """Note how far the means of each norm's inputs lie from its running ones, in deviations."""
    from torch.nn.modules.batchnorm import _BatchNorm

    def noting(name: str) -> Any:
        def note(layer: Any, inputs: tuple[Tensor, ...]) -> None:
            axes = [axis for axis in range(inputs[0].dim()) if axis != 1]
            off = inputs[0].mean(axes) - layer.running_mean
            deviations[name] = float((off.abs() / (layer.running_var + layer.eps).sqrt()).mean())

        return note

    hooks = [
        layer.register_forward_pre_hook(noting(name))
        for name, layer in model.named_modules()
        if isinstance(layer, _BatchNorm) and layer.running_mean is not None
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _answer(model: nn.Module, pictures: Tensor) -> Tensor:
    """The first tensor of what a model says, in eval mode and without a gradient; modes are as before."""
    import torch

    place = next(model.parameters(), pictures)
    try:
        with modes_kept(model), torch.inference_mode():
            said = model.eval()(pictures.to(device=place.device, dtype=place.dtype))
    except (RuntimeError, ValueError, TypeError) as error:
        problem = f"{type(model).__name__} does not take them: {str(error).partition(chr(10))[0]}"
        remedy = "give pictures of its size and channels"
        raise InvalidSettingError("pictures", str(tuple(pictures.shape)), problem, remedy) from error
    found: Tensor = _first_tensor(said)
    return found.detach().cpu().float()


def _first_tensor(said: Any) -> Any:
    import torch

    if isinstance(said, torch.Tensor):
        return said
    values = list(said.values() if hasattr(said, "values") else said)
    return _first_tensor(values[0])
