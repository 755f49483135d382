"""What feeds what in a network: its modules, and the operations between them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from zoomgr.adapt.site import uncompiled
from zoomgr.look.marks import Marks
from zoomgr.look.rehearsal import rehearsed
from zoomgr.look.tracing import Flow, Step, traced
from zoomgr.records import LoadReport

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, slots=True)
class Graph:
    """A network as it runs.

    Attributes:
        name: class of the network.
        parameters: how many, each once.
        kinds: class of each module, by path.
        steps: modules and operations, in the order in which they began; inputs and output are steps too.
        flows: what they give each other, by their numbers.
    """

    name: str
    parameters: int
    kinds: Mapping[str, str]
    steps: tuple[Step, ...]
    flows: tuple[Flow, ...]

    def sources(self, number: int) -> tuple[int, ...]:
        """The steps that feed one, by their numbers."""
        return tuple(dict.fromkeys(flow.source for flow in self.flows if flow.target == number))


def graph(
    model: nn.Module, example: Any = None, *, report: LoadReport | None = None, depth: int | None = 3
) -> Graph:
    """What feeds what in a network, found by a run of a stand-in of it.

    Args:
        model: any network; nothing of it changes.
        example: as of `zoomgr.look.summary`.
        report: of its load, so that fresh and adapted layers are marked.
        depth: so many modules within modules are steps of their own; None for all.

    Raises:
        InvalidSettingError: it does not run with the example, or with none that was tried.
    """
    model = uncompiled(model)
    found, _ = rehearsed(model, example, partial(traced, depth=depth))
    marks = Marks.of(model, example, report)
    return Graph(
        type(model).__name__,
        sum(value.numel() for value in model.parameters()),
        {path: type(module).__name__ for path, module in model.named_modules()},
        tuple(
            replace(step, marks=marks.at(step.path, is_whole=True)) if step.is_module else step
            for step in found.steps
        ),
        tuple(found.flows),
    )
