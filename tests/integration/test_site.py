"""A site that sets things up for its users: mirrors for everything, and tokens of its servers."""

from __future__ import annotations

import json
import os
import shutil
import socket
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from servers.caches import sha256
from servers.faulty import Answer, answering
from servers.nginx import Nginx, serving
from servers.s3 import s3_endpoint

from zoomgr.cache.refs import blob_in, cards_in, file_name, ref_in
from zoomgr.cards import dump_card
from zoomgr.errors import (
    DigestMismatchError,
    HttpStatusError,
    NetworkError,
    UnknownModelError,
    UnknownSourceError,
)
from zoomgr.records import Artifact, Digest, ModelCard, ModelRef
from zoomgr.zoo import Zoo

CONTENT = os.urandom(700_000)
WHOLE = sha256(CONTENT)
NAME = f"net-{WHOLE[:8]}.pth"
MakeZoo = Callable[..., Zoo]


@pytest.fixture
def dead() -> str:
    """A server that is gone."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}"


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Nginx]:
    """A served folder, empty."""
    with serving(tmp_path / "site", tmp_path / "nginx") as server:
        yield server


def kept_by(folder: Path, url: str, content: bytes = CONTENT) -> None:
    """What `wget -x` leaves of a URL."""
    path = folder / url.partition("://")[2]
    path.parent.mkdir(parents=True)
    path.write_bytes(content)


# -- mirrors -------------------------------------------------------------------------------------------------


def test_a_served_cache_is_a_mirror(make_zoo: MakeZoo, site: Nginx, dead: str, tmp_path: Path) -> None:
    """By digest, whatever the file is called and wherever it came from."""
    (tmp_path / "other.pth").write_bytes(CONTENT)
    made = make_zoo().pull(f"{(tmp_path / 'other.pth').as_uri()}#sha256={WHOLE}")
    shutil.copytree(tmp_path / "cache" / "v1", site.folder / "v1")
    shutil.rmtree(tmp_path / "cache")

    entry = make_zoo(mirrors=(site.url,)).pull(f"{dead}/net.pth#sha256={WHOLE}")

    assert made.digest == entry.digest
    assert entry.path.read_bytes() == CONTENT
    assert entry.url == f"{site.url}/v1/blobs/sha256/{WHOLE[:2]}/{WHOLE}"


def test_a_mounted_folder_is_a_mirror_without_any_network(
    make_zoo: MakeZoo, tmp_path: Path, no_sockets: None
) -> None:
    """Behind an air gap; by the file's URL."""
    url = f"https://host.example/models/{NAME}"
    kept_by(tmp_path / "group", url)

    entry = make_zoo(mirrors=((tmp_path / "group").as_uri(),), offline=True).pull(url)

    assert entry.path.read_bytes() == CONTENT


def test_a_bucket_is_a_mirror(make_zoo: MakeZoo, dead: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the plugin that opens such URLs."""
    url = f"{dead}/models/{NAME}"
    with s3_endpoint(monkeypatch) as s3:
        s3.put("zoo", f"mirror/{url.partition('://')[2]}", CONTENT)

        entry = make_zoo(mirrors=("s3://zoo/mirror",)).pull(url)

    assert entry.path.read_bytes() == CONTENT


def recorded(folder: Path, ref: str, digest: str, size_bytes: int) -> None:
    """What a mirror tells of a reference."""
    path = ref_in(folder, ref)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"ref": ref, "digest": f"sha256:{digest}", "size_bytes": size_bytes}))


def blob_of(folder: Path, content: bytes, name: str = "") -> None:
    """A file of a mirror, under its own digest or another's."""
    path = blob_in(folder, Digest(name or sha256(content)))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


@pytest.mark.parametrize("promise", [NAME, "net.pth"], ids=["eight digits", "none"])
def test_a_file_without_a_whole_digest_is_found_by_its_name(
    make_zoo: MakeZoo, site: Nginx, dead: str, promise: str
) -> None:
    """Torchvision publishes eight digits, which name no blob: the mirror says which one it is."""
    url = f"{dead}/{promise}"
    recorded(site.folder, url, WHOLE, len(CONTENT))
    blob_of(site.folder, CONTENT)

    entry = make_zoo(mirrors=(site.url,), retries=0).pull(url)

    assert entry.url == f"{site.url}/v1/blobs/sha256/{WHOLE[:2]}/{WHOLE}"
    assert entry.promised == Digest.from_filename(promise)


def test_a_mirror_that_tells_another_file_is_not_believed(make_zoo: MakeZoo, site: Nginx, dead: str) -> None:
    """What it tells must be what was promised, and what comes must be what it told."""
    other, url = b"something else", f"{dead}/{NAME}"
    blob_of(site.folder, other)
    zoo = make_zoo(mirrors=(site.url,), retries=0)

    recorded(site.folder, url, sha256(other), len(other))
    with pytest.raises(NetworkError):
        zoo.pull(url)
    blob_of(site.folder, other, WHOLE)
    recorded(site.folder, url, WHOLE, len(other))
    with pytest.raises(DigestMismatchError, match="the record of"):
        zoo.pull(url)


@pytest.mark.parametrize("said", [b"<html>", b"[]", b'{"digest": 5}', b"[" * 100_000, b" " * (1 << 21)])
def test_a_mirror_that_tells_nonsense_is_passed_over(make_zoo: MakeZoo, site: Nginx, said: bytes) -> None:
    """And asked by the file's place, as one that tells nothing."""
    with answering({f"/{NAME}": Answer(CONTENT)}) as origin:
        url = f"{origin.url}/{NAME}"
        ref_in(site.folder, url).parent.mkdir(parents=True)
        ref_in(site.folder, url).write_bytes(said)
        kept_by(site.folder, url)

        entry = make_zoo(mirrors=(site.url,)).pull(url)

    assert entry.url.startswith(site.url)


def test_weights_that_only_a_mirror_has_are_found_by_their_name(
    make_zoo: MakeZoo, site: Nginx, tmp_path: Path
) -> None:
    """And afterwards without it."""
    card = ModelCard(
        ModelRef("tumour", source="own", tag="v2"),
        artifact=Artifact(("file:///gone/x.pth",), "x.pth", digest=Digest(WHOLE)),
        license="MIT",
    )
    cards_in(site.folder).mkdir(parents=True)
    (cards_in(site.folder) / file_name("own/tumour@v2")).write_bytes(dump_card(card))
    blob_of(site.folder, CONTENT)

    entry = make_zoo(mirrors=(site.url,)).pull("own/tumour@v2")

    assert (entry.ref, entry.license, entry.digest.hex) == ("own/tumour@v2", "MIT", WHOLE)
    assert make_zoo().pull("own/tumour@v2").digest == entry.digest
    with pytest.raises(UnknownSourceError):
        make_zoo(mirrors=(site.url,)).pull("none/tumour@v2")


@pytest.mark.parametrize("change", [{"build_args": {"weights": "DEFAULT"}}, {"artifact": None}])
def test_a_mirror_that_tells_a_card_nobody_adds_is_not_believed(
    make_zoo: MakeZoo, site: Nginx, change: dict[str, Any]
) -> None:
    """A card of another model, with arguments of a builder, or without a whole digest."""
    file = Artifact(("file:///gone/x.pth",), "x.pth", digest=Digest(WHOLE))
    card = replace(ModelCard(ModelRef("tumour", source="own"), artifact=file), **change)
    cards_in(site.folder).mkdir(parents=True)
    for ref in ("own/tumour", "own/other"):
        (cards_in(site.folder) / file_name(ref)).write_bytes(dump_card(card))

    for ref in ("own/tumour", "own/other"):
        with pytest.raises(UnknownModelError):
            make_zoo(mirrors=(site.url,)).resolve(ref)


def test_mirrors_are_asked_in_order_and_none_is_trusted(
    make_zoo: MakeZoo, site: Nginx, tmp_path: Path
) -> None:
    """A wrong file is passed over like a missing one."""
    with answering({f"/{NAME}": Answer(CONTENT)}) as origin:
        url = f"{origin.url}/{NAME}"
        kept_by(site.folder, url, b"something else")
        kept_by(tmp_path / "group", url)

        entry = make_zoo(mirrors=(site.url, (tmp_path / "group").as_uri())).pull(url)

        assert origin.asked == []
    assert entry.url.startswith("file:")
    assert [line.split()[6] for line in site.requests()] == [
        ref_in(Path("/"), url).as_posix(),  # which file it has for that name: none
        f"/{url.partition('://')[2]}",
    ]


def test_a_mirror_that_is_wrong_and_an_origin_that_is_gone_give_nothing(
    make_zoo: MakeZoo, site: Nginx, dead: str
) -> None:
    """The wrong file is the news."""
    kept_by(site.folder, f"{dead}/{NAME}", b"something else")

    with pytest.raises(DigestMismatchError):
        make_zoo(mirrors=(site.url,), retries=0).pull(f"{dead}/{NAME}")


# -- tokens --------------------------------------------------------------------------------------------------


def test_a_token_opens_its_server_and_goes_nowhere_else(
    make_zoo: MakeZoo, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not to where it redirects, and not into the record."""
    monkeypatch.setenv("ZOO_TOKEN", "s3cret")
    with answering({f"/{NAME}": Answer(CONTENT)}) as storage:
        moved = Answer(status=302, headers={"Location": f"{storage.url}/{NAME}"})
        with answering({f"/{NAME}": moved}) as server:
            zoo = make_zoo(f'version = 1\n[tokens]\n"{server.url}" = "ZOO_TOKEN"\n')

            entry = zoo.pull(f"{server.url}/{NAME}")

            assert server.asked[0][1]["authorization"] == "Bearer s3cret"
        assert "authorization" not in storage.asked[0][1]
    written = b"".join(path.read_bytes() for path in zoo.store.root.rglob("*") if path.is_file())
    assert entry.path.read_bytes() == CONTENT
    assert b"s3cret" not in written


def test_a_refused_token_is_told_without_it(make_zoo: MakeZoo, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the server's number."""
    monkeypatch.setenv("ZOO_TOKEN", "s3cret")
    with answering({f"/{NAME}": Answer(b"s3cret is wrong", 401)}) as server:
        zoo = make_zoo(f'version = 1\n[tokens]\n"{server.url}" = "ZOO_TOKEN"\n')

        with pytest.raises(HttpStatusError) as caught:
            zoo.pull(f"{server.url}/{NAME}")

    assert caught.value.status == 401
    assert "s3cret" not in f"{caught.value} {caught.value!r} {caught.value.to_dict()}"
