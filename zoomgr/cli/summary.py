"""zoomgr summary: what a network is made of."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from zoomgr.cli.plan import CHANNELS, CLASSES
from zoomgr.cli.pull import say_who_won
from zoomgr.cli.run import Run, verb
from zoomgr.cli.shown import Line, Painted, clipped

if TYPE_CHECKING:
    from torch import Tensor, nn

    from zoomgr.look import Row, Summary
    from zoomgr.records import LoadReport

_COLOURS = {"fresh": "green", "adapted": "yellow", "frozen": "blue", "stem": "cyan", "head": "cyan"}


class _Shape(click.ParamType[tuple[int, ...]]):
    name = "CxHxW"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, ...]:
        """Channels and sides."""
        if not re.fullmatch(r"[1-9]\d{0,4}(x[1-9]\d{0,4}){1,3}", value):
            self.fail(f"{value!r} is no shape such as 3x224x224.", param, ctx)
        return tuple(map(int, value.split("x")))


SHAPE = _Shape()


@verb
@click.argument("ref")
@click.option("--num-classes", type=CLASSES, help="Outputs of the head.")
@click.option("--in-ch", type=CHANNELS, help="Input channels.")
@click.option("--input", "shape", type=SHAPE, metavar="CxHxW", help="Of a picture: 3x224x224.")
@click.option("--depth", type=click.IntRange(0), default=2, show_default=True, help="Modules within modules.")
def command(
    run: Run,
    ref: str,
    num_classes: int | None,
    in_ch: int | None,
    shape: tuple[int, ...] | None,
    depth: int,
) -> None:
    """Show the modules of a network: shapes, parameters, multiplications, and what a load makes of each.

    Stem and head are marked. Only with --num-classes or --in-ch are weights fetched, to mark what is fresh or
    adapted.
    """
    from zoomgr.look import summary

    model, report, example = network(run, ref, num_classes, in_ch, shape)
    found = summary(model, example, report=report, depth=depth)
    run.emit(found, _lines(found))
    run.note(found.totals())


def network(
    run: Run, ref: str, num_classes: int | None, in_ch: int | None, shape: tuple[int, ...] | None
) -> tuple[nn.Module, LoadReport | None, Tensor | None]:
    """What is to be looked at: the network, of its weights what marks need, and an example of its input."""
    card = run.zoo.resolve(ref)
    say_who_won(run, ref, card)
    weights = card.artifact is not None and (num_classes or in_ch) is not None
    model, report = run.zoo.load_with_report(card, num_classes=num_classes, in_ch=in_ch, weights=weights)
    example = None
    if shape:
        import torch

        example = torch.empty(1, *shape, device="meta")
    return model, report if weights else None, example


def _lines(found: Summary) -> Iterator[Line]:
    """In colour what is marked; on a terminal no wider than that."""
    columns = shutil.get_terminal_size().columns if sys.stdout.isatty() else 0
    head, *lines = (clipped(line, columns or len(line)) for line in found.lines())
    yield head
    yield from (_painted(row, line) for row, line in zip(found.rows, lines, strict=True))


def _painted(row: Row, line: str) -> Line:
    colour = next((_COLOURS[mark] for mark in _COLOURS if mark in row.marks), "")
    return Painted(line, colour) if colour else line
