"""URLs as locations, and the bytes behind file URLs (http: test_http.py)."""

from __future__ import annotations

import errno
import io
import os
import re
import string
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from zoomgr.api import (
    Digest,
    InvalidRefError,
    Locator,
    ModelCard,
    ModelRef,
    NoSuchFileError,
    Span,
    Transport,
    TruncatedBodyError,
    UnreachableError,
)
from zoomgr_url.files import FileBody, FileTransport
from zoomgr_url.http import HttpTransport
from zoomgr_url.locator import UrlLocator

HEX = "0123456789abcdef"
WHOLE = "ab" * 32


def card_of(text: str) -> ModelCard:
    """What the plugin makes of a reference."""
    return UrlLocator().locate(ModelRef.parse(text))


def promised(card: ModelCard) -> tuple[str, str]:
    """Digits and promiser."""
    assert card.artifact is not None
    digest = card.artifact.digest
    return (digest.hex if digest else "", card.artifact.promised_by)


def test_the_plugin_fulfils_the_protocols() -> None:
    """The host checks the same."""
    assert isinstance(UrlLocator(), Locator)
    assert isinstance(HttpTransport(), Transport)
    assert isinstance(FileTransport(), Transport)


# -- digests in file names -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "digits"),
    [
        ("vgg16-397923af.pth", "397923af"),
        ("efficientnet-lite0-57934424.pth", "57934424"),
        ("mobilenet_v2_qnnpack_37f702c5.pth", "37f702c5"),
        ("xception-43020ad28.pth", "43020ad28"),
        ("vit-b-16.v2-deadbeef.pth", "deadbeef"),
        ("faster_rcnn_coco_20200130-047c8118.pth", "047c8118"),
        ("net-deadbeef.pth.tar", "deadbeef"),
        (f"net-{WHOLE}.safetensors", WHOLE),
        ("plain.pth", ""),
        ("net-50.pth", ""),
        ("foo-.pth", ""),
        ("net-deadbee.pth", ""),
        (f"net-{WHOLE}0.pth", ""),
        ("net-DEADBEEF.pth", ""),
        ("net-deadbeef", ""),
        ("net-deadbeef.v2.pth", ""),
        ("deadbeef.pth", ""),
        ("net.deadbeef.pth", ""),
        ("deadbeef-net.pth", ""),
        ("run-20240131.pth", ""),
        ("run_20240131123059.pth", ""),
        ("step-00010000.ckpt", ""),
    ],
)
def test_a_file_name_promises_what_stands_before_its_extension(name: str, digits: str) -> None:
    """torch.hub's traps are none here; dates and counters are no digests."""
    digest = Digest.from_filename(name)

    assert (digest.hex if digest else "") == digits


@given(
    st.text(string.printable + "ü-_.", max_size=30),
    st.sampled_from("-_"),
    st.text(HEX, min_size=8, max_size=64),
    st.sampled_from([".pth", ".pt", ".safetensors", ".pth.tar", ".npz"]),
)
def test_a_digest_before_the_extension_is_always_found(stem: str, mark: str, digits: str, ext: str) -> None:
    """Whatever comes before it."""
    assume(not re.match(r"(19|20)\d{6}|000\d+$", digits))

    assert Digest.from_filename(f"{stem}{mark}{digits}{ext}") == Digest(digits)


@given(st.text("0123456789abcdefghz-_.", max_size=40))
def test_a_name_never_promises_what_it_does_not_say(text: str) -> None:
    """The digits found are the last group of the name, delimited on both sides, 8 of them at least."""
    digest = Digest.from_filename(text + ".pth")

    if digest:
        assert len(digest.hex) >= 8
        assert re.search(rf"[-_]{digest.hex}(\.[a-z0-9]+)?\.pth$", text + ".pth")


# -- cards of URLs -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("https://h/vgg16-397923af.pth", ("397923af", "the file name")),
        ("https://h/vgg16-397923af.pth#sha256=0123456789", ("0123456789", "the reference's fragment")),
        (f"https://h/x.pth#sha256={WHOLE.upper()}", (WHOLE, "the reference's fragment")),
        ("https://h/net-50.pth", ("", "")),
        ("https://h/vgg16-397923af.pth?download=1", ("397923af", "the file name")),
        ("file:///data/vgg16-397923af.pth", ("397923af", "the file name")),
    ],
)
def test_a_url_promises_by_fragment_else_by_name(text: str, expected: tuple[str, str]) -> None:
    """A fragment is the user's own word and beats the name."""
    assert promised(card_of(text)) == expected


@pytest.mark.parametrize(
    "text",
    [
        "https://h/x.pth#sha256=1234567",
        "https://h/x.pth#sha256=xyz",
        "https://h/x.pth#sha256=" + "0" * 65,
        "https://h/x.pth#md5=d41d8cd98f00b204e9800998ecf8427e",
        "https://h/x.pth#top",
        "https://h/",
        "https://h",
        "https:///x.pth",
        "https://h/..",
        "https://[::1/x.pth",
        "https://h:port/x.pth",
    ],
)
def test_a_url_that_says_nothing_usable_is_refused(text: str) -> None:
    """A fragment that is not understood must not be taken for no promise."""
    with pytest.raises(InvalidRefError):
        card_of(text)


def test_the_fetched_url_has_no_fragment() -> None:
    """A fragment is for us, not for the server; the ref is the same with and without."""
    card = card_of(f"https://h/x.pth#sha256={WHOLE}")

    assert card.artifact is not None
    assert card.artifact.urls == ("https://h/x.pth",)
    assert str(card.ref) == "https://h/x.pth"


def test_the_file_is_called_as_a_person_would_read_it() -> None:
    """Percent signs are undone."""
    card = card_of("https://h/a%20b.pth?x=/y.pth")

    assert card.artifact is not None
    assert card.artifact.filename == "a b.pth"


def test_credentials_are_used_but_never_shown() -> None:
    """User, password and secrets in the query stay out of the ref; the URL that is fetched has them."""
    text = "https://me:hunter2@h/x.pth?token=s3cret&id=5"

    card = card_of(text)

    assert card.artifact is not None
    assert card.artifact.urls == (text,)
    assert re.fullmatch(r"https://h/x\.pth\?token=sha256\.[0-9a-f]{12}&id=5", str(card.ref))


@pytest.mark.parametrize("query", ["id", "token", "key", "X-Amz-Signature", "sig"])
def test_two_queries_never_share_a_ref(query: str) -> None:
    """A ref that two files share would give one's weights for the other's."""
    assert card_of(f"https://h/get?{query}=1").ref != card_of(f"https://h/get?{query}=2").ref


@pytest.mark.parametrize(
    "tail", ["@h/x.pth#top", "@h/", "@h:port/x.pth", "/secret@h/x.pth", "#secret@h/x.pth"]
)
def test_errors_about_a_url_show_no_password(tail: str) -> None:
    """Also when the URL cannot be understood, as one whose password was to be quoted."""
    with pytest.raises(InvalidRefError) as caught:
        card_of(f"https://me:hunter2{tail}")

    assert "hunter2" not in str(caught.value)
    assert "hunter2" not in repr(caught.value)


# -- file URLs -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["x.pth", "a b.pth", "100%.pth", "ü#?.pth"])
def test_a_file_url_gives_the_files_bytes(tmp_path: Path, name: str) -> None:
    """Whatever characters its name has."""
    content = os.urandom(3_000_000)
    (tmp_path / name).write_bytes(content)

    with FileTransport().open((tmp_path / name).as_uri()) as body:
        assert (body.offset, body.total_bytes, body.content_type) == (0, len(content), "")
        assert b"".join(body) == content


def test_a_file_url_can_be_opened_in_the_middle(tmp_path: Path) -> None:
    """As a transport must, for downloads that go on and for parts."""
    (tmp_path / "x").write_bytes(b"0123456789")

    for span, expected in ((Span(7), b"789"), (Span(3, 5), b"34"), (Span(7, 99), b"789")):
        with FileTransport().open((tmp_path / "x").as_uri(), span) as body:
            assert (body.offset, body.total_bytes, b"".join(body)) == (span.start, 10, expected)


def test_a_part_of_a_file_is_that_of_its_version(tmp_path: Path) -> None:
    """Of another version the whole comes: inode, time and size tell them apart."""
    url = (tmp_path / "x").as_uri()
    (tmp_path / "x").write_bytes(b"0123456789")
    with FileTransport().open(url) as body:
        version = body.validator
        assert body.accepts_ranges

    with FileTransport().open(url, Span(7, validator=version)) as body:
        assert (body.offset, b"".join(body)) == (7, b"789")
    (tmp_path / "x").write_bytes(b"9876543210.")
    with FileTransport().open(url, Span(7, validator=version)) as body:
        assert (body.offset, b"".join(body)) == (0, b"9876543210.")


@pytest.mark.parametrize("path", ["/nowhere/x.pth", "/dev/zero", "/tmp"])  # noqa: S108 [only asked what it is]
def test_what_is_no_file_is_refused(path: str) -> None:
    """Missing, a device that never ends, a folder."""
    with pytest.raises(NoSuchFileError), FileTransport().open(f"file://{path}"):
        pytest.fail("it was opened")


def test_a_pipe_is_refused_without_waiting(tmp_path: Path) -> None:
    """Opening a pipe that nobody writes to would hang."""
    os.mkfifo(tmp_path / "pipe")

    with pytest.raises(NoSuchFileError), FileTransport().open((tmp_path / "pipe").as_uri()):
        pytest.fail("it was opened")


def test_a_path_that_the_system_refuses_is_unreachable() -> None:
    """A zero byte is in no file name."""
    with pytest.raises(UnreachableError), FileTransport().open("file:///a%00b"):
        pytest.fail("it was opened")


def test_a_disk_that_fails_while_reading_is_unreachable(tmp_path: Path) -> None:
    """A share that goes away in the middle."""

    class Failing(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            raise OSError(errno.EIO, "Input/output error")

    with pytest.raises(UnreachableError) as caught:
        list(FileBody("file:///x", Failing(), Span(), tmp_path.stat()))

    assert "Input/output error" in caught.value.reason


def test_a_file_url_of_another_host_is_refused() -> None:
    """file://server/share is not this machine's /share."""
    with pytest.raises(UnreachableError), FileTransport().open("file://server/share/x.pth"):
        pytest.fail("it was opened")


def test_a_file_that_shrinks_is_truncated(tmp_path: Path) -> None:
    """Somebody writes to it while it is copied."""
    path = tmp_path / "x"
    path.write_bytes(b"0" * 100)

    with FileTransport().open(path.as_uri()) as body:
        path.write_bytes(b"0" * 40)

        with pytest.raises(TruncatedBodyError):
            list(body)


def test_file_urls_work_offline() -> None:
    """The host asks this before it opens anything."""
    assert not FileTransport().needs_network
    assert HttpTransport().needs_network
