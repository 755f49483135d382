"""Building without initialising skips the values of parameters, and nothing else."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
import torch
from torch import nn

from zoomgr.adapt.build import skip_init


def _by_fills(weight: nn.Parameter) -> None:
    nn.init.normal_(weight)
    weight.data.mul_(1)
    with torch.no_grad():
        weight.uniform_(-1, 1).mul_(2).add_(1).clamp_(0, 1)


@pytest.mark.parametrize(
    "initialise",
    [
        nn.init.kaiming_uniform_,
        nn.init.kaiming_normal_,
        nn.init.xavier_uniform_,
        nn.init.trunc_normal_,
        nn.init.orthogonal_,
        nn.init.zeros_,
        lambda weight: nn.init.constant_(tensor=weight, val=3.0),
        _by_fills,
    ],
)
def test_a_parameter_keeps_whatever_its_memory_held(initialise: Callable[[nn.Parameter], object]) -> None:
    """Filling it would be most of the time that building takes; nothing is drawn for it either."""
    weight = nn.Parameter(torch.full((4, 6), 7.0))
    random = torch.get_rng_state()

    with skip_init():
        initialise(weight)

    assert torch.equal(torch.full((4, 6), 7.0), weight.detach())
    assert not weight.is_meta
    if initialise is not _by_fills:
        assert torch.equal(random, torch.get_rng_state())


class Net(nn.Module):
    """Computes a buffer and an attribute, and makes a parameter of a computed tensor."""

    table: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("table", torch.empty(4).fill_(2).cumsum(0).mul_(3))
        self.register_buffer("hidden", torch.eye(3), persistent=False)
        self.register_buffer("filled", nn.init.constant_(torch.empty(2), 5.0))
        self.norm = nn.BatchNorm2d(4)
        self.rates = [rate.item() for rate in torch.linspace(0, 1, 3)]
        self.scale = nn.Parameter(torch.ones(4) * 0.1)


def test_buffers_and_computed_tensors_are_right() -> None:
    """A build on the meta device would lose them."""
    with skip_init():
        built = Net()

    plain = Net()
    assert all(torch.equal(plain.get_buffer(name), buffer) for name, buffer in built.named_buffers())
    assert plain.rates == built.rates
    assert torch.equal(plain.scale, built.scale)


def test_only_the_building_thread_is_concerned() -> None:
    """A server may train one model while it builds another."""
    weights: list[torch.Tensor] = []
    other = threading.Thread(
        target=lambda: weights.append(nn.init.constant_(nn.Parameter(torch.empty(3)), 5.0).detach())
    )

    with skip_init():
        other.start()
        other.join()

    assert torch.equal(torch.full((3,), 5.0), weights[0])


def test_initialising_works_again_afterwards_and_after_an_error() -> None:
    """The mode must not outlive the build."""

    def fail() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), skip_init():
        fail()

    assert torch.equal(torch.ones(3), nn.init.ones_(nn.Parameter(torch.zeros(3))).detach())


def test_two_builds_at_once_leave_parameters_as_torch_has_them() -> None:
    """Also when the first one to begin is the first to end."""
    begun, ended = threading.Event(), threading.Event()

    def build() -> None:
        with skip_init():
            begun.set()
            ended.wait(10)

    before = dict(vars(nn.Parameter)), dict(vars(nn.init))
    other = threading.Thread(target=build)
    with skip_init():
        other.start()
        assert begun.wait(10)
    filled = nn.init.ones_(nn.Parameter(torch.zeros(2))).detach()
    ended.set()
    other.join()

    assert torch.equal(filled, torch.ones(2))
    assert (dict(vars(nn.Parameter)), dict(vars(nn.init))) == before
