"""zoomgr import: prove a bundle, and take its weights into the cache."""  # noqa: N999 [a verb is called as its file]

from __future__ import annotations

from pathlib import Path

import click

from zoomgr.cli.run import Run, verb
from zoomgr.cli.shown import size


@verb
@click.argument("bundle", type=click.Path())
@click.option("--dry-run", is_flag=True, help="Prove it, and only tell what would be added.")
@click.option(
    "--require-signature",
    "keys",
    multiple=True,
    type=click.Path(),
    metavar="PUBKEY",
    help="Refuse it unless this key, or another one named so, has signed it [$ZOOMGR_TRUSTED_KEYS].",
)
def command(run: Run, bundle: str, dry_run: bool, keys: tuple[str, ...]) -> None:
    """Take the weights of a bundle into the cache: all of them, and only when all of its bytes are right.

    BUNDLE is what `zoomgr export` wrote, or its first volume. One that was interrupted goes on where it was.
    """
    from zoomgr.airgap.bundle.importing import import_bundle
    from zoomgr.airgap.bundle.signing import public_key

    paths = tuple(map(Path, keys)) or run.zoo.settings.trusted_keys
    trusted = tuple(map(public_key, paths))
    found = import_bundle(run.zoo, Path(bundle), keys=trusted, dry_run=dry_run, progress=run.progress)
    rows = (
        (one.ref, str(one.digest), size(one.size_bytes), "new" if one.is_new else "there already")
        for one in found.weights
    )
    run.table(found.weights, ("reference", "digest", "size", ""), rows)
    if found.is_signed and not trusted:
        run.note("it is signed, and nobody asked by whom: --require-signature PUBKEY")
    if dry_run:
        run.note("all of it is proven; nothing was added")
