"""Networks of several libraries, built when they are needed: libraries are imported then, and not before."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from operator import attrgetter
from typing import Any

from torch import Tensor, nn

Build = Callable[[], nn.Module]


@dataclass(frozen=True, slots=True)
class Pair:
    """Two networks that compute the same function when the first one's weights are in the second.

    Attributes:
        name: what tells it from the others.
        library: the source's.
        source, target: build them.
        size: height and width of a picture that both take, pixels.
        partial: the file holds more than the network, such as another head, and the user says so.
    """

    name: str
    library: str
    source: Build
    target: Build
    size: int = 64
    partial: bool = False


# -- libraries -----------------------------------------------------------------------------------------------


def of(module: str, name: str, *args: Any, **options: Any) -> Build:
    """What a function or class of a module gives, when it is called."""

    def built() -> nn.Module:
        made: nn.Module = attrgetter(name)(importlib.import_module(module))(*args, **options)
        return made

    return built


def tv(name: str, **options: Any) -> Build:
    """Of torchvision, for pictures as they are: without weights, Inception would prepare them."""

    def built() -> nn.Module:
        import torchvision

        model: nn.Module = torchvision.models.get_model(name, **options)
        if hasattr(model, "transform_input"):
            model.transform_input = False  # type: ignore[assignment]
        return model

    return built


def tm(name: str, **options: Any) -> Build:
    """Of timm."""
    return of("timm", "create_model", name, **options)


def zoo(ref: str, **options: Any) -> Build:
    """Of torchvision or timm, as in "timm/resnet50"."""
    library, _, name = ref.partition("/")
    return {"timm": tm, "torchvision": tv}[library](name, **options)


def hf(family: str, task: str, **options: Any) -> Build:
    """Of transformers, with the names that its files have: those of its modules were changed since."""
    return _as_saved(hf_in_memory(family, task, **options))


def hf_in_memory(family: str, task: str, **options: Any) -> Build:
    """Of transformers, with the names that its modules have now."""

    def built() -> nn.Module:
        library = importlib.import_module("transformers")
        made: nn.Module = getattr(library, family + task)(getattr(library, f"{family}Config")(**options))
        return made

    return built


def _as_saved(build: Build) -> Build:
    def built() -> nn.Module:
        model = build()
        plain = model.state_dict
        renamed = importlib.import_module("transformers.core_model_loading").revert_weight_conversion

        def saved(**options: Any) -> Mapping[str, Tensor]:
            own: dict[str, Tensor] = plain(**options)
            if options:
                return own
            place = {value.data_ptr(): at for at, value in enumerate(own.values())}
            found = renamed(model, own).items()  # sorted by name, where files of older versions were not
            return dict(sorted(found, key=lambda item: place.get(item[1].data_ptr(), len(place))))

        model.state_dict = saved  # type: ignore[method-assign, assignment]
        return model

    return built


# -- changes -------------------------------------------------------------------------------------------------


def same_eps(build: Build, eps: float = 1e-3) -> Build:
    """With this eps in every norm: libraries differ in what neither keys nor shapes can show."""

    def built() -> nn.Module:
        model = build()
        for layer in model.modules():
            if hasattr(layer, "eps"):
                layer.eps = eps  # type: ignore[assignment]
        return model

    return built


def answering(build: Build, how: Callable[[nn.Module, Tensor], Any]) -> Build:
    """The same network with the same keys, answering with what `how` makes of it and a picture."""

    def built() -> nn.Module:
        model = build()
        model.forward = partial(how, model)
        return model

    return built


def features(build: Build) -> Build:
    """A network of timm, answering with its features before they are pooled."""
    return answering(build, lambda model, pictures: model.forward_features(pictures))  # type: ignore[operator]


def part(build: Build, path: str) -> Build:
    """A network, answering with a module of itself: its other modules are only in the file."""
    return answering(build, lambda model, pictures: model.get_submodule(path)(pictures))


def among(**modules: Build) -> Build:
    """Several modules in one, by name; the first of them answers."""

    def built() -> nn.Module:
        model = nn.Module()
        for name, module in modules.items():
            model.add_module(name, module())
        return model

    return part(built, next(iter(modules)))
