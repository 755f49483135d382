"""Which packages the weights need, and which are here: reads metadata, imports in a process apart."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.version import InvalidVersion

from zoomgr.airgap.doctor.facts import Gpus, Package, Weight

_OWN = "zoomgr"
_EXTRAS = ("formats", "gcs", "s3", "sftp", "zoos")
_OF_FAMILY = {"cadene": "pretrainedmodels", "gluon": "gluoncv-torch", "resnest": "resnest"}
"""Distributions of architectures that are called otherwise, and are of zoomgr's extra `zoos`."""
_MODULES = {"gluoncv-torch": "gluoncvth"}
_IMPORT_TIMEOUT_S = 300.0
_VERSION = re.compile(r"^__version__\s*(?::[^=\n]*)?=\s*['\"][^'\"+]*\+([^'\"]+)['\"]", re.MULTILINE)

# Exception would not do: what a package raises when it does not fit another one is up to it.
_PROGRAM = """
import json, sys, warnings
warnings.simplefilter("ignore")
problems = {}
for name in sys.argv[1:]:
    try:
        __import__(name)
    except BaseException as error:
        problems[name] = f"{type(error).__name__}: {error}".splitlines()[0]
torch = sys.modules.get("torch")
usable = bool(torch and "torch" not in problems and torch.cuda.is_available())
print(json.dumps({"problems": problems, "usable": usable}))
"""


def needed_packages(weights: Sequence[Weight]) -> tuple[tuple[Package, ...], Gpus]:
    """What loading these weights takes, and whether it imports: some seconds, for torch is among it."""
    needed = _needed(weights)
    found = [_installed(name, who, frozenset(needed)) for name, who in needed.items()]
    problems, is_usable = _imported([_module_of(package.name) for package in found if package.version])
    packages = (replace(package, problem=problems.get(_module_of(package.name), "")) for package in found)
    return tuple(packages), Gpus(len(list(Path("/dev").glob("nvidia[0-9]*"))), is_usable)


def _needed(weights: Sequence[Weight]) -> dict[str, str]:
    """Names of distributions, and what needs each; nothing for one that is merely usual."""
    by_family = {weight.family: weight.ref for weight in weights if weight.family}
    needed = {"torch": "every load"}
    needed |= {"torchvision": by_family.get("torchvision") or ("timm" if "timm" in by_family else "")}
    needed |= {"timm": by_family.get("timm", "")}
    needed |= {_OF_FAMILY[family]: ref for family, ref in by_family.items() if family in _OF_FAMILY}
    for extra, ref in {weight.extra: weight.ref for weight in weights if weight.extra}.items():
        needed |= {requirement.name: ref for requirement in _requirements(_OWN, extra)}
    return needed


def _installed(name: str, needed_by: str, looked_at: frozenset[str]) -> Package:
    own = [one for extra in ("", *_EXTRAS) for one in _requirements(_OWN, extra) if one.name == name]
    package = Package(name, str(own[0]).partition(";")[0] if own else name, needed_by=needed_by)
    try:
        version = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return package
    conflicts = [f"{package.requirement} by {_OWN}"] if own and not _is_met(own[0]) else []
    others = [other for other in _requirements(name) if other.name in looked_at and not _is_met(other)]
    conflicts += [f"{other.name}{other.specifier} by {name}" for other in others]
    plain, _, build = version.partition("+")
    return replace(package, version=plain, build=build or _build_of(name), conflicts=tuple(conflicts))


def _requirements(name: str, extra: str = "") -> list[Requirement]:
    """What a distribution requires here; of an extra only what this adds."""
    try:
        found = [Requirement(text) for text in importlib.metadata.requires(name) or ()]
    except (importlib.metadata.PackageNotFoundError, InvalidRequirement):
        return []
    return [one for one in found if _applies(one, extra) and (not extra or not _applies(one, ""))]


def _applies(requirement: Requirement, extra: str) -> bool:
    return requirement.marker is None or requirement.marker.evaluate({"extra": extra})


def _is_met(requirement: Requirement) -> bool:
    try:
        installed = importlib.metadata.version(requirement.name)
        return requirement.specifier.contains(installed, prereleases=True)
    except (importlib.metadata.PackageNotFoundError, InvalidVersion):
        return False


def _build_of(name: str) -> str:
    """What a library says that it is built for, as torch does: `2.6.0+cpu`; read, for it may not import."""
    spec = importlib.util.find_spec(_module_of(name))
    if spec is None or spec.origin is None:
        return ""
    try:
        found = _VERSION.search(Path(spec.origin).with_name("version.py").read_text(errors="replace"))
    except OSError:
        return ""
    return found[1] if found else ""


def _module_of(name: str) -> str:
    return _MODULES.get(name, name.replace("-", "_"))


def _imported(modules: Sequence[str]) -> tuple[Mapping[str, str], bool]:
    """Why modules do not import, and whether torch has a GPU; in a process of its own."""
    command = [sys.executable, "-P", "-c", _PROGRAM, *modules]
    try:
        run = subprocess.run(  # noqa: S603 [this Python, with a program of ours]
            command, capture_output=True, text=True, timeout=_IMPORT_TIMEOUT_S, check=False
        )
        answer = json.loads(run.stdout.splitlines()[-1])
    except subprocess.TimeoutExpired:
        return dict.fromkeys(modules, f"it has not imported in {_IMPORT_TIMEOUT_S:.0f} s"), False
    except (IndexError, ValueError):  # one of them ended the process
        why = (run.stderr.strip().splitlines() or ["no word"])[-1]
        return dict.fromkeys(modules, f"Python ended with {run.returncode}: {why}"), False
    return answer["problems"], answer["usable"]
