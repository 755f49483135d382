"""Mirrors: synced by the command into folders, stores and registries, and fetched from by nodes."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import random
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from cli.saying import Say, Told, command, run_here
from servers.authorities import new_authority
from servers.caches import alter, put, sha256
from servers.nginx import serving
from servers.registry import LOGIN, OciRegistry, registry_serving
from servers.registry_tokens import giving_tokens
from servers.s3 import s3_endpoint
from servers.sftp import LOGIN as SFTP_LOGIN
from servers.sftp import sftp_serving

from zoomgr.airgap.index import IndexEntry, read_index
from zoomgr.airgap.mirror.place import Model, Place, place_of
from zoomgr.airgap.mirror.sync import sync
from zoomgr.cache.refs import blob_in, file_name
from zoomgr.cache.store import Store
from zoomgr.errors import HttpStatusError, NoMirrorWorkedError, ZoomgrError
from zoomgr.settings import Settings
from zoomgr.zoo import Zoo

CONTENT = os.urandom(700_000)
NAME = f"net-{sha256(CONTENT)[:8]}.pth"
GONE = f"http://127.0.0.1:9/models/{NAME}"
"""A file of an origin that no node can reach; its name promises eight digits, as torchvision's do."""
KINDS = ("folder", "s3", "sftp", "oci")


@dataclass
class Site:
    """Destinations of every kind, and what nodes are told of them."""

    destination: str
    mirror: str
    place: Place
    registry: OciRegistry | None = None

    def index(self) -> dict[str, IndexEntry]:
        """What it lists."""
        return {entry.ref: entry for entry in read_index(self.place.read("index.json"), "the mirror")}

    def content(self, entry: IndexEntry) -> bytes:
        """The file of an entry, as it lies there."""
        return self.place.read(entry.place)

    def damage(self) -> list[str]:
        """What must never be: refs and listed models without their file, or with a wrong one."""
        refs = [self.place.record(name) for name in self.place.names()]
        found = [(entry.ref, entry.digest) for entry in refs if entry]
        found += [(entry.ref, entry.digest) for entry in self.index().values()] if self._is_listed() else []
        return [ref for ref, digest in found if self._digest(digest.hex) != digest.hex]

    def _is_listed(self) -> bool:
        return bool(self.place.read("index.json"))

    def _digest(self, name: str) -> str:
        return hashlib.sha256(self.place.read(f"v1/blobs/sha256/{name[:2]}/{name}")).hexdigest()


@pytest.fixture
def site(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """An empty mirror of the kind that the test asks for."""
    kind, registry = request.param, None
    with ExitStack() as held:
        match kind:
            case "folder":
                url = (tmp_path / "site").as_uri()
            case "s3":
                held.enter_context(s3_endpoint(monkeypatch)).put("bucket", "other", b"x")
                url = "s3://bucket/site"
            case "sftp":
                (tmp_path / "served").mkdir()
                server = held.enter_context(sftp_serving(tmp_path / "served"))
                monkeypatch.setenv("HOME", str(tmp_path))
                (tmp_path / ".ssh").mkdir()
                (tmp_path / ".ssh" / "known_hosts").write_text(server.known_hosts)
                url = f"sftp://{':'.join(SFTP_LOGIN)}@{server.host}/site"
            case _:
                registry = held.enter_context(registry_serving(tmp_path / "registry"))
                url = f"oci://{registry.host}/site"
        yield Site(url, url, place_of(url, tmp_path / "cache"), registry)


@pytest.fixture
def zoomgr(capsys: pytest.CaptureFixture[str]) -> Say:
    """Runs the command here."""

    def say(*arguments: str | Path) -> Told:
        code = run_here(arguments)
        said = capsys.readouterr()
        return Told(code, said.out, said.err)

    return say


def node(tmp_path: Path, mirror: str) -> Zoo:
    """A node with an empty cache that knows nothing but the mirror."""
    shutil.rmtree(tmp_path / "node", ignore_errors=True)
    return Zoo(Settings(cache_dir=tmp_path / "node", mirrors=(mirror,), retries=0))


def models(store: Store) -> list[Model]:
    """All that a cache has."""
    return [Model(entry) for entry in store.entries()]


# -- from the cache to a node --------------------------------------------------------------------------------


@pytest.mark.parametrize("site", KINDS, indirect=True)
def test_a_node_fetches_from_a_mirror_that_was_synced(site: Site, zoomgr: Say, tmp_path: Path) -> None:
    """By the name alone: eight digits are promised, and the origin is out of reach. What is there stays."""
    put(Store(tmp_path / "cache"), GONE, CONTENT)

    first = zoomgr("mirror", "sync", site.destination)
    again = zoomgr("mirror", "sync", site.destination, "--json")
    entry = node(tmp_path, site.mirror).pull(GONE)

    assert (first.code, first.out.split("\t")[0], first.out.split("\t")[3]) == (0, GONE, "new\n"), first.err
    assert [one["is_new"] for one in again.json] == [False]
    assert entry.path.read_bytes() == CONTENT
    assert entry.digest.hex in entry.url
    assert set(site.index()) == {GONE}
    if site.place.has_pages:
        assert b"<html" in site.place.read("index.html")


@pytest.mark.parametrize("site", KINDS, indirect=True)
def test_weights_of_ones_own_are_found_by_their_name(site: Site, zoomgr: Say, tmp_path: Path) -> None:
    """No node has their card; one that has fetched them needs the mirror no more."""
    header = json.dumps({"w": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()
    (tmp_path / "w.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + bytes(4))
    assert zoomgr("add", tmp_path / "w.safetensors", "--name", "team/tumour@v2").code == 0

    assert zoomgr("mirror", "sync", site.destination, "team/tumour@v2").code == 0
    entry = node(tmp_path, site.mirror).pull("team/tumour@v2")
    later = Zoo(Settings(cache_dir=tmp_path / "node")).pull("team/tumour@v2")

    assert entry.path.read_bytes() == (tmp_path / "w.safetensors").read_bytes()
    assert later.digest == entry.digest
    if site.registry:
        known = site.registry.manifest("site/team/tumour", "v2").json()
        assert [layer["mediaType"].split(".", 2)[2] for layer in known["layers"]] == [
            "weights.v1",
            "card.v1+json",
        ]


def test_a_folder_is_a_cache_layer_too(zoomgr: Say, tmp_path: Path) -> None:
    """Mounted on the nodes, without any server."""
    put(Store(tmp_path / "cache"), "lab/a", CONTENT)
    assert zoomgr("mirror", "sync", tmp_path / "site").code == 0

    entry = Store(tmp_path / "node", (tmp_path / "site",)).find("lab/a")

    assert entry is not None
    assert entry.path.is_relative_to(tmp_path / "site")
    assert entry.path.read_bytes() == CONTENT


@pytest.mark.parametrize("how", ["in the URL", "netrc"])
def test_a_served_folder_may_want_tls_and_a_password(
    zoomgr: Say, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """A certificate of the site's own authority, and a login that nothing records."""
    authority = new_authority(tmp_path / "ca.pem")
    put(Store(tmp_path / "cache"), GONE, CONTENT)
    assert zoomgr("mirror", "sync", tmp_path / "site").code == 0
    secret = base64.b64encode(hashlib.sha1(b"hunter2", usedforsecurity=False).digest()).decode()
    (tmp_path / "users").write_text(f"me:{{SHA}}{secret}\n")
    private = f'auth_basic "zoo"; auth_basic_user_file {tmp_path / "users"};'
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority.ca_file))
    with serving(tmp_path / "site", tmp_path / "nginx", private, authority.server_pem) as server:
        if how == "netrc":
            (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password hunter2\n")
            monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
            mirror = server.url
        else:
            with pytest.raises((HttpStatusError, NoMirrorWorkedError)):
                node(tmp_path, server.url).pull(GONE)
            mirror = server.url.replace("//", "//me:hunter2@")

        entry = node(tmp_path, mirror).pull(GONE)

    assert entry.path.read_bytes() == CONTENT
    written = b"".join(path.read_bytes() for path in (tmp_path / "node").rglob("*") if path.is_file())
    assert b"hunter2" not in written


@pytest.mark.parametrize("how", ["in the URL", "docker's config"])
def test_a_registry_may_want_a_password(
    zoomgr: Say, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """Who writes and who reads find it in the same places."""
    monkeypatch.setenv("HOME", str(tmp_path))
    put(Store(tmp_path / "cache"), GONE, CONTENT)
    with registry_serving(tmp_path / "registry", is_private=True) as registry:
        url = f"oci://{registry.host}/team/zoo"
        refused = zoomgr("mirror", "sync", url)
        if how == "in the URL":
            url = f"oci://{':'.join(LOGIN)}@{registry.host}/team/zoo"
        else:
            known = {"auth": base64.b64encode(":".join(LOGIN).encode()).decode()}
            monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
            (tmp_path / "docker").mkdir()
            (tmp_path / "docker" / "config.json").write_text(json.dumps({"auths": {registry.host: known}}))

        assert zoomgr("mirror", "sync", url).code == 0
        entry = node(tmp_path, url).pull(GONE)

    assert refused.code == 5
    assert "docker login" in refused.err
    assert entry.path.read_bytes() == CONTENT
    assert "hunter2" not in entry.url


def test_a_registry_may_speak_tls_and_want_tokens(
    zoomgr: Say, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As those of sites and clouds do: an authority of the site's own, a token for each purpose."""
    name = "registry.example"
    authority = new_authority(tmp_path / "ca.pem", name)
    look_up = socket.getaddrinfo
    here = lambda host, *rest, **how: look_up("127.0.0.1" if host == name else host, *rest, **how)  # noqa: E731
    monkeypatch.setattr(socket, "getaddrinfo", here)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority.ca_file))
    monkeypatch.setenv("HOME", str(tmp_path))
    put(Store(tmp_path / "cache"), GONE, CONTENT)
    with (
        giving_tokens(authority, LOGIN) as tokens,
        registry_serving(tmp_path / "registry", authority=authority, tokens=tokens) as registry,
    ):
        host = f"{name}:{registry.host.partition(':')[2]}"
        refused = zoomgr("mirror", "sync", f"oci://{host}/team/zoo")
        known = {"auth": base64.b64encode(":".join(LOGIN).encode()).decode()}
        monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
        (tmp_path / "docker").mkdir()
        (tmp_path / "docker" / "config.json").write_text(json.dumps({"auths": {host: known}}))

        written = zoomgr("mirror", "sync", f"oci://{host}/team/zoo")
        again = zoomgr("mirror", "sync", f"oci://{host}/team/zoo", "--json")
        fetched = node(tmp_path, f"oci://{host}/team/zoo").pull(GONE).path.read_bytes()
        monkeypatch.delenv("DOCKER_CONFIG")
        with pytest.raises(ZoomgrError, match="docker login"):
            node(tmp_path, f"oci://{host}/team/zoo").pull(GONE)

    assert (refused.code, "docker login" in refused.err) == (5, True), refused.err
    assert written.code == 0, written.err
    assert [one["is_new"] for one in again.json] == [False]
    assert fetched == CONTENT
    purposes = {scope.rpartition(":")[2] for scope, who in tokens.asked if who}
    assert {"pull", "pull,push"} <= purposes


def test_a_mirror_may_have_what_a_lock_names(zoomgr: Say, tmp_path: Path) -> None:
    """And nothing else of the cache; it is fetched where it is not cached."""
    put(Store(tmp_path / "cache"), "lab/other", b"other")
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / NAME).write_bytes(CONTENT)
    with serving(tmp_path / "files", tmp_path / "nginx") as origin:
        lock = tmp_path / "zoo.lock"
        assert zoomgr("lock", f"{origin.url}/{NAME}", "-o", lock).code == 0
        shutil.rmtree(tmp_path / "cache" / "v1" / "refs")

        told = zoomgr("mirror", "sync", tmp_path / "site", "--lock", lock, "--json")

    assert [one["ref"] for one in told.json] == [f"{origin.url}/{NAME}"]
    assert zoomgr("mirror", "sync", tmp_path / "site", "vgg16", "--lock", lock).code == 2


# -- what may happen on the way ------------------------------------------------------------------------------


@pytest.mark.parametrize("site", KINDS, indirect=True)
def test_an_altered_file_is_never_published(site: Site, zoomgr: Say, tmp_path: Path) -> None:
    """Neither as a file nor as a name; the others are."""
    store = Store(tmp_path / "cache")
    bad = put(store, "lab/a-bad", b"a" * 100_000)
    put(store, "lab/b", CONTENT)
    alter(bad.path, b"b" * 100_000)

    told = zoomgr("mirror", "sync", site.destination)

    assert told.code == 4
    assert "altered after it was proven" in told.err
    assert set(site.index()) == {"lab/b"}
    assert site.damage() == []
    if site.place.has_pages:
        assert site.place.read(blob_in(Path(), bad.digest).as_posix()) == b""
        assert site.place.names() == {file_name("lab/b")}


@pytest.mark.slow
@pytest.mark.parametrize("site", ["folder", "s3", "oci"], indirect=True)
def test_writers_at_once_lose_nothing(site: Site, tmp_path: Path) -> None:
    """Each has models of its own, and one that all have."""
    runs = []
    for writer in "ab":
        store = Store(tmp_path / writer)
        for name in ("common", f"{writer}0", f"{writer}1"):
            put(store, f"lab/{name}", name.encode() * 10_000)
        sync = command("mirror", "sync", site.destination, "--cache", str(tmp_path / writer))
        runs.append(subprocess.Popen(sync, stdout=subprocess.DEVNULL))

    assert [run.wait() for run in runs] == [0, 0]
    assert set(site.index()) == {f"lab/{name}" for name in ("common", "a0", "a1", "b0", "b1")}
    assert site.damage() == []


@pytest.mark.parametrize("site", ["folder", "s3", "oci"], indirect=True)
def test_an_index_that_another_writer_has_overwritten_is_repaired(site: Site, tmp_path: Path) -> None:
    """At once, when the other does it while we write; by any later run, when we were killed before that."""
    ours, theirs = Store(tmp_path / "ours"), Store(tmp_path / "theirs")
    put(ours, "lab/ours", b"ours")
    put(theirs, "lab/theirs", b"theirs")
    sync(models(theirs), site.place)
    behind = place_of(site.destination, tmp_path / "cache")
    stale = behind.read("index.json")
    place = place_of(site.destination, tmp_path / "cache")
    overwritten: list[bytes] = []
    really = place.write

    def write(path: str, content: bytes) -> None:
        really(path, content)
        if path == "index.json" and not overwritten:
            overwritten.append(content)
            behind.write("index.json", stale)

    place.write = write  # type: ignore[method-assign]
    sync(models(ours), place)

    assert overwritten
    assert set(site.index()) == {"lab/ours", "lab/theirs"}
    behind.write("index.json", stale)
    sync([], place_of(site.destination, tmp_path / "cache"))
    assert set(site.index()) == {"lab/ours", "lab/theirs"}


@pytest.mark.slow
@pytest.mark.parametrize(("site", "kills"), [("folder", 10), ("s3", 2), ("oci", 2)], indirect=["site"])
def test_a_sync_that_is_killed_leaves_no_name_without_its_file(
    site: Site, kills: int, tmp_path: Path
) -> None:
    """At random points, and the next one goes on; at the end nothing of the killed ones is left."""
    store = Store(tmp_path / "cache")
    chance = random.Random(6)  # noqa: S311 [where to kill]
    for number in range(kills):
        for each in range(3):
            put(store, f"lab/{number}-{each}", os.urandom(3_000_000))
        run = subprocess.Popen(command("mirror", "sync", site.destination), stdout=subprocess.DEVNULL)
        time.sleep(chance.uniform(0.35, 0.95))  # it ends after about 0.9 s
        run.kill()
        run.wait()
        assert site.damage() == []

    sync(models(store), place_of(site.destination, tmp_path / "cache"))

    assert len(site.index()) == 3 * kills
    assert site.damage() == []
    assert list((tmp_path / "site" / "v1" / "partial").glob("*")) == []


# -- what is refused -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("destination", "said"),
    [
        ("{cache}", "the cache itself"),
        ("https://me:hunter2@host/zoo", "web servers"),
        ("oci://host", "names no repository"),
        ("oci://host/Zoo", "names no repository"),
        ("nothing://host/zoo", "not known"),
        ("s3://bucket/zoo?x=1", "query"),
        ("", "neither"),
    ],
)
def test_a_destination_that_is_none_is_refused(
    destination: str, said: str, zoomgr: Say, tmp_path: Path
) -> None:
    """With what to write instead, and before anything is done."""
    put(Store(tmp_path / "cache"), "lab/a", CONTENT)

    told = zoomgr("mirror", "sync", destination.format(cache=tmp_path / "cache"))

    assert told.code == 2
    assert said in told.err
    assert "hunter2" not in told.err


def test_offline_writes_to_folders_alone(zoomgr: Say, tmp_path: Path, no_sockets: None) -> None:
    """No socket is opened for any other place."""
    put(Store(tmp_path / "cache"), "lab/a", CONTENT)

    for destination in ("s3://bucket/zoo", "oci://127.0.0.1:9/zoo"):
        assert zoomgr("mirror", "sync", destination, "--offline").code == 2
    assert zoomgr("mirror", "sync", tmp_path / "site", "--offline").code == 0


def test_a_file_of_this_disk_is_refused(zoomgr: Say, tmp_path: Path) -> None:
    """It has no name that means something elsewhere."""
    (tmp_path / NAME).write_bytes(CONTENT)

    told = zoomgr("mirror", "sync", tmp_path / "site", tmp_path / NAME)

    assert told.code == 2
    assert "zoomgr add" in told.err
    assert not (tmp_path / "site").exists()
