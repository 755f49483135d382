"""The tensors of one side, grouped into the layers that they belong to."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from zoomgr.adapt.fits import COUNTER, kind
from zoomgr.records import Copy, Op, Permute, Shape, TensorSpec

Path = tuple[str, ...]

STATISTICS = ("running_mean", "running_var")

_LEAVES = {
    leaf: role
    for role, leaves in {
        "weight": ("weight", "kernel", "depthwise_kernel", "weights", "w", "embedding"),
        "bias": ("bias", "biases", "b", "beta"),
        "running_mean": ("running_mean", "moving_mean", "mean"),
        "running_var": ("running_var", "moving_variance", "var"),
    }.items()
    for leaf in leaves
}
"""What libraries call the tensors of a layer -> what torch calls them."""

_SCALES = ("gamma", "scale")
"""A layer's weight, beside a bias or statistics; alone, a tensor of its own (layer scale)."""

_TURNED: Mapping[str, Mapping[int, tuple[int, ...]]] = {
    "kernel": {2: (1, 0), 4: (3, 2, 0, 1), 5: (4, 3, 0, 1, 2)},
    "depthwise_kernel": {4: (2, 3, 0, 1)},
}
"""Axes of what Flax and Keras keep, in torch's order: (kh, kw, in, out) -> (out, in, kh, kw)."""

_HELD = ("_weight", "_bias")
"""How a module that holds another's tensors itself ends their names (torch's `in_proj_weight`)."""


@dataclass(frozen=True, slots=True)
class Part:
    """One tensor of a layer: what it is made of, and its shape then."""

    names: tuple[str, ...]
    shape: Shape
    op: Op = Copy()  # noqa: RUF009 [a frozen record]


@dataclass(frozen=True, slots=True)
class Atom:
    """A layer: the tensors that move together.

    Attributes:
        path: of the layer; of a tensor that belongs to none, its whole name.
        parts: by what torch calls them; a tensor of its own is "raw".
        rank: where its first tensor stands in the checkpoint or network.
    """

    path: Path
    parts: Mapping[str, Part]
    rank: int

    @property
    def main(self) -> Part:
        """The tensor that says what layer it is."""
        return self.parts.get("weight") or next(iter(self.parts.values()))

    @property
    def is_map(self) -> bool:
        """Whether it is a linear layer, a convolution or a table, rather than a norm or a vector."""
        return self.colour[0] == "map"

    @property
    def colour(self) -> tuple[object, ...]:
        """What layers must have in common to be the same one, as far as shapes tell.

        Axes of one entry, and how what follows the first axis is laid out, do not count: a linear layer and a
        1x1 convolution compute the same.
        """
        shape = tuple(size for size in self.main.shape if size != 1)
        if len(shape) > 1:
            return ("map", shape[0], math.prod(shape[1:]))
        if "weight" in self.parts and len(self.parts) > 1:
            return ("norm", *shape, "running_mean" in self.parts)
        return ("vector", *shape)


def atoms_of(specs: Sequence[TensorSpec]) -> list[Atom]:
    """The layers of one side, by path; tensors of whole numbers (counters, index tables) are left out.

    What is called a kernel lies as Flax and Keras have it, inputs before outputs, and is turned round.
    """
    owners: defaultdict[Path, dict[str, tuple[int, TensorSpec]]] = defaultdict(dict)
    for rank, spec in enumerate(specs):
        if kind(spec.dtype) == "floating" and not spec.name.endswith(COUNTER):
            owner, leaf = _split(spec.name)
            owners[owner][leaf] = (rank, spec)
    found = [atom for owner, leaves in owners.items() for atom in _grouped(owner, leaves)]
    return sorted(found, key=lambda atom: atom.path)


def _split(name: str) -> tuple[Path, str]:
    *owner, leaf = name.split(".")
    for end in _HELD:
        if leaf.endswith(end) and leaf != end:
            return (*owner, leaf.removesuffix(end)), end[1:]
    return tuple(owner), leaf


def _grouped(owner: Path, leaves: Mapping[str, tuple[int, TensorSpec]]) -> Iterable[Atom]:
    """One layer of a module's own tensors, and each tensor that is of none."""
    called = {leaf: _LEAVES.get(leaf, "raw") for leaf in leaves}
    beside = set(called.values())
    for scale in _SCALES:
        if scale in leaves and "weight" not in beside and beside & {"bias", *STATISTICS}:
            called[scale] = "weight"
    parts = {role: leaf for leaf, role in called.items() if role != "raw"}
    is_layer = "weight" in parts
    if is_layer:
        roles = ("weight", "bias", *STATISTICS)
        own = {role: _part(leaves[leaf][1], leaf) for role in roles if (leaf := parts.get(role))}
        yield Atom(owner, own, min(leaves[leaf][0] for leaf in parts.values()))
    for leaf, (rank, spec) in leaves.items():
        if called[leaf] == "raw" or not is_layer or parts[called[leaf]] != leaf:
            yield Atom((*owner, leaf), {"raw": _part(spec)}, rank)


def _part(spec: TensorSpec, leaf: str = "") -> Part:
    dims = _TURNED.get(leaf, {}).get(len(spec.shape))
    if dims:
        return Part((spec.name,), tuple(spec.shape[dim] for dim in dims), Permute(dims))
    return Part((spec.name,), spec.shape)
