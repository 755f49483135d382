"""What a network is made of: its modules with shapes, parameters, multiplications and memory.

A stand-in of the network is run (`zoomgr.adapt.trace.rehearse`), on the meta device where that is possible:
no value is computed, and neither mode nor statistics of the network change.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from zoomgr.adapt.site import uncompiled
from zoomgr.adapt.trace.rehearse import Example, run, tensors_in
from zoomgr.errors import axes, sized
from zoomgr.look.marks import Marks, depth_of
from zoomgr.look.rehearsal import rehearsed
from zoomgr.records import LoadReport

if TYPE_CHECKING:
    from torch import nn

_UNITS = ("", " k", " M", " G", " T")
_STEP = 1000
_COLUMNS = ("layer", "kind", "output", "parameters", "MACs", "")
_ALIGNED = ("<", "<", "<", ">", ">", "<")


@dataclass(frozen=True, slots=True)
class Row:
    """A module.

    Attributes:
        path: where it is; empty for the whole network.
        kind: its class.
        output: shape of what it gives, of its first tensor at its first run; None where it does not run as a
            module (the parts of an `nn.MultiheadAttention`, a head for training alone).
        parameters: how many, of all that is in it.
        macs: multiplications with an addition, of all its runs.
        marks: "stem", "head", "fresh", "adapted", "frozen"; of a module whose parts are not shown also
            "has head" and "partly frozen".
    """

    path: str
    kind: str
    output: tuple[int, ...] | None
    parameters: int
    macs: int
    marks: tuple[str, ...]

    @property
    def depth(self) -> int:
        """How many modules it is in."""
        return depth_of(self.path)


@dataclass(frozen=True, slots=True)
class Summary:
    """A network; printed, it is a table and a line of totals.

    Attributes:
        rows: the network, and the modules in it, in its order.
        inputs: shapes that it was run with.
        parameters: how many, each once.
        trainable: how many of them train.
        macs: multiplications with an addition, of convolutions, matrix products and attention.
        weight_bytes: of parameters and buffers.
        output_bytes: of what all layers give, which a training keeps for its way back.
    """

    rows: tuple[Row, ...]
    inputs: tuple[tuple[int, ...], ...]
    parameters: int
    trainable: int
    macs: int
    weight_bytes: int
    output_bytes: int

    def lines(self) -> tuple[str, ...]:
        """The table: its head, and a line for each row."""
        cells = [_COLUMNS, *map(_cells, self.rows)]
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        return tuple(
            "  ".join(
                f"{cell:{side}{width}}" for cell, side, width in zip(row, _ALIGNED, widths, strict=True)
            ).rstrip()
            for row in cells
        )

    def totals(self) -> str:
        """All of it in a line."""
        frozen = self.parameters - self.trainable
        return ", ".join(
            [
                f"{self.parameters:,} parameters{f' ({frozen:,} frozen)' if frozen else ''}",
                f"{_count(self.macs)} MACs for {' and '.join(map(axes, self.inputs))}",
                f"weights {sized(self.weight_bytes)}",
                f"outputs of layers {sized(self.output_bytes)}",
            ]
        )

    def __str__(self) -> str:
        return "\n".join([*self.lines(), self.totals()])


def summary(
    model: nn.Module, example: Any = None, *, report: LoadReport | None = None, depth: int | None = 2
) -> Summary:
    """What a network is made of.

    Args:
        model: any network; nothing of it changes.
        example: what it is called with: a batch, a list of pictures, a tuple of arguments, or a dictionary of
            named ones; without one, a single input of the shape that is declared or likely.
        report: of its load, so that fresh and adapted layers are marked.
        depth: so many modules within modules are shown; None for all.

    Raises:
        InvalidSettingError: it does not run with the example, or with none that was tried.

    Source of the MACs: half the operations that `torch.utils.flop_counter` counts. They agree with those that
    torchvision publishes (4.09 G for ResNet-50, 17.56 G for ViT-B/16).
    """
    model = uncompiled(model)
    seen, used = rehearsed(model, example, _run)
    shown = {path: one for path, one in model.named_modules() if depth is None or depth_of(path) <= depth}
    marks = Marks.of(model, example, report)
    rows = tuple(
        Row(
            path,
            type(module).__name__,
            seen[path].output,
            sum(value.numel() for value in module.parameters()),
            seen[path].macs,
            marks.at(path, is_whole=not any(True for _ in module.children()) or depth_of(path) == depth),
        )
        for path, module in shown.items()
    )
    parameters = list(model.parameters())
    return Summary(
        rows,
        tuple(tuple(one.shape) for one in used.tensors()),
        sum(value.numel() for value in parameters),
        sum(value.numel() for value in parameters if value.requires_grad),
        seen[""].macs,
        sum(value.nbytes for value in (*parameters, *model.buffers())),
        sum(one.output_bytes for one in seen.values()),
    )


# -- the run -------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Seen:
    """What a module did; `before` are counts at the begin of runs that are not over."""

    output: tuple[int, ...] | None = None
    macs: int = 0
    output_bytes: int = 0
    before: list[int] = field(default_factory=list)


def _run(twin: nn.Module, example: Example, device: str) -> dict[str, _Seen]:
    from torch.utils.flop_counter import FlopCounterMode

    seen = {path: _Seen() for path, _ in twin.named_modules()}
    with FlopCounterMode(display=False) as counter:
        for path, module in twin.named_modules():
            _watch(module, seen[path], counter.get_total_flops)
        run(twin, example, training=False, device=device)
    return seen


def _watch(module: nn.Module, seen: _Seen, operations: Callable[[], int]) -> None:
    is_layer = not any(True for _ in module.children())

    def begin(_module: nn.Module, _inputs: Any) -> None:
        seen.before.append(operations())

    def end(_module: nn.Module, inputs: Any, output: Any) -> None:
        seen.macs += (operations() - seen.before.pop()) // 2
        given = tensors_in(output)
        if seen.output is None and given:
            seen.output = tuple(given[0].shape)
        if is_layer:  # an activation in place, or a dropout that does nothing, gives what it was given
            old = set(map(id, tensors_in(inputs)))
            seen.output_bytes += sum(one.nbytes for one in given if id(one) not in old)

    module.register_forward_pre_hook(begin)
    module.register_forward_hook(end)


# -- the table -----------------------------------------------------------------------------------------------


def _cells(row: Row) -> tuple[str, ...]:
    name = "  " * row.depth + (row.path.rpartition(".")[2] or "(all)")
    output = "" if row.output is None else axes(row.output)
    parameters = f"{row.parameters:,}" if row.parameters else ""
    return name, row.kind, output, parameters, _count(row.macs) if row.macs else "", ", ".join(row.marks)


def _count(count: int) -> str:
    """To three digits or so: `4.09 G`."""
    power, rest = 0, float(count)
    while round(rest, 1) >= _STEP and power < len(_UNITS) - 1:
        power, rest = power + 1, rest / _STEP
    return f"{rest:.{0 if power == 0 or rest >= _STEP / 10 else 2}f}{_UNITS[power]}"
