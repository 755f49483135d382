"""What a URL says of the file behind it."""

from __future__ import annotations

import hashlib
import re
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit

from zoomgr.api import Artifact, InvalidRefError, ModelCard, ModelRef, promise_of, redacted

# Names of query parameters that carry secrets: tokens, and the signatures of S3, GCS, Azure and CloudFront.
_SECRET = re.compile(r"token|secret|passw|sig|key|auth|credential|policy|x-amz-|x-goog-", re.IGNORECASE)
_STAND_IN_DIGITS = 12


class UrlLocator:
    """Makes cards of URLs."""

    schemes = frozenset({"http", "https", "file"})

    def locate(self, ref: ModelRef) -> ModelCard:
        """The card of a URL: the file, and the digest that its fragment or its file name promises.

        The card's ref names the file without fragment and without credentials, as records and messages may
        show it; the artifact's URL keeps what is needed to fetch.

        Raises:
            InvalidRefError: no host, no file name, or a fragment other than `#sha256=` with 8 to 64 digits.
        """
        url = _split(ref.name)
        filename = unquote(url.path).rpartition("/")[2]
        if filename in {"", ".", ".."}:
            raise InvalidRefError(redacted(ref.name), "it names no file")
        digest, promised_by = promise_of(redacted(ref.name), url.fragment, filename)
        artifact = Artifact(
            urls=(urlunsplit(url._replace(fragment="")),),
            filename=filename,
            digest=digest,
            promised_by=promised_by,
        )
        return ModelCard(ref=ModelRef(public_name(url), scheme=ref.scheme), artifact=artifact)


def _split(text: str) -> SplitResult:
    try:
        url = urlsplit(text)
        host, _ = url.hostname, url.port  # both raise for a malformed one
    except ValueError as error:
        raise InvalidRefError(redacted(text), "it is malformed") from error  # the reason quotes passwords
    if not host and url.scheme != "file":
        raise InvalidRefError(redacted(text), "it names no host")
    return url


def public_name(url: SplitResult) -> str:
    """The URL without fragment and user; secrets in its query are replaced by the start of their sha256.

    The rest of the query stays, and a stand-in differs where the secret does: two files must never share a
    name (`?id=1` and `?id=2`).
    """
    query = "&".join(_without_secret(field) for field in url.query.split("&"))
    host = url.netloc.rpartition("@")[2]
    return urlunsplit((url.scheme, host, url.path, query, ""))


def _without_secret(field: str) -> str:
    name, is_set, value = field.partition("=")
    if not is_set or not _SECRET.search(name):
        return field
    return f"{name}=sha256.{hashlib.sha256(value.encode()).hexdigest()[:_STAND_IN_DIGITS]}"
