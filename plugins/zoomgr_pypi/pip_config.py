"""Which indexes pip is set up for, read as pip reads it.

Source of the rules: pip's documentation, "Configuration" (location, loading order and naming).
"""

from __future__ import annotations

import configparser
import os
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from zoomgr.api import InvalidSettingError

_FILE = "pip.ini" if os.name == "nt" else "pip.conf"
_OLD_FOLDER = "pip" if os.name == "nt" else ".pip"
_SECTIONS = ("download", "install", "global")  # a command's own section beats the common one
_REMEDY = "pip config debug shows where it is said"
_TRUE = frozenset({"1", "true", "t", "yes", "y", "on"})
_FALSE = frozenset({"", "0", "false", "f", "no", "n", "off"})


@dataclass(frozen=True, slots=True)
class PipConfig:
    """What pip was told of indexes.

    Attributes:
        index_url: the first index; empty when pip was not told one.
        extra_index_urls: asked after it, in order.
        no_index: no index may be asked at all.
        cert: file of the certificate authorities to trust; empty when pip was not told one.
    """

    index_url: str = ""
    extra_index_urls: tuple[str, ...] = ()
    no_index: bool = False
    cert: str = ""

    def indexes(self, default: str) -> tuple[str, ...]:
        """Base URLs in the order in which they are asked; `default` where pip was not told a first one."""
        if self.no_index:
            return ()
        return tuple(dict.fromkeys((self.index_url or default, *self.extra_index_urls)))


def read_config(environ: Mapping[str, str], files: Iterable[Path]) -> PipConfig:
    """Put together what files and environment say; later files beat earlier ones, the environment all.

    Args:
        environ: of it PIP_INDEX_URL, PIP_EXTRA_INDEX_URL, PIP_NO_INDEX and PIP_CERT; empty ones say nothing.
        files: pip's configuration files, weakest first; missing ones are skipped.

    Raises:
        InvalidSettingError: a file cannot be read, or a value is neither true nor false.
    """
    said: dict[tuple[str, str], str] = {}
    for path in files:
        said |= _read(path)

    def value(option: str) -> str:
        answers = [environ.get(f"PIP_{option.upper().replace('-', '_')}", "")]
        answers += [said.get((section, option), "") for section in _SECTIONS]
        return next((answer for answer in answers if answer), "")

    return PipConfig(
        index_url=value("index-url"),
        extra_index_urls=tuple(value("extra-index-url").split()),
        no_index=_flag("no-index", value("no-index")),
        cert=os.path.expanduser(value("cert")),  # noqa: PTH111 [stays a text, and empty where it is]
    )


def config_files(environ: Mapping[str, str]) -> tuple[Path, ...]:
    """Where pip looks for its configuration, weakest first: host, user, virtual environment, PIP_CONFIG_FILE.

    The file that PIP_CONFIG_FILE names, if it exists, also puts the user's out of force; the null device
    means no file at all.
    """
    named = environ.get("PIP_CONFIG_FILE", "")
    if named == os.devnull:
        return ()
    user = () if named and Path(named).exists() else (Path.home() / _OLD_FOLDER, _user_folder())
    folders = (*_host_folders(), *user, Path(sys.prefix))
    return (*(folder / _FILE for folder in folders), *([Path(named)] if named else []))


def _host_folders() -> tuple[Path, ...]:
    folders = platformdirs.site_config_dir("pip", appauthor=False, multipath=True).split(os.pathsep)
    return tuple(map(Path, [*folders, "/etc"] if sys.platform == "linux" else folders))


def _user_folder() -> Path:
    folder = platformdirs.user_config_path("pip", appauthor=False, roaming=True)
    if sys.platform == "darwin" and not folder.is_dir():
        return Path.home() / ".config" / "pip"
    return folder


def _read(path: Path) -> dict[tuple[str, str], str]:
    parser = configparser.RawConfigParser()
    try:
        parser.read(path, encoding="utf-8")
    except (configparser.Error, UnicodeDecodeError) as error:
        problem = str(error).partition("\n")[0]
        raise InvalidSettingError("pip's configuration", str(path), problem, _REMEDY) from error
    return {
        (section, option.removeprefix("--").replace("_", "-")): text
        for section in parser.sections()
        for option, text in parser.items(section)
    }


def _flag(name: str, text: str) -> bool:
    if text.lower() not in _TRUE | _FALSE:
        raise InvalidSettingError(f"pip's {name}", text, "neither true nor false", "write 1 or 0")
    return text.lower() in _TRUE
