"""The settings of one Zoo, frozen when it is made; nothing reads the environment later."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import platformdirs

from zoomgr.errors import InvalidSettingError, reason_of

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
        cache_dir: Path | str | None = None,
        registry: Path | str | None = None,
        offline: bool = False,
    ) -> Self:
        """Read the environment; arguments (the command line's options) beat it, an empty variable is none.

        Raises:
            InvalidSettingError: a variable or an option cannot be used, or names a file that is not there.
        """
        return cls(
            cache_dir=_cache_dir(environ, cache_dir),
            cache_layers=tuple(_cache_layers(environ)),
            registry_files=tuple(_registry_files(environ, registry)),
            offline=offline or _flag(environ, "ZOOMGR_OFFLINE"),
            disabled_plugins=frozenset(
                name.strip() for name in environ.get("ZOOMGR_DISABLE_PLUGINS", "").split(",") if name.strip()
            ),
        )


def _cache_dir(environ: Mapping[str, str], option: Path | str | None) -> Path:
    asked = _asked(environ, "ZOOMGR_CACHE", "--cache", option)
    name, path = next(asked, ("the default cache", platformdirs.user_cache_path("zoomgr")))
    if _is_file(name, path):
        raise InvalidSettingError(name, str(path), "it is a file", "give the path of a folder")
    return path.absolute()


def _cache_layers(environ: Mapping[str, str]) -> Iterator[Path]:
    name = "ZOOMGR_CACHE_LAYERS"
    return (_home_put_in(name, text) for text in environ.get(name, "").split(os.pathsep) if text)


def _registry_files(environ: Mapping[str, str], option: Path | str | None) -> list[Path]:
    asked = list(_asked(environ, "ZOOMGR_REGISTRY", "--registry", option))
    for name, path in asked:
        if not _is_file(name, path):
            raise InvalidSettingError(
                name, str(path), "there is no such file", "give the path of a TOML file"
            )
    own = platformdirs.user_config_path("zoomgr") / "registry.toml"
    return [path for _, path in asked] + ([own] if _is_file("registry.toml", own) else [])


def _asked(
    environ: Mapping[str, str], variable: str, name: str, option: Path | str | None
) -> Iterator[tuple[str, Path]]:
    """The paths that were asked for, and by what name: the option's before the variable's."""
    if option is not None:
        yield name, _home_put_in(name, str(option))
    if text := environ.get(variable):
        yield variable, _home_put_in(variable, text)


def _home_put_in(name: str, text: str) -> Path:
    if not text:
        raise InvalidSettingError(name, text, "it is empty", "give a path, or leave it out")
    try:
        return Path(text).expanduser()
    except RuntimeError as error:
        raise InvalidSettingError(name, text, "there is no such home folder", "write it in full") from error


def _is_file(name: str, path: Path) -> bool:
    try:
        return path.is_file()
    except OSError as error:
        remedy = "name a path that this user can read"
        raise InvalidSettingError(name, str(path), reason_of(error), remedy) from error


def _flag(environ: Mapping[str, str], name: str) -> bool:
    text = environ.get(name, "").lower()
    if text not in _TRUE | _FALSE:
        raise InvalidSettingError(name, text, "neither true nor false", "write 1 or 0")
    return text in _TRUE
