"""Files from a real S3 endpoint and a real SFTP server: by reference, and as mirrors of the web."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import paramiko
import pytest
from servers.caches import sha256
from servers.s3 import S3, s3_endpoint
from servers.sftp import LOGIN, Sftp, sftp_serving

from zoomgr.api import WHOLE, HttpStatusError, NoSuchFileError, Span, UnreachableError, UntrustedServerError
from zoomgr.zoo import Zoo
from zoomgr_fsspec.transport import StoreTransport

CONTENT = os.urandom(2_500_000)
NAME = f"net-{sha256(CONTENT)[:8]}.pth"
USER, PASSWORD = LOGIN


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[S3]:
    """An endpoint with one file of weights."""
    with s3_endpoint(monkeypatch) as endpoint:
        endpoint.put("zoo", f"a/{NAME}", CONTENT)
        yield endpoint


@pytest.fixture
def sftp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sftp]:
    """A server with one file of weights, whose key the user knows."""
    (tmp_path / "www").mkdir()
    (tmp_path / "www" / NAME).write_bytes(CONTENT)
    monkeypatch.setenv("HOME", str(tmp_path))
    with sftp_serving(tmp_path / "www") as server:
        (tmp_path / ".ssh").mkdir()
        (tmp_path / ".ssh" / "known_hosts").write_text(server.known_hosts)
        yield server


def read(transport: StoreTransport, url: str, span: Span) -> tuple[int, bytes]:
    """Where the part begins, and its bytes."""
    with transport.open(url, span) as body:
        return body.offset, b"".join(body)


# -- S3 ------------------------------------------------------------------------------------------------------


def test_weights_are_pulled_from_a_bucket(s3: S3, make_zoo: Callable[..., Zoo]) -> None:
    """By a reference like any URL; the name's digest is proven."""
    entry = make_zoo().pull(f"s3://zoo/a/{NAME}")

    assert entry.path.read_bytes() == CONTENT
    assert entry.url == f"s3://zoo/a/{NAME}"
    assert entry.promised is not None


def test_a_part_of_an_object_is_that_of_its_version(s3: S3) -> None:
    """Of another version the whole comes."""
    transport, url = StoreTransport(), f"s3://zoo/a/{NAME}"
    with transport.open(url) as body:
        version = body.validator

    part = read(transport, url, Span(1_000_000, 2_000_000, version))
    s3.put("zoo", f"a/{NAME}", CONTENT[::-1])
    other = read(transport, url, Span(1_000_000, 2_000_000, version))

    assert part == (1_000_000, CONTENT[1_000_000:2_000_000])
    assert other == (0, CONTENT[::-1])


def test_what_a_bucket_does_not_have_is_told(s3: S3) -> None:
    """No such object, no such bucket, a folder."""
    for url in ("s3://zoo/a/none.pth", "s3://nobody/x.pth", "s3://zoo/a"):
        with pytest.raises(NoSuchFileError), StoreTransport().open(url):
            pytest.fail("it was opened")


def test_a_bucket_without_a_login_is_told_as_one(s3: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    """To ask again would not help."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)

    with pytest.raises(HttpStatusError) as caught, StoreTransport().open(f"s3://zoo/a/{NAME}"):
        pytest.fail("it was opened")

    assert caught.value.status == 401


# -- SFTP ----------------------------------------------------------------------------------------------------


def test_weights_are_pulled_from_a_file_server(sftp: Sftp, make_zoo: Callable[..., Zoo]) -> None:
    """With the login of the URL, which is not recorded."""
    entry = make_zoo().pull(f"sftp://{USER}:{PASSWORD}@{sftp.host}/{NAME}")

    assert entry.path.read_bytes() == CONTENT
    assert entry.url == entry.ref == f"sftp://{sftp.host}/{NAME}"


def test_a_part_of_a_file_is_that_of_its_version(sftp: Sftp, tmp_path: Path) -> None:
    """Time and size mark a version."""
    transport, url = StoreTransport(), f"sftp://{USER}:{PASSWORD}@{sftp.host}/{NAME}"
    with transport.open(url) as body:
        version = body.validator

    part = read(transport, url, Span(1_000_000, 2_000_000, version))
    (tmp_path / "www" / NAME).write_bytes(CONTENT[1:])
    other = read(transport, url, Span(1_000_000, 2_000_000, version))

    assert part == (1_000_000, CONTENT[1_000_000:2_000_000])
    assert other == (0, CONTENT[1:])


# A thread of paramiko, which asks ahead, ends with the connection; nobody but paramiko can catch that.
@pytest.mark.filterwarnings("ignore:Exception in thread .*_prefetch_thread")
def test_a_connection_that_broke_is_made_anew(sftp: Sftp) -> None:
    """Else no attempt after the first could succeed."""
    transport, url = StoreTransport(), f"sftp://{USER}:{PASSWORD}@{sftp.host}/{NAME}"
    read(transport, url, WHOLE)

    def interrupted() -> None:
        with transport.open(url) as body:
            for connection in sftp.connections:
                connection.close()
            list(body)

    with pytest.raises(UnreachableError):
        interrupted()
    again = read(transport, url, WHOLE)

    assert again == (0, CONTENT)


def test_a_server_that_falls_silent_is_given_up(sftp: Sftp, monkeypatch: pytest.MonkeyPatch) -> None:
    """As one of the web is; paramiko alone would wait for ever."""
    over = threading.Event()
    monkeypatch.setattr(paramiko.SFTPHandle, "read", lambda *_: over.wait() and b"")
    monkeypatch.setattr("zoomgr.stores.client._SILENCE_S", 0.2)
    try:
        with (
            pytest.raises(UnreachableError),
            StoreTransport().open(f"sftp://{USER}:{PASSWORD}@{sftp.host}/{NAME}") as body,
        ):
            list(body)
    finally:
        over.set()


def test_a_host_that_nobody_knows_gets_no_password(sftp: Sftp, tmp_path: Path) -> None:
    """Fsspec alone would trust whoever answers."""
    (tmp_path / ".ssh" / "known_hosts").unlink()
    url = f"sftp://{USER}:{PASSWORD}@{sftp.host}/{NAME}"

    with pytest.raises(UntrustedServerError) as caught, StoreTransport().open(url):
        pytest.fail("it was opened")

    assert "known_hosts" in caught.value.reason
    assert sftp.logins == []


def test_a_wrong_password_is_told_as_one(sftp: Sftp) -> None:
    """Without showing it."""
    with (
        pytest.raises(HttpStatusError) as caught,
        StoreTransport().open(f"sftp://{USER}:wr0ng@{sftp.host}/{NAME}"),
    ):
        pytest.fail("it was opened")

    assert caught.value.status == 401
    assert "wr0ng" not in str(caught.value)
