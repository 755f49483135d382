"""What is shared out among the processes of a load, and the process that shares nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Protocol, TypeVar

from zoomgr.records import Digest, ModelCard

if TYPE_CHECKING:
    from torch import Tensor, nn

    from zoomgr.checkpoint import Checkpoint

T = TypeVar("T")

Cards = tuple[ModelCard, ...]
Read = tuple["Checkpoint", Digest | None]
Named = Iterable[tuple[str, "Tensor"]]


class Ranks(Protocol):
    """Who does which part of a load. Every process calls the same methods in the same order."""

    def cards(self, resolve: Callable[[], Cards]) -> Cards:
        """What `resolve` gives."""

    def checkpoint(self, read: Callable[[], Read]) -> Read:
        """What `read` gives; its tensors may be without values until `arrived` or `each`."""

    def arrived(self, checkpoint: Checkpoint) -> Checkpoint:
        """The same with all values."""

    def each(self, checkpoint: Checkpoint, work: Callable[[Named], T]) -> T:
        """What `work` makes of the tensors, each of which has its values once it was iterated to."""

    def agreed(self, work: Callable[[], T], same: Callable[[T], object] | None = None) -> T:
        """What `work` gives: a part that every process does for itself.

        Args:
            work: calls no other method of this, but for `arrived` and `each`.
            same: what of the result must be equal in all processes, as something with a `repr`.
        """

    def equalise(self, module: nn.Module, names: Iterable[str]) -> None:
        """Have the tensors of these names in the state dict equal in all processes."""


class Alone:
    """A process that does everything for itself, whatever others do."""

    def cards(self, resolve: Callable[[], Cards]) -> Cards:
        """See `Ranks`."""
        return resolve()

    def checkpoint(self, read: Callable[[], Read]) -> Read:
        """See `Ranks`."""
        return read()

    def arrived(self, checkpoint: Checkpoint) -> Checkpoint:
        """See `Ranks`."""
        return checkpoint

    def each(self, checkpoint: Checkpoint, work: Callable[[Named], T]) -> T:
        """See `Ranks`."""
        return work(checkpoint.tensors.items())

    def agreed(self, work: Callable[[], T], same: Callable[[T], object] | None = None) -> T:
        """See `Ranks`."""
        del same
        return work()

    def equalise(self, module: nn.Module, names: Iterable[str]) -> None:
        """See `Ranks`."""
