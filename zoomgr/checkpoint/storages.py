"""Tensors of torch made over the storages of a file: each storage once, mapped or read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoomgr.checkpoint.views import View

if TYPE_CHECKING:
    import torch


class Storages:
    """Makes tensors; those of one storage share it, as they did when they were saved.

    Args:
        values: reads the whole storage of a tensor.
        begin: where it begins in the file; None where it does not lie there as it is.
        path: the file, to map what can be mapped; None to read everything.
    """

    def __init__(
        self,
        values: Callable[[View], bytearray],
        begin: Callable[[View], int | None] = lambda _: None,
        path: Path | None = None,
    ) -> None:
        self._values = values
        self._begin = begin
        self._whole = _mapped(path) if path else None
        self._storages: dict[str, Any] = {}

    def tensor(self, view: View) -> torch.Tensor:
        """The tensor of a view.

        Raises:
            OSError, ValueError: its storage is not there, or not as the tensor needs it.
        """
        import torch

        place = view.place
        if not place.is_aligned:
            raise ValueError("a tensor begins within a value of its storage")
        if view.storage not in self._storages:
            self._storages[view.storage] = self._storage(view)
        dtype = getattr(torch, place.dtype)
        storage = self._storages[view.storage]
        return torch.empty(0, dtype=dtype).set_(
            storage, place.begin // dtype.itemsize, place.shape, place.stride
        )

    def _storage(self, view: View) -> Any:
        import torch

        begin = self._begin(view)
        if not view.size_bytes:
            return torch.empty(0, dtype=torch.uint8).untyped_storage()
        if self._whole is not None and begin is not None and begin % _ALIGNMENT == 0:
            return self._whole[begin : begin + view.size_bytes]
        return torch.frombuffer(self._values(view), dtype=torch.uint8).untyped_storage()


_ALIGNMENT = 16  # of the largest value, complex128


def _mapped(path: Path) -> Any:
    """A private map of the whole file; None where the system gives none."""
    import torch

    try:
        return torch.UntypedStorage.from_file(str(path), shared=False, nbytes=path.stat().st_size)
    except (RuntimeError, OSError):
        return None
