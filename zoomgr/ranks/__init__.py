"""One load by several processes: each for itself, or rank 0 for all."""

from __future__ import annotations

from zoomgr.ranks.roles import Alone, Ranks

__all__ = ["Alone", "Ranks", "ranks_for"]


def ranks_for(broadcast: bool) -> Ranks:
    """Who does what: rank 0 of the process group reads for all, or each process for itself.

    Raises:
        InvalidSettingError: there is no process group to broadcast over.
    """
    if not broadcast:
        return Alone()
    from zoomgr.ranks.group import Together

    return Together()
