"""A plugin with a typo in the name of a hook."""

from zoomgr.api import hookimpl


@hookimpl
def zoomgr_sorces() -> list[object]:
    return []
