"""What torch.save was given, out of the description of its pickle: mappings, modules and tensors."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import IO, Any

from zoomgr.checkpoint.inert import described
from zoomgr.checkpoint.modules import tensors_of
from zoomgr.checkpoint.objects import Call
from zoomgr.checkpoint.pickles import Asked
from zoomgr.checkpoint.views import NotStridedError, View, view_of

_MAX_DEPTH = 32  # of mappings in mappings; no training script comes near
_MAX_VISITS = 1_000_000  # far beyond any network; ends mappings that hold one another over and over


class AttackError(ValueError):
    """A pickle asks for what only attacks ask for.

    Args:
        wanted: what it asks for.
    """

    def __init__(self, wanted: tuple[str, ...]) -> None:
        super().__init__(", ".join(wanted))
        self.wanted = wanted


@dataclass(frozen=True, slots=True)
class Tree:
    """A saved mapping.

    Attributes:
        root: perhaps nested; leaves are `View`s, plain values, and `Call`s of what is not understood.
        modules: classes of the modules that were in it, each once, the outermost first.
        inert: other globals that state dicts are not made of, sorted.
        odd: what tensors it has that are no `View`s; empty when it has none.
    """

    root: Mapping[Any, Any]
    modules: tuple[str, ...]
    inert: tuple[str, ...]
    odd: tuple[str, ...]

    @property
    def is_plain(self) -> bool:
        """Whether it is made of what torch itself takes for safe."""
        return not self.modules and not self.inert

    @property
    def metadata(self) -> dict[str, Any]:
        """What is to be known of it beside its tensors; see `Contents`."""
        around = {"module": "".join(self.modules[:1]), "inert": self.inert}
        return {key: told for key, told in around.items() if told}

    def filled(self, make: Callable[[View], Any]) -> dict[Any, Any]:
        """The same, each tensor as `make` makes it."""

        def made(value: Any) -> Any:
            if isinstance(value, dict):
                return {key: made(item) for key, item in value.items()}
            return make(value) if isinstance(value, View) else value

        return {key: made(value) for key, value in self.root.items()}


def tree_of(data: bytes | IO[bytes], is_outside: Callable[[Any], object] = lambda _: None) -> Tree:
    """What a pickle describes, as a mapping of names to tensors as far as it is one.

    Args:
        data: the pickle, or a file of which the next one is read.
        is_outside: told the key of everything that the file keeps outside of the pickle.

    Raises:
        AttackError: it asks for what only attacks ask for.
        ValueError: it is damaged, no mapping and no module, or a tensor in it is not sound.
    """
    asked = Asked()
    try:
        saved = described(data, asked, is_outside)
    finally:
        if asked.attacks:
            raise AttackError(asked.attacks)
    walk = _Walk()
    root = walk.copied(saved, 0)
    if not isinstance(root, dict):
        raise ValueError(f"it holds {_what(root)}, not a mapping of names to tensors")  # noqa: TRY004 [as above]
    inert = tuple(name for name in asked.others if name not in walk.modules)
    return Tree(root, tuple(walk.modules), inert, tuple(walk.odd))


class _Walk:
    def __init__(self) -> None:
        self.modules: dict[str, None] = {}
        self.odd: dict[str, None] = {}
        self._visits = itertools.count()

    def copied(self, value: Any, depth: int) -> Any:
        """A copy in which each call is what it means."""
        if next(self._visits) > _MAX_VISITS or depth > _MAX_DEPTH:
            raise ValueError("its mappings are nested without end")
        if isinstance(value, Call):
            return self._meant(value, depth)
        if isinstance(value, dict):
            return {key: self.copied(item, depth + 1) for key, item in value.items()}
        return value

    def _meant(self, call: Call, depth: int) -> Any:
        if (named := tensors_of(call, self.modules)) is not None:
            return dict(self._views(named))
        try:
            view = view_of(call)
        except NotStridedError as error:
            self.odd[str(error)] = None
            return call
        if view is None and call.entries is not None:
            return self.copied(call.entries, depth)
        return call if view is None else view

    def _views(self, named: Iterator[tuple[str, Call]]) -> Iterator[tuple[str, View]]:
        for name, call in named:
            if next(self._visits) > _MAX_VISITS:
                raise ValueError("its modules are nested without end")
            if (view := view_of(call)) is None:
                raise ValueError(f"{name} of its module is no tensor, but what {call.name} makes")
            yield name, view


def _what(value: Any) -> str:
    if isinstance(value, Call):
        return f"what {value.name} makes"
    return "a Tensor" if isinstance(value, View) else f"a {type(value).__name__}"
