"""What is known of a node, and what follows from it: records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from zoomgr.records import PluginInfo

Mark = Literal["ok", "warn", "fail"]
Area = Literal["weights", "adapters", "packages", "places", "network", "plugins"]
State = Literal[
    "here", "missing", "altered", "refused", "other file", "not exposed", "unknown", "damaged", "unclear"
]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is right, may matter, or would fail.

    Attributes:
        area: what it is about.
        mark: "fail" for what a job would fail with.
        what: in a line.
        mend: the command, or the act, that would mend it; empty where nothing is to be mended.
    """

    area: Area
    mark: Mark
    what: str
    mend: str = ""


@dataclass(frozen=True, slots=True)
class Weight:
    """Weights that the node needs, or has.

    Attributes:
        ref: a reference; for what is "unclear" the place in the script.
        state: "here" as promised; "missing"; "altered" in the cache; "refused" by the policy; "other file"
            than a lock says; "not exposed" to the library that a script asks for it; "unknown" to every
            catalogue; "damaged", its record cannot be read; "unclear", a script does not tell which.
        size_bytes: of the file; None where nobody says.
        detail: why, in a line.
        remedy: the next step, where the error that tells why knows one.
        family: of architectures that it is for; empty when there is none.
        adapter: what translates its keys; empty when nothing needs to.
        lock: the file that locks it; empty for none.
        drift: how the adapter differs from the locked one; empty when it does not.
        extra: of zoomgr, without which it cannot be fetched or read; empty for none.
    """

    ref: str
    state: State
    size_bytes: int | None = None
    detail: str = ""
    remedy: str = ""
    family: str = ""
    adapter: str = ""
    lock: str = ""
    drift: str = ""
    extra: str = ""


@dataclass(frozen=True, slots=True)
class Package:
    """A distribution that some of the weights need.

    Attributes:
        name: as pip calls it.
        requirement: what pip would have to be asked for.
        version: that is installed; empty when none is.
        build: what it is built for, such as "cpu" or "cu132"; empty where it does not tell.
        problem: why it does not import; empty when it does.
        conflicts: requirements of its own that what is installed does not meet.
        needed_by: what needs it; empty when nothing of what was asked for does.
    """

    name: str
    requirement: str
    version: str = ""
    build: str = ""
    problem: str = ""
    conflicts: tuple[str, ...] = ()
    needed_by: str = ""


@dataclass(frozen=True, slots=True)
class Gpus:
    """Graphics cards: how many the system shows, and whether torch can use them."""

    shown: int = 0
    is_usable: bool = False


@dataclass(frozen=True, slots=True)
class Place:
    """A folder that zoomgr reads or writes.

    Attributes:
        role: "cache", "layer" or "temporary files".
        path: as it was configured.
        problem: why it cannot be used as its role wants; empty when it can.
        free_bytes, total_bytes: of its file system; None where that does not tell.
        files, held_bytes: of a cache, what it has.
    """

    role: Literal["cache", "layer", "temporary files"]
    path: Path
    problem: str = ""
    free_bytes: int | None = None
    total_bytes: int | None = None
    files: int = 0
    held_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Quota:
    """What a user may still write somewhere, as `quota` says."""

    filesystem: str
    used_bytes: int
    limit_bytes: int


@dataclass(frozen=True, slots=True)
class Mirror:
    """A mirror of the site.

    Attributes:
        url: without credentials.
        problem: why it gives nothing; empty when it answers, or was not asked.
        remedy: the next step.
        proxy: through which it is asked; empty for none.
        skew_s: by how much this node's clock is ahead of the mirror's; None where that is not known.
        was_asked: whether it was.
    """

    url: str
    problem: str = ""
    remedy: str = ""
    proxy: str = ""
    skew_s: float | None = None
    was_asked: bool = True


@dataclass(frozen=True, slots=True)
class Network:
    """How servers are asked.

    Attributes:
        offline: nothing is.
        proxies: scheme -> proxy, without credentials; "no" -> who is asked directly.
        authorities: variable -> what is wrong with the file that it names; empty when nothing is.
        mirrors: of the site.
    """

    offline: bool
    proxies: Mapping[str, str] = field(default_factory=dict)
    authorities: Mapping[str, str] = field(default_factory=dict)
    mirrors: tuple[Mirror, ...] = ()


@dataclass(frozen=True, slots=True)
class Facts:
    """All that the checks look at.

    Attributes:
        weights: those that were asked for, else what the cache has.
        were_asked_for: whether they were.
        adapters, families: names of what plugins provide.
        packages: that some of the weights need.
        gpus: of this node.
        places: folders.
        quotas: of this user.
        network: how servers are asked.
        plugins: and what became of them.
    """

    weights: tuple[Weight, ...]
    were_asked_for: bool
    adapters: frozenset[str]
    families: frozenset[str]
    packages: tuple[Package, ...]
    gpus: Gpus
    places: tuple[Place, ...]
    quotas: tuple[Quota, ...]
    network: Network
    plugins: tuple[PluginInfo, ...]

    @property
    def missing_bytes(self) -> int:
        """What is still to come, as far as sizes are known."""
        return sum(weight.size_bytes or 0 for weight in self.missing)

    @property
    def missing(self) -> tuple[Weight, ...]:
        """What is still to come."""
        return tuple(
            weight for weight in self.weights if weight.state in {"missing", "altered", "other file"}
        )
