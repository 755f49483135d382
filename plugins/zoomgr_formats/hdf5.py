"""HDF5 files, looked through with care: nothing outside of the file, nothing larger than it may be."""

from __future__ import annotations

import itertools
import math
import mmap
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from zoomgr_formats.faults import check_growth, package
from zoomgr_formats.values import Kind, NoTensor, Values, kind_of, tensor_of

if TYPE_CHECKING:
    import numpy as np
    import torch

MAGIC = b"\x89HDF\r\n\x1a\n"
_MAX_DEPTH = 64
_MAX_OBJECTS = 1_000_000
_MAX_TEXT = 64 << 10  # of a name
_MAX_TEXTS, _MAX_LIST_BYTES = 100_000, 64 << 20
_MAX_SHARED_BYTES = 4 << 30  # no more than libhdf5 may take for one text whose length is wrong
_HEAP, _HEAP_SIZE = b"GCOL\x01\0\0\0", struct.Struct("<8xQ")
_FILTERS = {1: "gzip", 2: "shuffle", 3: "fletcher32"}
"""Those that libhdf5 itself undoes and whose output can be told before it is made (H5Zpublic.h)."""

_GZIP = 1
_CHUNK_SLACK_BYTES = 4096  # gzip makes what does not compress a little longer


class Hdf5:
    """An open file: its datasets by path, and the attributes of its groups.

    Attributes:
        datasets: by path, slashes between; in the file's order.
        groups: by path; the root's is empty.
    """

    def __init__(self, path: Path, file: Any, values: Values | None, begin: int) -> None:
        self._values = values if not file.userblock_size else None
        self._begin = begin
        self._path = path
        self.datasets: dict[str, Any] = {}
        self.groups: dict[str, Any] = {"": file}
        self._look_through(file, "", {_address(file)}, 0)
        check_growth(sum(map(_declared_bytes, self.datasets.values())), path)

    def value(self, path: str) -> Any:
        """What a dataset holds: a tensor, mapped where it lies in one piece; or the name of its type."""
        dataset = self.datasets[path]
        kind, begin = kind_of(dataset.dtype), dataset.id.get_offset()
        if kind is None:
            return NoTensor(dataset.dtype.name)
        if begin is not None and self._values:
            return self._values.tensor(self._begin + begin, kind, dataset.shape)
        _check_chunks(path, dataset)
        return _filled(dataset, kind)

    def texts(self, group: str, attribute: str) -> list[str]:
        """The texts of an attribute, none when it is not there; Keras cuts long lists into numbered ones."""
        attributes = self.groups[group].attrs
        if attribute in attributes:
            return _texts(attributes, attribute, self._path)
        parts = itertools.takewhile(attributes.__contains__, (f"{attribute}{n}" for n in itertools.count()))
        return [text for part in parts for text in _texts(attributes, part, self._path)]

    def text(self, group: str, attribute: str, most: int = _MAX_TEXT) -> str:
        """The text of an attribute; empty when it is not there, or is a list.

        Raises:
            ValueError: it has more than `most` letters.
        """
        attributes = self.groups[group].attrs
        if attribute not in attributes or attributes.get_id(attribute).shape != ():
            return ""
        return _texts(attributes, attribute, self._path, most)[0]

    def _look_through(self, group: Any, above: str, seen: set[int], depth: int) -> None:
        if depth > _MAX_DEPTH:
            raise ValueError(f"its groups are nested more than {_MAX_DEPTH} deep")
        for name in group:
            path = f"{above}{name}"
            one = _linked(group, name, path)
            if len(seen) > _MAX_OBJECTS or _address(one) in seen:
                raise ValueError(f"{path} is there twice, or beyond {_MAX_OBJECTS:,} others")
            seen.add(_address(one))
            if _is_group(one):
                self.groups[path] = one
                self._look_through(one, f"{path}/", seen, depth + 1)
            else:
                _check_dataset(path, one)
                self.datasets[path] = one


@contextmanager
def opened(path: Path, *, mapped: bool) -> Iterator[Hdf5]:
    """A file looked through; its tensors may be a map of it.

    Raises:
        MissingPackageError: h5py is not installed.
        ValueError: it points out of itself, or would become larger than it may.
    """
    # Without a lock: a file of the cache may lie on a disk that can only be read, or has no locks.
    with _h5py_file(path, locking=False) as content:
        yield Hdf5(path, content, Values(path, mapped=mapped), 0)


@contextmanager
def opened_inside(path: Path, file: IO[bytes], begin: int | None, *, mapped: bool) -> Iterator[Hdf5]:
    """The same of a file in an archive, `begin` bytes from its begin; None when it is compressed."""
    values = None if begin is None else Values(path, mapped=mapped)
    with _h5py_file(file) as content:
        yield Hdf5(path, content, values, begin or 0)


def _h5py_file(file: Any, **how: Any) -> Any:
    # Each chunk is read once: a cache of them, one for each dataset, would hold the file a second time.
    return package("h5py", "an HDF5 file").File(file, "r", rdcc_nbytes=0, **how)


def _linked(group: Any, name: str, path: str) -> Any:
    import h5py

    link = group.get(name, getlink=True)
    if not isinstance(link, h5py.HardLink):
        raise ValueError(f"{path} is a link to another place, which is not followed")  # noqa: TRY004 (of the file)
    one = group[name]
    if not isinstance(one, h5py.Group | h5py.Dataset):
        raise ValueError(f"{path} is neither a group nor an array")  # noqa: TRY004 (as above)
    return one


def _is_group(one: Any) -> bool:
    import h5py

    return isinstance(one, h5py.Group)


def _address(one: Any) -> int:
    import h5py

    address: int = h5py.h5o.get_info(one.id).addr
    return address


def _check_dataset(path: str, dataset: Any) -> None:
    if dataset.external or dataset.is_virtual:
        raise ValueError(f"{path} keeps its values in other files, which are not read")
    if dataset.shape is None:
        raise ValueError(f"{path} is an array without a shape")


def _declared_bytes(dataset: Any) -> int:
    kind = kind_of(dataset.dtype)
    return kind.bytes_of(dataset.shape) if kind else 0


def _check_chunks(path: str, dataset: Any) -> None:
    """Undo the compression of each chunk within its bounds, which libhdf5 would do without any."""
    properties = dataset.id.get_create_plist()
    filters = [properties.get_filter(number)[0] for number in range(properties.get_nfilters())]
    if not set(filters) <= _FILTERS.keys() or len(set(filters)) != len(filters):
        raise ValueError(f"{path} is stored with filters other than {', '.join(_FILTERS.values())}")
    if not filters:
        return
    chunk_bytes = dataset.dtype.itemsize * math.prod(map(int, dataset.chunks))
    for number in range(dataset.id.get_num_chunks()):
        chunk = dataset.id.get_chunk_info(number)
        if chunk.size > chunk_bytes + _CHUNK_SLACK_BYTES:
            raise ValueError(f"a part of {path} is larger than it may be")
        if _GZIP in filters:
            skipped, raw = dataset.id.read_direct_chunk(chunk.chunk_offset)
            if not skipped & 1 << filters.index(_GZIP):
                _check_inflated(path, raw, chunk_bytes + _CHUNK_SLACK_BYTES)


def _check_inflated(path: str, raw: bytes, most_bytes: int) -> None:
    stream = zlib.decompressobj()
    if len(stream.decompress(raw, most_bytes + 1)) > most_bytes:
        raise ValueError(f"a part of {path} becomes larger than it may")


def _filled(dataset: Any, kind: Kind) -> torch.Tensor:
    """The values, read into the memory of the tensor that is returned."""
    import numpy as np

    array: np.ndarray[Any, Any] = np.empty(dataset.shape, dataset.dtype.newbyteorder("="))
    if array.size:
        dataset.read_direct(array)
    return tensor_of(array, Kind(kind.name))


def _texts(attributes: Any, name: str, path: Path, most: int = _MAX_TEXT) -> list[str]:
    identifier = attributes.get_id(name)
    count = math.prod(identifier.shape)
    if count > _MAX_TEXTS or count * identifier.dtype.itemsize > _MAX_LIST_BYTES:
        raise ValueError(f"its attribute {name} is too long")
    if count > 1 and identifier.dtype.hasobject and count * _longest_text(path) > _MAX_SHARED_BYTES:
        raise ValueError(f"its attribute {name} would become too long")
    value = attributes[name]
    values = value.reshape(-1).tolist() if hasattr(value, "reshape") else [value]
    texts = [one.decode() if isinstance(one, bytes) else str(one) for one in values]
    if any(len(text) > most for text in texts):
        raise ValueError(f"its attribute {name} holds what is no name")
    return texts


def _longest_text(path: Path) -> int:
    """The most bytes that one of the texts of varying length has, which lie in heaps (signature GCOL).

    Any number of references may lead to one of them, and libhdf5 gives them all at once or not at all.
    """
    longest = 0
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        at = content.find(_HEAP)
        while at >= 0:
            longest = max(longest, *_HEAP_SIZE.unpack_from(content[at : at + 16].ljust(16)))
            at = content.find(_HEAP, at + 1)
    return longest
