"""The stages of one load: resolve, fetch, read, build, plan, apply; each takes what the last one gave."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from zoomgr.adapt.attributes import with_kept
from zoomgr.adapt.auto import plan_by
from zoomgr.adapt.declared import Origin, declare
from zoomgr.adapt.match import MAPPING, RULES, WAYS, Match
from zoomgr.adapt.wishes import Wishes
from zoomgr.errors import InvalidSettingError, UnknownAdapterError, UnreadableCheckpointError, close_matches
from zoomgr.garbage import give_back_heap
from zoomgr.hookspecs import CheckpointFormat
from zoomgr.host import PluginHost
from zoomgr.kept import Kept
from zoomgr.ranks import Ranks, ranks_for
from zoomgr.records import STRUCTURE_ONLY, Copy, Digest, Fresh, LoadPlan, LoadReport, ModelCard
from zoomgr.request import Meant, Request, meant
from zoomgr.resolve import Ref, Resolver

if TYPE_CHECKING:
    from torch import nn

    from zoomgr.checkpoint import Checkpoint

_ATTEMPTS = 3
"""So often may a file be removed between being found and being opened; a person does that once."""


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
        origin: to be kept with the module; None for the caller's.
        proof: as of `LoadReport`.
    """

    ref: str
    digest: Digest | None
    module: nn.Module
    build: Callable[[], nn.Module] | None
    checkpoint: Checkpoint | None
    plan: LoadPlan
    clock: Clock
    origin: Origin | None = None
    proof: str = STRUCTURE_ONLY


class Loader:
    """Loads models.

    Args:
        host: gives families, formats and adapters.
        resolver: gives cards.
        file: gives the proven file of a card, fetched if need be.
        kept: reads files of the cache; None where there are none.
        reads: reads files that `kept` does not; None for `zoomgr.checkpoint.read`, into memory.
    """

    def __init__(
        self,
        host: PluginHost,
        resolver: Resolver,
        file: Callable[[ModelCard], tuple[Path, Digest | None]],
        kept: Kept | None = None,
        reads: Callable[[Path, Sequence[CheckpointFormat]], Checkpoint] | None = None,
    ) -> None:
        self._host = host
        self._resolver = resolver
        self._file = file
        self._kept = kept
        self._reads = reads

    def load(self, ref: Ref, weights: bool | Ref | None, request: Request) -> tuple[nn.Module, LoadReport]:
        """Build the architecture and fill it; see `zoomgr.Zoo.load_with_report`."""
        ranks = ranks_for(request.broadcast)
        prepared = self.prepare(ref, weights, request, ranks)
        module, report = prepared.module, _carried_out(prepared, ranks)
        if not all(layer.training for layer in module.modules()):
            module.train()
        ranks.equalise(module, report.fresh)
        del prepared  # so that a tensor of the checkpoint goes when what is made of it is there
        give_back_heap()
        return ranks.agreed(lambda: _placed(module, request)), report

    def load_into(self, model: nn.Module, weights: Ref, request: Request) -> LoadReport:
        """Fill a module of the caller's own; see `zoomgr.Zoo.load_into`."""
        ranks = ranks_for(request.broadcast)
        return _carried_out(self.prepare_into(model, weights, request, ranks), ranks)

    def read(self, card: ModelCard) -> Checkpoint:
        """The tensors of a card's file; see `zoomgr.Zoo.read`."""
        return self._read(card, Clock())[0]

    def prepare(
        self, ref: Ref, weights: bool | Ref | None, request: Request, ranks: Ranks | None = None
    ) -> Prepared:
        """All that comes before a change: the file is fetched and read, the module built, the plan made."""
        clock, ranks = Clock(), ranks or ranks_for(request.broadcast)
        with clock.stage("resolve"):
            request = ranks.agreed(lambda: self._checked(request))
            cards = ranks.cards(lambda: self._resolved(ref, weights, request))
            wanted = ranks.agreed(lambda: meant(request, card=cards[1], own=cards[2]))
            if not weights and wanted.wishes.classes:
                problem = "without weights there are no classes to choose from"
                raise InvalidSettingError("head", str(request.head), problem, "give num_classes")
        read = ranks.checkpoint(lambda: self._read(cards[1], clock)) if weights else None
        return ranks.agreed(
            lambda: self._prepared(cards, wanted, read, request, clock), same=lambda it: it.plan
        )

    def _resolved(self, ref: Ref, weights: bool | Ref | None, request: Request) -> tuple[ModelCard, ...]:
        """The cards of the reference, of the weights, and of the architecture."""
        card = self._resolver.resolve(ref)
        filled = self._resolver.resolve(weights) if weights and weights is not True else card
        return card, filled, self._resolver.architecture(request.arch or card.arch)

    def _prepared(
        self,
        cards: tuple[ModelCard, ...],
        wanted: Meant,
        read: tuple[Checkpoint, Digest | None] | None,
        request: Request,
        clock: Clock,
    ) -> Prepared:
        card, filled, own = cards
        build = self._builder(own, filled if filled.arch == own.arch else card, wanted, request)
        if not read:
            with clock.stage("build"):
                module = build()
            origin = replace(wanted.origin, ref="", labels=())
            plan, proof = _all_fresh(module), "no weights"
            return Prepared(str(card.ref), None, module, build, None, plan, clock, origin, proof)
        checkpoint, digest = read
        with clock.stage("build"):
            from zoomgr.adapt.build import skip_init

            with skip_init():
                module = build()
        with clock.stage("plan"):
            plan = self._plan(checkpoint, module, filled, own, wanted.wishes, request.match)
        proof = _proof(plan, filled, own)
        return Prepared(str(filled.ref), digest, module, build, checkpoint, plan, clock, wanted.origin, proof)

    def prepare_into(
        self, model: nn.Module, weights: Ref, request: Request, ranks: Ranks | None = None
    ) -> Prepared:
        """The same for a module that the caller has built."""
        clock, ranks = Clock(), ranks or ranks_for(request.broadcast)
        with clock.stage("resolve"):
            request = ranks.agreed(lambda: self._checked(request))
            (card,) = ranks.cards(lambda: (self._resolver.resolve(weights),))
        checkpoint, digest = ranks.checkpoint(lambda: self._read(card, clock))
        own = ModelCard(card.ref, arch=type(model).__name__)
        wishes = Wishes(partial=request.partial, ignore=request.ignore, min_coverage=request.least_coverage)
        with clock.stage("plan"):
            plan = ranks.agreed(lambda: self._plan(checkpoint, model, card, own, wishes, request.match))
        proof = _proof(plan, card, own)
        return Prepared(str(card.ref), digest, model, None, checkpoint, plan, clock, proof=proof)

    def _checked(self, request: Request) -> Request:
        """With the rules that it names; refuses what does not exist before anything is fetched."""
        if request.match not in WAYS:
            from zoomgr.adapt.rules import rules_given  # few loads need it

            request = replace(request, match=rules_given(request.match))
            if isinstance(request.match, str):
                self._check_adapter(request.match)
        request.place()
        return request

    def _check_adapter(self, name: str) -> None:
        """Refuse what is no adapter's name; who mistypes a way is told of the ways."""
        try:
            self._host.get_adapter(name)
        except UnknownAdapterError as error:
            known = (*WAYS, *error.known)
            raise UnknownAdapterError(name, known, close_matches(name, known)) from None

    def _builder(
        self, own: ModelCard, card: ModelCard, wanted: Meant, request: Request
    ) -> Callable[[], nn.Module]:
        """Builds the architecture as the weights need it, but for what the caller wishes otherwise."""
        family, _, name = own.arch.partition("/")
        fits = card.arch == own.arch
        num_classes = card.num_classes if fits and card.num_classes != own.num_classes else None
        in_ch = card.in_ch if fits and card.in_ch != own.in_ch else None
        return partial(
            self._host.get_family(family).build,
            name,
            num_classes=num_classes if wanted.num_classes is None else wanted.num_classes,
            in_ch=in_ch if wanted.in_ch is None else wanted.in_ch,
            **{**(card if fits else own).build_args, **request.arch_kwargs},
        )

    def _of_the_cache(self, kept: Kept, card: ModelCard, path: Path, digest: Digest) -> Checkpoint:
        """The tensors of a blob; one that somebody has removed before it was opened is brought once more."""
        for _ in range(_ATTEMPTS):
            try:
                return kept.checkpoint(path, digest)
            except (UnreadableCheckpointError, OSError):
                if path.exists():
                    raise
                path = self._file(card)[0]
        return kept.checkpoint(path, digest)

    def _read(self, card: ModelCard, clock: Clock) -> tuple[Checkpoint, Digest | None]:
        with clock.stage("fetch"):
            path, digest = self._file(card)
        with clock.stage("read"):
            if self._kept and digest and card.ref.scheme != "path":
                return self._of_the_cache(self._kept, card, path, digest), digest
            formats = tuple(self._host.formats.items.values())
            if self._reads:
                return self._reads(path, formats), digest
            from zoomgr.checkpoint import read

            # The user's own file may be saved over while the model lives; no mapping survives that.
            return read(path, formats, mapped=False), digest

    def _plan(  # noqa: PLR0913, PLR0917 [both sides of it, and how they are matched]
        self,
        checkpoint: Checkpoint,
        module: nn.Module,
        card: ModelCard,
        own: ModelCard,
        wishes: Wishes,
        match: Match,
    ) -> LoadPlan:
        """Plan strictly, but for the stem and the head where the caller has asked for others."""
        from zoomgr.checkpoint import specs_of

        source, target = checkpoint.specs, specs_of(module.state_dict(keep_vars=True))
        plan = plan_by(
            match,
            source,
            target,
            what=f"{card.ref} into {own.arch}",
            adapters=lambda: self._host.adapters.items,
            get_adapter=self._host.get_adapter,
            schema=card.schema,
            wishes=wishes,
        )
        return with_kept(plan, checkpoint.metadata, module)


def _proof(plan: LoadPlan, card: ModelCard, own: ModelCard) -> str:
    """Why the network should compute what its weights mean; see `LoadReport`."""
    if plan.adapter in {"name", card.schema} and card.arch == own.arch:
        return f"weights for {card.arch}, as their card says"
    if plan.adapter in {*WAYS, MAPPING} or plan.adapter.startswith(RULES):
        return STRUCTURE_ONLY
    return f"known key schema: {plan.adapter}"


def _carried_out(prepared: Prepared, ranks: Ranks) -> LoadReport:
    checkpoint, shift = prepared.checkpoint, None
    if checkpoint:
        with prepared.clock.stage("apply"):
            shift = _filled(prepared, checkpoint, ranks)
    if prepared.origin:
        declare(prepared.module, prepared.origin)
    return LoadReport(
        prepared.plan,
        prepared.ref,
        str(prepared.digest or ""),
        checkpoint.wrappers if checkpoint else (),
        prepared.clock.seconds,
        shift,
        proof=prepared.proof,
    )


def _placed(module: nn.Module, request: Request) -> nn.Module:
    """On its device, of its type: tensor by tensor, from the map of the file, without another copy here."""
    if place := request.place():
        device, dtype = place
        module.to(device=device, dtype=dtype)
    return module


def _filled(prepared: Prepared, checkpoint: Checkpoint, ranks: Ranks) -> float | None:
    """Carry out the plan; how far stems were moved."""
    from zoomgr.adapt.apply_torch import apply

    plan, module = prepared.plan, prepared.module
    if not prepared.build:
        from zoomgr.adapt.sharded import apply_sharded, check_sharded, is_sharded

        if is_sharded(module):
            ranks.agreed(lambda: check_sharded(plan, module, checkpoint.tensors))
            ranks.agreed(lambda: ranks.each(checkpoint, lambda them: apply_sharded(plan, module, them)))
            return None

    def applied() -> float | None:
        arrived = ranks.arrived(checkpoint)
        apply(plan, module, arrived.tensors, initialised=prepared.build)
        return _stem_shift(plan, module, arrived)

    return ranks.agreed(applied)


def _stem_shift(plan: LoadPlan, module: nn.Module, checkpoint: Checkpoint) -> float | None:
    """The largest shift of the stems that were adapted; see `LoadReport`."""
    made = [move for move in plan.moves if type(move.op) is not Copy]
    if not made:
        return None
    from zoomgr.adapt.values import shift_of
    from zoomgr.records import StemExpand

    adapted = [(move, move.op) for move in made if isinstance(move.op, StemExpand)]

    shifts = [
        shift_of(
            module.get_submodule(move.target.rpartition(".")[0]), checkpoint.tensors[move.sources[0]], op
        )
        for move, op in adapted
    ]
    return max((shift for shift in shifts if shift is not None), default=None)


def _all_fresh(module: nn.Module) -> LoadPlan:
    """The plan of a load without weights: nothing comes from anywhere."""
    from zoomgr.checkpoint import specs_of

    target = specs_of(module.state_dict(keep_vars=True))
    return LoadPlan((), target, (), tuple(Fresh(spec.name, "no weights") for spec in target), adapter="none")
