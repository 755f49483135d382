"""Alignment as an adapter, for `match="align"` and as the last resort of "auto"."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from zoomgr.adapt.align import Aligned, align
from zoomgr.adapt.fits import COUNTER, kind
from zoomgr.adapt.match import ALIGN
from zoomgr.adapt.wishes import Wishes, places_of
from zoomgr.errors import AmbiguousKeysError
from zoomgr.hookspecs import Mapped
from zoomgr.records import TensorSpec

_WITHOUT_PLACE = frozenset(
    {
        "mask_token", "position_ids", "relative_position_index", "relative_coords_table", "attn_mask",
        "attention_bias_idxs", "n_averaged", "queue", "queue_ptr",
    }
)  # fmt: skip
"""Last words of names that checkpoints have and networks need not: tokens of pretraining, tables that a
constructor computes, what contrastive training keeps."""


class StructuralAdapter:
    """Matches by structure, and refuses where that leaves a choice.

    Args:
        what: checkpoint and network, for errors.
        wishes: name the layers that may have other counts, and whether a part is enough.
    """

    name = ALIGN
    notes = ("structure only, not proven: keys and shapes do not show strides, padding, eps or activations",)

    def __init__(self, what: str, wishes: Wishes) -> None:
        self._what = what
        self._wishes = wishes

    def recognises(self, source: Sequence[TensorSpec]) -> bool:  # noqa: ARG002 (the protocol's argument)
        """Never: it is chosen by name, or when nothing else knows the keys."""
        return False

    def suits(self, target: Sequence[TensorSpec]) -> bool:  # noqa: ARG002 (as above)
        """Any network."""
        return True

    def map(self, source: Sequence[TensorSpec], target: Sequence[TensorSpec]) -> Mapped:
        """See `zoomgr.adapt.align.align`.

        Raises:
            AmbiguousKeysError: layers could be each other, and a part is not enough; or several parts of the
                checkpoint could be the network.
        """
        places = (*places_of("stem", self._wishes.stem), *places_of("head", self._wishes.head))
        try:
            found = align(source, target, loose=frozenset(place.path for place in places))
        except LookupError as error:
            raise AmbiguousKeysError(self._what, ((", ".join(error.args), "the whole network"),)) from error
        if found.ambiguous and not self._wishes.partial:
            choices = tuple((", ".join(ones), ", ".join(others)) for ones, others in found.ambiguous)
            raise AmbiguousKeysError(self._what, choices)
        kept = tuple(spec.name for spec in target if _is_table(spec))
        return Mapped(found.moves, left_out=tuple(_left_out(found, source)), kept=kept)


def _left_out(found: Aligned, source: Sequence[TensorSpec]) -> Iterator[str]:
    """Tensors of other parts of the checkpoint, and such as a network need not have."""
    used = {name for move in found.moves for name in move.sources}
    below = f"{found.subtree}." if found.subtree else ""
    for spec in source:
        is_elsewhere = not spec.name.startswith(below)
        is_known = spec.name.rpartition(".")[2] in _WITHOUT_PLACE or _is_table(spec)
        if spec.name not in used and (is_elsewhere or is_known):
            yield spec.name


def _is_table(spec: TensorSpec) -> bool:
    """Whole numbers that a constructor computes; counters are accounted for as such."""
    return kind(spec.dtype) != "floating" and not spec.name.endswith(COUNTER)
