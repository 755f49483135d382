"""The bytes of an HTTP answer: what a server says of them, and what is noticed when it is not true."""

from __future__ import annotations

import gzip
import os
import zlib
from collections.abc import Iterator, Mapping
from types import SimpleNamespace
from typing import Any

import pytest
from requests.structures import CaseInsensitiveDict
from servers.faulty import Answer, answering

from zoomgr.errors import HttpStatusError, TruncatedBodyError, UnreachableError, ZoomgrError
from zoomgr.http import HttpBody, HttpClient, open_http
from zoomgr.records import WHOLE, Span

CONTENT = os.urandom(300_000)
DIGITS = b"0123456789"


def got(answer: Answer, span: Span = WHOLE) -> tuple[HttpBody, bytes]:
    """The body that a client makes of an answer, and its bytes."""
    with answering({"/x": answer}) as server, open_http(f"{server.url}/x", span) as body:
        return body, b"".join(body)


def part(content: bytes, content_range: str, headers: Mapping[str, str] | None = None) -> Answer:
    """A 206."""
    return Answer(content, 206, {"Content-Range": content_range, **(headers or {})})


# -- what is asked for ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("span", "expected"),
    [
        (WHOLE, (None, None)),
        (Span(4), ("bytes=4-", None)),
        (Span(4, 8), ("bytes=4-7", None)),
        (Span(0, 8), ("bytes=0-7", None)),
        (Span(4, validator='"v1"'), ("bytes=4-", '"v1"')),
        (Span(validator='"v1"'), (None, None)),
    ],
    ids=["whole", "rest", "middle", "beginning", "if-range", "whole-needs-no-if"],
)
def test_a_span_is_asked_for_as_a_range(span: Span, expected: tuple[str | None, str | None]) -> None:
    """The last byte counts in HTTP; never in a compressed form."""
    with answering({"/x": Answer(DIGITS)}) as server:
        with open_http(f"{server.url}/x", span):
            pass

        headers = server.asked[0][1]
    assert (headers.get("range"), headers.get("if-range")) == expected
    assert headers["accept-encoding"] == "identity"


# -- what the server says ------------------------------------------------------------------------------------


def test_a_part_says_where_it_lies() -> None:
    """And that parts can be asked for."""
    body, content = got(part(b"4567", "bytes 4-7/10", {"ETag": '"v1"'}), Span(4, 8))

    assert (body.offset, body.total_bytes, content) == (4, 10, b"4567")
    assert body.accepts_ranges
    assert body.validator == '"v1"'


def test_a_part_of_nobody_knows_how_much() -> None:
    """A server may not know the length of the whole."""
    body, content = got(part(b"456789", "bytes 4-9/*"), Span(4))

    assert (body.offset, body.total_bytes, content) == (4, None, b"456789")


def test_a_server_without_ranges_gives_the_whole() -> None:
    """The body's offset says so."""
    body, content = got(Answer(DIGITS), Span(4))

    assert (body.offset, body.total_bytes, content) == (0, 10, DIGITS)
    assert not body.accepts_ranges


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"ETag": '"v1"', "Last-Modified": "then"}, '"v1"'),
        ({"ETag": 'W/"v1"', "Last-Modified": "then"}, "then"),
        ({"ETag": 'W/"v1"'}, ""),
        ({"Last-Modified": "then"}, "then"),
        ({}, ""),
        ({"ETag": '"v1"', "Content-Encoding": "identity"}, '"v1"'),
    ],
)
def test_a_version_is_marked_by_the_strong_etag_else_by_its_date(
    headers: dict[str, str], expected: str
) -> None:
    """A weak ETag may be that of two versions (RFC 9110, section 8.8.1)."""
    assert got(Answer(DIGITS, headers=headers))[0].validator == expected


@pytest.mark.parametrize(
    ("headers", "announced_bytes", "expected"),
    [
        (
            {"Content-Type": "Text/HTML; charset=utf-8", "Accept-Ranges": "bytes"},
            None,
            (10, "text/html", True),
        ),
        ({"Accept-Ranges": "none"}, None, (10, "", False)),
        ({}, -1, (None, "", False)),
    ],
)
def test_what_a_server_says_is_handed_on(
    headers: dict[str, str], announced_bytes: int | None, expected: tuple[int | None, str, bool]
) -> None:
    """Length, type, whether parts can be asked for."""
    body, content = got(Answer(DIGITS, headers=headers, announced_bytes=announced_bytes))

    assert (body.total_bytes, body.content_type, body.accepts_ranges) == expected
    assert content == DIGITS


@pytest.mark.parametrize(
    "answer",
    [
        part(b"345678", "bytes 3-8/10"),
        part(b"56789", "bytes 5-9/10"),
        part(b"456789", "bytes 4-9/10"),
        part(b"4567", "bytes 4-7/6"),
        part(b"45", "bytes 4-7/10"),
        part(b"45", "bytes */10"),
        part(b"4567", "lines 4-7/10"),
        part(b"4567", "bytes 7-4/10"),
        Answer(b"4567", 206),
        Answer(b"--b\r\n", 206, {"Content-Type": "multipart/byteranges; boundary=b"}),
    ],
    ids=[
        "earlier",
        "later",
        "longer",
        "beyond-the-end",
        "other-length",
        "none",
        "other-unit",
        "backwards",
        "unsaid",
        "multipart",
    ],
)
def test_a_part_that_nobody_asked_for_is_refused(answer: Answer) -> None:
    """Its bytes would come to lie in the wrong place; to ask again would not help."""
    with pytest.raises(HttpStatusError) as caught:
        got(answer, Span(4, 8))

    assert (caught.value.status, caught.value.is_transient) == (206, False)
    assert "Content-Range" in str(caught.value)


@pytest.mark.parametrize("status", [416, 206, 204, 404])
def test_an_answer_without_the_file_is_told_by_its_number(status: int) -> None:
    """Also a part when the whole was asked for."""
    with pytest.raises(HttpStatusError) as caught:
        got(Answer(b"" if status == 204 else DIGITS, status), Span(4) if status == 416 else WHOLE)

    assert caught.value.status == status


# -- lengths that are not true -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "span", "received", "expected"),
    [
        (Answer(CONTENT[:1000], announced_bytes=len(CONTENT)), WHOLE, 1000, len(CONTENT)),
        (Answer(b"", announced_bytes=10), WHOLE, 0, 10),
        (
            Answer(b"4567", 206, {"Content-Range": "bytes 4-9/10"}, announced_bytes=6),
            Span(4),
            8,
            10,
        ),
        (Answer(b"4567", 206, {"Content-Range": "bytes 4-9/10"}, announced_bytes=-1), Span(4), 8, 10),
        (part(b"4567", "bytes 4-7/10"), Span(4), 8, 10),
        (part(b"45", "bytes 4-5/10"), Span(4, 8), 6, 8),
    ],
    ids=["cut", "nothing", "part-cut", "part-cut-unannounced", "rest-short", "part-short"],
)
def test_bytes_that_do_not_come_are_noticed(answer: Answer, span: Span, received: int, expected: int) -> None:
    """By offset in the file: that is where the next attempt goes on."""
    with pytest.raises(TruncatedBodyError) as caught:
        got(answer, span)

    assert (caught.value.received_bytes, caught.value.expected_bytes) == (received, expected)
    assert caught.value.is_transient


def test_bytes_beyond_the_announced_length_are_no_part_of_the_file() -> None:
    """Nor of the next answer: that connection is not used again."""
    answers = {"/x": Answer(DIGITS + b"more", announced_bytes=10), "/y": Answer(b"weights")}
    with answering(answers, keeps_alive=True) as server:
        client = HttpClient()
        came = []
        for path in ("x", "y", "x"):
            with client.open(f"{server.url}/{path}") as body:
                came.append(b"".join(body))
        client.close()

    assert came == [DIGITS, b"weights", DIGITS]


def test_a_part_with_more_bytes_than_it_announced_is_refused() -> None:
    """They would come to lie where another part belongs."""
    answer = Answer(b"4567more", 206, {"Content-Range": "bytes 4-7/10"}, announced_bytes=-1)

    with pytest.raises(HttpStatusError, match="more than the 4 bytes"):
        got(answer, Span(4, 8))


def chunked(*chunks: bytes, ends: bool = True) -> Answer:
    """A body in chunks (RFC 9112, section 7.1)."""
    sent = b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks)
    return Answer(sent + b"0\r\n\r\n" * ends, headers={"Transfer-Encoding": "chunked"}, announced_bytes=-1)


def test_a_body_in_chunks_is_put_together() -> None:
    """Its length is not known beforehand."""
    body, content = got(chunked(CONTENT[:1000], CONTENT[1000:]))

    assert (body.total_bytes, content) == (None, CONTENT)


def test_a_body_in_chunks_that_is_cut_is_noticed() -> None:
    """The last chunk says that it is the last."""
    with pytest.raises(UnreachableError) as caught:
        got(chunked(CONTENT, ends=False))

    assert "IncompleteRead" in caught.value.reason
    assert caught.value.is_transient


def test_silence_ends() -> None:
    """When the time for reading is over."""
    stall = Answer(DIGITS, announced_bytes=100, stalls=True)
    client = HttpClient(silence_timeout_s=0.05)
    with (
        answering({"/x": stall}) as server,
        pytest.raises(UnreachableError, match="timed out"),
        client.open(f"{server.url}/x") as body,
    ):
        list(body)
    client.close()


def test_a_short_body_is_noticed_even_if_the_library_does_not_look() -> None:
    """Some versions of urllib3 end such a body in silence."""
    pieces = iter([b"1234567", b""])
    raw = SimpleNamespace(read1=lambda size, decode_content: next(pieces))
    response: Any = SimpleNamespace(
        headers=CaseInsensitiveDict({"Content-Length": "10"}), status_code=200, raw=raw
    )

    with pytest.raises(TruncatedBodyError) as caught:
        list(HttpBody("http://h/x", response))

    assert (caught.value.received_bytes, caught.value.expected_bytes) == (7, 10)


# -- encodings -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("codings", "encode"),
    [
        ("gzip", gzip.compress),
        ("GZip", gzip.compress),
        ("x-gzip", gzip.compress),
        ("deflate", zlib.compress),
        ("gzip, gzip", lambda content: gzip.compress(gzip.compress(content))),
    ],
)
def test_the_file_is_what_was_encoded(codings: str, encode: Any) -> None:
    """Some servers compress whatever is asked; the length and the version are those of the packed bytes."""
    headers = {"Content-Encoding": codings, "Accept-Ranges": "bytes", "ETag": '"v1"'}

    body, content = got(Answer(encode(CONTENT), headers=headers))

    assert content == CONTENT
    assert (body.total_bytes, body.validator, body.accepts_ranges) == (None, "", False)


def test_a_bomb_comes_in_small_pieces() -> None:
    """Whoever counts them can stop: 100 MB packed into 100 kB are never in memory at once."""
    bomb = gzip.compress(bytes(100_000_000), 9)
    with (
        answering({"/x": Answer(bomb, headers={"Content-Encoding": "gzip"})}) as server,
        open_http(f"{server.url}/x") as body,
    ):
        sizes = [len(chunk) for chunk in body]

    assert sum(sizes) == 100_000_000
    assert max(sizes) <= 1 << 20


def damaged() -> Iterator[Any]:
    """Answers with an encoding that come to nothing, and what they are called."""
    packed = gzip.compress(CONTENT)
    gzipped = {"Content-Encoding": "gzip"}
    yield pytest.param(Answer(b"no gzip at all", headers=gzipped), WHOLE, UnreachableError, id="no-gzip")
    yield pytest.param(
        Answer(packed[:5000], headers=gzipped, announced_bytes=len(packed)), WHOLE, UnreachableError, id="cut"
    )
    unknown = Answer(CONTENT, headers={"Content-Encoding": "gzip, rot13"})
    yield pytest.param(unknown, WHOLE, HttpStatusError, id="unknown")
    yield pytest.param(part(packed[4:8], "bytes 4-7/10", gzipped), Span(4, 8), HttpStatusError, id="part")


@pytest.mark.parametrize(("answer", "span", "expected"), list(damaged()))
def test_an_encoding_that_cannot_be_undone_gives_no_file(
    answer: Answer, span: Span, expected: type[ZoomgrError]
) -> None:
    """Packed bytes must never be taken for weights."""
    with pytest.raises(expected) as caught:
        got(answer, span)

    assert type(caught.value) is expected
