"""zoomgr export: write weights to a bundle."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import click

from zoomgr.cli.pull import pulled
from zoomgr.cli.run import Run, verb
from zoomgr.cli.shown import size
from zoomgr.cli.sizes import Size
from zoomgr.errors import InvalidIndexError, reason_of

if TYPE_CHECKING:
    from zoomgr.airgap.bundle.exporting import Packed, Sign
    from zoomgr.records import CacheEntry, Digest, ModelCard

_PASSPHRASE = "ZOOMGR_KEY_PASSPHRASE"  # noqa: S105 [the name of a variable]


@verb
@click.argument("refs", nargs=-1, metavar="[REF...]")
@click.option("--lock", type=click.Path(path_type=Path), help="All that this zoo.lock names.")
@click.option("--out", "-o", required=True, type=click.Path(), help="The bundle, e.g. zoo.tar; - for stdout.")
@click.option(
    "--since",
    type=click.Path(path_type=Path),
    metavar="JSON",
    help="Leave out what `zoomgr inventory` has listed there.",
)
@click.option("--volume-size", type=Size(), help="Split it into OUT.001, OUT.002, … of this size, e.g. 4G.")
@click.option(
    "--sign",
    type=click.Path(path_type=Path),
    metavar="KEY",
    help=f"Sign it with an ed25519 key [${_PASSPHRASE}].",
)
def command(
    run: Run,
    refs: tuple[str, ...],
    lock: Path | None,
    out: str,
    since: Path | None,
    volume_size: int | None,
    sign: Path | None,
) -> None:
    """Write weights, with their cards and licences, to a plain tar that `zoomgr import` takes.

    What is not cached is pulled first. The same weights give the same bundle, byte for byte.
    """
    from zoomgr.airgap.bundle.exporting import export
    from zoomgr.airgap.bundle.volumes import Piped, Volumes

    if out == "-" and (volume_size or run.as_json):
        raise click.UsageError("-o - writes the bundle to stdout, where nothing else can be")
    if not refs and not lock:
        raise click.UsageError("name weights, or a lock with --lock")
    signed = _signer(sign) if sign else None
    there = _listed(since) if since else frozenset()
    weights = tuple(_pulled(run, refs, lock))
    target = Piped(sys.stdout.buffer) if out == "-" else Volumes(Path(out), volume_size)
    packed = export(weights, target, there=there, sign=signed, progress=run.progress)
    if out != "-":
        _show(run, packed)


def _pulled(run: Run, refs: tuple[str, ...], lock: Path | None) -> Iterator[tuple[CacheEntry, ModelCard]]:
    """The weights of each reference, once; fetched where they are not cached."""
    if lock:
        from zoomgr.airgap.sync import settings_for

        run.settings = settings_for(run.settings, lock)
    locked = map(run.zoo.lock.card_of, run.zoo.lock.entries.values()) if lock else ()
    cards = {str(card.ref): card for card in (*locked, *map(run.zoo.resolve, refs))}
    with closing(pulled(run, tuple(cards.values()), jobs=4)) as entries:
        yield from ((entry, cards[entry.ref]) for entry in entries)


def _listed(path: Path) -> frozenset[Digest]:
    """The files that an inventory lists."""
    from zoomgr.airgap.index import read_index

    try:
        content = path.read_bytes()
    except OSError as error:
        raise InvalidIndexError(str(path), reason_of(error)) from error
    return frozenset(entry.digest for entry in read_index(content, str(path)))


def _signer(path: Path) -> Sign:
    """What signs with a key; a passphrase comes from the environment, else from who sits there."""
    from zoomgr.airgap.bundle.signing import private_key

    def passphrase() -> str:
        known = os.environ.get(_PASSPHRASE)
        answer: str = known or click.prompt(f"Passphrase of {path}", hide_input=True, err=True)
        return answer

    return private_key(path, passphrase).sign


def _show(run: Run, packed: tuple[Packed, ...]) -> None:
    rows = (
        (one.ref, str(one.digest), size(one.size_bytes), "left out" if one.is_left_out else "")
        for one in packed
    )
    run.table(packed, ("reference", "digest", "size", ""), rows)
