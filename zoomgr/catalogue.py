"""The generated catalogue of a library: shipped for one version of it, made anew for another."""

from __future__ import annotations

import importlib
import importlib.metadata
import json
import warnings
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Any

from zoomgr.errors import MissingPackageError, PluginLoadError, reason_of


class LibraryCatalogue:
    """What a plugin's library publishes, read from data without importing the library.

    Args:
        library: name of its distribution.
        path: the shipped JSON file; its key "version" says which version it speaks for.
        make: imports the installed library and gives its catalogue, of the same form.
        requirement: what pip is told to install it, where that is more than its name.
    """

    def __init__(
        self, library: str, path: Path, make: Callable[[], Mapping[str, Any]], requirement: str = ""
    ) -> None:
        self.library = library
        self.requirement = requirement or library
        self.path = path
        self.make = make

    @cached_property
    def shipped(self) -> dict[str, Any]:
        """The catalogue that came with the plugin; to be read only."""
        catalogue: dict[str, Any] = json.loads(self.path.read_bytes())
        return catalogue

    @property
    def installed_version(self) -> str:
        """The library's installed version without a local part (+cpu, +cu130); empty when there is none."""
        try:
            return importlib.metadata.version(self.library).partition("+")[0]
        except importlib.metadata.PackageNotFoundError:
            return ""

    @property
    def is_shipped_version(self) -> bool:
        """Whether the shipped catalogue speaks for the installed library, or there is none to ask."""
        return self.installed_version in {"", self.shipped["version"]}

    def imported(self, module: str, *, what: str) -> ModuleType:
        """A module of a library that need not be installed.

        It is imported in a thread of its own: torch's modes (no initialisation, another device) hold for a
        thread, and must not change what the library makes once for all when it is imported. What it warns of,
        in code that is no longer maintained, is not for the user.

        Args:
            module: its import name.
            what: what needs it, FAMILY/NAME, for the error.

        Raises:
            MissingPackageError: it is not installed, or without this module.
            PluginLoadError: it does not import.
        """
        from concurrent.futures import ThreadPoolExecutor

        with warnings.catch_warnings(), ThreadPoolExecutor(1) as aside:
            warnings.simplefilter("ignore")
            try:
                return aside.submit(importlib.import_module, module).result()
            except ModuleNotFoundError as error:
                if error.name and (module == error.name or module.startswith(f"{error.name}.")):
                    raise MissingPackageError(what, self.requirement) from error
                raise self._broken(what, error) from error
            except Exception as error:
                raise self._broken(what, error) from error

    def _broken(self, what: str, error: Exception) -> PluginLoadError:
        return PluginLoadError(what.partition("/")[0], self.library, self.installed_version, reason_of(error))

    def current(self, remember: Callable[[str, Callable[[], bytes]], bytes]) -> dict[str, Any]:
        """The catalogue of the installed version; another one than the shipped is made once.

        Args:
            remember: keeps what was made (`Options.remember`).
        """
        if self.is_shipped_version:
            return self.shipped
        key = f"{self.library}-{self.installed_version}"
        catalogue: dict[str, Any] = json.loads(remember(key, lambda: json.dumps(self.make()).encode()))
        return catalogue
