"""Which hub is asked, and as whom: what huggingface_hub is set up for."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import urlsplit

from zoomgr.api import InvalidSettingError, OfflineError, reason_of, redacted
from zoomgr_hf.locator import HubFile

_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Hub:
    """A server that speaks the hub's protocol.

    Attributes:
        endpoint: its base URL, without a slash at the end.
        token: of the user, for its origin only; empty when there is none, or it could be read on the way.
    """

    endpoint: str
    token: str = field(default="", repr=False)

    @classmethod
    def from_environment(cls, token: Callable[[str], str], *, wanted: str) -> Self:
        """The one that HF_ENDPOINT names, with the token of HF_TOKEN or of the file that a login writes.

        Args:
            token: gives one for the endpoint's URL that beats huggingface_hub's; empty when there is none.
            wanted: the URL for which it is asked, for the message.

        Raises:
            OfflineError: HF_HUB_OFFLINE is set.
            InvalidSettingError: HF_ENDPOINT is no URL, or the token cannot be read.
        """
        from huggingface_hub import constants

        if constants.HF_HUB_OFFLINE:
            raise OfflineError(f"{redacted(wanted)} (HF_HUB_OFFLINE is set)")
        # The library reads the variable once, when it is imported; a notebook may set it later.
        endpoint = (os.environ.get("HF_ENDPOINT") or constants.ENDPOINT).rstrip("/")
        origin = _origin(endpoint)
        if origin is None:
            remedy = "write a URL, e.g. https://hub.example.org, or unset it"
            raise InvalidSettingError("HF_ENDPOINT", redacted(endpoint), "no http or https URL", remedy)
        scheme, host, _ = origin
        return cls(endpoint, (token(endpoint) or _own_token()) if _is_private(scheme, host) else "")

    def is_origin_of(self, url: str) -> bool:
        """Whether a URL has this hub's scheme, host and port: the token goes nowhere else."""
        return _origin(url) == _origin(self.endpoint)

    def page_of(self, repo: str) -> str:
        """Where a person looks at a repository."""
        return f"{self.endpoint}/{repo}"

    def url_of(self, file: HubFile, revision: str) -> str:
        """Where a file is fetched, as of a revision."""
        from huggingface_hub import hf_hub_url

        return hf_hub_url(file.repo, file.path, revision=revision, endpoint=self.endpoint)


def _own_token() -> str:
    """The token that huggingface_hub itself would send; empty when there is none, or it is told not to."""
    from huggingface_hub import constants, get_token

    if constants.HF_HUB_DISABLE_IMPLICIT_TOKEN:
        return ""
    try:
        return get_token() or ""
    except Exception as error:  # it reads files, and may log in over the network: there are many ways to fail
        problem = f"it cannot be read: {reason_of(error)}"
        raise InvalidSettingError("HF_TOKEN", "", problem, "hf auth login sets it anew") from error


def _origin(url: str) -> tuple[str, str, int] | None:
    """Scheme, host and port; None of what is no http or https URL."""
    try:
        parts = urlsplit(url)
        port = parts.port or _PORTS[parts.scheme]
    except (ValueError, KeyError):
        return None
    return (parts.scheme, parts.hostname, port) if parts.hostname else None


def _is_private(scheme: str, host: str) -> bool:
    """Whether nobody on the way can read what is sent, as `HttpClient` has it: https, or this machine."""
    try:
        return scheme == "https" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
