"""The whole behaviour, as methods of one object; the functions of `zoomgr` call a default one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoomgr.cache.disk import sha256_of
from zoomgr.cache.fetch import Fetcher, Progress, SilentProgress, candidate_urls
from zoomgr.cache.store import Store
from zoomgr.cache.verify import Verdict, verify
from zoomgr.errors import (
    BlobAlteredError,
    CannotPredictError,
    DigestMismatchError,
    InvalidSettingError,
    NotCachedError,
    NoWeightsError,
    UnreadableCheckpointError,
    reason_of,
)
from zoomgr.hookspecs import Options
from zoomgr.host import PluginHost
from zoomgr.records import (
    Artifact,
    CacheEntry,
    Digest,
    LoadPlan,
    LoadReport,
    ModelCard,
)
from zoomgr.registry import Registry
from zoomgr.resolve import Ref, Resolver
from zoomgr.settings import Settings

if TYPE_CHECKING:
    import torch
    from PIL import Image
    from torch import Tensor, nn

    from zoomgr.checkpoint import Checkpoint, Contents
    from zoomgr.loader import Loader
    from zoomgr.look.predict import Prediction

_RGB = 3
_OWN_FILES = frozenset({"path", "file"})


class Zoo:
    """Models by name: found, fetched, proven, loaded.

    Args:
        settings: where things lie and what is allowed; by default as the environment says.
        progress: shown while bytes arrive; by default nothing is.
        host: plugins to use instead of the installed ones.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        progress: Progress | None = None,
        host: PluginHost | None = None,
    ) -> None:
        self.settings = settings or Settings.from_environment()
        self.registry = Registry.load(self.settings.registry_files)
        self.store = Store(self.settings.cache_dir, self.settings.cache_layers)
        self.host = host or PluginHost(
            Options(self.settings.offline, self.store.remember), disabled=self.settings.disabled_plugins
        )
        self._resolver = Resolver(self.host, self.registry)
        self._progress = progress or SilentProgress()

    # -- finding ---------------------------------------------------------------------------------------------

    def resolve(self, ref: Ref) -> ModelCard:
        """The card that a reference means; see `zoomgr.resolve.Resolver.resolve` for its errors."""
        return self._resolver.resolve(ref)

    show = resolve

    def which(self, name: str) -> tuple[ModelCard, ...]:
        """Everything that a name could mean; the first is what it does mean."""
        return self._resolver.candidates(name)

    def available(self, pattern: str = "*", *, source: str = "") -> tuple[ModelCard, ...]:
        """Cards whose name, or source/name@tag, matches a glob; of one source, or of all."""
        return self._resolver.available(pattern, source)

    # -- the cache -------------------------------------------------------------------------------------------

    def pull(self, ref: Ref) -> CacheEntry:
        """Fetch weights unless they are in the cache already; either way they are proven.

        Raises:
            NotFoundError, IntegrityError, NetworkError, CacheError: see docs/errors.md.
        """
        card = self.resolve(ref)
        try:
            entry = self._cached(card)
        except BlobAlteredError:  # to pull is to ask for the right file again; `_fetch` knows which it was
            entry = None
        return entry or self._fetch(card)

    def path(self, ref: Ref) -> Path:
        """Where the weights lie in the cache; fetches and hashes nothing.

        Raises:
            NotCachedError: they are not there.
        """
        name = str(self.resolve(ref).ref)
        entry = self.store.find(name)
        if entry is None:
            raise NotCachedError(name)
        return entry.path

    def cached(self) -> tuple[CacheEntry, ...]:
        """Everything in the cache and its layers, by reference."""
        return tuple(self.store.entries())

    def remove(self, ref: Ref) -> int:
        """Remove weights from the cache; the bytes that became free, 0 when another reference has them."""
        return self.store.remove(str(self.resolve(ref).ref))

    def verify(self, refs: Iterable[Ref] = ()) -> Iterator[Verdict]:
        """Hash cached files, all when none is named, and move altered ones aside; needs no network."""
        wanted = [str(self.resolve(ref).ref) for ref in refs]
        return verify(self.store, wanted or None)

    def _cached(self, card: ModelCard) -> CacheEntry | None:
        """The proven entry; None when there is none, or when it is not what is promised now (a new pin).

        A file on this disk is its owner's to change: it is read again each time.
        """
        entry = None if card.ref.scheme in _OWN_FILES else self.store.find(str(card.ref))
        promised = card.artifact.digest if card.artifact else None
        if entry is None or (promised and not promised.matches(entry.digest)):
            return None
        self.store.prove(entry)
        return entry

    def _fetch(self, card: ModelCard) -> CacheEntry:
        if card.artifact is None:
            raise NoWeightsError(str(card.ref), self._resolver.elsewhere(card))
        # The file that was proven once is the only one to accept in its place; but for a new promise, and for
        # a file on this disk, which is its owner's to change.
        artifact, recorded = card.artifact, self.store.recorded(str(card.ref))
        holds = recorded and (artifact.digest is None or artifact.digest.matches(recorded))
        if holds and card.ref.scheme not in _OWN_FILES:
            artifact = replace(artifact, digest=recorded, promised_by="what was recorded at the first fetch")
        for url in candidate_urls(artifact.urls, self.registry.mirrors):
            self.host.transports.find(url.partition(":")[0].lower())  # raises when two plugins open such URLs
        fetcher = Fetcher(
            self.store,
            self.host.transports.items,
            self.registry.mirrors,
            offline=self.settings.offline,
            progress=self._progress,
        )
        return fetcher.fetch(artifact, ref=str(card.ref), license=card.license)

    # -- reading ---------------------------------------------------------------------------------------------

    def file(self, card: ModelCard) -> tuple[Path, Digest | None]:
        """The proven file of a card: a blob, fetched if need be; or a local file in its place.

        A local file is read where it lies (docs/adr/0002); it is hashed when something promises its digest.
        """
        if card.ref.scheme == "path" and card.artifact:
            return _local_file(Path(card.ref.name), card.artifact)
        entry = self._cached(card) or self._fetch(card)
        return entry.path, entry.digest

    def read(self, ref: Ref) -> Checkpoint:
        """The tensors of a checkpoint, mapped and unwrapped; executes nothing of it.

        Raises:
            UnreadableCheckpointError, UnsafeCheckpointError: see docs/errors.md.
        """
        from zoomgr.checkpoint import read

        card = self.resolve(ref)
        path, _ = self.file(card)
        return read(path, tuple(self.host.formats.items.values()), mapped=card.ref.scheme != "path")

    def inspect(self, ref: Ref) -> Contents:
        """What a checkpoint holds, without its values; of safetensors without torch. Errors as of `read`."""
        from zoomgr.checkpoint import inspect

        path, _ = self.file(self.resolve(ref))
        return inspect(path, tuple(self.host.formats.items.values()))

    # -- loading ---------------------------------------------------------------------------------------------

    def load(self, ref: Ref, **wishes: Any) -> nn.Module:
        """The model that a reference names, with its weights; arguments as of `load_with_report`."""
        return self.load_with_report(ref, **wishes)[0]

    def load_with_report(
        self,
        ref: Ref,
        *,
        arch: str = "",
        num_classes: int | None = None,
        in_ch: int | None = None,
        weights: bool | Ref | None = True,
        match: str = "auto",
        stem: str = "zero",
        partial: bool = False,
        device: str | torch.device = "cpu",
        dtype: torch.dtype | None = None,
        offline: bool | None = None,
        **arch_kwargs: Any,
    ) -> tuple[nn.Module, LoadReport]:
        """The model, and what became of every tensor.

        Args:
            ref: names the architecture and its weights.
            arch: FAMILY/NAME, where the reference does not say it (a bare file), or to use another one.
            num_classes: outputs of the head; another number than the weights have gives a fresh head.
            in_ch: input channels; another number than the weights have adapts the stem.
            weights: True for the reference's own, False or None for random ones, or somebody else's
                checkpoint.
            match: "auto" (the card's adapter, else equal names, else an adapter that knows the keys), "name",
                or an adapter's name.
            stem: how a stem is adapted: "zero", "mean", "cyclic", "copy:R", "fresh" (docs/stem.md).
            partial: load what fits and make the rest fresh, instead of raising.
            device: where the model goes.
            dtype: floating-point type of the model; None keeps the architecture's own.
            offline: open no socket; None as the settings say.
            arch_kwargs: what the architecture's own builder takes.

        Returns:
            The model in train mode, as torchvision's and timm's builders give it; and the report.

        Raises:
            ZoomgrError: see docs/errors.md; nothing is left half-done.
        """
        from zoomgr.loader import Request

        request = Request(arch, num_classes, in_ch, match, stem, partial, arch_kwargs=arch_kwargs)
        loader = self._at(offline).loader
        module, report = loader.load(ref, weights, request)
        return module.to(device=device, dtype=dtype), report

    def load_into(
        self,
        model: nn.Module,
        weights: Ref,
        *,
        match: str = "auto",
        partial: bool = False,
        ignore: Sequence[str] = (),
    ) -> LoadReport:
        """Put a checkpoint into a model of your own; on an error the model is unchanged.

        Args:
            model: any module; what the checkpoint does not fill keeps the values that it has.
            weights: a reference, path or glob.
            match: as of `load_with_report`.
            partial: load what fits, instead of raising.
            ignore: globs of checkpoint keys that are left out.
        """
        from zoomgr.loader import Request

        request = Request(match=match, partial=partial, ignore=tuple(ignore))
        return self.loader.load_into(model, weights, request)

    def plan(
        self,
        model_or_ref: nn.Module | Ref,
        *,
        arch: str = "",
        num_classes: int | None = None,
        in_ch: int | None = None,
        weights: bool | Ref | None = True,
        match: str = "auto",
        stem: str = "zero",
        partial: bool = False,
        **arch_kwargs: Any,
    ) -> LoadPlan:
        """What `load_with_report`, or `load_into` a module, would do; fetches the weights, loads nothing."""
        from zoomgr.loader import Request

        request = Request(arch, num_classes, in_ch, match, stem, partial, arch_kwargs=arch_kwargs)
        if isinstance(model_or_ref, Ref):
            return self.loader.prepare(model_or_ref, weights, request).plan
        if weights is None or isinstance(weights, bool):
            raise InvalidSettingError(
                "weights", str(weights), "a module has none of its own", "name a checkpoint"
            )
        return self.loader.prepare_into(model_or_ref, weights, request).plan

    @property
    def loader(self) -> Loader:
        """The stages of a load, over this Zoo's plugins and cache."""
        from zoomgr.loader import Loader

        return Loader(self.host, self._resolver, self.file)

    def _at(self, offline: bool | None) -> Zoo:
        """This Zoo, or one like it that is offline (or not) whatever the settings say."""
        if offline is None or offline == self.settings.offline:
            return self
        return Zoo(replace(self.settings, offline=offline), progress=self._progress, host=self.host)

    # -- looking ---------------------------------------------------------------------------------------------

    def preprocess(self, ref: Ref) -> Callable[[Image.Image], Tensor]:
        """The transform from a PIL image in RGB to the tensor that the weights were trained on.

        Raises:
            CannotPredictError: its preprocessing is not published, or is not one of a single picture.
        """
        from zoomgr.look.preprocess import transforms

        card = self.resolve(ref)
        if card.preprocess is None:
            raise CannotPredictError(str(card.ref), "its preprocessing is not published")
        return transforms(card.preprocess)

    def predict(self, ref: Ref, image: Path | str, *, top: int = 5) -> tuple[Prediction, ...]:
        """The most likely classes of a picture file.

        Raises:
            CannotPredictError: the model is no classifier of pictures.
            UnreadableImageError: the file is no picture.
        """
        from zoomgr.look.classes import class_names
        from zoomgr.look.predict import predict
        from zoomgr.look.preprocess import open_image

        card = self.resolve(ref)
        if problem := _why_no_classifier(card):
            raise CannotPredictError(str(card.ref), problem)
        opened = open_image(Path(image))
        prepare = self.preprocess(card)
        names = class_names(card.labels, card.num_classes or 0)
        return predict(self.load(card), prepare, opened, names, top=top)


def _why_no_classifier(card: ModelCard) -> str:
    if not card.arch:
        return "nothing tells which architecture it is for, nor what its classes are"
    if card.task != "classification" or not card.num_classes:
        return f"it is made for {card.task}"
    return f"it takes {card.in_ch} channels" if card.in_ch != _RGB else ""


def _local_file(path: Path, artifact: Artifact) -> tuple[Path, Digest | None]:
    """A file of the user's own, with its digest when that was promised and holds."""
    if artifact.digest is None:
        return path, None
    try:
        actual = sha256_of(path)
    except OSError as error:
        raise UnreadableCheckpointError(str(path), reason_of(error)) from error
    if not artifact.digest.matches(actual):
        promised, size_bytes = artifact.digest.described(), path.stat().st_size
        url = path.as_uri()
        raise DigestMismatchError(path.name, url, size_bytes, promised, artifact.promised_by, str(actual))
    return path, actual
