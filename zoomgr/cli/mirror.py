"""zoomgr mirror: put weights where the nodes of a site can fetch them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import click

from zoomgr.cli.run import Run, verb
from zoomgr.cli.shown import size
from zoomgr.errors import NotFoundError, PluginError, UsageError

if TYPE_CHECKING:
    from zoomgr.airgap.mirror.place import Model
    from zoomgr.records import CacheEntry, ModelCard


@verb
@click.argument("destination", metavar="DEST")
@click.argument("refs", nargs=-1, metavar="[REF...]")
@click.option("--lock", "lock_file", type=click.Path(path_type=Path), help="All that this lock names.")
def sync(run: Run, destination: str, refs: tuple[str, ...], lock_file: Path | None) -> None:
    """Bring weights to a mirror, those that are cached when none is named.

    DEST is a folder, a URL of a store (s3://BUCKET/PATH, sftp://HOST/PATH) or of an OCI registry
    (oci://HOST/PATH). What it has already does not travel, and stays. Killed at any point, it leaves a mirror
    that can be used; run it again to go on.
    """
    from zoomgr.airgap.mirror.place import place_of
    from zoomgr.airgap.mirror.sync import sync as synced
    from zoomgr.airgap.sync import settings_for

    if refs and lock_file:
        raise click.UsageError("give references or --lock, not both")
    if lock_file:
        run.settings = settings_for(run.settings, lock_file)
    place = place_of(destination, run.zoo.store.root, offline=run.zoo.settings.offline)
    if lock_file:
        models = _pulled(run, [run.zoo.lock.card_of(entry) for entry in run.zoo.lock.entries.values()])
    else:
        models = _pulled(run, [run.zoo.resolve(ref) for ref in refs]) if refs else _cached(run)
    published, errors = synced(models, place, card_of=lambda ref: _card(run, ref), progress=run.progress)
    rows = (
        (one.ref, str(one.digest), size(one.size_bytes), "new" if one.is_new else "") for one in published
    )
    run.table(published, ("reference", "digest", "size", ""), rows)
    if errors:
        run.note_further(errors[1:])
        raise errors[0]


def _pulled(run: Run, named: Iterable[ModelCard]) -> Iterator[Model]:
    """The weights of each card, once; fetched where they are not cached."""
    from zoomgr.airgap.mirror.sync import check_may_leave

    cards = {card.ref: card for card in named}
    for card in cards.values():
        check_may_leave(card)
    with closing(run.zoo.pull_each(cards.values())) as futures:
        for future, card in zip(futures, cards.values(), strict=True):
            yield _model(run, future.result(), card)


def _cached(run: Run) -> Iterator[Model]:
    """All that the cache has, but for files of this disk, which mean nothing on another."""
    from zoomgr.airgap.mirror.sync import may_leave

    for entry in run.zoo.cached():
        card = _card(run, entry.ref)
        if card is None or may_leave(card):
            yield _model(run, entry, card)
        else:
            run.note(f"{entry.ref} is a file of this disk, and stays here")


def _card(run: Run, ref: str) -> ModelCard | None:
    """The card of a reference; None where no catalogue of this machine knows it."""
    try:
        return run.zoo.resolve(ref)
    except (NotFoundError, UsageError, PluginError):
        return None


def _model(run: Run, entry: CacheEntry, card: ModelCard | None) -> Model:
    """Weights with what the mirror must know of them."""
    from zoomgr.airgap.mirror.place import Model

    own = run.zoo.store.own_cards.named(card.ref.source, card.ref.name) if card else ()
    return Model(entry, card, is_own=any(other.ref == card.ref for other in own if card))


@click.group(commands={"sync": sync})
def command() -> None:
    """Mirrors of a site: nodes fetch from one by ZOOMGR_MIRROR alone."""
