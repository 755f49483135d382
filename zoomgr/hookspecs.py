"""The hooks that a plugin may implement, and the protocols of what they return.

None is `firstresult`: with it, the plugin registered last would decide what `resnet50` means. The host asks
each plugin alone, keeps every answer, checks it, and refuses clashes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import pluggy

from zoomgr.errors import ZoomgrError
from zoomgr.records import (
    WHOLE,
    ArchiveMember,
    Artifact,
    ModelCard,
    ModelRef,
    Move,
    SetAttribute,
    Span,
    TensorSpec,
)

if TYPE_CHECKING:
    from torch import nn

PROJECT = "zoomgr"
hookspec = pluggy.HookspecMarker(PROJECT)


@dataclass(frozen=True, slots=True)
class Options:
    """What a plugin may know of the settings, and what it may ask the host to do.

    Attributes:
        offline: no socket may be opened.
        remember: `remember(key, make)` gives the bytes kept under `key` in the cache; when there are none it
            calls `make()` and keeps what that returns. For catalogues of another installed version.
        token: `token(url)` gives the bearer token that the user set for the URL's origin; empty when none.
    """

    offline: bool
    remember: Callable[[str, Callable[[], bytes]], bytes]
    token: Callable[[str], str] = lambda _: ""


@runtime_checkable
class Source(Protocol):
    """A catalogue of downloadable weights.

    Attributes:
        name: what stands before the slash of `source/name@tag`.
    """

    name: str

    def cards(self) -> Iterable[ModelCard]:
        """Everything it lists; read from data, without sockets and heavy imports."""
        ...


@runtime_checkable
class NamedSource(Source, Protocol):
    """A large catalogue, which can give the cards of one name without making all the others."""

    def named(self, name: str) -> Iterable[ModelCard]:
        """Those of `cards()` whose name this is, in the same order."""
        ...


@runtime_checkable
class Locator(Protocol):
    """Understands locations: URLs of some schemes, or paths.

    Attributes:
        schemes: the schemes of the `ModelRef`s that it understands; "path" for local paths and globs.
    """

    schemes: frozenset[str]

    def locate(self, ref: ModelRef) -> ModelCard:
        """The card of a location whose scheme is in `schemes`; opens no socket."""
        ...


class Body(Protocol):
    """Bytes on their way: iterate it for chunks."""

    @property
    def offset(self) -> int:
        """Where they really begin; a server may answer a request for an offset with the whole file."""
        ...

    @property
    def total_bytes(self) -> int | None:
        """Length of the whole file; None when the server does not say."""
        ...

    @property
    def content_type(self) -> str:
        """As the server says, lower case, without parameters; empty when it does not."""
        ...

    @property
    def validator(self) -> str:
        """What marks this version of the file: its strong ETag, else its Last-Modified; or empty."""
        ...

    @property
    def accepts_ranges(self) -> bool:
        """Whether the server says, or shows, that it gives parts of the file."""
        ...

    def __iter__(self) -> Iterator[bytes]:
        """Chunks of any size.

        Raises:
            TruncatedBodyError: the body ended too early.
            UnreachableError: the connection broke.
        """
        ...


@runtime_checkable
class Transport(Protocol):
    """Opens the bytes behind URLs of some schemes; never writes. It is called from several threads at once.

    Attributes:
        schemes: e.g. {"http", "https"}.
        needs_network: whether it opens sockets; the host does not call it when offline is demanded.
    """

    schemes: frozenset[str]
    needs_network: bool

    def open(self, url: str, span: Span = WHOLE) -> AbstractContextManager[Body] | ArchiveMember | Artifact:
        """Open a part of `url`; or say in which archive its bytes lie, or which other file they are.

        An `Artifact` is an answer for a name that only a server can look up (`hf://…`): the host fetches that
        file, through the transport of its URLs, with the digest that it promises.

        Raises:
            NetworkError: a subclass that says what happened.
        """
        ...


@runtime_checkable
class ArchitectureFamily(Protocol):
    """Builds modules by name; heavy packages are imported inside `build`."""

    name: str

    def names(self) -> Iterable[str]:
        """The architectures it can build, without importing the library that owns them."""
        ...

    def build(
        self, name: str, *, num_classes: int | None = None, in_ch: int | None = None, **kwargs: Any
    ) -> nn.Module:
        """The module in train mode, with its own random initialisation (the host may switch that off).

        Args:
            name: one of `names()`.
            num_classes: outputs of the head; None keeps the architecture's own.
            in_ch: input channels of the stem; None keeps the architecture's own.
            kwargs: what the library's own builder takes.

        Raises:
            CannotAdaptHeadError: this architecture has no head to change.
            CannotAdaptStemError: this architecture has no stem to change.
        """
        ...


@runtime_checkable
class CheckpointFormat(Protocol):
    """Reads a file format into named tensors; executes nothing of the file."""

    name: str

    def recognises(self, path: Path, first_bytes: bytes) -> bool:
        """Whether the file is of this format, by its first 64 bytes (or fewer) and a look inside."""
        ...

    def read(self, path: Path) -> Mapping[str, Any]:
        """The file's mapping as it was saved, perhaps nested; leaves are `torch.Tensor`s, mapped if possible.

        Raises:
            UnreadableCheckpointError: cut, damaged or not of this format.
            UnsafeCheckpointError: it asks for code to run.
        """
        ...


@runtime_checkable
class CopyingFormat(CheckpointFormat, Protocol):
    """A format that can also read a file into memory; without it, what it has read is copied once more."""

    def read_copied(self, path: Path) -> Mapping[str, Any]:
        """The same as `read` without a map of the file, which may be written over afterwards."""
        ...


@dataclass(frozen=True, slots=True)
class Mapped:
    """An adapter's answer. Targets it does not mention stay unfilled, sources it does not mention unused.

    Attributes:
        moves: which tensor goes where.
        attributes: hyper-parameters that belong to the weights.
        left_out: tensors of the checkpoint that are known, and for nothing (a decoder, a table).
        kept: tensors of the network that it computes itself when it is built.
        elsewhere: moves to places that this network does not have; those that belong to a head which it was
            built without are accounted for as such, the others mean nothing.
        notes: what a user must know of this checkpoint in this network.
    """

    moves: tuple[Move, ...]
    attributes: tuple[SetAttribute, ...] = ()
    left_out: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    elsewhere: tuple[Move, ...] = ()
    notes: tuple[str, ...] = ()


@runtime_checkable
class Adapter(Protocol):
    """Maps a foreign key schema onto a target's, as a pure function of names and shapes."""

    @property
    def name(self) -> str:
        """What the registry, `match` and `--match` call it."""
        ...

    def recognises(self, source: Sequence[TensorSpec]) -> bool:
        """Whether the checkpoint is of this schema, by its keys; must not be true of any other schema."""
        ...

    def map(self, source: Sequence[TensorSpec], target: Sequence[TensorSpec]) -> Mapped:
        """Which tensor goes where. Shapes of stem and head may differ: the planner adapts those."""
        ...


@runtime_checkable
class TargetedAdapter(Adapter, Protocol):
    """An adapter for some networks only: one schema has several where it goes to several libraries.

    Attributes:
        notes: what a user must know of such weights in such a network, and keys cannot tell.
    """

    @property
    def notes(self) -> tuple[str, ...]:
        """See above."""
        ...

    def suits(self, target: Sequence[TensorSpec]) -> bool:
        """Whether the network is one that it is for, by its keys; asked only of what it recognises."""
        ...


class ZoomgrSpecs:
    """The hooks. A plugin may leave out arguments that it does not use."""

    @hookspec
    def zoomgr_sources(self, options: Options) -> Iterable[Source | Locator]:
        """Declare catalogues of downloadable weights, and the locations that can be understood.

        Called once per host, before any name is resolved. Opens no socket and imports no torch: describe
        files, the host downloads and proves them. Two sources of one name are refused
        (`PluginConflictError`), and so are two locators of one scheme. A source of thousands of cards may
        have `named(name)` too (`NamedSource`), and is then asked for one name without making all the others.

        Example::

            @hookimpl
            def zoomgr_sources():
                yield AcmeSource()
        """
        raise NotImplementedError

    @hookspec
    def zoomgr_transports(self, options: Options) -> Iterable[Transport]:
        """Declare how the bytes behind a URL scheme are opened; the host alone writes them.

        Two transports for one scheme are refused (`PluginConflictError`).

        Example::

            @hookimpl
            def zoomgr_transports():
                yield AcmeTransport()
        """
        raise NotImplementedError

    @hookspec
    def zoomgr_architectures(self) -> Iterable[ArchitectureFamily]:
        """Declare families of architectures that can be built by name.

        Import the library that owns them inside `build`. Two families of one name are refused.

        Example::

            @hookimpl
            def zoomgr_architectures():
                yield AcmeFamily()
        """
        raise NotImplementedError

    @hookspec
    def zoomgr_formats(self) -> Iterable[CheckpointFormat]:
        """Declare checkpoint file formats beyond torch's own and safetensors.

        One that maps files should be a `CopyingFormat` too: files of a user are read into memory, since they
        may be written over.

        Example::

            @hookimpl
            def zoomgr_formats():
                yield AcmeFormat()
        """
        raise NotImplementedError

    @hookspec
    def zoomgr_adapters(self) -> Iterable[Adapter]:
        """Declare translations of foreign key schemas.

        Example::

            @hookimpl
            def zoomgr_adapters():
                yield AcmeToTorchvision()
        """
        raise NotImplementedError

    @hookspec
    def zoomgr_hints(self, error: ZoomgrError) -> Iterable[str]:
        """Add a site's own next steps to an error, e.g. whom to ask for a mirror.

        Example::

            @hookimpl
            def zoomgr_hints(error):
                if error.code == "offline":
                    yield "ask hpc-support@example.org to add it to /site/zoo"
        """
        raise NotImplementedError
