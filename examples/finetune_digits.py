"""Fine-tune efficientnet_lite0 on scikit-learn's digits: first its head, then more and more of it.

    python examples/finetune_digits.py FOLDER [--random]

The norms keep what they learned: an epoch is twenty batches. From random weights there is nothing to keep, so
all trains from the first epoch on. Started again with the same folder, it goes on where it was stopped.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn import functional

import zoomgr
from zoomgr.tune.choose import choose
from zoomgr.tune.freeze import freeze, unfreeze
from zoomgr.tune.state import resume, save_checkpoint

EPOCHS = 6
PRETRAINED = {  # from this epoch on: which parts train, too, and how fast
    0: (("head",), 5e-3),
    2: (("blocks[-2:]", "conv_head", "bn2"), 5e-4),
    4: (("conv_stem", "bn1", "blocks[:-2]"), 5e-5),
}
RANDOM = {0: (("*",), 2e-3)}
TRAIN, TEST, BATCH, PIXELS = 320, 400, 16, 64


def digits() -> tuple[torch.Tensor, torch.Tensor]:
    """Grey pictures of 8 x 8 pixels as RGB of 64 x 64, in [-1, 1], and what they show."""
    images, labels = load_digits(return_X_y=True)
    grey = torch.tensor(images[: TRAIN + TEST], dtype=torch.float32).reshape(-1, 1, 8, 8) / 8 - 1
    return functional.interpolate(grey, PIXELS, mode="bilinear").repeat(1, 3, 1, 1), torch.tensor(labels)


def start_stage(
    model: nn.Module, optimizer: torch.optim.Optimizer, parts: tuple[str, ...], lr: float, *, keep_norms: bool
) -> None:
    """Let the parts train whose turn has come; they enter the optimizer that runs."""
    unfreeze(model, *parts)
    if keep_norms:
        freeze(model, nn.BatchNorm2d)
    trained = [value for value in choose(model, parts).parameters if value.requires_grad]
    optimizer.add_param_group({"params": trained, "lr": lr})


def train(model: nn.Module, optimizer: torch.optim.Optimizer, x: torch.Tensor, y: torch.Tensor) -> float:
    """One epoch; returns the mean loss."""
    model.train()
    total = 0.0
    for batch in torch.randperm(len(x)).split(BATCH):
        loss = functional.cross_entropy(model(x[batch]), y[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item() * len(batch)
    return total / len(x)


@torch.inference_mode()
def accuracy(model: nn.Module, x: torch.Tensor, y: torch.Tensor) -> float:
    """The share that is right."""
    model.eval()
    right = sum(
        (model(a).argmax(1) == b).sum().item() for a, b in zip(x.split(100), y.split(100), strict=True)
    )
    return right / len(x)


def main() -> None:
    """Train, and print an epoch a line: its number, the loss, the accuracy on other pictures."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("folder", type=Path)
    arguments.add_argument("--random", action="store_true", help="start from random weights")
    given = arguments.parse_args()

    torch.manual_seed(0)
    x, y = digits()
    model = zoomgr.load("efficientnet_lite0", num_classes=10, weights=not given.random)
    stages = RANDOM if given.random else PRETRAINED
    freeze(model)
    optimizer = torch.optim.AdamW([{"params": []}])  # each stage brings its own
    last, start = given.folder / "last.pth", 0
    if last.exists():
        start = resume(last, model=model, optimizer=optimizer).epoch + 1
    given.folder.mkdir(parents=True, exist_ok=True)
    for epoch in range(start, EPOCHS):
        if epoch in stages:
            start_stage(model, optimizer, *stages[epoch], keep_norms=not given.random)
        loss = train(model, optimizer, x[:TRAIN], y[:TRAIN])
        score = accuracy(model, x[TRAIN:], y[TRAIN : TRAIN + TEST])
        save_checkpoint(last, model=model, optimizer=optimizer, epoch=epoch, score=score)
        print(f"epoch {epoch}  loss {loss:.6f}  accuracy {score:.3f}", flush=True)


if __name__ == "__main__":
    main()
