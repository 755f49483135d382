"""zoomgr list: models by glob."""

from __future__ import annotations

from typing import Any

import click

from zoomgr.cli.plain import plain
from zoomgr.cli.run import Run, verb
from zoomgr.cli.shown import digest, metric, millions, size
from zoomgr.errors import redacted
from zoomgr.garbage import no_collection


@verb
@click.argument("pattern", default="*")
@click.option("--cached", is_flag=True, help="Only what is in the cache, with its size.")
@click.option("--source", default="", help="Only this source, e.g. timm.")
def command(run: Run, pattern: str, cached: bool, source: str) -> None:
    """List models whose name, or source/name@tag, matches a glob such as 'resnet*'."""
    if cached:
        _list_cache(run, pattern, source)
        return
    cards = run.zoo.available(pattern, source=source)
    have = run.zoo.store.held(str(card.ref) for card in cards)
    rows = (
        (
            str(card.ref),
            "cached" if str(card.ref) in have else "" if card.artifact else "no weights",
            "default" if card.is_default else "",
            millions(card.params),
            size(card.artifact.size_bytes if card.artifact else None),
            metric(card),
            card.license,
        )
        for card in cards
    )
    run.table(cards, ("reference", "here", "", "params", "size", "metric", "licence"), rows)
    if not cards:
        run.note(f"nothing matches {redacted(pattern)!r}; a pattern is a glob: 'resnet*', 'timm/*in22k*'")


def _list_cache(run: Run, pattern: str, source: str) -> None:
    if source:
        run.zoo.available("", source=source)  # refuses one that nobody provides
    with no_collection():
        entries = list(run.store.entries())
    if pattern != "*" or source:
        from zoomgr.resolve import matches

        entries = [
            entry
            for entry in entries
            if matches(entry.ref, pattern) and (not source or entry.ref.startswith(f"{source}/"))
        ]
    converted = run.store.converted()
    rows = (
        (
            entry.ref,
            _taken(entry.size_bytes, converted.get(entry.digest, 0)),
            digest(entry.digest),
            entry.fetched_at,
            entry.license,
        )
        for entry in entries
    )
    data = [_with_copy(plain(entry), converted.get(entry.digest, 0)) for entry in entries if run.as_json]
    run.table(data, ("reference", "size", "sha256", "fetched", "licence"), rows)
    blobs = {entry.path: entry.size_bytes for entry in entries}
    run.note(f"{len(entries)} references, {size(sum(blobs.values()))} in {run.store.root}")
    if copies := sum(converted.get(digest, 0) for digest in {entry.digest for entry in entries}):
        run.note(f"{size(copies)} more for converted copies of old files; zoomgr gc frees them")


def _taken(size_bytes: int, converted_bytes: int) -> str:
    return size(size_bytes) + (f" + {size(converted_bytes)} converted" if converted_bytes else "")


def _with_copy(entry: dict[str, Any], converted_bytes: int) -> dict[str, Any]:
    return entry | ({"converted_bytes": converted_bytes} if converted_bytes else {})
