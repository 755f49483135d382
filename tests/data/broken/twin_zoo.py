"""Two plugins that both provide the source "twin"."""

from collections.abc import Iterable

from zoomgr.api import ModelCard, ModelRef, Source, hookimpl


class TwinSource:
    name = "twin"

    def cards(self) -> Iterable[ModelCard]:
        yield ModelCard(ref=ModelRef("net", source="twin"))


class One:
    @staticmethod
    @hookimpl
    def zoomgr_sources() -> Iterable[Source]:
        yield TwinSource()


class Two:
    @staticmethod
    @hookimpl
    def zoomgr_sources() -> Iterable[Source]:
        yield TwinSource()
