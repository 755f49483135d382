"""A checkpoint as safetensors, under its own keys or an architecture's; the file says what it was made of."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from zoomgr.adapt.attributes import KEY, dumped
from zoomgr.adapt.made import Made
from zoomgr.cache.disk import sha256_of
from zoomgr.checkpoint.stream import sharing, streamed
from zoomgr.checkpoint.write import check_place, write_safetensors
from zoomgr.errors import (
    CannotConvertError,
    InvalidSettingError,
    UnreadableCheckpointError,
    reason_of,
    redacted,
)
from zoomgr.host import PluginHost
from zoomgr.loader import Loader
from zoomgr.records import Digest, Fresh, LoadPlan, ModelCard, Move, SetAttribute, Unused
from zoomgr.request import Request
from zoomgr.resolve import Ref, Resolver

if TYPE_CHECKING:
    from zoomgr.checkpoint import Checkpoint

_INDEX = "-index"
"""What formats are called whose files name others, with the tensors."""

_OURS = "zoomgr."
"""What the keys of our own texts begin with."""


@dataclass(frozen=True, slots=True)
class Origin:
    """What a file was made of.

    Attributes:
        ref: of the checkpoint.
        digest: whole sha256 of its file.
        arch: FAMILY/NAME of the architecture whose keys the new file has; empty for the checkpoint's own.
        shards: where that file only names those with the tensors, their digests by name.
    """

    ref: str
    digest: Digest
    arch: str = ""
    shards: Mapping[str, Digest] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """What may be told to others: of a path the last part, of a URL no secrets."""
        path = Path(self.ref)
        return path.name if path.is_absolute() else redacted(self.ref)


@dataclass(frozen=True, slots=True)
class Converted:
    """A file that was written.

    Attributes:
        path, digest, size_bytes: of the file.
        origin: what it was made of.
        tensors: how many are in it.
        missing: of the architecture's tensors those that are not in it, and why.
        shared: names whose values were one with another's in the checkpoint; here each has its own.
        plan: what was carried out.
    """

    path: Path
    digest: Digest
    size_bytes: int
    origin: Origin
    tensors: int
    missing: tuple[Fresh, ...]
    shared: tuple[str, ...]
    plan: LoadPlan

    @property
    def attributes(self) -> tuple[SetAttribute, ...]:
        """Hyper-parameters that belong to the weights, and that a state dict does not set."""
        return self.plan.attributes


class Converter:
    """Writes checkpoints as safetensors.

    Args:
        host: gives families, formats and adapters.
        resolver: gives cards.
        file: gives the proven file of a card, fetched if need be.
    """

    def __init__(
        self, host: PluginHost, resolver: Resolver, file: Callable[[ModelCard], tuple[Path, Digest | None]]
    ) -> None:
        self._resolver = resolver
        self._loader = Loader(host, resolver, file, reads=streamed)

    def convert(self, ref: Ref, out: Path, request: Request, *, replace_other: bool) -> Converted:
        """Write what a reference means, for `request.arch` or as it is; see `zoomgr.Zoo.convert`."""
        check_place(out, replace=replace_other)
        name, checkpoint, plan = self._planned(ref, request)
        try:
            origin = Origin(name, sha256_of(checkpoint.path), request.arch, _shards(checkpoint))
        except OSError as error:
            raise UnreadableCheckpointError(str(checkpoint.path), reason_of(error)) from error
        return convert(out, origin, checkpoint, plan)

    def _planned(self, ref: Ref, request: Request) -> tuple[str, Checkpoint, LoadPlan]:
        if not request.arch:
            _check_keys_stay(request)
            card = self._resolver.resolve(ref)
            checkpoint = self._loader.read(card)
            return str(card.ref), checkpoint, same_keys(checkpoint, request.ignore)
        prepared = self._loader.prepare(ref, weights=True, request=request)
        return prepared.ref, cast("Checkpoint", prepared.checkpoint), prepared.plan


def _shards(checkpoint: Checkpoint) -> dict[str, Digest]:
    """Digests of the files beside an index, which has been read, and names nothing else; OSError as ever."""
    if not checkpoint.format.endswith(_INDEX):
        return {}
    names = dict.fromkeys(json.loads(checkpoint.path.read_bytes())["weight_map"].values())
    return {name: sha256_of(checkpoint.path.with_name(name)) for name in names}


def _check_keys_stay(request: Request) -> None:
    """Refuse what is said of an architecture when none is named."""
    for name in ("num_classes", "in_ch", "match", "partial"):
        value = getattr(request, name)
        if value != getattr(Request(), name):
            problem = "without an architecture the keys and shapes stay as they are"
            raise InvalidSettingError(name, str(value), problem, "name one with to (--to FAMILY/NAME)")


def same_keys(checkpoint: Checkpoint, ignore: Sequence[str]) -> LoadPlan:
    """The plan that takes every tensor under its own name.

    Args:
        checkpoint: what is converted.
        ignore: globs of keys that are left out.
    """
    left = {spec.name for spec in checkpoint.specs if any(fnmatchcase(spec.name, glob) for glob in ignore)}
    kept = tuple(spec for spec in checkpoint.specs if spec.name not in left)
    unused = tuple(Unused(spec.name, "ignored") for spec in checkpoint.specs if spec.name in left)
    moves = tuple(Move(spec.name, (spec.name,)) for spec in kept)
    return LoadPlan(checkpoint.specs, kept, moves, unused=unused)


def convert(out: Path, origin: Origin, checkpoint: Checkpoint, plan: LoadPlan) -> Converted:
    """Write what a plan makes of a checkpoint, in the types that the checkpoint has; tensor by tensor.

    Args:
        out: the file, see `zoomgr.checkpoint.write.check_place`.
        origin: of the checkpoint.
        checkpoint: the tensors.
        plan: for them.

    Raises:
        CannotConvertError: nothing is left to write, or safetensors have no type for it.
        FileUnwritableError: the disk is full, or refuses.
    """
    made = Made(plan, checkpoint.tensors)
    if not made.specs:
        raise CannotConvertError(str(out), "no tensor is left")
    digest = write_safetensors(out, made.specs, made.tensor, _texts(origin, checkpoint, plan))
    used = {name for move in plan.moves for name in move.sources}
    shared = tuple(name for name in sharing(checkpoint.tensors) if name in used)
    return Converted(out, digest, out.stat().st_size, origin, len(made.specs), plan.fresh, shared, plan)


def _texts(origin: Origin, checkpoint: Checkpoint, plan: LoadPlan) -> dict[str, str]:
    """What the file says of itself: the source's own texts, and what it was made of."""
    texts = {key: text for key, text in checkpoint.metadata.items() if isinstance(text, str)}
    before = {key: texts.pop(key) for key in list(texts) if key.startswith(_OURS)}
    ours = {
        "version": version("zoomgr"),
        "source": origin.name,
        "source_sha256": origin.digest.hex,
        "source_shards": _compact({name: shard.hex for name, shard in origin.shards.items()}),
        "arch": origin.arch,
        "plan": _compact(_account(plan) if origin.arch else {}),
        "before": _compact(before),
    }
    attributes = dumped(plan.attributes) or before.get(KEY, "")
    kept = {KEY: attributes} if attributes else {}
    return {"format": "pt", **texts, **{_OURS + key: text for key, text in ours.items() if text}, **kept}


def _account(plan: LoadPlan) -> dict[str, Any]:
    """A plan in a few words: how keys were matched, and how many tensors became what."""
    adapted = sum(move.is_adapted for move in plan.moves)
    return {
        "match": plan.adapter,
        "tensors": len(plan.target),
        "loaded": len(plan.moves) - adapted,
        "adapted": adapted,
        "missing": len(plan.fresh),
        "unused": len(plan.unused),
    }


def _compact(value: Mapping[str, Any]) -> str:
    return json.dumps(value, separators=(",", ":")) if value else ""
