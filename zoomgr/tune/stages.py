"""The stages, blocks or layers of a network from the input on: by its structure, or as timm declares them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise, takewhile
from typing import TYPE_CHECKING, Literal

from zoomgr.adapt.site import uncompiled

if TYPE_CHECKING:
    from torch import nn

By = Literal["stage", "block", "layer"]
"""How finely a network is cut."""

_TRUNK = 0.72
"""Share of the layers from which on one child is the trunk, whose own children are the stages.

VGG-11's `features` has 8 layers of 11, `blocks` of vision transformers more; the largest stage beside others
of its kind, `layer3` of ResNet-152, has 0.70.
"""


_BACKBONE = "IntermediateLayerGetter"
"""What torchvision makes of a classifier that is a backbone: its children are stages."""

_RUNS = frozenset({_BACKBONE, "_DenseBlock", "AnyStage", "MaxVitBlock"})
"""Classes of torchvision that are nothing but a run of blocks: DenseNet's, RegNet's, MaxViT's."""


@dataclass(frozen=True, slots=True)
class Stage:
    """A run of layers.

    Attributes:
        name: path of its module; of the first one where a norm behind it belongs to it.
        parameters: of which it is made, each in one stage alone.
    """

    name: str
    parameters: tuple[nn.Parameter, ...]


def stages(model: nn.Module, by: By = "stage") -> tuple[Stage, ...]:
    """Cut a network from the input to the head.

    Each parameter is in one stage, a tied one in the first. The structure is read in the order in which
    modules are registered: what a trunk has of its own, as a class token, is in the first stage; a norm alone
    belongs to what stands before it. Of timm's networks the blocks are those that timm itself has a rate for,
    and so are the stages where it has them in another order.

    Args:
        model: any network.
        by: "stage" (children, those of the trunk where one child has nearly all layers), "block" (members of
            the `Sequential` and `ModuleList` in these), "layer" (modules with parameters of their own).
    """
    model = uncompiled(model)
    declared = _declared(model, by)
    if by == "block" and declared:
        return declared
    cut = _read(model, by)
    return cut if _agree(cut, declared) else declared


def _read(model: nn.Module, by: By) -> tuple[Stage, ...]:
    found = _layers(model) if by == "layer" else _stages(model)
    if by == "block":
        found = [inner for path, module in found for inner in _blocks(path, module)]
    seen: set[int] = set()
    cut = [Stage(path, _unseen(module.parameters(), seen)) for path, module in found]
    return tuple(_joined([Stage("", _unseen(model.parameters(), seen)), *cut]))


def _agree(cut: Sequence[Stage], declared: Sequence[Stage]) -> bool:
    """Whether what is declared is in the same order; of what belongs to no module, nobody knows the place."""
    places = {id(value): number for number, stage in enumerate(declared) for value in stage.parameters}
    met = [[places.get(id(value), 0) for value in stage.parameters] for stage in cut if stage.name]
    return all(max(before) <= min(after) for before, after in pairwise(met))


def _declared(model: nn.Module, by: By) -> tuple[Stage, ...]:
    """The groups of timm's own layer decay; none where a network has none, or none that are so coarse."""
    matcher = getattr(model, "group_matcher", None)
    if matcher is None or by == "layer":
        return ()
    from timm.models import group_parameters

    try:
        groups = group_parameters(model, matcher(coarse=by == "stage"))
    except AssertionError:  # RDNet knows blocks alone
        return ()
    own = dict(model.named_parameters())
    return tuple(
        Stage(_path_of(names), tuple(own[name] for name in names)) for _, names in sorted(groups.items())
    )


def _path_of(names: Sequence[str]) -> str:
    """Of the module that all are in, of those beside the first; timm puts a last convolution to a block."""
    owners = [name.split(".")[:-1] for name in names if "." in name]
    beside = [owner for owner in owners if owner[0] == owners[0][0]]
    shared = takewhile(lambda parts: len(set(parts)) == 1, zip(*beside, strict=False))
    return ".".join(parts[0] for parts in shared)


def _stages(model: nn.Module) -> list[tuple[str, nn.Module]]:
    found = _children("", model)
    while trunk := [one for one in found if _is_trunk(one[1], found)]:
        at = found.index(trunk[0])
        found[at : at + 1] = _children(*trunk[0])
    return found


def _is_trunk(module: nn.Module, beside: Sequence[tuple[str, nn.Module]]) -> bool:
    total = sum(_count(one) for _, one in beside)
    if type(module).__name__ == _BACKBONE:
        return True
    return bool(_children("", module)) and _count(module) >= _TRUNK * total and not _is_block(module)


def _is_block(module: nn.Module) -> bool:
    leaves = sum(not list(child.children()) for _, child in _children("", module))
    return 2 * leaves > _count(module) and not _is_run(module)


def _is_run(module: nn.Module) -> bool:
    from torch import nn

    return type(module) in {nn.Sequential, nn.ModuleList} or type(module).__name__ in _RUNS


def _blocks(path: str, module: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    if not _is_run(module):
        yield path, module
        return
    for name, child in _children(path, module):
        yield from _blocks(name, child)


def _layers(model: nn.Module) -> list[tuple[str, nn.Module]]:
    """A parametrised layer is one, whatever modules its parametrisation is made of."""
    from torch.nn.utils.parametrize import is_parametrized

    return [
        (path, one)
        for path, one in model.named_modules()
        if path and "parametrizations" not in path.split(".") and (_has_own(one) or is_parametrized(one))
    ]


def _children(path: str, module: nn.Module) -> list[tuple[str, nn.Module]]:
    dot = f"{path}." if path else ""
    return [(f"{dot}{name}", child) for name, child in module.named_children() if _count(child)]


def _count(module: nn.Module) -> int:
    return sum(map(_has_own, module.modules()))


def _has_own(module: nn.Module) -> bool:
    return any(True for _ in module.parameters(recurse=False))


def _unseen(parameters: Iterator[nn.Parameter], seen: set[int]) -> tuple[nn.Parameter, ...]:
    new = tuple(value for value in parameters if id(value) not in seen)
    seen.update(map(id, new))
    return new


def _joined(cut: Sequence[Stage]) -> Iterator[Stage]:
    kept: list[Stage] = []
    for one in cut:
        if kept and all(value.ndim <= 1 for value in one.parameters):
            kept[-1] = Stage(kept[-1].name, kept[-1].parameters + one.parameters)
        elif one.parameters:
            kept.append(one)
    return iter(kept)
