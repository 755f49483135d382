"""The models that benchmarks/load.py compares, and weights for them where each library looks for its own.

Nothing is downloaded: the values are random, of sizes that keep outputs finite; names, shapes and formats are
those of the published files. All contenders read the same file, so none has a warmer page cache than another.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from load_contenders import without_initialisation

if TYPE_CHECKING:
    from torch import Tensor, nn

ZOOS = ("torchvision", "timm")
COMMIT = "c" * 40

MODELS: Mapping[str, tuple[str, str]] = {
    "resnet50": ("ResNet-50", "resnet50"),
    "vgg16": ("VGG-16", "vgg16"),
    "densenet121": ("DenseNet-121", "densenet121"),
    "efficientnet_b0": ("EfficientNet-B0", "efficientnet_b0"),
    "convnext_tiny": ("ConvNeXt-T", "convnext_tiny"),
    "vit_b_16": ("ViT-B/16", "vit_base_patch16_224"),
    "swin_t": ("Swin-T", "swin_tiny_patch4_window7_224"),
    "vit_l_16": ("ViT-L/16", "vit_large_patch16_224"),
}
"""torchvision's name -> title and timm's name."""

SMALL = {"torchvision": "squeezenet1_1", "timm": "lcnet_050"}
"""Loaded before others where one-time costs of a process are not to be counted."""

_TODAYS_NAME = re.compile(r"(.*denselayer\d+\.(?:norm|conv))([12]\..*)")


@dataclass(frozen=True, slots=True)
class Weights:
    """One model of one zoo, with a file of its weights.

    Attributes:
        zoo: whose architecture it is: "torchvision" or "timm".
        name: as that library calls it.
        title: as people call it.
        tag: of the weights.
        path: the file, under the name that the library knows.
    """

    zoo: str
    name: str
    title: str
    tag: str
    path: Path

    @property
    def ref(self) -> str:
        """As zoomgr calls it."""
        return f"{self.zoo}/{self.name}@{self.tag}"

    @property
    def size_bytes(self) -> int:
        """Of the file; what is not values is less than a percent."""
        return self.path.stat().st_size


def environment(scratch: Path) -> dict[str, str]:
    """The caller's, with every cache in the scratch folder, no registry of the user's, and no network.

    Compiled code of modules is kept, as pip does when it installs them.
    """
    foreign = ("ZOOMGR_", "HF_", "HUGGINGFACE_", "TORCH_HOME", "XDG_", "PYTHONDONTWRITEBYTECODE")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    return {
        **kept,
        "TORCH_HOME": str(scratch / "torch"),
        "HF_HOME": str(scratch / "hf"),
        "HF_HUB_OFFLINE": "1",
        "XDG_CACHE_HOME": str(scratch / "caches"),
        "XDG_CONFIG_HOME": str(scratch / "config"),
        "ZOOMGR_CACHE": str(scratch / "zoomgr"),
        "ZOOMGR_REGISTRY": str(scratch / "registry.toml"),
        "ZOOMGR_OFFLINE": "1",
    }


def made(scratch: Path, names: Iterable[str]) -> tuple[list[Weights], dict[str, Weights]]:
    """Weights of these models in both zoos, and the small one of each zoo; in zoomgr's cache, too.

    What an earlier run left in the folder is used again.
    """
    small = {zoo: _weights(scratch, zoo, name, name) for zoo, name in SMALL.items()}
    asked = [
        _weights(scratch, zoo, name if zoo == "torchvision" else MODELS[name][1], MODELS[name][0])
        for zoo in ZOOS
        for name in names
    ]
    every = [*small.values(), *asked]
    pins = {one.ref: _sha256(one.path) for one in every}
    lines = ["version = 1", "[pins]", *(f'"{ref}" = "{digest}"' for ref, digest in pins.items())]
    (scratch / "registry.toml").write_text("\n".join(lines) + "\n")

    import zoomgr

    for ref, digest in pins.items():  # adopted from the folders of torch hub and Hugging Face
        assert zoomgr.pull(ref).digest.hex == digest
    return asked, small


def random_state(model: nn.Module) -> dict[str, Tensor]:
    """Values for a model's state that let a signal through: fan-in scaled weights, scales about 1."""
    import torch

    generator = torch.Generator().manual_seed(0)
    state: dict[str, Tensor] = model.state_dict()
    for key, value in state.items():
        if value.is_floating_point():
            low, high = _bounds(key, value)
            value.uniform_(low, high, generator=generator)
    return state


def _bounds(key: str, value: Tensor) -> tuple[float, float]:
    if value.ndim > 1:
        bound = (6 / max(1, value[0].numel())) ** 0.5  # He's, uniform
        return -bound, bound
    return (0.5, 1.5) if key.endswith(("weight", "running_var")) else (-0.1, 0.1)


def _weights(scratch: Path, zoo: str, name: str, title: str) -> Weights:
    return (_of_torchvision if zoo == "torchvision" else _of_timm)(scratch, name, title)


def _of_torchvision(scratch: Path, name: str, title: str) -> Weights:
    """In torch.hub's folder."""
    import torch
    from torchvision import models

    published = models.get_model_weights(name).DEFAULT
    path = scratch / "torch" / "hub" / "checkpoints" / published.url.rpartition("/")[2]
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        with without_initialisation():
            model = models.get_model(name)
        unfinished = path.with_suffix(".unfinished")
        torch.save(_as_published(name, random_state(model)), unfinished)
        unfinished.replace(path)
    return Weights("torchvision", name, title, published.name.lower(), path)


def _as_published(name: str, state: dict[str, Tensor]) -> dict[str, Tensor]:
    """DenseNet's file is older than its module: other names, and no counters of batches."""
    if not name.startswith("densenet"):
        return state
    return {
        _TODAYS_NAME.sub(r"\1.\2", key): value
        for key, value in state.items()
        if not key.endswith("num_batches_tracked")
    }


def _of_timm(scratch: Path, name: str, title: str) -> Weights:
    """In the folder of Hugging Face: a blob by its sha256, and a link to it in the snapshot of a commit."""
    import timm
    from safetensors.torch import save_file

    published = timm.get_pretrained_cfg(name)
    repository = scratch / "hf" / "hub" / f"models--{published.hf_hub_id.replace('/', '--')}"
    path = repository / "snapshots" / COMMIT / "model.safetensors"
    if not path.exists():
        for folder in (path.parent, repository / "blobs", repository / "refs"):
            folder.mkdir(parents=True, exist_ok=True)
        (repository / "refs" / "main").write_text(COMMIT)
        with without_initialisation():
            model = timm.create_model(name)
        unfinished = repository / "blobs" / "unfinished"
        save_file({key: value.contiguous() for key, value in random_state(model).items()}, unfinished)
        blob = unfinished.rename(repository / "blobs" / _sha256(unfinished))
        path.symlink_to(Path("..", "..", "blobs", blob.name))
    return Weights("timm", name, title, published.tag, path)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
