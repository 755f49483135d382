"""Whether a node is ready: exactly what it would miss, and what would mend each.

facts.py     what is known of a node, and what follows from it
weights.py   which weights it needs, and which it has
packages.py  which packages these need, and whether they import
places.py    folders, room, quotas
network.py   proxies, authorities, mirrors
checks.py    facts in, findings out: pure
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from zoomgr.airgap.doctor.checks import findings_of
from zoomgr.airgap.doctor.facts import Facts, Finding
from zoomgr.airgap.doctor.network import network_of
from zoomgr.airgap.doctor.packages import needed_packages
from zoomgr.airgap.doctor.places import places_of, quotas
from zoomgr.airgap.doctor.weights import wanted_weights
from zoomgr.airgap.scripts import read_scripts
from zoomgr.zoo import Zoo

__all__ = ["Diagnosis", "Finding", "diagnose"]


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What was found.

    Attributes:
        ready: whether nothing of it would make a job fail.
        findings: area by area.
    """

    ready: bool
    findings: tuple[Finding, ...]


def diagnose(zoo: Zoo, *, scripts: Sequence[Path] = (), locked: bool = False) -> Diagnosis:
    """Look at this node. Offline no socket is opened; fetches nothing.

    Args:
        zoo: with the settings that a job will have.
        scripts: what these ask for is needed; files or folders.
        locked: what the zoo's lock names is needed. When it is neither, the cache says what it should have.

    Raises:
        UnreadableScriptError: what names the weights cannot be read.
    """
    weights = wanted_weights(zoo, read_scripts(scripts) if scripts else None, locked=locked)
    packages, gpus = needed_packages(weights)
    facts = Facts(
        weights=weights,
        were_asked_for=bool(locked or scripts),
        adapters=frozenset(zoo.host.adapters.items),
        families=frozenset(zoo.host.families.items),
        packages=packages,
        gpus=gpus,
        places=places_of(zoo.store),
        quotas=quotas(),
        network=network_of(zoo),
        plugins=zoo.host.plugins(),
    )
    findings = findings_of(facts)
    return Diagnosis(all(finding.mark != "fail" for finding in findings), findings)
