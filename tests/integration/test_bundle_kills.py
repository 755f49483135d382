"""An import that is killed, anywhere: no name without its file, and the next one ends it."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
from servers.bundles import add, export_all, machine

from zoomgr.airgap.bundle.importing import import_bundle
from zoomgr.cache.disk import sha256_of
from zoomgr.zoo import Zoo

FILES = 24
KILLS = 12
PROGRAM = """
import sys
from pathlib import Path
from zoomgr.airgap.bundle.importing import import_bundle
from zoomgr.settings import Settings
from zoomgr.zoo import Zoo

zoo = Zoo(Settings(cache_dir=Path(sys.argv[1]), offline=True))
zoo.resolve("vgg16")
print("ready", flush=True)
import_bundle(zoo, Path(sys.argv[2]))
"""


def killed(folder: Path, tar: Path, after_s: float) -> None:
    """Import in another process, and kill it when it has worked so long."""
    command = [sys.executable, "-c", PROGRAM, str(folder), str(tar)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        time.sleep(after_s)
        process.kill()


def check(zoo: Zoo) -> int:
    """Each name has its file, and each file is what its name says; how many names there are."""
    records = list(zoo.store.scan())
    assert len(records) == len(zoo.cached())
    for blob in (zoo.store.root / "v1" / "blobs").rglob("*/*/*"):
        assert blob.name == sha256_of(blob).hex
    return len(records)


@pytest.mark.slow
def test_an_import_that_is_killed_leaves_no_name_without_its_file(tmp_path: Path) -> None:
    """Killed at random points, again and again; nothing that was proven is lost."""
    near, far, tar = machine(tmp_path / "near"), machine(tmp_path / "far"), tmp_path / "zoo.tar"
    for number in range(FILES):
        add(near, f"own/net{number}", random.Random(number).randbytes(1 << 20))  # noqa: S311 [no secret]
    export_all(near, tar)
    began = time.perf_counter()
    import_bundle(machine(tmp_path / "timing"), tar)
    whole_s = time.perf_counter() - began

    for turn in range(KILLS):
        far = far if check(far) < FILES else machine(tmp_path / f"far{turn}")
        killed(far.store.root, tar, 0.8 * whole_s * random.Random(turn).random())  # noqa: S311 [as above]
        check(far)

    import_bundle(far, tar)
    assert check(far) == len(far.store.own_cards.cards()) == FILES
    for item in far.rubbish():  # who was killed after the last name was written has left its own names
        far.sweep(item)
    assert list((far.store.root / "v1" / "partial").glob("bundle-*")) == []
    assert check(far) == FILES
