"""Asking a hub, through huggingface_hub's own client, which file a reference means."""

from __future__ import annotations

import os
import re
from importlib.metadata import version
from typing import TYPE_CHECKING

from zoomgr.api import Artifact, Digest, HttpStatusError
from zoomgr_hf.endpoint import Hub
from zoomgr_hf.locator import HubFile
from zoomgr_hf.refusals import explained, is_about_certificate, library_errors
from zoomgr_hf.trust import trust_as_downloads_do

if TYPE_CHECKING:
    from huggingface_hub import HfFileMetadata

_MARK = "hf+"  # before the URLs of files that are opened with the user's token
_SHOWN_DIGITS = 12  # of a commit
_COMMIT = re.compile(r"[0-9a-f]{40}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_OK = 200


def find_file(hub: Hub, wanted: HubFile) -> Artifact:
    """The file of the commit that its revision is at now.

    Of a file in large-file storage (LFS, Xet) the hub promises the sha256. A small one lies in git itself,
    whose hash is of the content with a header, in SHA-1: no promise that can be kept here.

    Raises:
        NoSuchFileError: the repository has no such file.
        NetworkError: as `zoomgr_hf.refusals.explained` has it; or a server that is no hub.
    """
    url = hub.url_of(wanted, wanted.revision)
    try:
        metadata = _metadata(hub, url)
    except library_errors() as error:
        raise explained(error, hub, wanted, url) from error
    commit, etag = metadata.commit_hash or "", metadata.etag or ""
    if not _COMMIT.fullmatch(commit):
        problem = "but no commit: it is no hub ([mirrors] of registry.toml can name a plain server for hf://)"
        raise HttpStatusError(url, _OK, problem)
    digest = Digest(etag) if _SHA256.fullmatch(etag) else None
    return Artifact(
        urls=(_MARK + hub.url_of(wanted, commit),),
        filename=wanted.filename,
        size_bytes=metadata.size,
        digest=digest,
        promised_by=f"the hub ({wanted.repo} at {commit[:_SHOWN_DIGITS]})" if digest else "",
    )


def _metadata(hub: Hub, url: str) -> HfFileMetadata:
    """What the hub says of a URL; a server that the library does not trust may be one that downloads do."""
    try:
        return _ask(hub, url)
    except library_errors() as error:
        if not is_about_certificate(error):
            raise
    trust_as_downloads_do(os.environ)
    return _ask(hub, url)


def _ask(hub: Hub, url: str) -> HfFileMetadata:
    from huggingface_hub import constants, get_hf_file_metadata

    # Else it fetches a list of programs that may have started us, keeps it, and tells the hub which one did.
    constants.HF_HUB_DISABLE_TELEMETRY = True
    return get_hf_file_metadata(
        url,
        token=hub.token or False,
        endpoint=hub.endpoint,
        library_name="zoomgr",
        library_version=version("zoomgr"),
    )
