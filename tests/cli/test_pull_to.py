"""A copy beside the cache: zoomgr pull --to."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cli.saying import Say
from servers.caches import alter, sha256
from servers.nginx import serving

pytestmark = pytest.mark.usefixtures("acme")

CONTENT = b"weights"


@pytest.fixture
def url(tmp_path: Path) -> str:
    """A file of this disk, as a URL that promises its digest."""
    (tmp_path / "net.pth").write_bytes(CONTENT)
    return f"{(tmp_path / 'net.pth').as_uri()}#sha256={sha256(CONTENT)}"


def test_a_copy_has_the_file_s_own_name_and_is_its_user_s(zoomgr: Say, url: str, tmp_path: Path) -> None:
    """It may be written, and the cache's file is another one."""
    told = zoomgr("pull", url, "--to", tmp_path / "a" / "b")

    copy = tmp_path / "a" / "b" / "net.pth"
    assert (told.code, told.out.rstrip("\n").split("\t")[-1]) == (0, str(copy))
    copy.write_bytes(b"mine")
    assert zoomgr("verify").code == 0
    assert [path.name for path in copy.parent.iterdir()] == ["net.pth"]


def test_a_second_time_nothing_is_asked_nor_written(zoomgr: Say, tmp_path: Path) -> None:
    """The copy that is there is the file."""
    with serving(tmp_path / "www", tmp_path / "nginx") as server:
        (tmp_path / "www" / "net.pth").write_bytes(CONTENT)
        url = f"{server.url}/net.pth#sha256={sha256(CONTENT)}"
        first = zoomgr("pull", url, "--to", tmp_path / "w", "--json")
        before = (tmp_path / "w" / "net.pth").stat()
        again = zoomgr("pull", url, "--to", tmp_path / "w", "--json")

        assert len(server.requests()) == 1
    assert json.loads(first.out) == json.loads(again.out)
    assert (tmp_path / "w" / "net.pth").stat() == before


def test_another_file_of_that_name_stays_and_does_not_keep_the_others(
    zoomgr: Say, url: str, tmp_path: Path
) -> None:
    """It is told; the other weights are copied."""
    (tmp_path / "w").mkdir()
    (tmp_path / "w" / "net.pth").write_bytes(b"mine")

    told = zoomgr("pull", url, "tiny", "--to", tmp_path / "w")

    assert (told.code, "error[place-taken]" in told.err) == (2, True)
    assert (tmp_path / "w" / "net.pth").read_bytes() == b"mine"
    assert Path(told.out.rstrip("\n").split("\t")[-1]).parent == tmp_path / "w"


def test_a_file_that_is_altered_on_its_way_is_no_copy(
    zoomgr: Say, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is hashed where it arrives."""
    path = Path(zoomgr("pull", url).out.rstrip("\n").split("\t")[-1])
    monkeypatch.setattr("zoomgr.cache.store.Store.prove", lambda *_, **__: None)
    alter(path)

    told = zoomgr("pull", url, "--to", tmp_path / "w")

    assert (told.code, "error[blob-altered]" in told.err) == (4, True)
    assert list((tmp_path / "w").iterdir()) == []


def test_a_folder_that_cannot_be_made_is_one_error(zoomgr: Say, url: str, tmp_path: Path) -> None:
    """Below a file."""
    told = zoomgr("pull", url, "--to", tmp_path / "net.pth" / "below")

    assert (told.code, "error[file-unwritable]" in told.err) == (8, True)
