"""zoomgr plan: what a load would do."""

from __future__ import annotations

from pathlib import Path

import click

from zoomgr.cli.run import Run, verb
from zoomgr.errors import redacted

# Far above every model there is (ImageNet-21k has 21,843 classes, a hyperspectral camera some hundred bands),
# far below what torch cannot count or a machine cannot hold: a number beyond is a slip of the hand.
CLASSES = click.IntRange(1, 1_000_000)
CHANNELS = click.IntRange(1, 65_536)
MATCH = "auto, name, position, align, an adapter's name, or a file of rules: X.toml."


def _head(text: str) -> str | tuple[int | str, ...]:
    """`281,tiger cat` -> (281, "tiger cat"); `fresh` and `keep` as they are."""
    if text in {"fresh", "keep"}:
        return text
    return tuple(int(one) if one.isdecimal() else one for one in map(str.strip, text.split(",")) if one)


@verb
@click.argument("ref")
@click.option("--arch", default="", help="FAMILY/NAME, where REF is a bare file.")
@click.option("--num-classes", type=CLASSES, help="Outputs of the head.")
@click.option("--in-ch", type=CHANNELS, help="Input channels.")
@click.option(
    "--head",
    metavar="HEAD",
    type=_head,
    help="fresh, keep, or the classes that stay, by index or label: 281,282,tiger cat.",
)
@click.option("--weights", default="", metavar="REF", help="Somebody else's checkpoint.")
@click.option("--match", default="auto", help=MATCH)
@click.option(
    "--stem",
    default="zero",
    show_default=True,
    help="What channels beyond red, green and blue get: zero, mean, cyclic, copy:R (G, B) or fresh.",
)
@click.option(
    "--bands", metavar="BANDS", default="", help="What each channel is: B4,B3,B2,B8 or red,green,blue,nir."
)
@click.option("--partial", is_flag=True, help="Load what fits.")
@click.option("--ignore", multiple=True, metavar="GLOB", help="Keys that are left out; as often as needed.")
@click.option(
    "--min-coverage",
    type=click.FloatRange(0, 1),
    metavar="0..1",
    help="Least part of the network's values that is loaded [0.1 with --partial].",
)
@click.option(
    "--save",
    type=click.Path(path_type=Path),
    metavar="X.toml",
    help="Write the mapping as rules, to be read, edited and given to --match.",
)
@click.option(
    "--html",
    type=click.Path(path_type=Path),
    metavar="X.html",
    help="Write it as a page too, coloured and searchable, in one file.",
)
def command(
    run: Run,
    ref: str,
    arch: str,
    num_classes: int | None,
    in_ch: int | None,
    head: str | tuple[int | str, ...] | None,
    weights: str,
    match: str,
    stem: str,
    bands: str,
    ignore: tuple[str, ...],
    min_coverage: float | None,
    save: Path | None,
    html: Path | None,
    *,
    partial: bool,
) -> None:
    """Show what a load would do, tensor by tensor; fetches the weights, changes nothing."""
    from zoomgr.look.page import check_page, save_page
    from zoomgr.look.planned import SIGNS, plan_rows

    if html:
        check_page(html)
    made = run.zoo.plan(
        ref,
        arch=arch,
        num_classes=num_classes,
        in_ch=in_ch,
        head=head,
        weights=weights or True,
        match=match,
        stem=stem,
        bands=tuple(bands.split(",")) if bands else (),
        partial=partial,
        ignore=ignore,
        min_coverage=min_coverage,
        save=save,
    )
    rows = ((SIGNS[row.kind], row.target, " + ".join(row.sources), row.how) for row in plan_rows(made))
    run.table(made, ("", "network", "checkpoint", "how"), rows)
    run.note(str(made))
    if save:
        run.note(f"rules: {save}")
    if html:
        save_page(made, html, " into ".join(map(redacted, filter(None, (weights, ref)))))
        run.note(f"page: {html}")
