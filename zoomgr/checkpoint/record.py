"""What a checkpoint file holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoomgr.records import TensorSpec

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, slots=True)
class Contents:
    """What a checkpoint file holds, after wrappers and prefixes were taken off.

    Attributes:
        path: the file.
        format: name of the format that read it, e.g. "torch-zip".
        specs: its tensors, in the file's order.
        metadata: what the format itself keeps (safetensors: texts by key); "beside": keys of what the file
            holds next to the state dict, e.g. ("epoch", "optimizer"); "copies": the other wrappers that hold
            tensors too, of which this one was preferred; "module": class of the pickled module or of the
            TorchScript program that it is; "inert": functions and classes, MODULE.NAME, that the file asks
            for and that were left as names, for they are no part of the tensors.
        wrappers: what was taken off, outermost first, e.g. ("state_dict", "module.").
    """

    path: Path
    format: str
    specs: tuple[TensorSpec, ...]
    metadata: Mapping[str, Any]
    wrappers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Checkpoint(Contents):
    """The same, with the tensors themselves.

    Attributes:
        tensors: by name, in the order of `specs`; detached, on the CPU. They map the file privately where
            the format can, so that it must stay as it is while they live; but not after `mapped=False`.
    """

    tensors: Mapping[str, torch.Tensor] = field(repr=False)


class Saved(dict[Any, Any]):
    """The mapping that a format found in a file, and what it says of it.

    Attributes:
        metadata: as of `Contents`.
    """

    def __init__(self, mapping: Mapping[Any, Any], metadata: Mapping[str, Any]) -> None:
        super().__init__(mapping)
        self.metadata = metadata


def specs_of(tensors: Mapping[str, Any]) -> tuple[TensorSpec, ...]:
    """Name, shape and type of each tensor, e.g. of `module.state_dict()`; what is no tensor is left out."""
    return tuple(
        TensorSpec(name, tuple(tensor.shape), str(tensor.dtype).removeprefix("torch."))
        for name, tensor in tensors.items()
        if hasattr(tensor, "dtype")
    )
