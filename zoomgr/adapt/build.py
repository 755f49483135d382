"""Building modules without initialising parameters that a checkpoint overwrites anyway."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any

_FILLS = (
    "add_", "bernoulli_", "clamp_", "copy_", "div_", "erfinv_", "exponential_", "fill_", "mul_", "normal_",
    "random_", "sub_", "uniform_", "zero_",
)  # fmt: skip
"""In-place operations of tensors that only give a parameter values."""

_INITS = (
    "constant_", "dirac_", "eye_", "kaiming_normal_", "kaiming_uniform_", "normal_", "ones_", "orthogonal_",
    "sparse_", "trunc_normal_", "uniform_", "xavier_normal_", "xavier_uniform_", "zeros_",
)  # fmt: skip
"""Functions of `torch.nn.init` that do the same, after they have computed fans and gains for nothing."""

_building = threading.local()
_patching = threading.Lock()
_builders = 0


@contextmanager
def skip_init() -> Iterator[None]:
    """Leave the parameters of every module built inside uninitialised; all else is computed as ever.

    Only in-place fills of `nn.Parameter`s are skipped: buffers, attributes, and tensors on their way to
    becoming a parameter keep their values, and so does a model whose constructor computes an index table
    (Swin), which a build on the meta device would lose. Parameters must be assigned or reset afterwards.
    Holds for the calling thread only.
    """
    was_skipping = getattr(_building, "is_skipping", False)
    _enter()
    _building.is_skipping = True
    try:
        yield
    finally:
        _building.is_skipping = was_skipping
        _leave()


def _enter() -> None:
    """Have parameters ask before they are filled, as long as anybody builds.

    A torch function mode would do the same for the calling thread alone, and be asked for each of the
    thousands of calls that have nothing to do with parameters: a third of the time of a build (measured).
    """
    global _builders  # noqa: PLW0603 [how many threads are building now]
    from torch import nn

    with _patching:
        _builders += 1
        if _builders == 1:
            for name in _INITS:
                setattr(nn.init, name, _asking(getattr(nn.init, name)))
            for name in _FILLS:
                setattr(nn.Parameter, name, _asking(getattr(nn.Parameter, name)))
            setattr(nn.Parameter, "is_meta", property(_is_meta))  # noqa: B010 [to a type checker it is a bool]


def _leave() -> None:
    global _builders  # noqa: PLW0603 [as above]
    from torch import nn

    with _patching:
        _builders -= 1
        if _builders == 0:
            for name in _INITS:
                setattr(nn.init, name, getattr(nn.init, name).__wrapped__)
            for name in (*_FILLS, "is_meta"):
                delattr(nn.Parameter, name)


def _asking(fill: Callable[..., Any]) -> Callable[..., Any]:
    from torch import nn

    @wraps(fill)
    def filled(tensor: Any, *args: Any, **kwargs: Any) -> Any:
        is_skipped = getattr(_building, "is_skipping", False) and isinstance(tensor, nn.Parameter)
        return tensor if is_skipped else fill(tensor, *args, **kwargs)

    return filled


def _is_meta(self: Any) -> Any:
    """torch.nn.init leaves meta tensors alone before it samples or factorises (orthogonal_) anything."""
    return getattr(_building, "is_skipping", False) or self.device.type == "meta"
