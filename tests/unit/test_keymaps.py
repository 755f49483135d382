"""The bundled translations cover both sides, and compute the same."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import timm
import torch
import torchvision
from timm import create_model
from torch import Tensor, nn

import zoomgr_keymaps
from zoomgr.adapt.apply_torch import apply
from zoomgr.adapt.compute import computed
from zoomgr.adapt.plan import Wishes, make_plan
from zoomgr.api import DoesNotFitError, Move, RulesAdapter
from zoomgr.checkpoint import specs_of
from zoomgr_keymaps import zoomgr_adapters
from zoomgr_keymaps.efficientnet_pytorch import EfficientNetPyTorch
from zoomgr_keymaps.renamed import caffe_blocks, without
from zoomgr_keymaps.shipped import shipped
from zoomgr_keymaps.stepped import merging

RULES = Path(zoomgr_keymaps.__file__).with_name("rules")

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
    """By the name that the registry uses, and each file of rules by its own."""
    names = [adapter.name for adapter in zoomgr_adapters()]

    assert names[0] == "efficientnet-pytorch"
    assert len(names) == len(set(names)) > 50


@pytest.mark.parametrize("path", sorted(RULES.glob("*.toml")), ids=lambda path: path.stem)
def test_each_file_of_rules_says_its_name_and_what_it_recognises(path: Path) -> None:
    """The file's name is the adapter's; it says what it is, and what a checkpoint must have."""
    text = path.read_text()
    rules = RulesAdapter.of_text(text, str(path)).rules

    assert rules.name == path.stem
    assert text.startswith("# ")
    assert rules.keys
    assert rules.target or path.stem in {"cadene-heads", "moco", "moco-v3"}


@pytest.mark.parametrize(
    "name", ["resnet18", "vit_tiny_patch16_224", "efficientnet_b0", "swin_tiny_patch4_window7_224"]
)
def test_no_adapter_is_for_a_networks_own_names(name: str) -> None:
    """What a network names itself is for other libraries' networks, never for its own."""
    with torch.device("meta"):
        specs = specs_of(create_model(name).state_dict())

    for adapter in shipped():
        assert not (adapter.recognises(specs) and adapter.suits(specs)), adapter.name


def test_a_missing_file_part_is_not_taken_for_known() -> None:
    """A deeper encoder does not fit a smaller network: its other blocks are no heads to be left out."""
    deep = {f"encoder_q.{name}": value for name, value in create_model("resnet34").state_dict().items()}
    deep |= {"encoder_k.conv1.weight": torch.zeros(1)}
    target = specs_of(create_model("resnet18", num_classes=0).state_dict())
    moco = next(adapter for adapter in shipped() if adapter.name == "moco")

    assert moco.recognises(specs_of(deep))
    with pytest.raises(DoesNotFitError, match="unexpected"):
        make_plan(specs_of(deep), target, what="net", adapter=moco)


def test_older_names_of_torchvisions_vit_go_to_timm_as_well() -> None:
    """Its published files have them; for torchvision's own network another adapter knows them."""
    vit = timm.models.VisionTransformer(64, 16, depth=1, num_heads=2, embed_dim=32, mlp_ratio=2)
    old = torchvision.models.VisionTransformer(64, 16, 1, 2, 32, 64).state_dict()
    names = {name: re.sub(r"mlp\.(\d)", lambda it: f"mlp.linear_{int(it[1]) // 3 + 1}", name) for name in old}
    tensors = {names[name]: value for name, value in old.items()}
    adapter = next(adapter for adapter in shipped() if adapter.name == "torchvision-vit-timm")

    plan = make_plan(specs_of(tensors), specs_of(vit.state_dict()), what="net", adapter=adapter)

    assert names.keys() != set(names.values())
    assert adapter.recognises(plan.source)
    assert not plan.fresh
    assert not plan.unused


def test_prefixes_are_taken_off_only_where_no_two_names_become_one() -> None:
    """A tensor beside the network may be called as one inside."""
    names = without("vit.", "model.")

    assert list(names(["vit.a", "model.b", "c"])) == ["a", "b", "c"]
    assert list(names(["vit.a", "a"])) == ["vit.a", "a"]


def test_blocks_with_letters_become_numbers() -> None:
    """As Caffe's ResNet-50 and its deeper ones write them."""
    given = ["res2a_branch1.weight", "bn3c_branch2b.running_mean", "scale4b22_branch2a.bias", "conv1.weight"]

    assert list(caffe_blocks(given)) == [
        "res2.0.branch1.weight", "bn3.2.branch2b.running_mean", "scale4.22.branch2a.bias", "conv1.weight"
    ]  # fmt: skip


def test_pixels_of_a_merged_patch_are_put_into_timms_order() -> None:
    """Against nn.Unfold, by which mmpretrain gathers them."""
    pixels = torch.randn(1, 3, 4, 4)
    unfolded = nn.Unfold(2, stride=2)(pixels).transpose(1, 2)
    merge = timm.models.swin_transformer.PatchMerging(3)
    op = merging("layers.1.downsample.reduction.weight", (6, 12), (6, 12))
    assert op

    weight = torch.randn(6, 12)
    source = Move("w", ("w",), op)
    with torch.no_grad():
        merge.norm = nn.Identity()
        merge.reduction.weight.copy_(computed(source, {"w": weight}))

    expected = unfolded @ weight.T
    torch.testing.assert_close(merge(pixels.permute(0, 2, 3, 1)).reshape(1, 4, 6), expected)


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
