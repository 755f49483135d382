"""Where the policy is applied: to a card before anything is fetched, to a file before anything reads it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from zoomgr.errors import InvalidRegistryError, UnreadableCheckpointError, close_matches
from zoomgr.hookspecs import CheckpointFormat
from zoomgr.host import PluginHost
from zoomgr.records import ModelCard

if TYPE_CHECKING:
    from zoomgr.policy import Policy

OWN_FILES = frozenset({"path", "file"})
"""Schemes of references to files on this disk: their owner's to change, and nobody publishes a licence."""


class Gate:
    """Refuses what the policy forbids; without one it costs nothing.

    Args:
        policy: of the registry; None when it has none.
        host: gives the formats of plugins.
    """

    def __init__(self, policy: Policy | None, host: PluginHost) -> None:
        self._policy = policy
        self._host = host

    def check_card(self, card: ModelCard) -> None:
        """Nothing, when the weights may be used as far as their card tells.

        Raises:
            PolicyRefusedError: their licence, or what their file name says of the format, is not allowed.
            InvalidRegistryError: the policy names a format that nobody provides.
        """
        if self._policy is None:
            return
        self._check_formats(self._policy)
        if card.ref.scheme in OWN_FILES:  # `check_file` sees their content, and that costs nothing
            return
        self._policy.check_license(str(card.ref), card.license)
        if card.artifact:
            self._policy.check_filename(str(card.ref), card.artifact.filename)

    def check_file(self, ref: str, path: Path) -> None:
        """Nothing, when a file may be read; by its content, whatever it is called. Raises as `check_card`."""
        if self._policy is None or not self._policy.formats:
            return
        from zoomgr.checkpoint import format_of

        try:
            found = format_of(path, tuple(self._plugin_formats.values())).name
        except UnreadableCheckpointError:
            found = ""
        self._policy.check_format(ref, found)

    @property
    def _plugin_formats(self) -> Mapping[str, CheckpointFormat]:
        return self._host.formats.items

    def _check_formats(self, policy: Policy) -> None:
        """A misspelt format would forbid all files of the one that was meant, and nobody would know why."""
        from zoomgr.policy import BUILT_IN_FORMATS

        known = (*BUILT_IN_FORMATS, *self._plugin_formats)
        for name in policy.formats:
            if name not in known:
                problem = f"[policy] formats: no format is called {name!r}"
                raise InvalidRegistryError(policy.path, 0, problem, close_matches(name, known))
