"""Reads the installed torchvision into a catalogue; run by tools/make_catalogue.py, and for other versions.

torchvision publishes neither which layers are stem and head nor what its builders do differently when they
are given weights. The first is found by building each model on the meta device, the second are the rules of
`_build_args`, which the tests hold against every builder.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from inspect import signature
from typing import TYPE_CHECKING, Any

from zoomgr.api import Digest
from zoomgr_torchvision import legacy

if TYPE_CHECKING:
    from torch import nn

MIB = 2**20
IMAGE_CHANNELS = 3
LABEL_SETS = {
    (1000, "tench"): "imagenet-1k",
    (91, "__background__"): "coco-91",
    (21, "__background__"): "voc-21",
    (400, "abseiling"): "kinetics-400",
    (2, "no person"): "coco-person-2",
}
"""Names of the label sets in `zoomgr/look/labels/`, by count and first label."""

_TASKS = {
    "detection": "detection",
    "segmentation": "segmentation",
    "video": "video",
    "optical_flow": "optical-flow",
}
_FROZEN_NORM_EPS = {
    "fasterrcnn_mobilenet_v3_large_320_fpn": 1e-5,
    "fasterrcnn_mobilenet_v3_large_fpn": 1e-5,
    "fasterrcnn_resnet50_fpn": 0.0,
    "fcos_resnet50_fpn": 1e-5,
    "keypointrcnn_resnet50_fpn": 0.0,
    "keypointrcnn_resnet50_fpn@coco_legacy": 1e-5,
    "maskrcnn_resnet50_fpn": 0.0,
    "retinanet_resnet50_fpn": 0.0,
}
"""Detectors whose weights belong to a backbone with FrozenBatchNorm2d, and its eps (`overwrite_eps` in
torchvision/models/detection): their builders do this only when they are given weights."""
_SWITCHES = {"googlenet", "inception_v3"}
_RENAMED = {
    "densenet",
    "vision_transformer",
    "faster_rcnn",
    "fcos",
    "keypoint_rcnn",
    "mask_rcnn",
    "retinanet",
}
"""Modules of torchvision.models whose loading renames keys; their files may have the old names."""
_NOTES = {
    "vgg16@imagenet1k_features": "only the features have values, the classifier is NaN: it cannot classify",
}
_QUANTIZED_NOTE = "int8 weights for the {} engine: they can be fetched and built, not adapted"


def make_catalogue() -> dict[str, Any]:
    """Models and weights of the installed torchvision, sorted; see docs/catalogues.md for the rows."""
    import torchvision
    from torchvision.models import list_models

    names = list_models()
    return {
        "version": torchvision.__version__.partition("+")[0],
        "models": {name: model_row(name) for name in names},
        "weights": [row for name in names for row in _weight_rows(name)],
    }


def model_row(name: str) -> dict[str, Any]:
    """What is known of an architecture: task, default count of classes, stem, head.

    Raises:
        ValueError: torchvision has no such model.
    """
    from torchvision.models import get_model_weights

    weights = get_model_weights(name)
    default = getattr(weights, "DEFAULT", None)
    is_renamed = _module(name) in _RENAMED
    row: dict[str, Any] = {"task": _task(name), "schema": legacy.NAME if is_renamed else ""}
    if default is not None:
        row["build_args"] = _build_args(name, default)
        row["num_classes"] = len(default.meta.get("categories") or ()) or None
    if not name.startswith("quantized_"):
        row |= _layers(name, row.get("build_args", {}))
    return {key: value for key, value in row.items() if value}


def label_sets() -> dict[str, tuple[str, ...]]:
    """All label sets of `LABEL_SETS`, in the order of the heads."""
    from torchvision.models import get_model_weights, list_models

    found = [
        tuple(weights.meta.get("categories") or ())
        for name in list_models()
        for weights in get_model_weights(name)
    ]
    return {name: labels for labels in found if labels and (name := LABEL_SETS.get((len(labels), labels[0])))}


def _task(name: str) -> str:
    from torchvision.models import get_model_builder

    module = get_model_builder(name).__module__.split(".")
    if module[-1] == "keypoint_rcnn":
        return "keypoints"
    return _TASKS.get(module[2], "classification")


def _module(name: str) -> str:
    from torchvision.models import get_model_builder

    module: str = get_model_builder(name).__module__
    return module.rpartition(".")[2]


def _build_args(name: str, weights: Any) -> dict[str, Any]:
    """What the builder would set for these weights itself (`_ovewrite_named_param` in torchvision/models)."""
    from torchvision.models import get_model_builder

    if name.startswith("quantized_"):
        return {"quantize": True, "backend": weights.meta["backend"]}
    if name in _SWITCHES:
        # init_weights only silences a warning: it asks for the initialisation that is the default anyway.
        return {"aux_logits": True, "transform_input": True, "init_weights": True}
    if _module(name) == "vision_transformer":
        return {"image_size": weights.meta["min_size"][0]}
    if "aux_loss" in signature(get_model_builder(name)).parameters:
        return {"aux_loss": True}
    tagged = f"{name}@{weights.name.lower()}"
    eps = _FROZEN_NORM_EPS.get(tagged, _FROZEN_NORM_EPS.get(name))
    return {} if eps is None else {"frozen_norm_eps": eps}


# -- stem and head -------------------------------------------------------------------------------------------


def _layers(name: str, build_args: dict[str, Any]) -> dict[str, Any]:
    """Paths of the convolutions that take the picture, and of the layers that give the outputs."""
    from torchvision.models import get_model_builder

    builder = get_model_builder(name)
    arguments = {key: value for key, value in build_args.items() if key != "frozen_norm_eps"}
    model = _build(builder, **arguments)
    others = [_with_other(builder, count, arguments) for count in ("num_classes", "num_keypoints")]
    changed = {path for other in others if other for path in _changed(model, other)}
    head = [path for path, _ in model.named_modules() if path in changed]
    row: dict[str, Any] = {"stem": list(_stem(model)), "head": head}
    if head and _task(name) == "classification":
        row["num_classes"] = model.get_parameter(f"{head[-1]}.weight").shape[0]
    return row


_OTHER_COUNT = 7
"""A count of outputs that no published model has."""


def _with_other(builder: Callable[..., Any], count: str, arguments: dict[str, Any]) -> nn.Module | None:
    """The model with another count of outputs; None where its builder knows no such count."""
    if count != "num_classes" and count not in signature(builder).parameters:
        return None
    try:
        return _build(builder, **arguments, **{count: _OTHER_COUNT})
    except TypeError:  # RAFT has no classes
        return None


def _build(builder: Callable[..., nn.Module], **arguments: Any) -> nn.Module:
    """The model without memory for its parameters."""
    import torch

    if "weights_backbone" in signature(builder).parameters:
        arguments["weights_backbone"] = None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torchvision announces another default initialisation, unused here
        try:
            with torch.device("meta"):
                return builder(weights=None, **arguments)
        except NotImplementedError:  # RegNet computes its widths with tensors
            with _empty_on_meta():
                return builder(weights=None, **arguments)


def _empty_on_meta() -> AbstractContextManager[Any]:
    """A mode in which only `torch.empty`, where layers get their parameters from, is on the meta device."""
    import torch
    from torch.overrides import TorchFunctionMode

    class EmptyOnMeta(TorchFunctionMode):
        def __torch_function__(
            self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
        ) -> Any:
            kwargs = {**(kwargs or {}), "device": "meta"} if func is torch.empty else kwargs or {}
            return func(*args, **kwargs)

    return EmptyOnMeta()


def _stem(model: nn.Module) -> Iterator[str]:
    from torch import nn

    for path, module in model.named_modules():
        if isinstance(module, nn.Conv2d | nn.Conv3d) and module.in_channels == IMAGE_CHANNELS:
            yield path


def _changed(model: nn.Module, other: nn.Module) -> Iterator[str]:
    shapes = {key: value.shape for key, value in other.named_parameters()}
    for key, value in model.named_parameters():
        if shapes[key] != value.shape:
            yield key.rpartition(".")[0]


# -- weights -------------------------------------------------------------------------------------------------


def _weight_rows(name: str) -> Iterator[dict[str, Any]]:
    from torchvision.models import get_model_weights

    enum = get_model_weights(name)
    for weights in enum:
        row = {
            "model": name,
            "tag": weights.name.lower(),
            "default": weights is enum.DEFAULT,
            **_file(weights),
            **_facts(weights.meta),
            "preprocess": _preprocess(weights.transforms()),
            "build_args": _build_args(name, weights),
            "notes": _note(name, weights),
        }
        yield {key: value for key, value in row.items() if value not in (None, "", False, {})}


def _file(weights: Any) -> dict[str, Any]:
    digest = Digest.from_filename(weights.url.rpartition("/")[2])
    return {
        "url": weights.url,
        "digest": digest and digest.hex,
        "size_bytes": round(weights.meta["_file_size"] * MIB),
    }


def _facts(meta: dict[str, Any]) -> dict[str, Any]:
    labels = tuple(meta.get("categories") or ())
    metrics = {
        f"{dataset} {metric}": value
        for dataset, values in meta["_metrics"].items()
        for metric, value in values.items()
        if not math.isnan(value)
    }
    return {
        "params": meta["num_params"],
        "num_classes": len(labels) or None,
        "labels": LABEL_SETS.get((len(labels), labels[0]), list(labels)) if labels else None,
        "license": meta.get("license"),
        "recipe": meta["recipe"],
        "metrics": metrics,
    }


def _preprocess(preset: Any) -> dict[str, Any] | None:
    """The record of an image classification preset; no other kind fits into `Preprocess`."""
    if type(preset).__name__ != "ImageClassification":
        return None
    (size,), (resize,) = preset.crop_size, preset.resize_size
    return {
        "size": size,
        "resize": resize,
        "mean": preset.mean,
        "std": preset.std,
        "interpolation": preset.interpolation.value,
    }


def _note(name: str, weights: Any) -> str:
    if name.startswith("quantized_"):
        return _QUANTIZED_NOTE.format(weights.meta["backend"])
    return _NOTES.get(f"{name}@{weights.name.lower()}", "")
