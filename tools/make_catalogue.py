"""Make the shipped catalogues and label sets anew from the installed libraries.

python tools/make_catalogue.py            writes what changed, and says so
python tools/make_catalogue.py --check    writes nothing; exit status 1 when something would change
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from zoomgr_cadene import generate as cadene_catalogue
from zoomgr_gluon import generate as gluon_catalogue
from zoomgr_resnest import generate as resnest_catalogue
from zoomgr_timm import generate as timm_catalogue
from zoomgr_torchvision import generate as torchvision_catalogue

ROOT = Path(__file__).resolve().parent.parent
LABELS = "zoomgr/labels"


def main() -> int:
    """The exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--check", action="store_true", help="only say what would change")
    is_check = parser.parse_args().check
    has_drifted = False
    for name, content in shipped_files().items():
        path = ROOT / name
        old = path.read_text(encoding="utf-8") if path.exists() else ""
        changes = list(changed_rows(old, content))
        print(f"{name}: {len(changes)} rows changed", *changes, sep="\n  ")
        has_drifted = has_drifted or old != content
        if not is_check and old != content:
            path.write_text(content, encoding="utf-8")
    return int(is_check and has_drifted)


def shipped_files() -> dict[str, str]:
    """Path in the repository -> content, for the installed versions."""
    return {
        "plugins/zoomgr_torchvision/catalogue.json": dumped(torchvision_catalogue.make_catalogue()),
        "plugins/zoomgr_timm/catalogue.json": dumped(timm_catalogue.make_catalogue()),
        "plugins/zoomgr_cadene/catalogue.json": dumped(cadene_catalogue.make_catalogue()),
        "plugins/zoomgr_gluon/catalogue.json": dumped(gluon_catalogue.make_catalogue()),
        "plugins/zoomgr_resnest/catalogue.json": dumped(resnest_catalogue.make_catalogue()),
        **{
            f"{LABELS}/{name}.txt": "".join(f"{label}\n" for label in labels)
            for name, labels in torchvision_catalogue.label_sets().items()
        },
    }


def dumped(catalogue: Mapping[str, Any]) -> str:
    """JSON with one row a line, so that a diff shows which rows changed."""
    sections = ",\n".join(f"{json.dumps(key)}: {_section(value)}" for key, value in catalogue.items())
    return f"{{\n{sections}\n}}\n"


def _section(value: Any) -> str:
    if isinstance(value, dict):
        return "{\n" + ",\n".join(f"{json.dumps(key)}: {_row(row)}" for key, row in value.items()) + "\n}"
    if isinstance(value, list):
        return "[\n" + ",\n".join(map(_row, value)) + "\n]"
    return _row(value)


def _row(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def changed_rows(old: str, new: str) -> Iterator[str]:
    """Lines that are only in one of two texts, marked - and +, cut for a terminal."""
    before, after = dict.fromkeys(old.splitlines()), dict.fromkeys(new.splitlines())
    yield from (f"- {line[:100]}" for line in before if line not in after)
    yield from (f"+ {line[:100]}" for line in after if line not in before)


if __name__ == "__main__":
    sys.exit(main())
