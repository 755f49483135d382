"""The bundled translations cover both sides, and compute the same."""

from __future__ import annotations

import re

import pytest
import torch
from timm import create_model
from torch import Tensor, nn

from zoomgr.adapt.apply_torch import apply
from zoomgr.adapt.plan import Wishes, make_plan
from zoomgr.api import DoesNotFitError
from zoomgr.checkpoint import specs_of
from zoomgr_keymaps import zoomgr_adapters
from zoomgr_keymaps.efficientnet_pytorch import EfficientNetPyTorch

# EfficientNet-PyTorch's names in the order in which a block runs them: `_expand_conv` and `_bn0` where it has
# them, `_depthwise_conv` and `_bn1`, `_project_conv` and `_bn2`.
_TOP = {"conv_stem": "_conv_stem", "conv_head": "_conv_head", "classifier": "_fc"}


def renamed(module: nn.Module) -> dict[str, Tensor]:
    """A timm model's tensors under EfficientNet-PyTorch's names, found by the order of its modules."""
    names: dict[str, str] = {}
    tops = [name for name, _ in module.named_children()]
    norms = [name for name in tops if name.startswith("bn")]
    names.update(_TOP)
    names.update(zip(norms, ["_bn0", "_bn1"], strict=True))
    blocks = [block for stage in module.get_submodule("blocks").children() for block in stage.children()]
    paths = {id(layer): path for path, layer in module.named_modules()}
    for number, block in enumerate(blocks):
        convs = [layer for name, layer in block.named_children() if name.startswith("conv")]
        norms_here = [layer for name, layer in block.named_children() if name.startswith("bn")]
        first = 3 - len(convs)
        for conv, name in zip(
            convs, ["_expand_conv", "_depthwise_conv", "_project_conv"][first:], strict=True
        ):
            names[paths[id(conv)]] = f"_blocks.{number}.{name}"
        for norm, name in zip(norms_here, ["_bn0", "_bn1", "_bn2"][first:], strict=True):
            names[paths[id(norm)]] = f"_blocks.{number}.{name}"
        for path, layer in block.named_modules():
            if path.startswith("se.conv"):
                names[paths[id(layer)]] = f"_blocks.{number}._{path[3:].replace('conv', 'se')}"
    return {
        f"{names[key.rpartition('.')[0]]}.{key.rpartition('.')[2]}": tensor.clone()
        for key, tensor in module.state_dict().items()
    }


def test_the_plugin_declares_its_adapters() -> None:
    """By the name that the registry uses."""
    assert [adapter.name for adapter in zoomgr_adapters()] == ["efficientnet-pytorch"]


@pytest.mark.parametrize("name", ["tf_efficientnet_lite0", "tf_efficientnet_b0"])
def test_efficientnet_pytorch_covers_every_tensor_and_computes_the_same(name: str) -> None:
    """With squeeze-and-excitation and without; outputs are equal to the bit."""
    torch.manual_seed(0)
    origin = create_model(name).eval()
    tensors = renamed(origin)
    module = create_model(name)
    adapter = EfficientNetPyTorch()

    plan = make_plan(specs_of(tensors), specs_of(module.state_dict()), what=name, adapter=adapter)
    apply(plan, module, tensors)

    assert adapter.recognises(plan.source)
    assert not plan.fresh
    assert not plan.unused
    picture = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(origin(picture), module.eval()(picture))


def test_a_replaced_or_missing_head_is_accounted_for() -> None:
    """num_classes=9 gives a fresh head, num_classes=0 none."""
    tensors = renamed(create_model("tf_efficientnet_lite0"))
    for classes in (9, 0):
        target = specs_of(create_model("tf_efficientnet_lite0", num_classes=classes).state_dict())

        plan = make_plan(
            specs_of(tensors),
            target,
            what="net",
            adapter=EfficientNetPyTorch(),
            wishes=Wishes(head=("classifier",), num_classes=classes),
        )

        assert {"_fc.weight", "_fc.bias"} == {item.source for item in plan.unused}
        assert (2 if classes else 0) == len(plan.fresh)


def test_only_its_own_schema_is_recognised() -> None:
    """Adapters are asked one after the other; timm's own keys are nobody's."""
    adapter = EfficientNetPyTorch()
    target = specs_of(create_model("tf_efficientnet_lite0").state_dict())

    assert not adapter.recognises(target)
    assert not adapter.recognises(())


@pytest.mark.parametrize("name", ["resnet18", "tf_efficientnet_b1"])
def test_another_architecture_does_not_fit(name: str) -> None:
    """Deeper or different: an error that lists, not a defect of the adapter."""
    tensors = renamed(create_model("tf_efficientnet_b0"))
    target = specs_of(create_model(name).state_dict())

    with pytest.raises(DoesNotFitError):
        make_plan(specs_of(tensors), target, what=name, adapter=EfficientNetPyTorch())


def test_blocks_are_counted_as_numbers() -> None:
    """Block 10 comes after block 9, whatever the order of the file."""
    origin = create_model("tf_efficientnet_b0")
    source = specs_of(dict(sorted(renamed(origin).items())))
    target = specs_of(dict(sorted(origin.state_dict().items())))

    moves = EfficientNetPyTorch().map(source, target).moves

    found = {
        int(re.findall(r"\d+", move.sources[0])[0]): move.target
        for move in moves
        if "_depthwise" in move.sources[0]
    }
    assert found[9] == "blocks.4.1.conv_dw.weight"
    assert found[10] == "blocks.4.2.conv_dw.weight"
    assert found[15] == "blocks.6.0.conv_dw.weight"
