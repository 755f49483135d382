"""zoomgr verify: hash what is in the cache."""

from __future__ import annotations

from pathlib import Path

import click

from zoomgr.cli.run import Run, verb
from zoomgr.errors import VerifyFailedError


@verb
@click.argument("refs", nargs=-1, metavar="[REF...]")
@click.option("--repair", is_flag=True, help="Bring the right files again, from where `pull` finds them.")
@click.option("--from", "bundle", type=click.Path(), metavar="BUNDLE", help="Repair from a bundle first.")
def command(run: Run, refs: tuple[str, ...], repair: bool, bundle: str | None) -> None:
    """Hash cached weights, all when none is named, and move altered ones aside. Needs no network.

    With --repair what was fetched first is fetched again, proven by the digest that was recorded then.
    """
    verdicts = list(run.zoo.verify(refs))
    if bundle:
        _import(
            run, bundle, {verdict.ref for verdict in verdicts if verdict.status in {"altered", "missing"}}
        )
    if repair or bundle:
        verdicts = list(run.zoo.repaired(verdicts))
    rows = (
        (verdict.status, verdict.ref, verdict.detail, f"now {verdict.moved_to}" if verdict.moved_to else "")
        for verdict in verdicts
    )
    run.table(verdicts, ("verdict", "reference", "found", ""), rows)
    bad = tuple(verdict.ref for verdict in verdicts if verdict.status not in {"ok", "repaired"})
    run.note(f"{len(verdicts) - len(bad)} of {len(verdicts)} are what was fetched")
    if bad:
        raise VerifyFailedError(bad)


def _import(run: Run, bundle: str, refs: set[str]) -> None:
    """Take these out of a bundle, when there are any; a key that is demanded of bundles is demanded here."""
    if refs:
        from zoomgr.airgap.bundle.importing import import_bundle
        from zoomgr.airgap.bundle.signing import public_key

        keys = tuple(map(public_key, run.zoo.settings.trusted_keys))
        import_bundle(run.zoo, Path(bundle), keys=keys, only=refs, progress=run.progress)
