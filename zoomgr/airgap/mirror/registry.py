"""A mirror in an OCI registry: one artifact a model, and one that lists which file lies where.

    oci://HOST/ZOO/SOURCE/NAME    a tag for each set of weights: config = the ref, as in a cache;
                                  layers = the file, its card
    oci://HOST/ZOO                tag `ref-<digits>` for each of them: config = its part of files.json
                                  tag `index`: layers index.json, files.json

files.json says for each path of a mirror in which repository it lies and under which digest. A node reads it
and needs no rule of names (plugins/zoomgr_oci). Its parts have tags of their own, so that no writer can lose
another's: a registry has no other way to list what is there.
"""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from zoomgr.airgap.index import FILENAME
from zoomgr.airgap.mirror.client import Host, Repository, described
from zoomgr.airgap.mirror.place import Model
from zoomgr.cache.disk import sha256_of
from zoomgr.cache.progress import Progress
from zoomgr.cache.refs import blob_in, cards_in, dump_entry, file_name, parse_entry, ref_in, refs_in
from zoomgr.cards import dump_card
from zoomgr.errors import BlobAlteredError, CacheDamagedError, InvalidSettingError, reason_of, redacted
from zoomgr.records import CacheEntry, ModelRef

_TYPE = "application/vnd.zoomgr"
_TITLE = "org.opencontainers.image.title"
_LICENSES = "org.opencontainers.image.licenses"
_TABLE = "files.json"
_INDEX_TAG, _PART = "index", "ref-"
_NOT_IN_A_NAME = re.compile(r"[^a-z0-9]+")
_SEPARATOR = re.compile(r"\.|__?|-+")  # what may stand between letters of a name (OCI distribution, "pull")
_TAG_LENGTH, _DIGITS = 100, 8
_NO_TAG = "latest"  # as docker has it


class RegistryPlace:
    """A registry.

    Args:
        url: oci://[USER:PASSWORD@]HOST[:PORT]/ZOO.

    Raises:
        InvalidSettingError: it is none, or names no repository.
    """

    has_pages = False

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._zoo = parts.path.strip("/")
        if not self._zoo or _repository(self._zoo) != self._zoo:
            remedy = "write oci://HOST/PATH, with lower-case letters, digits and . _ - between them"
            raise InvalidSettingError("DEST", redacted(url), "it names no repository", remedy)
        login = (unquote(parts.username), unquote(parts.password or "")) if parts.username else ()
        self._host = Host(parts.netloc.rpartition("@")[2], login)
        self._repositories: dict[str, Repository] = {}
        self._files: dict[str, Any] = {}

    def publish(self, model: Model, progress: Progress) -> bool:
        """As `Place.publish`; every artifact has its card, files.json those that nodes must find."""
        entry = model.entry
        name, tag = named(entry.ref)
        repository = self._repository(f"{self._zoo}/{name}")
        known = repository.manifest(tag)
        layers = known.get("layers") or [{}]
        is_new = layers[0].get("digest") != str(entry.digest) or not repository.has(str(entry.digest))
        if is_new:
            known = self._push(repository, tag, model, progress)
        files = {
            ref_in(Path(), entry.ref): known["config"],
            blob_in(Path(), entry.digest): known["layers"][0],
        }
        if model.own_card:
            card = repository.put(dump_card(model.own_card), f"{_TYPE}.card.v1+json")
            files[cards_in(Path()) / file_name(entry.ref)] = card
        self._tell(
            entry.ref,
            {
                path.as_posix(): {
                    "repository": repository.name,
                    "digest": blob["digest"],
                    "size": blob["size"],
                }
                for path, blob in files.items()
            },
        )
        return is_new

    def _push(self, repository: Repository, tag: str, model: Model, progress: Progress) -> dict[str, Any]:
        """Bring the blobs, then the manifest that names them."""
        entry, card = model.entry, model.card
        digest = str(entry.digest)
        if not repository.has(digest):
            with progress.start(entry.filename, entry.size_bytes) as step:
                _check(entry)
                repository.put_file(entry.path, digest, entry.size_bytes)
                step(entry.size_bytes)
        config = repository.put(dump_entry(entry), f"{_TYPE}.ref.v1+json")
        layers = [described(digest, entry.size_bytes, f"{_TYPE}.weights.v1")]
        layers[0]["annotations"] = {_TITLE: entry.filename}
        if card:
            layers.append(repository.put(dump_card(card), f"{_TYPE}.card.v1+json", **{_TITLE: "card.json"}))
        about = {"io.zoomgr.ref": entry.ref} | ({_LICENSES: entry.license} if entry.license else {})
        repository.tag(tag, f"{_TYPE}.model.v1", config, layers, **about)
        return {"config": config, "layers": layers}

    def _tell(self, ref: str, files: dict[str, Any]) -> None:
        """See to it that the part of a ref is there, and says this."""
        zoo = self._repository(self._zoo)
        part, tag = zoo.put(_dumped(files), f"{_TYPE}.files.v1+json"), _part_tag(file_name(ref))
        if (zoo.manifest(tag).get("config") or {}).get("digest") != part["digest"]:
            zoo.tag(tag, f"{_TYPE}.files.v1", part, [])
        self._files |= files

    def names(self) -> frozenset[str]:
        """As `Place.names`; parts that are not known yet are read."""
        zoo = self._repository(self._zoo)
        tags = {tag for tag in zoo.tags() if tag.startswith(_PART)}
        for tag in tags - {_part_tag(name) for name in self._known_names()}:
            if part := zoo.manifest(tag).get("config"):
                self._files |= _table(zoo.get(part["digest"]))
        return frozenset(name for name in self._known_names() if _part_tag(name) in tags)

    def _known_names(self) -> list[str]:
        folder = f"{refs_in(Path()).as_posix()}/"
        return [path.removeprefix(folder) for path in self._files if path.startswith(folder)]

    def record(self, name: str) -> CacheEntry | None:
        """As `Place.record`."""
        entry = parse_entry(self.read((refs_in(Path()) / name).as_posix()))
        return entry if entry and file_name(entry.ref) == name else None

    def read(self, path: str) -> bytes:
        """As `Place.read`; the index is read anew, and with it where everything else lies."""
        if path == FILENAME:
            zoo = self._repository(self._zoo)
            layers = zoo.manifest(_INDEX_TAG).get("layers") or []
            blobs = {(layer.get("annotations") or {}).get(_TITLE): layer["digest"] for layer in layers}
            if _TABLE in blobs:
                self._files = _table(zoo.get(blobs[_TABLE])) | self._files
            return zoo.get(blobs[FILENAME]) if FILENAME in blobs else b""
        found = self._files.get(path)
        return self._repository(found["repository"]).get(found["digest"]) if found else b""

    def write(self, path: str, content: bytes) -> None:
        """The index, and where everything lies; nothing else is written to a registry by path."""
        zoo = self._repository(self._zoo)
        layers = [
            zoo.put(content, f"{_TYPE}.index.v1+json", **{_TITLE: path}),
            zoo.put(_dumped(self._files), f"{_TYPE}.files.v1+json", **{_TITLE: _TABLE}),
        ]
        empty = zoo.put(b"{}", "application/vnd.oci.empty.v1+json")
        zoo.tag(_INDEX_TAG, f"{_TYPE}.index.v1", empty, layers)

    def _repository(self, name: str) -> Repository:
        if name not in self._repositories:
            self._repositories[name] = Repository(self._host, name)
        return self._repositories[name]


def named(ref: str) -> tuple[str, str]:
    """Repository below the mirror, and tag, of a reference; no two references have the same.

    `torchvision/vgg16@imagenet1k_v1` gives `torchvision/vgg16` and `imagenet1k_v1`. Where the reference has
    what a repository or a tag cannot have, digits of its sha256 end the tag.
    """
    parsed = ModelRef.parse(ref)
    text = f"files/{Path(parsed.name).name}" if parsed.scheme else ref.partition("@")[0]
    repository, tag = _repository(text), parsed.tag.lstrip(".-") or _NO_TAG
    is_as_written = tag == parsed.tag != _NO_TAG or not parsed.tag
    if repository == text and is_as_written and not parsed.scheme:
        return repository, tag
    return repository, f"{tag[:_TAG_LENGTH]}-{hashlib.sha256(ref.encode()).hexdigest()[:_DIGITS]}"


def _repository(text: str) -> str:
    """A text as a name of a repository: unchanged if it can be one."""

    def separator(found: re.Match[str]) -> str:
        return found[0] if _SEPARATOR.fullmatch(found[0]) else "-"

    parts = (_NOT_IN_A_NAME.sub(separator, part).strip("._-") for part in text.lower().split("/"))
    return "/".join(part or "x" for part in parts)


def _part_tag(name: str) -> str:
    """The tag of the part of a ref, by the digits that end the ref's file name."""
    return _PART + name.removesuffix(".json").rpartition("-")[2]


def _dumped(files: dict[str, Any]) -> bytes:
    return json.dumps({"version": 1, "files": files}, indent=1, sort_keys=True).encode()


def _table(content: bytes) -> dict[str, Any]:
    try:
        files = json.loads(content)["files"]
    except (ValueError, KeyError, TypeError):
        return {}
    return files if isinstance(files, dict) else {}


def _check(entry: CacheEntry) -> None:
    """Refuse a file that is not what was proven; the registry would, after all of it has travelled."""
    try:
        actual = sha256_of(entry.path)
    except OSError as error:
        raise CacheDamagedError(str(entry.path), reason_of(error)) from error
    if actual != entry.digest:
        raise BlobAlteredError(entry.ref, str(entry.path), str(entry.digest), str(actual))
