"""What a URL of a store says of the file behind it."""

from __future__ import annotations

from urllib.parse import SplitResult, urlsplit, urlunsplit

from zoomgr.api import Artifact, InvalidRefError, ModelCard, ModelRef, promise_of, redacted

# Stores of files, each a place of its own. What fsspec knows beyond them is left out on purpose: http, https,
# file and hf have transports of their own, the rest open files inside files or speak to something else.
SCHEMES = frozenset(
    {
        *("s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "oss"),
        *("sftp", "ssh", "ftp", "smb", "hdfs", "webhdfs"),
    }
)
_CHAIN = "::"  # fsspec opens a file inside another by it


class StoreLocator:
    """Makes cards of files in stores."""

    schemes = SCHEMES

    def locate(self, ref: ModelRef) -> ModelCard:
        """The card of a file in a store; its fragment, or its name, may promise a digest.

        The card's ref shows neither fragment nor credentials.

        Raises:
            InvalidRefError: no bucket or host, no file name, a chain of URLs, or a fragment other than
                `#sha256=` with 8 to 64 digits.
        """
        url = _split(ref.name)
        filename = url.path.rpartition("/")[2]
        if filename in {"", ".", ".."} or _CHAIN in ref.name:
            raise InvalidRefError(redacted(ref.name), "it names no file of a store")
        digest, promised_by = promise_of(redacted(ref.name), url.fragment, filename)
        shown = url._replace(netloc=url.netloc.rpartition("@")[2], fragment="")
        artifact = Artifact(
            urls=(urlunsplit(url._replace(fragment="")),),
            filename=filename,
            digest=digest,
            promised_by=promised_by,
        )
        return ModelCard(ref=ModelRef(urlunsplit(shown), scheme=ref.scheme), artifact=artifact)


def _split(text: str) -> SplitResult:
    try:
        url = urlsplit(text)
        _ = url.port  # raises where a slash in a password ends the host
    except ValueError as error:
        raise InvalidRefError(redacted(text), "it is malformed") from error  # the reason quotes passwords
    if not url.netloc.rpartition("@")[2]:
        raise InvalidRefError(redacted(text), "it names no bucket and no host")
    return url
