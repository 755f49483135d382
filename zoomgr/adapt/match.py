"""Deciding how the keys of a checkpoint are matched with a network's. Pure: names only."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence

from zoomgr.adapt.fits import COUNTER
from zoomgr.hookspecs import Adapter, TargetedAdapter
from zoomgr.records import TensorSpec

ALIGN = "align"
"""Matching by structure (zoomgr/adapt/align)."""
POSITION = "position"
"""Matching one by one, in order (zoomgr/adapt/position.py)."""
WAYS = ("auto", "name", POSITION, ALIGN)
"""What `match` may be besides an adapter's name."""

MAPPING, RULES = "mapping", "rules "
"""What a mapping is called as an adapter, and how the name of a file of rules begins."""

Match = str | Mapping[str, str | None] | os.PathLike[str] | Adapter
"""How keys are matched: by a way's or an adapter's name, a mapping of names, a file of rules, an adapter."""


def choose_adapter(
    match: str,
    schema: str,
    source: Sequence[TensorSpec],
    target: Sequence[TensorSpec],
    adapters: Callable[[], Mapping[str, Adapter]],
) -> str:
    """The name of the adapter to use; empty to match equal names.

    Args:
        match: "auto", "name", or an adapter's name.
        schema: what the checkpoint's card says of its keys; empty when it says nothing.
        source: the checkpoint's tensors.
        target: the network's tensors.
        adapters: gives those there are, by name; most checkpoints need none.

    With "auto", the card's schema counts when its adapter fills the whole network. Else a checkpoint that has
    every name of the network is matched by name, whatever its card says: it was translated already; unless an
    adapter that recognises its keys fills the whole network too: it knows what the others are. Else
    the card's schema counts after all, unless an adapter that recognises the keys fills the whole network and
    it does not; else that adapter, if it is the only one (for such a network); else names.
    """
    if match != "auto":
        return "" if match == "name" else match
    if schema and schema in adapters() and _fills(adapters()[schema], source, target):
        return schema
    given, wanted = {spec.name for spec in source}, {spec.name for spec in target}
    if wanted <= given:
        knowing = _knowing(source, target, adapters()) if wanted < given else ""
        return knowing if knowing and _fills(adapters()[knowing], source, target) else ""
    knowing = _knowing(source, target, adapters())
    if schema and not (knowing and _fills(adapters()[knowing], source, target)):
        return schema
    return knowing


def _knowing(
    source: Sequence[TensorSpec], target: Sequence[TensorSpec], adapters: Mapping[str, Adapter]
) -> str:
    """The only adapter that recognises the checkpoint, among those for such a network if there are any."""
    knowing = {name: adapter for name, adapter in adapters.items() if adapter.recognises(source)}
    targeted = {name: it for name, it in knowing.items() if isinstance(it, TargetedAdapter)}
    suiting = [name for name, adapter in targeted.items() if adapter.suits(target)]
    candidates = suiting or [name for name in knowing if name not in targeted]
    return candidates[0] if len(candidates) == 1 else ""


def _fills(adapter: Adapter, source: Sequence[TensorSpec], target: Sequence[TensorSpec]) -> bool:
    """Whether nothing of the network would be missing."""
    mapped = adapter.map(source, target)
    filled = {move.target for move in mapped.moves}.union(mapped.kept)
    return all(spec.name in filled or spec.name.endswith(COUNTER) for spec in target)
