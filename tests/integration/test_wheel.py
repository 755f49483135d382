"""The built wheel is whole: in an empty environment without torch it lists, shows and verifies."""

from __future__ import annotations

import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

pytestmark = [pytest.mark.index, pytest.mark.slow]

ROOT = Path(__file__).parents[2]
LIGHT = ("click", "packaging", "platformdirs", "pluggy")
"""All that the verbs which need no torch need."""


def run(*command: str | Path) -> str:
    """What a command prints; it must succeed."""
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False, cwd="/")
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from the checkout, without an environment of its own for the build."""
    folder = tmp_path_factory.mktemp("dist")
    options: list[str | Path] = ["--no-deps", "--no-build-isolation", "--quiet", "--wheel-dir", folder]
    run(sys.executable, "-m", "pip", "wheel", *options, ROOT)
    (built,) = folder.glob("zoomgr-*.whl")
    return built


def test_the_wheel_has_the_data_and_none_of_the_tests(wheel: Path) -> None:
    """Registry, catalogues, labels, licence; what a source checkout finds beside the package."""
    names = set(zipfile.ZipFile(wheel).namelist())

    assert {
        "zoomgr/registry.toml",
        "zoomgr/py.typed",
        "zoomgr/labels/imagenet-1k.txt",
        "zoomgr/airgap/licence_texts/mit.txt",
        *(f"zoomgr/airgap/page/templates/{name}.html" for name in ("page", "line", "index", "model")),
        *(
            f"zoomgr/airgap/page/assets/{name}"
            for name in ("catalogue.css", "catalogue.js", "copy.js", "icon.svg")
        ),
        "zoomgr_torchvision/catalogue.json",
        *(f"zoomgr_{zoo}/catalogue.json" for zoo in ("timm", "cadene", "gluon", "resnest")),
    } <= names
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert {name.split("/")[0] for name in names if "dist-info" not in name} == {
        "zoomgr",
        *(folder.name for folder in (ROOT / "plugins").iterdir() if folder.is_dir()),
    }


def test_an_environment_without_torch_lists_and_verifies(wheel: Path, tmp_path: Path) -> None:
    """As on a login node: the verbs that need no torch work without it."""
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv" / "bin" / "python"
    pinned: list[str | Path] = ["-c", ROOT / "constraints.txt", *LIGHT]
    run(python, "-m", "pip", "install", "--quiet", *pinned)
    run(python, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", wheel)
    zoomgr = tmp_path / "venv" / "bin" / "zoomgr"

    listed = run(zoomgr, "list").splitlines()

    assert len(listed) > 2000
    assert any(line.startswith("registry/efficientnet_lite0\t") for line in listed)
    assert "tf_efficientnet_lite0" in run(zoomgr, "show", "efficientnet_lite0")
    assert run(zoomgr, "verify", "--cache", tmp_path / "cache") == ""
    assert "failed" not in run(zoomgr, "plugins")
