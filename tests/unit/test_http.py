"""HTTP: whom it trusts, where it does not go, what it tells whom, what it never shows.

Bodies are in test_http_body.py, real proxies and certificates in tests/integration/test_networks.py.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import requests
from servers.authorities import Authority, new_authority
from servers.faulty import Answer, answering

from zoomgr.errors import (
    HttpStatusError,
    InvalidRefError,
    InvalidSettingError,
    UnreachableError,
    UnsafeRedirectError,
    UntrustedServerError,
    ZoomgrError,
)
from zoomgr.http import HttpClient, http_answer, open_http
from zoomgr.http.faults import fault_of, retry_after_s
from zoomgr.http.hops import Login, may_carry_token, next_hop, origin
from zoomgr.http.trust import authorities, system_trusting_adapter

TOKEN = "t0ken"  # noqa: S105 [no secret of anybody]
CA_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")


@pytest.fixture(autouse=True)
def own_trust(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Neither this machine's certificates nor its netrc are named by the environment."""
    for name in (*CA_VARIABLES, "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """A site's own, in no trust store."""
    return new_authority(tmp_path_factory.mktemp("authority") / "ca.pem")


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Another one."""
    return new_authority(tmp_path_factory.mktemp("stranger") / "ca.pem")


@pytest.fixture
def client() -> Iterator[HttpClient]:
    """One that keeps its connections for the length of a test."""
    with closing(HttpClient()) as client:
        yield client


def got(url: str, **how: Any) -> bytes:
    """The whole file."""
    with open_http(url, **how) as body:
        return b"".join(body)


def refused(url: str, expected: type[ZoomgrError], **how: Any) -> Any:
    """The error of a file that cannot be opened."""
    with pytest.raises(expected) as caught, open_http(url, **how):
        pytest.fail("it was opened")
    assert type(caught.value) is expected
    return caught.value


# -- certificates --------------------------------------------------------------------------------------------


def test_an_authority_that_nobody_named_is_not_trusted(authority: Authority, stranger: Authority) -> None:
    """Neither without a word, nor when another one is named; nothing was asked of such a server."""
    with answering({"/x": Answer(b"weights")}, authority.tls) as server:
        for how in ({}, {"ca_file": str(stranger.ca_file)}):
            error = refused(f"{server.url}/x", UntrustedServerError, **how)

            assert "SSLCertVerificationError" in error.reason
            assert not error.is_transient

        assert server.asked == []


def test_a_certificate_of_another_host_is_not_trusted(authority: Authority) -> None:
    """It is for 127.0.0.1, not for whoever holds its key."""
    with answering({"/x": Answer(b"weights")}, authority.tls) as server:
        url = server.url.replace("127.0.0.1", "localhost")
        error = refused(f"{url}/x", UntrustedServerError, ca_file=str(authority.ca_file))

    assert "SSLCertVerificationError" in error.reason


def test_an_authority_that_the_caller_names_is_trusted(authority: Authority) -> None:
    """For files and for pages."""
    with answering({"/x": Answer(b"weights")}, authority.tls) as server:
        ca_file = str(authority.ca_file)

        assert got(f"{server.url}/x", ca_file=ca_file) == b"weights"
        with http_answer(f"{server.url}/x", ca_file=ca_file) as answer:
            assert answer.content == b"weights"


def test_an_authority_that_was_named_once_is_not_trusted_for_ever(
    authority: Authority, client: HttpClient
) -> None:
    """A client keeps connections, and what they trust, apart."""
    with answering({"/x": Answer(b"weights")}, authority.tls) as server:
        with client.open(f"{server.url}/x", ca_file=str(authority.ca_file)) as body:
            assert b"".join(body) == b"weights"

        with pytest.raises(UntrustedServerError), client.open(f"{server.url}/x"):
            pytest.fail("it was opened")


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
    adapter = system_trusting_adapter()

    through_proxy = adapter.proxy_manager_for("http://proxy:3128").connection_pool_kw["ssl_context"]

    assert through_proxy is adapter.poolmanager.connection_pool_kw["ssl_context"]
    assert type(through_proxy).__module__.startswith("truststore")


@pytest.mark.parametrize(
    ("named", "ca_file", "expected"),
    [
        ((), "", True),
        (("SSL_CERT_FILE",), "", "SSL_CERT_FILE"),
        (("SSL_CERT_FILE", "CURL_CA_BUNDLE"), "", "CURL_CA_BUNDLE"),
        (("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"), "", "REQUESTS_CA_BUNDLE"),
        (("REQUESTS_CA_BUNDLE",), "own", "own"),
    ],
)
def test_the_first_name_of_certificates_counts(
    tmp_path: Path, named: tuple[str, ...], ca_file: str, expected: str | bool
) -> None:
    """The caller's, requests', curl's, OpenSSL's."""
    for name in (*CA_VARIABLES, "own"):
        (tmp_path / name).write_text("")
    environ = {name: str(tmp_path / name) for name in named}

    chosen = authorities(environ, str(tmp_path / ca_file) if ca_file else "")

    assert chosen == (expected if expected is True else str(tmp_path / str(expected)))


def test_authorities_that_are_not_there_are_a_wrong_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    """To go on without them would be to trust others; to try again would not help."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/no/such.pem")

    error = refused("https://127.0.0.1:1/x", InvalidSettingError)

    assert (error.name, error.value) == ("REQUESTS_CA_BUNDLE", "/no/such.pem")


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
        error = refused(f"{safe.url}/x", UnsafeRedirectError, ca_file=str(authority.ca_file))

        assert plain.asked == []
    assert error.reason == "redirects from https to http, which is refused"
    assert not error.is_transient


def test_http_may_redirect_to_https(authority: Authority) -> None:
    """And the certificates that were named hold there."""
    with (
        answering({"/x": Answer(b"weights")}, authority.tls) as safe,
        answering({"/x": moved(f"{safe.url}/x")}) as plain,
    ):
        assert got(f"{plain.url}/x", ca_file=str(authority.ca_file)) == b"weights"


@pytest.mark.parametrize(
    ("here", "there", "reason"),
    [
        ("https://me:pw@h/x", "http://h/x", "redirects from https to http, which is refused"),
        ("HTTPS://me:pw@h/x", "http://h/x", "redirects from https to http, which is refused"),
        ("http://me:pw@h/x", "file:///etc/passwd", "redirects from http to file, which is refused"),
        ("http://me:pw@h/x", "ftp://h/x", "redirects from http to ftp, which is refused"),
        ("http://me:pw@h/x", "data:,x", "redirects from http to data, which is refused"),
        ("http://me:pw@h/x", "http://[::1/x", "redirects to a malformed URL"),
        ("http://me:pw@h/x", "http://h:port/x", "redirects to a malformed URL"),
    ],
)
def test_no_redirect_leads_away_from_safety(here: str, there: str, reason: str) -> None:
    """Never from https to http, nor to another scheme, nor nowhere; and the message shows no password."""
    with pytest.raises(UnsafeRedirectError) as caught:
        next_hop(here, there)

    assert caught.value.reason == reason
    assert "pw" not in f"{caught.value} {caught.value.url}"


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        ("/y", "http://h/y"),
        ("y", "http://h/a/y"),
        ("//other/y", "http://other/y"),
        ("https://other:8443/y", "https://other:8443/y"),
        ("?q=1", "http://h/a/x?q=1"),
    ],
)
def test_a_redirect_may_be_relative(location: str, expected: str) -> None:
    """To the URL that redirects, which may be one that a redirect led to."""
    assert next_hop("http://h/a/x", location) == expected


def test_redirects_are_followed_ten_times() -> None:
    """And no more."""
    answers = {f"/{step}": moved(f"/{step + 1}") for step in range(10)}
    with answering({**answers, "/10": Answer(b"weights")}) as server:
        assert got(f"{server.url}/0") == b"weights"


def test_circles_end() -> None:
    """After ten redirects, whatever they redirect to."""
    with answering({"/x": moved("/y"), "/y": moved("/x")}) as server:
        error = refused(f"{server.url}/x", UnsafeRedirectError)

        assert len(server.asked) == 11
    assert error.reason == "redirects more than 10 times"


@pytest.mark.parametrize("announced_bytes", [-1, 100_000_000])
def test_the_page_of_a_redirect_is_not_waited_for(announced_bytes: int) -> None:
    """It could be endless."""
    page = Answer(b"moved", 302, {"Location": "/y"}, announced_bytes=announced_bytes, stalls=True)
    with answering({"/x": page, "/y": Answer(b"weights")}) as server:
        assert got(f"{server.url}/x") == b"weights"


def test_a_location_in_utf_8_is_understood() -> None:
    """As browsers do; http itself is latin-1."""
    with answering({"/x": moved("/ü".encode().decode("latin-1")), "/%C3%BC": Answer(b"weights")}) as server:
        assert got(f"{server.url}/x") == b"weights"


# -- who learns what -----------------------------------------------------------------------------------------


def told(server: Any) -> list[str]:
    """The Authorization of each request that a server got."""
    return [headers.get("authorization", "") for _, headers in server.asked]


def basic(user: str, password: str) -> str:
    """As it is sent."""
    text: str = requests.auth._basic_auth_str(user, password)
    return text


@pytest.mark.parametrize(
    ("user", "how", "sent"),
    [
        ("", {"auth": ("me", "hunter2")}, basic("me", "hunter2")),
        ("", {"token": "s3cret"}, "Bearer s3cret"),
        ("me:hunter2@", {}, basic("me", "hunter2")),
        ("me:p%40ss@", {"auth": ("you", "x"), "token": "y"}, basic("me", "p@ss")),
    ],
    ids=["auth", "token", "url", "url-first"],
)
def test_credentials_go_to_their_own_server_only(user: str, how: dict[str, Any], sent: str) -> None:
    """Not to where it redirects to: another port is another server. There and back again is its own."""
    with answering({}) as other, answering({}) as server:
        other_answers = {"/x": moved(f"{server.url}/end")}
        answers = {"/x": moved("/again"), "/again": moved(f"{other.url}/x"), "/end": Answer(b"weights")}
        server.answers.update(answers)
        other.answers.update(other_answers)

        assert got(server.url.replace("//", f"//{user}") + "/x", **how) == b"weights"

        assert told(other) == [""]
        assert told(server) == [sent] * 3


def test_netrc_gives_each_host_its_own_login_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A redirect to a host that netrc does not know carries nothing."""
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password hunter2\n")
    with answering({"/x": Answer(b"weights")}) as other:
        there = other.url.replace("127.0.0.1", "localhost")
        with answering({"/x": moved(f"{there}/x")}) as server:
            assert got(f"{server.url}/x") == b"weights"

            assert told(server) == [basic("me", "hunter2")]
        assert told(other) == [""]


def test_a_token_beats_netrc(tmp_path: Path) -> None:
    """It is the nearer word, though requests has it the other way round."""
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password hunter2\n")
    with answering({"/x": Answer(b"weights")}) as server:
        got(f"{server.url}/x", token=TOKEN)

        assert told(server) == [f"Bearer {TOKEN}"]


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://h/x", True),
        ("HTTPS://h/x", True),
        ("http://localhost:8000/x", True),
        ("http://127.0.0.1/x", True),
        ("http://127.8.9.1/x", True),
        ("http://[::1]/x", True),
        ("http://h/x", False),
        ("http://localhost.evil/x", False),
        ("http://127.0.0.1.evil/x", False),
        ("http://10.0.0.1/x", False),
    ],
)
def test_a_token_is_sent_where_nobody_else_can_read_it(url: str, *, expected: bool) -> None:
    """Over https, or to this machine."""
    assert may_carry_token(url) is expected
    assert (Login(url, token=TOKEN).request(url)["auth"] is not None) is expected


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("https://h/x", "HTTPS://H:443/y", True),
        ("http://me:pw@h/x", "http://h:80/x", True),
        ("https://h/x", "http://h/x", False),
        ("https://h/x", "https://h:8443/x", False),
        ("https://h/x", "https://h.evil/x", False),
        ("https://h/x", "https://sub.h/x", False),
    ],
)
def test_an_origin_is_scheme_host_and_port(one: str, other: str, *, same: bool) -> None:
    """In whatever spelling (RFC 6454)."""
    assert (origin(one) == origin(other)) is same


def test_cookies_end_with_their_request(client: HttpClient) -> None:
    """They are kept on the way through redirects, as some hosts need; the next file starts anew."""
    bake = {"Location": "/y", "Set-Cookie": "way=1"}
    with answering({"/x": Answer(status=302, headers=bake), "/y": Answer(b"weights")}) as server:
        for _ in range(2):
            with client.open(f"{server.url}/x") as body:
                assert b"".join(body) == b"weights"

        assert [headers.get("cookie", "") for _, headers in server.asked] == ["", "way=1", "", "way=1"]


def test_the_user_agent_is_our_name() -> None:
    """An administrator can see who asks."""
    with answering({"/x": Answer(b"weights")}) as server:
        got(f"{server.url}/x")

        assert server.asked[0][1]["user-agent"] == "zoomgr"


@pytest.mark.parametrize("ask", [open_http, http_answer])
def test_no_request_waits_for_ever(monkeypatch: pytest.MonkeyPatch, ask: Any) -> None:
    """Ten seconds to connect, a minute between two pieces, for files and for pages."""
    told: dict[str, Any] = {}

    def send(self: Any, *args: Any, **request: Any) -> requests.Response:
        told.update(request)
        raise requests.ConnectionError("stop here")

    monkeypatch.setattr(requests.adapters.HTTPAdapter, "send", send)

    with pytest.raises(UnreachableError), ask("http://h/x"):
        pytest.fail("it was opened")

    assert told["timeout"] == (10.0, 60.0)


def test_a_client_serves_several_threads() -> None:
    """Parts of one file are opened at once."""
    with closing(HttpClient()) as client, answering({"/x": Answer(b"weights" * 9999)}) as server:
        came: list[bytes] = []

        def fetch() -> None:
            for _ in range(5):
                with client.open(f"{server.url}/x") as body:
                    came.append(b"".join(body))

        threads = [threading.Thread(target=fetch) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert came == [b"weights" * 9999] * 20


# -- what is shown -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "Max retries exceeded with url: /x?token=s3cret (Caused by: no)",
        "no luck with http://h/other?id=1&sig=s3cret",
        "no luck with 'http://me:s3cret@h/x'",
        "token=s3cret is refused",
        "Invalid header value b'Bearer t0ken'",
        "the password hunter2 is wrong",
    ],
)
def test_the_reason_of_a_broken_connection_shows_no_secret(
    monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    """Libraries quote the URL they were at, which may be one that a redirect led to, and what was sent."""

    def send(self: Any, *args: Any, **request: Any) -> requests.Response:
        raise requests.ConnectionError(text)

    monkeypatch.setattr(requests.adapters.HTTPAdapter, "send", send)

    error = refused("http://h/x?token=s3cret", UnreachableError, auth=("me", "hunter2"), token=TOKEN)

    assert all(secret not in f"{error} {error!r}" for secret in ("s3cret", "hunter2", TOKEN))
    assert error.reason.startswith("ConnectionError: ")


@pytest.mark.parametrize(
    "secret", ["me:s3cret@:80/x", ":80/x?t=s3cret", "me:s3cret@h ost/x", f"{'a' * 70}.b/x"]
)
def test_a_redirect_to_a_malformed_url_shows_no_secret(secret: str) -> None:
    """The server's own URLs may be signed."""
    with answering({"/x": moved(f"http://{secret}")}) as server:
        error = refused(f"{server.url}/x", UnsafeRedirectError)

    assert error.reason == "redirects to a malformed URL"
    assert "s3cret" not in f"{error} {error!r}"


@pytest.mark.parametrize(
    "url",
    [
        "http://me:hunter2@h:99999/x?t=s3cret",
        "http://me:hunter2@[::1/x?t=s3cret",
        "http://me:hunter2@/x?t=s3cret",
        "ftp://me:hunter2@h/x?t=s3cret",
        "http://me:hunter2@h ost/x?t=s3cret",
    ],
)
def test_a_malformed_url_is_not_tried_again_and_shows_no_secret(url: str) -> None:
    """No later attempt would be better; libraries quote the whole URL when they cannot parse it."""
    error = refused(url, InvalidRefError)

    assert "hunter2" not in f"{error} {error!r}"
    assert "s3cret" not in f"{error} {error!r}"


@pytest.mark.parametrize(
    "proxy", ["socks5://me:hunter2@127.0.0.1:1", "quic://me:hunter2@127.0.0.1:1", "http://"]
)
def test_a_proxy_that_cannot_be_used_is_a_wrong_setting(monkeypatch: pytest.MonkeyPatch, proxy: str) -> None:
    """It is told as one, not as a host that cannot be reached; and without its password."""
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", proxy)

    error = refused("http://127.0.0.1:1/x", InvalidSettingError)

    assert "proxy" in error.name
    assert "hunter2" not in f"{error} {error!r}"


# -- what a server says of itself ----------------------------------------------------------------------------

DATE = "Sun, 22 Nov 2026 10:00:00 GMT"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0", 0.0),
        ("120", 120.0),
        (" 7 ", 7.0),
        ("-5", 0.0),
        ("Sun, 22 Nov 2026 10:01:30 GMT", 90.0),
        ("Sunday, 22-Nov-26 10:01:30 GMT", 90.0),
        ("Sun Nov 22 10:01:30 2026", 90.0),
        ("Sun, 22 Nov 2026 09:00:00 GMT", 0.0),
        ("", None),
        ("soon", None),
        ("1e9", None),
        ("99999999999999", None),
        ("Sun, 99 Nov 99999999999 10:00:00 GMT", None),
    ],
)
def test_how_long_to_wait_is_read_in_both_spellings(text: str, expected: float | None) -> None:
    """Seconds, or a date by the server's own clock; what is past is now, what is no time is nothing."""
    assert retry_after_s({"Retry-After": text, "Date": DATE}) == expected


def test_a_date_without_the_servers_clock_is_by_ours() -> None:
    """Not every server says what time it is."""
    wait_s = retry_after_s({"Retry-After": "Sun, 22 Nov 2026 10:00:00 GMT"})

    assert wait_s is not None
    assert wait_s >= 0


def test_an_answer_that_asks_us_to_wait_says_how_long() -> None:
    """For whoever tries again."""
    busy = Answer(b"busy", 503, {"Retry-After": "7"})
    with answering({"/x": busy, "/y": Answer(b"gone", 404)}) as server:
        assert refused(f"{server.url}/x", HttpStatusError).retry_after_s == 7.0
        assert refused(f"{server.url}/y", HttpStatusError).retry_after_s is None


def test_only_the_file_itself_is_a_file() -> None:
    """Files have one status; a page may have any, its reader decides."""
    with answering({"/x": Answer(b"gone", 404)}) as server:
        refused(f"{server.url}/x", HttpStatusError)

        with http_answer(f"{server.url}/x") as answer:
            assert (answer.status_code, answer.content) == (404, b"gone")


def test_a_page_that_breaks_off_is_unreachable() -> None:
    """Read inside the context, whatever requests calls it."""
    with (
        answering({"/page": Answer(b"<html>", announced_bytes=500)}) as server,
        pytest.raises(UnreachableError) as caught,
        http_answer(f"{server.url}/page") as answer,
    ):
        assert not answer.content

    assert "IncompleteRead" in caught.value.reason


def test_a_page_that_is_no_json_is_its_readers_business() -> None:
    """It came in full."""
    with (
        answering({"/page": Answer(b"<html>")}) as server,
        pytest.raises(requests.exceptions.JSONDecodeError),
        http_answer(f"{server.url}/page") as answer,
    ):
        answer.json()


def test_an_error_of_the_reader_is_not_taken_for_one_of_the_network() -> None:
    """A full disk is no reason to try another mirror."""
    with (
        answering({"/x": Answer(b"weights")}) as server,
        pytest.raises(OSError, match="disk full"),
        open_http(f"{server.url}/x"),
    ):
        raise OSError("disk full")


def test_a_refused_tunnel_is_the_proxys_answer() -> None:
    """What it refused will be refused again, unless its number says otherwise."""
    error = fault_of(OSError("Tunnel connection failed: 407 Proxy Authentication Required"), "https://h/x")

    assert isinstance(error, HttpStatusError)
    assert (error.status, error.is_transient) == (407, False)
    assert error.reason == "Proxy Authentication Required (the proxy did)"
