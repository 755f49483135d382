"""Adapters that are asked under other names, where no pattern can say which name is which."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from zoomgr.api import Mapped, Move, TensorSpec
from zoomgr_keymaps.around import Around

Names = Callable[[Sequence[str]], Sequence[str]]
"""Other names for those that are given, in their order."""


def _same(names: Sequence[str]) -> Sequence[str]:
    return names


@dataclass(frozen=True, slots=True)
class Renamed(Around):
    """An adapter that knows its two sides under other names.

    Attributes:
        inner: the adapter.
        source, target: give the names that it knows.
    """

    source: Names = _same
    target: Names = _same

    def recognises(self, source: Sequence[TensorSpec]) -> bool:
        """Whether the adapter does, by the names that it knows."""
        return self.inner.recognises(_seen(source, self.source))

    def suits(self, target: Sequence[TensorSpec]) -> bool:
        """Whether the adapter does, by the names that it knows."""
        return self.inner.suits(_seen(target, self.target))

    def map(self, source: Sequence[TensorSpec], target: Sequence[TensorSpec]) -> Mapped:
        """The adapter's answer, under the names that there are."""
        given, wanted = _seen(source, self.source), _seen(target, self.target)
        mapped = self.inner.map(given, wanted)
        here = {seen.name: spec.name for seen, spec in zip(given, source, strict=True)}
        there = {seen.name: spec.name for seen, spec in zip(wanted, target, strict=True)}
        modules = {name.rpartition(".")[0]: own.rpartition(".")[0] for name, own in there.items()}
        return Mapped(
            tuple(_back(move, here, there) for move in mapped.moves),
            tuple(replace(item, module=modules.get(item.module, item.module)) for item in mapped.attributes),
            tuple(here[name] for name in mapped.left_out),
            tuple(there[name] for name in mapped.kept),
            tuple(_back(move, here, there) for move in mapped.elsewhere),
        )


def _seen(specs: Sequence[TensorSpec], names: Names) -> list[TensorSpec]:
    seen = names([spec.name for spec in specs])
    return [replace(spec, name=name) for spec, name in zip(specs, seen, strict=True)]


def _back(move: Move, here: Mapping[str, str], there: Mapping[str, str]) -> Move:
    sources = tuple(here[name] for name in move.sources)
    return replace(move, target=there.get(move.target, move.target), sources=sources)


# -- names ---------------------------------------------------------------------------------------------------

_STAGED = re.compile(r"blocks\.(\d+)\.(\d+)\.(.*)")
_LETTERED = re.compile(r"(res|bn|scale)(\d)([a-z])(\d*)_(.*)")


def without(*prefixes: str) -> Names:
    """Names without a prefix, where they have one; each as it is where two would become one."""

    def names(given: Sequence[str]) -> Sequence[str]:
        short = [_cut(name, prefixes) for name in given]
        return short if len(set(short)) == len(short) else given

    return names


def _cut(name: str, prefixes: Sequence[str]) -> str:
    return next((name.removeprefix(prefix) for prefix in prefixes if name.startswith(prefix)), name)


def numbered_through(given: Sequence[str]) -> Sequence[str]:
    """`blocks.STAGE.BLOCK.…` of timm's mobile networks as `blocks.N.…`, N from 0 through all stages."""
    found = [_STAGED.fullmatch(name) for name in given]
    places = sorted({(int(one[1]), int(one[2])) for one in found if one})
    numbers = {place: number for number, place in enumerate(places)}
    return [
        f"blocks.{numbers[int(one[1]), int(one[2])]}.{one[3]}" if one else name
        for name, one in zip(given, found, strict=True)
    ]


def caffe_blocks(given: Sequence[str]) -> Sequence[str]:
    """`res4b12_branch2a.weight` as `res4.12.branch2a.weight`: block a is 0, b is 1, b12 is 12."""
    return [_LETTERED.sub(_numbered, name) for name in given]


def _numbered(found: re.Match[str]) -> str:
    kind, stage, letter, number, branch = found.groups()
    return f"{kind}{stage}.{number or ord(letter) - ord('a')}.{branch}"
