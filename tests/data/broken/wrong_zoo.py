"""A plugin whose hook returns something that is no source."""

from zoomgr.api import hookimpl


@hookimpl
def zoomgr_sources() -> list[object]:
    return ["not a source"]
