"""The tutorial builds a plugin that works: its files are written as they stand there, its commands run."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "plugin-tutorial.md"
_BLOCK = re.compile(r'^```(\w+)(?: title="([^"]+)")?\n(.*?)^```', re.MULTILINE | re.DOTALL)


@pytest.mark.slow
def test_the_plugin_of_the_tutorial_is_installed_and_used(tmp_path: Path) -> None:
    """From an empty folder, by pip; what is installed goes into a folder of the test."""
    project, site = tmp_path / "project", tmp_path / "site"
    project.mkdir()
    script = ["set -e", "exec 2>&1"]
    for language, title, text in _BLOCK.findall(PAGE.read_text()):
        if title:
            (project / title).write_text(text)
        elif language == "bash":
            script.append(text)

    told = subprocess.run(
        ["bash", "-c", "\n".join(script)],
        cwd=project,
        env={
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PIP_TARGET": str(site),
            "PIP_NO_DEPS": "1",
            "PIP_NO_BUILD_ISOLATION": "0",  # pip's spelling of --no-build-isolation
            "PYTHONPATH": str(site),
            "ZOOMGR_OFFLINE": "",
        },
        text=True,
        capture_output=True,
        check=False,
    )

    assert told.returncode == 0, told.stdout
    assert "source starling" in told.stdout
    assert "adapter starling-keys" in told.stdout
    assert "starling/birds@v1" in told.stdout
