"""What follows from what is known of a node; no machine is asked."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from zoomgr.airgap.doctor.checks import findings_of
from zoomgr.airgap.doctor.facts import Facts, Finding, Gpus, Mirror, Network, Package, Place, Quota, Weight
from zoomgr.airgap.doctor.places import read_quotas
from zoomgr.records import PluginInfo

GIB = 1 << 30
READY = Facts(
    weights=(Weight("torchvision/vgg16@imagenet1k_v1", "here", 5 * GIB, family="torchvision"),),
    were_asked_for=True,
    adapters=frozenset({"acme-keys"}),
    families=frozenset({"torchvision", "timm"}),
    packages=(
        Package("torch", "torch>=2.6", "2.6.0", "cpu", needed_by="every load"),
        Package("torchvision", "torchvision>=0.21", "0.21.0", "cpu", needed_by="vgg16"),
    ),
    gpus=Gpus(),
    places=(
        Place("cache", Path("/home/me/zoo"), free_bytes=100 * GIB, total_bytes=400 * GIB),
        Place("layer", Path("/site/zoo"), free_bytes=GIB, total_bytes=8 * GIB, files=12, held_bytes=7 * GIB),
        Place("temporary files", Path("/tmp"), free_bytes=GIB, total_bytes=2 * GIB),  # noqa: S108 [a text]
    ),
    quotas=(),
    network=Network(offline=True),
    plugins=(PluginInfo("timm", "zoomgr", "0.1.0", "ok"),),
)
ONLINE = replace(READY, network=Network(offline=False))
MISSING = Weight("timm/resnet50@a1_in1k", "missing", 20 * GIB, family="timm")


def bad(facts: Facts) -> list[Finding]:
    """What is not ok."""
    return [finding for finding in findings_of(facts) if finding.mark != "ok"]


def only(facts: Facts) -> Finding:
    """The one thing that is not ok."""
    (finding,) = bad(facts)
    return finding


def test_a_ready_node_has_nothing_to_mend() -> None:
    """And it is told what it has."""
    found = findings_of(READY)

    assert {"ok"} == {finding.mark for finding in found}
    assert not any(finding.mend for finding in found)
    assert "1 of 1 weights are here, 5.0 GiB" in [finding.what for finding in found]
    assert "layer /site/zoo: 12 files, 7.0 GiB; its disk is 88 % full, 1.0 GiB are free" in [
        finding.what for finding in found
    ]


# -- weights -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("weight", "offline", "mark", "mend"),
    [
        (
            MISSING,
            True,
            "fail",
            "zoomgr export timm/resnet50@a1_in1k -o zoo.tar; here: zoomgr import",
        ),
        (MISSING, False, "warn", "zoomgr pull timm/resnet50@a1_in1k"),
        (Weight("x", "altered", detail="cut"), False, "fail", "zoomgr verify --repair x"),
        (Weight("x", "altered", detail="cut"), True, "fail", "zoomgr import zoo.tar"),
        (Weight("x", "other file", detail="not it"), False, "fail", "zoomgr pull x"),
        (Weight("x", "refused", detail="its licence", remedy="choose"), True, "fail", "choose"),
        (
            Weight("x", "unknown", detail="no model", remedy="did you mean y?"),
            True,
            "fail",
            "did you mean y?",
        ),
        (Weight("x", "not exposed", detail="looks there", remedy="expose"), True, "fail", "expose"),
        (Weight("x", "not exposed", detail="looks there", remedy="expose"), False, "warn", "expose"),
        (Weight("refs/x.json", "damaged", detail="no JSON"), True, "warn", "zoomgr verify"),
        (Weight("train.py:3", "unclear", detail="computed"), True, "warn", "yourself"),
    ],
    ids=lambda value: value.state if isinstance(value, Weight) else "",
)
def test_what_is_not_here_is_told_with_what_mends_it(
    weight: Weight, offline: bool, mark: str, mend: str
) -> None:
    """What a load can fetch is a warning, where it may."""
    facts = replace(READY, weights=(weight,), network=Network(offline=offline))

    finding = only(facts)

    assert ("weights", mark) == (finding.area, finding.mark)
    assert weight.ref in finding.what
    assert weight.detail in finding.what
    assert mend in finding.mend


def test_what_a_lock_names_is_synced() -> None:
    """By the file that was given."""
    facts = replace(ONLINE, weights=(replace(MISSING, lock="jobs/zoo.lock"),))

    assert only(facts).mend == "zoomgr sync jobs/zoo.lock"


@pytest.mark.parametrize(
    ("weight", "told"),
    [
        (Weight("x", "here", adapter="other-keys"), "adapter other-keys, which x needs"),
        (Weight("x", "here", family="acme"), "architectures acme, which x needs"),
    ],
)
def test_what_no_plugin_has_would_fail(weight: Weight, told: str) -> None:
    """A load of it would."""
    finding = only(replace(READY, weights=(weight,)))

    assert (finding.area, finding.mark) == ("adapters", "fail")
    assert told in finding.what


def test_another_version_of_an_adapter_is_told() -> None:
    """It may map otherwise."""
    weight = Weight("x", "here", adapter="acme-keys", drift="acme 1.0 was locked, and 2.0 is installed")

    assert (
        only(replace(READY, weights=(weight,))).area,
        only(replace(READY, weights=(weight,))).mark,
        only(replace(READY, weights=(weight,))).what,
    ) == ("adapters", "warn", "x: acme 1.0 was locked, and 2.0 is installed")


# -- packages ------------------------------------------------------------------------------------------------

TORCH, VISION = READY.packages


@pytest.mark.parametrize(
    ("package", "mark", "what", "mend"),
    [
        (
            Package("h5py", "h5py>=3.12", needed_by="x"),
            "fail",
            "h5py is not installed, which x needs",
            "pip install 'h5py>=3.12'",
        ),
        (Package("timm", "timm>=1.0.15"), "warn", "timm is not installed", "pip install 'timm>=1.0.15'"),
        (
            replace(VISION, problem="RuntimeError: operator torchvision::nms does not exist"),
            "fail",
            "torchvision 0.21.0+cpu does not import, which vgg16 needs: RuntimeError: operator",
            "together, from one index",
        ),
        (
            Package("h5py", "h5py>=3.12", "3.12", problem="ImportError: libhdf5", needed_by="x"),
            "fail",
            "h5py 3.12 does not import",
            "pip install --force-reinstall 'h5py>=3.12'",
        ),
        (
            replace(VISION, conflicts=("torch==2.5.1 by torchvision",)),
            "warn",
            "torch==2.5.1 by torchvision is wanted",
            "pip install 'torch==2.5.1'",
        ),
    ],
    ids=["missing", "not needed", "broken", "broken extra", "conflict"],
)
def test_packages_are_needed_and_must_import(package: Package, mark: str, what: str, mend: str) -> None:
    """What nothing needs is a warning."""
    finding = only(replace(READY, packages=(TORCH, package)))

    assert ("packages", mark) == (finding.area, finding.mark)
    assert what in finding.what
    assert mend in finding.mend


def test_torch_and_torchvision_are_built_for_the_same() -> None:
    """Other builds may work, by luck; where they do not, this is why."""
    other = replace(VISION, build="cu132")
    broken = replace(other, problem="RuntimeError: operator torchvision::nms does not exist")

    assert (
        only(replace(READY, packages=(TORCH, other))).what
        == "torch is built for cpu, and torchvision for cu132"
    )
    assert [finding.mark for finding in bad(replace(READY, packages=(TORCH, broken)))] == ["fail", "fail"]


def test_graphics_cards_that_torch_cannot_use_are_told() -> None:
    """A job would run, for weeks."""
    assert (
        only(replace(READY, gpus=Gpus(2))).what
        == "2 graphics cards are here, and torch (built for cpu) can use none"
    )
    assert bad(replace(READY, gpus=Gpus(2, is_usable=True))) == []


# -- places --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "is_missing", "mark", "mend"),
    [
        (0, False, "warn", "ZOOMGR_CACHE=DIR"),
        (0, True, "fail", "ZOOMGR_CACHE=DIR"),
        (1, False, "warn", "ZOOMGR_CACHE_LAYERS"),
        (2, False, "warn", "TMPDIR=DIR"),
    ],
    ids=["nothing to write", "something to write", "layer", "temporary"],
)
def test_places_that_cannot_be_used_are_told(number: int, is_missing: bool, mark: str, mend: str) -> None:
    """A cache that cannot be written is read all the same; something must be put into it, or not."""
    places = list(READY.places)
    places[number] = replace(places[number], problem="Permission denied")
    weights = READY.weights + ((replace(MISSING, size_bytes=1),) if is_missing else ())

    found = bad(replace(READY, places=tuple(places), weights=weights))

    (finding,) = [finding for finding in found if finding.area == "places"]
    assert mark == finding.mark
    assert "Permission denied" in finding.what
    assert mend in finding.mend


def test_what_is_missing_must_have_room() -> None:
    """Also in a quota, where one is known."""
    small = replace(READY.places[0], free_bytes=19 * GIB)
    facts = replace(ONLINE, weights=(MISSING,), places=(small,))

    assert bad(facts)[1].what == "20.0 GiB are still to come, and /home/me/zoo has room for 19.0 GiB"
    assert [f for f in bad(replace(facts, places=READY.places)) if f.area == "places"] == []

    full = Quota("nfs:/home", 85 * GIB, 100 * GIB)
    quota = [f for f in bad(replace(facts, places=READY.places, quotas=(full,))) if f.area == "places"]
    assert [finding.what for finding in quota] == ["quota of nfs:/home: 85.0 GiB of 100.0 GiB are used"]
    assert bad(replace(READY, quotas=(full,))) == []


def test_quota_is_read_as_it_prints() -> None:
    """Stars are what is exceeded; a limit of 0 is none."""
    text = """Disk quotas for user me (uid 1000):
     Filesystem  blocks   quota   limit   grace   files   quota   limit   grace
server:/export/home 11000000* 10000000 12000000   6days   90000       0       0
      /dev/sda1     400  5000       0              12       0       0
      /dev/sdb1     400     0       0              12       0       0
"""

    assert [
        Quota("server:/export/home", 11_000_000 << 10, 12_000_000 << 10),
        Quota("/dev/sda1", 400 << 10, 5000 << 10),
    ] == list(read_quotas(text))
    assert list(read_quotas("Disk quotas for user me (uid 1000): none\n")) == []


# -- network and plugins -------------------------------------------------------------------------------------


def test_a_mirror_that_does_not_answer_would_fail_what_is_missing() -> None:
    """Where nothing is missing nobody asks it."""
    mirror = Mirror("https://zoo.site", "it cannot be reached", "look at the cable", "http://proxy:3128")
    facts = replace(READY, network=Network(offline=False, mirrors=(mirror,)))

    assert only(facts).mark == "warn"
    assert "(by the proxy http://proxy:3128; NO_PROXY would ask it directly)" in only(facts).what
    assert only(facts).mend == "look at the cable"
    assert [f.mark for f in bad(replace(facts, weights=(replace(MISSING, size_bytes=1),)))] == [
        "warn",
        "fail",
    ]


@pytest.mark.parametrize(
    ("skew_s", "told"), [(4000.0, "4000 s ahead of"), (-301.0, "301 s behind"), (9.0, "")]
)
def test_a_clock_that_goes_wrong_is_told(skew_s: float, told: str) -> None:
    """A certificate seems expired, or a signed request too old."""
    network = Network(offline=False, mirrors=(Mirror("https://zoo.site", skew_s=skew_s),))
    found = bad(replace(READY, network=network))

    assert bool(told) == bool(found)
    assert all(told in finding.what for finding in found)


@pytest.mark.parametrize(("offline", "mark"), [(True, "warn"), (False, "fail")])
def test_authorities_that_cannot_be_read_would_fail(offline: bool, mark: str) -> None:
    """Each request would, where there are any."""
    network = Network(offline=offline, authorities={"SSL_CERT_FILE": "/x.pem cannot be read", "OTHER": ""})

    finding = only(replace(READY, network=network))

    assert mark == finding.mark
    assert "SSL_CERT_FILE" in finding.mend


def test_proxies_matter_only_where_servers_are_asked() -> None:
    """And offline nothing is."""
    proxies = {"https": "http://proxy:3128", "no": "localhost,.site"}

    def told(**network: Any) -> list[str]:
        facts = replace(READY, network=Network(proxies=proxies, **network))
        return [finding.what for finding in findings_of(facts) if finding.area == "network"]

    assert told(offline=True) == ["offline: no socket is opened"]
    assert told(offline=False) == ["https by the proxy http://proxy:3128", "not by a proxy: localhost,.site"]


def test_plugins_that_failed_are_told() -> None:
    """One that was switched off was meant to be."""
    plugins = (
        PluginInfo("acme", "acme-zoo", "1.0", "failed", error="ImportError: x"),
        PluginInfo("off", "acme-zoo", "1.0", "disabled"),
    )

    finding = only(replace(READY, plugins=plugins))

    assert finding.what == "acme of acme-zoo 1.0: ImportError: x"
    assert "ZOOMGR_DISABLE_PLUGINS=acme" in finding.mend
