"""One pair, tried: random weights into a network full of noise, and the answers of both compared.

Every parameter and buffer is random, also those that start as zeros or ones. Running statistics are such as
the network's own activations nearly have: with others, deep networks say the same of every picture, and
then no answer would tell a wrong weight.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from mapping_networks import Pair
from mapping_ways import Tensors, Way
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from zoomgr.adapt.apply_torch import drop_cached
from zoomgr.adapt.build import skip_init
from zoomgr.checkpoint.unwrap import unwrap
from zoomgr.errors import ZoomgrError

_NEAR = 1e-4  # of the largest output; the order of sums differs between libraries
_PREFIXES = ("module.", "_orig_mod.", "model.", "backbone.", "net.", "module._orig_mod.")
_PICTURES = 4
_COMPUTED = "relative_coords_table"
"""A buffer that every constructor computes alike, and no training changes."""

ORDERS = ("registered", "sorted", "shuffled")


class BlindPairError(Exception):
    """The source says nearly the same of all pictures, so that its answers prove nothing."""


# -- what files look like ------------------------------------------------------------------------------------


def variants(state: Tensors) -> Iterator[tuple[str, Tensors]]:
    """The same tensors under the names, and in the order, that a file may have."""
    names = list(state)
    yield "registered", _read(state)
    yield "sorted", _read({name: state[name] for name in sorted(names)})
    random.Random(0).shuffle(names)  # noqa: S311 [an order, no secret]
    yield "shuffled", _read({name: state[name] for name in names})
    for wrapper, content in _wrapped(state):
        yield wrapper, _read(content)


def _read(content: Mapping[str, Any]) -> Tensors:
    return unwrap(content, lambda value: isinstance(value, Tensor)).tensors


def _wrapped(state: Tensors) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for prefix in _PREFIXES:
        yield prefix, _below(prefix, state)
    other = {name: value * 1.5 if value.is_floating_point() else value for name, value in state.items()}
    queue = {"module.queue": torch.randn(8, 16), "module.queue_ptr": torch.zeros(1)}
    query = {**_below("module.encoder_q.", state), **_below("module.encoder_k.", other), **queue}
    yield "encoder_q, encoder_k", {"epoch": 7, "arch": "net", "state_dict": query}
    yield "student, teacher", {"student": _below("module.", other), "teacher": state}
    yield "student. and teacher.", {**_below("student.", other), **_below("teacher.", state)}
    yield "state_dict", {"epoch": 3, "state_dict": _below("module.", state)}
    yield "averaged", {"state_dict": other, "state_dict_ema": state}
    yield "swa", {"n_averaged": torch.tensor(3), **_below("module.", state)}
    lightning = {**_below("model.", state), "criterion.weight": torch.randn(7)}
    yield "Lightning", {"state_dict": lightning, "hyper_parameters": {"lr": 0.1}, "optimizer_states": []}


def _below(prefix: str, state: Tensors) -> dict[str, Tensor]:
    return {prefix + name: value for name, value in state.items()}


# -- random weights ------------------------------------------------------------------------------------------


def randomised(model: nn.Module, seed: int) -> nn.Module:
    """Every parameter and buffer random, of a size that keeps activations what they are; in eval mode."""
    chance = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, value in model.state_dict(keep_vars=True).items():
            if value.is_floating_point() and not name.endswith(_COMPUTED):
                value.data.copy_(_random(name, value, chance))
    return model.eval()


def _random(name: str, value: Tensor, chance: torch.Generator) -> Tensor:
    if "var" in name.rpartition(".")[2]:
        return torch.rand(value.shape, generator=chance) + 0.5
    noise = torch.randn(value.shape, generator=chance)
    if value.dim() > 1:
        return noise * math.sqrt(2 / max(1, value.numel() // value.shape[0]))
    offset = 1.0 if name.endswith("weight") else 0.0
    return noise * 0.3 + offset


def settle(model: nn.Module, pictures: Tensor) -> None:
    """Let running statistics be nearly those of these pictures, layer by layer on the way through."""
    norms = [layer for layer in model.modules() if isinstance(layer, _BatchNorm)]
    hooks = [layer.register_forward_pre_hook(_settle) for layer in norms if layer.running_var is not None]
    answer(model, pictures)
    for hook in hooks:
        hook.remove()


def _settle(layer: nn.Module, given: tuple[Tensor, ...]) -> None:
    running_mean, running_var = layer.get_buffer("running_mean"), layer.get_buffer("running_var")
    axes = [axis for axis in range(given[0].dim()) if axis != 1]
    var, mean = torch.var_mean(given[0], axes, correction=0)
    running_var.copy_(var.clamp(min=0.1) * (torch.rand_like(var) + 0.5))
    running_mean.copy_(mean + torch.randn_like(mean) * var.sqrt() * 0.2)


def answer(model: nn.Module, pictures: Tensor) -> Tensor:
    """What a network says, whatever it wraps it in."""
    with torch.no_grad():
        said = model(pictures)
    for name in ("image_embeds", "logits", "pooler_output", "last_hidden_state"):
        if getattr(said, name, None) is not None:
            said = getattr(said, name)
            break
    first: Tensor = said[0] if isinstance(said, tuple | list) else said
    return first.flatten(1)


# -- the trial -----------------------------------------------------------------------------------------------


class Trial:
    """A pair that is built once, and filled by each way from each variant.

    Attributes:
        state: the source's tensors by name.
        seconds: what each way took, each time.

    Raises:
        ImportError: a library is not installed.
        BlindPairError: answers do not depend on pictures.
    """

    def __init__(self, pair: Pair) -> None:
        self.pair = pair
        torch.manual_seed(0)
        with skip_init():
            self._source, self._target = pair.source(), pair.target()
        randomised(self._source, 0)
        randomised(self._target, 1)
        self._pictures = torch.randn(_PICTURES, 3, pair.size, pair.size)
        settle(self._source, self._pictures)
        self._expected = answer(self._source, self._pictures)
        if (self._expected - self._expected[:1]).abs().max() < 0.02 * self._expected.abs().max():
            raise BlindPairError(pair.name)
        self._noise = {name: value.clone() for name, value in self._target.state_dict().items()}
        self._changed: set[str] = set()
        self._known: dict[frozenset[Any], str] = {}
        self.state: Tensors = self._source.state_dict()
        self.seconds: list[float] = []

    def result(self, way: Way, tensors: Tensors) -> str:
        """Exact, refused or wrong."""
        began = time.perf_counter()
        try:
            filled = way(tensors, self._noise)
        except ZoomgrError:
            return "refused"
        finally:
            self.seconds.append(time.perf_counter() - began)
        if not filled:
            return "refused"
        marks = frozenset((name, _mark(value)) for name, value in filled.items())
        if marks not in self._known:
            self._known[marks] = "exact" if self._is_expected(self._answer_with(filled)) else "wrong"
        return self._known[marks]

    def _answer_with(self, filled: Tensors) -> Tensor:
        """What the target says with these values, and with noise wherever there is none."""
        own = self._target.state_dict()
        for name in self._changed - filled.keys():
            own[name].copy_(self._noise[name])
        for name, value in filled.items():
            own[name].copy_(value)
        self._changed = set(filled)
        drop_cached(self._target)
        return answer(self._target, self._pictures)

    def _is_expected(self, said: Tensor) -> bool:
        return said.shape == self._expected.shape and bool(
            (said - self._expected).abs().max() <= _NEAR * self._expected.abs().max()
        )


def _mark(value: Tensor) -> tuple[Any, ...]:
    """The same for the same values, under whatever name and wherever they lie: all are random."""
    flat = value.reshape(-1)
    return (tuple(value.shape), *flat[:: len(flat) // 50 + 1].tolist())
