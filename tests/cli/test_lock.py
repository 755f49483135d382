"""`lock` and `sync`, and what a lock changes for every other verb."""

from __future__ import annotations

import os
import shutil
from functools import partial
from pathlib import Path

import pytest
from cli.saying import Say
from servers.caches import sha256

import zoomgr as package
from zoomgr.errors import DigestMismatchError, LockDiffersError
from zoomgr.lockfile.reading import read_lock
from zoomgr.settings import Settings
from zoomgr.zoo import Zoo

TINY = "acme/tiny@v1"
ONE, OTHER = os.urandom(3000), os.urandom(4000)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, acme: None) -> Path:
    """A folder that the user works in."""
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def lists(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ListsModels:
    """Changes what the user's registry says."""
    monkeypatch.setenv("ZOOMGR_REGISTRY", str(tmp_path / "registry.toml"))
    lists = ListsModels(tmp_path)
    lists.write()
    return lists


class ListsModels:
    """A registry of files of this disk."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, more: str = "", **files: bytes) -> None:
        """Publish files by name, with their digests; one of which the name ends in `_weak` without."""
        models = ""
        for name, content in files.items():
            (self.folder / f"{sha256(content)[:4]}.pth").write_bytes(content)
            url = (self.folder / f"{sha256(content)[:4]}.pth").as_uri()
            promise = "" if name.endswith("_weak") else f'sha256 = "{sha256(content)}"\n'
            models += f'[models.{name}]\nurl = "{url}"\n{promise}license = "MIT"\n'
        (self.folder / "registry.toml").write_text(f"version = 1\n{models}{more}")


def replaced(path: Path, old: str, new: str) -> None:
    """Edit a file by hand."""
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


# -- lock ----------------------------------------------------------------------------------------------------


def test_a_name_is_locked_with_all_that_is_known(zoomgr: Say, project: Path) -> None:
    """The file is fetched, so that size and digest are proven; and the adapter's distribution is told."""
    told = zoomgr("lock", "acme/tiny")

    assert told.code == 0
    assert "acme/tiny is acme/tiny@v1" in told.err
    assert "zoo.lock is written; it names 1" in told.err
    lock = read_lock(project / "zoo.lock")
    entry = lock.entries[TINY]
    cached = Zoo().cached()[0]
    assert (entry.digest, entry.file.size_bytes) == (cached.digest, cached.size_bytes)
    assert (entry.names, entry.file.urls) == (("acme/tiny",), ("acme://shelf/tiny",))
    assert (entry.card.schema, entry.distribution, entry.version) == ("acme-keys", "acme-zoo", "1.0")
    assert (entry.card.labels, entry.card.license) == (("cat", "dog"), "MIT")


def test_what_is_locked_stays_when_more_is(zoomgr: Say, project: Path, lists: ListsModels) -> None:
    """Until it is to be pruned; and a lock that says all already is not touched."""
    lists.write(one=ONE)
    zoomgr("lock", "acme/tiny")
    before = (project / "zoo.lock").read_text()

    again = zoomgr("lock", "acme/tiny")
    assert "zoo.lock stays as it was" in again.err
    assert (project / "zoo.lock").read_text() == before

    zoomgr("lock", "one")
    assert [*read_lock(project / "zoo.lock").entries] == [TINY, "registry/one"]
    assert before.partition("[models")[2] in (project / "zoo.lock").read_text()

    pruned = zoomgr("lock", "one", "--prune")
    assert f"{TINY} is locked no more" in pruned.err
    assert [*read_lock(project / "zoo.lock").entries] == ["registry/one"]


def test_scripts_are_locked_and_what_they_compute_is_told(zoomgr: Say, project: Path) -> None:
    """By file and line; they are remembered as they lie from the lock."""
    (project / "src").mkdir()
    (project / "src" / "train.py").write_text(
        "import zoomgr\nzoomgr.load('acme/tiny')\nzoomgr.load(name)\nzoomgr.load('acme/huge')\n"
    )
    (project / "eval.py").write_text("import zoomgr\nzoomgr.load('./w.pth')\n")

    told = zoomgr("lock", "--from", "src", "--from", "eval.py", "--json")

    assert told.code == 0
    assert f"src{os.sep}train.py:3: ref is not a constant: zoomgr.load(name)" in told.err
    assert f"src{os.sep}train.py:4: no model is called 'acme/huge'" in told.err
    assert "eval.py:2: ./w.pth cannot be locked" in told.err
    assert [each["line"] for each in told.json["unclear"]] == [3, 4, 2]
    assert [model["ref"] for model in told.json["models"]] == [TINY]
    assert read_lock(project / "zoo.lock").scripts == ("eval.py", "src")


def test_the_lock_of_the_project_is_found_from_below(
    zoomgr: Say, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And `-o` and $ZOOMGR_LOCK name another, which need not be there yet."""
    zoomgr("lock", "acme/tiny")
    (project / "deep" / "er").mkdir(parents=True)
    monkeypatch.chdir(project / "deep" / "er")

    assert str(project / "zoo.lock") in zoomgr("lock", TINY).err
    assert read_lock(project / "zoo.lock").entries[TINY].names == ("acme/tiny", TINY)

    zoomgr("lock", "acme/tiny", "-o", "own.lock")
    assert read_lock(Path("own.lock")).entries[TINY].names == ("acme/tiny",)
    monkeypatch.setenv("ZOOMGR_LOCK", "new.lock")
    assert zoomgr("lock", "acme/tiny").code == 0
    assert Path("new.lock").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "problem"),
    [
        ((), 2, "Name weights to lock"),
        (("./w.pth",), 2, "zoomgr add ./w.pth TEAM/NAME"),
        (("acme/huge",), 3, "no model is called"),
        (("--from", "missing.py"), 2, "error[unreadable-script]: missing.py"),
        (("acme/tiny", "-o", "missing/zoo.lock"), 8, "there is no folder missing"),
        (("gone", "acme/tiny"), 3, "gone.pth"),
    ],
)
def test_what_cannot_be_locked_is_an_error_and_nothing_is_written(  # noqa: PLR0913, PLR0917 [the table's]
    zoomgr: Say,
    project: Path,
    lists: ListsModels,
    arguments: tuple[str, ...],
    code: int,
    problem: str,
) -> None:
    """Nor is half of it."""
    lists.write(f'[models.gone]\nurl = "{(project / "gone.pth").as_uri()}"\n')

    told = zoomgr("lock", *arguments)

    assert told.code == code
    assert problem in told.err
    assert list(project.iterdir()) == []


def test_a_damaged_lock_is_not_written_over(zoomgr: Say, project: Path) -> None:
    """It may be a merge that somebody is about to finish."""
    (project / "zoo.lock").write_text("<<<<<<< HEAD\n")

    for verb in (("lock", "acme/tiny"), ("sync",), ("path", "acme/tiny")):
        told = zoomgr(*verb)
        assert told.code == 2
        assert "zoo.lock:1: no TOML" in told.err
    assert (project / "zoo.lock").read_text() == "<<<<<<< HEAD\n"


def test_locking_again_demands_the_locked_file(zoomgr: Say, project: Path, lists: ListsModels) -> None:
    """Where nobody else promises one: another machine must not lock other bytes under the same name."""
    lists.write(one_weak=ONE)
    zoomgr("lock", "one_weak")
    (lists.folder / f"{sha256(ONE)[:4]}.pth").write_bytes(OTHER)
    shutil.rmtree(lists.folder / "cache")

    told = zoomgr("lock", "one_weak")

    assert told.code == 4
    assert "zoo.lock:5" in told.err
    assert read_lock(project / "zoo.lock").entries["registry/one_weak"].digest.hex == sha256(ONE)


def test_a_new_promise_and_a_new_meaning_are_locked_and_told(
    zoomgr: Say, project: Path, lists: ListsModels
) -> None:
    """A catalogue that changed is what `lock` is for; a name takes its entry with it."""
    lists.write(one=ONE, more='[aliases]\nbest = "registry/one"\n')
    zoomgr("lock", "one", "best")
    lists.write(one=OTHER, two=ONE, more='[aliases]\nbest = "registry/two"\n')

    told = zoomgr("lock", "one", "best")

    lock = read_lock(project / "zoo.lock")
    assert f"registry/one is another file now: sha256:{sha256(OTHER)}" in told.err
    assert "best means registry/two now, and registry/one was locked" in told.err
    assert lock.entries["registry/one"].digest.hex == sha256(OTHER)
    assert {ref: entry.names for ref, entry in lock.entries.items()} == {
        "registry/one": ("one",),
        "registry/two": ("best",),
    }


# -- what a lock changes -------------------------------------------------------------------------------------


def test_a_locked_name_means_what_it_meant(zoomgr: Say, project: Path, lists: ListsModels) -> None:
    """Whatever catalogues say since, also when they do not know it any more."""
    lists.write(one=ONE, more='[aliases]\nbest = "registry/one"\n')
    zoomgr("lock", "best")
    lists.write(two=OTHER, more='[aliases]\nbest = "registry/two"\n')
    shutil.rmtree(lists.folder / "cache")

    told = zoomgr("pull", "best")

    assert told.out.split("\t")[:2] == ["registry/one", f"sha256:{sha256(ONE)}"]
    assert zoomgr("show", "registry/one", "--json").json["license"] == "MIT"
    assert zoomgr("pull", "best", "--cache", "elsewhere", "--offline").code == 0  # a file of this disk


def test_what_is_not_locked_works_and_is_told(zoomgr: Say, project: Path, lists: ListsModels) -> None:
    """Once for each; nobody would expect a new try to fail, nor to go unnoticed."""
    lists.write(one=ONE)
    zoomgr("lock", "acme/tiny")

    told = zoomgr("pull", "one", "registry/one")

    assert told.code == 0
    assert told.err.count("registry/one is not in") == 1
    assert "zoomgr lock registry/one adds it" in told.err
    assert "is not in" not in zoomgr("pull", "acme/tiny").err


@pytest.mark.parametrize("verb", ["path", "inspect"])
def test_another_file_in_the_cache_is_an_error(
    zoomgr: Say, project: Path, lists: ListsModels, verb: str
) -> None:
    """It names the line, and what mends it: `sync`."""
    lists.write(one=ONE)
    zoomgr("lock", "one")
    lists.write(one=OTHER)
    zoomgr("lock", "one", "-o", "other.lock")  # brings the other file into the cache

    told = zoomgr(verb, "one")

    assert told.code == 4
    assert "error[lock-differs]: registry/one is not the file that zoo.lock:5 locks" in told.err
    assert sha256(OTHER) in told.err
    synced = zoomgr("sync")
    assert (synced.code, synced.out.split("\t")[1]) == (0, f"sha256:{sha256(ONE)}")
    assert zoomgr("path", "one").code == 0


def test_a_load_obeys_the_lock(project: Path, tmp_path: Path, zoomgr: Say) -> None:
    """One digit of its digest changed, nothing is loaded: not from the cache, not from its source."""
    zoomgr("lock", "acme/tiny")
    assert package.load("acme/tiny").state_dict()["head.weight"].shape == (2, 4)
    good = read_lock(project / "zoo.lock").entries[TINY].digest.hex
    replaced(project / "zoo.lock", good, ("1" if good[0] == "0" else "0") + good[1:])

    for settings, expected in (
        (Settings.from_environment(), LockDiffersError),
        (Settings(tmp_path / "empty", lock_file=project / "zoo.lock"), DigestMismatchError),
    ):
        zoo = Zoo(settings)
        into_own = partial(zoo.load_into, zoo.load("acme/tiny", weights=False))
        for use in (zoo.load, zoo.read, zoo.plan, into_own):
            with pytest.raises(expected, match=r"zoo.lock:5"):
                use("acme/tiny")
    assert list(Zoo(Settings(tmp_path / "empty")).cached()) == []


def test_a_card_that_is_given_gets_the_locked_digest(project: Path, zoomgr: Say) -> None:
    """`available` knows no lock, and what it gives can be loaded."""
    zoomgr("lock", "acme/tiny")
    replaced(project / "zoo.lock", 'sha256 = "', 'sha256 = "' + "0" * 64 + '" # ')
    zoo = Zoo()
    (card,) = zoo.available("acme/tiny@*")

    with pytest.raises(DigestMismatchError, match=r"zoo.lock:5"):
        zoo.pull(card)


def test_a_pin_or_a_promise_that_contradicts_the_lock_is_an_error(
    zoomgr: Say, project: Path, lists: ListsModels
) -> None:
    """One of the two is wrong, and which nobody can tell."""
    lists.write(one=ONE)
    url = (lists.folder / f"{sha256(ONE)[:4]}.pth").as_uri()
    assert zoomgr("lock", TINY, url).code == 0

    told = zoomgr("pull", f"{url}#sha256={sha256(OTHER)}")
    assert (told.code, "lock-differs" in told.err) == (4, True)
    assert zoomgr("pull", f"{url}#sha256={sha256(ONE)}").code == 0

    lists.write(f'[pins]\n"{TINY}" = "{sha256(OTHER)}"\n')
    told = zoomgr("pull", "acme/tiny")
    assert (told.code, "[pins] of the registry" in told.err) == (4, True)


# -- sync ----------------------------------------------------------------------------------------------------


def test_sync_brings_what_is_locked_and_tells_what_there_is_besides(
    zoomgr: Say, project: Path, lists: ListsModels
) -> None:
    """And that stays."""
    lists.write(one=ONE, two=OTHER)
    zoomgr("lock", "one", "acme/tiny")
    shutil.rmtree(lists.folder / "cache")
    zoomgr("pull", "two")

    told = zoomgr("sync")

    assert told.code == 0
    assert [line.split("\t")[0] for line in told.out.splitlines()] == [TINY, "registry/one"]
    assert "besides, the cache has 1 that the lock does not name: registry/two" in told.err
    assert [entry.ref for entry in Zoo().cached()] == [TINY, "registry/one", "registry/two"]
    assert zoomgr("sync", "zoo.lock", "--offline").out == told.out
    assert len(list((lists.folder / "cache" / "v1" / "roots").iterdir())) == 1  # so that `gc` keeps them


def test_sync_names_what_it_cannot_bring(zoomgr: Say, project: Path, lists: ListsModels) -> None:
    """The rest comes all the same."""
    lists.write(one=ONE)
    zoomgr("lock", "one", "acme/tiny")
    shutil.rmtree(lists.folder / "cache")
    (lists.folder / f"{sha256(ONE)[:4]}.pth").unlink()

    told = zoomgr("sync")

    assert told.code == 3
    assert [entry.ref for entry in Zoo().cached()] == [TINY]


@pytest.mark.parametrize(("arguments", "problem"), [((), "there is none"), (("x.lock",), "x.lock")])
def test_sync_without_a_lock_is_an_error(
    zoomgr: Say, project: Path, arguments: tuple[str, ...], problem: str
) -> None:
    """It is not one that names nothing."""
    told = zoomgr("sync", *arguments)

    assert (told.code, "error[invalid-lock]" in told.err, problem in told.err) == (2, True, True)


def test_frozen_takes_a_lock_that_is_what_is_meant(zoomgr: Say, project: Path, lists: ListsModels) -> None:
    """Nothing but the reading of catalogues and scripts is done for it."""
    lists.write(one=ONE)
    (project / "train.py").write_text("import zoomgr\nzoomgr.load('acme/tiny')\nzoomgr.load(unknown)\n")
    zoomgr("lock", "one", (lists.folder / f"{sha256(ONE)[:4]}.pth").as_uri(), "--from", "train.py")

    assert zoomgr("sync", "--frozen").code == 0
    assert zoomgr("sync", "--frozen", "--offline").code == 0


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("digest", f"sha256:{sha256(OTHER)} is promised now, and sha256:{sha256(ONE)} is locked"),
        ("url", "it lies at file:"),
        ("alias", "it means registry/two now, and registry/one is locked"),
        ("gone", "no model is called 'registry/one'"),
        ("card", "its card has another num_classes now"),
        ("adapter", "its adapter is of acme-zoo 1.0 now, and was of acme-zoo 0.9"),
        ("script", "train.py:3  registry/two is not locked"),
        ("no script", "error[unreadable-script]"),
    ],
)
def test_frozen_refuses_a_lock_that_is_not_what_is_meant(
    zoomgr: Say, project: Path, lists: ListsModels, change: str, told: str
) -> None:
    """And changes nothing: neither the lock nor the cache."""
    alias = '[aliases]\nbest = "registry/one"\n'
    lists.write(alias, one=ONE, two=OTHER)
    (project / "train.py").write_text("import zoomgr\nzoomgr.load('acme/tiny')\n")
    assert zoomgr("lock", "registry/one", "best", "--from", "train.py").code == 0
    shutil.rmtree(lists.folder / "cache")
    match change:
        case "digest":
            lists.write(alias, one=OTHER, two=OTHER)
        case "url":
            replaced(lists.folder / "registry.toml", f"{sha256(ONE)[:4]}.pth", "moved.pth")
        case "alias":
            lists.write('[aliases]\nbest = "registry/two"\n', one=ONE, two=OTHER)
        case "gone":
            lists.write('[aliases]\nbest = "acme/tiny"\n', two=OTHER)
        case "card":
            replaced(lists.folder / "registry.toml", "[models.one]\n", "[models.one]\nnum_classes = 3\n")
        case "adapter":
            replaced(project / "zoo.lock", 'version = "1.0"', 'version = "0.9"')
        case "script":
            with (project / "train.py").open("a") as file:
                file.write("zoomgr.load('registry/two')\n")
        case "no script":
            (project / "train.py").unlink()
    before = (project / "zoo.lock").read_text()

    refused = zoomgr("sync", "--frozen")

    assert refused.code == 2
    assert told in refused.err
    assert (project / "zoo.lock").read_text() == before
    assert not (lists.folder / "cache").exists()
