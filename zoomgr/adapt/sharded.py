"""Carrying out a plan on a module whose tensors are not simply here.

Every rank has a part of each (FSDP, tensor parallel), or they have no memory yet (the meta device).
"""

from __future__ import annotations

import math
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from zoomgr.adapt.apply_torch import check_belongs, drop_cached
from zoomgr.adapt.compute import computed
from zoomgr.errors import DoesNotFitError, InvalidPlanError
from zoomgr.records import LoadPlan, Move

if TYPE_CHECKING:
    from torch import Tensor, nn


def is_sharded(module: nn.Module) -> bool:
    """Whether a module's tensors are in parts on several ranks (FSDP 1 or 2, DTensors), or nowhere (meta)."""
    kind = _loaded("torch.distributed.tensor", "DTensor")
    return _is_wrapped(module) or any(
        tensor.is_meta or (kind is not None and isinstance(tensor, kind)) for tensor in module.parameters()
    )


def check_sharded(plan: LoadPlan, module: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Refuse what `apply_sharded` could not carry out; asks no other rank but of a module of FSDP 1.

    Args:
        plan: made for this module, by the shapes that it has over all ranks.
        module: as of `apply_sharded`.
        tensors: the plan's sources, by name; those without values (on the meta device) are not compared.

    Raises:
        InvalidPlanError: the plan is for another module or other tensors.
        DoesNotFitError: names that are one parameter in the module have different values in the checkpoint.
    """
    import torch

    targets = module.state_dict(keep_vars=True)
    check_belongs(plan, module, targets, tensors)
    first: dict[int, Move] = {}
    for move in plan.moves:
        one = first.setdefault(id(targets[move.target]), move)
        if one is move or any(tensors[name].is_meta for name in move.sources):
            continue
        if not torch.equal(computed(one, tensors), computed(move, tensors)):
            problem = f"{one.target} and {move.target} are one parameter here, and differ"
            raise DoesNotFitError("tied weights", (), (), (problem,), len(plan.moves))


def apply_sharded(plan: LoadPlan, module: nn.Module, arriving: Iterable[tuple[str, Tensor]]) -> None:
    """Fill this rank's part of a module, through `torch.distributed.checkpoint.state_dict`.

    No rank needs another one here, but for a module of FSDP 1, which exchanges its own state. What the plan
    leaves alone keeps its values. Tensors on the meta device are replaced by new ones, as by
    `load_state_dict(assign=True)`; all others stay the same objects.

    Args:
        plan: checked by `check_sharded`.
        module: sharded, and in the same way on all its ranks.
        arriving: the plan's sources, whole, in any order; each is let go as soon as nothing needs it.
    """
    import torch

    setter = _WholeSetter(plan, module) if _is_wrapped(module) else _Setter(plan, module)
    batch: dict[str, Tensor] = {}
    size = 0
    with torch.no_grad():
        for move, sources in _complete(plan, arriving):
            value = computed(move, sources)
            batch[move.target] = setter.part(move.target, value)
            size += value.nbytes
            if size > setter.batch_bytes:
                setter.set(batch)
                batch, size = {}, 0
        setter.set(batch)
    for item in plan.attributes:
        setattr(module.get_submodule(item.module), item.attribute, item.value)
    drop_cached(module)


def _complete(
    plan: LoadPlan, arriving: Iterable[tuple[str, Tensor]]
) -> Iterator[tuple[Move, Mapping[str, Tensor]]]:
    """Each move once all its sources are there; they are let go after the last move that uses them."""
    by_source: dict[str, list[Move]] = {}
    for move in plan.moves:
        if not move.sources:
            yield move, {}
        for name in dict.fromkeys(move.sources):
            by_source.setdefault(name, []).append(move)
    uses = Counter({name: len(moves) for name, moves in by_source.items()})
    held: dict[str, Tensor] = {}
    for name, tensor in arriving:
        if name not in by_source:
            continue
        held[name] = tensor
        for move in by_source[name]:
            if held.keys() >= set(move.sources):
                yield move, {source: held[source] for source in move.sources}
                uses.subtract(set(move.sources))
        for source in [source for source in held if not uses[source]]:
            del held[source]
    if left := +uses:
        raise InvalidPlanError(plan.adapter, tuple(f"{name} did not come" for name in left))


def _loaded(package: str, name: str) -> Any:
    """Something of torch's, if anybody has imported it: else no module can be made of it."""
    return getattr(sys.modules.get(package), name, None)


def _is_wrapped(module: nn.Module) -> bool:
    """Whether FSDP 1 holds parts of it in flat parameters."""
    kind = _loaded("torch.distributed.fsdp", "FullyShardedDataParallel")
    return kind is not None and any(isinstance(layer, kind) for layer in module.modules())


# -- setting -------------------------------------------------------------------------------------------------


class _Setter:
    """Gives the tensors of a module values, by their names in its state dict.

    Attributes:
        batch_bytes: how much should be set at once: each time costs a walk through the module.
    """

    batch_bytes: float = 64 << 20

    def __init__(self, plan: LoadPlan, module: nn.Module) -> None:
        self._plan = plan
        self._module = module
        self._targets = module.state_dict(keep_vars=True)
        self._replaced: dict[int, Tensor] = {}

    def part(self, name: str, value: Tensor) -> Tensor:
        """The part of a whole tensor that this rank holds; all of it where that is no DTensor."""
        kind, target = _loaded("torch.distributed.tensor", "DTensor"), self._targets[name]
        if kind is None or not isinstance(target, kind):
            return value
        # What torch.distributed.checkpoint asks of whatever is saved and loaded in parts.
        (chunk,) = target.__create_chunk_list__()
        own = value[tuple(slice(at, at + size) for at, size in zip(chunk.offsets, chunk.sizes, strict=True))]
        layout = {"shape": target.shape, "stride": target.stride()}
        part: Tensor = kind.from_local(own, target.device_mesh, target.placements, run_check=False, **layout)
        return part

    def set(self, parts: Mapping[str, Tensor]) -> None:
        """Copy parts into their targets; those on the meta device, which have no memory, are replaced."""
        there = {name: part for name, part in parts.items() if not self._targets[name].is_meta}
        if there:
            self._set(there, whole=False)
        if len(there) < len(parts):
            new = {name: self._new(name, part) for name, part in parts.items() if name not in there}
            self._check(new, self._module.load_state_dict(new, strict=False, assign=True))

    def _set(self, values: Mapping[str, Tensor], *, whole: bool) -> None:
        from torch.distributed.checkpoint.state_dict import StateDictOptions, set_model_state_dict

        options = StateDictOptions(full_state_dict=whole, strict=False)
        self._check(values, set_model_state_dict(self._module, dict(values), options=options))

    def _new(self, name: str, part: Tensor) -> Tensor:
        """What replaces a tensor; one for all names of one."""
        import torch
        from torch import nn

        target = self._targets[name]
        if id(target) not in self._replaced:
            # With a memory of its own: the part is a view of a whole tensor, which may map a file.
            own = part.to(target.dtype).clone(memory_format=torch.contiguous_format)
            is_parameter = isinstance(target, nn.Parameter)
            self._replaced[id(target)] = nn.Parameter(own, target.requires_grad) if is_parameter else own
        return self._replaced[id(target)]

    def _check(self, given: Mapping[str, Tensor], told: Any) -> None:
        """Every name that was given must have been found in the module."""
        lost = sorted({*told.unexpected_keys, *(given.keys() & set(told.missing_keys))})
        if lost:
            raise InvalidPlanError(self._plan.adapter, tuple(f"{name} was not set by torch" for name in lost))


class _WholeSetter(_Setter):
    """The same for FSDP 1, which takes whole tensors, and all of its own in one go."""

    batch_bytes = math.inf

    def part(self, name: str, value: Tensor) -> Tensor:
        """The whole tensor."""
        del name
        return value

    def set(self, parts: Mapping[str, Tensor]) -> None:
        """Set them, and all others to what they are."""
        self._set({**self._targets, **parts}, whole=True)
