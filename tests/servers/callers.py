"""Running a program as a user whom modes of files bind; root is bound by none."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest

_CAPABILITIES = "-dac_override,-dac_read_search"  # what lets root pass over modes: capabilities(7)


def run_bound_by_modes(program: str) -> str:
    """What a Python program prints; it must succeed. Skips where root cannot give its privilege up."""
    command = [sys.executable, "-c", program]
    if os.geteuid() == 0:
        if not shutil.which("setpriv"):
            pytest.skip("root needs setpriv (util-linux) to be bound by modes")
        command = ["setpriv", f"--bounding-set={_CAPABILITIES}", f"--inh-caps={_CAPABILITIES}", *command]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout
