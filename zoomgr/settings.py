"""The settings of one Zoo, frozen when it is made; nothing reads the environment later."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

import platformdirs

from zoomgr.errors import InvalidSettingError, reason_of, redacted

_RATE = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,15})?)([KMG]?)", re.IGNORECASE)
_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
_RETRIES = 4
LOCK_FILENAME = "zoo.lock"
"""What a project's lock is called, where `find_lock` looks for one."""
_MOST_DIGITS = 9  # of a count; Python itself refuses to read one of thousands
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*")
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
        retries: so often is a request that brought nothing made again ($ZOOMGR_RETRIES).
        limit_rate: the most bytes a second that downloads take together; None for no limit
            ($ZOOMGR_LIMIT_RATE, e.g. 500K).
        mirrors: places that may have any file, as URLs, asked first ($ZOOMGR_MIRROR, commas between).
        trusted_keys: public keys, one of which must have signed a bundle; when there are none, any will do
            ($ZOOMGR_TRUSTED_KEYS, os.pathsep between).
        disabled_plugins: names of entry points not to load ($ZOOMGR_DISABLE_PLUGINS, commas between).
        lock_file: what the project has locked ($ZOOMGR_LOCK, else what `find_lock` finds); None for nothing.
    """

    cache_dir: Path
    cache_layers: tuple[Path, ...] = ()
    registry_files: tuple[Path, ...] = ()
    offline: bool = False
    retries: int = _RETRIES
    limit_rate: int | None = None
    mirrors: tuple[str, ...] = ()
    trusted_keys: tuple[Path, ...] = ()
    disabled_plugins: frozenset[str] = frozenset()
    lock_file: Path | None = None

    @classmethod
    def from_environment(
        cls,
        environ: Mapping[str, str] = os.environ,
        *,
        cache_dir: Path | str | None = None,
        registry: Path | str | None = None,
        offline: bool = False,
        limit_rate: str | None = None,
    ) -> Self:
        """Read the environment; arguments (the command line's options) beat it, an empty variable is none.

        Raises:
            InvalidSettingError: a variable or an option cannot be used, or names a file that is not there.
        """
        return cls(
            cache_dir=_cache_dir(environ, cache_dir),
            cache_layers=tuple(_paths(environ, "ZOOMGR_CACHE_LAYERS")),
            registry_files=tuple(_registry_files(environ, registry)),
            offline=offline or _flag(environ, "ZOOMGR_OFFLINE"),
            retries=_count(environ, "ZOOMGR_RETRIES", _RETRIES),
            limit_rate=_limit_rate(environ, limit_rate),
            mirrors=tuple(_mirrors(environ)),
            trusted_keys=tuple(_paths(environ, "ZOOMGR_TRUSTED_KEYS")),
            disabled_plugins=frozenset(
                name.strip() for name in environ.get("ZOOMGR_DISABLE_PLUGINS", "").split(",") if name.strip()
            ),
            lock_file=_lock_file(environ),
        )


def find_lock(start: Path, home: Path | None) -> Path | None:
    """The `zoo.lock` that holds in a folder: its own, else the nearest above it; None when there is none.

    The root of a repository is the last that is looked at. A home folder is not, for what lies there was not
    meant for all that is below it; nor is a folder that everybody may write to, such as /tmp, for others
    could lay a lock there. That holds for the folders above: who works in one knows what lies in it.

    Args:
        start: absolute.
        home: of the user; None when there is none.
    """
    try:
        for folder in (start, *start.parents):
            if folder != start and (folder == home or folder.stat().st_mode & stat.S_IWOTH):
                return None
            if (folder / LOCK_FILENAME).is_file():
                return folder / LOCK_FILENAME
            if (folder / ".git").exists():  # a file, in a worktree
                return None
    except OSError:  # closed to this user
        return None
    return None


def _lock_file(environ: Mapping[str, str]) -> Path | None:
    name = "ZOOMGR_LOCK"
    if text := environ.get(name):
        return _home_put_in(name, text).absolute()
    try:
        return find_lock(Path.cwd(), Path.home())
    except (OSError, RuntimeError):  # the working folder was removed, or there is no home
        return None


def _cache_dir(environ: Mapping[str, str], option: Path | str | None) -> Path:
    asked = _asked(environ, "ZOOMGR_CACHE", "--cache", option)
    name, path = next(asked, ("the default cache", platformdirs.user_cache_path("zoomgr")))
    if _is_file(name, path):
        raise InvalidSettingError(name, str(path), "it is a file", "give the path of a folder")
    return path.absolute()


def _paths(environ: Mapping[str, str], name: str) -> Iterator[Path]:
    return (_home_put_in(name, text) for text in environ.get(name, "").split(os.pathsep) if text)


def _mirrors(environ: Mapping[str, str]) -> Iterator[str]:
    name = "ZOOMGR_MIRROR"
    for text in filter(None, map(str.strip, environ.get(name, "").split(","))):
        try:
            yield place_url(text)
        except ValueError as error:
            remedy = "write URLs or absolute paths, with commas between"
            raise InvalidSettingError(name, redacted(text), str(error), remedy) from error


def place_url(text: str) -> str:
    """A place where files lie, as a URL: one that is a URL already, or an absolute path of a folder.

    Raises:
        ValueError: it is neither, or a URL with a query or a fragment, to which no path can be added.
    """
    if "://" not in text:
        try:
            path = Path(text).expanduser()
        except RuntimeError as error:
            raise ValueError("there is no such home folder") from error
        if not path.is_absolute():
            raise ValueError("it is neither a URL nor an absolute path")
        return path.as_uri() + ("/" if text.endswith("/") else "")
    parts = urlsplit(text)
    if not _SCHEME.fullmatch(parts.scheme) or not (parts.hostname or parts.scheme == "file"):
        raise ValueError("it names no host")
    if parts.scheme == "file" and parts.hostname not in {None, "localhost"}:
        raise ValueError("a file URL has three slashes: file:///PATH")
    if parts.query or parts.fragment:
        raise ValueError("no path can be added to a URL with a query or a fragment")
    return text


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


def _count(environ: Mapping[str, str], name: str, otherwise: int) -> int:
    text = environ.get(name, "")
    if not text:
        return otherwise
    if not text.isdecimal() or len(text) > _MOST_DIGITS:
        raise InvalidSettingError(name, text, "it is no count", "write 0, 1, 2, …")
    return int(text)


def _limit_rate(environ: Mapping[str, str], option: str | None) -> int | None:
    """Bytes a second; K, M and G are 2**10, 2**20 and 2**30, as curl's --limit-rate has them."""
    name, text = (
        ("--limit-rate", option)
        if option is not None
        else ("ZOOMGR_LIMIT_RATE", environ.get("ZOOMGR_LIMIT_RATE", ""))
    )
    if not text and option is None:
        return None
    found = _RATE.fullmatch(text)
    rate = int(float(found[1]) * _UNITS[found[2].upper()]) if found else 0
    if rate < 1:
        raise InvalidSettingError(name, text, "it is no rate", "write bytes a second, such as 500K or 2.5M")
    return rate
