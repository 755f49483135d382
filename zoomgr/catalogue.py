"""The generated catalogue of a library: shipped for one version of it, made anew for another."""

from __future__ import annotations

import importlib.metadata
import json
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any


class LibraryCatalogue:
    """What a plugin's library publishes, read from data without importing the library.

    Args:
        library: name of its distribution.
        path: the shipped JSON file; its key "version" says which version it speaks for.
        make: imports the installed library and gives its catalogue, of the same form.
    """

    def __init__(self, library: str, path: Path, make: Callable[[], Mapping[str, Any]]) -> None:
        self.library = library
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
