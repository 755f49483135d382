"""registry.toml: models, aliases, source order, digest pins, mirrors, policy; merged from several files."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self
from urllib.parse import urlsplit

from zoomgr.errors import InvalidRegistryError, reason_of, redacted
from zoomgr.lines import TomlFile, line_told_by
from zoomgr.records import Artifact, Digest, ModelCard, ModelRef
from zoomgr.settings import place_url

if TYPE_CHECKING:
    from zoomgr.policy import Policy

VERSION = 1
SOURCE = "registry"
"""What stands before the slash of a reference to a registry's own model."""

_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*://")
_SECTIONS = ("version", "sources", "models", "aliases", "pins", "mirrors", "tokens", "policy")
_MODEL_KEYS: Mapping[str, type | tuple[type, ...]] = {
    "arch": str,
    "url": str,
    "urls": list,
    "sha256": str,
    "size_bytes": int,
    "adapter": str,
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
        tokens: origin (`https://host:443`) -> name of the environment variable that holds its bearer token.
        policy: what may be used; of the first file that has one, whole, for two merged would allow what
            neither does. None when no file has one.
    """

    models: Mapping[str, ModelCard] = field(default_factory=dict)
    aliases: Mapping[str, ModelRef] = field(default_factory=dict)
    order: tuple[str, ...] = ()
    pins: Mapping[str, Digest] = field(default_factory=dict)
    mirrors: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    tokens: Mapping[str, str] = field(default_factory=dict)
    policy: Policy | None = None

    @staticmethod
    def load(files: Sequence[Path]) -> Registry:
        """Read the user's files, first wins, and the shipped one after them.

        Raises:
            InvalidRegistryError: a file cannot be read, is no TOML, or says something that means nothing.
        """
        merged = Registry()
        for path in (*files, shipped_file()):
            merged = merged.extended_by(_File.open(path).registry())
        for name, ref in merged.aliases.items():
            if not ref.source and ref.name in merged.aliases:
                problem = f"the alias {name} stands for {ref}, which is an alias itself"
                raise InvalidRegistryError("[aliases]", 0, problem)
        return merged

    def extended_by(self, later: Registry) -> Registry:
        """This registry, with what a later one adds."""
        return Registry(
            models={**later.models, **self.models},
            aliases={**later.aliases, **self.aliases},
            order=self.order or later.order,
            pins={**later.pins, **self.pins},
            mirrors={**later.mirrors, **self.mirrors},
            tokens={**later.tokens, **self.tokens},
            policy=self.policy or later.policy,
        )

    def token_for(self, url: str, environ: Mapping[str, str]) -> str:
        """The bearer token of a URL's origin, from the variable that `[tokens]` names; empty if none is set.

        Raises:
            InvalidSettingError: the variable holds something that no token can be.
        """
        if not self.tokens:
            return ""
        from zoomgr.tokens import token_for

        return token_for(url, self.tokens, environ)


def shipped_file() -> Path:
    """The registry that comes with zoomgr: in a wheel inside the package, in a checkout beside it."""
    inside = Path(__file__).parent / "registry.toml"
    return inside if inside.is_file() else Path(__file__).parent.parent / "registry.toml"


@dataclass(frozen=True, slots=True)
class _File(TomlFile):
    """One registry file on its way to a `Registry`."""

    data: Mapping[str, Any]

    what: ClassVar[str] = "a registry"
    refusal: ClassVar[type[InvalidRegistryError]] = InvalidRegistryError

    @classmethod
    def open(cls, path: Path) -> Self:
        try:
            text = path.read_text(encoding="utf-8")
            return cls(path, text, tomllib.loads(text))
        except tomllib.TOMLDecodeError as error:
            raise InvalidRegistryError(str(path), line_told_by(error), f"no TOML: {error}") from error
        except (OSError, UnicodeDecodeError) as error:
            raise InvalidRegistryError(str(path), 0, reason_of(error)) from error

    def registry(self) -> Registry:
        self.check_keys("", self.data, _SECTIONS)
        if self.data.get("version") != VERSION:
            self.fail("", "version", f"version must be {VERSION}, not {self.data.get('version')!r}")
        sources = self.section("sources")
        self.check_keys("sources", sources, ("order",))
        models = self.section("models")
        pins = self.each("pins", str, _whole_digest)
        return Registry(
            models={name: self.model(name, entry) for name, entry in models.items()},
            aliases=self.aliases(),
            order=tuple(self.names("sources", "order", sources.get("order", []))),
            pins={str(self.convert("pins", key, key, _pinnable)): digest for key, digest in pins.items()},
            mirrors=self.mirrors(),
            tokens=self.tokens() if "tokens" in self.data else {},
            policy=self.policy() if "policy" in self.data else None,
        )

    def aliases(self) -> dict[str, ModelRef]:
        aliases: dict[str, ModelRef] = self.each("aliases", str, ModelRef.parse)
        for name in aliases:
            self.convert("aliases", name, name, _plain_name)
        return aliases

    def mirrors(self) -> dict[str, tuple[str, ...]]:
        mirrors: dict[str, tuple[str, ...]] = self.each("mirrors", list, _places)
        for prefix in mirrors:
            self.convert("mirrors", prefix, prefix, _prefix)
        return {
            prefix: tuple(f"{place.rstrip('/')}/" if prefix.endswith("/") else place for place in places)
            for prefix, places in mirrors.items()
        }

    def tokens(self) -> dict[str, str]:
        from zoomgr.tokens import origin_with_token, variable_name  # which HTTP comes with

        tokens = self.each("tokens", str, variable_name)
        return {self.convert("tokens", key, key, origin_with_token): name for key, name in tokens.items()}

    def policy(self) -> Policy:
        from zoomgr.policy import Policy

        entry = self.section("policy")
        self.check_keys("policy", entry, ("allow", "deny", "unknown", "formats"))
        allow, deny, formats = (
            self.names("policy", key, entry.get(key, [])) for key in ("allow", "deny", "formats")
        )
        unknown = self.convert("policy", "unknown", entry.get("unknown", "allow"), _allow_or_deny)
        return Policy(allow, deny, unknown, formats, str(self.path))

    def model(self, name: str, entry: Any) -> ModelCard:
        table = f"models.{name}"
        self.convert("models", name, name, _plain_name)
        if not isinstance(entry, dict):
            self.fail("models", name, f"{table} must be a table")
        self.check_keys(table, entry, tuple(_MODEL_KEYS))
        for key, value in entry.items():
            if not isinstance(value, _MODEL_KEYS[key]) or isinstance(value, bool):
                self.fail(table, key, f"{table}.{key} has the wrong type, {type(value).__name__}")
            if isinstance(value, int) and value < 1:
                self.fail(table, key, f"{table}.{key} must be 1 or more")
        if "arch" in entry:
            self.convert(table, "arch", entry["arch"], _architecture)
        labels = entry.get("labels", "")
        if isinstance(labels, list) and len(labels) != entry.get("num_classes", len(labels)):
            problem = f"{table}.labels has {len(labels)} names for {entry['num_classes']} classes"
            self.fail(table, "labels", problem)
        return ModelCard(
            ref=ModelRef(name, source=SOURCE),
            arch=entry.get("arch", ""),
            schema=entry.get("adapter", ""),
            artifact=self.artifact(name, entry),
            is_default=True,
            num_classes=entry.get("num_classes"),
            in_ch=entry.get("in_ch", 0),
            labels=labels if isinstance(labels, str) else self.names(table, "labels", labels),
            license=entry.get("license", ""),
            provenance=entry.get("provenance", ""),
            notes=entry.get("notes", ""),
        )

    def artifact(self, name: str, entry: Mapping[str, Any]) -> Artifact | None:
        table = f"models.{name}"
        if "url" in entry and "urls" in entry:
            self.fail(table, "url", f"{table} has both url and urls")
        urls = self.names(table, "urls", entry.get("urls", [entry["url"]] if "url" in entry else []))
        if not urls:
            return None
        for url in urls:
            self.convert(table, "url" if "url" in entry else "urls", url, _url)
        digest = self.convert(table, "sha256", entry["sha256"], Digest.parse) if "sha256" in entry else None
        return Artifact(
            urls=urls,
            filename=urlsplit(urls[0]).path.rpartition("/")[2] or name,  # its query may be a token
            size_bytes=entry.get("size_bytes"),
            digest=digest,
            promised_by=f"{table} in {self.path.name}" if digest else "",
        )

    # -- reading a table -------------------------------------------------------------------------------------

    def section(self, name: str) -> Mapping[str, Any]:
        value = self.data.get(name, {})
        return value if isinstance(value, dict) else self.fail("", name, f"{name} must be a table")

    def each(self, section: str, kind: type, parse: Callable[[Any], Any]) -> dict[str, Any]:
        parsed = {}
        for key, value in self.section(section).items():
            if not isinstance(value, kind):
                self.fail(section, key, f"{section}.{key} has the wrong type, {type(value).__name__}")
            parsed[key] = self.convert(section, key, value, parse)
        return parsed

    def names(self, table: str, key: str, values: Any) -> tuple[str, ...]:
        found: tuple[str, ...] = self.convert(table, key, values, _texts)
        return found


def _texts(values: Any) -> tuple[str, ...]:
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise ValueError("must be a list of strings")
    return tuple(values)


def _url(text: str) -> str:
    if ModelRef.parse(text).scheme in {"", "path"}:
        raise ValueError(f"{redacted(text)!r} is no URL; that of a file is file:///PATH")
    return text


def _prefix(text: str) -> str:
    if not _SCHEME.match(text):
        raise ValueError("a mirror stands for the beginning of URLs, with their scheme: https://HOST/")
    return text


def _places(values: Any) -> tuple[str, ...]:
    """URLs, or absolute paths as file URLs."""
    return tuple(map(place_url, _texts(values)))


def _allow_or_deny(text: Any) -> Any:
    if text != "allow" and text != "deny":  # noqa: PLR1714 [a list is no member of a set, and may stand here]
        raise ValueError(f'{text!r} must be "allow" or "deny"')
    return text


def _plain_name(text: str) -> ModelRef:
    ref = ModelRef.parse(text)
    if ref != ModelRef(text):
        raise ValueError("it cannot be written as a name")
    return ref


def _architecture(text: str) -> ModelRef:
    ref = ModelRef.parse(text)
    if not ref.source or ref.scheme or ref.source == SOURCE:
        raise ValueError(f"{text!r} must be FAMILY/NAME")
    return ref


def _pinnable(text: str) -> ModelRef:
    """A reference to exactly one file; anything looser would be a pin that holds for nothing."""
    ref = ModelRef.parse(text)
    if not ref.scheme and (not ref.source or not (ref.tag or ref.source == SOURCE)):
        raise ValueError("a pin must name one file: SOURCE/NAME@TAG, or a URL")
    return ref


def _whole_digest(text: str) -> Digest:
    digest = Digest.parse(text)
    if digest.is_weak:
        raise ValueError("a pin needs all 64 digits")
    return digest
