"""Small networks of the kinds that adapting meets, for tests."""

from __future__ import annotations

from collections import namedtuple
from typing import Any

import torch
from torch import Tensor, nn

BUILD: dict[str, dict[str, Any]] = {
    "googlenet": {"init_weights": False, "transform_input": False},
    "lraspp_mobilenet_v3_large": {"weights_backbone": None},
}
"""What some of torchvision's builders have to be told, so that they fetch nothing and warn of nothing."""

SIDE = 32
"""Height and width that all of them take, pixels."""


class Plain(nn.Module):
    """A convolution, a norm, and a linear head; it notes its counts."""

    def __init__(self, in_ch: int = 3, num_classes: int = 5) -> None:
        super().__init__()
        self.num_classes, self.in_chans = num_classes, in_ch
        self.stem = nn.Conv2d(in_ch, 8, 3)
        self.norm = nn.BatchNorm2d(8)
        self.fc = nn.Linear(8, num_classes)

    def features(self, x: Tensor) -> Tensor:
        """(N, 8)."""
        return self.norm(self.stem(x)).relu().mean((2, 3))  # type: ignore[no-any-return]

    def forward(self, x: Tensor) -> Any:
        return self.fc(self.features(x))


Outputs = namedtuple("Outputs", ["main", "aux"])  # noqa: PYI024 (as torchvision's GoogLeNet has them)


class Auxiliary(Plain):
    """A second head in train mode only, as GoogLeNet's."""

    def __init__(self) -> None:
        super().__init__()
        self.aux = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Any:
        y = self.features(x)
        return Outputs(self.fc(y), self.aux(y)) if self.training else self.fc(y)


class Distilled(Plain):
    """Two heads whose answers are averaged, in eval mode, as DeiT's."""

    def __init__(self) -> None:
        super().__init__()
        self.head_dist = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Any:
        y = self.features(x)
        answers = self.fc(y), self.head_dist(y)
        return answers if self.training else (answers[0] + answers[1]) / 2


class TwoStems(Plain):
    """Two branches that take the picture, as RepVGG's."""

    def __init__(self) -> None:
        super().__init__()
        self.other = nn.Conv2d(3, 8, 1, padding=0)

    def forward(self, x: Tensor) -> Any:
        return self.fc((self.stem(x) + self.other(x)[..., 1:-1, 1:-1]).mean((2, 3)))


class Gathered(nn.Module):
    """Pixels of 4x4 patches gathered before the first layer, channel by channel or pixel by pixel."""

    def __init__(self, *, by_channel: bool) -> None:
        super().__init__()
        self.by_channel = by_channel
        self.embed = nn.Linear(48, 8)
        self.fc = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        n, c, h, w = x.shape
        x = x.reshape(n, c, h // 4, 4, w // 4, 4)
        order = (0, 2, 4, 1, 3, 5) if self.by_channel else (0, 2, 4, 3, 5, 1)
        tokens = x.permute(order).reshape(n, -1, c * 16)
        return self.fc(self.embed(tokens).mean(1))  # type: ignore[no-any-return]


class Functional(Plain):
    """The weights are used, but the layers are not called."""

    def forward(self, x: Tensor) -> Any:
        y = nn.functional.conv2d(x, self.stem.weight, self.stem.bias).mean((2, 3))
        return nn.functional.linear(y, self.fc.weight)


class Tempered(Plain):
    """One number multiplies all answers, in a dictionary within a record."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, x: Tensor) -> Any:
        return {"logits": [self.fc(self.features(x)) * self.scale.exp()]}


class OfList(Plain):
    """Takes a list of pictures, and answers with a list of records, as torchvision's detectors."""

    def forward(self, images: Any) -> Any:
        if not isinstance(images, list):
            raise TypeError("a list of pictures is expected")
        return [{"scores": self.fc(self.features(one[None]))} for one in images]


class ByValue(Plain):
    """Looks at values, and so does not run on the meta device."""

    def forward(self, x: Tensor) -> Any:
        y = self.features(x)
        return self.fc(y if y.sum().item() > -1e9 else -y)


class Changed(Plain):
    """The channels are changed on their way to the stem in one of several ways."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.how = how

    def forward(self, x: Tensor) -> Any:
        match self.how:
            case "turned around":
                x = x.flip(1)
            case "picked":
                x = x[:, [0, 1, 2]]
            case "mixed":
                x = x.mean(1, keepdim=True).expand(-1, x.shape[1], -1, -1)
            case "normalised":
                x = x - x.new_tensor([0.1, 0.2, 0.3])[:, None, None]
        return super().forward(x)


class Restoring(nn.Module):
    """Answers with a picture: what it adds to its input."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv(x)  # type: ignore[no-any-return]


class TwoTasks(Plain):
    """Classes and a box, of different counts."""

    def __init__(self, num_classes: int = 5) -> None:
        super().__init__(num_classes=num_classes)
        self.box = nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Any:
        y = self.features(x)
        return {"classes": self.fc(y), "box": self.box(y)}


class OwnWeights(Plain):
    """A head that is no layer, as CLIP's projection."""

    def __init__(self) -> None:
        super().__init__()
        self.projection = nn.Parameter(torch.zeros(8, 5))

    def forward(self, x: Tensor) -> Any:
        return self.features(x) @ self.projection


class Residual(Plain):
    """Without a head: what it answers with is what all of its blocks have added up."""

    def __init__(self) -> None:
        super().__init__()
        self.block = nn.Sequential(nn.Conv2d(8, 16, 1), nn.ReLU(), nn.Conv2d(16, 8, 1))

    def forward(self, x: Tensor) -> Any:
        y = self.stem(x)
        return (y + self.block(y)).mean((2, 3))


class Reshaping(Plain):
    """Shapes its answers by the count that it has noted, as torchvision's RetinaNet."""

    def forward(self, x: Tensor) -> Any:
        return self.fc(self.features(x)).view(-1, 1, self.num_classes)
