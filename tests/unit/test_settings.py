"""Settings: the environment, and what beats it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from servers.callers import run_bound_by_modes

from zoomgr.errors import InvalidSettingError
from zoomgr.settings import Settings


def test_the_environment_is_read(tmp_path: Path) -> None:
    """Every variable there is."""
    (tmp_path / "r.toml").write_text("version = 1\n")

    settings = Settings.from_environment(
        {
            "ZOOMGR_CACHE": str(tmp_path / "c"),
            "ZOOMGR_CACHE_LAYERS": os.pathsep.join(["/group/zoo", "", "/site/zoo"]),
            "ZOOMGR_REGISTRY": str(tmp_path / "r.toml"),
            "ZOOMGR_OFFLINE": "1",
            "ZOOMGR_MIRROR": "https://m/zoo/, /mnt/my zoo,,s3://bucket/zoo",
            "ZOOMGR_DISABLE_PLUGINS": "a, b,",
        }
    )

    assert settings.cache_dir == tmp_path / "c"
    assert settings.cache_layers == (Path("/group/zoo"), Path("/site/zoo"))
    assert settings.registry_files == (tmp_path / "r.toml",)
    assert settings.offline
    assert settings.mirrors == ("https://m/zoo/", "file:///mnt/my%20zoo", "s3://bucket/zoo")
    assert settings.disabled_plugins == {"a", "b"}


def test_options_beat_the_environment_and_its_registry_comes_after(tmp_path: Path) -> None:
    """--registry is searched before $ZOOMGR_REGISTRY."""
    for name in ("one.toml", "two.toml"):
        (tmp_path / name).write_text("version = 1\n")
    environ = {"ZOOMGR_CACHE": "/elsewhere", "ZOOMGR_REGISTRY": str(tmp_path / "two.toml")}

    settings = Settings.from_environment(
        environ, cache_dir=tmp_path / "mine", registry=tmp_path / "one.toml", offline=True
    )

    assert settings.cache_dir == tmp_path / "mine"
    assert settings.registry_files == (tmp_path / "one.toml", tmp_path / "two.toml")
    assert settings.offline


def test_the_registry_of_the_users_config_folder_comes_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Found without being named."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    (tmp_path / "zoomgr").mkdir()
    (tmp_path / "zoomgr" / "registry.toml").write_text("version = 1\n")

    assert Settings.from_environment({}).registry_files == (tmp_path / "zoomgr" / "registry.toml",)


def test_a_flag_that_is_neither_true_nor_false_is_an_error() -> None:
    """`ZOOMGR_OFFLINE=of` must not mean online."""
    with pytest.raises(InvalidSettingError, match="ZOOMGR_OFFLINE=of"):
        Settings.from_environment({"ZOOMGR_OFFLINE": "of"})


NO_PATHS = [
    ({"cache_dir": ""}, {}, "--cache=: it is empty"),
    ({"registry": ""}, {}, "--registry=: it is empty"),
    ({"cache_dir": "~no-such-user/x"}, {}, "--cache=~no-such-user/x: there is no such home folder"),
    ({"registry": Path("~no-such-user/x")}, {}, "--registry=~no-such-user/x: there is no such home folder"),
    ({}, {"ZOOMGR_CACHE": "~no-such-user/x"}, "ZOOMGR_CACHE=~no-such-user/x: there is no such home folder"),
    ({}, {"ZOOMGR_CACHE_LAYERS": "/a:~zz-none/x"}, "ZOOMGR_CACHE_LAYERS=~zz-none/x: there is no such home"),
    ({"registry": "r" * 300}, {}, "File name too long"),
    ({"cache_dir": "c" * 300}, {}, "File name too long"),
    ({}, {"ZOOMGR_REGISTRY": "r" * 300}, "File name too long"),
]


@pytest.mark.parametrize(("options", "environ", "says"), NO_PATHS)
def test_a_path_that_cannot_be_one_is_an_error_of_ours(
    options: dict[str, Any], environ: dict[str, str], says: str
) -> None:
    """It names the option or the variable; an empty option is an accident of somebody's script."""
    with pytest.raises(InvalidSettingError, match=says):
        Settings.from_environment(environ, **options)


def test_an_empty_variable_is_an_unset_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """That is how a shell switches one off."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    assert Settings.from_environment({"ZOOMGR_CACHE": ""}).cache_dir == tmp_path / "zoomgr"


@pytest.mark.parametrize("name", ["--cache", "ZOOMGR_CACHE"])
def test_a_cache_that_is_a_file_is_an_error(tmp_path: Path, name: str) -> None:
    """It would be listed as an empty one."""
    path = tmp_path / "net.pth"
    path.write_bytes(b"weights")
    option, variable = (path, "/elsewhere") if name == "--cache" else (None, str(path))

    with pytest.raises(InvalidSettingError, match="it is a file") as caught:
        Settings.from_environment({"ZOOMGR_CACHE": variable}, cache_dir=option)

    assert caught.value.name == name


def test_a_registry_in_a_closed_folder_is_an_error(tmp_path: Path) -> None:
    """Whether it was named or is the user's own: a pin that cannot be read would not hold."""
    (tmp_path / "zoomgr").mkdir()
    (tmp_path / "zoomgr" / "registry.toml").write_text("version = 1\n")
    (tmp_path / "zoomgr").chmod(0)
    program = (
        "import os; from zoomgr.errors import InvalidSettingError; from zoomgr.settings import Settings\n"
        f"os.environ['XDG_CONFIG_HOME'] = {str(tmp_path)!r}\n"
        f"for options in ({{'registry': {str(tmp_path / 'zoomgr/registry.toml')!r}}}, {{}}):\n"
        "    try: Settings.from_environment({}, **options)\n"
        "    except InvalidSettingError as error: print(error.name, error.problem)\n"
    )
    try:
        said = run_bound_by_modes(program)
    finally:
        (tmp_path / "zoomgr").chmod(0o755)

    assert [line.split(" ")[0] for line in said.splitlines()] == ["--registry", "registry.toml"]
    assert said.count("Permission denied") == 2


def test_a_registry_that_is_named_must_be_there(tmp_path: Path) -> None:
    """A pin in a file that is silently not found would not hold."""
    with pytest.raises(InvalidSettingError, match="no such file"):
        Settings.from_environment({"ZOOMGR_REGISTRY": str(tmp_path / "gone.toml")})


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("zoo", "neither a URL nor an absolute path"),
        ("./zoo", "neither a URL nor an absolute path"),
        ("m.example.org/zoo", "neither a URL nor an absolute path"),
        ("~no-such-user/zoo", "no such home folder"),
        ("https://", "it names no host"),
        ("https://me:hunter2@", "it names no host"),
        ("://m/zoo", "it names no host"),
        ("https://[::1/zoo", "IPv6"),
        ("https://me:hunter2@m/zoo?token=s3cret", "no path can be added"),
        ("https://m/zoo#top", "no path can be added"),
    ],
)
def test_a_mirror_that_can_be_none_is_an_error(text: str, problem: str) -> None:
    """It would be passed over in silence for every file; a URL's login is not shown."""
    with pytest.raises(InvalidSettingError, match=problem) as caught:
        Settings.from_environment({"ZOOMGR_MIRROR": f"/mnt/zoo,{text}"})

    assert caught.value.name == "ZOOMGR_MIRROR"
    assert not any(secret in str(caught.value) for secret in ("hunter2", "s3cret"))
