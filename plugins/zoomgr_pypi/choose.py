"""Deciding which wheel is meant, from what the indexes say."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from packaging.utils import InvalidWheelFilename, parse_wheel_filename
from packaging.version import InvalidVersion, Version

from zoomgr.api import Artifact, Digest, NetworkError, NotOnIndexError, UnusableArchiveError, redacted
from zoomgr_pypi.index import Index, marked
from zoomgr_pypi.locator import WheelFile

if TYPE_CHECKING:
    from pypi_simple import DistributionPackage, ProjectPage

_PROMISED_BY = "the package index"


def find_wheel(
    wanted: WheelFile, indexes: Sequence[Index], ask: Callable[[Index], ProjectPage | None]
) -> Artifact:
    """The wheel of the first index that has one of exactly this version.

    An index that does not answer is passed over, as pip does; its error is raised when no other has it.

    Args:
        wanted: distribution, version and file.
        indexes: in the order in which they are asked.
        ask: gives an index's page of the distribution; None when the index does not have it.

    Raises:
        NotOnIndexError: no index has it, or several wheels could be meant.
        NetworkError: no index that answered has it.
        UnusableArchiveError: the index points at a file that is fetched less safely than the index itself.
    """
    unanswered: list[NetworkError] = []
    problem = "no index has such a distribution" if indexes else "pip is set up to use no index"
    for index in indexes:
        try:
            page = ask(index)
        except NetworkError as error:
            unanswered.append(error)
            continue
        if page and (wheels := _wheels(page, wanted)):
            return _artifact(_meant(wheels, wanted, index), index)
        if page:
            problem = _what_there_is(page, wanted)
    if unanswered:
        raise unanswered[0]
    raise NotOnIndexError(wanted.requirement, problem, tuple(index.url for index in indexes))


def _wheels(page: ProjectPage, wanted: WheelFile) -> list[DistributionPackage]:
    return [package for package in page.packages if _is_wheel_of(package.filename, wanted)]


def _is_wheel_of(filename: str, wanted: WheelFile) -> bool:
    try:
        dist, version, _, _ = parse_wheel_filename(filename)
    except (InvalidWheelFilename, InvalidVersion):
        return False
    return (dist, version) == (wanted.dist, wanted.version)


def _meant(wheels: list[DistributionPackage], wanted: WheelFile, index: Index) -> DistributionPackage:
    """The only wheel, else the only one for every platform: which of several has the file cannot be told."""
    universal = [wheel for wheel in wheels if _is_universal(wheel.filename)]
    for few in (wheels, universal):
        if len(few) == 1:
            return few[0]
    names = ", ".join(wheel.filename for wheel in wheels)
    raise NotOnIndexError(
        wanted.requirement, f"which of {len(wheels)} wheels is meant? {names}", (index.url,)
    )


def _is_universal(filename: str) -> bool:
    _, _, _, tags = parse_wheel_filename(filename)
    return any(tag.platform == "any" and tag.abi == "none" for tag in tags)


def _what_there_is(page: ProjectPage, wanted: WheelFile) -> str:
    versions = sorted(set(_versions(page)))
    if wanted.version in versions:
        return "there is no wheel of this version"
    return f"the index has {', '.join(map(str, versions)) or 'no version of it'}"


def _versions(page: ProjectPage) -> Iterable[Version]:
    for package in page.packages:
        try:
            yield Version(package.version or "")
        except InvalidVersion:
            continue


def _artifact(package: DistributionPackage, index: Index) -> Artifact:
    if not index.allows(package.url):
        raise UnusableArchiveError(
            package.filename, f"{index.url} points at {redacted(package.url)}, which is less safe than itself"
        )
    return Artifact(
        urls=(marked(package.url),),
        filename=package.filename,
        size_bytes=package.size,
        digest=_digest(package.digests.get("sha256", "")),
        promised_by=_PROMISED_BY,
    )


def _digest(text: str) -> Digest | None:
    try:
        return Digest.parse(text)
    except ValueError:
        return None
