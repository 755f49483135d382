"""Weights under their published names without the internet: random values, in a cache that is only read."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import save_file

import zoomgr
from zoomgr.cache.store import Store
from zoomgr.records import ModelCard
from zoomgr.settings import Settings

_SHORT = {torch.float32: "F32", torch.int64: "I64"}


class Stock:
    """A cache that gets weights when they are first asked for.

    Random weights are not the published ones, so a registry pins their digests.

    Args:
        folder: an own one.
    """

    def __init__(self, folder: Path) -> None:
        self.cache = folder / "stock"
        self.registry = folder / "stock.toml"
        self._scratch = folder
        self._pins: dict[str, str] = {}
        self._zoo = zoomgr.Zoo(Settings(folder / "none", offline=True))
        self._store = Store(self.cache)

    def hold(self, *refs: str) -> None:
        """Have these."""
        for card in map(self._zoo.resolve, refs):
            if str(card.ref) not in self._pins:
                self._pins[str(card.ref)] = self._put(card)
        pins = [f'"{ref}" = "{digest}"' for ref, digest in self._pins.items()]
        self.registry.write_text("\n".join(["version = 1", "[pins]", *pins, ""]))

    def file(self, ref: str) -> Path:
        """The file of one."""
        self.hold(ref)
        entry = self._store.find(str(self._zoo.resolve(ref).ref))
        assert entry
        return entry.path

    def _put(self, card: ModelCard) -> str:
        assert card.artifact
        path = self._scratch / card.artifact.filename
        tensors = random_state(self._zoo, card)
        if path.suffix == ".safetensors":
            save_file(tensors, path)
        else:
            torch.save(tensors, path)
        entry = self._store.adopt(
            path,
            ref=str(card.ref),
            url=card.artifact.urls[0],
            promised=None,
            license=card.license,
            filename=card.artifact.filename,
        )
        path.unlink()
        return str(entry.digest)


def random_state(zoo: zoomgr.Zoo, card: ModelCard) -> dict[str, torch.Tensor]:
    """Tensors of an architecture, through which signals come; the same each time."""
    family, _, name = card.arch.partition("/")
    with torch.device("meta"):
        model = zoo.host.get_family(family).build(name, num_classes=card.num_classes, **card.build_args)
    draw = torch.Generator().manual_seed(0)
    return {key: _random(key, value, draw) for key, value in model.state_dict().items()}


def _random(name: str, like: torch.Tensor, draw: torch.Generator) -> torch.Tensor:
    value = torch.zeros(like.shape, dtype=like.dtype)
    if like.ndim > 1:
        spread = 1.7 / math.sqrt(math.prod(like.shape[1:]))
        return value.uniform_(-spread, spread, generator=draw)
    return value + 1 if name.endswith(("running_var", "weight")) else value


def write_empty(tensors: Mapping[str, torch.Tensor], path: Path) -> None:
    """A safetensors file of zeros that takes no room: names and shapes, then a hole."""
    header, end = {}, 0
    for name, like in tensors.items():
        start, end = end, end + like.numel() * like.element_size()
        header[name] = {"dtype": _SHORT[like.dtype], "shape": list(like.shape), "data_offsets": [start, end]}
    text = json.dumps(header).encode()
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.truncate(8 + len(text) + end)
