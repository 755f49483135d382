"""Networks thaw in the order that was planned, also after a resume."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
import torchvision
from data import small_nets as nets
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm

from zoomgr import tune
from zoomgr.errors import UnknownPartError


def _resnet() -> nn.Module:
    with torch.device("meta"):
        model: nn.Module = torchvision.models.resnet18()
    return model


def _trains(model: nn.Module) -> set[str]:
    return {name for name, value in model.named_parameters() if value.requires_grad}


def _chain() -> nn.Sequential:
    """Three stages, of which the first has a norm."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Linear(2, 3), nn.BatchNorm1d(3), nn.ReLU(), nn.Linear(3, 3), nn.ReLU(), nn.Linear(3, 2)
    )


@pytest.mark.parametrize("top_down", [True, False])
def test_stages_thaw_one_by_one(top_down: bool) -> None:
    """From the head down or from the stem up; the head is left as it is where that is said."""
    model = _resnet()
    order = ["layer4", "layer3", "layer2", "layer1", "conv1"]
    unfreezer = tune.Unfreezer(model, except_="fc", top_down=top_down)

    assert _trains(model) == {"fc.weight", "fc.bias"}
    thawed = [unfreezer.step() for _ in range(6)]

    assert thawed == [*(order if top_down else order[::-1]), None]
    assert unfreezer.frozen == ()
    assert not tune.frozen(model).parameters
    assert not tune.frozen(model).held


def test_a_part_of_a_chain_thaws_layer_by_layer() -> None:
    """Only what was meant is frozen and thaws, with the statistics of its norm."""
    model = _chain()
    unfreezer = tune.Unfreezer(model, "[:4]", by="layer")

    assert unfreezer.frozen == ("3", "0")
    unfreezer.step()

    assert _trains(model) == {"3.weight", "3.bias", "5.weight", "5.bias"}
    assert tune.frozen(model).held == ("1",)


def test_a_parametrised_layer_is_called_by_its_path() -> None:
    """With a bias of its own or without."""
    model = nn.Sequential(nn.Conv2d(3, 4, 3, bias=False), nn.ReLU(), nn.Conv2d(4, 2, 3))
    for layer in (model[0], model[2]):
        spectral_norm(layer)

    cut = tune.stages(model, "layer")

    assert [(stage.name, len(stage.parameters)) for stage in cut] == [("0", 1), ("2", 2)]


def test_a_resumed_unfreezer_is_where_it_was() -> None:
    """The frozen set is that of the run that went on; a state of other stages is refused."""
    model, other = _resnet(), _resnet()
    unfreezer, resumed = tune.Unfreezer(model), tune.Unfreezer(other)
    unfreezer.step()
    unfreezer.step()

    resumed.load_state_dict(copy.deepcopy(unfreezer.state_dict()))

    assert tune.frozen(other) == tune.frozen(model)
    assert resumed.step() == unfreezer.step() == "layer3"
    with pytest.raises(UnknownPartError):
        tune.Unfreezer(_chain()).load_state_dict(unfreezer.state_dict())


def test_a_plan_begins_with_what_is_fresh_and_goes_down() -> None:
    """Fresh tensors fast and first, then stages whose rates fall, all of them by half of the epochs."""
    plan = tune.finetune_plan(
        _resnet(), ["fc.weight", "fc.bias", "conv1.weight"], epochs=12, lr=1e-3, layer_decay=0.5
    )

    assert [(one.name, one.start, one.lr) for one in plan.planned] == [
        ("fresh", 0, 1e-2),
        ("layer4", 1, 1e-3),
        ("layer3", 2, 5e-4),
        ("layer2", 3, 2.5e-4),
        ("layer1", 4, 1.25e-4),
        ("conv1", 6, 6.25e-5),
    ]
    assert plan.planned[0].parameters == ("conv1.weight", "fc.weight", "fc.bias")
    held = [name for one in plan.planned for name in one.parameters]
    assert sorted(held) == sorted(name for name, _ in _resnet().named_parameters())


@pytest.mark.parametrize("epochs", [1, 2, 3, 7])
def test_everything_trains_at_last(epochs: int) -> None:
    """However short the run is."""
    model = _resnet()
    plan = tune.finetune_plan(model, ["fc.weight"], epochs=epochs, lr=0.1)

    assert plan.at(epochs - 1) == plan.planned


def test_a_plan_is_a_function_of_the_epoch() -> None:
    """A network that jumps to an epoch has the frozen set of one that went through all before."""
    through, jumped = _resnet(), _resnet()
    plan = tune.finetune_plan(through, ["fc.weight", "fc.bias"], epochs=8, lr=0.1)

    for epoch in range(3):
        plan.apply(through, epoch)
    plan.apply(jumped, 7)
    plan.apply(jumped, 2)

    assert tune.frozen(jumped) == tune.frozen(through)
    assert "layer1.0.conv1.weight" in tune.frozen(jumped).parameters


def test_without_a_report_the_head_is_the_fast_one() -> None:
    """It is found by a trace; what was frozen before is not planned."""
    model = nets.Plain()
    tune.freeze(model, "stem")

    plan = tune.finetune_plan(model, epochs=4, lr=0.1)

    assert (plan.planned[0].name, plan.planned[0].parameters) == ("fresh", ("fc.weight", "fc.bias"))
    assert not any(name.startswith("stem") for one in plan.planned for name in one.parameters)


def _run(model: nn.Module, plan: tune.FinetunePlan, optimizer: Any, epochs: range, scheduler: Any) -> None:
    for epoch in epochs:
        plan.apply(model, epoch, optimizer)
        model.train()
        torch.manual_seed(epoch)
        optimizer.zero_grad()
        model(torch.rand(8, 2)).square().mean().backward()
        optimizer.step()
        if scheduler:
            scheduler.step()


@pytest.mark.parametrize("kind", [torch.optim.SGD, torch.optim.AdamW])
def test_a_live_optimizer_grows_and_a_resume_ends_the_same(kind: Any) -> None:
    """Groups enter once with their rates; a run that is resumed between gives the very same weights."""
    options = {"momentum": 0.9} if kind is torch.optim.SGD else {}
    fresh = ["5.weight", "5.bias"]
    whole = _chain()
    plan = tune.finetune_plan(whole, fresh, epochs=6, lr=0.01)
    optimizer = kind(plan.groups(whole, 0), **options)
    _run(whole, plan, optimizer, range(3), None)
    saved = copy.deepcopy((whole.state_dict(), optimizer.state_dict()))
    _run(whole, plan, optimizer, range(3, 6), None)

    resumed = _chain()
    plan = tune.finetune_plan(resumed, fresh, epochs=6, lr=0.01)
    again = kind(plan.groups(resumed, 2), **options)
    resumed.load_state_dict(saved[0])
    again.load_state_dict(saved[1])
    _run(resumed, plan, again, range(3, 6), None)

    held = [id(value) for group in optimizer.param_groups for value in group["params"]]
    assert len(held) == len(set(held)) == len(list(whole.parameters()))
    assert [group["lr"] for group in optimizer.param_groups] == [one.lr for one in plan.planned]
    for name, value in whole.state_dict().items():
        assert torch.equal(resumed.state_dict()[name], value), name


def test_a_scheduler_has_all_groups_from_the_start() -> None:
    """Its rates stay when a stage thaws, and what has not thawed does not move."""
    model = _chain()
    before = copy.deepcopy(model.state_dict())
    plan = tune.finetune_plan(model, ["5.weight", "5.bias"], epochs=8, lr=0.1)
    optimizer = torch.optim.SGD(plan.groups(model), momentum=0.9, weight_decay=0.1)
    scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.5)

    _run(model, plan, optimizer, range(2), scheduler)

    assert [group["lr"] for group in optimizer.param_groups] == pytest.approx(
        [one.lr / 4 for one in plan.planned]
    )
    moved = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    assert moved == {"3.weight", "3.bias", "5.weight", "5.bias"}
