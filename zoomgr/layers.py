"""Layers for other counts of channels or classes, in the place of those of a network that was built.

Most libraries build their networks for three channels, and some for one count of classes. A layer stays the
same object, with its class, its hooks and whatever else a subclass keeps; what depends on the count is new,
and initialised by the layer's own `reset_parameters`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from zoomgr.errors import CannotAdaptHeadError, CannotAdaptStemError, close_matches, did_you_mean
from zoomgr.records import Place

if TYPE_CHECKING:
    from torch import Tensor, nn

Side = Literal["inputs", "outputs"]


def replace_inputs(
    model: nn.Module, places: Iterable[Place | str], in_ch: int, *, anew: bool = False
) -> None:
    """Give the layers at `places` this count of input channels, freshly initialised.

    Args:
        model: changed in place, once all of the layers can be.
        places: of linear layers, (transposed) convolutions, and norms of channels.
        in_ch: a count >= 1.
        anew: make layers anew that have the count already; else they stay.

    Raises:
        CannotAdaptStemError: there is no such layer, or it cannot have this count; nothing was changed.
    """
    try:
        _replace(model, places, "inputs", in_ch, anew=anew)
    except LookupError as error:
        raise CannotAdaptStemError(type(model).__name__, in_ch, str(error)) from error


def replace_outputs(
    model: nn.Module, places: Iterable[Place | str], num_classes: int, *, anew: bool = False
) -> None:
    """Give the layers at `places` this count of classes, freshly initialised.

    Args:
        model: changed in place, once all of the layers can be.
        places: of linear layers, (transposed) convolutions, and norms of channels.
        num_classes: a count >= 0.
        anew: as of `replace_inputs`.

    Raises:
        CannotAdaptHeadError: there is no such layer, or it cannot have this count; nothing was changed.
    """
    try:
        _replace(model, places, "outputs", num_classes, anew=anew)
    except LookupError as error:
        raise CannotAdaptHeadError(type(model).__name__, num_classes, str(error)) from error


def layer_at(model: nn.Module, place: Place, side: Side) -> nn.Module:
    """The layer that a place names.

    Raises:
        LookupError: there is none, it is of a kind without such a count, or is not made up as the place says.
    """
    try:
        layer = model.get_submodule(place.path)
    except AttributeError as error:
        close = did_you_mean(close_matches(place.path, [path for path, _ in model.named_modules()]))
        raise LookupError(f"there is no layer {place.path}" + (f"; {close}" if close else "")) from error
    size = size_of(layer, side)
    if size is None:
        raise LookupError(f"{place.path} is a {type(layer).__name__}, which has no count of {side} to change")
    if size % (place.blocks * place.width):
        raise LookupError(f"{place.path} has {size} {side}, which are not made up as {place} says")
    return layer


def size_of(layer: nn.Module, side: Side) -> int | None:
    """How many inputs or outputs a layer has (0: it is yet to see them); None for kinds without a count."""
    attribute = _attribute(layer, side)
    if not attribute:
        return None
    size = getattr(layer, attribute)
    return int(size[-1] if isinstance(size, tuple) else size)


def axis_of(layer: nn.Module, side: Side) -> int:
    """Which axis of the weight follows the count, of a layer that has one."""
    from torch.nn.modules.conv import _ConvTransposeNd

    if keeps_channels(layer):
        return 0
    return int((side == "inputs") != isinstance(layer, _ConvTransposeNd))


def keeps_channels(layer: nn.Module) -> bool:
    """Whether it is a norm, which puts out the channels that it takes."""
    return _attribute(layer, "inputs") == _attribute(layer, "outputs") != ""


# -- kinds of layers -----------------------------------------------------------------------------------------


def _attribute(layer: nn.Module, side: Side) -> str:
    """Where a layer keeps its count; empty for kinds that are not known."""
    from torch import nn
    from torch.nn.modules.batchnorm import _NormBase
    from torch.nn.modules.conv import _ConvNd

    if isinstance(layer, nn.Linear):
        return "in_features" if side == "inputs" else "out_features"
    if isinstance(layer, _ConvNd):
        return "in_channels" if side == "inputs" else "out_channels"
    if isinstance(layer, _NormBase):
        return "num_features"
    if isinstance(layer, nn.LayerNorm | nn.RMSNorm) and len(layer.normalized_shape) == 1:
        return "normalized_shape"
    return "num_channels" if isinstance(layer, nn.GroupNorm) else ""


def is_lazy(tensor: Tensor) -> bool:
    """Whether its shape is yet to be found out."""
    from torch.nn.parameter import is_lazy as is_uninitialised

    return bool(is_uninitialised(tensor))


def _tensors(layer: nn.Module) -> dict[str, Tensor]:
    """A layer's own parameters and buffers that have a shape yet, by name."""
    own = {**dict(layer.named_parameters(recurse=False)), **dict(layer.named_buffers(recurse=False))}
    return {name: tensor for name, tensor in own.items() if not is_lazy(tensor)}


# -- a change ------------------------------------------------------------------------------------------------


def _replace(model: nn.Module, places: Iterable[Place | str], side: Side, count: int, *, anew: bool) -> None:
    if count < (side == "inputs"):
        raise LookupError(f"there are no networks with {count}")
    changes: dict[nn.Module, _Change] = {}
    for place in (Place.parse(place) if isinstance(place, str) else place for place in places):
        layer = layer_at(model, place, side)
        if anew or size_of(layer, side) != place.size(count):
            changes[layer] = _Change(place.path, layer, side, place.size(count))
    renewed: dict[int, nn.Parameter] = {}
    twins = {layer: change.twin(renewed) for layer, change in changes.items()}
    for path, layer in model.named_modules():
        for name, own in layer.named_parameters(recurse=False):
            if id(own) in renewed and layer not in twins:
                raise LookupError(f"{path}.{name} is the same parameter, and would stay as it is")
    for layer, twin in twins.items():
        vars(layer).update(vars(twin))


@dataclass(frozen=True, slots=True)
class _Change:
    """A layer that shall have another count."""

    path: str
    layer: nn.Module
    side: Side
    size: int

    def twin(self, renewed: dict[int, nn.Parameter]) -> nn.Module:
        """What the layer will be: with parameters and buffers of its own, all else shared.

        Args:
            renewed: new parameters by the identity of the old ones, so that those of two layers stay tied.

        Raises:
            LookupError: it cannot have this count.
        """
        from torch import nn

        twin = _plain_twin(self.layer)
        for problem in self._problems(twin):
            raise LookupError(f"{self.path}: {problem}")
        for name, old in _tensors(twin).items():
            if shape := self._shape(twin, name, old):
                new = old.new_empty(shape)
                if isinstance(old, nn.Parameter):
                    new = renewed.setdefault(id(old), nn.Parameter(new, old.requires_grad))
                setattr(twin, name, new)
        self._set_count(twin)
        _reset(twin)
        _parametrise(twin, self.layer)
        return twin

    def _problems(self, twin: nn.Module) -> Iterator[str]:
        """Why the layer cannot have the count."""
        groups = getattr(twin, "num_groups", getattr(twin, "groups", 1))
        if self.size % groups:
            yield f"its {groups} groups do not divide {self.size} {self.side}"
        own = vars(twin)
        if "weight" not in own["_parameters"]:
            yield "its weight is computed from other parameters; take that off first"
        for kind in _stateful_parametrizations(self.layer):
            yield f"its weight is parametrised by {kind}, which keeps a state; take that off first"
        for name, tensor in _tensors(twin).items():
            is_renewable = name in own["_parameters"] and _initialises_itself(twin)
            is_known = name in {"weight", "bias"} or keeps_channels(twin) or is_renewable
            if not is_known and self._shape(twin, name, tensor):
                yield f"its {name} follows the count, and there is no rule for what it should hold"

    def _shape(self, twin: nn.Module, name: str, tensor: Tensor) -> tuple[int, ...] | None:
        """Of a tensor with the new count; None for one that does not follow it."""
        shape, old = list(tensor.shape), size_of(twin, self.side) or 0
        size, axis = self.size, 0
        if not keeps_channels(twin) and name == "weight":
            axis = axis_of(twin, self.side)
            groups = getattr(twin, "groups", 1) if axis else 1  # axis 1 holds the channels of one group
            size, old = size // groups, old // groups
        elif not keeps_channels(twin) and name == "bias" and self.side == "inputs":
            return None
        elif name not in {"weight", "bias"} and not keeps_channels(twin):
            axis = next((axis for axis, length in enumerate(shape[:2]) if length == old), len(shape))
        if axis >= len(shape) or shape[axis] != old:
            return None
        return (*shape[:axis], size, *shape[axis + 1 :])

    def _set_count(self, twin: nn.Module) -> None:
        attribute = _attribute(twin, self.side)
        before = size_of(twin, self.side)
        setattr(twin, attribute, (self.size,) if isinstance(getattr(twin, attribute), tuple) else self.size)
        if self.side == "inputs" and before and hasattr(twin, "gain") and hasattr(twin, "scale"):
            # timm's ScaledStdConv2d: gamma / sqrt(inputs of a neuron), computed in its constructor
            twin.scale *= (before / self.size) ** 0.5


def _initialises_itself(layer: nn.Module) -> bool:
    """Whether a subclass says how parameters of its own are initialised."""
    home = next(kind for kind in type(layer).__mro__ if "reset_parameters" in vars(kind))
    return not home.__module__.startswith("torch.nn.")


def _reset(layer: nn.Module) -> None:
    """Initialise it, unless it waits for an input or is for no classes, of which `torch.nn.init` warns."""
    tensors = [*layer.parameters(recurse=False), *layer.buffers(recurse=False)]
    if all(not is_lazy(tensor) and tensor.numel() for tensor in tensors):
        initialise: Callable[[], None] = layer.reset_parameters  # type: ignore[assignment]
        initialise()


# -- parametrised layers -------------------------------------------------------------------------------------


def _plain_twin(layer: nn.Module) -> nn.Module:
    """The same layer in another object, with dictionaries of its own and its parametrizations computed."""
    from torch import nn
    from torch.nn.utils.parametrize import type_before_parametrizations

    twin: nn.Module = object.__new__(type_before_parametrizations(layer))
    vars(twin).update(vars(layer))
    for name in ("_parameters", "_buffers", "_modules"):
        vars(twin)[name] = dict(vars(layer)[name])
    for name, every in vars(twin)["_modules"].pop("parametrizations", {}).items():
        trained = any(one.requires_grad for one in every.parameters())
        vars(twin)["_parameters"][name] = nn.Parameter(getattr(layer, name).detach(), trained)
    return twin


def _stateful_parametrizations(layer: nn.Module) -> list[str]:
    """Kinds of those that keep tensors, whose shapes nobody here knows how to change."""
    return [
        type(one).__name__
        for every in getattr(layer, "parametrizations", {}).values()
        for one in every
        if [*one.parameters(), *one.buffers()]
    ]


def _parametrise(twin: nn.Module, like: nn.Module) -> None:
    """Put the parametrizations of a layer on its twin."""
    from torch.nn.utils.parametrize import register_parametrization

    for name, every in getattr(like, "parametrizations", {}).items():
        for one in every:
            register_parametrization(twin, name, one, unsafe=True)
