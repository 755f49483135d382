"""Building modules without initialising parameters that a checkpoint overwrites anyway."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from functools import cache
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
    with _mode()():
        yield


@cache
def _mode() -> type[AbstractContextManager[Any]]:
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
            # The name first: it settles most of the thousands of calls, and to ask for a Parameter is slow.
            name = getattr(func, "__name__", "")
            if name in _FILLS:
                filled = args[0] if args else (kwargs or {}).get("tensor")
                if isinstance(filled, nn.Parameter):
                    return filled
            # torch.nn.init leaves meta tensors alone before it samples (trunc_normal_) or factorises
            # (orthogonal_) anything, which the fills above would be too late to stop.
            elif name == "__get__" and func.__self__ is is_meta and isinstance(args[0], nn.Parameter):  # type: ignore[attr-defined] # [a bound method-wrapper]
                return True
            return func(*args, **kwargs) if kwargs else func(*args)

    return _SkipInit
