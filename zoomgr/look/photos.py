"""Maps of layers for photo files: where they are strong, and as pictures."""

from __future__ import annotations

import io
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from zoomgr.errors import FileUnwritableError, InvalidSettingError, reason_of
from zoomgr.look.overlay import overlay
from zoomgr.look.preprocess import open_image, seen_box
from zoomgr.records import Preprocess
from zoomgr.saving import save

if TYPE_CHECKING:
    from PIL import Image
    from torch import Tensor

    from zoomgr.look.activations import LayerMap


@dataclass(frozen=True, slots=True)
class PhotoMap:
    """What a layer makes of a photo.

    Attributes:
        image: the photo.
        layer, kind: path and class of the layer.
        output: shape of its output.
        map: rows and columns of the map.
        prefix: tokens that were left out, for they stand for no place.
        mean, max: of the map.
        strongest: where its largest value lies: from the left and from the top, in pixels of the photo.
        index, name: of the class, for Grad-CAM; else None and empty.
        file: the picture that was written.
    """

    image: Path
    layer: str
    kind: str
    output: tuple[int, ...]
    map: tuple[int, int]
    prefix: int
    mean: float
    max: float
    strongest: tuple[int, int]
    index: int | None = None
    name: str = ""
    file: Path | None = None


@dataclass(frozen=True, slots=True)
class Folder:
    """Where pictures go.

    Attributes:
        path: of the folder, made when it is not there.
        replace: whether what is there may be written over.
    """

    path: Path
    replace: bool = False

    def prepare(self, photos: Sequence[Path]) -> None:
        """Make the folder, before anything is fetched for it.

        Raises:
            InvalidSettingError: two of the photos have one name, and so would their pictures.
            FileUnwritableError: the folder cannot be made.
        """
        twice = [stem for stem, count in Counter(photo.stem for photo in photos).items() if count > 1]
        if twice:
            problem, remedy = f"several photos are called {twice[0]}", "give them a folder each"
            raise InvalidSettingError("output", str(self.path), problem, remedy)
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise FileUnwritableError(str(self.path), error.strerror or reason_of(error)) from error

    def save(self, picture: Image.Image, name: str) -> Path:
        """Write a picture as PNG; gives where.

        Raises:
            InvalidSettingError: it is there already.
            FileUnwritableError: the disk is full, or refuses.
        """
        plain = re.sub(r"[^\w.-]", "_", name)  # modules may be called as they like
        path = self.path / f"{plain}.png"
        if path.exists() and not self.replace:
            remedy = "choose another folder, or --force (replace=True)"
            raise InvalidSettingError("output", str(path), "it is there already", remedy)
        content = io.BytesIO()
        picture.save(content, "PNG")
        save(path, content.getvalue())
        return path


@dataclass(frozen=True, slots=True)
class Viewer:
    """All that shows maps of photos.

    Attributes:
        see: gives the maps of a batch of one.
        prepare: makes a tensor of a photo.
        how: what it does.
        names: of the classes.
        folder: where pictures go; None for none.
    """

    see: Callable[[Tensor], tuple[LayerMap, ...]]
    prepare: Callable[[Image.Image], Tensor]
    how: Preprocess
    names: Sequence[str] = ()
    folder: Folder | None = None

    def maps(self, path: Path) -> Iterator[PhotoMap]:
        """Of each layer, its picture written.

        Raises:
            UnreadableImageError: the file is no picture.
            InvalidSettingError, FileUnwritableError: as of `Folder.save`.
        """
        photo = open_image(path)
        left, top, right, bottom = box = seen_box(self.how, photo.size)
        for one in self.see(self.prepare(photo).unsqueeze(0)):
            values, (x, y) = one.values[0], one.strongest()
            index = one.classes[0] if one.classes else None
            name = "" if index is None else self.names[index]
            file = None
            if self.folder:
                shape = "x".join(map(str, one.shape[1:]))
                title = "  ".join(filter(None, (name, one.layer, one.kind, shape)))
                picture = overlay(photo, values, box=box, title=title)
                file = self.folder.save(picture, ".".join(_named(path.stem, one.layer, index)))
            yield PhotoMap(
                path,
                one.layer,
                one.kind,
                one.shape,
                (values.shape[0], values.shape[1]),
                one.prefix,
                float(values.mean()),
                float(values.max()),
                (round(left + x * (right - left)), round(top + y * (bottom - top))),
                index,
                name,
                file,
            )


def _named(photo: str, layer: str, index: int | None) -> tuple[str, ...]:
    return (photo, layer) if index is None else (photo, layer, f"class-{index}")
