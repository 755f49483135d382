"""Rules that a user gives: a file of them, or a mapping of names."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, NoReturn, Self

from zoomgr.adapt.match import MAPPING, RULES, Match
from zoomgr.adapt.rules.adapter import RulesAdapter
from zoomgr.adapt.rules.patterns import Pattern
from zoomgr.adapt.rules.read import Rule, Rules, problem_of
from zoomgr.errors import InvalidRulesError, NoSuchFileError, close_matches, reason_of
from zoomgr.hookspecs import Adapter, Mapped
from zoomgr.records import Move, TensorSpec

_MOST_BYTES = 4 << 20
"""Of a file of rules; one with a rule for each of a thousand tensors has a twentieth of it."""


def rules_given(match: Match) -> str | Adapter:
    """The rules that a user gives, as an adapter; a name as it is.

    Args:
        match: a name; a path that ends with .toml; or a mapping, see `NamesAdapter`.

    Raises:
        NoSuchFileError: there is no such file.
        InvalidRulesError: the rules cannot be followed.
    """
    if isinstance(match, Mapping):
        return NamesAdapter.of(match)
    if isinstance(match, os.PathLike) or (isinstance(match, str) and match.lower().endswith(".toml")):
        return _of_file(Path(match).expanduser())
    return match


def _of_file(path: Path) -> RulesAdapter:
    try:
        with path.open("rb") as file:
            content = file.read(_MOST_BYTES + 1)
        text = content.decode()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise NoSuchFileError(str(path)) from error
    except (OSError, ValueError) as error:  # ValueError: no UTF-8, or a NUL in the path
        raise InvalidRulesError(str(path), 0, reason_of(error)) from error
    if len(content) > _MOST_BYTES:
        raise InvalidRulesError(str(path), 0, f"it has more than {_MOST_BYTES:,} bytes")
    adapter = RulesAdapter.of_text(text, str(path))
    return RulesAdapter(f"{RULES}{path.name}", adapter.rules)


@dataclass(frozen=True, slots=True)
class NamesAdapter:
    """A mapping of names: of the checkpoint -> of the network.

    A name is a tensor's, or a layer's and then means everything below it; "" is the root, so that
    `{"backbone": ""}` takes a prefix off; None leaves out on purpose. Names may be patterns, as in a file of
    rules. Of several that match, the one of most parts counts; what none matches keeps its name.

    Attributes:
        pairs: what was given, that of most parts first.
        rules: for these names.
    """

    pairs: tuple[tuple[str, str | None], ...]
    rules: RulesAdapter

    name: ClassVar[str] = MAPPING
    notes: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def of(cls, names: Mapping[str, str | None]) -> Self:
        """Of what a user gives.

        Raises:
            InvalidRulesError: a name is no text, or no pattern, or makes of placeholders that are not there.
        """
        for ours, theirs in names.items():
            if not isinstance(ours, str) or not isinstance(theirs, str | None):
                _refuse(f"{ours!r}: {theirs!r} is no pair of names, of the checkpoint and of the network")
        pairs = sorted(
            names.items(), key=lambda pair: len(pair[0].split(".")) if pair[0] else 0, reverse=True
        )
        rules = tuple(rule for pair in pairs for rule in _rules(*pair))
        return cls(tuple(pairs), RulesAdapter(cls.name, Rules(cls.name, (), (), (), (), rules, ())))

    def recognises(self, source: Sequence[TensorSpec]) -> bool:  # noqa: ARG002 (the protocol's argument)
        """Never: it was given for one checkpoint."""
        return False

    def suits(self, target: Sequence[TensorSpec]) -> bool:  # noqa: ARG002 (as above)
        """Any network."""
        return True

    def map(self, source: Sequence[TensorSpec], target: Sequence[TensorSpec]) -> Mapped:
        """As the names say.

        Raises:
            InvalidRulesError: one of the names is nobody's, which is a slip.
        """
        _check_there([ours for ours, _ in self.pairs], source, "the checkpoint")
        _check_there([theirs for _, theirs in self.pairs if theirs], target, "the network")
        mapped, wanted = self.rules.map(source, target), {spec.name for spec in target}
        others = [Move(spec.name, (spec.name,)) for spec in source if not self._names(spec.name)]
        return replace(
            mapped,
            moves=(*mapped.moves, *(move for move in others if move.target in wanted)),
            elsewhere=(*mapped.elsewhere, *(move for move in others if move.target not in wanted)),
        )

    def _names(self, name: str) -> bool:
        return any(rule.sources[0].bound(name) is not None for rule in self.rules.rules.rules)


def _rules(ours: str, theirs: str | None) -> Iterator[Rule]:
    """For the tensor of that name, and for all below the layer of that name."""
    if ours and theirs != "":
        yield _rule(ours, theirs)
    above, there = (f"{name}." if name else "" for name in (ours, theirs))
    yield _rule(above + "{below*}", None if theirs is None else there + "{below}")


def _rule(ours: str, theirs: str | None) -> Rule:
    try:
        source, target = Pattern.parse(ours), None if theirs is None else Pattern.parse(theirs)
    except ValueError as error:
        _refuse(str(error))
    targets = () if target is None else (target,)
    if problem := problem_of((source,), targets):
        _refuse(problem)
    return Rule((source,), targets)


def _check_there(patterns: Sequence[str], specs: Sequence[TensorSpec], where: str) -> None:
    """Refuse a name that no tensor and no layer has."""
    parts = [spec.name.split(".") for spec in specs]
    names = {".".join(each[:end]) for each in parts for end in range(1, len(each) + 1)}
    for text in patterns:
        if text and not Pattern.parse(text).any_of(names):
            _refuse(f"{where} has no {text}", close_matches(text, names))


def _refuse(problem: str, close: tuple[str, ...] = ()) -> NoReturn:
    raise InvalidRulesError("match", 0, problem, close)
