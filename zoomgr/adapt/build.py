"""Building modules without initialising parameters that a checkpoint overwrites anyway."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

_FILLS = frozenset({
    "add_", "bernoulli_", "clamp_", "constant_", "copy_", "div_", "erfinv_", "fill_",
    "kaiming_uniform_", "mul_", "normal_", "random_", "sub_", "uniform_", "zero_",
})  # fmt: skip
"""In-place operations, of tensors and of `torch.nn.init`, that only give a parameter values."""


@contextmanager
def skip_init() -> Iterator[None]:
    """Leave the parameters of every module built inside uninitialised; all else is computed as ever.

    Only in-place fills of `nn.Parameter`s are skipped: buffers, attributes, and tensors on their way to
    becoming a parameter keep their values, and so does a model whose constructor computes an index table
    (Swin), which a build on the meta device would lose. Parameters must be assigned or reset afterwards.
    Holds for the calling thread only.
    """
    import torch
    from torch import nn
    from torch.overrides import TorchFunctionMode

    is_meta = torch.Tensor.is_meta

    class _SkipInit(TorchFunctionMode):
        def __torch_function__(
            self,
            func: Callable[..., Any],
            types: Any,
            args: tuple[Any, ...] = (),
            kwargs: Mapping[str, Any] | None = None,
        ) -> Any:
            filled = args[0] if args else (kwargs or {}).get("tensor")
            if isinstance(filled, nn.Parameter):
                if getattr(func, "__name__", "") in _FILLS:
                    return filled
                # torch.nn.init leaves meta tensors alone before it samples (trunc_normal_) or factorises
                # (orthogonal_) anything, which the fills above would be too late to stop.
                if getattr(func, "__self__", None) is is_meta:
                    return True
            return func(*args, **(kwargs or {}))

    with _SkipInit():
        yield
