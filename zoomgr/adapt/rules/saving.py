"""Saving a plan as a file of rules: whole or not at all, and never over another file."""

from __future__ import annotations

from pathlib import Path

from zoomgr.adapt.rules.write import rules_text
from zoomgr.errors import CannotConvertError, FileUnwritableError, InvalidSettingError
from zoomgr.records import LoadPlan
from zoomgr.saving import save

_SUFFIX = ".toml"


def check_place(path: Path) -> None:
    """Refuse a place where no file can, or may, be written; before anything is read for it.

    Raises:
        InvalidSettingError: it is no name of a file of rules, or there is something: it may have been edited.
        FileUnwritableError: its folder is not there.
    """
    if path.suffix != _SUFFIX:
        remedy = f"call it {path.with_suffix(_SUFFIX).name if path.name else 'rules.toml'}"
        raise InvalidSettingError("save", str(path), "rules are saved as TOML", remedy)
    if path.is_symlink() or path.exists():
        raise InvalidSettingError("save", str(path), "it is there already", "choose another name")
    if not path.parent.is_dir():
        raise FileUnwritableError(str(path), f"there is no folder {path.parent}")


def save_rules(plan: LoadPlan, path: Path, heading: str = "") -> None:
    """Write a plan's mapping as rules, see `zoomgr.adapt.rules.write.rules_text`.

    Raises:
        CannotConvertError: rules have no words for it.
        FileUnwritableError: the disk is full, or refuses; nothing is left behind.
    """
    try:
        text = rules_text(plan, heading)
    except ValueError as error:
        raise CannotConvertError(str(path), str(error)) from error
    save(path, text.encode())
