"""A plan in the making: takes proposed moves, adapts stem and head, and accounts for the rest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from zoomgr.adapt.fits import COUNTER, kind, misfit, shape_of
from zoomgr.adapt.numbering import misnumbered
from zoomgr.adapt.reasons import ANOTHER_NUMBER, COMPUTED, LEFT_OUT, NEW_HEAD, REPLACED_HEAD
from zoomgr.adapt.wishes import Wishes, places_of
from zoomgr.errors import CannotAdaptHeadError, DoesNotFitError, KeyCollisionError, LowCoverageError
from zoomgr.records import Copy, Fresh, LoadPlan, Move, Place, SetAttribute, Shape, TensorSpec, Unused

if TYPE_CHECKING:
    from zoomgr.adapt.ends import Choice


class Draft:
    """A plan in the making; arguments as of `zoomgr.adapt.plan.make_plan`.

    Attributes:
        sources, targets: the tensors of both sides, by name.
    """

    def __init__(
        self, source: Sequence[TensorSpec], target: Sequence[TensorSpec], what: str, wishes: Wishes
    ) -> None:
        self.sources: Mapping[str, TensorSpec] = {spec.name: spec for spec in source}
        self.targets: Mapping[str, TensorSpec] = {spec.name: spec for spec in target}
        self._specs = (tuple(source), tuple(target))
        self._what = what
        self._wishes = wishes
        self._stems = {f"{place.path}.weight": place for place in places_of("stem", wishes.stem)}
        heads = places_of("head", wishes.head)
        self._heads = {f"{place.path}.": place for place in heads if place.count in wishes.counts}
        self._ignored = (
            _matching((*self.sources, *self.targets), wishes.ignore) if wishes.ignore else frozenset()
        )
        self._moves: dict[str, Move] = {}
        self._defects: list[Move] = []
        self._contested: dict[str, list[str]] = {}
        self._new_layers: set[str] = set()
        self._fresh: dict[str, str] = {}
        self._unused: dict[str, str] = {}
        self._missing: list[str] = []
        self._unexpected: list[str] = []
        self._mismatched: list[str] = []

    def heads_elsewhere(self, names: Iterable[str]) -> list[str]:
        """Names that belong to a head which the network does not have (`num_classes=0`)."""
        heads = tuple(self._heads)
        named = (name for name in names if name.startswith(heads)) if heads else ()
        return [name for name in named if self._is_elsewhere(name)]

    def of_heads_elsewhere(self, moves: Iterable[Move]) -> list[Move]:
        """Those of the moves whose targets belong to a head which the network does not have, once each."""
        found = (move for move in moves if self._head_of(move.target) and self._is_elsewhere(move.target))
        return list({move.sources: move for move in found}.values())

    def know(self, left_out: Iterable[str], kept: Iterable[str]) -> None:
        """Note what an adapter leaves out, and what the network computes itself when it is built."""
        self._unused |= {name: LEFT_OUT for name in left_out if name in self.sources}
        self._fresh |= {name: COMPUTED for name in kept if name in self.targets}

    def pass_over_numbers(self, moves: Sequence[Move], there: Mapping[str, str]) -> list[Move]:
        """Those of the moves by equal names that go by other layers' numbers; they are not taken.

        Args:
            moves: for all equal names.
            there: what names of the checkpoint are in the network.
        """
        given = {name: self.sources[source].shape for source, name in there.items()}
        passed = misnumbered(moves, given, {name: spec.shape for name, spec in self.targets.items()})
        for move in passed:
            self._missing.append(move.target)
            self._drop(move, ANOTHER_NUMBER)
        return passed

    def take(self, moves: Sequence[Move]) -> None:
        """Take each proposed move as it is, adapted, or not at all, and note why."""
        sources, targets, ignored, taken = self.sources, self.targets, self._ignored, self._moves
        ends = (*self._stems, *self._heads)
        others = []
        self._contested = {name: [] for name in self._several(moves)}
        contested = self._contested
        for move in moves:
            # Nearly every move is plain: the loop asks no more than that, and each question once.
            name, copied = move.target, move.sources[0] if len(move.sources) == 1 else ""
            given, wanted = sources.get(copied), targets.get(name)
            if (
                given is not None
                and wanted is not None
                and given.shape == wanted.shape
                and given.dtype == wanted.dtype
                and type(move.op) is Copy
                and not name.startswith(ends)
                and name not in ignored
                and copied not in ignored
                and name not in contested
            ):
                taken[name] = move
            else:
                others.append(move)
        choice = self._choice(others)
        for move in others:
            self._consider(move, choice)
        self._refresh_heads()

    def settle(self) -> None:
        """Account for what no move has mentioned.

        Raises:
            KeyCollisionError: tensors of the checkpoint have one place in the network.
            DoesNotFitError: the wishes do not allow what is left, or nothing is loaded.
            LowCoverageError: less is loaded than the wishes demand.
        """
        if self._contested:
            names = tuple((name, tuple(sources)) for name, sources in self._contested.items())
            raise KeyCollisionError(self._what, names)
        taken = {name for move in (*self._moves.values(), *self._defects) for name in move.sources}
        self._unused = {name: why for name, why in self._unused.items() if name not in taken}
        self._fresh = {name: why for name, why in self._fresh.items() if name not in self._moves}
        for name in self.targets:
            if name not in self._moves and name not in self._fresh:
                self._fresh[name] = self._why_fresh(name)
        for name in self.sources:
            if name not in taken and name not in self._unused:
                self._unused[name] = self._why_unused(name)
        self._check()

    def planned(
        self, attributes: tuple[SetAttribute, ...], adapter: str, notes: tuple[str, ...] = ()
    ) -> LoadPlan:
        """The plan, each side in its own order.

        Raises:
            InvalidPlanError: the moves are defective.
        """
        source, target = self._specs
        moves = [self._moves[name] for name in self.targets if name in self._moves]
        fresh = [Fresh(name, self._fresh[name]) for name in self.targets if name in self._fresh]
        unused = [Unused(name, self._unused[name]) for name in self.sources if name in self._unused]
        moves += self._defects
        return LoadPlan(source, target, tuple(moves), tuple(fresh), tuple(unused), attributes, adapter, notes)

    # -- moves -----------------------------------------------------------------------------------------------

    def _several(self, moves: Sequence[Move]) -> list[str]:
        """Names of the network for which there are several moves that nothing ignores."""
        ignored = self._ignored
        there = [
            move.target for move in moves if not ignored or ignored.isdisjoint((move.target, *move.sources))
        ]
        return [name for name, count in Counter(there).items() if count > 1 and name in self.targets]

    def _consider(self, move: Move, choice: Choice | None) -> None:
        """Take a move that is not plain, adapt it, or note why it cannot be made."""
        name, head = move.target, self._head_of(move.target)
        if any(one in self._ignored for one in (name, *move.sources)):
            self._drop(move, "ignored")
        elif head and self._is_elsewhere(name):
            self._drop(move, self._why_new(head))
        elif not self._is_proper(move):
            self._defects.append(move)  # of the adapter, which `LoadPlan` reports
        elif name in self._contested:
            self._contested[name].append(" + ".join(move.sources))
        elif head and self._wishes.fresh_head:
            self._drop(move, self._why_new(head))
        elif head and choice and not head.count:
            self._settle_shape(choice.of(move, head, self._shape(move)), None)
        else:
            self._settle_shape(move, head)

    def _settle_shape(self, move: Move, replaceable: Place | None) -> None:
        """Take a move between tensors that there are, if its shape is right or can be made so."""
        problem = misfit(move, self.sources, self.targets[move.target])
        if self._is_other_stem(move):
            self._adapt_stem(move)
        elif not problem:
            self._moves[move.target] = move
        elif replaceable:
            self._new_layers.add(_owner(move.target))
            self._drop(move, self._why_new(replaceable))
        else:
            self._mismatched.append(problem)
            self._drop(move, f"other shape: {problem}")

    def _is_proper(self, move: Move) -> bool:
        return move.target in self.targets and self.sources.keys() >= set(move.sources)

    def _shape(self, move: Move) -> Shape:
        """What a move gives; no shape when it cannot be made of the checkpoint's tensors."""
        try:
            return shape_of(move, self.sources)
        except ValueError:
            return ()

    def _drop(self, move: Move, reason: str) -> None:
        if move.target in self.targets:
            self._fresh[move.target] = reason
        unused = REPLACED_HEAD if reason.startswith(NEW_HEAD) else reason
        self._unused.update(dict.fromkeys(move.sources, unused))

    # -- stem ------------------------------------------------------------------------------------------------

    def _is_other_stem(self, move: Move) -> bool:
        """Whether only the axis of the channels differs, or their order is another."""
        given, wanted = self._shape(move), self.targets[move.target]
        order = self._wishes.order
        return (
            move.target in self._stems
            and len(given) == len(wanted.shape) >= 2  # noqa: PLR2004 (out, in)
            and (given[0], *given[2:]) == (wanted.shape[0], *wanted.shape[2:])
            and kind(self.sources[move.sources[0]].dtype) == kind(wanted.dtype)
            and (given != wanted.shape or order not in {(), (0, 1, 2)})
        )

    def _adapt_stem(self, move: Move) -> None:
        from zoomgr.adapt.ends import stem_move

        place, wanted = self._stems[move.target], self.targets[move.target].shape
        shapes = (self._shape(move), wanted)
        extended = stem_move(move, place, shapes, self._wishes, self._what)
        if extended:
            self._moves[move.target] = extended
        else:
            self._drop(move, f"stem for {wanted[1] // (place.blocks * place.width)} channels")

    # -- head ------------------------------------------------------------------------------------------------

    def _head_of(self, name: str) -> Place | None:
        """The layer of the head, among those that may be replaced, that a name of the network is of."""
        return next((place for path, place in self._heads.items() if name.startswith(path)), None)

    def _is_elsewhere(self, name: str) -> bool:
        """Whether its layer is not in the network."""
        owner = _owner(name)
        return name not in self.targets and not any(_owner(target) == owner for target in self.targets)

    def _choice(self, moves: Iterable[Move]) -> Choice | None:
        """The wish for classes, held against the checkpoint's head; None when there is no such wish."""
        wishes = self._wishes
        if wishes.classes is None or wishes.fresh_head:
            return None
        from zoomgr.adapt.ends import Choice, class_count

        heads = [place for place in self._heads.values() if not place.count]
        shapes = {move.target: self._shape(move) for move in moves if self._is_proper(move)}
        try:
            count = class_count(heads, shapes)
        except ValueError as error:
            raise CannotAdaptHeadError(self._what, len(wishes.classes), str(error)) from error
        if wishes.chosen_from not in {None, count}:
            problem = f"the classes were chosen from {wishes.chosen_from}, and the checkpoint has {count}"
            raise CannotAdaptHeadError(self._what, len(wishes.classes), problem)
        return Choice(wishes.classes, count, self._what)

    def _refresh_heads(self) -> None:
        """Make a layer of the head wholly fresh where one tensor is: its bias alone is worth nothing."""
        layers = tuple(f"{owner}." for owner in self._new_layers)
        for name in [name for name in self._moves if name.startswith(layers)]:
            if _owner(name) in self._new_layers and (head := self._head_of(name)):
                self._drop(self._moves.pop(name), self._why_new(head))

    # -- reasons ---------------------------------------------------------------------------------------------

    def _why_new(self, head: Place) -> str:
        classes = self._wishes.num_classes
        if head.count:
            return f"{NEW_HEAD}other {head.count}"
        return REPLACED_HEAD if classes is None else f"{NEW_HEAD}{classes} classes"

    def _why_fresh(self, name: str) -> str:
        if name in self._ignored:
            return "ignored"
        if name.endswith(COUNTER):
            return "counter"
        head = self._head_of(name)
        is_kept = head and not head.count and self._wishes.classes is not None and not self._wishes.fresh_head
        if head and not is_kept and not any(_owner(target) == _owner(name) for target in self._moves):
            return self._why_new(head)
        self._missing.append(name)
        return "not in the checkpoint"

    def _why_unused(self, name: str) -> str:
        if name in self._ignored:
            return "ignored"
        if name.endswith(COUNTER):
            return "counter"
        self._unexpected.append(name)
        return "not in the network"

    def _check(self) -> None:
        """Raise unless the wishes allow what is left."""
        left = self._missing or self._unexpected or self._mismatched
        matched = len(self._moves) + len(self._defects)
        if not matched or (left and not self._wishes.partial):
            raise DoesNotFitError(
                self._what, tuple(self._missing), tuple(self._unexpected), tuple(self._mismatched), matched
            )
        coverage = self._coverage()
        if coverage < self._wishes.min_coverage:
            raise LowCoverageError(
                self._what,
                coverage,
                self._wishes.min_coverage,
                tuple(self._missing),
                tuple(self._unexpected),
                tuple(self._mismatched),
            )

    def _coverage(self) -> float:
        """Part of the network's values that is filled."""
        filled = sum(self.targets[name].numel for name in self._moves)
        total = sum(spec.numel for spec in self.targets.values())
        return filled / total if total else 1.0


def _matching(names: Iterable[str], patterns: Sequence[str]) -> frozenset[str]:
    return frozenset(name for name in names if any(fnmatchcase(name, pattern) for pattern in patterns))


def _owner(name: str) -> str:
    return name.rpartition(".")[0]
