"""What the layers of a network answer with, place by place of the picture."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from zoomgr.adapt.modes import modes_kept
from zoomgr.adapt.site import uncompiled
from zoomgr.adapt.trace.rehearse import tensors_in
from zoomgr.errors import InvalidSettingError, reason_of
from zoomgr.look.maps import grid_of
from zoomgr.tune import features, stages
from zoomgr.tune.features import hooked
from zoomgr.tune.stats import unmoved

if TYPE_CHECKING:
    from torch import Tensor, nn

_FEW = 8
"""So many convolutions are all shown: AlexNet has five, VGG-11 eight."""
_HEAD = 3
"""So many `Linear` layers are the head of a network of convolutions, as AlexNet's; transformers have more."""


@dataclass(frozen=True, slots=True, eq=False)
class LayerMap:
    """Where a layer's output is strong.

    Attributes:
        layer, kind: its path and class.
        shape: of its output.
        values: (pictures, height, width), float32, on the CPU: the mean over the channels, or Grad-CAM.
        prefix: tokens that stand for no place of the picture (class, registers), and were left out.
        classes: of Grad-CAM, for each picture: what the map speaks for.
    """

    layer: str
    kind: str
    shape: tuple[int, ...]
    values: Tensor
    prefix: int = 0
    classes: tuple[int, ...] = ()

    def strongest(self, picture: int = 0) -> tuple[float, float]:
        """Where the largest value lies, from the left and from the top of what the network has seen, 0..1."""
        rows, columns = self.values.shape[1:]
        row, column = divmod(int(self.values[picture].argmax()), columns)
        return (column + 0.5) / columns, (row + 0.5) / rows


def activations(model: nn.Module, pictures: Tensor, layers: str | Sequence[str] = ()) -> tuple[LayerMap, ...]:
    """The mean over the channels of layers' outputs, in eval mode; nothing of the network changes.

    Args:
        model: any network of pictures; a compiled one is run as it was before.
        pictures: (pictures, channels, height, width) as the network takes them; or one, without the first
            axis.
        layers: paths or globs. Without any: all convolutions where they are few, else the ends of the stages;
            of these, those that have a map. A layer that runs several times shows its first run.

    Raises:
        UnknownPartError: a path or glob that fits no module.
        InvalidSettingError: a layer that was asked for did not run, or its output is no map of the picture;
            no layer has one; or the network does not take these pictures.
    """
    model = uncompiled(model)
    batch = batch_for(model, pictures)
    paths = features(model, layers).layers if layers else _usual(model)
    seen: dict[str, LayerMap | str] = {}

    def see(path: str) -> Any:
        def hook(module: nn.Module, _inputs: Any, output: Any) -> None:
            if path not in seen:
                grid = grid_of(output, batch.shape)
                shape = shape_of(output)
                means = grid.values.mean(1).float().cpu() if grid else None
                seen[path] = (
                    LayerMap(path, type(module).__name__, shape, means, grid.prefix)
                    if grid and means is not None
                    else no_map(shape)
                )

        return hook

    with evaluating(model), unmoved(model):
        called(model, batch, {path: see(path) for path in paths})
    return picked(model, paths, seen, are_asked_for=bool(layers))


def picked(
    model: nn.Module, paths: Sequence[str], seen: Mapping[str, LayerMap | str], *, are_asked_for: bool
) -> tuple[LayerMap, ...]:
    """The maps among what was seen; where the layers were asked for, all of them have to be.

    Raises:
        InvalidSettingError: one of those is none; or there is none at all.
    """
    maps = tuple(one for path in paths if isinstance(one := seen.get(path), LayerMap))
    if are_asked_for and len(maps) < len(paths):
        path = next(path for path in paths if not isinstance(seen.get(path), LayerMap))
        problem = str(seen.get(path, "the forward pass did not come by"))
        raise InvalidSettingError("layers", path, problem, "leave it out, or name none for the usual ones")
    if not maps:
        problem = "no layer has an output that is a map of the picture"
        raise InvalidSettingError("model", type(model).__name__, problem, "name a layer that has one")
    return maps


def _usual(model: nn.Module) -> tuple[str, ...]:
    """All convolutions of a small network; of others, and of transformers, the ends of the stages."""
    from torch import nn

    modules = [(path, type(one)) for path, one in model.named_modules()]
    convolutions = tuple(path for path, kind in modules if issubclass(kind, nn.Conv2d))
    linear = sum(issubclass(kind, nn.Linear) for _, kind in modules)
    if 0 < len(convolutions) <= _FEW and linear <= _HEAD:
        return convolutions
    return tuple(stage.name for stage in stages(model) if stage.name)


# -- running -------------------------------------------------------------------------------------------------


def batch_for(model: nn.Module, pictures: Tensor) -> Tensor:
    """Pictures as a batch, where the network lies and of its type."""
    batch = pictures if pictures.ndim == 4 else pictures.unsqueeze(0)  # noqa: PLR2004 (pictures first)
    likely = next((one for one in model.parameters() if one.is_floating_point()), batch)
    return batch.to(likely.device, likely.dtype)


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """In eval mode; afterwards each module is in its own mode again."""
    with modes_kept(model):
        model.eval()
        yield


def called(model: nn.Module, batch: Tensor, hooks: dict[str, Any]) -> Any:
    """What the network answers, while hooks look on.

    Raises:
        InvalidSettingError: it does not take this batch.
    """
    import torch

    # Compiled code is not guarded against hooks that come and go: it would keep those of its first run.
    eagerly: Any = torch.compiler.disable(lambda: model(batch))  # type: ignore[no-untyped-call]
    with hooked(model, hooks):
        try:
            return eagerly()
        except (RuntimeError, ValueError, TypeError, AssertionError) as error:
            problem = f"{type(model).__name__} does not take it ({reason_of(error)})"
            remedy = "prepare pictures as its weights were trained, see zoomgr.preprocess"
            raise InvalidSettingError("pictures", str(tuple(batch.shape)), problem, remedy) from error


def shape_of(output: Any) -> tuple[int, ...]:
    """Of an output's first tensor; empty without any."""
    return next((tuple(one.shape) for one in tensors_in(output)), ())


def no_map(shape: Sequence[int]) -> str:
    """Why a layer is not shown."""
    return f"its output, {'x'.join(map(str, shape)) or 'no tensor'}, is no map of the picture"
