"""What must agree before bytes are named, and what is said when nothing gave them. Decides, does nothing."""

from __future__ import annotations

from zoomgr.cache.disk import Incoming
from zoomgr.errors import (
    DigestMismatchError,
    IntegrityError,
    NoMirrorWorkedError,
    OfflineError,
    UnreadableCheckpointError,
    ZoomgrError,
)
from zoomgr.records import Artifact


def both_promised(asked: Artifact, found: Artifact, url: str) -> Artifact:
    """The file that a transport has found, with the promise of the card where that says more.

    Raises:
        DigestMismatchError: the two promise different files.
    """
    ours, theirs = asked.digest, found.digest
    if ours is None or (theirs and ours.matches(theirs) and ours.is_weak):
        return found
    if theirs and not ours.matches(theirs):
        size_bytes = found.size_bytes or 0
        raise DigestMismatchError(
            asked.filename, url, size_bytes, ours.described(), asked.promised_by, str(theirs)
        )
    return Artifact(found.urls, found.filename, found.size_bytes, ours, asked.promised_by)


def prove(incoming: Incoming, artifact: Artifact, url: str) -> None:
    """Compare what came with what was promised; nothing promised means nothing to compare.

    Raises:
        DigestMismatchError: it is another file.
        UnreadableCheckpointError: it is empty, and nobody promised that.
    """
    digest = incoming.digest
    if artifact.digest is None:
        if not incoming.size_bytes:
            raise UnreadableCheckpointError(artifact.filename, "the file is empty")
    elif not artifact.digest.matches(digest):
        raise DigestMismatchError(
            artifact.filename,
            url,
            incoming.size_bytes,
            artifact.digest.described(),
            artifact.promised_by,
            str(digest),
        )


def summary(filename: str, failures: list[tuple[str, ZoomgrError]]) -> ZoomgrError:
    """The one error that tells why no URL gave the file.

    A wrong file is worse news than a silent server, so the first integrity error stands for all; so does
    offline when it was the only reason.
    """
    errors = [error for _, error in failures]
    wrong = next((error for error in errors if isinstance(error, IntegrityError)), None)
    if wrong or len(errors) == 1 or all(isinstance(error, OfflineError) for error in errors):
        return wrong or errors[0]
    return NoMirrorWorkedError(filename, tuple((url, error.headline()) for url, error in failures))
