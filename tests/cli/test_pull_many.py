"""Several files at once, what a killed pull leaves, and how it is cleaned up."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from cli.saying import Say, command
from servers.authorities import new_authority
from servers.caches import left_behind, sha256
from servers.faulty import Answer, answering
from servers.nginx import Nginx, serving

from zoomgr.cache.gc import Rubbish
from zoomgr.cache.store import Store
from zoomgr.cache.throttle import Throttle
from zoomgr.errors import CacheUnwritableError

SMALL = [os.urandom(50_000 + n) for n in range(3)]
LARGE = os.urandom(3_000_000)


@dataclass(frozen=True, slots=True)
class Places:
    """Where three files can be had, each by another scheme, and the servers that have them."""

    urls: tuple[str, str, str]
    plain: Nginx
    tls: Nginx


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Places]:
    """A folder, a server, and a server that speaks TLS with a certificate that is trusted."""
    authority = new_authority(tmp_path / "ca.pem")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority.ca_file))
    names = [f"net{n}.pth" for n in range(3)]
    for folder in ("disk", "www"):
        (tmp_path / folder).mkdir()
        for name, content in zip(names, SMALL, strict=True):
            (tmp_path / folder / name).write_bytes(content)
    with (
        serving(tmp_path / "www", tmp_path / "plain") as plain,
        serving(tmp_path / "www", tmp_path / "tls", server_pem=authority.server_pem) as tls,
    ):
        sums = [f"#sha256={sha256(content)}" for content in SMALL]
        urls = (
            (tmp_path / "disk" / names[0]).as_uri() + sums[0],
            f"{tls.url}/{names[1]}{sums[1]}",
            f"{plain.url}/{names[2]}{sums[2]}",
        )
        yield Places(urls, plain, tls)


def paths(out: str) -> list[Path]:
    """The last column of what was printed."""
    return [Path(row.split("\t")[-1]) for row in out.splitlines()]


# -- several at once -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("jobs", [(), ("--jobs", 1), ("--jobs", 2), ("-j", 50)])
def test_several_files_are_pulled_in_the_order_in_which_they_were_named(
    zoomgr: Say, places: Places, jobs: tuple[str, ...]
) -> None:
    """From a disk, with TLS and without; however many at once."""
    told = zoomgr("pull", *places.urls, *jobs)

    assert (told.code, told.err) == (0, "")
    assert [path.read_bytes() for path in paths(told.out)] == SMALL
    assert zoomgr("pull", *places.urls, "--offline").out == told.out
    assert [len(server.requests()) for server in (places.plain, places.tls)] == [1, 1]


def test_json_is_one_list(zoomgr: Say, places: Places) -> None:
    """Of all that came, in order."""
    told = zoomgr("pull", *places.urls, "--json", "--jobs", "2")

    assert [entry["filename"] for entry in told.json] == ["net0.pth", "net1.pth", "net2.pth"]
    assert [entry["digest"] for entry in told.json] == [f"sha256:{sha256(content)}" for content in SMALL]


def test_what_is_named_twice_is_pulled_once(zoomgr: Say, places: Places) -> None:
    """And printed once."""
    url = places.urls[2]

    told = zoomgr("pull", url, url, url)

    assert (told.code, len(told.out.splitlines())) == (0, 1)
    assert len(places.plain.requests()) == 1


@pytest.mark.parametrize("turned", [False, True], ids=["promised first", "promised last"])
def test_a_promise_counts_wherever_it_stands(zoomgr: Say, places: Places, *, turned: bool) -> None:
    """One URL, with and without its digest, is one reference; no promise is lost by it."""
    plain = places.urls[2].partition("#")[0]
    urls = [f"{plain}#sha256={'0' * 64}", plain]

    told = zoomgr("pull", *(reversed(urls) if turned else urls), "--jobs", 1)

    assert told.code == 4


def test_they_come_at_once(zoomgr: Say) -> None:
    """Each of three answers waits for the other two requests."""
    together = threading.Barrier(3)

    def met(_: object) -> Answer:
        together.wait(30)
        return Answer(SMALL[0])

    with answering({f"/{n}.pth": met for n in range(3)}) as server:
        told = zoomgr("pull", *(f"{server.url}/{n}.pth" for n in range(3)), "--jobs", 3, "--quiet")

    assert told.code == 0
    assert len(told.out.splitlines()) == 3


def test_one_that_fails_does_not_keep_the_others(zoomgr: Say, places: Places) -> None:
    """They are printed and cached; the error decides how it ends."""
    missing = f"{places.plain.url}/missing.pth"

    told = zoomgr("pull", places.urls[0], missing, *places.urls[1:], "--jobs", "2")

    assert told.code == 5
    assert [path.read_bytes() for path in paths(told.out)] == SMALL
    assert told.err.startswith("error[http-status]: 127.0.0.1 answered 404 Not Found\n")
    assert missing in told.err


@pytest.mark.parametrize("jobs", [1, 4])
def test_the_first_error_decides_and_each_is_told(zoomgr: Say, places: Places, jobs: int) -> None:
    """First in the order of the arguments, not of time."""
    wrong = places.plain.folder / "net-deadbeef.pth"
    wrong.write_bytes(SMALL[0])
    bad = [f"{places.plain.url}/{wrong.name}", f"{places.plain.url}/missing.pth"]

    told = zoomgr("pull", bad[0], *places.urls, bad[1], "--jobs", jobs)
    other = zoomgr("pull", bad[1], *places.urls, bad[0], "--jobs", jobs, "--json")

    assert (told.code, other.code) == (4, 5)
    assert len(told.out.splitlines()) == len(other.json) == 3
    for err in (told.err, other.err):
        assert err.count("error[digest-mismatch]: ") == 1
        assert err.count("error[http-status]: ") == 1


def test_when_all_fail_there_is_one_answer_for_programs(zoomgr: Say, places: Places) -> None:
    """The first error, as for a single file."""
    told = zoomgr("pull", *(f"{places.plain.url}/{n}.pth" for n in range(3)), "--json")

    assert told.code == 5
    assert told.json["error"]["code"] == "http-status"
    assert told.err.count("error[http-status]: ") == 3


def test_a_name_that_is_unknown_is_told_before_anything_is_fetched(zoomgr: Say, places: Places) -> None:
    """Not after an hour of downloads."""
    told = zoomgr("pull", *places.urls, "no-such-network")

    assert (told.code, told.out) == (3, "")
    assert places.plain.requests() == places.tls.requests() == []


# -- options -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("jobs", ["0", "-1", "many", "1.5", ""])
def test_a_bad_count_of_jobs_is_a_usage_error(zoomgr: Say, places: Places, jobs: str) -> None:
    """Nothing is fetched."""
    told = zoomgr("pull", *places.urls, "--jobs", jobs)

    assert (told.code, told.out) == (2, "")
    assert "--jobs" in told.err
    assert places.plain.requests() == []


@pytest.mark.parametrize("rate", ["0", "fast", "1T", "-5K", ""])
def test_a_bad_rate_is_a_usage_error(zoomgr: Say, places: Places, rate: str) -> None:
    """It says how rates are written, and nothing is fetched."""
    told = zoomgr("pull", *places.urls, f"--limit-rate={rate}")

    assert (told.code, told.out) == (2, "")
    assert "--limit-rate" in told.err
    assert "500K" in told.err
    assert places.plain.requests() == []


def test_the_rate_reaches_the_downloads(zoomgr: Say, places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of all together: option, else variable, else none."""
    caps: list[int | None] = []
    real = Throttle.__init__

    def noting(self: Throttle, bytes_per_s: int | None = None) -> None:
        caps.append(bytes_per_s)
        real(self, bytes_per_s)

    monkeypatch.setattr(Throttle, "__init__", noting)

    assert zoomgr("pull", *places.urls[:2], "--limit-rate", "2G").code == 0
    monkeypatch.setenv("ZOOMGR_LIMIT_RATE", "1G")
    assert zoomgr("pull", places.urls[2]).code == 0

    assert caps == [2 << 30, 1 << 30]


# -- what a killed pull leaves -------------------------------------------------------------------------------


@pytest.fixture
def stalling() -> Iterator[str]:
    """The URL of a file of which a server gives two thirds, and then nothing."""
    stall = Answer(LARGE[:2_000_000], 200, {"ETag": '"v1"'}, announced_bytes=len(LARGE), stalls=True)
    with answering({"/large.pth": stall, "/other.pth": stall}) as server:
        yield f"{server.url}/large.pth"


def started(cache: Path, *urls: str) -> subprocess.Popen[str]:
    """A pull in a process of its own, that has two thirds of each file."""
    process = subprocess.Popen(
        command("pull", *urls, "--cache", cache),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    while len(_long_enough(cache)) < len(urls):
        assert process.poll() is None, process.communicate()
    return process


def _long_enough(cache: Path) -> list[Path]:
    data = (cache / "v1" / "partial").glob("*/data")
    return [path for path in data if path.stat().st_size == 2_000_000]


def test_a_partial_of_a_killed_pull_is_shown_and_removed(zoomgr: Say, tmp_path: Path, stalling: str) -> None:
    """In use while the pull lives; then with its size and its place; then gone."""
    cache = ("--cache", tmp_path / "cache")
    process = started(tmp_path / "cache", stalling)
    try:
        alive = zoomgr("gc", *cache)
    finally:
        process.kill()
        process.communicate()

    shown = zoomgr("gc", "--dry-run", *cache)
    listed = zoomgr("gc", "--dry-run", "--json", *cache).json
    before = left_behind(tmp_path / "cache")
    removed = zoomgr("gc", "--json", *cache)

    assert (alive.code, alive.out.split("\t")[:2]) == (0, ["partial", "in use"])
    assert alive.err == "freed 0 B\n"
    kind, use, size, _, what, where = shown.out.strip("\n").split("\t")
    assert (kind, use, size) == ("partial", "", "1.9 MiB")
    assert what == f"{stalling}, 3,000,000 bytes in all"
    assert Path(where).is_relative_to(tmp_path / "cache")
    assert shown.err == "would free 1.9 MiB in 1 places; nothing was removed\n"
    assert [(item["path"], item["is_used"], item["freed_bytes"]) for item in listed] == [(where, False, 0)]
    assert len(before) == 2
    assert [item["freed_bytes"] for item in removed.json] == [listed[0]["size_bytes"]]
    assert left_behind(tmp_path / "cache") == []
    assert zoomgr("gc", "--json", *cache).json == []


def test_what_a_killed_pull_has_left_is_continued(zoomgr: Say, tmp_path: Path, stalling: str) -> None:
    """By the next one, from another place too, if its digest is promised."""
    digest = sha256(LARGE)
    process = started(tmp_path / "cache", f"{stalling}#sha256={digest}")
    process.kill()
    process.communicate()
    (tmp_path / "large.pth").write_bytes(LARGE)
    url = (tmp_path / "large.pth").as_uri()

    told = zoomgr("pull", f"{url}#sha256={digest}", "--cache", tmp_path / "cache")

    assert told.code == 0
    assert paths(told.out)[0].read_bytes() == LARGE
    assert [path for path in left_behind(tmp_path / "cache") if "partial" in path] == []


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
def test_a_signal_ends_a_pull_of_several_although_the_server_is_silent(
    zoomgr: Say, tmp_path: Path, stalling: str, number: signal.Signals
) -> None:
    """With the shell's exit code, without a traceback; what came is kept, and belongs to nobody."""
    process = started(tmp_path / "cache", stalling, stalling.replace("large", "other"))

    process.send_signal(number)
    out, err = process.communicate(timeout=30)

    assert (process.returncode, out) == (128 + number, "")
    assert err.splitlines()[-1] == f"stopped by {number.name}"
    assert "Traceback" not in err
    listed = zoomgr("gc", "--dry-run", "--json", "--cache", tmp_path / "cache").json
    assert [(item["kind"], item["is_used"]) for item in listed] == [("partial", False)] * 2


# -- gc ------------------------------------------------------------------------------------------------------


def test_an_empty_cache_has_nothing_to_free(zoomgr: Say, tmp_path: Path) -> None:
    """And none is made."""
    told = zoomgr("gc", "--cache", tmp_path / "none")

    assert (told.code, told.out, told.err) == (0, "", "freed 0 B\n")
    assert zoomgr("gc", "--json", "--cache", tmp_path / "none").out == "[]\n"
    assert not (tmp_path / "none").exists()


def test_what_cannot_be_removed_does_not_keep_the_rest(
    zoomgr: Say, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other users' files in a shared cache: they are told, the others go, and the exit code says so."""
    bad = tmp_path / "cache" / "v1" / "bad"
    bad.mkdir(parents=True)
    for name in "abc":
        (bad / name).write_bytes(b"x" * 10_000)
    real = Store.sweep

    def sweep(self: Store, item: Rubbish) -> int:
        if item.path.name != "b":
            raise CacheUnwritableError(str(item.path), "Permission denied")
        return real(self, item)

    monkeypatch.setattr(Store, "sweep", sweep)
    told = zoomgr("gc", "--cache", tmp_path / "cache")

    assert told.code == 8
    assert [path.name for path in sorted(bad.iterdir())] == ["a", "c"]
    assert len(told.out.splitlines()) == 3
    assert "freed 1" in told.err
    assert told.err.count("error[cache-unwritable]: ") == 2


def test_a_pull_after_gc_begins_anew(zoomgr: Say, tmp_path: Path, places: Places) -> None:
    """Nothing that is needed goes: a pull, a clean-up, and the same answer without a request."""
    pulled = zoomgr("pull", *places.urls)

    swept = zoomgr("gc", "--json")

    assert (swept.code, json.loads(swept.out)) == (0, [])
    assert zoomgr("pull", *places.urls, "--offline").out == pulled.out
