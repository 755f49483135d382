"""index.json of a bundle: the index of `zoomgr.airgap.index`, what proves each text beside it, and itself.

{"checksum": "sha256:…", "format": "zoomgr-index", …, "texts": {"cards/x.json": {"digest": "sha256:…", …}}}
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from zoomgr.airgap.index import FILENAME, IndexEntry, dump_index, read_index
from zoomgr.airgap.licences import licence_id, licence_text
from zoomgr.cache.refs import file_name
from zoomgr.cards import dump_card
from zoomgr.errors import InvalidBundleError, ZoomgrError, printable, reason_of
from zoomgr.gate import OWN_FILES
from zoomgr.records import Digest, ModelRef

SIGNATURE = f"{FILENAME}.sig"
MOST_INDEX_BYTES = 64 << 20
"""Ten thousand models with the names of a thousand classes each are less."""

_MOST_TEXT_BYTES = 4 << 20
_MOST_BLOB_BYTES = 1 << 50  # a petabyte; a tar's header says more, and no file is as large
_TEXT = re.compile(r"cards/[A-Za-z0-9._=@-]+\.json|licences/[a-z0-9][a-z0-9.+-]*\.txt")


@dataclass(frozen=True, slots=True)
class Text:
    """A card or a licence: its size, and its digest."""

    size_bytes: int
    digest: Digest

    @classmethod
    def of(cls, content: bytes) -> Text:
        """Of its bytes."""
        return cls(len(content), Digest(hashlib.sha256(content).hexdigest()))


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a bundle holds.

    Attributes:
        entries: sets of weights; those that have one file share it.
        texts: cards and licences by the names of their members.
    """

    entries: tuple[IndexEntry, ...]
    texts: Mapping[str, Text]

    def dump(self) -> bytes:
        """The bytes of index.json; the same for the same content."""
        known = json.loads(dump_index(self.entries))
        known["texts"] = {
            name: {"digest": str(text.digest), "size_bytes": text.size_bytes}
            for name, text in self.texts.items()
        }
        return _with_checksum(known)

    @property
    def blobs(self) -> dict[Digest, IndexEntry]:
        """One entry for each file, in the order in which the files follow each other."""
        found = {entry.digest: entry for entry in self.entries}
        return dict(sorted(found.items(), key=lambda item: item[0].hex))


def texts_for(entries: Sequence[IndexEntry]) -> dict[str, bytes]:
    """The cards and licences that go with entries, by the names of their members, in their order."""
    cards = {f"cards/{file_name(entry.ref)}": dump_card(entry.card) for entry in entries if entry.card}
    licences = {
        f"licences/{licence_id(entry.license)}.txt": licence_text(entry.license).encode()
        for entry in entries
        if licence_text(entry.license)
    }
    return dict(sorted(cards.items())) | dict(sorted(licences.items()))


def read_manifest(content: bytes, where: str) -> Manifest:
    """What `Manifest.dump` wrote; all that can be said of it without the files is checked.

    Args:
        content: of anybody.
        where: the bundle, for errors.

    Raises:
        InvalidIndexError: it is no index, or not of a version that is known here.
        InvalidBundleError: it is no bundle's, or contradicts itself.
    """
    entries = read_index(content, where)
    if _with_checksum(json.loads(content)) != content:
        raise InvalidBundleError(where, f"its {FILENAME} is damaged")
    try:
        texts = {name: _text(name, known) for name, known in sorted(json.loads(content)["texts"].items())}
        for entry in entries:
            _check(entry)
    except (ValueError, KeyError, TypeError, AttributeError, ZoomgrError) as error:
        raise InvalidBundleError(where, f"its {FILENAME} cannot be used: {reason_of(error)}") from error
    manifest = Manifest(entries, texts)
    blobs = manifest.blobs
    for entry in entries:
        if blobs[entry.digest].size_bytes != entry.size_bytes:
            raise InvalidBundleError(where, f"it has two sizes for {entry.digest}")
    return manifest


def _with_checksum(known: dict[str, Any]) -> bytes:
    """JSON in its one spelling, with the digest that it has without that digest: each wrong bit shows."""
    plain = {key: value for key, value in known.items() if key != "checksum"}
    checksum = hashlib.sha256(_dumped(plain)).hexdigest()
    return _dumped(plain | {"checksum": f"sha256:{checksum}"})


def _dumped(known: dict[str, Any]) -> bytes:
    return json.dumps(known, indent=1, sort_keys=True).encode() + b"\n"


def _text(name: str, known: Any) -> Text:
    text = Text(known["size_bytes"], Digest.parse(known["digest"]))
    is_size = type(text.size_bytes) is int and 0 <= text.size_bytes <= _MOST_TEXT_BYTES
    if not _TEXT.fullmatch(name) or not is_size or text.digest.is_weak or len(known) != 2:  # noqa: PLR2004 [both were read]
        raise ValueError(f"{name} can be no text of a bundle")
    return text


def _check(entry: IndexEntry) -> None:
    """ValueError or ZoomgrError, when an entry cannot be one that was exported."""
    ref = ModelRef.parse(entry.ref)
    if str(ref) != entry.ref or printable(entry.ref) != entry.ref or ref.scheme in OWN_FILES:
        raise ValueError(f"{entry.ref} is no name that weights keep on another machine")
    if not entry.filename or entry.filename in {".", ".."} or re.search(r"[/\\\0]", entry.filename):
        raise ValueError(f"{entry.ref} has a file name that is none, {entry.filename!r}")
    if entry.size_bytes > _MOST_BLOB_BYTES:
        raise ValueError(f"{entry.ref} would have {entry.size_bytes:,} bytes")
    promised = [entry.promised]
    if card := entry.card:
        promised.append(card.artifact.digest if card.artifact else None)
        if card.ref != ref:
            raise ValueError(f"the card of {entry.ref} is another one's, {card.ref}")
    if any(digest and not digest.matches(entry.digest) for digest in promised):
        raise ValueError(f"{entry.ref} is not what it says that was promised")
