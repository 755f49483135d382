"""What speaks for a class, place by place of the picture (Grad-CAM)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from zoomgr.adapt.classes import chosen_classes
from zoomgr.adapt.declared import declared
from zoomgr.adapt.site import uncompiled
from zoomgr.adapt.trace.rehearse import tensors_in
from zoomgr.errors import InvalidSettingError
from zoomgr.look.activations import LayerMap, batch_for, called, evaluating, no_map, picked, shape_of
from zoomgr.look.maps import grid_of
from zoomgr.tune import features
from zoomgr.tune.stats import unmoved

if TYPE_CHECKING:
    from torch import Tensor, nn


def grad_cam(
    model: nn.Module,
    pictures: Tensor,
    class_: int | str | None = None,
    layers: str | Sequence[str] = (),
) -> tuple[LayerMap, ...]:
    """Where in a picture what speaks for a class lies, in eval mode; nothing of the network changes.

    The channels of a layer's output are added up, each weighted by the mean, over all places, of the gradient
    of the class's score; what is negative is left out. Tokens of a transformer are laid out as the
    picture.

    Args:
        model: any classifier of pictures; frozen parameters are no hindrance.
        pictures: as of `activations`.
        class_: index or label; without one, the most likely class of each picture.
        layers: as of `activations`; without any, the last one by whose map the score changes: mostly what the
            last convolution or block gives, and where a class token is read what the last attention gets.

    Raises:
        UnknownPartError: as of `activations`.
        InvalidSettingError: as of `activations`; there is no such class; the network does not answer with a
            score for each class; or the score does not change by the layer's map.

    Source: Selvaraju et al., "Grad-CAM: Visual Explanations from Deep Networks via Gradient-based
    Localization", ICCV 2017 (arXiv 1610.02391), equations 1 and 2.
    """
    import torch

    model = uncompiled(model)
    batch = batch_for(model, pictures).clone().requires_grad_()  # so that frozen layers have gradients too
    paths = features(model, layers).layers if layers else tuple(_weighted(model))
    tape = _Tape()
    with evaluating(model), unmoved(model), torch.enable_grad():
        answer = called(model, batch, {path: tape.hook(path) for path in (*paths, *_poolings(model))})
        scores = _scores(model, answer, len(batch))
        rows = _rows(model, class_, scores)
        chosen = scores.gather(1, torch.tensor(rows, device=scores.device)[:, None]).sum()
        outputs = {path: one for path, one in tape.outputs.items() if path in paths and one.requires_grad}
        gradients = torch.autograd.grad(chosen, [batch, *outputs.values()], allow_unused=True)[1:]
    seen = {
        path: _layer_map(path, type(model.get_submodule(path)).__name__, (output, gradient), batch, rows)
        for (path, output), gradient in zip(outputs.items(), gradients, strict=True)
    }
    if not layers:
        paths = _last(model, [path for path, one in seen.items() if isinstance(one, LayerMap)], tape.pooled)
    return picked(model, paths, seen, are_asked_for=bool(layers))


def _last(model: nn.Module, paths: Sequence[str], pooled: set[str]) -> tuple[str]:
    """The last layer that has a map; before a pooling maps are finer."""
    finer = [path for path in paths if path not in pooled]
    if not finer:
        problem = "its score changes by no layer's map"
        remedy = "load trained weights (heads that start from zeros have no gradients), or name a layer"
        raise InvalidSettingError("model", type(model).__name__, problem, remedy)
    return (finer[-1],)


class _Tape:
    """Outputs of layers with what leads to the score, in the order in which they were done.

    Attributes:
        outputs: the first tensor that each layer gave.
        pooled: paths of those whose output is that of a pooling: what stands before it has finer maps.
    """

    def __init__(self) -> None:
        self.outputs: dict[str, Tensor] = {}
        self.pooled: set[str] = set()
        self._of_poolings: dict[int, Tensor] = {}

    def hook(self, path: str) -> Any:
        """A forward hook that keeps a layer's first output."""

        def see(module: nn.Module, _inputs: Any, output: Any) -> Any:
            given = next(iter(tensors_in(output)), None)
            if given is None or path in self.outputs:
                return None
            self.outputs[path] = given
            # What comes next may write into what it gets, as nn.ReLU(inplace=True) does: it gets a copy.
            copy = given.clone() if isinstance(output, type(given)) else given
            if _is_pooling(module) or id(given) in self._of_poolings:
                self.pooled.add(path)
                self._of_poolings[id(copy)] = copy
            return copy if copy is not given else None

        return see


def _weighted(model: nn.Module) -> Iterator[str]:
    """Layers that may be looked at unasked; a `Linear` in a block has a map too, but ends nothing."""
    from torch import nn

    for path, module in model.named_modules():
        if path and not isinstance(module, nn.Linear) and any(True for _ in module.parameters()):
            yield path


def _poolings(model: nn.Module) -> Iterator[str]:
    return (path for path, module in model.named_modules() if path and _is_pooling(module))


def _is_pooling(module: nn.Module) -> bool:
    return type(module).__module__ == "torch.nn.modules.pooling"


def _scores(model: nn.Module, answer: Any, count: int) -> Tensor:
    """(pictures, classes)."""
    found = tensors_in(answer)
    if not found or found[0].ndim != 2 or found[0].shape[0] != count:  # noqa: PLR2004 (pictures, classes)
        shape = "x".join(map(str, shape_of(answer))) or "no tensor"
        problem = f"it answers with {shape}, not with a score for each class"
        raise InvalidSettingError("model", type(model).__name__, problem, "Grad-CAM is for classifiers")
    return found[0]


def _rows(model: nn.Module, class_: int | str | None, scores: Tensor) -> tuple[int, ...]:
    """The class of each picture."""
    if class_ is None:
        return tuple(scores.argmax(1).tolist())
    origin = declared(model)
    labels = origin.labels if origin else ()
    try:
        (row,) = chosen_classes((class_,), labels, scores.shape[1], type(model).__name__)
    except InvalidSettingError as error:  # there it is a choice of rows for a head
        raise InvalidSettingError("class", error.value, error.problem, error.remedy) from error
    return (row,) * len(scores)


def _layer_map(
    path: str, kind: str, found: tuple[Tensor, Tensor | None], batch: Tensor, rows: tuple[int, ...]
) -> LayerMap | str:
    """Grad-CAM of a layer, of its output and the gradient there; or why there is none."""
    output, gradient = found
    grid = grid_of(output.detach(), batch.shape)
    slopes = None if gradient is None else grid_of(gradient, batch.shape)
    if grid is None:
        return no_map(output.shape)
    if slopes is None or not bool(slopes.values.any()):
        return "the score does not change by its map"
    weights = slopes.values.mean((2, 3), keepdim=True)
    values = (weights * grid.values).sum(1).relu().float().cpu()
    return LayerMap(path, kind, tuple(output.shape), values, grid.prefix, rows)
