"""Keras: `.weights.h5` and `.keras` of version 3, `.h5` of all versions; named by layer and variable.

A network's weights have the same names in all three, so that one translation understands them:
`conv1_conv.kernel`, `conv1_bn.moving_mean`. The new files number the variables of a layer; the numbers become
names where the kind of the layer leaves no choice, and stay numbers elsewhere.
"""

from __future__ import annotations

import json
import re
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from zoomgr.api import Saved
from zoomgr_formats.faults import refused
from zoomgr_formats.hdf5 import MAGIC, Hdf5, opened, opened_inside
from zoomgr_formats.values import NoTensor, dotted
from zoomgr_formats.zips import begin_of, check_members, first_name, is_stored, seekable

_WEIGHTS, _CONFIG, _METADATA = "model.weights.h5", "config.json", "metadata.json"
_OPTIMIZER = "optimizer/"
_TOP_LEVEL = "top_level_model_weights"
_MAX_CONFIG_BYTES = 64 << 20
_COUNTED = re.compile(r"_\d+$")  # conv2d, conv2d_1, conv2d_2, …
_ENDS_IN_NUMBER = re.compile(r"(\D+)(\d*)")
_TENSORFLOW_OUTPUT = re.compile(r":\d+$")
_NORM = ("gamma", "beta")
_VARIABLES: Mapping[str, tuple[tuple[str, ...], ...]] = {
    **dict.fromkeys(
        (
            "dense", "conv1d", "conv2d", "conv3d", "conv1d_transpose", "conv2d_transpose", "conv3d_transpose",
            "depthwise_conv1d", "depthwise_conv2d", "einsum_dense",
        ),
        (("kernel",), ("kernel", "bias")),
    ),
    **dict.fromkeys(
        ("separable_conv1d", "separable_conv2d"),
        (("depthwise_kernel", "pointwise_kernel"), ("depthwise_kernel", "pointwise_kernel", "bias")),
    ),
    "batch_normalization": ((*_NORM, "moving_mean", "moving_variance"),),
    "layer_normalization": (_NORM,),
    "group_normalization": (_NORM,),
    "embedding": (("embeddings",),),
}  # fmt: skip
"""What the variables of a layer can be, by Keras's name of its kind and their count (keras/src/layers).

A normalization of two variables may be one without a scale; only the counts that leave no choice are here.
"""


class KerasH5Format:
    """HDF5: what Keras wrote into it, and any other groups of arrays by their paths."""

    name = "keras-h5"

    def recognises(self, path: Path, first_bytes: bytes) -> bool:  # noqa: ARG002 (the protocol has it)
        """Whether it is an HDF5 file."""
        return first_bytes.startswith(MAGIC)

    def read(self, path: Path) -> Mapping[str, Any]:
        """Its tensors; mapped where they are not compressed."""
        return _read(path, mapped=True)

    def read_copied(self, path: Path) -> Mapping[str, Any]:
        """The same in memory: the file may be written over afterwards."""
        return _read(path, mapped=False)


class KerasFormat:
    """`.keras`: a zip archive of the weights and the configuration."""

    name = "keras"

    def recognises(self, path: Path, first_bytes: bytes) -> bool:
        """Whether it is a zip archive that begins with one of Keras's members."""
        return first_name(path, first_bytes) in {_METADATA, _CONFIG, _WEIGHTS}

    def read(self, path: Path) -> Mapping[str, Any]:
        """Its tensors in the order of its configuration; mapped where nothing is compressed."""
        return _read_archive(path, mapped=True)

    def read_copied(self, path: Path) -> Mapping[str, Any]:
        """The same in memory: the file may be written over afterwards."""
        return _read_archive(path, mapped=False)


def _read_archive(path: Path, *, mapped: bool) -> dict[str, Any]:
    with refused(path), zipfile.ZipFile(path) as archive:
        members = {member.filename: member for member in archive.infolist()}
        check_members(tuple(members.values()), path)
        if _WEIGHTS not in members:
            raise ValueError(f"it is an archive of Keras without {_WEIGHTS}")
        weights = members[_WEIGHTS]
        begin = begin_of(archive, weights) if is_stored(weights) else None
        with (
            seekable(archive, weights, path) as file,
            opened_inside(path, file, begin, mapped=mapped) as content,
        ):
            config = _config(archive, members)
            others = {name: NoTensor("file") for name in members if name not in {_WEIGHTS, _CONFIG}}
            return _saved({**_numbered(content, _order(config)), **others}, config)


def _read(path: Path, *, mapped: bool) -> dict[str, Any]:
    with refused(path), opened(path, mapped=mapped) as content:
        root = "model_weights" if "model_weights" in content.groups else ""
        if content.texts(root, "layer_names"):
            return _saved(_listed(content, root), content.text("", "model_config", _MAX_CONFIG_BYTES))
        if any(_vars_of(group) is not None for group in content.groups):
            return _numbered(content, {})
        return dotted((path, content.value(path)) for path in content.datasets)


def _saved(found: dict[str, Any], config: str) -> dict[str, Any]:
    return Saved(found, {"config": config}) if config else found


def _listed(content: Hdf5, root: str) -> dict[str, Any]:
    """A file that lists its layers and their weights, as all did before Keras 3."""
    above = f"{root}/" if root else ""
    listed: dict[str, str] = {}
    for layer in (*content.texts(root, "layer_names"), _TOP_LEVEL):
        for weight in content.texts(above + layer, "weight_names") if above + layer in content.groups else ():
            listed[f"{above}{layer}/{weight}"] = _weight_name(layer, weight)
    beside = [(path, NoTensor("unlisted")) for path in content.datasets if path not in listed]
    return dotted([*((name, content.value(path)) for path, name in listed.items()), *beside])


def _weight_name(layer: str, weight: str) -> str:
    """LAYER/VARIABLE: most weights are called so by themselves, perhaps behind the network's name.

    TensorFlow adds the number of an output, which is always 0.
    """
    begin = f"/{weight}".find(f"/{layer}/")
    inside = weight[begin:] if begin >= 0 else weight if layer == _TOP_LEVEL else f"{layer}/{weight}"
    return _TENSORFLOW_OUTPUT.sub("", inside)


def _vars_of(group: str) -> str | None:
    """The path of the layer whose variables a group holds."""
    layer, slash, last = group.rpartition("/")
    return layer if last == "vars" and (slash or not layer) else None


def _numbered(content: Hdf5, order: Mapping[str, int]) -> dict[str, Any]:
    """A file of Keras 3: groups of layers, each with its own name, and numbered variables.

    Args:
        content: the file.
        order: of the layers, by name; those that it does not have keep the file's order, behind the others.
    """
    counts = Counter(path.rpartition("/")[0] for path in content.datasets)
    names = {path: _variable_name(content, path, counts) for path in content.datasets}
    if len(set(names.values())) < len(names):  # layers that share a name
        names = {path: path for path in names}

    def place(path: str) -> tuple[int, list[tuple[str, int]]]:
        numbers = [(text, int(part or 0)) for text, part in _ENDS_IN_NUMBER.findall(path)]
        return order.get(names[path].rpartition("/")[0], len(order)), numbers

    return dotted((names[path], _value(content, path)) for path in sorted(content.datasets, key=place))


def _value(content: Hdf5, path: str) -> Any:
    return NoTensor("optimizer") if path.startswith(_OPTIMIZER) else content.value(path)


def _variable_name(content: Hdf5, path: str, counts: Mapping[str, int]) -> str:
    group, _, number = path.rpartition("/")
    layer = _vars_of(group)
    if layer is None or path.startswith(_OPTIMIZER):
        return path
    return f"{_layer_name(content, layer)}/{_variable(layer, number, counts[group])}".removeprefix("/")


def _layer_name(content: Hdf5, layer: str) -> str:
    """The names of a layer and of those that it lies in; of the file's own where a group has none."""
    parts = layer.split("/") if layer else []
    names = []
    for count, part in enumerate(parts, 1):
        inside = f"{'/'.join(parts[:count])}/vars"
        given = content.text(inside, "name") if inside in content.groups else ""
        if part not in {"layers", "_layer_checkpoint_dependencies"}:
            names.append(given or part)
    return "/".join(names)


def _variable(layer: str, number: str, count: int) -> str:
    kind = _COUNTED.sub("", layer.rpartition("/")[2])
    names = next((names for names in _VARIABLES.get(kind, ()) if len(names) == count), ())
    return names[int(number)] if number in map(str, range(len(names))) else number


def _config(archive: zipfile.ZipFile, members: Mapping[str, zipfile.ZipInfo]) -> str:
    if _CONFIG not in members:
        return ""
    if members[_CONFIG].file_size > _MAX_CONFIG_BYTES:
        raise ValueError(f"its configuration has {members[_CONFIG].file_size:,} bytes")
    return archive.read(_CONFIG).decode()


def _order(config: str) -> dict[str, int]:
    """Places of layers by their names, those of networks in networks behind the outer one's name."""
    return {name: place for place, name in enumerate(_layers(json.loads(config or "{}"), ""))}


def _layers(config: Any, above: str) -> Iterator[str]:
    layers = config.get("config", {}).get("layers", ()) if isinstance(config, dict) else ()
    for layer in layers:
        name = f"{above}{layer['config']['name']}"
        yield name
        yield from _layers(layer, f"{name}/")
