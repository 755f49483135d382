"""zoomgr predict: what is on pictures."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from zoomgr.cli.pull import say_who_won
from zoomgr.cli.run import Run, verb
from zoomgr.errors import UnreadableImageError

if TYPE_CHECKING:
    from zoomgr.look.predict import Predicted, Prediction

_COLUMNS = ("image", "rank", "index", "name", "probability")


@verb
@click.argument("ref")
@click.argument("images", nargs=-1, required=True, metavar="IMAGE|FOLDER...", type=click.Path(path_type=Path))
@click.option("--top", type=click.IntRange(min=1), default=5, show_default=True, help="How many classes.")
@click.option(
    "--batch", type=click.IntRange(min=1), default=16, show_default=True, help="So many pictures at once."
)
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV.")
def command(run: Run, ref: str, images: tuple[Path, ...], top: int, batch: int, *, as_csv: bool) -> None:
    """Print the most likely classes of pictures, with percentages.

    Of a folder all pictures in it. One that cannot be read does not keep the others; it is told at the end.
    """
    if as_csv and run.as_json:
        raise click.UsageError("--csv and --json are two forms of one answer; give one of them")
    card = run.zoo.resolve(ref)
    say_who_won(run, ref, card)
    found = _readable(run, run.zoo.predict_each(card, images, top=top, batch=batch))
    if run.as_json:
        run.emit_each(_plain(found), lambda _: "")
    elif as_csv:
        run.emit_each(_csv_lines(found), lambda line: line)
    elif len(images) == 1 and not images[0].is_dir():
        run.emit_each(_rows(found), lambda row: f"{row[2].probability:6.1%}  {row[2].name}")
    else:
        run.emit_each(_rows(found), lambda row: (str(row[0]), f"{row[2].probability:6.1%}", row[2].name))


def _readable(run: Run, found: Iterable[Predicted]) -> Iterator[Predicted]:
    """What could be read; then the first of the errors, after a note for each further one."""
    errors: list[UnreadableImageError] = []
    for one in found:
        if one.error is None:
            yield one
        else:
            errors.append(one.error)
    run.note_further(errors[1:])
    if errors:
        raise errors[0]


def _plain(found: Iterable[Predicted]) -> Iterator[dict[str, object]]:
    return ({"image": one.image, "classes": one.classes} for one in found)


def _rows(found: Iterable[Predicted]) -> Iterator[tuple[Path, int, Prediction]]:
    """Picture, rank from 1 on, class."""
    for one in found:
        yield from ((one.image, rank, likely) for rank, likely in enumerate(one.classes, 1))


def _csv_lines(found: Iterable[Predicted]) -> Iterator[str]:
    yield _csv_line(_COLUMNS)
    for image, rank, likely in _rows(found):
        yield _csv_line((str(image), rank, likely.index, likely.name, f"{likely.probability:.6f}"))


def _csv_line(cells: Iterable[object]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow(cells)
    return text.getvalue()
