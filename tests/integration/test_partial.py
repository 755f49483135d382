"""A part of a checkpoint, or into a larger network: what fits is loaded, and the rest is said."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torchvision
from safetensors.torch import load_file
from torch import nn

from zoomgr.adapt.plan import make_plan
from zoomgr.adapt.wishes import Wishes
from zoomgr.checkpoint import specs_of
from zoomgr.errors import DoesNotFitError, InvalidRulesError, LowCoverageError
from zoomgr.records import LoadPlan
from zoomgr.zoo import Zoo

MakeZoo = Callable[..., Zoo]


def grown(small: str, large: str, least: float = 0.1) -> LoadPlan:
    """The plan for one of torchvision's networks into another."""
    with torch.device("meta"):
        ours, theirs = (
            specs_of(torchvision.models.get_model(name).state_dict(keep_vars=True)) for name in (small, large)
        )
    return make_plan(ours, theirs, what=large, wishes=Wishes(partial=True, min_coverage=least))


class Net(nn.Module):
    """An own network: blocks of one kind, and a head."""

    def __init__(self, blocks: int, classes: int = 3) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4)) for _ in range(blocks)
        )
        self.head = nn.Linear(4, classes)


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """The file of a network of two blocks."""
    torch.save(Net(2).state_dict(), tmp_path / "small.pth")
    return tmp_path / "small.pth"


@pytest.mark.parametrize(("small", "large"), [("resnet18", "resnet34"), ("resnet50", "resnet101")])
def test_a_deeper_network_gets_the_blocks_that_the_shallow_one_has(small: str, large: str) -> None:
    """Each stage begins with them."""
    plan = grown(small, large)

    assert not plan.unused
    assert all(move.sources == (move.target,) for move in plan.moves)
    assert {name.target.split(".")[0] for name in plan.fresh} <= {"layer1", "layer2", "layer3", "layer4"}


def test_a_longer_sequence_gets_no_layers_of_other_numbers() -> None:
    """VGG-16 and VGG-19 number their convolutions through: as far as 14 they agree, and so do the heads."""
    plan = grown("vgg16", "vgg19")

    convolutions = sorted(
        {int(move.target.split(".")[1]) for move in plan.moves if "features" in move.target}
    )
    assert convolutions == [0, 2, 5, 7, 10, 12, 14]
    assert sum("classifier" in move.target for move in plan.moves) == 6
    assert any(
        item.target == "features.21.weight" and "another sequence" in item.reason for item in plan.fresh
    )


def test_a_network_that_only_shares_names_is_refused_with_the_figure() -> None:
    """144 tensors of 320 fit, and they are 7 % of the values."""
    with pytest.raises(LowCoverageError, match=r"7\.11%"):
        grown("resnet50", "wide_resnet50_2")


def test_a_floor_is_the_users_to_set(make_zoo: MakeZoo, small: Path) -> None:
    """And the network is as it was when it is not reached."""
    zoo, net = make_zoo(), Net(9)
    before = {key: value.clone() for key, value in net.state_dict().items()}

    with pytest.raises(LowCoverageError) as caught:
        zoo.load_into(net, small, partial=True, min_coverage=0.5)

    assert 0.2 < caught.value.coverage < 0.3
    assert all(torch.equal(before[key], value) for key, value in net.state_dict().items())
    report = zoo.load_into(net, small, partial=True)
    assert caught.value.coverage == report.share("loaded")
    assert "structure only, not proven" in str(report)


def test_patterns_are_ignored_in_both_ways_of_loading(make_zoo: MakeZoo, small: Path) -> None:
    """Without `partial`, for all else must fit; one text is one pattern."""
    zoo, net = make_zoo(), Net(2, classes=7)

    report = zoo.load_into(net, small, ignore="head.*")
    plan = zoo.plan(net, weights=small, ignore=["head.*"])

    assert report.fresh == report.unused == ("head.weight", "head.bias")
    assert plan == report.plan
    with pytest.raises(DoesNotFitError):
        zoo.load_into(net, small)


def test_a_mapping_and_a_file_of_rules_say_where_layers_go(
    make_zoo: MakeZoo, small: Path, tmp_path: Path
) -> None:
    """The blocks of a small network as the last ones of a large one."""
    zoo, net, saved = make_zoo(), Net(4), torch.load(small)
    rules = tmp_path / "own.toml"
    rules.write_text(
        'rule = [{ from = "blocks.{n}.{x*}", to = "blocks.{n+2}.{x}" }, { from = "{x*}", to = "{x}" }]'
    )

    by_names = zoo.load_into(net, small, match={"blocks.{n}": "blocks.{n+2}"}, partial=True)
    by_file = zoo.plan(net, weights=small, match=str(rules), partial=True)

    assert torch.equal(net.blocks.get_submodule("3.0").get_parameter("weight"), saved["blocks.1.0.weight"])
    assert by_names.plan.moves == by_file.moves
    assert (by_names.match, by_file.adapter) == ("mapping", "rules own.toml")
    rules.write_text('rule = [{ from = "{x}", too = "{x}" }]')
    with pytest.raises(InvalidRulesError, match=r"own\.toml:1: rule has no too"):
        zoo.plan(net, weights=small, match=rules)


@pytest.mark.slow
def test_an_old_densenet_is_copied_in_order_without_its_classifier(make_zoo: MakeZoo, tmp_path: Path) -> None:
    """Keys like `norm.1`, no counters, another head: what scripts that zip two state dicts are for."""
    torch.manual_seed(0)
    source = torchvision.models.densenet121().eval()
    names = {name: name for name in source.state_dict() if not name.endswith("num_batches_tracked")}
    old = {
        name.replace("norm1", "norm.1").replace("norm2", "norm.2").replace("conv1", "conv.1"): value
        for name, value in source.state_dict().items()
        if name in names
    }
    torch.save(old, tmp_path / "densenet121-old.pth")

    made = make_zoo().convert(
        tmp_path / "densenet121-old.pth",
        tmp_path / "out.safetensors",
        to="torchvision/densenet121",
        match="position",
        ignore=["classifier*"],
    )

    written = load_file(made.path)
    assert {item.source for item in made.plan.unused} == {"classifier.weight", "classifier.bias"}
    assert set(written) == {name for name in names if not name.startswith("classifier")}
    assert all(torch.equal(source.state_dict()[name], value) for name, value in written.items())
