"""What of a network to train for so many pictures, so near to those that it was trained on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from zoomgr.errors import InvalidSettingError
from zoomgr.tune.plan import FinetunePlan, finetune_plan

if TYPE_CHECKING:
    from torch import nn

    from zoomgr.tune.groups import Fresh

Amount = Literal["few", "some", "many"]
Likeness = Literal["near", "far"]

FEW = 1_000
"""Pictures, up to which they are few: what VTAB-1k gives for a task (Zhai et al. 2019, arXiv 1910.04867)."""
MANY = 10_000
"""Pictures, from which on they are many. A rule of thumb: nobody has measured one number for all tasks."""


@dataclass(frozen=True, slots=True)
class Advice:
    """What to train; printed, it is the reason in words.

    Attributes:
        amount: of pictures.
        likeness: of these to the ones that the weights were trained on.
        depth: share of the stages that train at last, from the head down; 0 for the head alone.
        layer_decay: factor on the learning rate from each stage to the one below it.
        reason: why.
    """

    amount: Amount
    likeness: Likeness
    depth: float
    layer_decay: float
    reason: str

    def plan(self, model: nn.Module, fresh: Fresh = (), **options: Any) -> FinetunePlan:
        """The plan that follows it.

        Args:
            model: the network.
            fresh: as of `finetune_plan`.
            **options: the others of `finetune_plan`, `epochs` and `lr` at least; they beat the advice.

        Raises:
            UnknownPartError, PlaceNotFoundError: as of `finetune_plan`.
        """
        return finetune_plan(
            model, fresh, **{"depth": self.depth, "layer_decay": self.layer_decay, **options}
        )

    def __str__(self) -> str:
        return self.reason


def advise(n_images: int, similarity: float | Likeness) -> Advice:
    """What to train: a place to start from, not a law.

    Args:
        n_images: labelled pictures to train with, more than 0.
        similarity: of them to the pictures that the weights were trained on: "near", "far", or your guess
            from 0 (spectrograms, X-rays) to 1 (photos of such things as ImageNet's); near from 0.5 on.

    Raises:
        InvalidSettingError: no pictures, or another similarity.

    Sources: the four cases are those of Stanford's CS231n notes, "Transfer Learning: when and how to
    fine-tune". Layers near the head are the ones most of their task (Yosinski et al. 2014, arXiv 1411.1792),
    so what is fine-tuned in part is fine-tuned from there; that good features need the less change, and what
    they are worth fades as pictures grow many, Kornblith et al. found (2019, arXiv 1805.08974). That the head
    goes first, in every plan, is LP-FT (Kumar et al. 2022, arXiv 2202.10054): a random head distorts features
    that are there. `FEW`, `MANY`, the half and the decays are rules of thumb that nobody there has measured.
    """
    if n_images < 1:
        raise InvalidSettingError("n_images", str(n_images), "there is nothing to train with")
    amount: Amount = "few" if n_images <= FEW else "many" if n_images >= MANY else "some"
    likeness = _likeness(similarity)
    return next(one for one in _ADVICE if (one.amount, one.likeness) == (amount, likeness))


def _likeness(similarity: float | Likeness) -> Likeness:
    match similarity:
        case "near" | "far":
            return similarity
        case int() | float() if 0 <= similarity <= 1:
            return "near" if similarity >= 0.5 else "far"  # noqa: PLR2004 (the middle)
        case _:
            remedy = 'say "near", "far", or a number from 0 to 1'
            raise InvalidSettingError("similarity", str(similarity), "it is no similarity", remedy)


_ADVICE = (
    Advice(
        "few",
        "near",
        depth=0.0,
        layer_decay=0.75,
        reason="Few pictures, near: train the head alone. The features fit already, and with so few pictures "
        "the layers below would learn them by heart.",
    ),
    Advice(
        "few",
        "far",
        depth=0.5,
        layer_decay=0.5,
        reason="Few pictures, far: train the head, then the upper half of the stages at rates that fall "
        "quickly. What the upper layers know is of another task. A linear classifier on an earlier layer "
        "(zoomgr.tune.cut) is worth a try: it cannot overfit as much.",
    ),
    Advice(
        "some",
        "near",
        depth=0.5,
        layer_decay=0.75,
        reason="Some pictures, near: train the head, then the upper half of the stages. What the lower half "
        "knows is of any task.",
    ),
    Advice(
        "some",
        "far",
        depth=1.0,
        layer_decay=0.75,
        reason="Some pictures, far: train the head, then all stages from the top, the lower ones slowly. "
        "The features have to move, and there are pictures to move them.",
    ),
    Advice(
        "many",
        "near",
        depth=1.0,
        layer_decay=0.75,
        reason="Many pictures, near: train the head, then all stages from the top, the lower ones slowly. "
        "So many pictures are not learnt by heart, and small rates keep what fits.",
    ),
    Advice(
        "many",
        "far",
        depth=1.0,
        layer_decay=1.0,
        reason="Many pictures, far: train the head, then all stages at one rate. The pretrained weights are "
        "seldom a worse start than random ones; compare with training from scratch.",
    ),
)
