"""The stages of one load: resolve, fetch, read, build, plan, apply; each takes what the last one gave."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoomgr.adapt.match import choose_adapter
from zoomgr.adapt.plan import Wishes, make_plan
from zoomgr.adapt.stem import check_policy
from zoomgr.errors import InvalidSettingError
from zoomgr.host import PluginHost
from zoomgr.records import Digest, Fresh, LoadPlan, LoadReport, ModelCard
from zoomgr.resolve import Ref, Resolver

if TYPE_CHECKING:
    from torch import nn

    from zoomgr.checkpoint import Checkpoint


@dataclass(frozen=True, slots=True)
class Request:
    """What a caller asks of a load; the arguments of `zoomgr.Zoo.load_with_report` say what each means."""

    arch: str = ""
    num_classes: int | None = None
    in_ch: int | None = None
    match: str = "auto"
    stem: str = "zero"
    partial: bool = False
    ignore: tuple[str, ...] = ()
    arch_kwargs: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        # Beyond the limits no label set and no sensor goes; torch would answer with a C++ stack trace.
        limits = {"num_classes": (self.num_classes, 0, 1_000_000), "in_ch": (self.in_ch, 1, 65_536)}
        for name, (count, least, most) in limits.items():
            if count is not None and not least <= count <= most:
                problem = f"it must lie between {least:,} and {most:,}"
                raise InvalidSettingError(name, str(count), problem, "leave it out to keep the model's own")
        check_policy(self.stem)


class Clock:
    """Seconds that each stage took."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time what is done inside."""
        begun = time.perf_counter()
        yield
        self.seconds[name] = time.perf_counter() - begun


@dataclass(frozen=True, slots=True)
class Prepared:
    """A load up to the point where something would change.

    Attributes:
        ref, digest: of the weights; no digest where none was proven.
        module: to be filled.
        build: builds the module anew, with its own initialisation; None when it is the caller's.
        checkpoint: None for a load without weights.
        plan: for the two of them.
        clock: seconds so far.
    """

    ref: str
    digest: Digest | None
    module: nn.Module
    build: Callable[[], nn.Module] | None
    checkpoint: Checkpoint | None
    plan: LoadPlan
    clock: Clock


class Loader:
    """Loads models.

    Args:
        host: gives families, formats and adapters.
        resolver: gives cards.
        file: gives the proven file of a card, fetched if need be.
    """

    def __init__(
        self,
        host: PluginHost,
        resolver: Resolver,
        file: Callable[[ModelCard], tuple[Path, Digest | None]],
    ) -> None:
        self._host = host
        self._resolver = resolver
        self._file = file

    def load(self, ref: Ref, weights: bool | Ref | None, request: Request) -> tuple[nn.Module, LoadReport]:
        """Build the architecture and fill it; see `zoomgr.Zoo.load_with_report`."""
        prepared = self.prepare(ref, weights, request)
        return prepared.module.train(), _carried_out(prepared)

    def load_into(self, model: nn.Module, weights: Ref, request: Request) -> LoadReport:
        """Fill a module of the caller's own; see `zoomgr.Zoo.load_into`."""
        return _carried_out(self.prepare_into(model, weights, request))

    def prepare(self, ref: Ref, weights: bool | Ref | None, request: Request) -> Prepared:
        """All that comes before a change: the file is fetched and read, the module built, the plan made."""
        clock = Clock()
        with clock.stage("resolve"):
            self._check_match(request)
            card = self._resolver.resolve(ref)
            filled = self._resolver.resolve(weights) if weights and weights is not True else card
            own = self._resolver.architecture(request.arch or card.arch)
            build = self._builder(own, filled if filled.arch == own.arch else card, request)
        if not weights:
            with clock.stage("build"):
                module = build()
            return Prepared(str(card.ref), None, module, build, None, _all_fresh(module), clock)
        checkpoint, digest = self._read(filled, clock)
        with clock.stage("build"):
            from zoomgr.adapt.build import skip_init

            with skip_init():
                module = build()
        with clock.stage("plan"):
            plan = self._plan(checkpoint, module, filled, own, request)
        return Prepared(str(filled.ref), digest, module, build, checkpoint, plan, clock)

    def prepare_into(self, model: nn.Module, weights: Ref, request: Request) -> Prepared:
        """The same for a module that the caller has built."""
        clock = Clock()
        with clock.stage("resolve"):
            self._check_match(request)
            card = self._resolver.resolve(weights)
        checkpoint, digest = self._read(card, clock)
        with clock.stage("plan"):
            own = ModelCard(card.ref, arch=type(model).__name__)
            plan = self._plan(checkpoint, model, card, own, request)
        return Prepared(str(card.ref), digest, model, None, checkpoint, plan, clock)

    def _check_match(self, request: Request) -> None:
        """Refuse an adapter that does not exist before anything is fetched."""
        if request.match not in {"auto", "name"}:
            self._host.get_adapter(request.match)

    def _builder(self, own: ModelCard, card: ModelCard, request: Request) -> Callable[[], nn.Module]:
        """Builds the architecture as the weights need it, but for what the caller wishes otherwise."""
        family, _, name = own.arch.partition("/")
        fits = card.arch == own.arch
        num_classes = card.num_classes if fits and card.num_classes != own.num_classes else None
        in_ch = card.in_ch if fits and card.in_ch != own.in_ch else None
        return partial(
            self._host.get_family(family).build,
            name,
            num_classes=num_classes if request.num_classes is None else request.num_classes,
            in_ch=in_ch if request.in_ch is None else request.in_ch,
            **{**(card if fits else own).build_args, **request.arch_kwargs},
        )

    def _read(self, card: ModelCard, clock: Clock) -> tuple[Checkpoint, Digest | None]:
        with clock.stage("fetch"):
            path, digest = self._file(card)
        with clock.stage("read"):
            from zoomgr.checkpoint import read

            # The user's own file may be saved over while the model lives; no mapping survives that.
            mapped = card.ref.scheme != "path"
            return read(path, tuple(self._host.formats.items.values()), mapped=mapped), digest

    def _plan(
        self, checkpoint: Checkpoint, module: nn.Module, card: ModelCard, own: ModelCard, request: Request
    ) -> LoadPlan:
        """Plan strictly, but for the stem and the head where the caller has asked for others."""
        from zoomgr.checkpoint import specs_of

        source, target = checkpoint.specs, specs_of(module.state_dict())
        name = choose_adapter(request.match, card.schema, source, target, self._host.adapters.items)
        wishes = Wishes(
            stem=own.stem if request.in_ch is not None else (),
            head=own.head if request.num_classes is not None else (),
            num_classes=request.num_classes,
            stem_policy=request.stem,
            partial=request.partial,
            ignore=request.ignore,
        )
        adapter = self._host.get_adapter(name) if name else None
        return make_plan(source, target, what=f"{card.ref} into {own.arch}", adapter=adapter, wishes=wishes)


def _carried_out(prepared: Prepared) -> LoadReport:
    checkpoint = prepared.checkpoint
    if checkpoint:
        from zoomgr.adapt.apply_torch import apply

        with prepared.clock.stage("apply"):
            apply(prepared.plan, prepared.module, checkpoint.tensors, initialised=prepared.build)
    return LoadReport(
        prepared.plan,
        prepared.ref,
        str(prepared.digest or ""),
        checkpoint.wrappers if checkpoint else (),
        prepared.clock.seconds,
    )


def _all_fresh(module: nn.Module) -> LoadPlan:
    """The plan of a load without weights: nothing comes from anywhere."""
    from zoomgr.checkpoint import specs_of

    target = specs_of(module.state_dict())
    return LoadPlan((), target, (), tuple(Fresh(spec.name, "no weights") for spec in target), adapter="none")
