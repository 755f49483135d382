"""Facts in, findings out: decides, asks nobody."""

from __future__ import annotations

from collections.abc import Iterator

from zoomgr.airgap.doctor.facts import Facts, Finding, Mark, Mirror, Package, Place, Weight
from zoomgr.errors import sized

_MOST_SKEW_S = 300.0
"""Kerberos and the signed requests of S3 refuse a clock that differs by more than five minutes."""
_KNOWN = frozenset({"here", "missing", "altered", "other file"})


def findings_of(facts: Facts) -> tuple[Finding, ...]:
    """Everything that the facts say, area by area."""
    checks = (_weights, _adapters, _packages, _builds, _places, _room, _network, _plugins)
    return tuple(finding for check in checks for finding in check(facts))


# -- weights -------------------------------------------------------------------------------------------------


def _weights(facts: Facts) -> Iterator[Finding]:
    here = [weight for weight in facts.weights if weight.state == "here"]
    known = [weight for weight in facts.weights if weight.state in _KNOWN]
    if here or not facts.weights:
        asked = "" if facts.were_asked_for else " in the cache"
        size = sized(sum(weight.size_bytes or 0 for weight in here))
        yield Finding("weights", "ok", f"{len(here)} of {len(known)} weights{asked} are here, {size}")
    yield from (_absent(weight, facts) for weight in facts.weights if weight.state != "here")


def _absent(weight: Weight, facts: Facts) -> Finding:
    offline = facts.network.offline
    carried = f"with a network: zoomgr export {weight.ref} -o zoo.tar; here: zoomgr import zoo.tar"
    synced = f"zoomgr sync {weight.lock}" if weight.lock else f"zoomgr pull {weight.ref}"
    what = f"{weight.ref}: {weight.detail}"
    where = f" ({weight.detail})" if weight.detail else ""
    mark: Mark = "fail" if offline else "warn"
    match weight.state:
        case "unclear":
            mark, mend = "warn", "see to it yourself that these are here"
        case "damaged":
            mark, mend = "warn", "zoomgr verify"
        case "not exposed":
            mend = weight.remedy
        case "unknown" | "refused":
            mark, mend = "fail", weight.remedy
        case "altered":
            mark, mend = "fail", carried if offline else f"zoomgr verify --repair {weight.ref}"
        case "other file":
            mark, mend = "fail", carried if offline else synced
        case _:
            what = f"{weight.ref} is not here{where}" + ("" if offline else ", and would be fetched")
            mend = carried if offline else synced
    return Finding("weights", mark, what, mend)


def _adapters(facts: Facts) -> Iterator[Finding]:
    wanted = {weight.adapter: weight.ref for weight in facts.weights if weight.adapter}
    families = {weight.family: weight.ref for weight in facts.weights if weight.family}
    for kind, needed, known in (
        ("adapter", wanted, facts.adapters),
        ("architectures", families, facts.families),
    ):
        lacking = {name: ref for name, ref in needed.items() if name not in known}
        for name, ref in lacking.items():
            what = f"no plugin has the {kind} {name}, which {ref} needs"
            yield Finding(
                "adapters", "fail", what, "install the plugin that has it; zoomgr plugins lists what is there"
            )
        if needed and not lacking:
            yield Finding("adapters", "ok", f"{kind}: {', '.join(sorted(needed))}")
    for weight in facts.weights:
        if weight.drift:
            mend = f"zoomgr lock writes it anew; what it maps to is shown by zoomgr plan {weight.ref}"
            yield Finding("adapters", "warn", f"{weight.ref}: {weight.drift}", mend)


# -- packages ------------------------------------------------------------------------------------------------


def _packages(facts: Facts) -> Iterator[Finding]:
    for package in facts.packages:
        mark: Mark = "fail" if package.needed_by else "warn"
        why = f", which {package.needed_by} needs" if package.needed_by else ""
        install = f"pip install '{package.requirement}'"
        build = f"+{package.build}" if package.build else ""
        name = f"{package.name} {package.version}{build}".rstrip()
        if not package.version:
            yield Finding("packages", mark, f"{name} is not installed{why}", install)
        elif package.problem:
            what = f"{name} does not import{why}: {package.problem}"
            yield Finding("packages", mark, what, _reinstalled(package))
        else:
            yield Finding("packages", "ok", name)
        for conflict in package.conflicts:
            what = f"{conflict} is wanted, and that is not what is installed"
            yield Finding("packages", "warn", what, f"pip install '{conflict.partition(' by ')[0]}'")


def _reinstalled(package: Package) -> str:
    if package.name in {"torch", "torchvision", "timm"}:
        return "install torch, torchvision and timm together, from one index: they are built for each other"
    return f"pip install --force-reinstall '{package.requirement}'"


def _builds(facts: Facts) -> Iterator[Finding]:
    """Both of torch and torchvision must be built for the same: the CPU, or one version of CUDA."""
    builds = {package.name: package.build for package in facts.packages if package.build}
    torch, vision = builds.get("torch", ""), builds.get("torchvision", "")
    if torch and vision and torch != vision:
        what = f"torch is built for {torch}, and torchvision for {vision}"
        broken = any(package.name == "torchvision" and package.problem for package in facts.packages)
        mend = "install both together, from the index of one build"
        yield Finding("packages", "fail" if broken else "warn", what, mend)
    if facts.gpus.shown and not facts.gpus.is_usable:
        built = f" (built for {torch})" if torch else ""
        what = f"{facts.gpus.shown} graphics cards are here, and torch{built} can use none"
        yield Finding(
            "packages", "warn", what, "compare the driver (nvidia-smi) with what torch is built for"
        )


# -- places --------------------------------------------------------------------------------------------------


def _places(facts: Facts) -> Iterator[Finding]:
    for place in facts.places:
        what = f"{place.role} {place.path}"
        if place.problem:
            mark: Mark = "fail" if place.role == "cache" and facts.missing else "warn"
            yield Finding("places", mark, f"{what}: {place.problem}", _usable(place))
            continue
        kept = f": {place.files} files, {sized(place.held_bytes)}" if place.role != "temporary files" else ""
        yield Finding("places", "ok", f"{what}{kept}{_space(place)}")


def _usable(place: Place) -> str:
    match place.role:
        case "cache":
            return "ZOOMGR_CACHE=DIR, a folder that this user may write"
        case "layer":
            return "mount it, or correct ZOOMGR_CACHE_LAYERS"
        case _:
            return "TMPDIR=DIR, a folder that this user may write"


def _space(place: Place) -> str:
    if place.free_bytes is None or not place.total_bytes:
        return ""
    used = 100 - 100 * place.free_bytes // place.total_bytes
    return f"; its disk is {used} % full, {sized(place.free_bytes)} are free"


def _room(facts: Facts) -> Iterator[Finding]:
    wanted = facts.missing_bytes
    for place in facts.places:
        if place.role == "cache" and place.free_bytes is not None and place.free_bytes < wanted:
            what = (
                f"{sized(wanted)} are still to come, and {place.path} has room for {sized(place.free_bytes)}"
            )
            yield Finding("places", "fail", what, "zoomgr gc, or ZOOMGR_CACHE=DIR on a bigger disk")
    for quota in facts.quotas:
        left = max(0, quota.limit_bytes - quota.used_bytes)
        what = (
            f"quota of {quota.filesystem}: {sized(quota.used_bytes)} of {sized(quota.limit_bytes)} are used"
        )
        if left < wanted or not left:
            yield Finding("places", "warn", what, "ZOOMGR_CACHE=DIR on a disk without this quota")
        else:
            yield Finding("places", "ok", what)


# -- network -------------------------------------------------------------------------------------------------


def _network(facts: Facts) -> Iterator[Finding]:
    network = facts.network
    if network.offline:
        yield Finding("network", "ok", "offline: no socket is opened")
    for scheme, proxy in network.proxies.items():
        if not network.offline:
            what = f"not by a proxy: {proxy}" if scheme == "no" else f"{scheme} by the proxy {proxy}"
            yield Finding("network", "ok", what)
    for variable, problem in network.authorities.items():
        if problem:
            mark: Mark = "warn" if network.offline else "fail"
            mend = f"give {variable} the path of a PEM file that this user may read, or unset it"
            yield Finding("network", mark, f"{variable}: {problem}", mend)
        else:
            yield Finding("network", "ok", f"{variable} has certificates")
    yield from (finding for mirror in network.mirrors for finding in _mirror(mirror, facts))


def _mirror(mirror: Mirror, facts: Facts) -> Iterator[Finding]:
    if not mirror.was_asked:
        yield Finding("network", "ok", f"mirror {mirror.url} was not asked")
        return
    if mirror.problem:
        by = f" (by the proxy {mirror.proxy}; NO_PROXY would ask it directly)" if mirror.proxy else ""
        mark: Mark = "fail" if facts.missing else "warn"
        yield Finding("network", mark, f"mirror {mirror.url}: {mirror.problem}{by}", mirror.remedy)
    else:
        yield Finding("network", "ok", f"mirror {mirror.url} answers")
    if mirror.skew_s is not None and abs(mirror.skew_s) > _MOST_SKEW_S:
        ahead = "ahead of" if mirror.skew_s > 0 else "behind"
        what = f"this clock is {abs(mirror.skew_s):.0f} s {ahead} that of {mirror.url}"
        yield Finding("network", "warn", what, "set the clock: certificates and signed requests depend on it")


# -- plugins -------------------------------------------------------------------------------------------------


def _plugins(facts: Facts) -> Iterator[Finding]:
    fine = [info for info in facts.plugins if info.status == "ok"]
    yield Finding("plugins", "ok", f"{len(fine)} of {len(facts.plugins)} plugins are used")
    for info in facts.plugins:
        if info.status in {"failed", "conflict"}:
            who = f"{info.name} of {info.dist} {info.version}".rstrip()
            mend = f"repair or uninstall {info.dist}; ZOOMGR_DISABLE_PLUGINS={info.name} switches it off"
            yield Finding("plugins", "warn", f"{who}: {info.error}", mend)
        elif info.status == "disabled":
            what = f"{info.name} is switched off by ZOOMGR_DISABLE_PLUGINS"
            yield Finding("plugins", "ok", what)
