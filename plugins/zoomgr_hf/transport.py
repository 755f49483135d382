"""From an `hf://` reference to the file of one commit, and that file's bytes: the host proves them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

from zoomgr.api import WHOLE, Artifact, Body, HttpClient, Span, plain_url
from zoomgr_hf.endpoint import Hub
from zoomgr_hf.locator import HubFile
from zoomgr_hf.lookup import find_file

_REFERENCE = "hf"


class HubTransport:
    """Says which file a reference means at this moment, and opens it with the user's token.

    A file's URL is marked (`hf+https://…`) so that the host hands it back to this plugin, which knows the
    token; that is never part of a URL, and goes to the hub's own origin only.

    Args:
        token: gives the token that the user set for a URL's origin; it beats the one that huggingface_hub
            finds (HF_TOKEN, the file that its login writes).
    """

    schemes = frozenset({_REFERENCE, "hf+https", "hf+http"})
    needs_network = True

    def __init__(self, token: Callable[[str], str]) -> None:
        self._token = token
        self._client = HttpClient()

    def open(self, url: str, span: Span = WHOLE) -> AbstractContextManager[Body] | Artifact:
        """Ask the hub for a file's commit, size and digest; or open the file of a commit.

        Raises:
            InvalidRefError: a reference that does not follow the grammar.
            InvalidSettingError: HF_ENDPOINT is no URL, or the token cannot be read.
            OfflineError: huggingface_hub was told to stay offline (HF_HUB_OFFLINE).
            NoSuchFileError: the repository has no such file.
            NetworkError: no repository, no such revision, no permission or no answer.
        """
        hub = Hub.from_environment(self._token, wanted=url)
        if url.partition(":")[0].lower() == _REFERENCE:
            return find_file(hub, HubFile.parse(url))
        plain = plain_url(url)
        return self._client.open(plain, span, token=hub.token if hub.is_origin_of(plain) else "")
