"""zoomgr activations: where the layers of a network are strong, and where what speaks for a class lies."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from zoomgr.cli.pull import say_who_won
from zoomgr.cli.run import Run, verb
from zoomgr.errors import CannotPredictError, UnreadableImageError, axes

if TYPE_CHECKING:
    from zoomgr.look.photos import PhotoMap, Viewer

_COLUMNS = ("photo", "layer", "kind", "output", "map", "mean", "max", "strongest at", "class", "file")


@verb
@click.argument("ref")
@click.argument("photos", nargs=-1, required=True, metavar="PHOTO|FOLDER...", type=click.Path(path_type=Path))
@click.option("--output", "-o", type=click.Path(path_type=Path), metavar="DIR", help="Write pictures there.")
@click.option(
    "--layer", "layers", multiple=True, metavar="PATH", help="A layer, or a glob; as often as needed."
)
@click.option("--grad-cam", is_flag=True, help="What speaks for a class, instead of the mean.")
@click.option("--class", "class_", metavar="CLASS", help="With --grad-cam: index or label [the most likely].")
@click.option("--force", is_flag=True, help="Write over pictures that are there.")
def command(
    run: Run,
    ref: str,
    photos: tuple[Path, ...],
    output: Path | None,
    layers: tuple[str, ...],
    class_: str | None,
    *,
    grad_cam: bool,
    force: bool,
) -> None:
    """Show where layers are strong: their mean over the channels, place by place of photos.

    A row for each photo and layer; with --output also a picture, the map in colour over the photo. Without
    --layer all convolutions of a small network, or the ends of the stages; with --grad-cam the last layer.
    A photo that cannot be read does not keep the others; it is told at the end.
    """
    from zoomgr import look
    from zoomgr.labels import class_names
    from zoomgr.look.photos import Folder, Viewer
    from zoomgr.look.pictures import pictures
    from zoomgr.look.preprocess import for_channels, transforms

    if class_ is not None and not grad_cam:
        raise click.UsageError("--class is what --grad-cam asks for; give both")
    files = pictures(photos)
    folder = Folder(output, force) if output else None
    if folder:
        folder.prepare(files)
    card = run.zoo.resolve(ref)
    say_who_won(run, ref, card)
    if card.preprocess is None:
        raise CannotPredictError(str(card.ref), "its preprocessing is not published")
    model = run.zoo.load(card)
    wanted = int(class_) if class_ and class_.isdecimal() else class_
    see = partial(look.grad_cam, class_=wanted) if grad_cam else look.activations
    viewer = Viewer(
        partial(see, model, layers=layers),
        transforms(for_channels(card.preprocess, card.in_ch)),
        card.preprocess,
        class_names(card.labels, card.num_classes or 0),
        folder,
    )
    errors: list[UnreadableImageError] = []
    found = list(_readable(viewer, files, errors))
    run.table(found, _COLUMNS, map(_cells, found))
    run.note_further(errors[1:])
    if errors:
        raise errors[0]


def _readable(
    viewer: Viewer, files: Sequence[Path], errors: list[UnreadableImageError]
) -> Iterator[PhotoMap]:
    """Maps of what could be read; why the others could not is added to the errors."""
    for file in files:
        try:
            yield from viewer.maps(file)
        except UnreadableImageError as error:
            errors.append(error)


def _cells(one: PhotoMap) -> tuple[str, ...]:
    rows, columns = one.map
    left_out = f" + {one.prefix}" if one.prefix else ""
    x, y = one.strongest
    return (
        str(one.image),
        one.layer,
        one.kind,
        axes(one.output),
        f"{rows}x{columns}{left_out}",
        f"{one.mean:.3g}",
        f"{one.max:.3g}",
        f"{x},{y}",
        one.name,
        str(one.file or ""),
    )
