"""The most likely classes of pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from zoomgr.errors import UnreadableImageError
from zoomgr.look.preprocess import open_image

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


@dataclass(frozen=True, slots=True)
class Predicted:
    """What is on a picture.

    Attributes:
        image: the file.
        classes: most likely first; none where it cannot be read.
        error: why it cannot.
    """

    image: Path
    classes: tuple[Prediction, ...] = ()
    error: UnreadableImageError | None = None


def predict(
    model: nn.Module,
    prepare: Callable[[Image.Image], Tensor],
    image: Image.Image,
    names: Sequence[str],
    *,
    top: int = 5,
) -> tuple[Prediction, ...]:
    """The `top` most likely classes, most likely first; the model is left in eval mode."""
    (only,) = _classes(model, prepare(image).unsqueeze(0), names, top)
    return only


@dataclass(frozen=True, slots=True)
class Classifier:
    """All that names pictures.

    Attributes:
        load: gives the model; asked when the first picture is prepared.
        prepare: makes tensors of one shape of them.
        names: of the classes.
        top: how many of them are told.
    """

    load: Callable[[], nn.Module]
    prepare: Callable[[Image.Image], Tensor]
    names: Sequence[str]
    top: int = 5

    def each(self, images: Iterable[Path], batch: int = 16) -> Iterator[Predicted]:
        """What is on picture files, in their order; one that cannot be read does not keep the others.

        Args:
            images: files.
            batch: how many go through the model at once, which is what they take of its memory.
        """
        remaining = iter(images)
        while some := tuple(islice(remaining, batch)):
            opened = {path: self._opened(path) for path in some}
            tensors = {path: one for path, one in opened.items() if not isinstance(one, UnreadableImageError)}
            found = dict(zip(tensors, self._classes_of(list(tensors.values())), strict=True))
            for path in some:
                one = opened[path]
                error = one if isinstance(one, UnreadableImageError) else None
                yield Predicted(path, found.get(path, ()), error)

    def _opened(self, path: Path) -> Tensor | UnreadableImageError:
        try:
            return self.prepare(open_image(path))
        except UnreadableImageError as error:
            return error

    def _classes_of(self, pictures: list[Tensor]) -> list[tuple[Prediction, ...]]:
        import torch

        return _classes(self.load(), torch.stack(pictures), self.names, self.top) if pictures else []


def _classes(
    model: nn.Module, pictures: Tensor, names: Sequence[str], top: int
) -> list[tuple[Prediction, ...]]:
    """Of each picture of a batch (pictures, channels, height, width)."""
    import torch

    with torch.inference_mode():
        best = model.eval()(pictures).softmax(dim=-1).topk(min(top, len(names)))
    return [
        tuple(
            Prediction(index, names[index], probability)
            for probability, index in zip(likely, indices, strict=True)
        )
        for likely, indices in zip(best.values.tolist(), best.indices.tolist(), strict=True)
    ]
