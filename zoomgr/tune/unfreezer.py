"""Thawing a network stage by stage, in a way that a resume goes on with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

from zoomgr.adapt.site import uncompiled
from zoomgr.errors import UnknownPartError
from zoomgr.tune.choose import choose
from zoomgr.tune.freeze import freeze, unfreeze
from zoomgr.tune.stages import By, Stage, stages

if TYPE_CHECKING:
    from torch import nn

    from zoomgr.tune.choose import Part


class Unfreezer:
    """Freezes a network, and lets one stage more of it train at each `step`.

    Attributes:
        model: the network.
        stages: in the order in which they thaw.
        thawed: how many have.
    """

    def __init__(
        self,
        model: nn.Module,
        *what: Part,
        except_: Part | Sequence[Part] = (),
        by: By = "stage",
        top_down: bool = True,
    ) -> None:
        """Freeze it.

        Args:
            model: any network.
            what: the parts that freeze, as of `freeze`; all of it where nothing is said.
            except_: parts that are left as they are, e.g. "head".
            by: how finely it is cut, see `zoomgr.tune.stages`.
            top_down: the stage next to the head thaws first; else the stem.

        Raises:
            UnknownPartError, PlaceNotFoundError: as of `freeze`.
        """
        self.model = uncompiled(model)
        frozen = set(map(id, choose(self.model, what or (self.model,)).parameters))
        left = except_ if isinstance(except_, list | tuple) else (except_,)
        frozen -= set(map(id, choose(self.model, left).parameters))
        cut = _within(stages(self.model, by), frozen)
        self.stages: tuple[Stage, ...] = cut[::-1] if top_down else cut
        self.thawed = 0
        freeze(self.model, *what, except_=except_)

    @property
    def frozen(self) -> tuple[str, ...]:
        """Names of the stages that are still frozen, the next one first."""
        return tuple(stage.name for stage in self.stages[self.thawed :])

    def step(self) -> str | None:
        """Let the next stage train; its name, or None when all of them do."""
        if self.thawed == len(self.stages):
            return None
        stage = self.stages[self.thawed]
        self.thawed += 1
        unfreeze(self.model, *stage.parameters)
        return stage.name

    def state_dict(self) -> dict[str, Any]:
        """Where it is: plain data, for a checkpoint."""
        return {"stages": [stage.name for stage in self.stages], "thawed": self.thawed}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from there: what had thawed trains, what had not is frozen.

        Raises:
            UnknownPartError: the state is of other stages; nothing has changed.
        """
        for there, stage in zip_longest(state["stages"], self.stages):
            if stage is None or there != stage.name:
                raise UnknownPartError(f"the stages of {type(self.model).__name__}", str(there))
        self.thawed = int(state["thawed"])
        for stage in self.stages[: self.thawed]:
            unfreeze(self.model, *stage.parameters)
        for stage in self.stages[self.thawed :]:
            freeze(self.model, *stage.parameters)


def _within(cut: Sequence[Stage], frozen: set[int]) -> tuple[Stage, ...]:
    kept = (
        Stage(stage.name, tuple(value for value in stage.parameters if id(value) in frozen)) for stage in cut
    )
    return tuple(stage for stage in kept if stage.parameters)
