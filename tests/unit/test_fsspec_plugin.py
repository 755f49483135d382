"""Stores as locations: what a URL of one says, and what their clients' faults become."""

from __future__ import annotations

import io

import fsspec
import pytest

from zoomgr.api import (
    Digest,
    HttpStatusError,
    InvalidRefError,
    Locator,
    MissingPackageError,
    ModelRef,
    NoSuchFileError,
    Span,
    TooLargeError,
    Transport,
    TruncatedBodyError,
    UnreachableError,
    UntrustedServerError,
    ZoomgrError,
)
from zoomgr.stores import store_faults
from zoomgr_fsspec.locator import SCHEMES, StoreLocator
from zoomgr_fsspec.transport import StoreBody, StoreTransport

WHOLE = "ab" * 32


def test_the_plugin_fulfils_the_protocols() -> None:
    """The host checks the same; and nothing of it works offline."""
    assert isinstance(StoreLocator(), Locator)
    assert isinstance(StoreTransport(), Transport)
    assert StoreTransport().needs_network


def test_no_scheme_is_taken_from_another_plugin_or_opens_this_machine() -> None:
    """Fsspec would open them: files of this disk, files inside files, the network by other rules."""
    others = {
        "http",
        "https",
        "file",
        "local",
        "hf",
        "zip",
        "tar",
        "memory",
        "reference",
        "simplecache",
        "github",
    }

    assert not others & SCHEMES


@pytest.mark.parametrize(
    ("text", "digits", "promised_by"),
    [
        ("s3://bucket/a/net-397923af.pth", "397923af", "the file name"),
        (f"s3://bucket/a/net.pth#sha256={WHOLE.upper()}", WHOLE, "the reference's fragment"),
        ("gs://bucket/net.pth", "", ""),
    ],
)
def test_a_url_promises_by_fragment_else_by_name(text: str, digits: str, promised_by: str) -> None:
    """As URLs of the web do."""
    artifact = StoreLocator().locate(ModelRef.parse(text)).artifact

    assert artifact is not None
    assert artifact.digest == (Digest(digits) if digits else None)
    assert artifact.promised_by == promised_by


def test_credentials_are_used_but_never_shown() -> None:
    """They stay out of the ref; the URL that is fetched has them, without the fragment."""
    card = StoreLocator().locate(ModelRef.parse(f"sftp://me:hunter2@host/a/x.pth#sha256={WHOLE}"))

    assert str(card.ref) == "sftp://host/a/x.pth"
    assert card.artifact is not None
    assert card.artifact.urls == ("sftp://me:hunter2@host/a/x.pth",)
    assert card.artifact.filename == "x.pth"


@pytest.mark.parametrize(
    "text",
    [
        "s3://bucket",
        "s3://bucket/a/",
        "s3://bucket/..",
        "s3:///x.pth",
        "sftp://me:hunter2@/x.pth",
        "s3://bucket/x.zip::zip://x.pth",
        "s3://bucket/x.pth#md5=00",
        "s3://bucket/x.pth#sha256=1234567",
        "sftp://me:hunter2@[::1/x.pth",
        "s3://key:hunter2/secret@bucket/x.pth",
    ],
)
def test_a_url_that_names_no_file_is_refused(text: str) -> None:
    """No bucket, no file, a chain, a promise that is not understood; and no message has a password."""
    with pytest.raises(InvalidRefError) as caught:
        StoreLocator().locate(ModelRef.parse(text))

    assert "hunter2" not in str(caught.value)


class NoCredentialsError(Exception):
    """As botocore calls it."""


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (FileNotFoundError("bucket/x"), NoSuchFileError),
        (IsADirectoryError("bucket/x"), NoSuchFileError),
        (PermissionError("Access Denied"), HttpStatusError),
        (NoCredentialsError("Unable to locate credentials"), HttpStatusError),
        (ImportError("No module named 's3fs'"), MissingPackageError),
        (ValueError("Invalid bucket name"), InvalidRefError),
        (OSError("[SSL: CERTIFICATE_VERIFY_FAILED] self-signed"), UntrustedServerError),
        (ConnectionError("refused"), UnreachableError),
        (TimeoutError(), UnreachableError),
        (RuntimeError("whatever"), UnreachableError),
        (TooLargeError("x", "s3://bucket/x", 1, None), TooLargeError),
    ],
)
def test_every_fault_of_a_client_becomes_one_of_ours(error: Exception, expected: type[ZoomgrError]) -> None:
    """What may work later is transient; ours stay as they are."""
    with pytest.raises(expected) as caught, store_faults("s3://bucket/x.pth"):
        raise error

    assert type(caught.value) is expected
    assert getattr(caught.value, "is_transient", False) is (expected is UnreachableError)


def test_no_message_shows_a_login() -> None:
    """Clients quote URLs."""
    url = "sftp://me:hunter2@host/x.pth"

    with pytest.raises(UnreachableError) as caught, store_faults(url):
        raise OSError(f"cannot open {url}, tried password hunter2")

    assert "hunter2" not in f"{caught.value} {caught.value!r}"


def test_a_client_that_is_not_installed_is_told_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the extra of ours."""

    def missing(scheme: str) -> None:
        raise ImportError(f"Install a client to access {scheme}")

    monkeypatch.setattr(fsspec, "get_filesystem_class", missing)

    with pytest.raises(MissingPackageError) as caught, StoreTransport().open("s3://bucket/x.pth"):
        pytest.fail("it was opened")

    assert caught.value.requirement == "zoomgr[s3]"


# -- bodies --------------------------------------------------------------------------------------------------

INFO = {"size": 10, "ETag": '"v1"'}


@pytest.mark.parametrize(
    ("span", "offset", "expected"),
    [
        (Span(), 0, b"0123456789"),
        (Span(4), 4, b"456789"),
        (Span(4, 8), 4, b"4567"),
        (Span(4, 99), 4, b"456789"),
        (Span(4, 8, '"v1" 10'), 4, b"4567"),
        (Span(4, 8, '"v0" 10'), 0, b"0123456789"),
    ],
)
def test_a_span_is_what_comes(span: Span, offset: int, expected: bytes) -> None:
    """The whole file when it is another version than was asked for."""
    body = StoreBody("s3://b/x", io.BytesIO(b"0123456789"), span, INFO)

    assert (body.offset, b"".join(body)) == (offset, expected)
    assert (body.total_bytes, body.validator, body.accepts_ranges) == (10, '"v1" 10', True)


def test_a_file_that_ends_early_is_truncated() -> None:
    """The store said that it is longer."""
    body = StoreBody("s3://b/x", io.BytesIO(b"01234"), Span(), INFO)

    with pytest.raises(TruncatedBodyError) as caught:
        list(body)

    assert (caught.value.received_bytes, caught.value.expected_bytes) == (5, 10)


def test_a_store_that_says_nothing_of_a_file_gives_it_all_the_same() -> None:
    """Neither size nor version: the digest decides."""
    body = StoreBody("s3://b/x", io.BytesIO(b"01234"), Span(), {})

    assert (body.total_bytes, body.validator, b"".join(body)) == (None, "", b"01234")


def test_a_read_that_fails_is_an_error_of_ours() -> None:
    """In the middle of a file."""

    class Failing(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            raise ConnectionResetError("gone")

    with pytest.raises(UnreachableError):
        list(StoreBody("s3://b/x", Failing(), Span(), INFO))
