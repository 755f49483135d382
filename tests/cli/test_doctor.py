"""zoomgr doctor: what it finds on this machine, when something is wrong with it."""

from __future__ import annotations

import importlib.metadata
import json
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from cli.saying import Say, Told
from servers.authorities import new_authority
from servers.caches import alter, put
from servers.faulty import Answer, answering

import zoomgr
from zoomgr.airgap.doctor import network, packages
from zoomgr.cache.store import Store
from zoomgr.lockfile import Lock, LockEntry
from zoomgr.lockfile.writing import write_lock

TINY = "acme/tiny@v1"


@pytest.fixture(autouse=True)
def imports_are_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    """To import torch takes seconds; a test of its own does."""

    def believed(_: Sequence[str]) -> tuple[Mapping[str, str], bool]:
        return {}, False

    monkeypatch.setattr(packages, "_imported", believed)


@pytest.fixture
def lock(tmp_path: Path, acme: None) -> Path:
    """Acme's weights, locked with the adapter of an earlier version."""
    card = zoomgr.show(TINY)
    assert card.artifact
    card = replace(card, artifact=replace(card.artifact, size_bytes=100))
    write_lock(Lock({TINY: LockEntry(("tiny",), card, "acme-zoo", "0.9")}), tmp_path / "zoo.lock")
    return tmp_path / "zoo.lock"


def bad(told: Told, area: str = "") -> list[dict[str, Any]]:
    """What is not ok."""
    found = told.json["findings"]
    return [item for item in found if item["mark"] != "ok" and (not area or item["area"] == area)]


# -- weights -------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("no_sockets")
def test_a_node_is_ready_when_it_has_what_a_lock_names(zoomgr: Say, lock: Path) -> None:
    """And a job script can tell, before and after."""
    before = zoomgr("doctor", "--offline", "--lock", lock, "--json")
    zoomgr("pull", "acme/tiny")
    after = zoomgr("doctor", "--offline", "--lock", lock, "--json")

    assert (before.code, before.json["ready"]) == (1, False)
    (missing,) = bad(before, "weights")
    assert ("fail", f"{TINY} is not here") == (missing["mark"], missing["what"])
    assert f"zoomgr export {TINY} -o zoo.tar" in missing["mend"]
    assert "not ready: 1 would fail" in before.err
    assert (after.code, after.json["ready"], bad(after, "weights")) == (0, True, [])
    assert [item["what"] for item in bad(after, "adapters")] == [
        "acme/tiny@v1: its adapter was locked with acme-zoo 0.9, and 1.0 is installed"
    ]


def test_people_read_it_area_by_area(zoomgr: Say, lock: Path) -> None:
    """What mends something stands below it."""
    lines = zoomgr("doctor", "--lock", lock).out.splitlines()

    areas = [line for line in lines if not line.startswith(" ")]
    assert [a for a in areas if a != "network"] == ["weights", "adapters", "packages", "places", "plugins"]
    where = lines.index(f"  warn  {TINY} is not here, and would be fetched")
    assert f"        -> zoomgr sync {lock}" == lines[where + 1]


def test_the_lock_of_a_project_says_what_it_needs(
    zoomgr: Say, lock: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without being named, as loads obey it; what a script asks for may be less."""
    monkeypatch.chdir(lock.parent)
    (lock.parent / "train.py").write_text("import timm")

    by_lock = zoomgr("doctor", "--offline", "--json")
    by_script = zoomgr("doctor", "--offline", "--from", "train.py", "--json")

    assert [f"{TINY} is not here"] == [item["what"] for item in bad(by_lock, "weights")]
    assert bad(by_script, "weights") == []


@pytest.mark.usefixtures("acme")
def test_a_script_says_what_it_needs(zoomgr: Say, tmp_path: Path) -> None:
    """By file and line; what it computes is told."""
    script = tmp_path / "train.py"
    lines = ("import zoomgr", "zoomgr.load('acme/tiny')", "zoomgr.load('acme/tyny')", "zoomgr.load(input())")
    script.write_text("\n".join(lines))

    told = zoomgr("doctor", "--offline", "--from", script, "--json")

    assert told.code == 1
    assert [
        ("fail", f"{TINY} is not here ({script}:2 asks zoomgr for it)"),
        ("fail", f"acme/tyny: {script}:3 asks zoomgr for it; no model is called 'acme/tyny'"),
        ("warn", f"{script}:4: ref is not a constant: zoomgr.load(input())"),
    ] == [(item["mark"], item["what"]) for item in bad(told, "weights")]


def test_what_a_script_asks_torchvision_and_timm_for_must_be_exposed(
    zoomgr: Say, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They do not look into the zoo; with what `expose` lays out, and its variables, the node is ready."""
    url, hub = "torchvision/squeezenet1_1@imagenet1k_v1", "timm/lcnet_050@ra2_in1k"
    entries = [put(Store(tmp_path / "cache"), ref, ref.encode()) for ref in (url, hub)]
    pins = "\n".join(f'"{entry.ref}" = "{entry.digest.hex}"' for entry in entries)
    (tmp_path / "registry.toml").write_text(f"version = 1\n[pins]\n{pins}\n")
    monkeypatch.setenv("ZOOMGR_REGISTRY", str(tmp_path / "registry.toml"))
    script = tmp_path / "train.py"
    lines = ("import timm, torchvision", "torchvision.models.squeezenet1_1(weights='DEFAULT')")
    script.write_text("\n".join((*lines, "timm.create_model('lcnet_050', pretrained=True)")))
    arguments = ("doctor", "--offline", "--from", script, "--json")

    before = zoomgr(*arguments)
    for tool in ("torch-hub", "huggingface"):
        for name, value in (
            zoomgr("expose", tool, "--to", tmp_path / "homes", "--json").json["environment"].items()
        ):
            monkeypatch.setenv(name, value)
    after = zoomgr(*arguments)

    assert {
        f"zoomgr expose torch-hub {url} --to DIR, and set what it prints",
        f"zoomgr expose huggingface {hub} --to DIR, and set what it prints",
    } == {item["mend"] for item in bad(before, "weights")}
    assert f"{script}:2 asks torchvision for it, which looks in" in before.out
    assert (before.code, after.code) == (1, 0)


def test_another_file_than_the_locked_one_would_fail(zoomgr: Say, lock: Path, tmp_path: Path) -> None:
    """Though it has the name, and is what was fetched."""
    put(Store(tmp_path / "cache"), TINY, b"another")

    (finding,) = bad(zoomgr("doctor", "--lock", lock, "--json"), "weights")

    assert "the cache has sha256:" in finding["what"]
    assert f"zoomgr sync {lock}" == finding["mend"]


@pytest.mark.usefixtures("acme")
def test_without_names_the_cache_is_held_against_its_records(zoomgr: Say, tmp_path: Path) -> None:
    """Gone, cut and damaged; a record that was written by nobody."""
    store = Store(tmp_path / "cache")
    gone, cut, fine = (
        put(store, f"https://host.example/{name}.pth", name.encode()) for name in ("gone", "cut", "fine")
    )
    gone.path.unlink()
    alter(cut.path, b"c")
    (tmp_path / "cache/v1/refs/odd.json").write_text("no JSON")

    told = zoomgr("doctor", "--offline", "--json")

    assert {"odd.json": "warn", gone.ref: "fail", cut.ref: "fail"} == {
        ref: item["mark"]
        for ref in ("odd.json", gone.ref, cut.ref)
        for item in bad(told, "weights")
        if ref in item["what"]
    }
    assert len(bad(told, "weights")) == 3
    assert "1 of 3 weights in the cache are here, 4 B" in [item["what"] for item in told.json["findings"]]
    assert fine.path.exists()


def test_an_altered_file_that_is_needed_would_fail(zoomgr: Say, lock: Path) -> None:
    """It is proven, as a load does."""
    zoomgr("pull", "acme/tiny")
    alter(Path(zoomgr("path", "acme/tiny").out.strip()))

    (finding,) = bad(zoomgr("doctor", "--lock", lock, "--json"), "weights")

    assert ("fail", f"zoomgr verify --repair {TINY}") == (finding["mark"], finding["mend"])


# -- packages ------------------------------------------------------------------------------------------------


def test_what_a_format_needs_is_looked_for(
    zoomgr: Say, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The extra, of zoomgr's own requirements."""
    really = importlib.metadata.version

    def without(name: str) -> str:
        if name == "h5py":
            raise importlib.metadata.PackageNotFoundError(name)
        return really(name)

    monkeypatch.setattr(importlib.metadata, "version", without)
    put(Store(tmp_path / "cache"), "https://host.example/net.h5", b"x")

    (finding,) = bad(zoomgr("doctor", "--offline", "--json"), "packages")

    assert finding["what"] == "h5py is not installed, which https://host.example/net.h5 needs"
    assert finding["mend"].startswith("pip install 'h5py>=")


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (
            "raise RuntimeError('operator torchvision::nms does not exist')",
            "RuntimeError: operator torchvision",
        ),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("import os; os._exit(4)", "Python ended with 4: no word"),
    ],
    ids=["raises", "exits", "ends the process"],
)
def test_packages_are_imported_in_a_process_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str, problem: str
) -> None:
    """Whatever one does there, it is told, and does nothing to this one."""
    monkeypatch.undo()
    (tmp_path / "unfit.py").write_text(content)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    problems, usable = packages._imported(["json", "unfit"])

    assert problems["unfit"].startswith(problem)
    assert not usable


@pytest.mark.slow
def test_the_packages_of_this_machine_fit() -> None:
    """As they are installed, and imported in a process apart: the command itself imports none of them."""
    code = """
import sys
from zoomgr.cli.main import main
try:
    main(["doctor", "--offline", "--json"])
finally:
    assert not {"torch", "torchvision", "timm", "requests", "numpy", "rich"} & {*sys.modules}
"""

    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    told = json.loads(run.stdout)
    found = {item["what"].split()[0]: item["mark"] for item in told["findings"] if item["area"] == "packages"}
    assert told["ready"]
    assert found == dict.fromkeys(("torch", "torchvision", "timm"), "ok")


# -- places --------------------------------------------------------------------------------------------------


def test_places_are_tried(zoomgr: Say, tmp_path: Path, lock: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By writing, which even root cannot do everywhere; a layer by reading."""
    put(Store(tmp_path / "layer"), "https://host.example/x.pth", b"layer")
    (tmp_path / "empty").mkdir()
    layers = [tmp_path / "layer", tmp_path / "gone", tmp_path / "empty"]
    monkeypatch.setenv("ZOOMGR_CACHE_LAYERS", ":".join(map(str, layers)))

    told = zoomgr("doctor", "--cache", "/proc/zoo", "--lock", lock, "--json")

    found = {
        item["what"].partition(":")[0]: item for item in told.json["findings"] if item["area"] == "places"
    }
    assert found["cache /proc/zoo"]["mark"] == "fail"
    assert "/proc cannot be written by" in found["cache /proc/zoo"]["what"]
    assert f"layer {layers[0]}: 1 files, 5 B; its disk is" in found[f"layer {layers[0]}"]["what"]
    assert f"layer {layers[1]}: there is no such folder" == found[f"layer {layers[1]}"]["what"]
    assert f"layer {layers[2]}: there is no cache of zoomgr" == found[f"layer {layers[2]}"]["what"]
    assert not list(tmp_path.glob("cache"))


def test_what_is_missing_must_have_room(zoomgr: Say, tmp_path: Path, lock: Path) -> None:
    """As its sizes say."""
    text = lock.read_text()
    lock.write_text(text.replace("size_bytes = 100", f"size_bytes = {1 << 60}"))

    (finding,) = bad(zoomgr("doctor", "--lock", lock, "--json"), "places")

    assert f"1048576.0 TiB are still to come, and {tmp_path}/cache has room for" in finding["what"]


def test_a_quota_is_asked_for_where_there_is_one(
    zoomgr: Say, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the system's own program."""
    (tmp_path / "quota").write_text("#!/bin/sh\necho 'home:/me  990*  900  1000  6days  1  0  0'\n")
    (tmp_path / "quota").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")

    told = zoomgr("doctor", "--offline", "--json").json

    what = "quota of home:/me: 990.0 KiB of 1000.0 KiB are used"
    assert what in [item["what"] for item in told["findings"]]


# -- network -------------------------------------------------------------------------------------------------


def test_mirrors_are_asked(zoomgr: Say, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One without an index is one too; a clock is compared with what the server says."""
    (tmp_path / "folder").mkdir()
    monkeypatch.setattr(network, "time", SimpleNamespace(time=lambda: time.time() + 4000))
    answers = {"good": Answer(b"{}"), "private": Answer(status=401), "broken": Answer(status=503)}
    with answering({f"/{name}/index.json": answer for name, answer in answers.items()}) as server:
        mirrors = [f"{server.url}/{name}" for name in ("good", "tree", "private", "broken")]
        mirrors += [
            "http://127.0.0.1:1/dead",
            str(tmp_path / "folder"),
            str(tmp_path / "gone"),
            "odd://x",
        ]
        monkeypatch.setenv("ZOOMGR_MIRROR", ",".join(mirrors))
        told = zoomgr("doctor", "--json")

    found = [item["what"] for item in told.json["findings"] if item["area"] == "network"]
    assert f"mirror {mirrors[0]} answers" in found
    assert f"mirror {mirrors[1]} answers" in found
    assert f"mirror file://{mirrors[5]} answers" in found
    problems = {item["what"] for item in bad(told, "network") if "mirror" in item["what"]}
    assert len(problems) == 5
    for url, why in zip(
        (*mirrors[2:5], *mirrors[6:]), ("401", "503", "reach", "no such folder", "no plugin"), strict=True
    ):
        assert any(url in problem and why in problem for problem in problems), (url, problems)
    assert any(what.startswith("this clock is 4") and "ahead" in what for what in found)


@pytest.mark.usefixtures("no_sockets")
def test_offline_no_mirror_is_asked(zoomgr: Say, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even looked up."""
    monkeypatch.setenv("ZOOMGR_MIRROR", "https://zoo.example,s3://bucket/zoo")

    told = zoomgr("doctor", "--offline", "--json")

    found = [item["what"] for item in told.json["findings"] if item["area"] == "network"]
    assert {
        "offline: no socket is opened",
        "mirror https://zoo.example was not asked",
        "mirror s3://bucket/zoo was not asked",
    } <= {*found}


def test_authorities_are_read(zoomgr: Say, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of certificates, one without, and none."""
    new_authority(tmp_path / "ca.pem")
    (tmp_path / "text.pem").write_text("no certificate")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "ca.pem"))
    monkeypatch.setenv("CURL_CA_BUNDLE", str(tmp_path / "text.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "gone.pem"))

    told = zoomgr("doctor", "--json")

    assert [
        f"CURL_CA_BUNDLE: {tmp_path}/text.pem holds no certificates",
        f"SSL_CERT_FILE: {tmp_path}/gone.pem cannot be read: No such file or directory",
    ] == [item["what"] for item in bad(told, "network")]
    assert told.code == 1


def test_a_proxy_is_shown_without_its_password(zoomgr: Say, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it prints ends in logs."""
    monkeypatch.setenv("https_proxy", "http://me:secret@proxy.example:3128")

    told = zoomgr("doctor", "--json")

    assert "https by the proxy http://proxy.example:3128" in [item["what"] for item in told.json["findings"]]
    assert "secret" not in told.out + told.err


# -- the rest ------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("broken")
def test_plugins_that_do_not_load_are_told(zoomgr: Say) -> None:
    """With what switches them off."""
    told = zoomgr("doctor", "--offline", "--json")

    assert {"broken", "misspelt"} <= {item["what"].split()[0] for item in bad(told, "plugins")}


@pytest.mark.parametrize(
    ("option", "code"), [("--lock", "invalid-lock"), ("--from", "unreadable-script")], ids=str
)
def test_what_cannot_be_read_is_an_error(zoomgr: Say, tmp_path: Path, option: str, code: str) -> None:
    """A node is not ready for nobody knows what."""
    told = zoomgr("doctor", option, tmp_path / "gone", "--json")

    assert (2, code) == (told.code, told.json["error"]["code"])
