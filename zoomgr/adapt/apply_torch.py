"""Carrying out a plan on a module. All that can fail comes before the first change."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

from zoomgr.adapt.compute import computed
from zoomgr.errors import DoesNotFitError, InvalidPlanError
from zoomgr.records import LoadPlan

if TYPE_CHECKING:
    from torch import Tensor, nn


def apply(
    plan: LoadPlan,
    module: nn.Module,
    tensors: Mapping[str, Tensor],
    *,
    initialised: Callable[[], nn.Module] | None = None,
) -> None:
    """Fill a module with a checkpoint's tensors.

    A tensor that is only moved is not copied where its type and device are the module's: the module then
    holds the (mapped) memory of the checkpoint. Parameters stay the same objects, so optimizers, hooks and
    ties hold. Modes (train, eval) stay as they are; what modules have cached of old weights is dropped.

    Args:
        plan: made for this module.
        module: its fresh parameters are initialised if `initialised` is given, else they keep their values.
        tensors: the plan's sources, by name.
        initialised: builds the same module with its own initialisation, for one that was built under
            `skip_init`; called only if a fresh parameter cannot be initialised by its own layer.

    Raises:
        InvalidPlanError: the plan is for another module or other tensors.
        DoesNotFitError: names that are one parameter in the module have different values in the checkpoint.
        CannotAdaptStemError: a stem cannot be extended.
    """
    import torch

    targets = tensors_of(module)
    check_belongs(plan, module, targets, tensors)
    with torch.no_grad():
        filled = {move.target: _cast(computed(move, tensors), targets[move.target]) for move in plan.moves}
        filled = _untied(filled, targets)
        resets, lent = _initialisation(plan, module, initialised) if initialised else ([], {})

        for reset in resets:
            reset()
        for name, value in (lent | filled).items():
            targets[name].data = value
    for item in plan.attributes:
        setattr(module.get_submodule(item.module), item.attribute, item.value)
    drop_cached(module)


def tensors_of(module: nn.Module) -> dict[str, Tensor]:
    """Parameters and buffers by every name that they have."""
    found: dict[str, Tensor] = {}
    for path, layer in module.named_modules(remove_duplicate=False):
        prefix = f"{path}." if path else ""
        # torch's own iterators walk the whole tree once for each kind, and take ten times as long.
        for own in (layer._parameters, layer._buffers):  # noqa: SLF001 [as named_parameters does]
            found |= {prefix + name: tensor for name, tensor in own.items() if tensor is not None}
    return found


def check_belongs(
    plan: LoadPlan, module: nn.Module, targets: Mapping[str, Tensor], tensors: Mapping[str, Tensor]
) -> None:
    """Refuse a plan for another module or other tensors, with `InvalidPlanError`."""
    wanted = [(spec, targets) for spec in plan.target] + [(spec, tensors) for spec in plan.source]
    problems = [
        f"{spec.name} {spec.shape} is not there"
        for spec, there in wanted
        if spec.name not in there or there[spec.name].shape != spec.shape
    ]
    paths = dict(module.named_modules()) if plan.attributes else {}
    problems += [
        f"{item.module} has no attribute {item.attribute}"
        for item in plan.attributes
        if not hasattr(paths.get(item.module), item.attribute)
    ]
    if problems:
        raise InvalidPlanError(plan.adapter, tuple(problems))


def _cast(value: Tensor, target: Tensor) -> Tensor:
    if value.dtype == target.dtype and value.device == target.device and not value.requires_grad:
        return value
    return value.detach().to(dtype=target.dtype, device=target.device)


# -- memory --------------------------------------------------------------------------------------------------


def _untied(filled: Mapping[str, Tensor], targets: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same values, none of which shares memory with another, or with itself; one for tied names.

    A checkpoint's tensors may (they were tied, or views of one another, or expanded), and training one would
    train the other.
    """
    import torch

    owned: dict[int, tuple[str, Tensor]] = {}
    separate: dict[str, Tensor] = {}
    reach = {name: _span(value) for name, value in filled.items()}
    end = 0
    for name in sorted(filled, key=lambda name: reach[name]):
        value, (begin, stop) = filled[name], reach[name]
        first, kept = owned.setdefault(id(targets[name]), (name, value))
        if first != name:
            if not torch.equal(kept, value):
                problem = f"{first} and {name} are one parameter here, and differ"
                raise DoesNotFitError("tied weights", (), (), (problem,), len(filled))
            separate[name] = separate[first]
            continue
        repeats = not value.is_contiguous() and any(step == 0 < size - 1 for step, size in _axes(value))
        overlaps = begin < end or repeats
        separate[name] = value.clone(memory_format=torch.contiguous_format) if overlaps else value
        end = max(end, stop)
    return separate


def _span(value: Tensor) -> tuple[int, int]:
    """First address of a tensor's memory and the one after its last, bytes."""
    if not value.numel():
        return 0, 0
    if value.is_contiguous():
        return value.data_ptr(), value.data_ptr() + value.nbytes
    last = sum((size - 1) * step for step, size in _axes(value))
    return value.data_ptr(), value.data_ptr() + (last + 1) * value.element_size()


def _axes(value: Tensor) -> Iterator[tuple[int, int]]:
    """(stride, size) of each axis."""
    return zip(value.stride(), value.shape, strict=True)


# -- fresh parameters ----------------------------------------------------------------------------------------


def _initialisation(
    plan: LoadPlan, module: nn.Module, initialised: Callable[[], nn.Module]
) -> tuple[list[Callable[[], None]], dict[str, Tensor]]:
    """`reset_parameters` of the layers that are wholly fresh, and values of a second build for the others.

    Buffers are left out: their constructors have computed them.
    """
    if not plan.fresh:
        return [], {}
    parameters = dict(module.named_parameters(remove_duplicate=False))
    fresh = {item.target for item in plan.fresh} & parameters.keys()
    resets: list[Callable[[], None]] = []
    to_lend: list[str] = []
    for path, layer in module.named_modules():
        own = [f"{path}.{name}" if path else name for name, _ in layer.named_parameters(recurse=False)]
        if fresh.isdisjoint(own):
            continue
        if fresh.issuperset(own) and hasattr(layer, "reset_parameters"):
            resets.append(layer.reset_parameters)
        else:
            to_lend += [name for name in own if name in fresh]
    if not to_lend:
        return resets, {}
    lender = dict(initialised().named_parameters(remove_duplicate=False))
    return resets, {name: _cast(lender[name], parameters[name]) for name in to_lend}


def drop_cached(module: nn.Module) -> None:
    """Have modules forget what they computed from old weights, as LeViT's do on the way to train mode."""
    from torch import nn

    if all(type(layer).train is nn.Module.train for layer in module.modules()):
        return
    from zoomgr.adapt.modes import modes_kept  # few networks need it

    with modes_kept(module):
        module.train()
