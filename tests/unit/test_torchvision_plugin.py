"""What torchvision publishes, as cards; and its models, as the published weights need them."""

from __future__ import annotations

import copy
import importlib.metadata
import json
import pickle
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torchvision.ops import FrozenBatchNorm2d

from zoomgr.api import (
    Adapter,
    AdaptError,
    ArchitectureFamily,
    CannotAdaptHeadError,
    CannotAdaptStemError,
    Digest,
    ModelCard,
    Options,
    Place,
    Source,
    TensorSpec,
    UnknownArchitectureError,
)
from zoomgr_torchvision.catalogue import CATALOGUE
from zoomgr_torchvision.family import TorchvisionFamily, for_channels
from zoomgr_torchvision.legacy import LegacyNames
from zoomgr_torchvision.source import TorchvisionSource


def never(key: str, make: Callable[[], bytes]) -> bytes:
    """A cache that must not be asked."""
    raise AssertionError(f"{key} was asked for, of {make}")


def set_version(monkeypatch: pytest.MonkeyPatch, version: str) -> None:
    """Pretend that this torchvision is installed; none when empty."""

    def installed(name: str) -> str:
        if not version:
            raise importlib.metadata.PackageNotFoundError(name)
        return version

    monkeypatch.setattr(importlib.metadata, "version", installed)


@pytest.fixture(scope="module")
def cards() -> dict[str, ModelCard]:
    """All cards by reference, without the source."""
    listed = TorchvisionSource(Options(offline=True, remember=never)).cards()
    return {str(card.ref).removeprefix("torchvision/"): card for card in listed}


@pytest.fixture(scope="module")
def family() -> TorchvisionFamily:
    """The family; builds are light enough to share it."""
    return TorchvisionFamily()


def shapes(model: torch.nn.Module) -> dict[str, tuple[int, ...]]:
    """Every key of a module with its shape."""
    return {key: tuple(value.shape) for key, value in model.state_dict().items()}


# -- the catalogue -------------------------------------------------------------------------------------------


def test_the_plugin_keeps_the_protocols() -> None:
    """The host refuses anything else."""
    assert isinstance(TorchvisionSource(Options(offline=True, remember=never)), Source)
    assert isinstance(TorchvisionFamily(), ArchitectureFamily)
    assert isinstance(LegacyNames(), Adapter)


def test_every_model_and_weight_is_listed_once(cards: dict[str, ModelCard]) -> None:
    """121 models and 166 weights of version 0.29.2; 16 of these are also for quantizable models."""
    assert CATALOGUE.shipped["version"] == "0.29.2"
    assert len({card.ref.name for card in cards.values()}) == 121
    assert len(cards) == len(CATALOGUE.shipped["weights"]) == 166 + 16
    assert sum(card.is_default for card in cards.values()) == 121
    assert all(card.artifact and card.artifact.digest for card in cards.values())
    assert sum(bool(card.license) for card in cards.values()) == 12


def test_a_card_holds_what_torchvision_publishes(cards: dict[str, ModelCard]) -> None:
    """The facts of resnet50's default weights."""
    card = cards["resnet50@imagenet1k_v2"]

    assert card.is_default
    assert not cards["resnet50@imagenet1k_v1"].is_default
    assert card.arch == "torchvision/resnet50"
    assert card.artifact
    assert card.artifact.urls == ("https://download.pytorch.org/models/resnet50-11ad3fa6.pth",)
    assert card.artifact.digest == Digest("11ad3fa6")
    assert card.artifact.promised_by == "torchvision catalogue"
    assert card.params == 25557032
    assert card.metrics == {"ImageNet-1K acc@1": 80.858, "ImageNet-1K acc@5": 95.434}
    assert (card.num_classes, card.labels, card.task) == (1000, "imagenet-1k", "classification")
    assert (card.stem, card.head) == (("conv1",), ("fc",))
    assert card.preprocess
    assert (card.preprocess.size, card.preprocess.resize) == ((224, 224), (232,))
    assert card.provenance.startswith("https://github.com/pytorch/vision")


def test_the_size_is_in_bytes(cards: dict[str, ModelCard]) -> None:
    """Published are MiB with three digits: right to about a KiB (vgg16 has 553,433,881 bytes)."""
    artifact = cards["vgg16@imagenet1k_v1"].artifact

    assert artifact
    assert artifact.size_bytes == pytest.approx(553_433_881, abs=1024)


@pytest.mark.parametrize(
    ("ref", "digest"),
    [
        ("vgg16@imagenet1k_features", "88682ab5"),
        ("mnasnet0_5@imagenet1k_v1", "3ffadce67e"),
        ("mobilenet_v2@imagenet1k_v1", "b0353104"),
        ("quantized_resnet18@imagenet1k_fbgemm_v1", "16fa66dd"),
        ("quantized_mobilenet_v2@imagenet1k_qnnpack_v1", "37f702c5"),
    ],
)
def test_the_digest_is_the_last_group_of_the_file_name(
    cards: dict[str, ModelCard], ref: str, digest: str
) -> None:
    """Ten digits, versions with dots and the underscore of quantized files are no obstacle."""
    artifact = cards[ref].artifact

    assert artifact
    assert artifact.digest == Digest(digest)


def test_the_unusual_ones_are_described(cards: dict[str, ModelCard]) -> None:
    """Weights without labels, of other tasks, and for other sizes say so."""
    features = cards["vgg16@imagenet1k_features"]
    assert (features.labels, features.num_classes, dict(features.metrics)) == ("", 1000, {})
    assert "cannot classify" in features.notes
    flow = cards["raft_large@c_t_v1"]
    assert (flow.task, flow.num_classes, flow.head, flow.preprocess) == ("optical-flow", None, (), None)
    assert cards["deeplabv3_resnet50@coco_with_voc_labels_v1"].labels == "voc-21"
    assert cards["keypointrcnn_resnet50_fpn@coco_v1"].task == "keypoints"
    assert cards["r3d_18@kinetics400_v1"].labels == "kinetics-400"
    assert cards["vit_b_16@imagenet1k_swag_e2e_v1"].build_args == {"image_size": 384}
    assert cards["vit_b_16@imagenet1k_swag_e2e_v1"].license.startswith("https://")


def test_a_model_without_weights_has_a_card_without_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing that can be built is missing from the list."""
    set_version(monkeypatch, "9.9.9")
    catalogue = {"version": "9.9.9", "models": {"bare": {"task": "classification"}}, "weights": []}

    (card,) = TorchvisionSource(Options(False, lambda key, make: json.dumps(catalogue).encode())).cards()

    assert (str(card.ref), card.artifact, card.is_default) == ("torchvision/bare", None, True)


def test_listing_imports_neither_torch_nor_torchvision() -> None:
    """Commands that need no torch never import it."""
    code = (
        "import sys, zoomgr_torchvision as p; from zoomgr.api import Options;"
        "cards = [c for s in p.zoomgr_sources(Options(True, None)) for c in s.cards()];"
        "names = [n for f in p.zoomgr_architectures() for n in f.names()];"
        "print(len(cards), len(names), sorted({'torch', 'torchvision', 'timm'} & set(sys.modules)))"
    )

    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout

    assert out.split(maxsplit=2) == ["182", "121", "[]\n"]


# -- other versions ------------------------------------------------------------------------------------------


def test_another_version_is_remembered_and_asked_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """One question to the cache for each source, whatever is listed how often."""
    set_version(monkeypatch, "0.21.0+cpu")
    monkeypatch.setattr(CATALOGUE, "make", lambda: CATALOGUE.shipped)
    asked: list[str] = []

    def remember(key: str, make: Callable[[], bytes]) -> bytes:
        asked.append(key)
        return make()

    source = TorchvisionSource(Options(offline=True, remember=remember))
    listed = [len(list(source.cards())) for _ in range(2)]

    assert (asked, listed) == (["torchvision-0.21.0"], [182, 182])


@pytest.mark.parametrize("version", ["", "0.29.2", "0.29.2+cu130"])
def test_the_shipped_catalogue_serves_its_version_and_none(
    monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    """Weights can be pulled where torchvision is not installed; a local part makes no other version."""
    set_version(monkeypatch, version)

    assert len(list(TorchvisionSource(Options(offline=True, remember=never)).cards())) == 182


def test_a_family_asks_the_library_when_the_version_is_another(
    monkeypatch: pytest.MonkeyPatch, family: TorchvisionFamily
) -> None:
    """Stem and head are then found by building, and come to the same."""
    set_version(monkeypatch, "0.21.0")

    model = family.build("squeezenet1_1", num_classes=9, in_ch=4)

    assert shapes(model)["classifier.1.weight"] == (9, 512, 1, 1)
    assert shapes(model)["features.0.weight"] == (64, 4, 3, 3)
    with pytest.raises(UnknownArchitectureError):
        family.build("vgg15")


# -- the family ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "stem", "head", "size"),
    [
        ("resnet18", "conv1", "fc", 64),
        ("squeezenet1_1", "features.0", "classifier.1", 64),
        ("vit_b_16", "conv_proj", "heads.head", 224),
        ("shufflenet_v2_x0_5", "conv1.0", "fc", 64),
    ],
)
def test_stem_and_head_change_and_the_rest_stays(
    family: TorchvisionFamily, name: str, stem: str, head: str, size: int
) -> None:
    """Only the declared layers get other shapes, and pictures of four channels go through."""
    own = shapes(family.build(name))
    model = family.build(name, num_classes=9, in_ch=4)

    assert model.training
    changed = {key.rpartition(".")[0] for key, shape in shapes(model).items() if own[key] != shape}
    assert changed == {stem, head}
    assert tuple(model.eval()(torch.zeros(1, 4, size, size)).shape) == (1, 9)


@pytest.mark.parametrize("name", ["googlenet", "quantized_googlenet"])
@pytest.mark.parametrize("in_ch", [1, 4])
def test_googlenet_normalises_its_input_whatever_its_channels(
    family: TorchvisionFamily, in_ch: int, name: str
) -> None:
    """It is built as its weights need it; pixels that were normalised for n channels come to -1..1."""
    arguments: dict[str, Any] = {"quantize": False} if name.startswith("quantized") else {}
    model: Any = family.build(name, num_classes=9, in_ch=in_ch, init_weights=False, **arguments)
    pixels = torch.rand(1, in_ch, 64, 64, generator=torch.Generator().manual_seed(0))
    mean, std = (
        torch.tensor(for_channels(values, in_ch)).view(-1, 1, 1)
        for values in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    )

    assert {"aux1.fc2.weight", "aux2.fc2.weight", "fc.weight"} <= model.state_dict().keys()
    torch.testing.assert_close(model._transform_input((pixels - mean) / std), pixels * 2 - 1)
    assert tuple(copy.deepcopy(model).eval()(pixels).shape) == (1, 9)
    assert pickle.dumps(model)


def test_three_channels_are_normalised_by_googlenet_itself(family: TorchvisionFamily) -> None:
    """And what stands in for it with four channels does the same to the first three."""
    rgb: Any = family.build("googlenet", init_weights=False)
    wide: Any = family.build("googlenet", in_ch=4, init_weights=False)
    picture = torch.rand(1, 4, 64, 64, generator=torch.Generator().manual_seed(0))

    expected = rgb._transform_input(picture[:, :3])

    torch.testing.assert_close(wide._transform_input(picture)[:, :3], expected)


def test_segmentation_has_the_auxiliary_classifier_of_its_weights(family: TorchvisionFamily) -> None:
    """Published files hold it, and it has as many classes as the other."""
    model: Any = family.build("deeplabv3_mobilenet_v3_large", num_classes=9, in_ch=4)

    out = model.eval()(torch.zeros(1, 4, 64, 64))

    assert (out["out"].shape[1], out["aux"].shape[1]) == (9, 9)


def test_detectors_have_frozen_norms_of_the_right_eps(family: TorchvisionFamily) -> None:
    """Their builders make them for published weights only; None keeps trainable ones."""
    model: Any = family.build("fasterrcnn_resnet50_fpn")
    plain: Any = family.build("fasterrcnn_resnet50_fpn", frozen_norm_eps=None)

    eps = {module.eps for module in model.modules() if isinstance(module, FrozenBatchNorm2d)}
    assert eps == {0.0}
    assert not any("num_batches_tracked" in key for key in model.state_dict())
    assert any("num_batches_tracked" in key for key in plain.state_dict())


@pytest.mark.parametrize(
    ("in_ch", "mean", "std"),
    [
        (1, [0.449], [0.226]),
        (2, [0.485, 0.456], [0.229, 0.224]),
        (4, [0.485, 0.456, 0.406, 0.449], [0.229, 0.224, 0.225, 0.226]),
        (5, [0.485, 0.456, 0.406, 0.449, 0.449], [0.229, 0.224, 0.225, 0.226, 0.226]),
    ],
    ids=["1", "2", "4", "5"],
)
def test_the_normalisation_of_a_detector_has_a_value_for_each_channel(
    family: TorchvisionFamily, in_ch: int, mean: list[float], std: list[float]
) -> None:
    """Further channels get the mean of the three, and so does a grey one."""
    model: Any = family.build("fasterrcnn_mobilenet_v3_large_320_fpn", in_ch=in_ch)

    assert model.transform.image_mean == pytest.approx(mean)
    assert model.transform.image_std == pytest.approx(std)
    model.transform.min_size = (64,)
    assert set(model.eval()([torch.zeros(in_ch, 64, 64)])[0]) == {"boxes", "scores", "labels"}


def test_the_callers_normalisation_of_a_detector_is_taken(family: TorchvisionFamily) -> None:
    """One of another length fits no picture."""
    name = "ssdlite320_mobilenet_v3_large"

    model: Any = family.build(name, in_ch=4, image_mean=[0.1, 0.2, 0.3, 0.4])

    assert model.transform.image_mean == [0.1, 0.2, 0.3, 0.4]
    assert model.transform.image_std == [0.5] * 4
    with pytest.raises(CannotAdaptStemError, match="image_std has 3 values"):
        family.build(name, in_ch=4, image_std=[0.5] * 3)


def test_optical_flow_takes_other_channels(family: TorchvisionFamily) -> None:
    """Both of its encoders see the pictures; it has no classes."""
    model = family.build("raft_small", in_ch=4)
    picture = torch.zeros(1, 4, 128, 128)

    flows: Any = model.eval()(picture, picture, num_flow_updates=1)

    assert [tuple(flow.shape) for flow in flows] == [(1, 2, 128, 128)]
    with pytest.raises(CannotAdaptHeadError, match="no layer of classes"):
        family.build("raft_small", num_classes=9)


def test_keypoints_can_have_another_count(family: TorchvisionFamily) -> None:
    """It is no count of classes, and named in the catalogue."""
    name = "keypointrcnn_resnet50_fpn"
    place = "roi_heads.keypoint_predictor.kps_score_lowres"

    model = family.build(name, num_classes=3, num_keypoints=5)

    assert f"{place}[num_keypoints]" in CATALOGUE.shipped["models"][name]["head"]
    assert shapes(model)[f"{place}.weight"][1] == 5
    assert shapes(model)["roi_heads.box_predictor.cls_score.weight"][0] == 3


# -- quantized models ----------------------------------------------------------------------------------------


def test_quantized_models_have_cards_for_their_float_weights(cards: dict[str, ModelCard]) -> None:
    """The file is that of the model without the prefix; int8 stays the default."""
    card, plain = cards["quantized_resnet18@imagenet1k_v1"], cards["resnet18@imagenet1k_v1"]

    assert (card.is_default, cards["quantized_resnet18@imagenet1k_fbgemm_v1"].is_default) == (False, True)
    assert card.artifact == plain.artifact
    assert card.build_args == {"quantize": False}
    assert (card.stem, card.head, card.num_classes) == (("conv1",), ("fc",), 1000)
    assert "the float weights of resnet18" in card.notes
    assert len([name for name in cards if name.startswith("quantized_resnet50@")]) == 4


def test_a_quantizable_model_takes_other_counts(family: TorchvisionFamily) -> None:
    """Its stem and head are those of the model that it was made of."""
    model = family.build("quantized_shufflenet_v2_x0_5", quantize=False, num_classes=9, in_ch=4)

    assert tuple(model.eval()(torch.zeros(1, 4, 64, 64)).shape) == (1, 9)


@pytest.mark.parametrize("count", [{"num_classes": 9}, {"in_ch": 4}])
def test_an_int8_model_names_the_weights_that_can_be_adapted(
    family: TorchvisionFamily, count: dict[str, int]
) -> None:
    """Nothing is quantized first."""
    with pytest.raises(AdaptError, match="quantized_resnet50@imagenet1k_v1 and quantized_resnet50@image"):
        family.build("quantized_resnet50", **count)


def test_there_is_no_model_of_a_name_that_nobody_has(family: TorchvisionFamily) -> None:
    """With the close ones."""
    with pytest.raises(UnknownArchitectureError, match="vgg16"):
        family.build("vgg15")


def test_every_declared_place_can_be_read() -> None:
    """As the records write them."""
    for row in CATALOGUE.shipped["models"].values():
        places = [*row["stem"], *row.get("head", [])]
        assert places == [str(Place.parse(text)) for text in places]


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("fasterrcnn_resnet50_fpn", "roi_heads.box_predictor.bbox_pred[n,4]"),
        ("retinanet_resnet50_fpn", "head.classification_head.cls_logits[9,n]"),
        ("fcos_resnet50_fpn", "head.classification_head.cls_logits"),
        ("ssd300_vgg16", "head.classification_head.module_list.1[6,n]"),
        ("ssdlite320_mobilenet_v3_large", "head.classification_head.module_list.5.1[6,n]"),
        ("maskrcnn_resnet50_fpn", "roi_heads.mask_predictor.mask_fcn_logits"),
    ],
)
def test_boxes_and_anchors_are_declared(name: str, place: str) -> None:
    """Four values of a box for each class, all classes for each anchor."""
    assert place in CATALOGUE.shipped["models"][name]["head"]


# -- old key names -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("features.denseblock1.denselayer1.norm.1.weight", "features.denseblock1.denselayer1.norm1.weight"),
        ("encoder.layers.encoder_layer_0.mlp.linear_1.bias", "encoder.layers.encoder_layer_0.mlp.0.bias"),
        ("encoder.layers.encoder_layer_0.mlp.linear_2.bias", "encoder.layers.encoder_layer_0.mlp.3.bias"),
        ("backbone.fpn.inner_blocks.3.weight", "backbone.fpn.inner_blocks.3.0.weight"),
        ("rpn.head.conv.weight", "rpn.head.conv.0.0.weight"),
        ("roi_heads.mask_head.mask_fcn4.bias", "roi_heads.mask_head.3.0.bias"),
    ],
)
def test_old_names_are_recognised_and_translated(old: str, new: str) -> None:
    """As torchvision's own loading does it."""
    adapter = LegacyNames()
    target = [TensorSpec(new, (2,), "float32")]

    assert adapter.recognises([TensorSpec(old, (2,), "float32")])
    assert not adapter.recognises(target)
    (move,) = adapter.map([TensorSpec(old, (2,), "float32")], target).moves
    assert (move.target, move.sources) == (new, (old,))


def test_a_name_of_today_is_kept_although_it_was_an_old_one_elsewhere() -> None:
    """Old names of retinanet are names of today in fcos."""
    key = "head.classification_head.conv.6.weight"
    source = [TensorSpec(key, (2,), "float32")]

    fcos = LegacyNames().map(source, source).moves
    retinanet = LegacyNames().map(
        source, [TensorSpec("head.classification_head.conv.3.0.weight", (2,), "float32")]
    )

    assert [move.target for move in fcos] == [key]
    assert [move.target for move in retinanet.moves] == ["head.classification_head.conv.3.0.weight"]
