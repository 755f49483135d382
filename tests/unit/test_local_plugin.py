"""Paths and globs mean exactly one file, or are an error that lists what they could mean."""

from __future__ import annotations

from pathlib import Path

import pytest
from servers.caches import sha256
from servers.callers import run_bound_by_modes

from zoomgr.api import AmbiguousPathError, Digest, Locator, ModelCard, ModelRef, NoSuchFileError
from zoomgr.cache.fetch import Fetcher
from zoomgr.cache.progress import SilentProgress
from zoomgr.cache.store import Store
from zoomgr_local import LocalLocator
from zoomgr_url.files import FileTransport


def card_of(text: str) -> ModelCard:
    """What the plugin makes of a path."""
    return LocalLocator().locate(ModelRef(text, scheme="path"))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with three files; it is also the home folder."""
    for name in ("vgg16-397923af.pth", "vgg16_bn.pth", "a [1]#%ü.pth"):
        (tmp_path / name).write_bytes(name.encode())
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def test_the_plugin_fulfils_the_protocol() -> None:
    """It understands paths."""
    assert isinstance(LocalLocator(), Locator)


@pytest.mark.parametrize(
    "text",
    [
        "vgg16_bn.pth",
        "./vgg16_bn.pth",
        "~/vgg16_bn.pth",
        "./vgg16_*.pth",
        "./**/vgg16_b?.pth",
        "[v]gg16_bn.pth",
        "./sub/../vgg16_bn.pth",
    ],
)
def test_a_path_or_glob_means_one_file(folder: Path, text: str) -> None:
    """However it is written, the card has the absolute path and the size."""
    (folder / "sub").mkdir()

    card = card_of(text)

    assert card.artifact is not None
    assert str(card.ref) == str(folder / "vgg16_bn.pth")
    assert card.ref.scheme == "path"
    assert card.artifact.urls == ((folder / "vgg16_bn.pth").as_uri(),)
    assert (card.artifact.filename, card.artifact.size_bytes) == ("vgg16_bn.pth", 12)


def test_an_absolute_path_is_as_good(folder: Path) -> None:
    """And so is an absolute glob."""
    assert card_of(str(folder / "vgg16_bn.pth")) == card_of(str(folder / "*_bn.pth"))


def test_brackets_may_be_part_of_a_name(folder: Path) -> None:
    """A file of exactly that name is meant before any pattern; its URL can be opened."""
    card = card_of("./a [1]#%ü.pth")

    assert card.artifact is not None
    with FileTransport().open(card.artifact.urls[0]) as body:
        assert b"".join(body) == "a [1]#%ü.pth".encode()


def test_the_file_name_may_promise_a_digest(folder: Path) -> None:
    """As it does for URLs; a name without one promises nothing."""
    named, plain = card_of("./vgg16-397923af.pth").artifact, card_of("vgg16_bn.pth").artifact

    assert named is not None
    assert plain is not None
    assert (named.digest, named.promised_by) == (Digest("397923af"), "the file name")
    assert (plain.digest, plain.promised_by) == (None, "")


def test_several_matches_are_listed(folder: Path) -> None:
    """None is guessed."""
    with pytest.raises(AmbiguousPathError) as caught:
        card_of("./vgg16*.pth")

    assert caught.value.matches == ("./vgg16-397923af.pth", "./vgg16_bn.pth")


def test_a_missing_file_comes_with_close_names(folder: Path) -> None:
    """Of the same folder."""
    with pytest.raises(NoSuchFileError) as caught:
        card_of("./vgg16-bn.pth")

    assert caught.value.pattern == "./vgg16-bn.pth"
    assert "vgg16_bn.pth" in caught.value.close


@pytest.mark.parametrize(
    "text",
    [
        "./nowhere/x.pth",
        "./*.safetensors",
        "~nobody-of-this-name/x.pth",
        "./",
        "./sub",
        "./vgg16_bn.pth/x.pth",
        f"./{'x' * 300}.pth",
        f"./{'x' * 300}*.pth",
        f"./{'x' * 300}/y.pth",
        "./a\0b.pth",
        "./a\0b/*.pth",
        "./loop",
    ],
)
def test_what_matches_no_file_is_an_error(folder: Path, text: str) -> None:
    """No folder, no match, no such user, a folder, a name that no file can have, a loop of links."""
    (folder / "sub").mkdir()
    (folder / "loop").symlink_to("loop")

    with pytest.raises(NoSuchFileError):
        card_of(text)


def test_a_file_in_a_closed_folder_is_an_error_that_says_so(folder: Path) -> None:
    """Nobody can tell whether it is there, nor what else a glob would match."""
    (folder / "shut").mkdir()
    (folder / "shut" / "x.pth").write_bytes(b"x")
    (folder / "shut").chmod(0)
    program = (
        "from zoomgr.api import ModelRef, ZoomgrError; from zoomgr_local import LocalLocator\n"
        "for text in ('./shut/x.pth', './shut/*.pth'):\n"
        "    try: LocalLocator().locate(ModelRef(text, scheme='path'))\n"
        "    except ZoomgrError as error: print(error.code, getattr(error, 'reason', ''))\n"
    )
    try:
        said = run_bound_by_modes(program)
    finally:
        (folder / "shut").chmod(0o755)

    assert said.count("unreadable-checkpoint PermissionError") == 2


def test_a_folder_is_no_match(folder: Path) -> None:
    """Only files count."""
    (folder / "vgg16_bn.d").mkdir()

    assert str(card_of("./vgg16_bn.*").ref) == str(folder / "vgg16_bn.pth")


def test_a_local_file_goes_into_the_cache_like_any_other(folder: Path) -> None:
    """By way of its file URL, offline too."""
    artifact = card_of("vgg16_bn.pth").artifact
    assert artifact is not None
    fetcher = Fetcher(
        Store(folder / "cache"), {"file": FileTransport()}, {}, offline=True, progress=SilentProgress()
    )

    entry = fetcher.fetch(artifact, ref="local", license="")

    assert entry.path.read_bytes() == b"vgg16_bn.pth"
    assert entry.digest.hex == sha256(b"vgg16_bn.pth")
