"""zoomgr add: a file of one's own, under a name."""

from __future__ import annotations

from pathlib import Path

import click

from zoomgr.cli.pull import line
from zoomgr.cli.run import Run, verb
from zoomgr.errors import InvalidSettingError, reason_of


@verb
@click.argument("file")
@click.option("--name", required=True, metavar="TEAM/NAME[@TAG]", help="What it will be called.")
@click.option("--arch", default="", metavar="FAMILY/NAME", help="The architecture that it is for.")
@click.option("--num-classes", type=int, help="Outputs of the head [the architecture's].")
@click.option("--in-ch", type=int, help="Input channels [the architecture's].")
@click.option("--labels", type=click.Path(path_type=Path), metavar="FILE", help="Its classes, one a line.")
@click.option("--license", "license_", default="", metavar="ID", help="SPDX id, or a URL.")
@click.option("--notes", default="", help="What a user must know, in a sentence.")
@click.option("--adapter", default="", help="What translates its keys [found by itself].")
@click.option("--replace", is_flag=True, help="In the place of other weights of that name.")
def command(
    run: Run,
    file: str,
    name: str,
    arch: str,
    num_classes: int | None,
    in_ch: int | None,
    labels: Path | None,
    license_: str,
    notes: str,
    adapter: str,
    replace: bool,
) -> None:
    """Put a file of your own into the zoo: it is copied, and from then on found like any other.

    With --arch it is tried on that architecture first. Prints reference, digest, bytes, path.
    """
    entry = run.zoo.add(
        file,
        name,
        arch=arch,
        num_classes=num_classes,
        in_ch=in_ch,
        labels=_lines(labels) if labels else (),
        license=license_,
        notes=notes,
        adapter=adapter,
        replace=replace,
    )
    run.emit(entry, [line(entry)])
    if not arch:
        run.note("no architecture was named: load it with arch=, or add it again with --arch")


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text("utf-8-sig").splitlines()  # Windows' editors begin a text with a mark
    except (OSError, ValueError) as error:
        raise InvalidSettingError("--labels", str(path), reason_of(error), "give a text file") from error
