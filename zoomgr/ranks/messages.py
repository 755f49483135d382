"""What ranks tell each other, as JSON: cards, what a checkpoint holds, errors. Nothing is unpickled."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoomgr.cards import dump_card, read_card
from zoomgr.errors import InvalidSettingError, RankFailedError, ZoomgrError, reason_of
from zoomgr.records import Digest, ModelCard

if TYPE_CHECKING:
    from torch import Tensor

    from zoomgr.checkpoint import Checkpoint


def dump_cards(cards: tuple[ModelCard, ...]) -> bytes:
    """The JSON of cards."""
    return json.dumps([dump_card(card).decode() for card in cards]).encode()


def read_cards(content: bytes) -> tuple[ModelCard, ...]:
    """What `dump_cards` wrote."""
    return tuple(read_card(text.encode()) for text in json.loads(content))


# -- what a checkpoint holds ---------------------------------------------------------------------------------


def dump_contents(checkpoint: Checkpoint, digest: Digest | None) -> bytes:
    """All of a checkpoint but its values.

    Raises:
        InvalidSettingError: a tensor is quantized, and so more than its values.
    """
    for name, tensor in checkpoint.tensors.items():
        if tensor.is_quantized:
            problem = f"{name} of {checkpoint.path.name} is quantized, and only plain tensors are sent"
            raise InvalidSettingError("broadcast", "True", problem, "load it without broadcast")
    first: dict[int, int] = {}
    known = {
        "path": str(checkpoint.path),
        "format": checkpoint.format,
        "tensors": [
            [name, first.setdefault(id(tensor), number), *_layout(tensor)]
            for number, (name, tensor) in enumerate(checkpoint.tensors.items())
        ],
        "metadata": dict(checkpoint.metadata),
        "wrappers": checkpoint.wrappers,
        "digest": digest.hex if digest else "",
    }
    return json.dumps(known).encode()


def read_contents(content: bytes) -> tuple[Checkpoint, Digest | None]:
    """What `dump_contents` wrote; the tensors are on the meta device, those that were one object are one."""
    import torch

    from zoomgr.checkpoint import Checkpoint, specs_of

    known = json.loads(content)
    made: list[Tensor] = []
    for number, (_, first, shape, stride, dtype) in enumerate(known["tensors"]):
        blank = torch.empty_strided(shape, stride, dtype=getattr(torch, dtype), device="meta")
        made.append(made[first] if first < number else blank)
    tensors = {name: tensor for (name, *_), tensor in zip(known["tensors"], made, strict=True)}
    checkpoint = Checkpoint(
        Path(known["path"]),
        known["format"],
        specs_of(tensors),
        _tupled(known["metadata"]),
        tuple(known["wrappers"]),
        tensors,
    )
    return checkpoint, Digest(known["digest"]) if known["digest"] else None


def _layout(tensor: Tensor) -> tuple[tuple[int, ...], tuple[int, ...], str]:
    """Shape, strides without gaps or overlaps, and type."""
    import torch

    dense = torch.empty_like(tensor, device="meta")
    return tuple(dense.shape), tuple(dense.stride()), str(dense.dtype).removeprefix("torch.")


# -- errors --------------------------------------------------------------------------------------------------


def dump_error(error: BaseException) -> bytes:
    """An error by its class and fields; by its text where those are not JSON's, or it is not ours."""
    known: dict[str, Any] = {"text": _in_a_line(error)}
    if isinstance(error, ZoomgrError):
        fields = [getattr(error, name) for name in error.field_names]
        try:
            return json.dumps({**known, "class": _name(type(error)), "fields": fields}).encode()
        except (TypeError, ValueError):  # a plugin's, with a field of its own kind
            pass
    return json.dumps(known).encode()


def read_error(content: bytes, rank: int) -> ZoomgrError:
    """The error that a rank raised: itself if it was rank 0, which reads for all; else that the rank failed.

    That it failed is all, too, of an error that is not ours, or not known to this process.
    """
    known = json.loads(content)
    kind = next((one for one in _kinds(ZoomgrError) if _name(one) == known.get("class")), None)
    if rank or not kind:
        return RankFailedError(rank, known["text"])
    error = kind(*_tupled(known["fields"]))
    error.add_note("on rank 0, which finds and reads the weights for all ranks")
    return error


def _in_a_line(error: BaseException) -> str:
    return f"{error.code}: {error.headline()}" if isinstance(error, ZoomgrError) else reason_of(error)


def _name(kind: type[ZoomgrError]) -> str:
    return f"{kind.__module__}:{kind.__qualname__}"


def _kinds(kind: type[ZoomgrError]) -> Iterator[type[ZoomgrError]]:
    yield kind
    for child in kind.__subclasses__():
        yield from _kinds(child)


def _tupled(value: Any) -> Any:
    """A value of JSON with tuples, as records and errors have them, for its lists."""
    if isinstance(value, dict):
        return {key: _tupled(item) for key, item in value.items()}
    return tuple(map(_tupled, value)) if isinstance(value, list) else value
