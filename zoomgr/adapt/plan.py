"""Deciding which tensor of a checkpoint fills which of a network. Pure: names, shapes and types only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from zoomgr.adapt.stem import RGB_CHANNELS, check_policy
from zoomgr.errors import CannotAdaptStemError, DoesNotFitError
from zoomgr.hookspecs import Adapter, Mapped
from zoomgr.records import Copy, Fresh, LoadPlan, Move, StemExpand, TensorSpec, Unused

_COUNTER = "num_batches_tracked"
"""BatchNorm's count of batches: files from before torch 0.4.1 and FrozenBatchNorm2d lack it.

Only BatchNorm without a momentum uses it, and torch itself starts it at zero for such files.
"""


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a plan may do besides moving tensors that fit.

    Attributes:
        stem: paths of the modules whose input channels may differ; empty forbids it.
        head: paths of the modules that may be replaced when their shapes differ; empty forbids it.
        num_classes: of the wanted head, for the plan's reasons; None when not known.
        stem_policy: how a stem is extended, see `zoomgr.adapt.stem.expand_stem`; "fresh" initialises it anew.
        partial: take what fits and leave the rest, instead of raising.
        ignore: globs of keys, of the checkpoint or of the network, that are left out.
    """

    stem: tuple[str, ...] = ()
    head: tuple[str, ...] = ()
    num_classes: int | None = None
    stem_policy: str = "zero"
    partial: bool = False
    ignore: tuple[str, ...] = ()


def make_plan(
    source: Sequence[TensorSpec],
    target: Sequence[TensorSpec],
    *,
    what: str,
    adapter: Adapter | None = None,
    wishes: Wishes | None = None,
) -> LoadPlan:
    """Account for every tensor of both sides.

    Args:
        source: the checkpoint's tensors.
        target: the network's, of its `state_dict()`.
        what: the network's name, for errors.
        adapter: translates the checkpoint's keys; None takes equal names. When no name is equal and all of
            the network's share a first part (`module.`, `backbone.`), names are compared without it.
        wishes: what else is allowed.

    Raises:
        DoesNotFitError: something is missing, left over or of another shape, and neither the wishes nor
            `partial` allow it; or nothing fits at all.
        CannotAdaptStemError: the checkpoint's stem is not one for RGB.
        InvalidSettingError: there is no such stem policy.
        InvalidPlanError: the adapter names keys that do not exist, or a key twice.
    """
    wishes = wishes or Wishes()
    check_policy(wishes.stem_policy)
    mapped = adapter.map(source, target) if adapter else Mapped(_by_name(source, target, wishes.head))
    draft = _Draft(source, target, what, wishes)
    for move in mapped.moves:
        draft.consider(move)
    draft.refresh_heads()
    draft.settle_the_rest()
    draft.check()
    place = {spec.name: number for number, spec in enumerate(target)}
    return LoadPlan(
        tuple(source),
        tuple(target),
        tuple(sorted(draft.moves, key=lambda move: place.get(move.target, len(place)))),
        tuple(Fresh(spec.name, draft.fresh[spec.name]) for spec in target if spec.name in draft.fresh),
        tuple(Unused(spec.name, draft.unused[spec.name]) for spec in source if spec.name in draft.unused),
        mapped.attributes,
        adapter.name if adapter else "name",
    )


def _by_name(
    source: Sequence[TensorSpec], target: Sequence[TensorSpec], head: tuple[str, ...]
) -> tuple[Move, ...]:
    """A move for each equal name, in the target's order; and for a head that the network does not have."""
    given = {spec.name for spec in source}
    prefix = ""
    names = [spec.name for spec in target]
    while names and not given.intersection(name.removeprefix(prefix) for name in names):
        longer = prefix + names[0].removeprefix(prefix).partition(".")[0] + "."
        if not all(name.startswith(longer) for name in names):
            prefix = ""
            break
        prefix = longer
    moves = [Move(name, (name.removeprefix(prefix),)) for name in names if name.removeprefix(prefix) in given]
    heads = (spec.name for spec in source if _is_head_elsewhere(prefix + spec.name, names, head))
    return (*moves, *(Move(prefix + name, (name,)) for name in heads))


@dataclass(slots=True)
class _Draft:
    """A plan in the making."""

    source: Sequence[TensorSpec]
    target: Sequence[TensorSpec]
    what: str
    wishes: Wishes
    moves: list[Move] = field(default_factory=list)
    fresh: dict[str, str] = field(default_factory=dict)
    unused: dict[str, str] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)
    mismatched: list[str] = field(default_factory=list)
    _new_heads: set[str] = field(default_factory=set)
    _sources: Mapping[str, TensorSpec] = field(init=False)
    _targets: Mapping[str, TensorSpec] = field(init=False)

    def __post_init__(self) -> None:
        self._sources = {spec.name: spec for spec in self.source}
        self._targets = {spec.name: spec for spec in self.target}

    def consider(self, move: Move) -> None:
        """Take a proposed move, adapt it, or note why it cannot be made."""
        if any(self._is_ignored(name) for name in (move.target, *move.sources)):
            self._drop(move, "ignored")
        elif _is_head_elsewhere(move.target, self._targets, self.wishes.head):
            self._drop(move, self._head_reason)
        elif move.target not in self._targets or not self._sources.keys() >= set(move.sources):
            self.moves.append(move)  # a defect of the adapter, which `LoadPlan` reports
        elif not (problem := self._misfit(move)):
            self.moves.append(move)
        elif self._is_other_stem(move):
            self._adapt_stem(move)
        elif _under(move.target, self.wishes.head):
            self._new_heads.add(_owner(move.target))
            self._drop(move, self._head_reason)
        else:
            self.mismatched.append(problem)
            self._drop(move, f"other shape: {problem}")

    def refresh_heads(self) -> None:
        """Make a layer of the head wholly fresh where one tensor is: its bias alone is worth nothing."""
        for move in [move for move in self.moves if _owner(move.target) in self._new_heads]:
            self.moves.remove(move)
            self._drop(move, self._head_reason)

    def settle_the_rest(self) -> None:
        """Account for what no move has mentioned."""
        filled = {move.target for move in self.moves}
        for name in self._targets:
            if name not in filled and name not in self.fresh:
                self.fresh[name] = self._why_fresh(name)
        taken = {name for move in self.moves for name in move.sources}
        self.unused = {name: why for name, why in self.unused.items() if name not in taken}
        for name in self._sources:
            if name not in taken and name not in self.unused:
                self.unused[name] = self._why_unused(name)

    def check(self) -> None:
        """Raise unless the wishes allow what is left."""
        left = self.missing or self.unexpected or self.mismatched
        if not self.moves or (left and not self.wishes.partial):
            raise DoesNotFitError(
                self.what,
                tuple(self.missing),
                tuple(self.unexpected),
                tuple(self.mismatched),
                len(self.moves),
            )

    # -- reasons ---------------------------------------------------------------------------------------------

    @property
    def _head_reason(self) -> str:
        classes = self.wishes.num_classes
        return "replaced head" if classes is None else f"head for {classes} classes"

    def _drop(self, move: Move, reason: str) -> None:
        if move.target in self._targets:
            self.fresh[move.target] = reason
        unused = "replaced head" if reason == self._head_reason else reason
        self.unused.update(dict.fromkeys(move.sources, unused))

    def _why_fresh(self, name: str) -> str:
        if self._is_ignored(name):
            return "ignored"
        if name.endswith(_COUNTER):
            return "counter"
        if _under(name, self.wishes.head) and not self._is_partly_filled(_owner(name)):
            return self._head_reason
        self.missing.append(name)
        return "not in the checkpoint"

    def _why_unused(self, name: str) -> str:
        if self._is_ignored(name):
            return "ignored"
        if name.endswith(_COUNTER):
            return "counter"
        self.unexpected.append(name)
        return "not in the network"

    def _is_partly_filled(self, owner: str) -> bool:
        return any(_owner(move.target) == owner for move in self.moves)

    def _is_ignored(self, name: str) -> bool:
        return any(fnmatchcase(name, pattern) for pattern in self.wishes.ignore)

    # -- shapes ----------------------------------------------------------------------------------------------

    def _misfit(self, move: Move) -> str:
        """Why the move's result is not what the target holds; empty when it is."""
        given, wanted = [self._sources[name] for name in move.sources], self._targets[move.target]
        try:
            shape = move.op.shape(tuple(spec.shape for spec in given))
        except ValueError as error:
            return f"{move.target}: {error}"
        if shape != wanted.shape:
            return f"{_named(move.sources)} {shape} -> {wanted.shape}"
        kinds = {_kind(spec.dtype) for spec in given}
        if kinds != {_kind(wanted.dtype)} and not move.target.endswith(_COUNTER):
            return f"{_named(move.sources)} {given[0].dtype} -> {wanted.dtype}"
        return ""

    def _is_other_stem(self, move: Move) -> bool:
        if not (isinstance(move.op, Copy) and _under(move.target, self.wishes.stem)):
            return False
        given, wanted = self._sources[move.sources[0]], self._targets[move.target]
        return (
            len(given.shape) == len(wanted.shape) > 2  # noqa: PLR2004 (a convolution: out, in, and its window)
            and (given.shape[0], *given.shape[2:]) == (wanted.shape[0], *wanted.shape[2:])
            and _kind(given.dtype) == _kind(wanted.dtype)
        )

    def _adapt_stem(self, move: Move) -> None:
        in_ch = self._targets[move.target].shape[1]
        if self.wishes.stem_policy == "fresh":
            self._drop(move, f"stem for {in_ch} channels")
            return
        if (channels := self._sources[move.sources[0]].shape[1]) != RGB_CHANNELS:
            problem = f"its weights are for {channels} channels, and only those for RGB can be extended"
            raise CannotAdaptStemError(self.what, in_ch, problem)
        self.moves.append(Move(move.target, move.sources, StemExpand(in_ch, self.wishes.stem_policy)))


def _under(name: str, paths: Iterable[str]) -> bool:
    return any(name.startswith(f"{path}.") for path in paths)


def _is_head_elsewhere(name: str, targets: Iterable[str], head: tuple[str, ...]) -> bool:
    """Whether it belongs to a head that the checkpoint has and the network has not (`num_classes=0`)."""
    return _under(name, head) and _owner(name) not in map(_owner, targets)


def _owner(name: str) -> str:
    return name.rpartition(".")[0]


def _named(names: tuple[str, ...]) -> str:
    return "+".join(names)


def _kind(dtype: str) -> str:
    """Types of one kind are cast into each other; a quantized integer is no weight without its scale."""
    if dtype.startswith(("float", "bfloat")):
        return "floating"
    if dtype.startswith(("int", "uint", "bool")):
        return "integral"
    return dtype
