"""The two ends of a network for other counts: a stem that is extended, and a head of chosen classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from zoomgr.adapt.stem import RGB_CHANNELS, check_count, policy_in
from zoomgr.adapt.wishes import Wishes
from zoomgr.errors import CannotAdaptHeadError, CannotAdaptStemError
from zoomgr.records import Copy, Fill, HeadSelect, Move, Place, Shape, Split, StemExpand


def stem_move(
    move: Move, place: Place, shapes: tuple[Shape, Shape], wishes: Wishes, what: str
) -> Move | None:
    """The move that fills a stem's weight for other channels, or for the same in another order.

    Args:
        move: fills the weight of the layer.
        place: the layer.
        shapes: what the move gives, (out_ch, blocks * 3 * width, ...), and what the network holds, (out_ch,
            blocks * in_ch * width, ...).
        wishes: say how.
        what: whose stem it is, for errors.

    Returns:
        None when the stem is to be initialised anew.

    Raises:
        CannotAdaptStemError: the weights are not those of an RGB layer, or the policy cannot give as many.
    """
    given, wanted = shapes
    in_ch, rest = divmod(wanted[1], place.blocks * place.width)
    if rest:
        raise CannotAdaptStemError(what, wanted[1], f"{place.path} is not laid out as declared ({place})")
    if wishes.stem_policy == "fresh":
        return None
    if type(move.op) is not Copy:
        problem = (
            f"the weights of {place.path} are made on the way ({move.op}), and only copied ones are extended"
        )
        raise CannotAdaptStemError(what, in_ch, problem)
    if given[1] != place.size(RGB_CHANNELS):
        channels = given[1] / (place.blocks * place.width)
        problem = f"its weights are for {channels:g} channels, and only those for RGB can be extended"
        raise CannotAdaptStemError(what, in_ch, problem)
    policy = policy_in(wishes.stem_policy, wishes.channels)
    check_count(what, in_ch, policy, wishes.order)
    op = StemExpand(in_ch, policy, wishes.order, place.blocks, place.width)
    return Move(move.target, move.sources, op)


def class_count(heads: Sequence[Place], shapes: Mapping[str, Shape]) -> int:
    """How many classes a checkpoint's head has.

    Args:
        heads: its layers.
        shapes: of the tensors that fill them, by name in the network.

    Raises:
        ValueError: there is none, it is not laid out as declared, or its layers have several counts.
    """
    counts: dict[str, int] = {}
    for place in heads:
        names = (f"{place.path}.weight", f"{place.path}.bias")
        rows = next((shapes[name][0] for name in names if shapes.get(name)), None)
        if rows is None:
            continue
        counts[place.path], rest = divmod(rows, place.blocks * place.width)
        if rest:
            raise ValueError(f"{place.path} has {rows} rows, and was declared as {place}")
    if not counts:
        raise ValueError("the checkpoint has no head" if heads else "no head is declared")
    if len(set(counts.values())) > 1:
        told = ", ".join(f"{path} {count}" for path, count in counts.items())
        raise ValueError(f"the layers of its head have several counts of classes: {told}")
    return next(iter(counts.values()))


class Choice:
    """Classes that were chosen of a head.

    Args:
        classes: the rows that stay, in the order wanted.
        count: classes of the checkpoint's head.
        what: whose head it is, for errors.

    Raises:
        CannotAdaptHeadError: the head has not all of the classes.
    """

    def __init__(self, classes: Sequence[int], count: int, what: str) -> None:
        self._classes = tuple(classes)
        self._count = count
        self._what = what
        if beyond := [row for row in self._classes if not 0 <= row < count]:
            raise self._refused(f"the checkpoint has {count}, and no class {beyond[0]}")

    def of(self, move: Move, place: Place, given: Shape) -> Move:
        """The move of the chosen rows alone; the same move where all stay, or where it holds no classes.

        Args:
            move: fills a tensor of the layer.
            place: the layer.
            given: what the move gives; its first axis holds the classes where it has their length.

        Raises:
            CannotAdaptHeadError: the rows are made on the way, so that none can be told from another.
        """
        rows = place.entries(self._classes, self._count)
        if given[:1] != (place.size(self._count),) or rows == tuple(range(given[0])):
            return move
        match move.op:
            case Copy():
                return Move(move.target, move.sources, HeadSelect(rows))
            case Fill(_, value):
                return Move(move.target, (), Fill((len(rows), *given[1:]), value))
            case Split(start, _, 0):
                return Move(move.target, move.sources, HeadSelect(tuple(start + row for row in rows)))
        raise self._refused(f"the rows of {move.target} are made on the way ({move.op})")

    def _refused(self, problem: str) -> CannotAdaptHeadError:
        return CannotAdaptHeadError(self._what, len(self._classes), problem)
