"""How a download tells how far it is; who shows it is another matter."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol


class Progress(Protocol):
    """Shows how far downloads are; called from several threads."""

    def start(self, label: str, total_bytes: int | None) -> AbstractContextManager[Callable[[int], None]]:
        """Begin to show a file; inside the context, call the function with the size of each piece.

        What has to be fetched again is taken back with a negative size.

        Args:
            label: the file's name.
            total_bytes: its size; None when nobody knows.
        """
        ...


class SilentProgress:
    """Shows nothing."""

    @contextmanager
    def start(self, label: str, total_bytes: int | None) -> Iterator[Callable[[int], None]]:  # noqa: ARG002 [named by the protocol]
        """Nothing to show."""
        yield lambda _: None
