"""The modules that a checkpoint's names make up, blocks that repeat folded into one. Pure; needs no torch."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from zoomgr.records import TensorSpec

_NUMBERED = re.compile(r"([^0-9]*)([0-9]{1,9})([^0-9]*)")
_STATISTICS = ("running_mean", "running_var")
_MAX_DEPTH = 64  # of modules in modules; what is named deeper stays one name


def parameters(spec: TensorSpec) -> int:
    """How many parameters a tensor holds; none if it is a statistic of a norm, a counter or an index.

    A state dict does not say which of its tensors were trained; their names and types do, mostly.
    """
    is_statistic = spec.name.rpartition(".")[2] in _STATISTICS
    return 0 if is_statistic or not spec.dtype.startswith(("float", "bfloat", "complex")) else spec.numel


@dataclass(frozen=True, slots=True)
class Node:
    """A module, or several that are alike.

    Attributes:
        name: its own part of the name; `0-11` or `layer1-3` for several; empty for the whole network.
        tensors: of its own, by their last names.
        inside: the modules in it.
        times: how many it stands for.
    """

    name: str
    tensors: Mapping[str, TensorSpec]
    inside: tuple[Node, ...]
    times: int = 1

    @property
    def parameters(self) -> int:
        """How many one of them has."""
        within = sum(node.times * node.parameters for node in self.inside)
        return sum(map(parameters, self.tensors.values())) + within


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the drawn tree; but for the depth, the fields are those of `Node`."""

    depth: int
    name: str
    times: int
    parameters: int
    tensors: Mapping[str, TensorSpec]


def tree_of(specs: Sequence[TensorSpec], *, folded: bool = True) -> Node:
    """The network, its modules in the file's order.

    Args:
        specs: of a checkpoint.
        folded: make one of neighbours that differ in nothing but their number. In a file whose keys are
            sorted, `layer.10` comes before `layer.2`: numbered ones are put in their numbers' order.
    """
    named = [(spec.name.split(".", _MAX_DEPTH), spec) for spec in specs]
    return _node("", named, _folded if folded else tuple)


def rows(network: Node) -> Iterator[Row]:
    """The lines of a tree: the network's own tensors, then each module and those in it.

    A module that has nothing but another one shares its line.
    """
    for name, spec in network.tensors.items():
        yield Row(0, name, 1, parameters(spec), {"": spec})
    for node in network.inside:
        yield from _rows(node, 0)


def _rows(node: Node, depth: int) -> Iterator[Row]:
    name, inner = node.name, node
    while not inner.tensors and len(inner.inside) == 1 and inner.inside[0].times == 1:
        (inner,) = inner.inside
        name += f".{inner.name}"
    yield Row(depth, name, node.times, node.parameters, inner.tensors)
    for one in inner.inside:
        yield from _rows(one, depth + 1)


_Named = Sequence[tuple[Sequence[str], TensorSpec]]


def _node(name: str, named: _Named, fold: Callable[[list[Node]], tuple[Node, ...]]) -> Node:
    modules: dict[str, list[tuple[Sequence[str], TensorSpec]]] = {}
    tensors: dict[str, TensorSpec] = {}
    for (first, *rest), spec in named:
        if rest:
            modules.setdefault(first, []).append((rest, spec))
        else:
            tensors[first] = spec
    inside = [_node(one, those, fold) for one, those in modules.items()]
    return Node(name, tensors, fold(inside))


def _folded(nodes: list[Node]) -> tuple[Node, ...]:
    """Neighbours of one kind, numbered without a gap, made one."""
    done: list[Node] = []
    for _, those in groupby(nodes, _kind_of_name):
        run: list[Node] = []
        for node in sorted(those, key=_number):
            if run and not (_number(node) == _number(run[-1]) + 1 and _shape(node) == _shape(run[0])):
                done.append(_joined(run))
                run = []
            run.append(node)
        done.append(_joined(run))
    return tuple(done)


def _kind_of_name(node: Node) -> tuple[str, ...]:
    """What numbered neighbours share; of all others the whole name."""
    found = _NUMBERED.fullmatch(node.name)
    return ("numbered", found[1], found[3]) if found else ("named", node.name)


def _number(node: Node) -> int:
    found = _NUMBERED.fullmatch(node.name)
    return int(found[2]) if found else 0


def _joined(run: Sequence[Node]) -> Node:
    if len(run) == 1:
        return run[0]
    last = _NUMBERED.fullmatch(run[-1].name)
    end = (last[2] + last[3]) if last else run[-1].name
    return replace(run[0], name=f"{run[0].name}-{end}", times=len(run))


def _shape(node: Node) -> tuple[object, ...]:
    """All that must be equal in modules that are alike, whatever they are called."""
    own = tuple((name, spec.shape, spec.dtype) for name, spec in node.tensors.items())
    return (own, tuple((one.name, one.times, _shape(one)) for one in node.inside))
