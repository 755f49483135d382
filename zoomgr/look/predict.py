"""The most likely classes of a picture."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import Image
    from torch import Tensor, nn


@dataclass(frozen=True, slots=True)
class Prediction:
    """A class and how likely the model holds it.

    Attributes:
        index: row of the head.
        name: what the class is called.
        probability: softmax over all classes, 0..1.
    """

    index: int
    name: str
    probability: float


def predict(
    model: nn.Module,
    prepare: Callable[[Image.Image], Tensor],
    image: Image.Image,
    names: Sequence[str],
    *,
    top: int = 5,
) -> tuple[Prediction, ...]:
    """The `top` most likely classes, most likely first; the model is left in eval mode."""
    import torch

    with torch.inference_mode():
        logits = model.eval()(prepare(image).unsqueeze(0))
        best = logits.softmax(dim=-1)[0].topk(min(top, len(names)))
    return tuple(
        Prediction(int(index), names[int(index)], float(probability))
        for probability, index in zip(best.values, best.indices, strict=True)
    )
