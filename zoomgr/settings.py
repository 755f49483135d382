"""The settings of one Zoo, frozen when it is made; nothing reads the environment later."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import platformdirs

from zoomgr.errors import InvalidSettingError

_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"", "0", "false", "no", "off"})


@dataclass(frozen=True, slots=True)
class Settings:
    """Where things lie and what is allowed.

    Attributes:
        cache_dir: the cache that is written ($ZOOMGR_CACHE, else the platform's user cache folder).
        cache_layers: further caches, only read, searched in order ($ZOOMGR_CACHE_LAYERS, os.pathsep between).
        registry_files: registries of the user, first wins; the shipped one comes after them.
        offline: no socket may be opened ($ZOOMGR_OFFLINE).
        disabled_plugins: names of entry points not to load ($ZOOMGR_DISABLE_PLUGINS, commas between).
    """

    cache_dir: Path
    cache_layers: tuple[Path, ...] = ()
    registry_files: tuple[Path, ...] = ()
    offline: bool = False
    disabled_plugins: frozenset[str] = frozenset()

    @classmethod
    def from_environment(
        cls,
        environ: Mapping[str, str] = os.environ,
        *,
        cache_dir: Path | None = None,
        registry: Path | None = None,
        offline: bool = False,
    ) -> Self:
        """Read the environment; arguments (the command line's options) beat it.

        Raises:
            InvalidSettingError: a variable cannot be used, or names a file that is not there.
        """
        cache = cache_dir or _path(environ, "ZOOMGR_CACHE") or platformdirs.user_cache_path("zoomgr")
        layers = environ.get("ZOOMGR_CACHE_LAYERS", "").split(os.pathsep)
        return cls(
            cache_dir=cache.expanduser().absolute(),
            cache_layers=tuple(Path(text).expanduser() for text in layers if text),
            registry_files=tuple(_registry_files(environ, registry)),
            offline=offline or _flag(environ, "ZOOMGR_OFFLINE"),
            disabled_plugins=frozenset(
                name.strip() for name in environ.get("ZOOMGR_DISABLE_PLUGINS", "").split(",") if name.strip()
            ),
        )


def _registry_files(environ: Mapping[str, str], registry: Path | None) -> list[Path]:
    asked = {"--registry": registry, "ZOOMGR_REGISTRY": _path(environ, "ZOOMGR_REGISTRY")}
    for name, path in asked.items():
        if path and not path.is_file():
            raise InvalidSettingError(
                name, str(path), "there is no such file", "give the path of a TOML file"
            )
    own = platformdirs.user_config_path("zoomgr") / "registry.toml"
    return [path for path in asked.values() if path] + ([own] if own.is_file() else [])


def _path(environ: Mapping[str, str], name: str) -> Path | None:
    text = environ.get(name, "")
    return Path(text).expanduser() if text else None


def _flag(environ: Mapping[str, str], name: str) -> bool:
    text = environ.get(name, "").lower()
    if text not in _TRUE | _FALSE:
        raise InvalidSettingError(name, text, "neither true nor false", "write 1 or 0")
    return text in _TRUE
