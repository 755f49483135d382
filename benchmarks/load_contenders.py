"""Ways to get one model with its weights: the library's own, the bare floor, and zoomgr.

torch and the libraries are imported inside the functions: benchmarks/load_processes.py measures what a first
call costs in a process that has imported only one of them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from load_weights import Weights
    from torch import Tensor, nn

_OLD_NAME = re.compile(r"(.*denselayer\d+\.(?:norm|conv))\.([12]\..*)")


def by_library(weights: Weights) -> nn.Module:
    """As the library's users do it: built with random values, file read, values copied over."""
    model: nn.Module
    if weights.zoo == "torchvision":
        import torchvision

        model = torchvision.models.get_model(weights.name, weights="DEFAULT")
    else:
        import timm

        # custom_load: how an .npz file is read, which some names of timm have besides the one on the hub
        file = {"file": str(weights.path), "custom_load": False}
        model = timm.create_model(weights.name, pretrained=True, pretrained_cfg_overlay=file)
    return model


def by_floor(weights: Weights) -> nn.Module:
    """The least that the same parts allow: nothing initialised, the file mapped, tensors assigned by name.

    Nothing is resolved, proven, planned or accounted for.
    """
    import torch

    model: nn.Module
    state: dict[str, Tensor]
    with without_initialisation():
        model = built(weights)
    if weights.zoo == "torchvision":
        state = torch.load(weights.path, mmap=True, weights_only=True)
    else:
        from safetensors.torch import load_file

        state = load_file(weights.path)
    if weights.name.startswith("densenet"):
        state = {_OLD_NAME.sub(r"\1\2", key): value for key, value in state.items()}
    model.load_state_dict(state, assign=True)
    return model


def by_zoomgr(weights: Weights) -> nn.Module:
    """A cached hit, proven by its memo."""
    import zoomgr

    return zoomgr.load(weights.ref)


CONTENDERS: Mapping[str, Callable[[Weights], nn.Module]] = {
    "library": by_library,
    "floor": by_floor,
    "zoomgr": by_zoomgr,
}


def built(weights: Weights) -> nn.Module:
    """The architecture alone."""
    model: nn.Module
    if weights.zoo == "torchvision":
        import torchvision

        model = torchvision.models.get_model(weights.name)
    else:
        import timm

        model = timm.create_model(weights.name)
    return model


@contextmanager
def without_initialisation() -> Iterator[None]:
    """Let in-place operations on parameters do nothing while modules are built.

    Written anew rather than taken from zoomgr, so that the floor stays where it is when zoomgr changes.
    """
    import torch
    from torch import nn
    from torch.overrides import TorchFunctionMode

    asks_for_meta = torch.Tensor.is_meta

    class WithoutInitialisation(TorchFunctionMode):
        def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            filled = args[0] if args else (kwargs or {}).get("tensor")  # torch.nn.init names it
            if isinstance(filled, nn.Parameter):
                name = getattr(func, "__name__", "")
                if name.endswith("_") and not name.endswith("__") and name != "requires_grad_":
                    return filled
                if getattr(func, "__self__", None) is asks_for_meta:
                    return True  # torch.nn.init samples nothing for a tensor on the meta device
            return func(*args, **(kwargs or {}))

    with WithoutInitialisation():
        yield


def answer(model: nn.Module) -> Tensor:
    """Logits in eval mode for two fixed pictures, (2, num_classes); docs/loading.md says why not for one."""
    import torch

    pictures = torch.randn(2, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        logits: Tensor = model.eval()(pictures)
    return logits


def is_bit_equal(reference: Tensor, other: Tensor) -> bool:
    """Whether two outputs are equal to the bit, and mean something: finite, and not all one value."""
    import torch

    says_something = bool(reference.isfinite().all()) and reference.unique().numel() > 1
    return says_something and torch.equal(reference, other)
