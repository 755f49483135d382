"""Reads the installed torchvision into a catalogue; run by tools/make_catalogue.py, and for other versions.

torchvision publishes neither which layers are stem and head nor what its builders do differently when they
are given weights. The first is found by `zoomgr_torchvision.places`, the second are the rules of
`_build_args`, which the tests hold against every builder.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from inspect import signature
from typing import Any

from zoomgr.api import Digest
from zoomgr_torchvision import legacy
from zoomgr_torchvision.places import find_places

MIB = 2**20
LABEL_SETS = {
    (1000, "tench"): "imagenet-1k",
    (91, "__background__"): "coco-91",
    (21, "__background__"): "voc-21",
    (400, "abseiling"): "kinetics-400",
    (2, "no person"): "coco-person-2",
}
"""Names of the label sets in `zoomgr/labels/`, by count and first label."""

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
_QUANTIZED = "quantized_"
"""How torchvision calls the models that it can convert to int8; they take the float weights, too."""
_QUANTIZED_NOTE = "int8 weights for the {} engine: they can be fetched and built, not adapted"
_QUANTIZABLE_NOTE = (
    "the float weights of {}, for a network that can be quantized: to be trained or adapted first"
)


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
    from torchvision.models import get_model_builder, get_model_weights

    weights = get_model_weights(name)
    default = getattr(weights, "DEFAULT", None)
    is_renamed = _module(name) in _RENAMED
    row: dict[str, Any] = {"task": _task(name), "schema": legacy.NAME if is_renamed else ""}
    if default is not None:
        row["build_args"] = _build_args(name, default)
        row["num_classes"] = len(default.meta.get("categories") or ()) or None
    as_float = next((each for each in _every_weights(name) if "backend" not in each.meta), None)
    arguments = _build_args(name, as_float) if as_float else {}
    if "quantize" in arguments:
        row["float_args"] = arguments
    theirs = {key: value for key, value in arguments.items() if key != "frozen_norm_eps"}
    found = find_places(get_model_builder(name), theirs)
    row |= {"stem": found.stem, "head": found.head}
    if found.head and row["task"] == "classification":
        row["num_classes"] = found.outputs
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

    model = name.removeprefix(_QUANTIZED)
    if "backend" in weights.meta:
        # The published int8 file of googlenet has the auxiliary heads, inception_v3's has not.
        switches = {"aux_logits": model == "googlenet", "transform_input": True, "init_weights": False}
        own = switches if model in _SWITCHES else {}
        return {"quantize": True, "backend": weights.meta["backend"], **own}
    quantize = {} if model == name else {"quantize": False}
    if model in _SWITCHES:
        # init_weights only silences a warning: it asks for the initialisation that is the default anyway.
        return {**quantize, "aux_logits": True, "transform_input": True, "init_weights": True}
    if quantize:
        return quantize
    if _module(name) == "vision_transformer":
        return {"image_size": weights.meta["min_size"][0]}
    if "aux_loss" in signature(get_model_builder(name)).parameters:
        return {"aux_loss": True}
    tagged = f"{name}@{weights.name.lower()}"
    eps = _FROZEN_NORM_EPS.get(tagged, _FROZEN_NORM_EPS.get(name))
    return {} if eps is None else {"frozen_norm_eps": eps}


# -- weights -------------------------------------------------------------------------------------------------


def _weight_rows(name: str) -> Iterator[dict[str, Any]]:
    from torchvision.models import get_model_weights

    default = getattr(get_model_weights(name), "DEFAULT", None)
    for weights in _every_weights(name):
        row = {
            "model": name,
            "tag": weights.name.lower(),
            "default": weights is default,
            **_file(weights),
            **_facts(weights.meta),
            "preprocess": _preprocess(weights.transforms()),
            "build_args": _build_args(name, weights),
            "notes": _note(name, weights),
        }
        yield {key: value for key, value in row.items() if value not in (None, "", False, {})}


def _every_weights(name: str) -> Iterator[Any]:
    """The weights that the builder takes.

    That of a quantized model takes int8 weights, or the float ones that they were made of (`quantize=False`).
    """
    from torchvision.models import get_model_weights

    enum: Iterable[Any] = get_model_weights(name)
    yield from enum
    yield from dict.fromkeys(
        each for of in enum if "unquantized" in of.meta for each in type(of.meta["unquantized"])
    )


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
    if "backend" in weights.meta:
        return _QUANTIZED_NOTE.format(weights.meta["backend"])
    if name.startswith(_QUANTIZED):
        return _QUANTIZABLE_NOTE.format(name.removeprefix(_QUANTIZED))
    return _NOTES.get(f"{name}@{weights.name.lower()}", "")
