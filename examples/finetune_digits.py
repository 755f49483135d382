"""Fine-tune efficientnet_lite0 on 300 of scikit-learn's digits: first its head, then stage after stage.

    python examples/finetune_digits.py FOLDER

With --random it starts from random weights: all of it is fresh then, and trains from the first epoch on.
Started again with the same folder, it goes on where it was stopped.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn import functional

import zoomgr
from zoomgr import tune

Pictures = tuple[torch.Tensor, torch.Tensor]
"""Pictures, and what they show."""

TRAIN, VALIDATION, TEST = slice(0, 300), slice(300, 800), slice(800, None)
BATCH, PIXELS = 16, 64


def digits(which: slice) -> Pictures:
    """Grey pictures of 8 x 8 pixels as RGB of 64 x 64, in [-1, 1] as these weights were trained."""
    images, labels = load_digits(return_X_y=True)
    grey = torch.tensor(images[which], dtype=torch.float32).reshape(-1, 1, 8, 8) / 8 - 1
    large = functional.interpolate(grey, PIXELS, mode="bilinear")
    return large.repeat(1, 3, 1, 1), torch.tensor(labels[which])


def train(model: nn.Module, optimizer: torch.optim.Optimizer, pictures: Pictures, order: int) -> float:
    """One epoch; returns the mean loss."""
    model.train()
    x, y = pictures
    total = 0.0
    for batch in torch.randperm(len(x), generator=torch.Generator().manual_seed(order)).split(BATCH):
        loss = functional.cross_entropy(model(x[batch]), y[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item() * len(batch)
    return total / len(x)


@torch.inference_mode()
def accuracy(model: nn.Module, pictures: Pictures) -> float:
    """The share that is right."""
    model.eval()
    x, y = pictures
    found = torch.cat([model(batch).argmax(1) for batch in x.split(100)])
    return (found == y).float().mean().item()


def main() -> None:
    """Train, and print an epoch a line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--random", action="store_true", help="start from random weights")
    parser.add_argument("--lr", type=float, help="below the head; what is fresh has ten times as much")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0, help="of fresh weights, and of the pictures' order")
    parser.add_argument("--test", action="store_true", help="show it the test pictures, when all is chosen")
    given = parser.parse_args()

    torch.manual_seed(given.seed)
    model, report = zoomgr.load_with_report("efficientnet_lite0", num_classes=10, weights=not given.random)
    if not given.random:
        tune.freeze(model, nn.BatchNorm2d)  # statistics of a million pictures beat those of sixteen
    lr = given.lr or (1e-3 if given.random else 3e-4)  # either the best of five on the validation pictures
    plan = tune.finetune_plan(model, report, epochs=given.epochs, lr=lr)
    optimizer = torch.optim.AdamW(plan.groups(model))
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, given.epochs)
    training = {"model": model, "optimizer": optimizer, "scheduler": scheduler}

    given.folder.mkdir(parents=True, exist_ok=True)
    last = given.folder / "last.pth"
    start = tune.resume(last, **training).epoch + 1 if last.exists() else 0
    shown, others = digits(TRAIN), digits(VALIDATION)
    for epoch in range(start, given.epochs):
        plan.apply(model, epoch)
        loss = train(model, optimizer, shown, order=1000 * given.seed + epoch)
        scheduler.step()
        score = accuracy(model, others)
        tune.save_checkpoint(last, **training, epoch=epoch, score=score)
        print(f"epoch {epoch}  loss {loss:.6f}  accuracy {score:.3f}", flush=True)
    if given.test:
        tune.resume(given.folder / "best.pth", model=model)
        print(f"test  accuracy {accuracy(model, digits(TEST)):.3f}")


if __name__ == "__main__":
    main()
