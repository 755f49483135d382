"""TOML as a lock. Strict: a key that means nothing would be a promise that nobody keeps."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

from zoomgr.cards import read_card
from zoomgr.errors import InvalidLockError, reason_of
from zoomgr.lines import TomlFile, line_told_by
from zoomgr.lockfile.record import VERSION, Lock, LockEntry, source_of
from zoomgr.lockfile.writing import ELSEWHERE
from zoomgr.records import Artifact, Digest, ModelCard, ModelRef

_SECTIONS = ("version", "scripts", "models")
_KEYS: Mapping[str, type] = {
    "names": list,
    "source": str,
    "filename": str,
    "urls": list,
    "size_bytes": int,
    "sha256": str,
    "license": str,
    "adapter": dict,
    "card": dict,
}
_OPTIONAL = frozenset({"license", "adapter", "card"})
_ADAPTER = ("name", "distribution", "version")


def read_lock(path: Path) -> Lock:
    """The lock in a file.

    Raises:
        InvalidLockError: it cannot be read, is no TOML, or says something that means nothing.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidLockError(str(path), 0, reason_of(error)) from error
    return parse_lock(text, str(path))


def locked_refs(path: Path) -> dict[str, Digest]:
    """The canonical references of a lock, with the whole digests of their files. Raises as `read_lock`."""
    return {ref: entry.digest for ref, entry in read_lock(path).entries.items()}


def parse_lock(text: str, path: str) -> Lock:
    """What `dump_lock` wrote; raises as `read_lock`."""
    try:
        data = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise InvalidLockError(path, line_told_by(error), f"no TOML: {error}") from error
    return _File(Path(path), text).lock(data)


@dataclass(frozen=True, slots=True)
class _File(TomlFile):
    """A lock on its way."""

    what: ClassVar[str] = "a lock"
    refusal: ClassVar[type[InvalidLockError]] = InvalidLockError

    def lock(self, data: Mapping[str, Any]) -> Lock:
        self.check_keys("", data, _SECTIONS)
        if "version" not in data:
            raise InvalidLockError(str(self.path), 0, f"it says no version; this zoomgr reads {VERSION}")
        if data["version"] != VERSION:
            found = data["version"]
            self.fail("", "version", f"it is of version {found!r}, and this zoomgr reads {VERSION}")
        scripts = self.convert("", "scripts", data.get("scripts", []), _texts)
        models = data.get("models", {})
        if not isinstance(models, dict):
            self.fail("", "models", "models must be a table")
        entries = {ref: self.entry(ref, models[ref]) for ref in sorted(models)}
        self.check_names(entries)
        return Lock(entries, scripts, str(self.path), self.text)

    def entry(self, ref: str, known: Any) -> LockEntry:
        table = f"models.{ref}"
        if not isinstance(known, dict):
            self.fail("models", ref, f"{ref} must be a table")
        parsed = self.convert("models", ref, ref, _canonical)
        self.check_keys(table, known, tuple(_KEYS))
        for key, kind in _KEYS.items():
            if key not in known and key not in _OPTIONAL:
                self.fail("models", ref, f"{ref} lacks {key}")
            if key in known and type(known[key]) is not kind:
                self.fail(table, key, f"{ref}: {key} has the wrong type, {type(known[key]).__name__}")
        if known["source"] != source_of(parsed):
            self.fail(table, "source", f"{ref} is of the source {source_of(parsed)!r}")
        adapter = self.adapter(ref, known.get("adapter"))
        artifact = Artifact(
            self.convert(table, "urls", known["urls"], _some_texts),
            self.convert(table, "filename", known["filename"], _filename),
            self.convert(table, "size_bytes", known["size_bytes"], _count),
            self.convert(table, "sha256", known["sha256"], _whole_digest),
        )
        card = self.card(ref, known.get("card", {}))
        card = replace(
            card, ref=parsed, schema=adapter[0], artifact=artifact, license=known.get("license", "")
        )
        names = self.convert(table, "names", known["names"], _names)
        return LockEntry(names, card, *adapter[1:])

    def adapter(self, ref: str, known: Mapping[str, Any] | None) -> tuple[str, ...]:
        if known is None:
            return ("", "", "")
        table = f"models.{ref}.adapter"
        self.check_keys(table, known, _ADAPTER)
        for key in _ADAPTER:
            if not isinstance(known.get(key), str):
                self.fail("models", ref, f"{ref}: adapter.{key} must be a text")
        if not known["name"]:
            self.fail("models", ref, f"{ref}: adapter.name is empty")
        return tuple(known[key] for key in _ADAPTER)

    def card(self, ref: str, known: Mapping[str, Any]) -> ModelCard:
        if strange := sorted(ELSEWHERE & known.keys()):
            self.fail(f"models.{ref}", strange[0], f"{ref}: a card in a lock has no key {strange[0]!r}")
        try:
            whole = json.dumps({"version": 1, "ref": {"name": ref}, **known}, allow_nan=False)
            return read_card(whole.encode())
        except (ValueError, TypeError) as error:
            self.fail("models", ref, f"{ref}: its card: {error}")

    def check_names(self, entries: Mapping[str, LockEntry]) -> None:
        """Refuse a name that stands for two entries."""
        owners: dict[str, str] = {ref: ref for ref in entries}
        for ref, entry in entries.items():
            for name in entry.names:
                if owners.setdefault(name, ref) != ref:
                    self.fail(f"models.{ref}", "names", f"{name} stands for {owners[name]} and for {ref}")


def _canonical(text: str) -> ModelRef:
    """A reference to exactly one file, as the cache calls it."""
    ref = ModelRef.parse(text)
    if str(ref) != text or not source_of(ref) or ref.scheme == "path":
        raise ValueError("a lock names weights as SOURCE/NAME@TAG, or by a URL")
    return ref


def _names(values: Any) -> tuple[str, ...]:
    names = _some_texts(values)
    for name in names:
        if str(ModelRef.parse(name)) != name:
            raise ValueError(f"{name} is written {ModelRef.parse(name)}")
    return tuple(sorted(names))


def _some_texts(values: Any) -> tuple[str, ...]:
    if not (texts := _texts(values)):
        raise ValueError("there must be one at least")
    return texts


def _texts(values: Any) -> tuple[str, ...]:
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise ValueError("must be a list of strings")
    return tuple(values)


def _filename(text: str) -> str:
    if text in {"", ".", ".."} or "/" in text or "\\" in text:
        raise ValueError(f"{text!r} is no name of a file")
    return text


def _count(value: int) -> int:
    if value < 0:
        raise ValueError("must be 0 or more")
    return value


def _whole_digest(text: str) -> Digest:
    digest = Digest.parse(text)
    if digest.is_weak:
        raise ValueError("a lock needs all 64 digits")
    return digest
