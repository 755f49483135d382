"""Whose file it is, and whether that process is still there."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoomgr.cache.owner import Owner, is_left, key_of, last_change, owned_name, started_at

HERE = Owner("node1", "boot1", "space1", 4711, "99")
ODD_HOSTS = ["", "~", "a~b/../c", "my_laptop", "büro", "\udcff", "x" * 300, "node 7", "-", "..", "n" * 40]


@contextmanager
def a_process(program: str = "input()") -> Iterator[subprocess.Popen[bytes]]:
    """A process that waits until the context ends."""
    process = subprocess.Popen([sys.executable, "-S", "-c", program], stdin=subprocess.PIPE)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def owner_of(pid: int) -> Owner:
    """As the process itself would say."""
    return replace(Owner.here(), pid=pid, started=started_at(pid) or "")


# -- names ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ODD_HOSTS)
def test_an_owner_is_read_back_from_a_name(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Whatever the machine calls itself, a file may be called so, and the key is found again."""
    monkeypatch.setattr(platform, "node", lambda: name)
    owner = Owner.here()

    named = owned_name("0123abcd")

    assert Owner.parse(str(owner)) == owner
    assert named.split("~")[1:6] == str(owner).split("~")
    assert key_of(named) == "0123abcd"
    assert Path(named).name == named
    assert len(named.encode()) < 140  # eCryptfs allows 143


def test_machines_whose_long_names_begin_alike_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of pods in a cluster differ at their end; as one machine, each would take the other for gone."""
    hosts = []
    for name in ("training-job-of-the-vision-team-with-a-long-name-x2x4z", "a_b", "a-b"):
        for end in ("1", "2"):
            monkeypatch.setattr(platform, "node", lambda name=name + end: name)
            hosts.append(Owner.here().host)

    assert len(set(hosts)) == len(hosts)


def test_two_names_are_never_the_same() -> None:
    """Also in one process, for one key."""
    assert len({owned_name("file") for _ in range(1000)}) == 1000


@given(st.text())
def test_any_text_is_an_owner_or_none(text: str) -> None:
    """A name that somebody else gave a file breaks nothing."""
    owner = Owner.parse(text)

    assert owner is None or owner.fate(HERE) in {"alive", "gone", "unknown"}


@pytest.mark.parametrize("name", ["", "x", "~", "a~b~c~d~e", "a~b~c~1~e~f~g", "file.tmp", "h~b~s~-1~x"])
def test_what_is_no_owner_is_none(name: str) -> None:
    """Four marks and a decimal id, or nothing."""
    assert Owner.parse(name) is None


# -- fate ----------------------------------------------------------------------------------------------------


def test_this_process_is_alive() -> None:
    """And so is another one that runs."""
    with a_process() as process:
        fates = [Owner.here().fate(Owner.here()), owner_of(process.pid).fate(Owner.here())]

    assert fates == ["alive", "alive"]


def test_a_process_that_has_ended_is_gone() -> None:
    """Killed, and waited for."""
    with a_process() as process:
        owner = owner_of(process.pid)

    assert owner.fate(Owner.here()) == "gone"


def test_a_zombie_is_gone() -> None:
    """Its id is there until its parent asks for it, but it writes nothing more."""
    with a_process() as process:
        owner = owner_of(process.pid)
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)

        fate = owner.fate(Owner.here())

    assert fate == "gone"


def test_an_id_that_is_used_again_is_another_process() -> None:
    """The start time tells."""
    assert replace(Owner.here(), started="1").fate(Owner.here()) == "gone"


@pytest.mark.parametrize(
    ("other", "fate"),
    [
        ({"boot": "boot0"}, "gone"),
        ({"host": "node2"}, "unknown"),
        ({"host": "node2", "boot": "boot2"}, "unknown"),
        ({"space": "space2"}, "unknown"),
        ({"boot": "boot0", "space": "space2"}, "gone"),
        ({"pid": 0}, "gone"),
        ({"pid": 10**30}, "gone"),
    ],
    ids=[
        "rebooted",
        "other host",
        "other host and boot",
        "container",
        "rebooted container",
        "nobody",
        "no id",
    ],
)
def test_fate_follows_from_the_place(other: dict[str, Any], fate: str) -> None:
    """Ids mean something in their own namespace, on their own machine, until that is started again."""
    assert replace(HERE, **other).fate(HERE) == fate


def test_nobody_is_gone_everywhere() -> None:
    """What belongs to nobody may be taken by anybody."""
    nobody = Owner.parse(str(Owner.nobody()))

    assert nobody == Owner.nobody()
    assert nobody.fate(Owner.here()) == "gone"


def test_a_process_that_proc_hides_is_not_taken_for_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    """With hidepid other users' processes are not in /proc; they exist, nobody knows since when."""

    def hidden(*_: object, **__: object) -> str:
        raise FileNotFoundError

    with a_process() as process:
        owner = owner_of(process.pid)
        with monkeypatch.context() as patch:
            patch.setattr(Path, "read_text", hidden)
            here = replace(Owner.here(), boot=owner.boot)
            seen = started_at(process.pid), owner.fate(here)
            patch.setattr(os, "kill", _not_permitted)
            foreign = started_at(process.pid), owner.fate(here)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_text", hidden)
        ended = started_at(process.pid), owner.fate(here)

    assert (seen, foreign, ended) == (("", "unknown"), ("", "unknown"), (None, "gone"))


def _not_permitted(*_: object) -> None:
    raise PermissionError


def test_a_process_name_cannot_pass_for_other_fields() -> None:
    """`/proc/PID/stat` has the name in brackets, which may hold brackets and blanks itself."""
    odd = "import ctypes; ctypes.CDLL(None).prctl(15, b') Z 1 (x'); print(flush=True); input()"
    process = subprocess.Popen([sys.executable, "-c", odd], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        process.stdout.readline()
        fate = owner_of(process.pid).fate(Owner.here())
        started = started_at(process.pid)
    finally:
        process.kill()
        process.communicate()

    assert fate == "alive"
    assert started is not None
    assert int(started) > 1000


# -- what is left --------------------------------------------------------------------------------------------


def folder_of(owner: Owner, parent: Path, age_s: float = 0) -> Path:
    """A download's folder, in which something was last written so long ago."""
    folder = parent / owned_name("key", owner)
    folder.mkdir()
    (folder / "data").write_bytes(b"x")
    for path in (folder / "data", folder):
        os.utime(path, (1_000_000 - age_s, 1_000_000 - age_s))
    return folder


def test_a_file_of_a_process_that_is_gone_is_left(tmp_path: Path) -> None:
    """At once; one of a living process never is, however long it was silent."""
    with a_process() as process:
        gone = owner_of(process.pid)

    assert is_left(folder_of(gone, tmp_path), 1_000_000)
    assert is_left(folder_of(Owner.nobody(), tmp_path), 1_000_000)
    assert not is_left(folder_of(Owner.here(), tmp_path, age_s=10**6), 1_000_000)


@pytest.mark.parametrize(("age_s", "left"), [(0, False), (3500, False), (3700, True), (-3700, False)])
def test_a_file_of_another_machine_is_left_after_an_hour_of_silence(
    tmp_path: Path, age_s: float, *, left: bool
) -> None:
    """A clock that is ahead makes nobody's file old."""
    elsewhere = replace(Owner.here(), host="elsewhere")

    assert is_left(folder_of(elsewhere, tmp_path, age_s), 1_000_000) is left


def test_any_file_of_a_folder_is_a_sign_of_life(tmp_path: Path) -> None:
    """The journal too, when no bytes come."""
    folder = folder_of(replace(Owner.here(), host="elsewhere"), tmp_path, age_s=10_000)
    (folder / "journal").write_bytes(b"")
    os.utime(folder / "journal", (999_999, 999_999))
    os.utime(folder, (990_000, 990_000))

    assert not is_left(folder, 1_000_000)
    assert last_change(folder) == 999_999


def test_what_cannot_be_looked_at_is_not_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder of another user's that is closed shows neither its files nor that they are old."""
    folder = folder_of(replace(Owner.here(), host="elsewhere"), tmp_path, age_s=10_000)
    assert is_left(folder, 1_000_000)
    monkeypatch.setattr(Path, "iterdir", _not_permitted)

    assert not is_left(folder, 1_000_000)
    assert last_change(folder) == 990_000
    assert last_change(tmp_path / "gone") == 0


@pytest.mark.parametrize("name", ["file", "old.tmp", "x~y", "key~h~b~s~12~1~r~more"])
def test_a_file_that_has_no_owner_is_left_after_an_hour(tmp_path: Path, name: str) -> None:
    """Whoever made it: nothing lies there for ever."""
    path = tmp_path / name
    path.write_bytes(b"")
    os.utime(path, (1_000_000, 1_000_000))

    assert [is_left(path, 1_000_000 + age_s) for age_s in (3500, 3700)] == [False, True]
