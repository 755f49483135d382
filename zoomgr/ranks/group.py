"""The processes of torch's default process group: rank 0 finds and reads the weights, and sends them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from zoomgr.errors import InvalidSettingError, RankFailedError
from zoomgr.ranks import messages
from zoomgr.ranks.parcels import Line
from zoomgr.ranks.roles import Cards, Named, Read

if TYPE_CHECKING:
    from torch import Tensor, nn

    from zoomgr.checkpoint import Checkpoint

T = TypeVar("T")

_FAILED, _DONE = b"-", b"+"


class Together:
    """The ranks of the default process group, which do one load; see `Ranks`.

    What fails on rank 0, in what it does for all or in its own part, is raised on every rank. What fails on
    another rank in its own part is raised there, and as `RankFailedError` on the others: it goes on listening
    until all have heard of it.
    A process that is gone is noticed by gloo at once, and else when the group's timeout is over.

    Raises:
        InvalidSettingError: there is no process group.
    """

    def __init__(self) -> None:
        from torch import distributed

        if not (distributed.is_available() and distributed.is_initialized()):
            problem = "there is no torch.distributed process group"
            remedy = "call torch.distributed.init_process_group first, under torchrun; or leave broadcast out"
            raise InvalidSettingError("broadcast", "True", problem, remedy)
        self._line = Line()

    def cards(self, resolve: Callable[[], Cards]) -> Cards:
        """See `Ranks`; only rank 0 resolves."""
        return messages.read_cards(self._from_rank_zero(lambda: messages.dump_cards(resolve())))

    def checkpoint(self, read: Callable[[], Read]) -> Read:
        """See `Ranks`; only rank 0 reads, the others get names, shapes, layouts and types."""
        own: list[Read] = []

        def said() -> bytes:
            checkpoint, digest = read()
            own.append((replace(checkpoint, tensors=_as_one(checkpoint.tensors)), digest))
            return messages.dump_contents(*own[0])

        content = self._from_rank_zero(said)
        return own[0] if own else messages.read_contents(content)

    def arrived(self, checkpoint: Checkpoint) -> Checkpoint:
        """See `Ranks`; names of one tensor on rank 0 are names of one tensor here."""
        return replace(checkpoint, tensors=dict(self._line.arriving(checkpoint.tensors)))

    def each(self, checkpoint: Checkpoint, work: Callable[[Named], T]) -> T:
        """See `Ranks`; what `work` leaves, as it failed or needs no more, is listened to all the same."""
        stream = self._line.arriving(checkpoint.tensors)
        try:
            return work(stream)
        finally:
            for _ in stream:  # the other ranks still send and receive
                pass

    def agreed(self, work: Callable[[], T], same: Callable[[T], object] | None = None) -> T:
        """See `Ranks`.

        Raises:
            ZoomgrError: rank 0 failed.
            RankFailedError: another rank failed, or has another result than rank 0.
        """
        try:
            done = work()
            mark = hashlib.sha256(repr(same(done) if same else None).encode()).digest()[:7]
        except RankFailedError:  # the group is broken: nobody can be told
            raise
        except BaseException as error:
            self._compare(0, messages.dump_error(error))
            raise
        self._compare(int.from_bytes(mark), b"")
        return done

    def equalise(self, module: nn.Module, names: Iterable[str]) -> None:
        """See `Ranks`; what rank 0 has goes to the others."""
        state = module.state_dict()
        for name, value in self._line.arriving({name: state[name] for name in names}):
            if value is not state[name]:
                state[name].copy_(value)

    def _from_rank_zero(self, work: Callable[[], bytes]) -> bytes:
        """What `work` gives on rank 0, where alone it is called; its error is raised on every rank."""
        if self._line.rank:
            content = self._line.broadcast()
            if content.startswith(_FAILED):
                raise messages.read_error(content[1:], 0)
            return content[1:]
        try:
            content = work()
        except BaseException as error:
            self._line.broadcast(_FAILED + messages.dump_error(error))
            raise
        self._line.broadcast(_DONE + content)
        return content

    def _compare(self, mark: int, problem: bytes) -> None:
        """Tell all ranks how it went here, and raise when it went wrong elsewhere, or had another result."""
        told = self._line.gathered(int(bool(problem)), mark)
        failed = [rank for rank, (has_failed, _) in enumerate(told) if has_failed]
        if failed:
            told_by_it = self._line.broadcast(problem, source=failed[0])
            if not problem:
                raise messages.read_error(told_by_it, failed[0])
            return
        others = [rank for rank, (_, its) in enumerate(told) if its != told[0][1]]
        if others:
            raise RankFailedError(others[0], "it was asked for another network than rank 0")


def _as_one(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same tensors, with one object for all names of one memory and layout: it is sent once."""
    first: dict[object, Tensor] = {}
    return {
        name: first.setdefault(
            (one.data_ptr(), one.shape, one.stride(), one.dtype) if one.numel() else name, one
        )
        for name, one in tensors.items()
    }
