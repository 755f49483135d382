"""What of a network touches its input first, and what makes its output: read off the graph of autograd.

A node of the graph is an operation of the forward pass. What leads to it are the input, parameters of a layer
(however they are computed on the way, as by weight normalisation), and values in the making. An operation
with a layer's parameters is that layer's; one without is passed through.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from torch import Tensor

_JOINS = ("Cat", "Stack", "Where", "CopySlices", "IndexPut", "Scatter", "SelectScatter", "SliceScatter")
"""Operations that put parts side by side: a parameter among them is not applied to the others."""


@dataclass(slots=True)
class Found:
    """Paths of layers, in the order in which they were met (the values of the dictionaries say nothing).

    Attributes:
        stem: whose parameters meet the input first.
        head: whose parameters make the outputs.
        goes_on: whether the input as it is also meets what comes behind the stem (is added to it, or joined).
    """

    stem: dict[str, None] = field(default_factory=dict)
    head: dict[str, None] = field(default_factory=dict)
    goes_on: bool = False


@dataclass(frozen=True, slots=True)
class _Kind:
    """What a value is: the input (by operations without parameters), a layer's own, or in the making."""

    what: Literal["constant", "input", "layer", "made"]
    layer: str = ""


_CONSTANT, _INPUT, _MADE = _Kind("constant"), _Kind("input"), _Kind("made")


def read_graph(
    outputs: Iterable[Tensor], inputs: Iterable[Tensor], owners: Mapping[int, str], norms: Iterable[str]
) -> Found:
    """Walk from the leaves to the outputs, and back as far as the last layers.

    Args:
        outputs: of a forward pass.
        inputs: leaves that were given to it and require gradients.
        owners: path of the layer of each parameter, by the parameter's identity.
        norms: paths of layers that keep the channels they are given, so that the layer beyond counts as well.
    """
    roots = [output.grad_fn for output in outputs if output.grad_fn is not None]
    reader = _Reader({id(one) for one in inputs}, owners, frozenset(norms))
    reader.find_stem(roots)
    reader.find_head(roots)
    return reader.found


class _Reader:
    def __init__(self, inputs: set[int], owners: Mapping[int, str], norms: frozenset[str]) -> None:
        self.found = Found()
        self._inputs, self._owners, self._norms = inputs, owners, norms
        self._kinds: dict[Any, _Kind] = {}

    def find_stem(self, roots: list[Any]) -> None:
        """What every node is, each after what leads to it."""
        for node in _in_order(roots):
            leaf = getattr(node, "variable", None)
            self._kinds[node] = self._made(node) if leaf is None else self._leaf(leaf)

    def find_head(self, roots: list[Any]) -> None:
        """Back from the outputs, through what has no parameters."""
        waiting, seen = list(reversed(roots)), set()
        while waiting:
            node = waiting.pop()
            if node in seen:
                continue
            seen.add(node)
            layers = self._layers(node)
            self.found.head.update(dict.fromkeys(layers))
            if not layers or _is(node, _JOINS) or self._norms.issuperset(layers):
                waiting += [one for one in reversed(_before(node)) if self._kinds[one].what != "layer"]

    def _leaf(self, leaf: Tensor) -> _Kind:
        if id(leaf) in self._inputs:
            return _INPUT
        # One number for all (a temperature) has nothing to do with the count of channels or classes.
        is_layer = leaf.numel() > 1 and id(leaf) in self._owners
        return _Kind("layer", self._owners[id(leaf)]) if is_layer else _CONSTANT

    def _made(self, node: Any) -> _Kind:
        kinds = {self._kinds[before] for before in _before(node)}
        layers = self._layers(node)
        values = {kind for kind in kinds if kind.what in {"input", "made"}}
        if not values and not _is(node, ("Embedding",)):
            # Those of several layers together are of none: one was applied to values without a gradient.
            return (_Kind("layer", layers[0]) if len(layers) == 1 else _MADE) if layers else _CONSTANT
        if _INPUT not in values:
            return _MADE
        self.found.stem.update(dict.fromkeys(layers))
        self.found.goes_on |= len(values) > 1
        return _MADE if len(values) > 1 or not self._norms.issuperset(layers) else _INPUT

    def _layers(self, node: Any) -> list[str]:
        """Of whose parameters the node makes use, each once."""
        kinds = [self._kinds[before] for before in _before(node)]
        return list(dict.fromkeys(kind.layer for kind in kinds if kind.what == "layer"))


def _before(node: Any) -> list[Any]:
    """The nodes that lead to this one."""
    return [before for before, _ in node.next_functions if before is not None]


def _is(node: Any, names: tuple[str, ...]) -> bool:
    return str(node.name()).startswith(names)


def _in_order(roots: list[Any]) -> Iterator[Any]:
    """All nodes, each after those that lead to it; a network may be deeper than Python's stack."""
    waiting, seen, done = [(root, False) for root in reversed(roots)], set(), set()
    while waiting:
        node, is_ready = waiting.pop()
        if is_ready:
            if node not in done:
                done.add(node)
                yield node
        elif node not in seen:
            seen.add(node)
            waiting.append((node, True))
            waiting += [(before, False) for before in reversed(_before(node))]
