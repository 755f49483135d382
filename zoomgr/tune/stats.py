"""What goes through a network: statistics of every layer's output, and LSUV, which sets them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoomgr.adapt.site import uncompiled
from zoomgr.errors import InvalidSettingError, MissingPackageError
from zoomgr.tune.features import features, hooked
from zoomgr.tune.init import seeded

if TYPE_CHECKING:
    import torch
    from torch import nn

EXPLODED = 65504.0
"""The largest number of half precision (IEEE 754 binary16)."""

VANISHED = 2.0**-14
"""The smallest normal number of half precision."""


_LABELS = 60
"""Layers that a plot has room to name."""


@dataclass(frozen=True, slots=True)
class LayerStats:
    """The output of a layer.

    Attributes:
        path, kind: of the layer.
        shape: of the output.
        mean, std: of the finite values; 0 where there are none.
        zeros, nan: shares of the values that are zero, and that are NaN or infinite.
    """

    path: str
    kind: str
    shape: tuple[int, ...]
    mean: float
    std: float
    zeros: float
    nan: float

    @property
    def problem(self) -> str:
        """What is wrong with it: "nan", "explodes", "vanishes" (see `EXPLODED`, `VANISHED`) or nothing."""
        if self.nan:
            return "nan"
        if self.std > EXPLODED:
            return "explodes"
        return "vanishes" if self.std < VANISHED else ""


@dataclass(frozen=True, slots=True)
class ActivationStats:
    """Layers in the order in which they ran; printed, it is a table."""

    rows: tuple[LayerStats, ...]

    @property
    def first_problem(self) -> LayerStats | None:
        """The first layer with one; what comes after it has it from there."""
        return next((row for row in self.rows if row.problem), None)

    def __str__(self) -> str:
        head = ("layer", "kind", "mean", "std", "zeros", "nan", "")
        lines = [head, *map(_cells, self.rows)]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        return "\n".join("  ".join(map(str.ljust, line, widths)).rstrip() for line in lines)

    def plot(self, path: str | Path) -> None:
        """Draw spread, mean and share of zeros, layer by layer, and where the first problem is.

        A layer that hands on what came in (identity, dropout in evaluation) has no place of its own. What is
        smaller than `VANISHED` is drawn there.

        Args:
            path: its ending says the format (SVG, PNG, PDF).

        Raises:
            MissingPackageError: matplotlib (the extra `plots`) is not installed.
        """
        try:
            from matplotlib.figure import Figure
        except ImportError as error:
            raise MissingPackageError("a plot", "zoomgr[plots]") from error
        rows = [*self.rows[:1], *(row for before, row in pairwise(self.rows) if not _hands_on(before, row))]
        figure = Figure(figsize=(min(max(6.0, 0.2 * len(rows)), 12.0), 6.0), layout="constrained")
        above, below = figure.subplots(2, 1, sharex=True)
        places = range(len(rows))
        above.semilogy(places, [max(row.std, VANISHED) for row in rows], "o-", markersize=4, label="std")
        sizes = [max(abs(row.mean), VANISHED) for row in rows]
        above.semilogy(places, sizes, ".", color="0.6", label="size of the mean")
        below.bar(places, [row.zeros for row in rows], label="zeros")
        below.bar(places, [row.nan for row in rows], color="tab:red", label="NaN or infinite")
        below.set(ylabel="share of the values", ylim=(0, 1))
        every = 1 + len(rows) // _LABELS
        below.set_xticks(places[::every], [row.path for row in rows[::every]], rotation=90, fontsize=6)
        for axes in (above, below):
            axes.margins(x=0.01)
            axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2, frameon=False, fontsize=8)
            if self.first_problem:
                axes.axvline(rows.index(self.first_problem), color="tab:red", linewidth=1)
        figure.savefig(path)


def activation_stats(model: nn.Module, *args: Any, **kwargs: Any) -> ActivationStats:
    """Statistics of every layer's output, of one forward pass in the network's mode.

    Args:
        model: any network; its buffers and the random numbers are afterwards as they were.
        *args: what it is called with.
        **kwargs: what it is called with by name.
    """
    import torch

    model = uncompiled(model)
    rows: list[LayerStats] = []

    def see(path: str) -> Any:
        def hook(module: nn.Module, _inputs: Any, output: Any) -> None:
            if isinstance(output, torch.Tensor) and output.is_floating_point() and output.numel():
                rows.append(_row(path, type(module).__name__, output))

        return hook

    leaves = {path: see(path) for path, one in model.named_modules() if not any(True for _ in one.children())}
    with unmoved(model), hooked(model, leaves):
        model(*args, **kwargs)
    return ActivationStats(tuple(rows))


def lsuv(
    model: nn.Module, *args: Any, seed: int | None = None, tolerance: float = 0.1, tries: int = 10
) -> ActivationStats:
    """Layer-sequential unit-variance: orthonormal weights, scaled until each layer's output has variance 1.

    Args:
        model: any network; convolutions and Linear layers that run get new weights, and biases of 0.
        *args: a batch of real pictures, as the network is called with it.
        seed: of the orthonormal weights.
        tolerance: how near to 1 the variance must come.
        tries: how often a layer is scaled at most.

    Returns:
        Statistics of these layers afterwards.

    Raises:
        InvalidSettingError: the output of a layer is constant or not finite for this batch.

    Source: Mishkin & Matas, "All you need is a good init", ICLR 2016 (arXiv 1511.06422), algorithm 1; 0.1
    is the tolerance of their code.
    """
    import torch
    from torch.nn.init import orthogonal_

    model = uncompiled(model)
    kinds = _weighted()
    layers = dict.fromkeys(
        row.path
        for row in activation_stats(model, *args).rows
        if isinstance(model.get_submodule(row.path), kinds)
    )
    with seeded(seed), torch.no_grad():
        for path in layers:
            layer: Any = model.get_submodule(path)
            orthogonal_(layer.weight)
            if layer.bias is not None:
                layer.bias.zero_()
    with unmoved(model), torch.no_grad():
        rows = tuple(_scaled(model, path, args, tolerance, tries) for path in layers)
    return ActivationStats(rows)


def _scaled(model: nn.Module, path: str, args: tuple[Any, ...], tolerance: float, tries: int) -> LayerStats:
    layer: Any = model.get_submodule(path)
    ask = features(model, path)
    row = _row(path, type(layer).__name__, ask(*args)[path])
    for _ in range(tries):
        if row.problem == "nan" or not row.std:
            problem = "its output is constant or not finite for this batch"
            raise InvalidSettingError("lsuv", path, problem, "give a batch of several different pictures")
        if abs(row.std**2 - 1) < tolerance:
            break
        layer.weight.div_(row.std)
        row = _row(path, type(layer).__name__, ask(*args)[path])
    return row


def _weighted() -> tuple[type[nn.Module], ...]:
    from torch import nn
    from torch.nn.modules.conv import _ConvNd

    return (_ConvNd, nn.Linear)


def _row(path: str, kind: str, output: torch.Tensor) -> LayerStats:
    values = output.detach().double()
    finite = values[values.isfinite()]
    some = bool(finite.numel())
    return LayerStats(
        path,
        kind,
        tuple(output.shape),
        float(finite.mean()) if some else 0.0,
        float(finite.std(correction=0)) if some else 0.0,
        float((values == 0).double().mean()),
        1 - finite.numel() / values.numel(),
    )


def _hands_on(before: LayerStats, row: LayerStats) -> bool:
    """Whether its output is the one before it, to the last digit."""
    return replace(before, path=row.path, kind=row.kind) == row


def _cells(row: LayerStats) -> tuple[str, ...]:
    numbers = (f"{row.mean:.3g}", f"{row.std:.3g}", f"{row.zeros:.0%}", f"{row.nan:.0%}")
    return (row.path, row.kind, *numbers, row.problem)


@contextmanager
def unmoved(model: nn.Module) -> Iterator[None]:
    """A pass in training moves running statistics and random numbers; both are put back."""
    import torch

    before = [(value, value.clone()) for value in model.buffers()]
    try:
        with torch.random.fork_rng(), torch.no_grad():
            yield
    finally:
        for value, old in before:
            value.copy_(old)
