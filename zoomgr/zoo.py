"""The whole behaviour, as methods of one object; the functions of `zoomgr` call a default one."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoomgr.cache.progress import Progress, SilentProgress
from zoomgr.cache.store import Store
from zoomgr.errors import (
    CannotPredictError,
    InvalidSettingError,
    NotCachedError,
    UnknownModelError,
    UnknownSourceError,
    printable,
    redacted,
)
from zoomgr.garbage import no_collection
from zoomgr.gate import Gate
from zoomgr.hookspecs import Options
from zoomgr.host import PluginHost
from zoomgr.lockfile import Lock
from zoomgr.records import (
    CacheEntry,
    Digest,
    LoadPlan,
    LoadReport,
    ModelCard,
    ModelRef,
)
from zoomgr.registry import Registry
from zoomgr.resolve import Ref, Resolver
from zoomgr.settings import Settings
from zoomgr.supply import Supply

if TYPE_CHECKING:
    from concurrent.futures import Future

    import torch
    from PIL import Image
    from torch import Tensor, nn

    from zoomgr.adapt.match import Match
    from zoomgr.cache.adopt import Adoption
    from zoomgr.cache.gc import Rubbish
    from zoomgr.cache.verify import Verdict
    from zoomgr.checkpoint import Checkpoint, Contents
    from zoomgr.converter import Converted
    from zoomgr.kept import Kept
    from zoomgr.loader import Loader
    from zoomgr.look.compare import Comparison
    from zoomgr.look.diff import Differences
    from zoomgr.look.predict import Classifier, Predicted, Prediction
    from zoomgr.own import Shelf
    from zoomgr.request import Head

_RGB = 3


class Zoo:
    """Models by name: found, fetched, proven, loaded.

    Args:
        settings: where things lie and what is allowed; by default as the environment says.
        progress: shown while bytes arrive; by default nothing is.
        host: plugins to use instead of the installed ones.
        note: is told, in a line, what a user should know and no answer says; by default nobody is.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        progress: Progress | None = None,
        host: PluginHost | None = None,
        note: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.settings = settings or Settings.from_environment()
        self.registry = Registry.load(self.settings.registry_files)
        self.store = Store(self.settings.cache_dir, self.settings.cache_layers)
        self.host = host or PluginHost(
            Options(self.settings.offline, self.store.remember, self._token),
            disabled=self.settings.disabled_plugins,
        )
        self.lock = _lock_of(self.settings.lock_file)
        self._resolver = Resolver(self.host, self.registry, self.store.own_cards, self.lock)
        self._gate = Gate(self.registry.policy, self.host)
        self._note = note
        self._progress = progress or SilentProgress()
        self._supply = Supply(
            self.settings,
            self.registry,
            self.host,
            self.store,
            self._resolver,
            self.lock,
            self._gate,
            self._progress,
            note,
        )

    def _token(self, url: str) -> str:
        return self.registry.token_for(url, os.environ)

    # -- finding ---------------------------------------------------------------------------------------------

    def resolve(self, ref: Ref) -> ModelCard:
        """The card that a reference means; see `zoomgr.resolve.Resolver.resolve` for its errors.

        Of weights of one's own that no cache has, it is asked of the mirrors.
        """
        try:
            return self._resolver.resolve(ref)
        except (UnknownModelError, UnknownSourceError):
            card = self._supply.card_of_a_mirror(ref) if self.settings.mirrors else None
            if card is None:
                raise
            return card

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

        What torch hub, Hugging Face or pooch keep on this disk is taken from there if it is what is promised.

        Raises:
            NotFoundError, IntegrityError, NetworkError, CacheError, PolicyRefusedError: see docs/errors.md.
        """
        return self._supply.pull(self.resolve(ref))

    def pull_each(self, refs: Iterable[Ref], *, jobs: int = 4) -> Generator[Future[CacheEntry], None, None]:
        """Pull several, some of them at once; one that fails does not keep the others.

        Args:
            refs: all are resolved before the first is fetched.
            jobs: how many at once.

        Returns:
            Futures in the order of `refs`, each when it is done; its `result()` returns and raises as `pull`.
            Closing the generator stops what is on its way.
        """
        return self._supply.pull_each([self.resolve(ref) for ref in refs], jobs)

    def rubbish(self, *, max_bytes: int | None = None, unused_s: float | None = None) -> tuple[Rubbish, ...]:
        """What lies in the own cache and nothing needs; also what is on its way, which stays.

        Args:
            max_bytes: so much may the weights take; of more, the least recently used are rubbish.
            unused_s: weights that nobody has used for so many seconds are rubbish.
        """
        from zoomgr.cache.evict import Limits
        from zoomgr.cache.gc import find_rubbish

        limited = max_bytes is not None or unused_s is not None
        with no_collection():
            limits = Limits(max_bytes, unused_s) if limited else None
            return tuple(find_rubbish(self.store.root, limits=limits))

    def sweep(self, item: Rubbish) -> int:
        """Remove it, unless somebody needs it by now; the bytes that became free."""
        return self.store.sweep(item)

    def pin(self, ref: Ref) -> None:
        """Keep weights from `gc`, until they are unpinned or removed.

        Raises:
            NotCachedError: they are not in the cache.
            CacheUnwritableError: only a read-only layer has them.
        """
        self.store.pin(str(self.resolve(ref).ref))

    def unpin(self, ref: Ref) -> bool:
        """Let `gc` have weights; whether they were pinned."""
        return self.store.unpin(str(self.resolve(ref).ref))

    def pinned(self) -> tuple[str, ...]:
        """References that are pinned, sorted, also those that the cache does not have any more."""
        from zoomgr.cache.roots import pinned_refs

        return pinned_refs(self.store.root)

    def path(self, ref: Ref) -> Path:
        """Where the weights lie in the cache; fetches and hashes nothing.

        Raises:
            NotCachedError: they are not there.
            LockDiffersError: the project has locked others.
        """
        name = str(self.resolve(ref).ref)
        entry = self.store.find(name)
        if entry is None:
            raise NotCachedError(name)
        self.lock.check(name, entry.digest, str(entry.path))
        return entry.path

    def held(self, ref: Ref) -> CacheEntry | None:
        """The proven weights that the cache has of a reference; fetches nothing.

        None when it has none, or not the file that is promised now.

        Raises:
            BlobAlteredError, PolicyRefusedError: see docs/errors.md.
        """
        return self._supply.held(self.resolve(ref))

    def cached(self) -> tuple[CacheEntry, ...]:
        """Everything in the cache and its layers, by reference."""
        with no_collection():
            return tuple(self.store.entries())

    def has(self, ref: Ref) -> bool:
        """Whether there is something of a reference that `remove` removes."""
        card = self.resolve(ref)
        return self._shelf.has(card) or self.store.find(str(card.ref)) is not None

    def remove(self, ref: Ref) -> int:
        """Remove weights from the cache; the bytes that became free, 0 when another reference has them.

        Of weights of one's own the card goes too, and with it the name.
        """
        card = self.resolve(ref)
        return self._shelf.remove(card) if self._shelf.has(card) else self.store.remove(str(card.ref))

    def add(
        self,
        file: Path | str,
        name: str,
        *,
        arch: str = "",
        num_classes: int | None = None,
        in_ch: int | None = None,
        labels: Sequence[str] = (),
        license: str = "",  # noqa: A002 [as the card calls it]
        notes: str = "",
        adapter: str = "",
        replace: bool = False,
    ) -> CacheEntry:
        """Put a file of one's own into the zoo, under a name by which it is found like any other.

        Args:
            file: path, or a glob that one file matches; it stays where it is, and may change afterwards.
            name: TEAM/NAME[@TAG] with a TEAM that no plugin has, or NAME, which becomes own/NAME.
            arch: FAMILY/NAME of the architecture that it is for; empty when there is none to name.
            num_classes: outputs of the head; None as the architecture's default weights have it.
            in_ch: input channels; None as the architecture's default weights have it.
            labels: of the classes, in the head's order.
            license: SPDX id, or a URL.
            notes: what a user must know before using it, in a sentence.
            adapter: what translates its keys; empty when they are the architecture's, or tell it themselves.
            replace: put it in the place of other weights of that name.

        Raises:
            NameTakenError: a plugin has the source, or other weights of one's own have the name.
            DoesNotFitError: it does not fit the architecture.
            UnreadableCheckpointError, UnsafeCheckpointError, PolicyRefusedError: see docs/errors.md.
        """
        from zoomgr.own import Said

        said = Said(arch, num_classes, in_ch, tuple(labels), license, notes, adapter)
        local = self.resolve(ModelRef(str(file), scheme="path"))  # to the letter, also if it is a URL
        self.file(local)  # refuses a format, and a file that is not what its own name promises
        return self._shelf.add(local, name, said, replace_other=replace)

    @property
    def _shelf(self) -> Shelf:
        from zoomgr.own import Shelf

        return Shelf(self.store, self.host, self._resolver, self._gate)

    def adopt(self, refs: Iterable[Ref] = (), *, dry_run: bool = False) -> Iterator[Adoption]:
        """Take over weights that torch hub, Hugging Face, timm and pooch keep on this disk.

        Only what is the file that a catalogue, or the hub that the tool fetched it from, has promised; linked
        where that is possible. Needs no network.

        Args:
            refs: models to look for; when there are none, all of every catalogue.
            dry_run: say what would be done, and do nothing.
        """
        from zoomgr.cache.adopt import Adopter
        from zoomgr.cache.foreign import Folders

        adopter = Adopter(self.store, Folders.of(), self._gate, dry_run)
        if named := [self.resolve(ref) for ref in refs]:
            return adopter.named(self._supply.wanted(card) for card in named)
        return adopter.all_of(self._supply.wanted(card) for card in self.available() if card.artifact)

    def verify(self, refs: Iterable[Ref] = ()) -> Iterator[Verdict]:
        """Hash cached files, all when none is named, and move altered ones aside; needs no network."""
        wanted = [str(self.resolve(ref).ref) for ref in refs]
        from zoomgr.cache.verify import verify

        return verify(self.store, wanted or None)

    def repaired(self, verdicts: Iterable[Verdict]) -> Iterator[Verdict]:
        """What `verify` said, after the right file of each altered or missing one was brought again.

        From where `pull` finds it, unless the cache has it by now. What cannot be repaired says why.
        """
        from zoomgr.cache.verify import repaired

        return repaired(verdicts, lambda ref: self._supply.repair(self.resolve(ref)))

    # -- reading ---------------------------------------------------------------------------------------------

    def file(self, card: ModelCard) -> tuple[Path, Digest | None]:
        """The proven file of a card: a blob, fetched if need be; or a local file in its place."""
        return self._supply.file(card)

    def read(self, ref: Ref) -> Checkpoint:
        """The tensors of a checkpoint, mapped and unwrapped; executes nothing of it.

        Raises:
            UnreadableCheckpointError, UnsafeCheckpointError: see docs/errors.md.
        """
        return self.loader.read(self.resolve(ref))

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
        match: Match = "auto",
        head: Head = None,
        stem: str = "zero",
        bands: Sequence[str] = (),
        partial: bool = False,
        ignore: Sequence[str] = (),
        min_coverage: float | None = None,
        device: str | torch.device = "cpu",
        dtype: torch.dtype | None = None,
        broadcast: bool = False,
        offline: bool | None = None,
        **arch_kwargs: Any,
    ) -> tuple[nn.Module, LoadReport]:
        """The model, and what became of every tensor.

        Args:
            ref: names the architecture and its weights.
            arch: FAMILY/NAME, where the reference does not say it (a bare file), or to use another one.
            num_classes: outputs of the head; another number than the weights have gives a fresh head. Of
                detectors the background is one, as torchvision has it: 91 for COCO's 90 categories.
            in_ch: input channels; another number than the weights have adapts the stem.
            weights: True for the reference's own, False or None for random ones, or somebody else's
                checkpoint.
            match: "auto" (equal names, an adapter that the card names or that knows the keys, structure),
                "name", "position", "align", an adapter's name; a mapping, of the checkpoint's names to the
                network's; or a file of rules, X.toml (docs/mapping.md).
            head: None (the weights' own while the count of classes fits, else a fresh one), "fresh" (a new
                one in any case), "keep" (the weights' own, or an error), or classes by index or label, in
                any order, whose rows are copied (docs/heads.md).
            stem: how a stem is adapted: "zero", "mean", "cyclic", "copy:R", "fresh" (docs/stem.md).
            bands: what each input channel is, such as ["B4", "B3", "B2", "B8"]: red, green and blue among
                them get the trained weights, whatever their order, the others what `stem` says.
            partial: load what fits and make the rest fresh, instead of raising.
            ignore: globs of keys, of the checkpoint or of the network, that are left out.
            min_coverage: part of the network's values, 0..1, that must be loaded; None for a tenth with
                `partial` (but for "position"), and else for whatever is accounted for.
            device: where the model goes, tensor by tensor.
            dtype: floating-point type of the model; None keeps the architecture's own.
            broadcast: only rank 0 of the `torch.distributed` process group fetches and reads; the others get
                the weights from it (docs/processes.md).
            offline: open no socket; None as the settings say.
            arch_kwargs: what the architecture's own builder takes.

        Returns:
            The model in train mode, as torchvision's and timm's builders give it; and the report.

        Raises:
            ZoomgrError: see docs/errors.md; nothing is left half-done.
        """
        with no_collection():
            from zoomgr.request import Request

            request = Request(
                arch,
                num_classes,
                in_ch,
                match,
                head,
                stem,
                bands,
                partial,
                _globs(ignore),
                min_coverage=min_coverage,
                device=device,
                dtype=dtype,
                broadcast=broadcast,
                arch_kwargs=arch_kwargs,
            )
            return self._at(offline).loader.load(ref, weights, request)

    def load_into(
        self,
        model: nn.Module,
        weights: Ref,
        *,
        match: Match = "auto",
        partial: bool = False,
        ignore: Sequence[str] = (),
        min_coverage: float | None = None,
        broadcast: bool = False,
        check: nn.Module | Tensor | None = None,
    ) -> LoadReport:
        """Put a checkpoint into a model of your own; on an error the model is unchanged.

        Args:
            model: any module; what the checkpoint does not fill keeps the values that it has.
            weights: a reference, path or glob.
            match: as of `load_with_report`.
            partial: load what fits, instead of raising.
            ignore: as of `load_with_report`.
            min_coverage: as of `load_with_report`.
            broadcast: as of `load_with_report`.
            check: what the filled model is held against, see `zoomgr.check`; its answer is the report's
                `evidence`.
        """
        from zoomgr.request import Request

        request = Request(
            match=match,
            partial=partial,
            ignore=_globs(ignore),
            min_coverage=min_coverage,
            broadcast=broadcast,
        )
        with no_collection():
            report = self.loader.load_into(model, weights, request)
        if check is None:
            return report
        from zoomgr.adapt.evidence import check as checked

        return replace(report, evidence=checked(model, check))

    def plan(
        self,
        model_or_ref: nn.Module | Ref,
        *,
        arch: str = "",
        num_classes: int | None = None,
        in_ch: int | None = None,
        weights: bool | Ref | None = True,
        match: Match = "auto",
        head: Head = None,
        stem: str = "zero",
        bands: Sequence[str] = (),
        partial: bool = False,
        ignore: Sequence[str] = (),
        min_coverage: float | None = None,
        save: Path | str | None = None,
        **arch_kwargs: Any,
    ) -> LoadPlan:
        """What `load_with_report`, or `load_into` a module, would do; fetches the weights, loads nothing.

        `save` is a new file, X.toml, in which the mapping is written as rules, to be edited and given as
        `match`; the other arguments are theirs.
        """
        from zoomgr.adapt.rules.saving import check_place, save_rules
        from zoomgr.request import Request

        if save is not None:
            check_place(Path(save))

        request = Request(
            arch,
            num_classes,
            in_ch,
            match,
            head,
            stem,
            bands,
            partial,
            _globs(ignore),
            min_coverage=min_coverage,
            arch_kwargs=arch_kwargs,
        )
        if isinstance(model_or_ref, Ref):
            prepared = self.loader.prepare(model_or_ref, weights, request)
        elif weights is None or isinstance(weights, bool):
            raise InvalidSettingError(
                "weights", str(weights), "a module has none of its own", "name a checkpoint"
            )
        else:
            prepared = self.loader.prepare_into(model_or_ref, weights, request)
        if save is not None:
            into = prepared.origin.arch if prepared.origin else type(prepared.module).__name__
            save_rules(
                prepared.plan, Path(save), f"{_shown(prepared.ref)} -> {into}, by {prepared.plan.adapter}"
            )
        return prepared.plan

    # -- converting and comparing ----------------------------------------------------------------------------

    def convert(
        self,
        ref: Ref,
        out: Path | str,
        *,
        to: str = "",
        num_classes: int | None = None,
        in_ch: int | None = None,
        match: Match = "auto",
        partial: bool = False,
        ignore: Sequence[str] = (),
        replace: bool = False,
    ) -> Converted:
        """Write a checkpoint as safetensors; the file keeps the sha256 of what it was made of.

        Args:
            ref: a reference, path or glob.
            out: the file; it is there whole or not at all.
            to: FAMILY/NAME of the architecture whose keys and layouts it gets; empty for its own keys.
            num_classes: as of `load_with_report`, for `to`.
            in_ch: as of `load_with_report`, for `to`.
            match: as of `load_with_report`, for `to`.
            partial: write what fits, instead of raising.
            ignore: globs of keys that are left out.
            replace: write over what has that name.

        Raises:
            InvalidSettingError: `out` is no name for it, or is taken.
            DoesNotFitError, CannotConvertError, FileUnwritableError: see docs/errors.md.
        """
        from zoomgr.converter import Converter
        from zoomgr.request import Request

        request = Request(to, num_classes, in_ch, match, partial=partial, ignore=_globs(ignore))
        converter = Converter(self.host, self._resolver, self.file)
        return converter.convert(ref, Path(out), request, replace_other=replace)

    def diff(
        self, first: Ref, second: Ref, *, atol: float = 0.0, rtol: float = 0.0, match: Match = "name"
    ) -> Differences:
        """Compare two checkpoints: keys, shapes, types and values, one tensor at a time.

        Args:
            first: a reference, path or glob.
            second: the same, of the other.
            atol: see `rtol`.
            rtol: values are equal when they differ by no more than `atol + rtol * |second|`.
            match: "name"; or how the first's keys become the second's, as of `load_with_report`.

        Raises:
            UnreadableCheckpointError, UnsafeCheckpointError: one of them cannot be read.
            UnknownAdapterError, DoesNotFitError: there is no such `match`; or nothing of them corresponds.
        """
        from zoomgr.checkpoint.stream import streamed
        from zoomgr.differ import differ
        from zoomgr.loader import Loader

        loader = Loader(self.host, self._resolver, self.file, reads=streamed)
        one, other = (loader.read(self.resolve(ref)) for ref in (first, second))
        return differ(one, other, match, self.host, atol=atol, rtol=rtol)

    @property
    def loader(self) -> Loader:
        """The stages of a load, over this Zoo's plugins and cache."""
        from zoomgr.loader import Loader

        return Loader(self.host, self._resolver, self.file, self._kept)

    @property
    def _kept(self) -> Kept:
        from zoomgr.kept import Kept

        return Kept(self.store, self.host)

    def _at(self, offline: bool | None) -> Zoo:
        """This Zoo, or one like it that is offline (or not) whatever the settings say."""
        if offline is None or offline == self.settings.offline:
            return self
        settings = replace(self.settings, offline=offline)
        return Zoo(settings, progress=self._progress, host=self.host, note=self._note)

    # -- looking ---------------------------------------------------------------------------------------------

    def preprocess(
        self,
        model_or_ref: nn.Module | Ref,
        *,
        in_ch: int | None = None,
        stem: str = "zero",
        bands: Sequence[str] = (),
    ) -> Callable[[Image.Image | Tensor], Tensor]:
        """The transform from a picture to the tensor that the weights were trained on.

        Args:
            model_or_ref: weights; or a model that zoomgr has loaded, whose channels are known.
            in_ch: of a reference: the channels that the model is loaded for, each with a mean and a std.
            stem: of a reference, as of `load_with_report`.
            bands: of a reference, as of `load_with_report`.

        Returns:
            See `zoomgr.look.preprocess.transforms`.

        Raises:
            CannotPredictError: its preprocessing is not published, or is not one of a single picture; or
                zoomgr has not loaded the model.
            InvalidSettingError: `load` would refuse these channels too.
        """
        from zoomgr.adapt.bands import order_of
        from zoomgr.adapt.declared import declared
        from zoomgr.look.preprocess import for_channels, transforms
        from zoomgr.request import Request

        if isinstance(model_or_ref, Ref):
            card = self.resolve(model_or_ref)
            wanted = Request(in_ch=in_ch, stem=stem, bands=bands)
            name, how, count = str(card.ref), card.preprocess, wanted.channels or card.in_ch
            order = order_of(bands, how.channels) if bands and how else ()
        else:
            origin = declared(model_or_ref)
            if origin is None:
                name = f"this {type(model_or_ref).__name__}"
                raise CannotPredictError(name, "zoomgr has not loaded it; name its weights instead")
            name, how, count = origin.ref, origin.preprocess, origin.in_ch
            stem, order = origin.stem_policy, origin.order
        if how is None:
            raise CannotPredictError(name, "its preprocessing is not published")
        return transforms(for_channels(how, count, policy=stem, order=order))

    def predict(self, ref: Ref, image: Path | str, *, top: int = 5) -> tuple[Prediction, ...]:
        """The most likely classes of a picture file.

        Raises:
            CannotPredictError: the model is no classifier of pictures.
            UnreadableImageError: the file is no picture.
        """
        (only,) = self.predict_each(ref, [image], top=top)
        if only.error:
            raise only.error
        return only.classes

    def predict_each(
        self, ref: Ref, images: Iterable[Path | str], *, top: int = 5, batch: int = 16
    ) -> Iterator[Predicted]:
        """The most likely classes of picture files, and of all pictures in folders.

        Args:
            ref: a classifier.
            images: files and folders; their pictures come in this order.
            top: how many classes.
            batch: how many pictures go through the model at once.

        Returns:
            One for each picture as soon as its batch is done; one that cannot be read has an error instead of
            classes.

        Raises:
            CannotPredictError: the model is no classifier of pictures.
            UnreadableImageError: a folder has no pictures.
        """
        from zoomgr.look.pictures import pictures

        return self._classifier(self.resolve(ref), top).each(pictures(map(Path, images)), batch)

    def compare(
        self, first: Ref, second: Ref, images: Iterable[Path | str], *, top: int = 5, batch: int = 16
    ) -> Comparison:
        """Two classifiers side by side: what they cost, and what they say of the same pictures.

        Args:
            first: the one.
            second: the other; each gets the pictures prepared as its own weights were trained.
            images: as of `predict_each`.
            top: how many classes of each are told.
            batch: how many pictures go through a model at once.

        Raises:
            CannotPredictError: one of them is no classifier of pictures.
            UnreadableImageError: a folder has no pictures.
        """
        from zoomgr.look.compare import compare
        from zoomgr.look.pictures import pictures

        files = pictures(map(Path, images))
        one, other = (
            (str(card.ref), self._classifier(card, top)) for card in map(self.resolve, (first, second))
        )
        return compare(one, other, files, top=top, batch=batch)

    def _classifier(self, card: ModelCard, top: int) -> Classifier:
        from zoomgr.labels import class_names
        from zoomgr.look.predict import Classifier

        if problem := _why_no_classifier(card):
            raise CannotPredictError(str(card.ref), problem)
        names = class_names(card.labels, card.num_classes or 0)
        return Classifier(cache(lambda: self.load(card)), self.preprocess(card), names, top)


def _lock_of(path: Path | None) -> Lock:
    if path is None:
        return Lock()
    from zoomgr.lockfile.reading import read_lock  # most projects have none

    return read_lock(path)


def _shown(ref: str) -> str:
    """A reference as it may be told to others: of a path the last part, of a URL no secrets, on one line."""
    path = Path(ref)
    return printable(path.name if path.is_absolute() else redacted(ref))


def _globs(ignore: Sequence[str]) -> tuple[str, ...]:
    """One text is one glob, not as many as it has letters."""
    return (ignore,) if isinstance(ignore, str) else tuple(ignore)


def _why_no_classifier(card: ModelCard) -> str:
    if not card.arch:
        return "nothing tells which architecture it is for, nor what its classes are"
    if card.task != "classification" or not card.num_classes:
        return f"it is made for {card.task}"
    return f"it takes {card.in_ch} channels" if card.in_ch != _RGB else ""
