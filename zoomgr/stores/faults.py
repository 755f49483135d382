"""What stores and their clients say went wrong, as errors of zoomgr."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from zoomgr.errors import (
    HttpStatusError,
    InvalidRefError,
    MissingPackageError,
    NoSuchFileError,
    UnreachableError,
    UntrustedServerError,
    ZoomgrError,
    reason_of,
    redacted,
)

# What to install, for each scheme: an extra of ours where tests cover it.
_REQUIREMENTS = {
    **dict.fromkeys(("s3", "s3a"), "zoomgr[s3]"),
    **dict.fromkeys(("gs", "gcs"), "zoomgr[gcs]"),
    **dict.fromkeys(("sftp", "ssh"), "zoomgr[sftp]"),
    **dict.fromkeys(("az", "abfs", "abfss"), "adlfs"),
    "oss": "ossfs",
    "smb": "smbprotocol",
    "hdfs": "pyarrow",
}
_NO_LOGIN = re.compile("Credential|Authentic|Unauthorized|BadHostKey")  # in the names of their exceptions
_UNAUTHORIZED, _FORBIDDEN = 401, 403
_UNTRUSTED = ("CERTIFICATE_VERIFY_FAILED", "host key")


@contextmanager
def store_faults(url: str) -> Iterator[None]:
    """Turn what a client of a store raises into an error of zoomgr; they have no base in common."""
    try:
        yield
    except ZoomgrError:
        raise
    except Exception as error:
        raise _fault(url, error) from error


def _fault(url: str, error: Exception) -> ZoomgrError:  # noqa: PLR0911 [a table]
    shown, scheme = redacted(url), url.partition(":")[0].lower()
    reason = _without_login(reason_of(error), url)
    match error:
        case ImportError():
            return MissingPackageError(f"{scheme}://", _REQUIREMENTS.get(scheme, "fsspec"))
        case FileNotFoundError() | IsADirectoryError() | NotADirectoryError():
            return NoSuchFileError(shown)
        case _ if any(mark in reason for mark in _UNTRUSTED):
            return UntrustedServerError(shown, reason)
        case _ if _NO_LOGIN.search(type(error).__name__):
            return HttpStatusError(shown, _UNAUTHORIZED, reason)
        case PermissionError():
            return HttpStatusError(shown, _FORBIDDEN, reason)
        case ValueError() | TypeError():
            return InvalidRefError(shown, reason)
        case _:
            return UnreachableError(shown, reason)


def _without_login(text: str, url: str) -> str:
    """The text without user and password of the URL, which some clients quote."""
    login, at, _ = url.partition("://")[2].partition("/")[0].rpartition("@")
    for secret in (login + at, login.partition(":")[2]):
        text = text.replace(secret, "") if secret else text
    return text
