"""HTTP: whom it trusts, where it does not go, what it never shows, and what a body says of itself."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from typing import Any, ClassVar

import pytest
import requests
from servers.authorities import Authority, new_authority
from servers.faulty import Answer, answering

from zoomgr.errors import HttpStatusError, TruncatedBodyError, UnreachableError
from zoomgr.http import HttpBody, _refuse_unsafe_redirect, _system_trusting_adapter, http_answer, open_http

CA_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")


@pytest.fixture(autouse=True)
def own_trust(monkeypatch: pytest.MonkeyPatch) -> None:
    """This machine's certificates are not named by the environment."""
    for name in (*CA_VARIABLES, "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """A site's own, in no trust store."""
    return new_authority(tmp_path_factory.mktemp("authority") / "ca.pem")


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Another one."""
    return new_authority(tmp_path_factory.mktemp("stranger") / "ca.pem")


def got(url: str, **how: Any) -> bytes:
    """The whole file."""
    with open_http(url, **how) as body:
        return b"".join(body)


def refused(url: str, **how: Any) -> UnreachableError:
    """The error of a file that cannot be opened."""
    with pytest.raises(UnreachableError) as caught, open_http(url, **how):
        pytest.fail("it was opened")
    return caught.value


# -- certificates --------------------------------------------------------------------------------------------


def test_an_authority_that_nobody_named_is_not_trusted(authority: Authority, stranger: Authority) -> None:
    """Neither without a word, nor when another one is named; nothing was asked of such a server."""
    with answering({"/x": Answer(b"weights")}, authority.tls) as server:
        for how in ({}, {"ca_file": str(stranger.ca_file)}):
            assert "SSLCertVerificationError" in refused(f"{server.url}/x", **how).reason

        assert server.asked == []


def test_a_certificate_of_another_host_is_not_trusted(authority: Authority) -> None:
    """It is for 127.0.0.1, not for whoever holds its key."""
    with answering({"/x": Answer(b"weights")}, authority.tls) as server:
        error = refused(server.url.replace("127.0.0.1", "localhost") + "/x", ca_file=str(authority.ca_file))

    assert "SSLCertVerificationError" in error.reason


def test_an_authority_that_the_caller_names_is_trusted(authority: Authority) -> None:
    """For files and for pages."""
    with answering({"/x": Answer(b"weights")}, authority.tls) as server:
        ca_file = str(authority.ca_file)

        assert got(f"{server.url}/x", ca_file=ca_file) == b"weights"
        with http_answer(f"{server.url}/x", ca_file=ca_file) as answer:
            assert answer.content == b"weights"


@pytest.mark.parametrize("name", CA_VARIABLES)
def test_an_authority_that_the_environment_names_is_trusted(
    authority: Authority, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """By the variable of requests, of curl or of OpenSSL."""
    monkeypatch.setenv(name, str(authority.ca_file))

    with answering({"/x": Answer(b"weights")}, authority.tls) as server:
        assert got(f"{server.url}/x") == b"weights"


@pytest.mark.skipif(
    sys.platform != "linux", reason="OpenSSL's variable stands for the system's store here only"
)
@pytest.mark.parametrize("named_by", ["the caller", "REQUESTS_CA_BUNDLE"])
def test_the_systems_store_is_trusted_whatever_else_is_named(
    authority: Authority, stranger: Authority, monkeypatch: pytest.MonkeyPatch, named_by: str
) -> None:
    """As pip does: a file for one private index does not cut off everybody else."""
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.ca_file))
    how = {}
    if named_by == "the caller":
        how["ca_file"] = str(stranger.ca_file)
    else:
        monkeypatch.setenv(named_by, str(stranger.ca_file))

    with answering({"/x": Answer(b"weights")}, authority.tls) as server:
        assert got(f"{server.url}/x", **how) == b"weights"


def test_the_systems_store_is_trusted_through_a_proxy_too() -> None:
    """Proxied connections have a pool of their own."""
    adapter = _system_trusting_adapter()

    through_proxy = adapter.proxy_manager_for("http://proxy:3128").connection_pool_kw["ssl_context"]

    assert through_proxy is adapter.poolmanager.connection_pool_kw["ssl_context"]
    assert type(through_proxy).__module__.startswith("truststore")


@pytest.mark.parametrize(
    ("environ", "ca_file", "expected"),
    [
        ({"SSL_CERT_FILE": "/no/ssl.pem"}, "", "/no/ssl.pem"),
        ({"SSL_CERT_FILE": "/no/ssl.pem", "CURL_CA_BUNDLE": "/no/curl.pem"}, "", "/no/curl.pem"),
        ({"REQUESTS_CA_BUNDLE": "/no/requests.pem", "CURL_CA_BUNDLE": "/no/c.pem"}, "", "/no/requests.pem"),
        ({"REQUESTS_CA_BUNDLE": "/no/requests.pem"}, "/no/own.pem", "/no/own.pem"),
    ],
)
def test_the_first_name_of_certificates_counts(
    authority: Authority,
    monkeypatch: pytest.MonkeyPatch,
    environ: dict[str, str],
    ca_file: str,
    expected: str,
) -> None:
    """The caller's, requests', curl's, OpenSSL's; a file that is not there is one clear error."""
    for name, path in environ.items():
        monkeypatch.setenv(name, path)

    with answering({"/x": Answer(b"weights")}, authority.tls) as server:
        assert expected in refused(f"{server.url}/x", ca_file=ca_file).reason


# -- redirects -----------------------------------------------------------------------------------------------


def moved(there: str) -> Answer:
    """A redirect."""
    return Answer(status=302, headers={"Location": there})


def test_https_never_redirects_to_http(authority: Authority) -> None:
    """Nothing is asked of the unsafe place; also not when it would lead back to a safe one."""
    with (
        answering({"/x": Answer(b"weights")}) as plain,
        answering({"/x": moved(f"{plain.url}/x")}, authority.tls) as safe,
    ):
        error = refused(f"{safe.url}/x", ca_file=str(authority.ca_file))

        assert plain.asked == []
    assert error.reason == "it redirects from https to http, which is refused"


def test_http_may_redirect_to_https(authority: Authority) -> None:
    """And the certificates that were named hold there."""
    with (
        answering({"/x": Answer(b"weights")}, authority.tls) as safe,
        answering({"/x": moved(f"{safe.url}/x")}) as plain,
    ):
        assert got(f"{plain.url}/x", ca_file=str(authority.ca_file)) == b"weights"


@pytest.mark.parametrize("there", ["https", "ftp", "file"])
def test_no_redirect_leads_away_from_safety(there: str) -> None:
    """Never from https to http, nor to another scheme; and the message shows no password."""
    here = "https" if there == "https" else "http"
    target = "http" if there == "https" else there
    response = requests.Response()
    response.raw = io.BytesIO()
    response.url, response.status_code = f"{here}://me:pw@host/x.pth", 302
    response.headers["Location"] = f"{target}://host/x.pth"

    with pytest.raises(UnreachableError) as caught:
        _refuse_unsafe_redirect(response)

    assert "refused" in caught.value.reason
    assert "pw" not in repr(caught.value)


def test_a_login_does_not_follow_a_redirect_to_another_server() -> None:
    """Another port is another server."""
    with (
        answering({"/x": Answer(b"weights")}) as other,
        answering({"/x": moved(f"{other.url}/x")}) as server,
    ):
        assert got(f"{server.url}/x", auth=("me", "hunter2")) == b"weights"

        assert "authorization" in server.asked[0][1]
        assert "authorization" not in other.asked[0][1]


# -- what is asked -------------------------------------------------------------------------------------------


def test_credentials_in_the_url_beat_the_callers() -> None:
    """They are the nearer word; percent signs in them are undone."""
    with answering({"/x": Answer(b"weights")}) as server:
        got(server.url.replace("//", "//me:p%40ss@") + "/x", auth=("you", "secret"))

        assert server.asked[0][1]["authorization"] == requests.auth._basic_auth_str("me", "p@ss")
        assert server.asked[0][1]["user-agent"] == "zoomgr"


@pytest.mark.parametrize("ask", [open_http, http_answer])
def test_no_request_waits_for_ever(monkeypatch: pytest.MonkeyPatch, ask: Any) -> None:
    """Ten seconds to connect, a minute between two pieces, for files and for pages."""
    told: dict[str, Any] = {}

    def get(self: requests.Session, **request: Any) -> requests.Response:
        told.update(request)
        raise requests.ConnectionError("stop here")

    monkeypatch.setattr(requests.Session, "get", get)

    with pytest.raises(UnreachableError), ask("http://h/x"):
        pytest.fail("it was opened")

    assert told["timeout"] == (10.0, 60.0)


# -- what is shown -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "Max retries exceeded with url: /x?token=s3cret (Caused by: no)",
        "no luck with http://h/other?id=1&sig=s3cret",
        "no luck with 'http://me:s3cret@h/x'",
        "token=s3cret is refused",
    ],
)
def test_the_reason_of_a_broken_connection_shows_no_secret(
    monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    """Libraries quote the URL they were at, which may be one that a redirect led to."""

    def get(self: requests.Session, **request: Any) -> requests.Response:
        raise requests.ConnectionError(text)

    monkeypatch.setattr(requests.Session, "get", get)

    error = refused("http://h/x?token=s3cret")

    assert "s3cret" not in f"{error} {error!r}"
    assert error.reason.startswith("ConnectionError: ")


@pytest.mark.parametrize("secret", ["me:s3cret@:80/x", ":80/x?t=s3cret"])
def test_a_redirect_to_a_malformed_url_shows_no_secret(secret: str) -> None:
    """The server's own URLs may be signed."""
    with answering({"/x": moved(f"http://{secret}")}) as server:
        error = refused(f"{server.url}/x")

    assert "No host" in error.reason
    assert "s3cret" not in f"{error} {error!r}"


def test_a_malformed_url_shows_no_secret() -> None:
    """Libraries quote the whole URL when they cannot parse it."""
    error = refused("http://me:hunter2@h:99999/x?t=s3cret")

    assert "hunter2" not in f"{error} {error!r}"
    assert "s3cret" not in f"{error} {error!r}"


# -- bodies --------------------------------------------------------------------------------------------------


def test_a_server_without_ranges_says_so_by_the_bodys_offset() -> None:
    """It answers 200 with the whole file."""
    with (
        answering({"/x": Answer(b"0123456789", headers={"ETag": 'W/"weak"'})}) as server,
        open_http(f"{server.url}/x", offset=4) as body,
    ):
        assert (body.offset, body.total_bytes, b"".join(body)) == (0, 10, b"0123456789")
        assert body.etag == ""
        assert server.asked[0][1]["range"] == "bytes=4-"


def test_a_range_that_nobody_asked_for_is_refused() -> None:
    """A Content-Range that says nothing usable would put bytes in the wrong place."""
    answer = Answer(b"45", 206, headers={"Content-Range": "bytes */10"})
    with answering({"/x": answer}) as server:
        assert "Content-Range" in refused(f"{server.url}/x", offset=4).reason


def test_a_short_body_is_noticed_even_if_the_library_does_not_look() -> None:
    """urllib3 1 ends such a body in silence."""

    class Silent:
        headers: ClassVar = {"Content-Length": "10"}
        status_code = 200

        def iter_content(self, size: int) -> Iterator[bytes]:
            yield b"1234567"

    body = HttpBody("http://h/x", Silent())  # type: ignore[arg-type] # [all it needs of one]

    with pytest.raises(TruncatedBodyError) as caught:
        list(body)

    assert (caught.value.received_bytes, caught.value.expected_bytes) == (7, 10)


def test_a_page_that_breaks_off_is_unreachable() -> None:
    """Read inside the context, whatever requests calls it."""
    with (
        answering({"/page": Answer(b"<html>", announced_bytes=500)}) as server,
        pytest.raises(UnreachableError) as caught,
        http_answer(f"{server.url}/page") as answer,
    ):
        assert not answer.content

    assert "IncompleteRead" in caught.value.reason


def test_an_error_of_the_reader_is_not_taken_for_one_of_the_network() -> None:
    """A full disk is no reason to try another mirror."""
    with (
        answering({"/x": Answer(b"weights")}) as server,
        pytest.raises(OSError, match="disk full"),
        open_http(f"{server.url}/x"),
    ):
        raise OSError("disk full")


def test_only_the_file_itself_is_a_file() -> None:
    """Files have one status; a page may have any, its reader decides."""
    with answering({"/x": Answer(b"gone", 404)}) as server:
        with pytest.raises(HttpStatusError), open_http(f"{server.url}/x"):
            pytest.fail("it was opened")

        with http_answer(f"{server.url}/x") as answer:
            assert (answer.status_code, answer.content) == (404, b"gone")
