"""Every fault that a server on loopback can make: the right bytes in the end, or one clear error."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from servers.caches import left_behind, sha256
from servers.faulty import Answer, Faulty, answering
from servers.ranges import Asked, cut, file_of, start_of

from zoomgr.cache.fetch import Fetcher
from zoomgr.cache.manners import Manners, Parts
from zoomgr.cache.patience import Patience
from zoomgr.cache.store import Store
from zoomgr.errors import (
    DigestMismatchError,
    DiskFullError,
    HttpStatusError,
    NotWeightsError,
    TooLargeError,
    TruncatedBodyError,
    UnsafeRedirectError,
    ZoomgrError,
)
from zoomgr.records import Artifact, CacheEntry, Digest
from zoomgr_url.http import HttpTransport

CONTENT = os.urandom(3_000_000)
DIGEST = Digest(sha256(CONTENT))
NEXT = os.urandom(len(CONTENT))
BOUNDARY = 1 << 16


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """An empty cache."""
    return Store(tmp_path / "cache")


def fetcher(store: Store, **manners: Any) -> Fetcher:
    """What a Zoo downloads with, without pauses."""
    http = HttpTransport()
    manners.setdefault("patience", Patience(first_s=0))
    return Fetcher(store, {"http": http}, {}, manners=Manners(**manners))


def fetch(
    store: Store,
    server: Faulty,
    digest: Digest | None = DIGEST,
    size_bytes: int | None = None,
    **manners: Any,
) -> CacheEntry:
    """What comes from the path /x.pth of a server."""
    promised_by = "the test" if digest else ""
    artifact = Artifact((f"{server.url}/x.pth",), "x.pth", size_bytes, digest, promised_by)
    return fetcher(store, **manners).fetch(artifact, ref="x", license="")


def starts(server: Faulty) -> list[int]:
    """The offsets that were asked for."""
    return [start_of(headers) for _, headers in server.asked]


def in_turn(*answers: Callable[[Asked], Answer]) -> Callable[[Asked], Answer]:
    """The first request gets the first answer, and so on; the last one stays."""
    left = iter(answers)
    last = answers[-1]

    def answer(asked: Asked) -> Answer:
        return next(left, last)(asked)

    return answer


whole = file_of(CONTENT)
"""The file, by a server that knows parts."""


# -- resume --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("promised", [DIGEST, Digest(DIGEST.hex[:8]), None], ids=["whole", "weak", "none"])
def test_a_connection_that_breaks_is_continued(store: Store, promised: Digest | None) -> None:
    """From the byte where it broke, on the condition that the file is the same."""
    with answering({"/x.pth": in_turn(lambda asked: cut(whole(asked), 1_000_000), whole)}) as server:
        entry = fetch(store, server, promised)

    assert entry.digest == DIGEST
    assert starts(server) == [0, 1_000_000]
    assert server.asked[1][1]["if-range"] == '"v1"'


def test_every_place_where_a_connection_can_break_is_survived(store: Store) -> None:
    """A server that cuts each answer after 64 KiB: each byte is asked for once."""
    with answering({"/x.pth": lambda asked: cut(whole(asked), BOUNDARY)}) as server:
        entry = fetch(store, server)

    assert entry.digest == DIGEST
    assert starts(server) == list(range(0, len(CONTENT), BOUNDARY))


@pytest.mark.parametrize("boundary", range(0, len(CONTENT), BOUNDARY))
def test_a_truncation_at_any_boundary_leaves_a_file_that_is_continued(tmp_path: Path, boundary: int) -> None:
    """Also by a later process: here another fetcher, when the first has given up."""
    store = Store(tmp_path / "cache")
    with answering({"/x.pth": lambda asked: cut(whole(asked), boundary)}) as server:
        with pytest.raises(TruncatedBodyError):
            fetch(store, server, patience=Patience(retries=0))
        server.answers["/x.pth"] = whole
        entry = fetch(store, server)

    assert entry.digest == DIGEST
    kept = boundary if boundary >= 1 << 20 else 0
    assert starts(server) == [0, kept]
    assert not [path for path in left_behind(store.root) if "partial" in path]


def test_a_server_that_knows_no_parts_is_asked_for_all_of_it_again(store: Store) -> None:
    """A 200 answer to a Range request begins at the first byte."""
    without = Answer(CONTENT, headers={"ETag": '"v1"'})
    with answering({"/x.pth": in_turn(lambda _: cut(without, 2_000_000), lambda _: without)}) as server:
        entry = fetch(store, server)

    assert entry.digest == DIGEST
    assert starts(server) == [0, 2_000_000]


@pytest.mark.parametrize("promised", [Digest(sha256(NEXT)), None], ids=["whole", "none"])
def test_a_file_that_changes_meanwhile_is_fetched_from_its_beginning(
    store: Store, promised: Digest | None
) -> None:
    """No file is ever made of two versions."""
    changed = in_turn(lambda asked: cut(whole(asked), 2_000_000), file_of(NEXT, '"v2"'))
    with answering({"/x.pth": changed}) as server:
        entry = fetch(store, server, promised)

    assert entry.path.read_bytes() == NEXT


def test_a_server_that_ignores_if_range_is_found_out(store: Store) -> None:
    """It gives a part of the new file; its ETag tells."""

    def part_of_next(asked: Asked) -> Answer:
        return file_of(NEXT, '"v2"')({**asked, "if-range": '"v2"'})

    with answering({"/x.pth": in_turn(lambda asked: cut(whole(asked), 2_000_000), part_of_next)}) as server:
        entry = fetch(store, server, None)

    assert entry.path.read_bytes() == NEXT
    assert starts(server) == [0, 2_000_000, 0]


def without_condition(asked: Asked) -> Asked:
    """What a server that does not know If-Range sees of a request."""
    return {name: text for name, text in asked.items() if name != "if-range"}


def in_full(asked: Asked) -> Answer:
    """All of the file as an answer to a request for a part of it, as if that was the part."""
    answer = whole({})
    if "range" not in asked:
        return answer
    said = f"bytes 0-{len(CONTENT) - 1}/{len(CONTENT)}"
    return replace(answer, status=206, headers={**answer.headers, "Content-Range": said})


@pytest.mark.parametrize(
    "refusing",
    [
        in_full,
        lambda asked: Answer(b"no such part", 416) if "range" in asked else whole(asked),
    ],
    ids=["the whole as a part", "no part"],
)
def test_a_server_whose_parts_cannot_be_used_is_asked_for_the_whole(
    store: Store, refusing: Callable[[Asked], Answer]
) -> None:
    """Else what an earlier attempt has left would stand in the way for ever."""
    with answering({"/x.pth": in_turn(lambda asked: cut(whole(asked), 2_000_000), refusing)}) as server:
        entry = fetch(store, server)

    assert entry.digest == DIGEST
    assert starts(server) == [0, 2_000_000, 0]


def test_a_login_page_in_place_of_the_rest_costs_nothing(store: Store) -> None:
    """On a train: what had come before is continued behind the login."""
    page = Answer(b"<html>please log in</html>", headers={"Content-Type": "text/html"})
    with answering({"/x.pth": in_turn(lambda asked: cut(whole(asked), 2_000_000), lambda _: page)}) as server:
        with pytest.raises(NotWeightsError):
            fetch(store, server)
        server.answers["/x.pth"] = whole
        entry = fetch(store, server)

    assert entry.digest == DIGEST
    assert starts(server) == [0, 2_000_000, 2_000_000]


def test_a_file_without_a_version_is_continued_only_when_its_digest_is_promised(store: Store) -> None:
    """Without ETag and date nobody can tell whether the rest belongs to the beginning."""
    plain = file_of(CONTENT, "")
    for promised, expected in [(DIGEST, 2_000_000), (None, 0)]:
        with answering({"/x.pth": in_turn(lambda asked: cut(plain(asked), 2_000_000), plain)}) as server:
            fetch(store, server, promised)
            store.remove("x")

        assert starts(server) == [0, expected]


def test_another_mirror_goes_on_where_the_first_has_failed(store: Store) -> None:
    """When the whole digest is promised, the bytes are the same wherever they come from."""
    with answering({"/a": lambda asked: cut(whole(asked), 2_000_000), "/b": whole}) as server:
        urls = (f"{server.url}/a", f"{server.url}/b")
        artifact = Artifact(urls, "x.pth", digest=DIGEST, promised_by="the test")
        entry = fetcher(store, patience=Patience(retries=0)).fetch(artifact, ref="x", license="")

    assert entry.digest == DIGEST
    assert [(path, start_of(headers)) for path, headers in server.asked] == [("/a", 0), ("/b", 2_000_000)]


def test_a_mirror_that_spoilt_the_beginning_costs_one_more_download(store: Store) -> None:
    """What another mirror left may be wrong: then all of it is fetched from the one that is not."""
    wrong = file_of(NEXT)
    with answering({"/a": lambda asked: cut(wrong(asked), 2_000_000), "/b": whole}) as server:
        urls = (f"{server.url}/a", f"{server.url}/b")
        artifact = Artifact(urls, "x.pth", digest=DIGEST, promised_by="the test")
        entry = fetcher(store, patience=Patience(retries=0)).fetch(artifact, ref="x", license="")

    assert entry.path.read_bytes() == CONTENT
    assert [start_of(headers) for path, headers in server.asked if path == "/b"] == [2_000_000, 0]


def test_what_was_altered_on_the_disk_meanwhile_is_not_used(store: Store) -> None:
    """The kept bytes are hashed again, and compared with what they were when they came."""
    with answering({"/x.pth": lambda asked: cut(whole(asked), 2_000_000)}) as server:
        with pytest.raises(TruncatedBodyError):
            fetch(store, server, None, patience=Patience(retries=0))
        (data,) = (store.root / "v1" / "partial").glob("*/data")
        with data.open("r+b") as file:
            file.seek(1000)
            file.write(b"altered")
        server.answers["/x.pth"] = whole
        entry = fetch(store, server, None)

    assert entry.path.read_bytes() == CONTENT
    assert starts(server)[-1] == 0


# -- retries -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_a_server_that_is_busy_is_asked_again(store: Store, status: int) -> None:
    """Three times without a word, then it answers."""

    def busy(_: Asked) -> Answer:
        return Answer(b"later", status)

    with answering({"/x.pth": in_turn(busy, busy, busy, whole)}) as server:
        assert fetch(store, server).digest == DIGEST

    assert len(server.asked) == 4


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 451])
def test_an_answer_that_will_not_change_is_final(store: Store, status: int) -> None:
    """It is asked once."""
    with answering({"/x.pth": Answer(b"no", status)}) as server, pytest.raises(HttpStatusError) as caught:
        fetch(store, server)

    assert caught.value.status == status
    assert len(server.asked) == 1


def test_a_server_that_stays_busy_is_given_up(store: Store) -> None:
    """After the first request and so many retries."""
    with answering({"/x.pth": Answer(b"later", 503)}) as server, pytest.raises(HttpStatusError):
        fetch(store, server, patience=Patience(retries=2, first_s=0))

    assert len(server.asked) == 3


def test_a_server_says_when_to_come_back(store: Store) -> None:
    """Its Retry-After is kept to, and one that is too long is an error at once."""
    pauses: list[float] = []

    class Clock(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            pauses.append(timeout or 0)
            return False

    busy = Answer(b"later", 429, {"Retry-After": "7"})
    with answering({"/x.pth": in_turn(lambda _: busy, whole)}) as server:
        fetch(store, server, stop=Clock())
        store.remove("x")
        server.answers["/x.pth"] = replace(busy, headers={"Retry-After": "3600"})
        with pytest.raises(HttpStatusError):
            fetch(store, server, stop=Clock())

    assert max(pauses) >= 7
    assert max(pauses) <= 7 * 1.25


def test_bytes_renew_the_patience(store: Store) -> None:
    """A train with many tunnels arrives: each cut is followed by new bytes, however many there are."""
    with answering({"/x.pth": lambda asked: cut(whole(asked), 200_000)}) as server:
        assert fetch(store, server, patience=Patience(retries=1, first_s=0)).digest == DIGEST

    assert len(server.asked) == 15


def test_a_server_that_always_cuts_at_the_same_place_is_given_up(store: Store) -> None:
    """It gives no parts, so each answer begins anew and brings nothing."""
    without = cut(Answer(CONTENT), 2_000_000)
    with answering({"/x.pth": without}) as server, pytest.raises(TruncatedBodyError):
        fetch(store, server, patience=Patience(retries=3, first_s=0))

    assert len(server.asked) == 4


# -- wrong bytes ---------------------------------------------------------------------------------------------


def test_a_corrupt_body_of_the_right_size_is_refused_once(store: Store) -> None:
    """A wrong digest is final for that place: it is not asked again."""
    with answering({"/x.pth": file_of(NEXT)}) as server, pytest.raises(DigestMismatchError):
        fetch(store, server)

    assert len(server.asked) == 1
    assert left_behind(store.root) == []


def test_after_a_wrong_digest_the_next_place_is_asked(store: Store) -> None:
    """Mirrors are never trusted."""
    with answering({"/a": file_of(NEXT), "/b": whole}) as server:
        artifact = Artifact((f"{server.url}/a", f"{server.url}/b"), "x.pth", digest=DIGEST)
        entry = fetcher(store).fetch(artifact, ref="x", license="")

    assert entry.path.read_bytes() == CONTENT
    assert [path for path, _ in server.asked] == ["/a", "/b"]


def endless(_: Asked) -> Answer:
    """Far more than the file has, of a length that nobody says."""
    return Answer(CONTENT * 5, announced_bytes=-1)


BEYOND: list[tuple[Callable[[Asked], Answer], int | None, type[ZoomgrError]]] = [
    (endless, len(CONTENT), TooLargeError),
    (lambda _: Answer(CONTENT * 5), len(CONTENT), TooLargeError),
    (lambda _: cut(Answer(bytes(10) * 10), 50), None, TruncatedBodyError),
    (lambda _: replace(Answer(CONTENT), announced_bytes=1000), None, DigestMismatchError),
    (lambda _: replace(Answer(CONTENT), announced_bytes=len(CONTENT) + 1), None, TruncatedBodyError),
]


@pytest.mark.parametrize(
    ("answer", "size_bytes", "expected"),
    BEYOND,
    ids=["endless", "declared too large", "cut", "declared too small", "declared a byte too large"],
)
def test_a_length_that_is_wrong_is_one_clear_error(
    store: Store, answer: Callable[[Asked], Answer], size_bytes: int | None, expected: type[ZoomgrError]
) -> None:
    """A declared size is a ceiling; nothing is left behind."""
    with answering({"/x.pth": answer}) as server, pytest.raises(expected):
        fetch(store, server, size_bytes=size_bytes, patience=Patience(retries=1, first_s=0))

    assert [path for path in left_behind(store.root) if "partial" not in path] == []


def test_a_body_of_which_nobody_knows_the_length_has_an_end(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither server nor catalogue says one: then a constant does."""
    monkeypatch.setattr("zoomgr.cache.transfer.UNDECLARED_LIMIT_BYTES", 2_000_000)
    with answering({"/x.pth": endless}) as server, pytest.raises(TooLargeError):
        fetch(store, server)

    assert left_behind(store.root) == []


def test_a_redirect_in_circles_ends(store: Store) -> None:
    """It is told, and not tried again."""
    with answering({"/x.pth": Answer(b"", 302, {"Location": "/x.pth"})}) as server:
        with pytest.raises(UnsafeRedirectError):
            fetch(store, server)
        once = len(server.asked)

    assert once <= 31


# -- several parts -------------------------------------------------------------------------------------------

AT_ONCE = Parts(connections=4, after_s=-1, least_bytes=1000, piece_bytes=100_000)


def test_a_large_file_comes_in_parts(store: Store) -> None:
    """Each byte is asked for once but for the first answer, which was the whole file and is left early."""
    with answering({"/x.pth": whole}) as server:
        entry = fetch(store, server, parts=AT_ONCE)

    assert entry.path.read_bytes() == CONTENT
    assert len(server.asked) > 20
    assert len(set(starts(server))) == len(server.asked)


def test_a_server_that_gives_no_parts_is_not_asked_for_any(store: Store) -> None:
    """It does not say that it accepts ranges."""
    with answering({"/x.pth": Answer(CONTENT, headers={"ETag": '"v1"'})}) as server:
        fetch(store, server, parts=AT_ONCE)

    assert len(server.asked) == 1


def test_a_server_that_refuses_further_connections_gives_the_file_all_the_same(store: Store) -> None:
    """One connection goes on alone."""
    served: list[int] = []

    def grudging(asked: Asked) -> Answer:
        served.append(start_of(asked))
        return Answer(b"one at a time", 503) if len(served) in {2, 3, 4} else whole(asked)

    with answering({"/x.pth": grudging}) as server:
        entry = fetch(store, server, parts=AT_ONCE)

    assert entry.path.read_bytes() == CONTENT


def test_a_part_of_another_version_is_not_used(store: Store) -> None:
    """The file changes while its parts come: it is fetched anew."""
    asked_so_far: list[int] = []

    def changing(asked: Asked) -> Answer:
        asked_so_far.append(start_of(asked))
        return whole(asked) if len(asked_so_far) < 5 else file_of(NEXT, '"v2"')(asked)

    with answering({"/x.pth": changing}) as server:
        entry = fetch(store, server, None, parts=AT_ONCE)

    assert entry.path.read_bytes() == NEXT


def test_a_part_of_another_version_is_found_out_without_if_range(store: Store) -> None:
    """A server that does not know it gives the part; its ETag tells, and no file is made of two versions."""
    asked_so_far: list[int] = []

    def changing(asked: Asked) -> Answer:
        asked_so_far.append(start_of(asked))
        now = whole if len(asked_so_far) < 5 else file_of(NEXT, '"v2"')
        return now(without_condition(asked))

    with answering({"/x.pth": changing}) as server:
        entry = fetch(store, server, None, parts=AT_ONCE)

    assert entry.path.read_bytes() == NEXT


@pytest.mark.parametrize("answer", [lambda _: whole({}), in_full], ids=["200", "206"])
def test_a_server_that_only_says_that_it_gives_parts_is_asked_for_the_whole(
    store: Store, answer: Callable[[Asked], Answer]
) -> None:
    """A proxy may pass on `Accept-Ranges` and nothing else of it."""
    with answering({"/x.pth": answer}) as server:
        entry = fetch(store, server, parts=AT_ONCE)

    assert entry.digest == DIGEST


def test_a_system_that_gives_no_more_threads_gives_the_file_all_the_same(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One connection does the work of all."""
    really = threading.Thread.start

    def start(self: threading.Thread) -> None:
        if "Helpers" in repr(vars(self)["_target"]):
            raise RuntimeError("can't start new thread")
        really(self)

    monkeypatch.setattr(threading.Thread, "start", start)
    with answering({"/x.pth": whole}) as server:
        entry = fetch(store, server, parts=AT_ONCE)

    assert entry.digest == DIGEST


@pytest.mark.parametrize("promised", [DIGEST, None], ids=["whole", "none"])
def test_what_comes_twice_is_shown_once(store: Store, promised: Digest | None) -> None:
    """Parts that overlap, connections that break, a file that changes: a bar never goes beyond its end."""
    bar = Bar()
    asked_so_far: list[int] = []

    def flaky(asked: Asked) -> Answer:
        asked_so_far.append(start_of(asked))
        if len(asked_so_far) == 7:
            return file_of(CONTENT, '"v2"')(asked)
        return cut(whole(asked), 60_000) if len(asked_so_far) % 5 == 3 else whole(asked)

    with answering({"/x.pth": flaky}) as server:
        artifact = Artifact((f"{server.url}/x.pth",), "x.pth", None, promised)
        http = {"http": HttpTransport()}
        manners = Manners(Patience(first_s=0, retries=40), AT_ONCE)
        Fetcher(store, http, {}, manners=manners, progress=bar).fetch(artifact, ref="x", license="")

    assert bar.shown[-1] == len(CONTENT)
    assert max(bar.shown) == len(CONTENT)
    assert min(bar.shown) >= 0


class Bar:
    """How far a download was shown to be."""

    def __init__(self) -> None:
        self.shown = [0]
        self._lock = threading.Lock()

    @contextmanager
    def start(self, label: str, total_bytes: int | None) -> Iterator[Callable[[int], None]]:
        """Begin to show a file."""

        def advance(count: int) -> None:
            with self._lock:
                self.shown.append(self.shown[-1] + count)

        assert (label, total_bytes) == ("x.pth", len(CONTENT))
        yield advance


def test_a_rest_without_room_is_told_before_it_is_fetched_and_costs_nothing(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is here already needs no room; where the rest has none, it is kept until there is some."""
    with answering({"/x.pth": lambda asked: cut(whole(asked), 2_000_000)}) as server:
        with pytest.raises(TruncatedBodyError):
            fetch(store, server, patience=Patience(retries=0))
        server.answers["/x.pth"] = whole
        free = [999_999, 1_000_001]
        monkeypatch.setattr("shutil.disk_usage", lambda _: Disk(0, 0, free.pop(0)))
        with pytest.raises(DiskFullError):
            fetch(store, server)
        entry = fetch(store, server)

    assert entry.digest == DIGEST
    assert starts(server) == [0, 2_000_000, 2_000_000]


class Disk(NamedTuple):
    """What `shutil.disk_usage` gives."""

    total: int
    used: int
    free: int
