"""Downloads from a real server, and every fault that one can make: through the transports into a cache.

What HTTP itself demands (certificates, redirects, secrets in messages) is in tests/unit/test_http.py.
"""

from __future__ import annotations

import gzip
import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from servers.caches import left_behind, sha256
from servers.faulty import Answer, answering
from servers.nginx import Nginx, serving

from zoomgr.cache.fetch import Fetcher
from zoomgr.cache.manners import Manners
from zoomgr.cache.patience import Patience
from zoomgr.cache.store import Store
from zoomgr.errors import (
    DigestMismatchError,
    HttpStatusError,
    NoMirrorWorkedError,
    NotWeightsError,
    OfflineError,
    TruncatedBodyError,
    UnreachableError,
    UnsafeRedirectError,
    ZoomgrError,
)
from zoomgr.http import HttpClient
from zoomgr.records import CacheEntry, ModelRef, Span
from zoomgr_url.files import FileTransport
from zoomgr_url.http import HttpTransport
from zoomgr_url.locator import UrlLocator

CONTENT = os.urandom(1_500_000)
NAME = f"net-{sha256(CONTENT)[:8]}.pth"
SILENCE_S = 0.3  # long enough for a server of this machine


@pytest.fixture
def nginx(tmp_path: Path) -> Iterator[Nginx]:
    """A server with one file of weights under several names, a page, and a redirect."""
    folder = tmp_path / "www"
    folder.mkdir()
    for name in (NAME, "plain.pth", "net-00abcdef.pth"):
        (folder / name).write_bytes(CONTENT)
    (folder / "page.pth").write_text("<!DOCTYPE html>\n<title>Please log in</title>")
    (folder / "page.html").write_text("Please log in")
    extra = """
        location /moved/ { rewrite ^/moved/(.*)$ /$1 redirect; }
        location /round/ { return 302 /round/again; }
        location /elsewhere { return 302 file:///etc/passwd; }
        location /private/ { auth_basic "private"; auth_basic_user_file logins; alias WWW/; }
    """.replace("WWW", str(folder))
    (tmp_path / "nginx").mkdir()
    (tmp_path / "nginx" / "logins").write_text("me:{PLAIN}hunter2\n")
    with serving(folder, tmp_path / "nginx", extra) as server:
        yield server


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """An empty cache."""
    return Store(tmp_path / "cache")


def fetch(
    store: Store, url: str, mirrors: Mapping[str, tuple[str, ...]] | None = None, *, offline: bool = False
) -> CacheEntry:
    """What a reference with this URL brings into the cache."""
    card = UrlLocator().locate(ModelRef.parse(url))
    client = HttpClient(silence_timeout_s=SILENCE_S)
    http, file = HttpTransport(client=client), FileTransport()
    transports: dict[str, Any] = {"http": http, "https": http, "file": file}
    once = Manners(Patience(retries=0))
    fetcher = Fetcher(store, transports, mirrors or {}, manners=once, offline=offline)
    assert card.artifact is not None
    with closing(client):
        return fetcher.fetch(card.artifact, ref=str(card.ref), license="")


def dead_port() -> int:
    """A port of this machine on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


# -- what works ----------------------------------------------------------------------------------------------


def test_a_file_is_fetched_and_proven(nginx: Nginx, store: Store) -> None:
    """The weak digest of the name is compared, the whole one recorded."""
    entry = fetch(store, f"{nginx.url}/{NAME}")

    assert entry.path.read_bytes() == CONTENT
    assert entry.digest.hex == sha256(CONTENT)
    assert entry.promised is not None
    assert entry.promised.hex == sha256(CONTENT)[:8]


def test_redirects_are_followed(nginx: Nginx, store: Store) -> None:
    """From one path to another of the same safety."""
    assert fetch(store, f"{nginx.url}/moved/{NAME}").path.read_bytes() == CONTENT


def test_credentials_open_a_private_file_and_are_not_recorded(nginx: Nginx, store: Store) -> None:
    """They are sent as a header; neither ref nor record has them."""
    url = nginx.url.replace("http://", "http://me:hunter2@")

    entry = fetch(store, f"{url}/private/plain.pth")

    assert entry.path.read_bytes() == CONTENT
    assert entry.ref == entry.url == f"{nginx.url}/private/plain.pth"


def test_an_offset_is_honoured(nginx: Nginx) -> None:
    """The body begins where it was asked to, and knows the length of the whole and its validator."""
    client = HttpClient()
    with (
        closing(client),
        HttpTransport(client=client).open(f"{nginx.url}/plain.pth", Span(1_000_000)) as body,
    ):
        assert (body.offset, body.total_bytes) == (1_000_000, len(CONTENT))
        assert body.validator.startswith('"')
        assert b"".join(body) == CONTENT[1_000_000:]


def test_no_compression_is_asked_for_and_none_is_minded(store: Store) -> None:
    """A server that compresses all the same is understood; its length is that of the compressed bytes."""
    packed = gzip.compress(CONTENT)
    with answering({f"/{NAME}": Answer(packed, headers={"Content-Encoding": "gzip"})}) as server:
        entry = fetch(store, f"{server.url}/{NAME}")

        assert server.asked[0][1]["accept-encoding"] == "identity"
    assert entry.path.read_bytes() == CONTENT


def test_a_body_of_unknown_length_is_fetched(store: Store) -> None:
    """Without Content-Length the digest alone decides."""
    with answering({f"/{NAME}": Answer(CONTENT, announced_bytes=-1)}) as server:
        assert fetch(store, f"{server.url}/{NAME}").size_bytes == len(CONTENT)


def test_a_mirror_stands_in_for_an_unreachable_origin(nginx: Nginx, store: Store) -> None:
    """The origin is not even asked when the mirror has the file."""
    origin = f"http://127.0.0.1:{dead_port()}/models/"

    entry = fetch(store, f"{origin}{NAME}", {origin: (f"{nginx.url}/",)})

    assert entry.url == f"{nginx.url}/{NAME}"
    assert entry.ref == f"{origin}{NAME}"


def test_an_origin_stands_in_for_a_broken_mirror(nginx: Nginx, store: Store, tmp_path: Path) -> None:
    """A dead host, a folder without the file, a mirror without the file: each is passed over."""
    mirrors = {
        f"{nginx.url}/": (f"http://127.0.0.1:{dead_port()}/", tmp_path.as_uri() + "/", f"{nginx.url}/no/")
    }

    assert fetch(store, f"{nginx.url}/{NAME}", mirrors).url == f"{nginx.url}/{NAME}"


# -- what does not -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "expected", "exit_code"),
    [
        ("net-00abcdef.pth", DigestMismatchError, 4),
        (f"plain.pth#sha256={'0' * 64}", DigestMismatchError, 4),
        ("page.pth", NotWeightsError, 4),
        ("page.html", NotWeightsError, 4),
        ("missing.pth", HttpStatusError, 5),
        ("private/plain.pth", HttpStatusError, 5),
        ("round/x.pth", UnsafeRedirectError, 5),
        ("elsewhere", UnsafeRedirectError, 5),
    ],
)
def test_a_fault_of_a_real_server_is_one_clear_error(
    nginx: Nginx, store: Store, path: str, expected: type[ZoomgrError], exit_code: int
) -> None:
    """With its own code and exit code, and nothing in the cache afterwards."""
    with pytest.raises(expected) as caught:
        fetch(store, f"{nginx.url}/{path}")

    assert (type(caught.value), caught.value.exit_code) == (expected, exit_code)
    assert left_behind(store.root) == []


@pytest.mark.parametrize("announced_bytes", [len(CONTENT), 100_000_000])
def test_a_truncated_body_is_noticed_without_any_digest(store: Store, announced_bytes: int) -> None:
    """The connection ends before the announced length: how much came and how much should have come."""
    cut = Answer(CONTENT[:400_000], announced_bytes=announced_bytes)
    with answering({"/plain.pth": cut}) as server, pytest.raises(TruncatedBodyError) as caught:
        fetch(store, f"{server.url}/plain.pth")

    assert (caught.value.received_bytes, caught.value.expected_bytes) == (400_000, announced_bytes)
    assert (caught.value.code, caught.value.exit_code) == ("truncated-body", 5)
    assert left_behind(store.root) == []


@pytest.mark.parametrize("sent", [0, 5000])
def test_silence_ends(store: Store, sent: int) -> None:
    """A server that says nothing more is unreachable once the time for reading is over."""
    stall = Answer(CONTENT[:sent], announced_bytes=len(CONTENT), stalls=True)
    with answering({"/plain.pth": stall}) as server, pytest.raises(UnreachableError) as caught:
        fetch(store, f"{server.url}/plain.pth")

    assert "timed out" in caught.value.reason
    assert left_behind(store.root) == []


@pytest.mark.parametrize("status", [204, 206, 403, 410, 429, 500, 503])
def test_an_answer_other_than_the_file_is_told(store: Store, status: int) -> None:
    """Its number is in the error, its body is not in the cache."""
    body = b"" if status == 204 else b"weights?"
    with answering({"/plain.pth": Answer(body, status)}) as server, pytest.raises(HttpStatusError) as caught:
        fetch(store, f"{server.url}/plain.pth")

    assert caught.value.status == status
    assert left_behind(store.root) == []


def test_a_refused_connection_is_one_clear_error(store: Store) -> None:
    """Nobody listens."""
    with pytest.raises(UnreachableError) as caught:
        fetch(store, f"http://127.0.0.1:{dead_port()}/plain.pth")

    assert "Connection refused" in caught.value.reason
    assert (caught.value.code, caught.value.exit_code) == ("unreachable", 5)
    assert left_behind(store.root) == []


def test_a_host_without_tls_is_unreachable_over_https(nginx: Nginx, store: Store) -> None:
    """A failed handshake is told as such."""
    with pytest.raises(UnreachableError) as caught:
        fetch(store, f"{nginx.url.replace('http:', 'https:')}/plain.pth")

    assert "SSL" in caught.value.reason
    assert left_behind(store.root) == []


def test_a_redirect_to_a_file_is_refused_before_it_is_followed(nginx: Nginx, store: Store) -> None:
    """By our own rule, not by what requests happens to support."""
    with pytest.raises(UnsafeRedirectError) as caught:
        fetch(store, f"{nginx.url}/elsewhere")

    assert caught.value.reason == "redirects from http to file, which is refused"


def test_no_message_shows_a_secret(store: Store) -> None:
    """Neither password nor token, in the text, the fields or what pickles."""
    url = f"http://me:hunter2@127.0.0.1:{dead_port()}/plain.pth?token=s3cret"

    with pytest.raises(UnreachableError) as caught:
        fetch(store, url)

    shown = f"{caught.value} {caught.value!r} {caught.value.to_dict()}"
    assert "hunter2" not in shown
    assert "s3cret" not in shown


def test_when_every_place_fails_each_is_told(nginx: Nginx, store: Store) -> None:
    """Mirror and origin, with what happened at each."""
    dead = f"http://127.0.0.1:{dead_port()}/"

    with pytest.raises(NoMirrorWorkedError) as caught:
        fetch(store, f"{nginx.url}/missing.pth", {f"{nginx.url}/": (dead,)})

    assert [url for url, _ in caught.value.attempts] == [f"{dead}missing.pth", f"{nginx.url}/missing.pth"]
    assert left_behind(store.root) == []


# -- offline -------------------------------------------------------------------------------------------------


def test_offline_opens_no_socket(store: Store, no_sockets: None) -> None:
    """No connection, no name looked up, no cache made."""
    with pytest.raises(OfflineError) as caught:
        fetch(store, f"https://host.example/{NAME}", offline=True)

    assert (caught.value.code, caught.value.exit_code) == ("offline", 5)
    assert not store.root.exists()


def test_offline_takes_a_file_from_a_mounted_mirror(store: Store, tmp_path: Path, no_sockets: None) -> None:
    """Behind an air gap a mirror is often a folder."""
    (tmp_path / NAME).write_bytes(CONTENT)

    entry = fetch(
        store,
        f"https://host.example/models/{NAME}",
        {"https://host.example/models/": (tmp_path.as_uri() + "/",)},
        offline=True,
    )

    assert entry.path.read_bytes() == CONTENT
