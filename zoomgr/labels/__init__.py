"""What the outputs of a classifier are called."""

from __future__ import annotations


def class_names(labels: str | tuple[str, ...], num_classes: int) -> tuple[str, ...]:
    """Names of a head's outputs, in its order; an output without a name is called by its number.

    Args:
        labels: the name of a set in `zoomgr/labels/`, or the names themselves; empty when nobody says.
        num_classes: how many names are wanted.
    """
    known: tuple[str, ...] = ()
    if isinstance(labels, tuple):
        known = labels
    elif labels:
        from importlib.resources import files

        known = tuple(files(__name__).joinpath(f"{labels}.txt").read_text("utf-8").splitlines())
    # A set that is longer or shorter than the head is not the head's: a wrong name is worse than a number.
    return known if len(known) == num_classes else tuple(f"class {i}" for i in range(num_classes))
