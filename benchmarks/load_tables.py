"""How benchmarks/load.py shows what it has measured."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Iterator, Sequence

import click
from load_contenders import CONTENDERS
from load_processes import TOGETHER
from load_verdict import Measured, OldFormat, Row
from load_weights import ZOOS, Weights


def show_side_by_side(measured: Measured, rounds: int) -> None:
    """Times, ratios, and whether the answers are the same."""
    click.echo(f"Loads in one process: milliseconds, medians of {rounds} rounds")
    for zoo in ZOOS:
        head = ("", zoo, "floor", "zoomgr", f"{zoo} / zoomgr", "zoomgr / floor", "outputs")
        rows = [
            (
                weights.title,
                *(f"{seconds[name] * 1e3:.1f}" for name in CONTENDERS),
                f"{seconds['library'] / seconds['zoomgr']:.1f}",
                f"{seconds['zoomgr'] / seconds['floor']:.2f}",
                _agreement(measured, weights),
            )
            for weights, seconds in measured.seconds.items()
            if weights.zoo == zoo
        ]
        _table(head, rows)


def show_processes(measured: Measured, rounds: int) -> None:
    """First loads, memory and sharing."""
    for zoo in ZOOS:
        imports_s = measured.imports_s[zoo]
        median = statistics.median(imports_s)
        click.echo(f"`import {zoo}` in a new process: {median:.2f} s, median of {rounds}")
        click.echo("First load after it: seconds; zoomgr's are medians, the others were made once")
        _table(("", zoo, "floor", "zoomgr"), _first_rows(measured, zoo))
        click.echo("Memory of a load, as a share of the weights: the most at a time")
        _table(("", zoo, "floor", "zoomgr"), _peak_rows(measured, zoo))
        click.echo("and kept until the first forward: by a first load; by another one beside it")
        head = ("", zoo, "floor", "zoomgr", "floor, again", "zoomgr, again", "of it anonymous")
        _table(head, _kept_rows(measured, zoo))
    click.echo(
        f"PSS that a load and a forward add to {TOGETHER} processes together, in copies of the weights"
    )
    rows = [
        (f"{one.title} of {one.zoo}", f"{copies['library']:.2f}", f"{copies['zoomgr']:.2f}")
        for one, copies in measured.copies.items()
    ]
    _table(("", "library", "zoomgr"), rows)


def show_old(old: OldFormat) -> None:
    """A file of the old format, first and later."""
    click.echo(f"{old.weights.title} of {old.weights.zoo} in torch.save's old format: milliseconds")
    head = ("", "torch.load alone", "zoomgr, first", "zoomgr, later", "zoomgr, today's format", "outputs")
    times = (old.torch_s, old.first_s, old.later_s, old.today_s)
    outputs = "bit-equal" if old.is_equal else "DIFFER"
    _table(head, [(old.weights.title, *(f"{seconds * 1e3:.1f}" for seconds in times), outputs)])
    click.echo(f"The first load wrote {old.written_bytes / 1e6:.1f} MB to the cache\n")


def show_verdict(rows: Iterable[Row]) -> None:
    """What was asked for, what was found."""
    shown = [(row.asked, row.found, "yes" if row.holds else "NO") for row in rows]
    _table(("asked for", "measured", ""), shown, left=2)


def _first_rows(measured: Measured, zoo: str) -> Iterator[tuple[str, ...]]:
    for weights, cold in measured.cold.items():
        if weights.zoo == zoo:
            seconds = {name: cost.seconds for name, cost in cold.items()}
            seconds["zoomgr"] = measured.first_s[weights]
            yield weights.title, *(f"{seconds[name]:.3f}" for name in CONTENDERS)


def _peak_rows(measured: Measured, zoo: str) -> Iterator[tuple[str, ...]]:
    for weights, cold in measured.cold.items():
        if weights.zoo == zoo:
            shares = [cold[name].peak_bytes / weights.size_bytes for name in CONTENDERS]
            yield weights.title, *(f"{share:.2f}" for share in shares)


def _kept_rows(measured: Measured, zoo: str) -> Iterator[tuple[str, ...]]:
    for weights, cold in measured.cold.items():
        if weights.zoo == zoo:
            warm = measured.warm[weights]
            kept = [cold[name].resident_bytes for name in CONTENDERS]
            later = [warm[name].resident_bytes for name in ("floor", "zoomgr")]
            shares = [count / weights.size_bytes for count in (*kept, *later, warm["zoomgr"].anonymous_bytes)]
            yield weights.title, *(f"{share:.3f}" for share in shares)


def _agreement(measured: Measured, weights: Weights) -> str:
    differ = [name for name, is_equal in measured.is_equal[weights].items() if not is_equal]
    return f"{', '.join(differ)} DIFFER" if differ else "bit-equal"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], left: int = 1) -> None:
    """Print columns; the first ones begin on a line, the others end on one."""
    lines = [head, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    for line in lines:
        cells = [
            text.ljust(width) if column < left else text.rjust(width)
            for column, (text, width) in enumerate(zip(line, widths, strict=True))
        ]
        click.echo("  " + "   ".join(cells).rstrip())
    click.echo()
