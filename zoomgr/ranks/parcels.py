"""Bytes over the default process group: short messages, and tensors many or few at a time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from zoomgr.errors import RankFailedError, reason_of

if TYPE_CHECKING:
    import torch
    from torch import Tensor

_PARCEL_BYTES = 16 << 20
"""Sent at once: small tensors share a parcel, each would cost a round trip.

A rank needs no more memory than this beside the weights, on its GPU where the group sends from GPUs (nccl).
"""


class Line:
    """What the ranks say to each other; all of them call the same methods in the same order.

    Attributes:
        rank: of this process.
    """

    def __init__(self) -> None:
        from torch import distributed

        self.rank = distributed.get_rank()
        self._world = distributed.get_world_size()
        self._device = _device()

    def broadcast(self, content: bytes = b"", *, source: int = 0) -> bytes:
        """The source's content, on every rank; it must not be empty."""
        import torch

        size = torch.tensor([len(content)], device=self._device)
        self._send(size, source)
        buffer = torch.empty(int(size), dtype=torch.uint8, device=self._device)
        if self.rank == source:
            buffer.copy_(torch.frombuffer(bytearray(content), dtype=torch.uint8))
        self._send(buffer, source)
        return bytes(buffer.tolist())

    def gathered(self, *numbers: int) -> list[tuple[int, ...]]:
        """The numbers of each rank, on every rank."""
        import torch
        from torch import distributed

        own = torch.tensor(numbers, dtype=torch.int64, device=self._device)
        rows = [torch.empty_like(own) for _ in range(self._world)]
        with _peers():
            distributed.all_gather(rows, own)
        return [tuple(row.tolist()) for row in rows]

    def arriving(self, tensors: Mapping[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
        """Each tensor once it is on every rank: rank 0's own, or one on the CPU with its values and layout.

        Args:
            tensors: their values count on rank 0 only; shapes, types, layouts, and which names have the same
                object, must be equal on all ranks.
        """
        import torch

        if self._world == 1:
            yield from tensors.items()
            return
        # One for all: memory that was never touched costs more than what is copied into it.
        total = sum(tensor.nbytes for tensor in tensors.values())
        buffer = torch.empty(min(total, _PARCEL_BYTES), dtype=torch.uint8, device=self._device)
        faults: list[Exception] = []
        parcel: list[Tensor] = []
        packed: list[tuple[str, Tensor]] = []
        size = 0
        for name, tensor, content in self._contents(tensors, faults):
            for piece in torch.split(content, _PARCEL_BYTES):
                if size + len(piece) > _PARCEL_BYTES:
                    self._exchange(parcel, buffer)
                    yield from () if faults else packed
                    parcel, packed, size = [], [], 0
                parcel.append(piece)
                size += len(piece)
            packed.append((name, tensor))
        self._exchange(parcel, buffer)
        if faults:
            raise faults[0]
        yield from packed

    def _contents(
        self, tensors: Mapping[str, Tensor], faults: list[Exception]
    ) -> Iterator[tuple[str, Tensor, Tensor]]:
        """Name, tensor and its bytes; no bytes where a name before it has the same tensor.

        Where there is no memory for them, the bytes go to the meta device, that is nowhere, for the other
        ranks still send and receive; the fault is added to `faults`.
        """
        import torch

        uses = Counter(map(id, tensors.values()))
        several: dict[int, Tensor] = {}
        for name, tensor in tensors.items():
            if id(tensor) in several:
                yield name, several[id(tensor)], torch.empty(0, dtype=torch.uint8)
                continue
            try:
                own, content = (tensor, _bytes_of(tensor)) if self.rank == 0 else _blank(tensor)
            except (MemoryError, RuntimeError) as error:
                if self.rank == 0:
                    raise RankFailedError(0, reason_of(error)) from error
                faults.append(error)
                own, content = tensor, torch.empty(tensor.nbytes, dtype=torch.uint8, device="meta")
            if uses[id(tensor)] > 1:
                several[id(tensor)] = own
            yield name, own, content

    def _exchange(self, parcel: list[Tensor], buffer: Tensor) -> None:
        """Fill the pieces (bytes) with those of rank 0, by way of a buffer that has room for them."""
        import torch

        sizes = [len(piece) for piece in parcel]
        if not sum(sizes):
            return
        buffer = buffer[: sum(sizes)]
        pairs = list(zip(parcel, torch.split(buffer, sizes), strict=True))
        if self.rank == 0:
            for piece, part in pairs:
                part.copy_(piece)
        self._send(buffer)
        if self.rank != 0:
            for piece, part in pairs:
                piece.copy_(part)

    def _send(self, buffer: Tensor, source: int = 0) -> None:
        from torch import distributed

        with _peers():
            distributed.broadcast(buffer, src=source)


def _device() -> torch.device:
    """Where tensors must lie to be sent: on the CPU if the group has a backend for it (gloo), else on a GPU.

    Which GPU, torch decides by its current device: `torch.cuda.set_device(local_rank)` is the caller's.
    """
    import torch
    from torch import distributed

    # "cuda:nccl", or "cpu:gloo,cuda:nccl" for several (BackendConfig in distributed_c10d.py)
    kinds = [pair.partition(":")[0] for pair in str(distributed.get_backend_config()).split(",")]
    return torch.device("cpu" if "cpu" in kinds else kinds[0])


@contextmanager
def _peers() -> Iterator[None]:
    """What torch raises when a process of the group is gone, or silent for too long, as our own error."""
    try:
        yield
    except RuntimeError as error:
        raise RankFailedError(None, reason_of(error)) from error


# -- tensors as bytes ----------------------------------------------------------------------------------------


def _order(tensor: Tensor) -> list[int]:
    """Its axes, from the one with the longest steps through memory to the one with the shortest."""
    import torch

    strides = torch.empty_like(tensor, device="meta").stride()  # dense, whatever the tensor's own are
    return sorted(range(tensor.dim()), key=lambda axis: -strides[axis])


def _bytes_of(tensor: Tensor) -> Tensor:
    """(bytes,) uint8, in the order of its axes; a copy only of what does not lie dense."""
    import torch

    return tensor.permute(_order(tensor)).contiguous().reshape(-1).view(torch.uint8)


def _blank(like: Tensor) -> tuple[Tensor, Tensor]:
    """A tensor of its shape, type and layout on the CPU, and its bytes as `_bytes_of` has them, unset."""
    import torch

    order = _order(like)
    dense = torch.empty([like.shape[axis] for axis in order], dtype=like.dtype)
    back = sorted(range(like.dim()), key=order.__getitem__)
    return dense.permute(back), dense.reshape(-1).view(torch.uint8)
