"""What stands before the names of one side alone: `module.`, `backbone.`; found, not listed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping


def names_there(given: Collection[str], wanted: Collection[str]) -> Mapping[str, str]:
    """How each name of a checkpoint is called in the network, as far as what stands before it tells.

    Mostly as in the checkpoint. Where no name is in both, the network may be wrapped: then all of its names
    have first parts in common. Or the network is a part of the checkpoint: then most of its names are there
    behind one prefix. Of two that hold equally many (a student and its teacher) neither is taken.

    Args:
        given: names of the checkpoint.
        wanted: names of the network.

    Returns:
        By name of the checkpoint; names outside that part are not in it.
    """
    if added := _of_the_network(given, wanted):
        return {name: added + name for name in given}
    removed = _of_the_checkpoint(given, wanted)
    return {name: name.removeprefix(removed) for name in given if name.startswith(removed)}


def _of_the_network(given: Collection[str], wanted: Collection[str]) -> str:
    """The first part that all names of the network share and no name of the checkpoint has; mostly none."""
    prefix, names, there = "", list(wanted), set(given)
    while names and there.isdisjoint(name.removeprefix(prefix) for name in names):
        longer = prefix + names[0].removeprefix(prefix).partition(".")[0] + "."
        if not all(name.startswith(longer) for name in names):
            return ""
        prefix = longer
    return prefix


def _of_the_checkpoint(given: Collection[str], wanted: Collection[str]) -> str:
    """The prefix behind which the checkpoint has the most names of the network; mostly none."""
    wanted = set(wanted)
    equal = len(wanted.intersection(given))
    if 2 * equal > len(wanted):
        return ""
    found = Counter[str]()
    for name in given:
        at = name.find(".")
        while at >= 0:
            if name[at + 1 :] in wanted:
                found[name[: at + 1]] += 1
            at = name.find(".", at + 1)
    (best, most), (_, second) = [*found.most_common(2), ("", 0), ("", 0)][:2]
    return best if most > max(equal, second) else ""
