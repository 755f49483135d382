"""The command, for the tests of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli.saying import Say, Told, run_here


@pytest.fixture
def zoomgr(capsys: pytest.CaptureFixture[str]) -> Say:
    """Run the command in this process; gives its exit code, stdout and stderr."""

    def run(*arguments: str | Path) -> Told:
        code = run_here(arguments)
        captured = capsys.readouterr()
        return Told(code, captured.out, captured.err)

    return run
