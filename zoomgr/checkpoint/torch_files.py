"""What torch writes, whatever is in it: zip archives, which are mapped, and the old format, which cannot be.

A mapping, perhaps nested, a pickled module, a TorchScript program: the tensors are found in the description
of the pickle, and nothing that it asks for is called. What torch itself makes of a plain pickle and is not
understood here (sparse and quantized tensors, other orders of bytes) is left to its `weights_only`.
"""

from __future__ import annotations

import pickle
import struct
import sys
import warnings
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from zoomgr.checkpoint.index import Stored
from zoomgr.checkpoint.inert import described
from zoomgr.checkpoint.old_stream import OldStream
from zoomgr.checkpoint.pickles import Asked, attacks_in
from zoomgr.checkpoint.record import Saved
from zoomgr.checkpoint.saved import AttackError, Tree, tree_of
from zoomgr.checkpoint.storages import Storages
from zoomgr.checkpoint.views import View
from zoomgr.checkpoint.zip_tensors import Archive
from zoomgr.errors import UnreadableCheckpointError, UnsafeCheckpointError, reason_of

ZIP_MAGICS = (b"PK\x03\x04", b"PK\x05\x06")


class TorchZipFormat:
    """torch.save since 1.6: a zip archive with a pickle of the structure and a record for each storage."""

    name = "torch-zip"

    def recognises(self, path: Path, first_bytes: bytes) -> bool:  # noqa: ARG002 (the protocol has it)
        """Whether it is a zip archive; `read` says what is wrong with one that torch did not write."""
        return first_bytes.startswith(ZIP_MAGICS)

    def read(self, path: Path) -> Mapping[str, Any]:
        """The saved mapping; its tensors map the file, privately, where its records are not packed."""
        return _read_zip(path, mapped=True)

    def read_copied(self, path: Path) -> Mapping[str, Any]:
        """The same in memory: the file may be written over afterwards."""
        return _read_zip(path, mapped=False)

    def stored(self, path: Path) -> Mapping[str, Any]:
        """The saved mapping, its tensors as `Stored`: found without torch, and without touching their values.

        Raises:
            UnreadableCheckpointError, UnsafeCheckpointError: as `read`.
            ValueError: its tensors cannot be told or mapped this way; `read` may be able to read it.
        """
        with _refused(path), path.open("rb", buffering=0) as file:
            archive = Archive(file)
            tree = _tree(archive)
            if _is_torchs(tree, is_native=archive.is_native):
                raise ValueError("its tensors are not as they lie there")
            return Saved(tree.filled(lambda view: _stored(archive, view)), tree.metadata)


class TorchScriptFormat(TorchZipFormat):
    """torch.jit.save: the same archive, whose pickle is of a program's modules; its code is not looked at."""

    name = "torchscript"

    def recognises(self, path: Path, first_bytes: bytes) -> bool:
        """Whether it is such an archive."""
        if not first_bytes.startswith(ZIP_MAGICS):
            return False
        # zipfile raises whatever the bytes provoke; what is damaged is not ours.
        with suppress(Exception), path.open("rb", buffering=0) as file:
            return Archive(file).is_script
        return False


class TorchLegacyFormat:
    """torch.save until 1.5: a stream of pickles, then the storages."""

    name = "torch-legacy"

    def recognises(self, path: Path, first_bytes: bytes) -> bool:  # noqa: ARG002 (the protocol has it)
        """Whether it begins as a pickle; `read` says what is wrong with one that torch did not write."""
        return first_bytes[:1] == pickle.PROTO and first_bytes[1:2] <= bytes([pickle.HIGHEST_PROTOCOL])

    def read(self, path: Path) -> Mapping[str, Any]:
        """The saved mapping, its tensors in memory."""
        with _refused(path), path.open("rb") as file:
            stream = OldStream(file)
            if _is_torchs(stream.tree, is_native=sys.byteorder == "little"):
                return _load(path)
            return Saved(stream.tree.filled(Storages(stream.values).tensor), stream.tree.metadata)

    read_copied = read


def _read_zip(path: Path, *, mapped: bool) -> Mapping[str, Any]:
    with _refused(path), path.open("rb", buffering=0) as file:
        archive = Archive(file)
        tree = _tree(archive)
        if _is_torchs(tree, is_native=archive.is_native):
            return _load(path)
        storages = Storages(archive.values, archive.begin, path if mapped else None)
        return Saved(tree.filled(storages.tensor), tree.metadata)


def _tree(archive: Archive) -> Tree:
    asked = Asked()
    for other in archive.other_pickles():
        with suppress(ValueError):  # nothing of it is needed, but what it asks for is worth a word
            described(other, asked)
    if asked.attacks:
        raise AttackError(asked.attacks)
    tree = tree_of(archive.pickle())
    if archive.is_script and not tree.root:
        raise ValueError("it is a TorchScript program without weights, or a frozen one, whose code has them")
    return tree


def _is_torchs(tree: Tree, *, is_native: bool) -> bool:
    """Whether torch's own reader is needed.

    Raises:
        ValueError: it is, and would refuse the file for what else is in it.
    """
    if is_native and not (tree.odd and tree.is_plain):
        return False
    if not tree.is_plain:
        raise ValueError(
            "it was written on a machine of the other order of bytes, and is no plain state dict"
        )
    return True


def _stored(archive: Archive, view: View) -> Stored:
    if (begin := archive.begin(view)) is None:
        raise ValueError("its records are packed")
    place = view.place
    return Stored(place.dtype, place.shape, place.stride, begin + place.begin)


def _load(path: Path) -> Mapping[str, Any]:
    """By torch, whose own list says what may be built; what it cannot read is an error."""
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's advice to whoever wrote the file
        try:
            saved: Mapping[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        except Exception as error:
            # torch raises whatever the bytes provoke: RuntimeError, KeyError, EOFError, struct.error, …
            raise UnreadableCheckpointError(str(path), _reason(error)) from error
    return saved


def _reason(error: Exception) -> str:
    """What torch could not read, without its advice to read it unsafely."""
    if not isinstance(error, pickle.UnpicklingError):
        return f"it is cut or damaged: {reason_of(error)}"
    detail = str(error).rpartition("WeightsUnpickler error: ")[2].strip().split("\n")[0]
    return f"its pickle is damaged, or of a kind that cannot be read without running it ({detail})"


@contextmanager
def _refused(path: Path) -> Iterator[None]:
    """Turn what the bytes of a file provoke into one error of ours."""
    try:
        yield
    except AttackError as error:
        raise UnsafeCheckpointError(str(path), error.wanted) from error
    except UnreadableCheckpointError:
        raise
    except (
        zipfile.BadZipFile, zlib.error, struct.error, LookupError, TypeError, AttributeError, ArithmeticError,
        NotImplementedError, RuntimeError, RecursionError, EOFError, OSError,
    ) as error:  # fmt: skip
        _refuse_attack(path, error)
        size = path.stat().st_size
        raise UnreadableCheckpointError(
            str(path), f"it is cut or damaged ({size:,} bytes; {reason_of(error)})"
        ) from error
    except ValueError as error:
        _refuse_attack(path, error)
        raise UnreadableCheckpointError(str(path), str(error)) from error


def _refuse_attack(path: Path, cause: Exception) -> None:
    if wanted := attacks_in(path):
        raise UnsafeCheckpointError(str(path), wanted) from cause
