"""What a lock says of weights: which URLs, whose adapter; and where a lock is looked for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from zoomgr.airgap.lock import Wish, entry_of
from zoomgr.records import Artifact, CacheEntry, Digest, ModelCard, ModelRef
from zoomgr.settings import Settings, find_lock
from zoomgr.zoo import Zoo

DIGEST = Digest("ab" * 32)
COMMIT = f"https://hub.example/acme/net/resolve/{'c' * 40}/net.pth"


def urls_of(zoo: Zoo, ref: ModelRef, *urls: str, fetched: str = "file:///net.pth") -> tuple[str, ...]:
    """The URLs that a lock has of a card with these."""
    card = ModelCard(ref, artifact=Artifact(urls, "net.pth"))
    proven = CacheEntry(str(ref), Path("net.pth"), DIGEST, 3, fetched, None, "", "", "net.pth")
    return entry_of(zoo, Wish(card, (str(ref),)), proven).file.urls


CATALOGUED = ModelRef("net", source="registry")
LOCATED = ModelRef("https://host.example/net.pth?id=1&token=sha256.0123456789ab", scheme="https")


@pytest.mark.parametrize(
    ("ref", "url", "locked"),
    [
        (CATALOGUED, "https://me:pw@host.example/net.pth?token=x", "https://host.example/net.pth"),
        (CATALOGUED, "pypi+https://me:pw@host.example/net.pth", "pypi+https://host.example/net.pth"),
        (CATALOGUED, "pypi://net==1.0/net/net.pth", "pypi://net==1.0/net/net.pth"),
        (CATALOGUED, "hf://acme/net@v1/net.pth", "hf://acme/net@v1/net.pth"),
        (CATALOGUED, "s3://bucket/net.pth", "s3://bucket/net.pth"),
        (CATALOGUED, "file:///data/net.pth", "file:///data/net.pth"),
        (LOCATED, "https://me:pw@host.example/net.pth?id=1&token=x", str(LOCATED)),
    ],
)
def test_no_secret_is_locked(make_zoo: Callable[..., Zoo], ref: ModelRef, url: str, locked: str) -> None:
    """A lock is kept with the code."""
    assert urls_of(make_zoo(), ref, url) == (locked,)


def test_the_commit_that_a_branch_was_at_is_locked(make_zoo: Callable[..., Zoo]) -> None:
    """The branch moves, and the file can be had still."""
    assert urls_of(make_zoo(), CATALOGUED, "hf://acme/net/net.pth", fetched=COMMIT) == (
        "hf://acme/net/net.pth",
        COMMIT,
    )
    assert urls_of(
        make_zoo(), LOCATED, "https://host.example/net.pth?id=1", fetched=str(LOCATED).split("?")[0]
    ) == (str(LOCATED),)


def test_a_mirror_is_not_locked(make_zoo: Callable[..., Zoo]) -> None:
    """Others have none, or another."""
    registry = 'version = 1\n[mirrors]\n"https://a.example/" = ["https://m.example/x/"]\n'
    zoo = make_zoo(registry, mirrors=("https://me:pw@hub.example/",))

    for fetched in (COMMIT, "https://m.example/x/net.pth"):
        assert urls_of(zoo, CATALOGUED, "hf://acme/net", fetched=fetched) == ("hf://acme/net",)


@pytest.mark.usefixtures("acme")
def test_the_distribution_of_an_adapter_is_known(make_zoo: Callable[..., Zoo]) -> None:
    """By its name and version; of one that nobody provides nothing."""
    host = make_zoo().host

    assert host.provider_of("acme-keys") == ("acme-zoo", "1.0")
    assert host.provider_of("no-such-keys") == ("", "")


# -- where a lock is looked for ------------------------------------------------------------------------------


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A folder two below another, none of which everybody may write to."""
    (tmp_path / "a" / "b").mkdir(parents=True)
    return tmp_path


def test_the_nearest_lock_holds(tree: Path) -> None:
    """The folder's own first."""
    for folder in (tree, tree / "a", tree / "a" / "b"):
        (folder / "zoo.lock").touch()
        assert find_lock(tree / "a" / "b", None) == folder / "zoo.lock"


@pytest.mark.parametrize("kind", ["checkout", "worktree"])
def test_a_lock_outside_of_the_repository_does_not_hold(tree: Path, kind: str) -> None:
    """Its root is the last folder that is looked at."""
    git = tree / "a" / ".git"
    git.mkdir() if kind == "checkout" else git.touch()
    (tree / "zoo.lock").touch()
    assert find_lock(tree / "a" / "b", None) is None

    (tree / "a" / "zoo.lock").touch()
    assert find_lock(tree / "a" / "b", None) == tree / "a" / "zoo.lock"


def test_a_lock_in_the_home_folder_holds_only_there(tree: Path) -> None:
    """It was not meant for all that lies below."""
    (tree / "zoo.lock").touch()

    assert find_lock(tree / "a", tree) is None
    assert find_lock(tree, tree) == tree / "zoo.lock"


def test_a_lock_that_anybody_could_have_laid_does_not_hold_below(tree: Path) -> None:
    """In /tmp, it would let others say what a name means."""
    (tree / "zoo.lock").touch()
    tree.chmod(0o1777)

    assert find_lock(tree / "a" / "b", None) is None
    assert find_lock(tree, None) == tree / "zoo.lock"


def test_the_environment_names_a_lock(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before one that lies there; an empty variable is none."""
    monkeypatch.chdir(tree)
    (tree / "zoo.lock").touch()
    environ = {"ZOOMGR_CACHE": str(tree / "cache")}

    assert (
        Settings.from_environment({**environ, "ZOOMGR_LOCK": "a/x.lock"}).lock_file == tree / "a" / "x.lock"
    )
    assert Settings.from_environment({**environ, "ZOOMGR_LOCK": ""}).lock_file == tree / "zoo.lock"
    assert Settings.from_environment(environ).lock_file == tree / "zoo.lock"


def test_without_a_working_folder_there_is_no_lock(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And all else works."""
    monkeypatch.chdir(tree / "a" / "b")
    (tree / "a" / "b").rmdir()

    assert Settings.from_environment({"ZOOMGR_CACHE": str(tree / "cache")}).lock_file is None
