"""Verbs that need no torch never import it: asked of a process of their own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = (
    "torch",
    "torchvision",
    "timm",
    "requests",
    "numpy",
    "PIL",
    "rich",
    "pypi_simple",
    "huggingface_hub",
    "safetensors",
    "truststore",
)


def heavy_modules_after(*arguments: str) -> set[str]:
    """Which heavy modules a run of the command has imported."""
    code = f"""
import json, sys
from zoomgr.cli.main import main
try:
    main({list(arguments)!r})
except SystemExit as stop:
    assert not stop.code, stop.code
print(json.dumps([name for name in {HEAVY!r} if name in sys.modules]))
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(json.loads(run.stdout.splitlines()[-1]))


@pytest.mark.parametrize(
    "arguments",
    [
        ("--help",),
        ("list", "--help"),
        ("list", "resnet*"),
        ("list", "--cached"),
        ("which", "resnet50"),
        ("show", "vgg16"),
        ("show", "hf://timm/resnet10t.c3_in1k"),
        ("verify",),
        ("gc", "--unused", "90d"),
        ("pin", "--list"),
        ("du",),
        ("adopt", "--dry-run"),
        ("inventory",),
        ("expose", "torch-hub", "--to", "exposed"),
        ("mirror", "sync", "site"),
        ("plugins",),
    ],
    ids=" ".join,
)
def test_a_verb_about_names_imports_nothing_heavy(
    arguments: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Listing models must not cost the seconds that importing torch does."""
    monkeypatch.chdir(tmp_path)
    assert set() == heavy_modules_after(*arguments)


@pytest.mark.usefixtures("acme")
def test_pull_path_and_rm_import_no_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    """A login node without torch can feed the cache."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1] / "data" / "acme"))

    for verb in ("pull", "path", "rm"):
        assert set() == heavy_modules_after(verb, "acme/tiny")


@pytest.mark.usefixtures("acme")
def test_lock_and_sync_import_no_torch(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nor does reading scripts."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1] / "data" / "acme"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train.py").write_text("import zoomgr\nzoomgr.load('acme/tiny')\n")

    assert set() == heavy_modules_after("lock", "--from", "train.py")
    assert set() == heavy_modules_after("sync", "--frozen")


@pytest.mark.usefixtures("acme")
def test_a_policy_needs_no_torch(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nor does what a format is known by."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1] / "data" / "acme"))
    policy = '[policy]\nallow = ["mit"]\nformats = ["acme", "torch-zip"]\n'
    (tmp_path / "registry.toml").write_text(f"version = 1\n{policy}")

    assert set() == heavy_modules_after("pull", "acme/tiny", "--registry", str(tmp_path / "registry.toml"))


def test_inspect_of_safetensors_imports_no_torch(tmp_path: Path) -> None:
    """The header is JSON; nothing else is needed."""
    header = json.dumps({"w": {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]}}).encode()
    (tmp_path / "w.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + bytes(16))

    assert set() == heavy_modules_after("inspect", str(tmp_path / "w.safetensors"))
    assert set() == heavy_modules_after("inspect", "--tree", str(tmp_path / "w.safetensors"))


def test_importing_zoomgr_imports_nothing_heavy() -> None:
    """The facade is lazy."""
    code = f"import sys, zoomgr, zoomgr.api; print([name for name in {HEAVY!r} if name in sys.modules])"

    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert run.stdout.strip() == "[]"
