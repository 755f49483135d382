"""Licences and formats that a site allows, and where that is applied."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from servers.caches import left_behind

from zoomgr.checkpoint.reading import BUILT_IN
from zoomgr.errors import InvalidRegistryError, PolicyRefusedError
from zoomgr.policy import BUILT_IN_FORMATS, Policy
from zoomgr.registry import Registry
from zoomgr.zoo import Zoo

MakeZoo = Callable[..., Zoo]


# -- licences ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("policy", "license_"),
    [
        (Policy(), "CC-BY-NC-4.0"),
        (Policy(deny=("cc-by-nc-*",)), "apache-2.0"),
        (Policy(allow=("MIT", "apache-*")), "Apache-2.0"),
        (Policy(allow=("mit",)), ""),
        (Policy(allow=("mit", "apache-2.0")), "(MIT OR Apache-2.0)"),
        (Policy(allow=("https://host.example/*",)), "https://host.example/LICENSE"),
        (Policy(allow=("gpl-2.0 with *",)), "GPL-2.0 WITH Classpath-exception-2.0"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_the_policy_does_not_forbid_passes(policy: Policy, license_: str) -> None:
    """Globs, in any case; an unpublished licence is allowed unless the policy says otherwise."""
    policy.check_license("a/b", license_)


@pytest.mark.parametrize(
    ("policy", "license_", "problem", "rule"),
    [
        (Policy(deny=("CC-BY-NC-*",)), "cc-by-nc-4.0", "is denied", "deny 'CC-BY-NC-*'"),
        (Policy(allow=("mit",)), "gemma", "not among those allowed", "allows mit"),
        (Policy(allow=("*",), deny=("gemma",)), "gemma", "is denied", "deny 'gemma'"),
        (Policy(unknown="deny"), "", "no licence is published", 'unknown = "deny"'),
        (Policy(unknown="deny"), "Unknown", "no licence is published", 'unknown = "deny"'),
        (Policy(unknown="deny"), "NOASSERTION", "no licence is published", 'unknown = "deny"'),
        (Policy(deny=("cc-by-nc-*",)), "MIT OR CC-BY-NC-4.0", "is denied", "deny"),
        (Policy(allow=("mit",)), "(MIT) AND (Apache-2.0)", "not among those allowed", "allows mit"),
    ],
)
def test_what_the_policy_forbids_is_refused_with_the_rule(
    policy: Policy, license_: str, problem: str, rule: str
) -> None:
    """Deny decides over allow; of an expression each licence must pass."""
    with pytest.raises(PolicyRefusedError, match=problem) as caught:
        policy.check_license("a/b", license_)

    assert rule in caught.value.rule


# -- formats -------------------------------------------------------------------------------------------------


def test_the_formats_that_a_name_can_mean_are_those_that_there_are() -> None:
    """A format that is renamed must not slip through by its file's name."""
    assert {one.name for one in BUILT_IN} == set(BUILT_IN_FORMATS)


def test_a_file_name_is_refused_when_no_format_of_it_is_allowed() -> None:
    """Before a byte is fetched; what a name leaves open is left to the content."""
    only = Policy(formats=("safetensors",))

    with pytest.raises(PolicyRefusedError, match=r"a \.pth file is of the format torch-zip or torch-legacy"):
        only.check_filename("a/b", "x.pth")
    only.check_filename("a/b", "x.safetensors")
    only.check_filename("a/b", "x.bin")
    Policy().check_filename("a/b", "x.pth")
    Policy(formats=("torch-legacy",)).check_filename("a/b", "x.pth")
    Policy(formats=("acme",)).check_filename("a/b", "x.pth")


def test_a_format_must_be_among_those_allowed() -> None:
    """None listed means all; a file that no format knows is of none of them."""
    only = Policy(formats=("safetensors",))

    only.check_format("a/b", "safetensors")
    Policy().check_format("a/b", "")
    for name in ("torch-zip", ""):
        with pytest.raises(PolicyRefusedError, match="not among those allowed"):
            only.check_format("a/b", name)


# -- in the registry -----------------------------------------------------------------------------------------


def test_the_first_file_that_has_a_policy_decides(tmp_path: Path) -> None:
    """Two merged would allow what neither of them does."""
    mine, site, none = (tmp_path / name for name in ("mine.toml", "site.toml", "none.toml"))
    none.write_text("version = 1\n")
    mine.write_text('version = 1\n[policy]\ndeny = ["gemma"]\n')
    site.write_text('version = 1\n[policy]\nallow = ["mit"]\nunknown = "deny"\nformats = ["safetensors"]\n')

    assert Registry.load([none, mine, site]).policy == Policy(deny=("gemma",), path=str(mine))
    assert Registry.load([site, mine]).policy == Policy(("mit",), (), "deny", ("safetensors",), str(site))
    assert Registry.load([none]).policy is None


@pytest.mark.parametrize(
    ("text", "line", "problem"),
    [
        ('version = 1\n[policy]\nalow = ["mit"]\n', 3, "did you mean allow"),
        ('version = 1\n[policy]\nunknown = "warn"\n', 3, 'must be "allow" or "deny"'),
        ("version = 1\n[policy]\nunknown = []\n", 3, 'must be "allow" or "deny"'),
        ('version = 1\n[policy]\ndeny = "gemma"\n', 3, "must be a list of strings"),
        ("version = 1\npolicy = 3\n", 2, "policy must be a table"),
    ],
)
def test_a_policy_that_means_nothing_is_an_error_with_its_line(
    tmp_path: Path, text: str, line: int, problem: str
) -> None:
    """Whoever wrote it believes that it holds."""
    (tmp_path / "x.toml").write_text(text)

    with pytest.raises(InvalidRegistryError, match=problem) as caught:
        Registry.load([tmp_path / "x.toml"])

    assert caught.value.line == line


def test_a_format_that_nobody_provides_is_an_error(make_zoo: MakeZoo) -> None:
    """It would forbid every file of the one that was meant."""
    zoo = make_zoo('version = 1\n[policy]\nformats = ["safetensor"]\n', offline=True)

    with pytest.raises(InvalidRegistryError, match="did you mean safetensors"):
        zoo.pull("vgg16")


# -- in the Zoo ----------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("acme", "no_sockets")
@pytest.mark.parametrize("verb", ["pull", "load", "read", "inspect", "plan"])
def test_a_licence_is_refused_before_anything_is_fetched(make_zoo: MakeZoo, verb: str) -> None:
    """Whatever the weights are wanted for."""
    zoo = make_zoo('version = 1\n[policy]\ndeny = ["mit"]\n')

    with pytest.raises(PolicyRefusedError, match="its licence MIT is denied") as caught:
        getattr(zoo, verb)("acme/tiny")

    assert not zoo.settings.cache_dir.exists()
    assert caught.value.path.endswith("registry.toml")


@pytest.mark.usefixtures("acme")
def test_a_licence_is_refused_of_what_is_cached_already(make_zoo: MakeZoo) -> None:
    """A policy that came later holds too."""
    make_zoo().pull("acme/tiny")
    zoo = make_zoo('version = 1\n[policy]\nallow = ["apache-2.0"]\n')

    with pytest.raises(PolicyRefusedError):
        zoo.load("acme/tiny")


@pytest.mark.usefixtures("acme")
def test_a_format_is_refused_by_content_and_nothing_stays(make_zoo: MakeZoo, tmp_path: Path) -> None:
    """A file name says nothing of a plugin's format."""
    refusing = make_zoo('version = 1\n[policy]\nformats = ["safetensors"]\n')

    with pytest.raises(PolicyRefusedError, match="its format acme is not among those allowed"):
        refusing.pull("acme/tiny")
    assert left_behind(tmp_path / "cache") == []
    allowing = make_zoo('version = 1\n[policy]\nformats = ["acme"]\n')
    assert allowing.pull("acme/tiny").ref == "acme/tiny@v1"
    with pytest.raises(PolicyRefusedError):
        refusing.load("acme/tiny")


def test_a_local_file_must_be_of_an_allowed_format_and_needs_no_licence(
    make_zoo: MakeZoo, tmp_path: Path
) -> None:
    """It is the user's own, or one that was got by other ways."""
    torch.save({"weight": torch.ones(2)}, tmp_path / "x.pth")
    strict = make_zoo('version = 1\n[policy]\nunknown = "deny"\nformats = ["torch-zip"]\n')

    assert strict.read(tmp_path / "x.pth").format == "torch-zip"
    narrow = make_zoo('version = 1\n[policy]\nformats = ["safetensors"]\n')
    for verb in (narrow.read, narrow.inspect):
        with pytest.raises(PolicyRefusedError, match="torch-zip is not among those allowed"):
            verb(tmp_path / "x.pth")


def test_weights_of_ones_own_need_a_licence_that_is_allowed(make_zoo: MakeZoo, tmp_path: Path) -> None:
    """They are for others to use."""
    torch.save({"weight": torch.ones(2)}, tmp_path / "x.pth")
    zoo = make_zoo('version = 1\n[policy]\nallow = ["mit"]\nunknown = "deny"\n')

    with pytest.raises(PolicyRefusedError, match="no licence is published"):
        zoo.add(tmp_path / "x.pth", "team/x")
    with pytest.raises(PolicyRefusedError, match="gemma"):
        zoo.add(tmp_path / "x.pth", "team/x", license="gemma")
    assert zoo.add(tmp_path / "x.pth", "team/x", license="MIT").license == "MIT"
