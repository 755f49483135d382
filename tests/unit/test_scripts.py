"""Which weights a script asks for, told by its syntax tree."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from zoomgr.airgap.scripts import Found, read_scripts
from zoomgr.airgap.scripts.calls import _MEMBER, _OLD_DEFAULTS, _reference
from zoomgr.errors import UnreadableScriptError
from zoomgr.zoo import Zoo

HEAD = """
import timm
import torchvision
import torchvision.models as tv
import zoomgr
import zoomgr as z
from timm import create_model
from torchvision import models
from torchvision.models import ResNet50_Weights, get_model, get_weight, resnet50
from torchvision.models.detection import FasterRCNN_ResNet50_FPN_Weights as Faster
from torchvision.models.detection import fasterrcnn_resnet50_fpn
from torchvision.models.quantization import ResNet18_QuantizedWeights
from torchvision.models.segmentation import fcn_resnet50
from zoomgr import load, load_into as put
from zoomgr import Zoo

MODEL = "vgg16"
TYPED: str = "timm/vgg16"
W = ResNet50_Weights.IMAGENET1K_V2
ALSO = MODEL
build = timm.create_model
zoo = Zoo(offline=True)
TWICE = "one"
TWICE = "other"
"""


def found_in(tmp_path: Path, code: str, head: str = HEAD) -> Found:
    """What a script of that code asks for, below the imports and constants that all of them have."""
    (tmp_path / "train.py").write_text(head + code)
    return read_scripts([tmp_path / "train.py"])


@pytest.mark.parametrize(
    ("code", "names"),
    [
        # zoomgr
        ('zoomgr.load("vgg16")', ["vgg16"]),
        ('z.load("vgg16", num_classes=10)', ["vgg16"]),
        ('load("torchvision/resnet50@imagenet1k_v2")', ["torchvision/resnet50@imagenet1k_v2"]),
        ('put(net, "timm/vgg16")', ["timm/vgg16"]),
        ('zoomgr.load_into(net, weights="timm/vgg16")', ["timm/vgg16"]),
        ('zoomgr.load("vgg16", weights="hf://acme/net")', ["hf://acme/net"]),
        ('zoomgr.load("vgg16", weights=True)', ["vgg16"]),
        ('zoomgr.load("vgg16", weights=False)', []),
        ('zoomgr.load("vgg16", weights=None)', []),
        ('zoomgr.load_with_report(ref="vgg16")', ["vgg16"]),
        ('zoomgr.plan("vgg16")', ["vgg16"]),
        ('zoomgr.plan(net, "vgg16")', ["vgg16"]),
        ('zoomgr.pull("vgg16"); zoomgr.read("vgg19")', ["vgg16", "vgg19"]),
        ('zoomgr.predict("vgg16", "cat.jpg")', ["vgg16"]),
        ('zoomgr.convert("vgg16", "out.safetensors")', ["vgg16"]),
        ('zoomgr.diff("vgg16", "timm/vgg16")', ["vgg16", "timm/vgg16"]),
        ('zoomgr.compare("vgg16", "timm/vgg16", ["cat.jpg"])', ["vgg16", "timm/vgg16"]),
        ('zoomgr.load("./w.pth")', ["./w.pth"]),
        ('zoomgr.show("vgg16"); zoomgr.available("vgg*")', []),
        ('zoo.load("vgg16")', ["vgg16"]),
        ('zoomgr.Zoo().pull("vgg16")', ["vgg16"]),
        ("zoomgr.load(MODEL); load(TYPED); load(ALSO)", ["vgg16", "timm/vgg16"]),
        ('def main():\n    name = "vgg19"\n    return load(name)', ["vgg19"]),
        ("def main():\n    return load(MODEL)", ["vgg16"]),
        ('import zoomgr.zoo\nzoomgr.zoo.Zoo().load("vgg16")', ["vgg16"]),
        ('async def f():\n    return lambda: load("vgg16")', ["vgg16"]),
        ('class Net:\n    NAME = "vgg16"\n    net = load(NAME)', ["vgg16"]),
        ('if (name := "vgg19"):\n    load(name)', ["vgg19"]),
        ('load("vgg" "16")', ["vgg16"]),
        # torchvision
        ('torchvision.models.vgg16(weights="DEFAULT")', ["torchvision/vgg16"]),
        ('tv.vgg16(weights="IMAGENET1K_V1")', ["torchvision/vgg16@imagenet1k_v1"]),
        ("models.resnet50(weights=ResNet50_Weights.IMAGENET1K_V2)", ["torchvision/resnet50@imagenet1k_v2"]),
        ("resnet50(weights=ResNet50_Weights.DEFAULT)", ["torchvision/resnet50"]),
        ("resnet50(weights=W)", ["torchvision/resnet50@imagenet1k_v2"]),
        ("resnet50(weights=models.ResNet50_Weights.DEFAULT)", ["torchvision/resnet50"]),
        ('resnet50(weights="ResNet50_Weights.IMAGENET1K_V1")', ["torchvision/resnet50@imagenet1k_v1"]),
        ('resnet50("IMAGENET1K_V1")', ["torchvision/resnet50@imagenet1k_v1"]),
        ("models.vgg16(); models.vgg16(weights=None)", []),
        ("models.resnet18(pretrained=True)", ["torchvision/resnet18@imagenet1k_v1"]),
        ("models.resnet18(True)", ["torchvision/resnet18@imagenet1k_v1"]),
        ("models.resnet18(pretrained=False)", []),
        ('get_model("resnet50", weights="DEFAULT")', ["torchvision/resnet50"]),
        ('get_model("resnet50", weights=W)', ["torchvision/resnet50@imagenet1k_v2"]),
        ('get_model("resnet50")', []),
        ('get_weight("ResNet50_Weights.IMAGENET1K_V2")', ["torchvision/resnet50@imagenet1k_v2"]),
        ("W.get_state_dict(progress=True)", ["torchvision/resnet50@imagenet1k_v2"]),
        ("fasterrcnn_resnet50_fpn(weights=Faster.DEFAULT)", ["torchvision/fasterrcnn_resnet50_fpn"]),
        (
            "fasterrcnn_resnet50_fpn(weights_backbone=ResNet50_Weights.IMAGENET1K_V1)",
            ["torchvision/resnet50@imagenet1k_v1"],
        ),
        ("fasterrcnn_resnet50_fpn(weights=None, weights_backbone=None)", []),
        (
            "models.detection.retinanet_resnet50_fpn(pretrained=True)",
            ["torchvision/retinanet_resnet50_fpn@coco_v1"],
        ),
        ("fcn_resnet50(pretrained=True)", ["torchvision/fcn_resnet50@coco_with_voc_labels_v1"]),
        ("models.video.r3d_18(pretrained=True)", ["torchvision/r3d_18@kinetics400_v1"]),
        (
            "models.quantization.resnet18(weights=ResNet18_QuantizedWeights.IMAGENET1K_FBGEMM_V1)",
            ["torchvision/quantized_resnet18@imagenet1k_fbgemm_v1"],
        ),
        ("models.list_models(); models.get_model_weights('resnet50')", []),
        ("models.detection.FasterRCNN(backbone, 91)", []),
        ("models.feature_extraction.create_feature_extractor(net, return_nodes=nodes)", []),
        ("get_model('resnet50').name.rpartition('/')", []),
        ("models.vgg.make_layers(config, False)", []),
        # timm
        ('timm.create_model("resnet50", pretrained=True)', ["timm/resnet50"]),
        ('create_model("resnet50", True)', ["timm/resnet50"]),
        ('build("resnet50.a1_in1k", pretrained=True)', ["timm/resnet50.a1_in1k"]),
        ("timm.create_model(model_name=MODEL, pretrained=True)", ["timm/vgg16"]),
        ('timm.create_model("resnet50"); timm.create_model("resnet50", pretrained=False)', []),
        (
            'timm.create_model("resnet50", pretrained=True, pretrained_cfg="a1_in1k")',
            ["timm/resnet50@a1_in1k"],
        ),
        (
            'timm.create_model("hf-hub:timm/resnet50.a1_in1k", pretrained=True)',
            ["hf://timm/resnet50.a1_in1k"],
        ),
        ('timm.create_model("hf_hub:acme/net@v1", pretrained=True)', ["hf://acme/net@v1"]),
        ('timm.create_model("local-dir:/data/net", pretrained=True)', []),
        ("timm.models.resnet50(pretrained=True)", ["timm/resnet50"]),
        ("from timm.models.vgg import vgg11\nvgg11(pretrained=True)", ["timm/vgg11"]),
        ("timm.list_models(pretrained=True)", []),
        # names of others
        ('import json\njson.load("vgg16")', []),
        ('torch.load("vgg16.pth")', []),
        ("def load(name): ...", []),
    ],
)
def test_a_call_that_fetches_weights_is_read(tmp_path: Path, code: str, names: list[str]) -> None:
    """However it is spelt, as the reference that zoomgr has for it."""
    found = found_in(tmp_path, code)

    assert (list(found.names), found.unclear) == (names, ())


@pytest.mark.parametrize(
    ("code", "why"),
    [
        ("load(args.model)", "ref is not a constant"),
        ('load(f"vgg{depth}")', "ref is not a constant"),
        ('load("timm/" + MODEL)', "ref is not a constant"),
        ('load(os.environ["MODEL"])', "ref is not a constant"),
        ("load(TWICE)", "ref is not a constant"),
        ("load(load)", "ref is not a constant"),
        ("A = B\nB = A\nload(A)", "ref is not a constant"),
        ('def main(name="vgg16"):\n    load(name)', "ref is not a constant"),
        ("def main(MODEL):\n    load(MODEL)", "ref is not a constant"),
        ("for name in names:\n    load(name)", "ref is not a constant"),
        ('LATE = "a"\ndef f():\n    global LATE\n    LATE = "b"\nload(LATE)', "ref is not a constant"),
        (
            'def f():\n    n = "a"\n    def g():\n        nonlocal n\n        n = "b"\n    load(n)',
            "ref is not a constant",
        ),
        ('SUM = "a"\nSUM += "b"\nload(SUM)', "ref is not a constant"),
        ('class Net:\n    NAME = "vgg16"\n    def f(self):\n        load(NAME)', "ref is not a constant"),
        ("match x:\n    case [MODEL, *_]:\n        load(MODEL)", "ref is not a constant"),
        ("load(*names)", "* may hold ref"),
        ("load(**wishes)", "** may hold weights"),
        ("load()", "ref is no text"),
        ("load('vgg16', weights=other)", "weights is not a constant"),
        ("models.resnet50(weights=other)", "weights is not a constant"),
        ("models.resnet50(pretrained=not args.scratch)", "pretrained is not a constant"),
        ("get_model(args.arch, weights='DEFAULT')", "name is not a constant"),
        ("get_model('resnet50', weights=True)", "weights=True does not tell which"),
        ("models.quantization.resnet18(pretrained=True)", "weights=True does not tell which"),
        ("models.optical_flow.raft_large(pretrained=True)", "weights=True does not tell which"),
        (
            "fasterrcnn_resnet50_fpn(num_classes=3)",
            "torchvision fetches a backbone unless weights_backbone says which, or None",
        ),
        (
            "fasterrcnn_resnet50_fpn(weights_backbone='DEFAULT')",
            "a backbone's weights are told by their enum alone: ResNet50_Weights.IMAGENET1K_V1",
        ),
        ("timm.create_model(args.model, pretrained=True)", "model_name is not a constant"),
        ("timm.create_model('vgg16', pretrained=args.pretrained)", "pretrained is not a constant"),
        ("timm.create_model('vgg16', **config)", "** may hold pretrained"),
        (
            "timm.create_model('vgg16', pretrained=True, pretrained_cfg=cfg)",
            "pretrained_cfg is not a constant",
        ),
        (
            "timm.create_model('vgg16', pretrained=True, pretrained_cfg_overlay=dict(file='w.bin'))",
            "pretrained_cfg_overlay may name another file",
        ),
    ],
)
def test_what_cannot_be_told_is_reported_by_line(tmp_path: Path, code: str, why: str) -> None:
    """A guess would lock the wrong weights, and silence none."""
    (unclear,) = found_in(tmp_path, code).unclear

    line = next(n for n, text in reversed([*enumerate((HEAD + code).splitlines(), 1)]) if "(" in text)
    assert (why, str(tmp_path / "train.py"), line) == (unclear.why, unclear.path, unclear.line)
    assert str(unclear).startswith(f"{tmp_path / 'train.py'}:{line}: {why}: ")
    assert found_in(tmp_path, code).calls == ()


@pytest.mark.parametrize(
    ("script", "names"),
    [
        ("from zoomgr import *\nload('vgg16')\nprint('timm/vgg16')", ["vgg16"]),
        (
            "from torchvision.models import *\nvgg16(weights='DEFAULT')\nprint('DEFAULT')",
            ["torchvision/vgg16"],
        ),
        ("try:\n    from zoomgr import load\nexcept ImportError:\n    load = None\nload('vgg16')", ["vgg16"]),
        ("def f():\n    import zoomgr\n    zoomgr.load('vgg16')", ["vgg16"]),
        ("from .zoomgr import load\nload('vgg16')", []),
        ("load('vgg16')", []),
        ("# -*- coding: latin-1 -*-\nimport zoomgr\nzoomgr.load('vgg16')  # \xe9", ["vgg16"]),
        ("import zoomgr\nzoomgr.load('vgg16'); '\\d'", ["vgg16"]),
    ],
)
def test_imports_are_followed_wherever_they_stand(tmp_path: Path, script: str, names: list[str]) -> None:
    """All names of a module, in a function, or one of two tries."""
    (tmp_path / "train.py").write_bytes(script.encode("latin-1"))

    found = read_scripts([tmp_path / "train.py"])

    assert names == list(found.names)


def test_a_folder_is_read_without_what_is_not_its_own(tmp_path: Path) -> None:
    """Hidden folders, virtual environments and installed packages are others' code."""
    for name in ("a", "b/c", ".hidden", "venv/lib", "site-packages", "__pycache__"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "x.py").write_text(f"import zoomgr\nzoomgr.pull('{name[:1]}1')\n")
    (tmp_path / "venv" / "pyvenv.cfg").touch()
    (tmp_path / "a" / "notes.txt").write_text("import zoomgr; zoomgr.pull('no')")

    found = read_scripts([tmp_path])

    assert [("a1", str(tmp_path / "a" / "x.py"), 2), ("b1", str(tmp_path / "b" / "c" / "x.py"), 2)] == [
        (call.name, call.path, call.line) for call in found.calls
    ]
    assert found.place_of("b1").path == str(tmp_path / "b" / "c" / "x.py")


def test_a_file_of_a_folder_that_is_no_python_is_told(tmp_path: Path) -> None:
    """The others are read all the same: nobody has named it."""
    (tmp_path / "old.py").write_text("import os\nprint 'vgg16'\n")
    (tmp_path / "train.py").write_text("import zoomgr\nzoomgr.load('vgg16')\n")

    found = read_scripts([tmp_path])

    assert found.names == ("vgg16",)
    (unclear,) = found.unclear
    assert (unclear.path, unclear.line, unclear.code) == (str(tmp_path / "old.py"), 2, "old.py")


def test_nothing_of_a_script_is_run(tmp_path: Path) -> None:
    """It may do anything."""
    (tmp_path / "x.py").write_text(
        f"import zoomgr\nopen({str(tmp_path / 'ran')!r}, 'w')\nzoomgr.load('vgg16')\n"
    )

    assert read_scripts([tmp_path / "x.py"]).names == ("vgg16",)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("content", "line"),
    [(b"print 'vgg16'", 1), (b"x = 1\nif:\n", 2), (b"\0", 0), (b"\xff\xfe", 0), (b"a" + b"(" * 10_000, 0)],
)
def test_what_is_no_python_is_one_clear_error(tmp_path: Path, content: bytes, line: int) -> None:
    """With the place, where Python knows one."""
    (tmp_path / "x.py").write_bytes(content)

    with pytest.raises(UnreadableScriptError) as raised:
        read_scripts([tmp_path / "x.py"])

    assert raised.value.path == str(tmp_path / "x.py")
    assert not line or raised.value.line == line


def test_a_script_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    """It is no empty one."""
    with pytest.raises(UnreadableScriptError, match="No such file"):
        read_scripts([tmp_path / "x.py"])


def test_torchvision_s_enums_are_called_as_its_builders(make_zoo: Callable[..., Zoo]) -> None:
    """What tells a builder by the name of an enum holds for all that are installed, and can be resolved."""
    from torchvision.models import get_model_weights, list_models

    zoo = make_zoo()
    for name in list_models():
        for member in get_model_weights(name):
            found = _MEMBER.fullmatch(f"torchvision.models.{type(member).__name__}.{member.name}")
            assert found
            assert _reference(found) == f"torchvision/{name}@{member.name.lower()}"
            assert str(zoo.resolve(_reference(found)).ref) == _reference(found)


def test_torchvision_s_old_defaults_are_those_of_its_namespaces() -> None:
    """As its builders are declared; those of optical flow have each their own, and are unclear."""
    import torchvision.models

    folder = Path(torchvision.models.__file__).parent
    told = {
        (file.parent.name.replace("models", ""), member.lower())
        for file in folder.rglob("*.py")
        for member in re.findall(r"\(.pretrained., *\w+_Weights\.(\w+)\)", file.read_text())
    }

    assert {each for each in told if each[0] != "optical_flow"} == set(_OLD_DEFAULTS.items())
