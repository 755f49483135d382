"""Finds, loads and checks plugins one by one, so that a broken one costs nothing but itself."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from importlib.metadata import Distribution, EntryPoint, entry_points
from typing import Any, Generic, TypeVar

import pluggy

from zoomgr.errors import (
    PluginConflictError,
    PluginLoadError,
    UnknownAdapterError,
    UnknownArchitectureError,
    UnknownSourceError,
    ZoomgrError,
    close_matches,
    reason_of,
)
from zoomgr.hookspecs import (
    PROJECT,
    Adapter,
    ArchitectureFamily,
    CheckpointFormat,
    Locator,
    NamedSource,
    Options,
    Source,
    Transport,
    ZoomgrSpecs,
)
from zoomgr.records import ModelCard, PluginInfo

T = TypeVar("T")


@dataclass
class _Plugin:
    """A plugin on its way: who it is, and what became of it."""

    info: PluginInfo
    provides: list[str] = field(default_factory=list)

    @property
    def key(self) -> str:
        return f"{self.info.dist}:{self.info.name}"

    @property
    def title(self) -> str:
        return f"{self.info.dist} {self.info.version} ({self.info.name})"

    def fail(self, error: BaseException) -> None:
        self.info = replace(self.info, status="failed", error=reason_of(error))

    def load_error(self) -> PluginLoadError:
        info = self.info
        return PluginLoadError(info.name, info.dist, info.version, info.error)


@dataclass(frozen=True)
class Provided(Generic[T]):
    """What plugins provide of one kind, by name; a name with two providers is in `clashes` instead."""

    kind: str
    items: Mapping[str, T]
    clashes: Mapping[str, tuple[str, ...]]

    def find(self, name: str) -> T | None:
        """The item; None when nobody provides it.

        Raises:
            PluginConflictError: several plugins provide it.
        """
        if name in self.clashes:
            raise PluginConflictError(self.kind, name, self.clashes[name])
        return self.items.get(name)


class PluginHost:
    """The plugins of one Zoo.

    Args:
        options: what plugins may know of the settings.
        disabled: names of entry points that are not loaded.
        found: entry points to use instead of the installed ones.

    Attributes:
        disabled: as given.
    """

    def __init__(
        self,
        options: Options,
        *,
        disabled: frozenset[str] = frozenset(),
        found: Iterable[EntryPoint] | None = None,
    ) -> None:
        self.disabled = disabled
        self._options = options
        self._manager = pluggy.PluginManager(PROJECT)
        self._manager.add_hookspecs(ZoomgrSpecs)
        self._plugins: list[_Plugin] = []
        self._cards: dict[str, tuple[ModelCard, ...]] = {}
        self._named: dict[tuple[str, str], tuple[ModelCard, ...]] = {}
        points = entry_points(group=PROJECT) if found is None else found
        for point in sorted(points, key=lambda point: (_dist(point)[0], point.name)):
            plugin = _Plugin(PluginInfo(point.name, *_dist(point), status="ok"))
            self._plugins.append(plugin)
            if point.name in disabled:
                plugin.info = replace(plugin.info, status="disabled")
            else:
                self._load(plugin, point)

    def _load(self, plugin: _Plugin, point: EntryPoint) -> None:
        # Exception, not ImportError: a torchvision that does not match its torch raises RuntimeError.
        try:
            self._manager.register(point.load(), plugin.key)
            self._manager.check_pending()  # a misspelt hook would otherwise never be called, without a word
        except (Exception, SystemExit) as error:  # noqa: BLE001 (isolation is the point; the error is kept)
            plugin.fail(error)
            if self._manager.has_plugin(plugin.key):
                self._manager.unregister(name=plugin.key)

    # -- what plugins provide --------------------------------------------------------------------------------

    @cached_property
    def sources(self) -> Provided[Source]:
        """Catalogues, by name."""
        found = [(plugin, item) for plugin, item in self._declared if isinstance(item, Source)]
        return self._provided("source", found, lambda source: (source.name,))

    @cached_property
    def locators(self) -> Provided[Locator]:
        """What understands locations, by scheme."""
        found = [(plugin, item) for plugin, item in self._declared if isinstance(item, Locator)]
        return self._provided("locations of", found, lambda locator: locator.schemes)

    @cached_property
    def transports(self) -> Provided[Transport]:
        """Transports, by scheme."""
        answers = self._answers("zoomgr_transports", Transport, options=self._options)
        return self._provided("transport", answers, lambda transport: transport.schemes)

    @cached_property
    def families(self) -> Provided[ArchitectureFamily]:
        """Architecture families, by name."""
        answers = self._answers("zoomgr_architectures", ArchitectureFamily)
        return self._provided("architectures", answers, lambda family: (family.name,))

    @cached_property
    def adapters(self) -> Provided[Adapter]:
        """Adapters, by the name of the schema that they translate."""
        return self._provided("adapter", self._answers("zoomgr_adapters", Adapter), lambda a: (a.name,))

    @cached_property
    def formats(self) -> Provided[CheckpointFormat]:
        """Checkpoint formats beyond the built-in ones, by name."""
        return self._provided(
            "format", self._answers("zoomgr_formats", CheckpointFormat), lambda f: (f.name,)
        )

    @cached_property
    def _declared(self) -> list[tuple[_Plugin, Source | Locator]]:
        kinds: tuple[type[Any], ...] = (Source, Locator)
        return self._answers("zoomgr_sources", *kinds, options=self._options)

    def cards(self, source: str) -> tuple[ModelCard, ...]:
        """Everything a source lists, read once; a source that fails at it is reported and lists nothing."""
        if source not in self._cards:
            self._cards[source] = self._read(source, lambda catalogue: catalogue.cards())
        return self._cards[source]

    def named(self, source: str, name: str) -> tuple[ModelCard, ...]:
        """The cards of one name; a source that can look it up need not make all of its cards for that."""
        if source in self._cards or not isinstance(self.sources.find(source), NamedSource):
            return tuple(card for card in self.cards(source) if card.ref.name == name)
        if (source, name) not in self._named:
            self._named[source, name] = self._read(source, lambda catalogue: catalogue.named(name))
        return self._named[source, name]

    def _read(self, source: str, ask: Callable[[Any], Iterable[ModelCard]]) -> tuple[ModelCard, ...]:
        for plugin, item in self._declared:
            if isinstance(item, Source) and self.sources.find(source) is item:
                try:
                    return tuple(_checked_cards(source, ask(item)))
                except Exception as error:  # noqa: BLE001 (one broken catalogue must not hide the others)
                    plugin.fail(error)
        return ()

    def get_source(self, name: str) -> Source:
        """A catalogue by name.

        Raises:
            PluginConflictError, PluginLoadError, UnknownSourceError: why there is none.
        """
        return self._required(self.sources, name, UnknownSourceError)

    def get_locator(self, scheme: str) -> Locator:
        """What understands locations of a scheme.

        Raises:
            PluginConflictError, PluginLoadError, UnknownSourceError: why there is none.
        """
        return self._required(self.locators, scheme, UnknownSourceError)

    def get_family(self, name: str) -> ArchitectureFamily:
        """An architecture family by name.

        Raises:
            PluginConflictError, PluginLoadError, UnknownArchitectureError: why there is none.
        """
        return self._required(self.families, name, UnknownArchitectureError)

    def get_adapter(self, name: str) -> Adapter:
        """An adapter by name.

        Raises:
            PluginConflictError, PluginLoadError, UnknownAdapterError: why there is none.
        """
        return self._required(self.adapters, name, UnknownAdapterError)

    def provider_of(self, adapter: str) -> tuple[str, str]:
        """Name and version of the distribution that an adapter is of; empty when nobody provides it."""
        _ = self.adapters  # asks the plugins
        providers = (plugin.info for plugin in self._plugins if f"adapter {adapter}" in plugin.provides)
        return next(((info.dist, info.version) for info in providers), ("", ""))

    def plugins(self) -> tuple[PluginInfo, ...]:
        """All plugins with what became of them, after asking each for everything it provides."""
        kinds = (self.sources, self.locators, self.transports, self.families, self.adapters, self.formats)
        for name in self.sources.items:
            self.cards(name)
        infos = []
        for plugin in self._plugins:
            info = replace(plugin.info, provides=tuple(sorted(plugin.provides)))
            clashes = [
                f"{kind.kind} {name!r} is provided by {' and '.join(titles)}"
                for kind in kinds
                for name, titles in kind.clashes.items()
                if plugin.title in titles
            ]
            if clashes and info.status == "ok":
                info = replace(info, status="conflict", error="; ".join(clashes))
            infos.append(info)
        return tuple(infos)

    def hints(self, error: ZoomgrError) -> tuple[str, ...]:
        """What plugins add to an error's hint."""
        return tuple(str(hint) for _, hint in self._answers("zoomgr_hints", object, error=error))

    # -- asking plugin by plugin -----------------------------------------------------------------------------

    def _answers(self, hook: str, *kinds: type[T], **arguments: Any) -> list[tuple[_Plugin, T]]:
        """Ask each plugin alone; one that fails, or returns something else than `kinds`, is recorded."""
        answers: list[tuple[_Plugin, T]] = []
        registered = {name: module for name, module in self._manager.list_name_plugin() if module is not None}
        for plugin in self._plugins:
            if plugin.key not in registered:
                continue
            others = [module for name, module in registered.items() if name != plugin.key]
            caller = self._manager.subset_hook_caller(hook, others)
            try:
                answers += [(plugin, item) for item in _checked_answers(caller(**arguments), hook, kinds)]
            except (Exception, SystemExit) as error:  # noqa: BLE001 (isolation is the point; the error is kept)
                plugin.fail(error)
        return answers

    def _provided(
        self, kind: str, answers: list[tuple[_Plugin, T]], names: Callable[[T], Iterable[str]]
    ) -> Provided[T]:
        found: defaultdict[str, list[tuple[_Plugin, T]]] = defaultdict(list)
        for plugin, item in answers:
            for name in names(item):
                found[name].append((plugin, item))
                plugin.provides.append(f"{kind} {name}")
        return Provided(
            kind,
            {name: twins[0][1] for name, twins in sorted(found.items()) if len(twins) == 1},
            {name: tuple(p.title for p, _ in twins) for name, twins in found.items() if len(twins) > 1},
        )

    def _required(self, provided: Provided[T], name: str, unknown: type[Any]) -> T:
        """What has the name; else the stored error of the plugin that is called so, or `unknown`."""
        found = provided.find(name)
        if found is not None:
            return found
        for plugin in self._plugins:
            if plugin.info.name == name and plugin.info.status == "failed":
                raise plugin.load_error()
        known = tuple(provided.items)
        raise unknown(name, known, close_matches(name, known))


def _dist(point: EntryPoint) -> tuple[str, str]:
    return _name_and_version(point.dist) if point.dist else ("", "")


@cache
def _name_and_version(dist: Distribution) -> tuple[str, str]:
    """Parsed once for all entry points of a distribution: its metadata holds a whole README."""
    # A distribution that was half uninstalled has no metadata, and so neither name nor version.
    metadata: Any = dist.metadata or {}
    return metadata.get("Name") or "", metadata.get("Version") or ""


def _checked_answers(results: Iterable[Iterable[Any]], hook: str, kinds: tuple[type[T], ...]) -> list[T]:
    items = [item for result in results for item in result]
    for item in items:
        if not isinstance(item, kinds):
            expected = " or ".join(kind.__name__ for kind in kinds)
            raise TypeError(f"{hook} gave {item!r}, which is no {expected}")
    return items


def _checked_cards(source: str, cards: Iterable[ModelCard]) -> Iterator[ModelCard]:
    for card in cards:
        if not isinstance(card, ModelCard) or card.ref.source != source:
            raise TypeError(f"the source {source} lists {card!r}, which is no card of its own")
        yield card
