"""registry.toml: models, aliases, source order, digest pins and mirrors, merged from several files."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn, Self

from zoomgr.errors import InvalidRefError, InvalidRegistryError, close_matches, reason_of
from zoomgr.records import Artifact, Digest, ModelCard, ModelRef

VERSION = 1
SOURCE = "registry"
"""What stands before the slash of a reference to a registry's own model."""

_SECTIONS = ("version", "sources", "models", "aliases", "pins", "mirrors")
_MODEL_KEYS: Mapping[str, type | tuple[type, ...]] = {
    "arch": str,
    "url": str,
    "urls": list,
    "sha256": str,
    "size_bytes": int,
    "adapter": str,
    "format": str,
    "license": str,
    "num_classes": int,
    "in_ch": int,
    "labels": (str, list),
    "provenance": str,
    "notes": str,
}


@dataclass(frozen=True, slots=True)
class Registry:
    """What the registry files say together; the first file that says something wins.

    Attributes:
        models: by name; what a file leaves out, the resolver takes from the architecture's own card.
        aliases: name -> what it stands for.
        order: sources that may answer a bare name, best first.
        pins: canonical reference -> whole digest; beats whatever a plugin promises.
        mirrors: URL prefix -> replacements, best first.
    """

    models: Mapping[str, ModelCard] = field(default_factory=dict)
    aliases: Mapping[str, ModelRef] = field(default_factory=dict)
    order: tuple[str, ...] = ()
    pins: Mapping[str, Digest] = field(default_factory=dict)
    mirrors: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @staticmethod
    def load(files: Sequence[Path]) -> Registry:
        """Read the user's files, first wins, and the shipped one after them.

        Raises:
            InvalidRegistryError: a file cannot be read, is no TOML, or says something that means nothing.
        """
        merged = Registry()
        for path in (*files, shipped_file()):
            merged = merged.extended_by(_File.open(path).registry())
        return merged

    def extended_by(self, later: Registry) -> Registry:
        """This registry, with what a later one adds."""
        return Registry(
            models={**later.models, **self.models},
            aliases={**later.aliases, **self.aliases},
            order=self.order or later.order,
            pins={**later.pins, **self.pins},
            mirrors={**later.mirrors, **self.mirrors},
        )


def shipped_file() -> Path:
    """The registry that comes with zoomgr: in a wheel inside the package, in a checkout beside it."""
    inside = Path(__file__).parent / "registry.toml"
    return inside if inside.is_file() else Path(__file__).parent.parent / "registry.toml"


@dataclass(frozen=True, slots=True)
class _File:
    """One registry file on its way to a `Registry`; knows the lines that its errors name."""

    path: Path
    text: str
    data: Mapping[str, Any]

    @classmethod
    def open(cls, path: Path) -> Self:
        try:
            text = path.read_text(encoding="utf-8")
            return cls(path, text, tomllib.loads(text))
        except tomllib.TOMLDecodeError as error:
            at = re.search(r"at line (\d+)", str(error))
            raise InvalidRegistryError(str(path), int(at[1]) if at else 0, f"no TOML: {error}") from error
        except (OSError, UnicodeDecodeError) as error:
            raise InvalidRegistryError(str(path), 0, reason_of(error)) from error

    def registry(self) -> Registry:
        self.check_keys("", self.data, _SECTIONS)
        if self.data.get("version") != VERSION:
            self.fail("version", f"version must be {VERSION}, not {self.data.get('version')!r}")
        sources = self.section("sources", dict)
        self.check_keys("sources", sources, ("order",))
        return Registry(
            models={name: self.model(name, entry) for name, entry in self.section("models", dict).items()},
            aliases=self.each("aliases", str, ModelRef.parse),
            order=tuple(self.names("order", sources.get("order", []))),
            pins=self.each("pins", str, _whole_digest),
            mirrors=self.each("mirrors", list, lambda urls: tuple(self.names("mirrors", urls))),
        )

    def model(self, name: str, entry: Any) -> ModelCard:
        if not isinstance(entry, dict):
            self.fail(name, f"models.{name} must be a table")
        self.check_keys(name, entry, tuple(_MODEL_KEYS))
        for key, value in entry.items():
            if not isinstance(value, _MODEL_KEYS[key]) or isinstance(value, bool):
                self.fail(key, f"models.{name}.{key} has the wrong type, {type(value).__name__}")
        labels = entry.get("labels", "")
        return ModelCard(
            ref=ModelRef(name, source=SOURCE),
            arch=entry.get("arch", ""),
            schema=entry.get("adapter", ""),
            artifact=self.artifact(name, entry),
            is_default=True,
            num_classes=entry.get("num_classes"),
            in_ch=entry.get("in_ch", 0),
            labels=labels if isinstance(labels, str) else tuple(self.names("labels", labels)),
            license=entry.get("license", ""),
            provenance=entry.get("provenance", ""),
            notes=entry.get("notes", ""),
        )

    def artifact(self, name: str, entry: Mapping[str, Any]) -> Artifact | None:
        urls = tuple(self.names("urls", entry.get("urls", [entry["url"]] if "url" in entry else [])))
        if not urls:
            return None
        digest = self.convert("sha256", entry["sha256"], Digest.parse) if "sha256" in entry else None
        return Artifact(
            urls=urls,
            filename=urls[0].partition("#")[0].rpartition("/")[2] or name,
            size_bytes=entry.get("size_bytes"),
            digest=digest,
            promised_by=f"models.{name} in {self.path.name}" if digest else "",
            format=entry.get("format", ""),
        )

    def section(self, name: str, kind: type) -> Any:
        value = self.data.get(name, kind())
        return value if isinstance(value, kind) else self.fail(name, f"{name} must be a table")

    def each(self, section: str, kind: type, parse: Callable[[Any], Any]) -> dict[str, Any]:
        parsed = {}
        for key, value in self.section(section, dict).items():
            if not isinstance(value, kind):
                self.fail(key, f"{section}.{key} has the wrong type, {type(value).__name__}")
            parsed[key] = self.convert(key, value, parse)
        return parsed

    def convert(self, key: str, value: Any, parse: Callable[[Any], Any]) -> Any:
        try:
            return parse(value)
        except (ValueError, InvalidRefError) as error:
            self.fail(key, f"{key}: {error.headline() if isinstance(error, InvalidRefError) else error}")

    def names(self, key: str, values: Any) -> Sequence[str]:
        if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
            self.fail(key, f"{key} must be a list of strings")
        return values

    def check_keys(self, where: str, table: Mapping[str, Any], known: Sequence[str]) -> None:
        for key in table:
            if key not in known:
                self.fail(
                    key, f"{where or 'a registry'} has no key {key!r}", close_matches(key, tuple(known))
                )

    def fail(self, key: str, problem: str, close: tuple[str, ...] = ()) -> NoReturn:
        # tomllib gives no positions: the first line that begins with the key, or a header that ends with it.
        spelled = rf"[\"']?{re.escape(key)}[\"']?"
        pattern = re.compile(rf"^\s*(?:{spelled}\s*=|\[(?:[^\]]*\.)?{spelled}\s*\])")
        lines = (number for number, line in enumerate(self.text.splitlines(), 1) if pattern.match(line))
        raise InvalidRegistryError(str(self.path), next(lines, 0), problem, close)


def _whole_digest(text: str) -> Digest:
    digest = Digest.parse(text)
    if digest.is_weak:
        raise ValueError("a pin needs all 64 digits")
    return digest
