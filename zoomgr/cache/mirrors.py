"""Where a file may lie besides its own URLs; decides on texts, asks nobody.

No mirror is trusted: what comes from one is proven by the digest that was promised, as everything is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import SplitResult, quote, unquote, urlsplit, urlunsplit

from zoomgr.cache.refs import blob_in
from zoomgr.errors import plain_url
from zoomgr.records import Artifact

_HTTP = frozenset({"http", "https"})
_QUOTED = frozenset({*_HTTP, "file"})  # other stores take a path to the letter, a percent sign too
_KEPT = "/:@!$&'()*+,;=~"  # what a path of a URL may have as it is (RFC 3986, section 3.3)
_NOT_BELOW = frozenset({".", ".."})


def candidate_urls(
    artifact: Artifact, rewrites: Mapping[str, tuple[str, ...]], mirrors: tuple[str, ...]
) -> tuple[str, ...]:
    """What to try, in order: the mirrors of the site; then for each URL its rewrites, then the URL itself.

    A mirror of the site is a served cache, where files lie by digest, or a tree of files by host and path. A
    rewrite is that of the longest prefix that fits the URL; a prefix ends at a boundary of it:
    `https://host` stands for that host, not for `https://hostess`.

    Mirrors are told neither credentials nor queries, which may be tokens. So a URL whose query tells files
    apart (`?id=1`) has a mirror only when a digest can prove which of them came.

    Args:
        artifact: the file.
        rewrites: URL prefix to what may stand in its place, best first: `[mirrors]` of the registry.
        mirrors: places that may have any file, best first: $ZOOMGR_MIRROR.
    """
    tried = dict.fromkeys(url for mirror in mirrors for url in _at_mirror(artifact, mirror))
    for url in artifact.urls:
        tried |= dict.fromkeys((*_rewritten(url, rewrites, proven=artifact.digest is not None), url))
    return tuple(tried)


def _at_mirror(artifact: Artifact, mirror: str) -> Iterator[str]:
    """Where a mirror of the site may have a file: where a cache keeps it, and where its URLs say."""
    if artifact.digest and not artifact.digest.is_weak:
        yield below(mirror, blob_in(Path(), artifact.digest).as_posix())
    for url in artifact.urls:
        parts = _shown_to_mirrors(url, proven=artifact.digest is not None)
        if parts and (place := _place_of(parts)):
            yield below(mirror, place)


def _place_of(parts: SplitResult) -> str:
    """`host/path` of an http URL, as `wget -x` writes it; `scheme/…` of another; empty if there is none."""
    if parts.scheme in _HTTP:
        place = f"{parts.netloc.lower()}{unquote(parts.path)}"
    else:
        place = f"{parts.scheme}/{parts.netloc}{parts.path}"
    is_file_below = parts.netloc and parts.path and not _NOT_BELOW & {*place.split("/")}
    return place if is_file_below and parts.scheme != "file" else ""


def below(mirror: str, place: str) -> str:
    """The URL of a file at a mirror, spelt as its kind needs."""
    scheme = mirror.partition(":")[0].lower()
    return f"{mirror.rstrip('/')}/{quote(place, safe=_KEPT) if scheme in _QUOTED else place}"


def _rewritten(url: str, rewrites: Mapping[str, tuple[str, ...]], *, proven: bool) -> Iterator[str]:
    parts = _shown_to_mirrors(url, proven=proven)
    if parts is None:
        return
    shown = urlunsplit(parts)
    prefix = max((known for known in rewrites if _begins(shown, known)), key=len, default="")
    for replacement in rewrites.get(prefix, ()):
        yield replacement + _respelt(shown.removeprefix(prefix), parts.scheme, replacement)


def _respelt(path: str, scheme: str, place: str) -> str:
    """A path of a URL as another place spells it: with `%20` for a space, or to the letter."""
    was_quoted, is_quoted = scheme in _QUOTED, place.partition(":")[0].lower() in _QUOTED
    if was_quoted == is_quoted:
        return path
    return unquote(path) if was_quoted else quote(path, safe=_KEPT)


def _shown_to_mirrors(url: str, *, proven: bool) -> SplitResult | None:
    """The plain URL without user, password and query; None if it is no URL, or mirrors prove nothing."""
    try:
        parts = urlsplit(plain_url(url))
    except ValueError:
        return None
    if not parts.scheme or ((parts.query or parts.fragment) and not proven):
        return None
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="")


def _begins(url: str, prefix: str) -> bool:
    rest = url.removeprefix(prefix)
    return url.startswith(prefix) and (not rest or prefix.endswith("/") or rest[0] in "/?#")
