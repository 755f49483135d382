"""A plan is carried out whole or not at all, without copies, and without tying what was not tied."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from zoomgr.adapt.apply_torch import apply
from zoomgr.adapt.plan import Wishes, make_plan
from zoomgr.checkpoint import specs_of
from zoomgr.errors import CannotAdaptStemError, DoesNotFitError, InvalidPlanError
from zoomgr.records import (
    Chain,
    Concat,
    Copy,
    Difference,
    Fresh,
    HeadSelect,
    LoadPlan,
    Move,
    Op,
    Permute,
    Reshape,
    SetAttribute,
    Split,
    StemExpand,
)


def net() -> nn.Sequential:
    """A stem, a norm and a head, all at 7 but for the batch counter."""
    built = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4, 2))
    with torch.no_grad():
        for tensor in built.state_dict().values():
            tensor.fill_(7)
    return built


def state(module: nn.Module) -> dict[str, Tensor]:
    """Other values for each of its tensors."""
    return {
        name: torch.randint(1, 100, tensor.shape).to(tensor.dtype)
        for name, tensor in module.state_dict().items()
    }


def plan_for(tensors: Mapping[str, Tensor], module: nn.Module, **wishes: Any) -> LoadPlan:
    """A plan by name."""
    return make_plan(specs_of(tensors), specs_of(module.state_dict()), what="net", wishes=Wishes(**wishes))


def test_every_tensor_arrives_without_a_copy() -> None:
    """The module holds the checkpoint's own memory, buffers too."""
    module = net()
    tensors = state(module)

    apply(plan_for(tensors, module), module, tensors)

    for name, tensor in module.state_dict().items():
        assert torch.equal(tensors[name], tensor)
        assert tensors[name].data_ptr() == tensor.data_ptr()


def test_parameters_stay_the_objects_that_they_were() -> None:
    """An optimizer made before still trains them; frozen ones stay frozen; modes stay."""
    module = net().eval()
    module[0].requires_grad_(False)
    before = list(module.parameters())
    tensors = state(module)

    apply(plan_for(tensors, module), module, tensors)

    assert all(old is new for old, new in zip(before, module.parameters(), strict=True))
    assert [p.requires_grad for p in module.parameters()] == [False, False, True, True, True, True]
    assert not any(layer.training for layer in module.modules())


def test_values_are_cast_to_the_modules_type() -> None:
    """A half-precision file fills a float32 network."""
    module = net()
    tensors = {name: tensor.half() for name, tensor in state(module).items()}

    apply(plan_for(tensors, module), module, tensors)

    assert torch.float32 == module[0].weight.dtype
    assert torch.int64 == module[1].num_batches_tracked.dtype
    assert torch.equal(tensors["0.weight"].float(), module.get_parameter("0.weight"))


@pytest.mark.parametrize(
    ("op", "sources", "expected"),
    [
        (Copy(), ("a",), torch.arange(6.0).reshape(2, 3)),
        (Reshape((6,)), ("a",), torch.arange(6.0)),
        (Permute((1, 0)), ("a",), torch.arange(6.0).reshape(2, 3).T),
        (Concat(1), ("b", "a"), torch.cat([torch.ones(2, 1), torch.arange(6.0).reshape(2, 3)], dim=1)),
        (Split(1, 2, dim=1), ("a",), torch.tensor([[1.0, 2.0], [4.0, 5.0]])),
        (HeadSelect((1,)), ("a",), torch.tensor([[3.0, 4.0, 5.0]])),
        (Difference(), ("a", "a"), torch.zeros(2, 3)),
        (Chain((Concat(1), Reshape((8,)), Split(3, 2))), ("b", "a"), torch.tensor([2.0, 1.0])),
        (StemExpand(4, "zero"), ("stem",), torch.tensor([[[1.0], [1.0], [1.0], [0.0]]])),
    ],
)
def test_each_operation_does_what_it_says(op: Op, sources: tuple[str, ...], expected: Tensor) -> None:
    """The plan's shapes are checked elsewhere; these are the values."""
    tensors = {"a": torch.arange(6.0).reshape(2, 3), "b": torch.ones(2, 1), "stem": torch.ones(1, 3, 1)}
    tensors = {name: tensors[name] for name in sources}
    module = nn.ParameterDict({"t": nn.Parameter(torch.zeros(expected.shape))})
    plan = LoadPlan(specs_of(tensors), specs_of(module.state_dict()), (Move("t", sources, op),))

    apply(plan, module, tensors)

    assert torch.equal(expected, module.get_parameter("t"))


class Shared(nn.Module):
    """Two layers of one shape; tied if wished."""

    def __init__(self, *, tied: bool) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(2, 2, bias=False), nn.Linear(2, 2, bias=False)
        if tied:
            self.b.weight = self.a.weight


def test_tensors_that_share_memory_in_the_file_are_parted() -> None:
    """Else training one layer would train another: whole, in part, or by an expanded axis."""
    whole = torch.arange(6.0)
    row = torch.ones(1, 2)
    for one, other in ((whole[:4], whole[:4]), (whole[:4], whole[2:]), (row.expand(2, 2), whole[:4])):
        module = Shared(tied=False)
        tensors = {"a.weight": one.reshape(2, 2) if one is not row else one, "b.weight": other.reshape(2, 2)}
        expected = {name: tensor.clone() for name, tensor in tensors.items()}

        apply(plan_for(tensors, module), module, tensors)
        with torch.no_grad():
            module.a.weight[0, 0] = 50

        assert torch.equal(expected["b.weight"], module.b.weight)
        expected["a.weight"][0, 0] = 50
        assert torch.equal(expected["a.weight"], module.a.weight)


def test_tied_parameters_stay_tied() -> None:
    """One parameter under two names gets one memory."""
    module = Shared(tied=True)
    tensors = {"a.weight": torch.ones(2, 2), "b.weight": torch.ones(2, 2)}

    apply(plan_for(tensors, module), module, tensors)

    assert module.a.weight is module.b.weight
    assert torch.equal(torch.ones(2, 2), module.b.weight)


def test_tied_parameters_with_two_values_are_refused() -> None:
    """Whichever came last would win in silence."""
    module = Shared(tied=True)
    before = module.a.weight.detach().clone()
    tensors = {"a.weight": torch.ones(2, 2), "b.weight": torch.zeros(2, 2)}

    with pytest.raises(DoesNotFitError, match="one parameter here"):
        apply(plan_for(tensors, module), module, tensors)

    assert torch.equal(before, module.a.weight)


def test_attributes_are_set() -> None:
    """BatchNorm's eps belongs to the weights."""
    module = net()
    tensors = state(module)
    plain = plan_for(tensors, module)
    plan = LoadPlan(plain.source, plain.target, plain.moves, attributes=(SetAttribute("1", "eps", 1e-3),))

    apply(plan, module, tensors)

    assert module[1].eps == 1e-3


# -- fresh tensors -------------------------------------------------------------------------------------------


class Raw(nn.Module):
    """A token of its own beside a layer, with an initialisation that can be told."""

    def __init__(self) -> None:
        super().__init__()
        self.token = nn.Parameter(torch.full((3,), 5.0))
        self.fc = nn.Linear(2, 3)
        self.norm = nn.BatchNorm1d(3)
        nn.init.constant_(self.fc.bias, 0.25)


def unset_raw() -> Raw:
    """As `skip_init` may leave it: any value, but for buffers."""
    module = Raw()
    for parameter in module.parameters():
        parameter.data.fill_(float("nan"))
    return module


def fail() -> nn.Module:
    """A second build that must not be paid for."""
    raise AssertionError("a second build was made")


def test_a_wholly_fresh_layer_initialises_itself() -> None:
    """A head is reset without building the network twice."""
    module = unset_raw()
    tensors = {name: t for name, t in state(module).items() if not name.startswith("fc")}

    apply(plan_for(tensors, module, head=("fc",)), module, tensors, initialised=fail)

    assert module.fc.weight.isfinite().all()
    assert module.fc.bias.isfinite().all()
    assert torch.equal(tensors["token"], module.token)


@pytest.mark.parametrize("missing", ["token", "fc.bias"])
def test_other_fresh_parameters_come_from_a_second_build(missing: str) -> None:
    """A raw parameter has no layer to reset it, and resetting a half-loaded layer would undo the load."""
    module = unset_raw()
    tensors = {name: tensor for name, tensor in state(module).items() if name != missing}

    apply(plan_for(tensors, module, partial=True), module, tensors, initialised=Raw)

    assert torch.equal(Raw().get_parameter(missing), module.get_parameter(missing))
    assert all(torch.equal(tensors[name], module.state_dict()[name]) for name in tensors)


def test_fresh_buffers_keep_what_the_constructor_computed() -> None:
    """A missing counter starts at zero, missing statistics at those of a new layer."""
    module = unset_raw()
    tensors = {name: t for name, t in state(module).items() if "running" not in name and "num_b" not in name}

    apply(plan_for(tensors, module, partial=True), module, tensors, initialised=fail)

    assert module.norm.num_batches_tracked == 0
    assert torch.equal(torch.ones(3), module.get_buffer("norm.running_var"))


def test_a_users_own_module_keeps_its_values_where_nothing_is_loaded() -> None:
    """load_into resets nothing that the user has made."""
    module = net()
    tensors = {"0.weight": torch.zeros(4, 3, 3, 3)}

    apply(plan_for(tensors, module, partial=True), module, tensors)

    assert torch.equal(torch.full((2, 4), 7.0), module.get_parameter("3.weight"))


# -- faults --------------------------------------------------------------------------------------------------


def _second_build_fails() -> nn.Module:
    raise MemoryError


@pytest.mark.parametrize("fault", ["stem", "lender", "attribute", "other tensors", "other module"])
def test_a_fault_leaves_the_module_unchanged(fault: str) -> None:
    """Half-loaded networks train, and are wrong."""
    module = Raw()
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    tensors = {name: tensor for name, tensor in state(module).items() if name != "token"}
    plan, given = plan_for(tensors, module, partial=True), tensors
    fresh = (Fresh("token", "x"),)
    if fault == "stem":
        moves = (*plan.moves, Move("token", ("stem",), StemExpand(4, "zero")))
        tensors["stem"] = torch.ones(3)
        object.__setattr__(plan, "moves", moves)  # past the plan's own check, which would refuse it
        object.__setattr__(plan, "fresh", ())
    elif fault == "attribute":
        wrong = (SetAttribute("fc", "epsilon", 1.0),)
        plan = LoadPlan(plan.source, plan.target, plan.moves, fresh, attributes=wrong)
    elif fault == "other tensors":
        given = {}
    elif fault == "other module":
        module.fc = nn.Linear(2, 4)
        before = {name: tensor.clone() for name, tensor in module.state_dict().items()}

    with pytest.raises((CannotAdaptStemError, InvalidPlanError, MemoryError)):
        apply(plan, module, given, initialised=_second_build_fails)

    assert all(torch.equal(before[name], tensor) for name, tensor in module.state_dict().items())


class Caching(nn.Module):
    """Computes from its weight once in eval mode, as timm's LeViT does, and forgets on train()."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))
        self.cache: Tensor | None = None

    def train(self, mode: bool = True) -> Caching:
        """As torch's, and forget."""
        super().train(mode)
        if mode:
            self.cache = None
        return self

    def forward(self) -> Tensor:
        """Twice the weight."""
        if self.cache is None:
            self.cache = self.weight.detach() * 2
        return self.cache


def test_what_was_cached_of_old_weights_is_dropped() -> None:
    """A model that was evaluated once must not go on answering from its old weights."""
    module = Caching().eval()
    module()
    tensors = {"weight": torch.full((1,), 5.0)}

    apply(plan_for(tensors, module), module, tensors)

    assert module() == 10
    assert not module.training
