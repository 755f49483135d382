"""Settings: the environment, and what beats it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

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
            "ZOOMGR_DISABLE_PLUGINS": "a, b,",
        }
    )

    assert settings.cache_dir == tmp_path / "c"
    assert settings.cache_layers == (Path("/group/zoo"), Path("/site/zoo"))
    assert settings.registry_files == (tmp_path / "r.toml",)
    assert settings.offline
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


def test_a_registry_that_is_named_must_be_there(tmp_path: Path) -> None:
    """A pin in a file that is silently not found would not hold."""
    with pytest.raises(InvalidSettingError, match="no such file"):
        Settings.from_environment({"ZOOMGR_REGISTRY": str(tmp_path / "gone.toml")})
