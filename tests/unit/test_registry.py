"""registry.toml: what it says, and what it must not."""

from __future__ import annotations

from pathlib import Path

import pytest

from zoomgr.errors import InvalidRegistryError
from zoomgr.records import Digest, ModelRef
from zoomgr.registry import Registry


def load(tmp_path: Path, *texts: str) -> Registry:
    """The registry of these files, first wins, and the shipped one."""
    paths = [tmp_path / f"{number}.toml" for number in range(len(texts))]
    for path, text in zip(paths, texts, strict=True):
        path.write_text(text)
    return Registry.load(paths)


def test_the_shipped_registry_orders_the_sources_and_has_the_first_models(tmp_path: Path) -> None:
    """With no file of one's own."""
    registry = load(tmp_path)

    assert registry.order == ("torchvision", "timm")
    assert set(registry.models) == {"efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2"}
    for card in registry.models.values():
        assert card.artifact
        assert card.artifact.digest
        assert not card.artifact.digest.is_weak


def test_earlier_files_win_and_later_ones_add(tmp_path: Path) -> None:
    """A site's registry stays in force below a user's own."""
    mine = 'version = 1\n[sources]\norder = ["acme"]\n[aliases]\nnet = "acme/tiny"\n'
    site = 'version = 1\n[sources]\norder = ["timm"]\n[aliases]\nnet = "timm/vgg16"\nother = "timm/vgg11"\n'

    registry = load(tmp_path, mine, site)

    assert registry.order == ("acme",)
    assert registry.aliases["net"] == ModelRef("tiny", "acme")
    assert registry.aliases["other"] == ModelRef("vgg11", "timm")
    assert "efficientnet_lite0" in registry.models


def test_pins_and_mirrors_are_read(tmp_path: Path) -> None:
    """A pin is a whole digest; mirrors are a list in order, and end in a slash as the prefix does."""
    text = f"""
version = 1
[pins]
"torchvision/vgg16@imagenet1k_v1" = "sha256:{"a" * 64}"
[mirrors]
"https://origin.example/" = ["http://one/", "/mnt/my zoo/", "/mnt/zoo"]
"""

    registry = load(tmp_path, text)

    assert registry.pins == {"torchvision/vgg16@imagenet1k_v1": Digest("a" * 64)}
    assert registry.mirrors == {
        "https://origin.example/": ("http://one/", "file:///mnt/my%20zoo/", "file:///mnt/zoo/")
    }


@pytest.mark.parametrize(
    ("text", "line", "problem"),
    [
        ("version = 1\n[models.x\n", 2, "no TOML"),
        ("version = 2\n", 1, "version must be 1"),
        ("", 0, "version must be 1"),
        ("version = 1\n[modles.x]\n", 2, "has no key 'modles'"),
        ('version = 1\n[models.x]\narchitecture = "a/b"\n', 3, "models.x has no key 'architecture'"),
        (
            "version = 1\n[models.a]\nin_ch = 3\n[models.b]\nin_ch = 0\n",
            5,
            "models.b.in_ch must be 1 or more",
        ),
        ("version = 1\n[models.x]\nnum_classes = -5\n", 3, "must be 1 or more"),
        ('version = 1\n[models.x]\nurl = "https://h/x"\nurls = ["https://h/y"]\n', 3, "both url and urls"),
        ('version = 1\n[models.x]\narch = "registry/x"\n', 3, "must be FAMILY/NAME"),
        ('version = 1\n[models."a b"]\n', 2, "is not a reference"),
        ('version = 1\n[models."a/b"]\n', 2, "cannot be written as a name"),
        ("version = 1\nmodels = 3\n", 2, "models must be a table"),
        (f'version = 1\n[pins]\nvgg16 = "{"a" * 64}"\n', 3, "a pin must name one file"),
        (f'version = 1\n[pins]\n"torchvision/vgg16" = "{"a" * 64}"\n', 3, "a pin must name one file"),
        ("version = 1\n[models.x]\nurl = 3\n", 3, "wrong type"),
        ('version = 1\n[models.x]\nurl = "https://h/x.pth"\nsha256 = "12"\n', 4, "not a sha256"),
        ('version = 1\n[pins]\n"timm/x@y" = "01234567"\n', 3, "a pin needs all 64 digits"),
        ('version = 1\n[mirrors]\n"https://h/" = "http://m/"\n', 3, "wrong type"),
        ('version = 1\n[mirrors]\n"https://h/" = ["m/zoo"]\n', 3, "neither a URL nor an absolute path"),
        ('version = 1\n[mirrors]\n"https://h/" = ["http://m/?a=1"]\n', 3, "no path can be added"),
        ('version = 1\n[mirrors]\n"https://h/" = ["file://mnt/zoo"]\n', 3, "three slashes"),
        ('version = 1\n[mirrors]\n"download.example" = ["/mnt/zoo"]\n', 3, "with their scheme"),
        ('version = 1\n[mirrors]\n"" = ["/mnt/zoo"]\n', 3, "with their scheme"),
        ('version = 1\n[models.x]\nurl = "x.pth"\n', 3, "'x.pth' is no URL"),
        ('version = 1\n[models.x]\nurls = ["https://h/x.pth", ""]\n', 3, "it is empty"),
        ('version = 1\n[models.x]\nnum_classes = 3\nlabels = ["a"]\n', 4, "1 names for 3 classes"),
        ('version = 1\n[aliases]\n"team/x" = "timm/vgg16"\n', 3, "cannot be written as a name"),
        ('version = 1\n[aliases]\n"./x.pth" = "timm/vgg16"\n', 3, "cannot be written as a name"),
        ('version = 1\n[aliases]\nx = "a b"\n', 3, "is not a reference"),
        ("version = 1\n[sources]\norder = 3\n", 3, "must be a list of strings"),
    ],
)
def test_what_means_nothing_is_an_error_with_its_line(
    tmp_path: Path, text: str, line: int, problem: str
) -> None:
    """A key that is silently ignored is a pin that does not hold."""
    with pytest.raises(InvalidRegistryError, match=problem) as caught:
        load(tmp_path, text)

    assert line == caught.value.line


def test_a_misspelt_key_gets_its_close_match(tmp_path: Path) -> None:
    """`mirors` is not the same as no mirrors."""
    with pytest.raises(InvalidRegistryError, match="did you mean mirrors"):
        load(tmp_path, "version = 1\n[mirors]\n")


def test_an_alias_of_an_alias_is_an_error(tmp_path: Path) -> None:
    """A chain could be a circle, and says nothing that one step does not."""
    with pytest.raises(InvalidRegistryError, match="which is an alias itself"):
        load(tmp_path, 'version = 1\n[aliases]\na = "b"\nb = "timm/vgg16"\n')


def test_a_file_that_is_no_text_is_an_error(tmp_path: Path) -> None:
    """As after a disk fault."""
    (tmp_path / "x.toml").write_bytes(b"\xff\xfe\x00")

    with pytest.raises(InvalidRegistryError, match=r"x\.toml"):
        Registry.load([tmp_path / "x.toml"])
