"""What it means when a hub, or the way to it, refuses: huggingface_hub's errors as ours."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from zoomgr.api import (
    HttpStatusError,
    NoSuchFileError,
    OfflineError,
    UnreachableError,
    UntrustedServerError,
    ZoomgrError,
    close_matches,
    reason_of,
    redacted,
)
from zoomgr_hf.endpoint import Hub
from zoomgr_hf.locator import WEIGHTS, HubFile

if TYPE_CHECKING:
    from huggingface_hub.errors import HfHubHTTPError

_UNAUTHORIZED = 401
_LISTING_TIMEOUT_S = 10.0


def library_errors() -> tuple[type[BaseException], ...]:
    """What huggingface_hub raises when a request fails.

    Beside its own errors those of the HTTP library below, which is another one from version to version
    (httpx, httpx2) and the base of its own; `OSError` for what the system refuses; `ValueError` for what no
    request can be made of.
    """
    from huggingface_hub.errors import HfHubHTTPError

    return (*HfHubHTTPError.__bases__, OSError, ValueError)


def explained(error: BaseException, hub: Hub, wanted: HubFile, url: str) -> ZoomgrError:
    """Our error for one of `library_errors`.

    Args:
        error: what was raised.
        hub: that was asked.
        wanted: for what.
        url: at which place.
    """
    from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError, OfflineModeIsEnabled

    if isinstance(error, OfflineModeIsEnabled):
        return OfflineError(f"{wanted} (HF_HUB_OFFLINE is set)")
    if isinstance(error, EntryNotFoundError):
        return NoSuchFileError(str(wanted), _files_beside(hub, wanted))
    if isinstance(error, HfHubHTTPError):
        return _refused(error, hub, wanted, url)
    *_, root = _chain(error)
    if is_about_certificate(error):
        return UntrustedServerError(url, reason_of(root))
    return UnreachableError(url, reason_of(root))


def is_about_certificate(error: BaseException) -> bool:
    """Whether the server's certificate is what went wrong."""
    return any(isinstance(cause, ssl.SSLCertVerificationError) for cause in _chain(error))


def _refused(error: HfHubHTTPError, hub: Hub, wanted: HubFile, url: str) -> HttpStatusError:
    status, phrase = error.response.status_code, error.response.reason_phrase
    wait = error.response.headers.get("Retry-After", "")
    meaning = _meaning(error, hub, wanted)
    reason = f"{phrase}: {meaning}" if meaning else phrase
    return HttpStatusError(url, status, reason, float(wait) if wait.isdecimal() else None)


def _meaning(error: HfHubHTTPError, hub: Hub, wanted: HubFile) -> str:
    """What to do about it. The hub answers 401 also for what does not exist, so as not to tell what does."""
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError

    if isinstance(error, GatedRepoError):
        step = "ask for access as the token's owner" if hub.token else "accept its terms and set HF_TOKEN"
        return f"{wanted.repo} is gated; {step} ({redacted(hub.page_of(wanted.repo))})"
    if isinstance(error, RepositoryNotFoundError):
        other = "the token may not read it" if hub.token else "it is private and needs HF_TOKEN"
        return f"there is no repository {wanted.repo}, or {other}"
    if isinstance(error, RevisionNotFoundError):
        return f"{wanted.repo} has no revision {wanted.revision!r}"
    if error.response.status_code == _UNAUTHORIZED and hub.token:
        return "the token is not valid"
    return ""


def _files_beside(hub: Hub, wanted: HubFile) -> tuple[str, ...]:
    """References to the weights that the repository does have, likeliest first; none if it does not say."""
    from huggingface_hub import HfApi

    api = HfApi(endpoint=hub.endpoint, token=hub.token or False)
    try:
        info = api.model_info(wanted.repo, revision=wanted.revision, timeout=_LISTING_TIMEOUT_S)
    except library_errors():
        return ()
    paths = [file.rfilename for file in info.siblings or () if file.rfilename.endswith(WEIGHTS)]
    likeliest = dict.fromkeys((*close_matches(wanted.path, paths), *paths))
    return tuple(str(replace(wanted, path=path)) for path in likeliest)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """An exception and what it came from, outermost first."""
    inner: BaseException | None = error
    while inner:
        yield inner
        inner = inner.__cause__ or inner.__context__
