"""Networks as they are, with real servers: certificates, proxies, logins, compression, connections."""

from __future__ import annotations

import gzip
import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from servers.authorities import Authority, new_authority
from servers.nginx import Nginx, serving
from servers.tinyproxy import Tinyproxy, proxying

from zoomgr.errors import HttpStatusError, UnreachableError, UntrustedServerError
from zoomgr.http import HttpClient
from zoomgr.records import WHOLE, Span

CONTENT = b"weights" * 50_000
EXTRA = """
    location /moved/ { rewrite ^/moved/(.*)$ /$1 redirect; }
    location /round { return 302 /round; }
    location /private/ { auth_basic "private"; auth_basic_user_file logins; alias WWW/; }
    location /packed/ { gzip on; gzip_proxied any; gzip_types *; alias WWW/; }
    location /static/ { add_header Content-Encoding gzip; alias WWW/packed/; }
    location = /-/connection { return 200 $connection; }
"""


@pytest.fixture(autouse=True)
def own_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing that this machine was told of proxies, certificates or logins reaches a test."""
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """A site's own, in no trust store."""
    return new_authority(tmp_path_factory.mktemp("authority") / "ca.pem")


def started(folder: Path, server_pem: Path | None = None) -> Iterator[Nginx]:
    """A server with one file in several ways."""
    (folder / "www" / "packed").mkdir(parents=True)
    (folder / "www" / "x.pth").write_bytes(CONTENT)
    (folder / "www" / "packed" / "x.pth").write_bytes(gzip.compress(CONTENT))
    (folder / "nginx").mkdir()
    (folder / "nginx" / "logins").write_text("me:{PLAIN}hunter2\n")
    extra = EXTRA.replace("WWW", str(folder / "www"))
    with serving(folder / "www", folder / "nginx", extra, server_pem) as server:
        yield server


@pytest.fixture
def nginx(tmp_path: Path) -> Iterator[Nginx]:
    """Without TLS."""
    yield from started(tmp_path / "http")


@pytest.fixture
def safe(tmp_path: Path, authority: Authority) -> Iterator[Nginx]:
    """With TLS, and a certificate of the site's own authority."""
    yield from started(tmp_path / "https", authority.server_pem)


@pytest.fixture
def trusted(safe: Nginx, authority: Authority, monkeypatch: pytest.MonkeyPatch) -> Nginx:
    """The same, and its authority is named."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority.ca_file))
    return safe


@pytest.fixture
def client() -> Iterator[HttpClient]:
    """What a transport holds."""
    with closing(HttpClient()) as client:
        yield client


def got(client: HttpClient, url: str, span: Span = WHOLE) -> bytes:
    """The bytes of a part."""
    with client.open(url, span) as body:
        return b"".join(body)


# -- parts of a file -----------------------------------------------------------------------------------------


def test_a_part_comes_while_the_file_is_the_same(nginx: Nginx, client: HttpClient) -> None:
    """Of another version the whole comes, as If-Range asks."""
    url = f"{nginx.url}/x.pth"
    with client.open(url) as body:
        version = body.validator
        assert (body.accepts_ranges, body.total_bytes) == (True, len(CONTENT))

    same = got(client, url, Span(1000, 2000, version))
    with client.open(url, Span(1000, 2000, '"another"')) as body:
        other = body.offset, b"".join(body)

    assert same == CONTENT[1000:2000]
    assert other == (0, CONTENT)


def test_a_part_behind_the_end_is_an_error_with_its_number(nginx: Nginx, client: HttpClient) -> None:
    """416: the file is shorter than it was."""
    with pytest.raises(HttpStatusError) as caught:
        got(client, f"{nginx.url}/x.pth", Span(len(CONTENT)))

    assert (caught.value.status, caught.value.is_transient) == (416, False)


@pytest.mark.parametrize("way", ["packed/x.pth", "static/x.pth"])
def test_compression_does_not_change_the_file(nginx: Nginx, client: HttpClient, way: str) -> None:
    """Neither that which we could ask for and do not, nor that which nobody asked for."""
    assert got(client, f"{nginx.url}/{way}") == CONTENT


# -- connections ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["x.pth", "moved/x.pth"])
def test_a_connection_is_used_again(nginx: Nginx, client: HttpClient, way: str) -> None:
    """For the next part, the next file, and after a redirect."""
    ask = f"{nginx.url}/-/connection"
    first = got(client, ask)

    for start in range(5):
        got(client, f"{nginx.url}/{way}", Span(start, start + 1000))

    assert got(client, ask) == first


def test_a_connection_with_the_rest_of_a_body_on_it_is_not_used_again(
    nginx: Nginx, client: HttpClient
) -> None:
    """Whoever stops early would read the rest as the next answer."""
    first = got(client, f"{nginx.url}/-/connection")
    with client.open(f"{nginx.url}/x.pth") as body:
        next(iter(body))

    assert got(client, f"{nginx.url}/-/connection") != first
    assert got(client, f"{nginx.url}/x.pth") == CONTENT


# -- certificates --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"])
def test_a_private_authority_is_trusted_where_it_is_named(
    safe: Nginx, client: HttpClient, authority: Authority, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """By the site's word in the environment."""
    monkeypatch.setenv(name, str(authority.ca_file))

    assert got(client, f"{safe.url}/x.pth") == CONTENT


def test_a_private_authority_is_refused_where_it_is_not(safe: Nginx, client: HttpClient) -> None:
    """And the server is asked for nothing."""
    with pytest.raises(UntrustedServerError):
        got(client, f"{safe.url}/x.pth")

    assert safe.requests() == []


# -- logins --------------------------------------------------------------------------------------------------


def test_a_login_comes_from_netrc_or_from_the_url(nginx: Nginx, client: HttpClient, tmp_path: Path) -> None:
    """Without one the file is refused."""
    url = f"{nginx.url}/private/x.pth"

    with pytest.raises(HttpStatusError) as caught:
        got(client, url)
    from_url = got(client, url.replace("//", "//me:hunter2@"))
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password hunter2\n")
    from_netrc = got(client, url)

    assert caught.value.status == 401
    assert from_url == from_netrc == CONTENT


# -- proxies -------------------------------------------------------------------------------------------------


@pytest.fixture
def proxy(tmp_path: Path) -> Iterator[Tinyproxy]:
    """One that lets everybody through."""
    with proxying(tmp_path / "proxy") as proxy:
        yield proxy


@pytest.fixture
def strict_proxy(tmp_path: Path) -> Iterator[Tinyproxy]:
    """One that asks for a login."""
    with proxying(tmp_path / "proxy", ("staff", "pr0xy")) as proxy:
        yield proxy


@pytest.mark.parametrize("name", ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"])
def test_the_proxy_of_the_environment_is_used(
    nginx: Nginx, proxy: Tinyproxy, client: HttpClient, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Named in either case, for one scheme or for all."""
    monkeypatch.setenv(name, f"http://{proxy.host}")

    assert got(client, f"{nginx.url}/x.pth", Span(5, 1000)) == CONTENT[5:1000]
    assert len(proxy.asked(at_least=1)) == 1


@pytest.mark.parametrize("name", ["no_proxy", "NO_PROXY"])
def test_hosts_without_proxy_are_asked_directly(
    nginx: Nginx, proxy: Tinyproxy, client: HttpClient, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """In either case."""
    monkeypatch.setenv("http_proxy", f"http://{proxy.host}")
    monkeypatch.setenv(name, "localhost,127.0.0.1")

    assert got(client, f"{nginx.url}/x.pth") == CONTENT
    assert proxy.asked() == []


def test_tls_goes_through_a_proxy_to_the_server_itself(
    safe: Nginx, proxy: Tinyproxy, client: HttpClient, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The proxy sees a tunnel; the certificate is the server's, trusted where its authority is named."""
    monkeypatch.setenv("https_proxy", f"http://{proxy.host}")
    with pytest.raises(UntrustedServerError):
        got(client, f"{safe.url}/x.pth")

    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority.ca_file))
    assert got(client, f"{safe.url}/x.pth?token=s3cret") == CONTENT

    assert {line.split()[0] for line in proxy.asked(at_least=1)} == {"CONNECT"}
    assert "s3cret" not in "".join(proxy.log)


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_that_asks_for_a_login_gets_that_of_its_url(
    nginx: Nginx, trusted: Nginx, strict_proxy: Tinyproxy, monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    """With a wrong one the proxy's refusal is told as one, without the password."""
    client = HttpClient()
    url = f"{(trusted if scheme == 'https' else nginx).url}/x.pth"

    monkeypatch.setenv(f"{scheme}_proxy", f"http://staff:wr0ng@{strict_proxy.host}")
    with pytest.raises(HttpStatusError) as caught:
        got(client, url)
    monkeypatch.setenv(f"{scheme}_proxy", f"http://staff:pr0xy@{strict_proxy.host}")

    assert got(client, url) == CONTENT
    client.close()
    assert caught.value.status in {401, 407}  # tinyproxy says 401 to a wrong login, 407 to none
    assert not caught.value.is_transient
    assert "wr0ng" not in f"{caught.value} {caught.value!r}"


def test_a_proxy_that_is_not_there_is_told_without_its_password(
    nginx: Nginx, client: HttpClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The proxy is what cannot be reached."""
    monkeypatch.setenv("http_proxy", "http://staff:pr0xy@127.0.0.1:1")

    with pytest.raises(UnreachableError) as caught:
        got(client, f"{nginx.url}/x.pth")

    assert caught.value.is_transient
    assert "pr0xy" not in f"{caught.value} {caught.value!r}"
