"""What is built around a file of rules that cannot say all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from zoomgr.api import TargetedAdapter, TensorSpec


@dataclass(frozen=True, slots=True)
class Around:
    """An adapter that knows its schema by another one's word.

    Attributes:
        inner: that other one.
    """

    inner: TargetedAdapter

    @property
    def name(self) -> str:
        """The inner one's."""
        return self.inner.name

    @property
    def notes(self) -> tuple[str, ...]:
        """The inner one's."""
        return self.inner.notes

    def recognises(self, source: Sequence[TensorSpec]) -> bool:
        """Whether the inner one does."""
        return self.inner.recognises(source)

    def suits(self, target: Sequence[TensorSpec]) -> bool:
        """Whether the inner one does."""
        return self.inner.suits(target)
