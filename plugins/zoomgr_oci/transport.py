"""Opening the files of a mirror in a registry: its files.json says which blob of which repository each is."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import unquote, urlsplit

from zoomgr.api import WHOLE, Body, NoSuchFileError, Span, redacted
from zoomgr_oci.registry import Registry

_URL = re.compile(
    r"(oci://[^/]+)/(?P<zoo>.+)/(?P<path>index\.json|v1/(?:blobs|refs|cards)/.+)", re.IGNORECASE
)
_TITLE = "org.opencontainers.image.title"
_TABLE, _TAG = "files.json", "index"


class RegistryTransport:
    """Opens `oci://HOST/ZOO/PATH`, where PATH is that of a file in a mirror.

    Args:
        token: gives the bearer token that the user set for an origin; empty when there is none.
    """

    schemes = frozenset({"oci"})
    needs_network = True

    def __init__(self, token: Callable[[str], str]) -> None:
        self._token = token
        self._registries: dict[str, Registry] = {}
        self._tables: dict[tuple[str, str], Any] = {}

    @contextmanager
    def open(self, url: str, span: Span = WHOLE) -> Iterator[Body]:
        """A part of a file.

        Raises:
            NoSuchFileError: the mirror does not list it.
            MissingPackageError: the registry wants a login, and what reads docker's is not installed.
            NetworkError: as `HttpClient.open` has it.
        """
        found = _URL.fullmatch(url)
        if found is None:
            raise NoSuchFileError(redacted(url))
        registry = self._registry(url)
        repository, digest = self._blob(registry, found["zoo"], found["path"], redacted(url))
        with registry.open(repository, f"blobs/{digest}", span) as body:
            yield body

    def _registry(self, url: str) -> Registry:
        netloc = urlsplit(url).netloc
        if netloc not in self._registries:
            login, _, host = netloc.rpartition("@")
            user, _, password = login.partition(":")
            auth = (unquote(user), unquote(password)) if login else None
            self._registries[netloc] = Registry(host, auth, self._token)
        return self._registries[netloc]

    def _blob(self, registry: Registry, zoo: str, path: str, shown: str) -> tuple[str, str]:
        """Repository and digest of a file."""
        layers = registry.json(zoo, f"manifests/{_TAG}").get("layers") or []
        blobs = {(layer.get("annotations") or {}).get(_TITLE): layer["digest"] for layer in layers}
        if path in blobs:
            return zoo, blobs[path]
        if _TABLE not in blobs:
            raise NoSuchFileError(shown)
        known = self._tables.get((registry.host, blobs[_TABLE]))
        if known is None:  # a table of another digest is another table
            known = registry.json(zoo, f"blobs/{blobs[_TABLE]}").get("files") or {}
            self._tables[registry.host, blobs[_TABLE]] = known
        file = known.get(path)
        if not isinstance(file, dict):
            raise NoSuchFileError(shown)
        return file["repository"], file["digest"]
