"""Building an architecture of torchvision or timm for other counts, fast and as usual, and comparing both."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoomgr.adapt.build import skip_init
from zoomgr.api import ArchitectureFamily, CannotAdaptHeadError, CannotAdaptStemError, Place
from zoomgr_timm.catalogue import CATALOGUE as TIMM
from zoomgr_timm.family import TimmFamily
from zoomgr_torchvision.catalogue import CATALOGUE as TORCHVISION
from zoomgr_torchvision.family import TorchvisionFamily

if TYPE_CHECKING:
    from torch import Tensor, nn

FAMILIES: dict[str, ArchitectureFamily] = {"torchvision": TorchvisionFamily(), "timm": TimmFamily()}
NUM_CLASSES, IN_CH = 9, 4
_OTHER_COUNTS = {"num_classes": 11, "in_ch": 5}

FORWARD_BYTES = 4 * 10**9
_BYTES_A_PIXEL = 3000
"""What a forward pass takes beside the parameters, guessed on the safe side: the attention of SAM's vision
transformers, whose pictures are the largest, takes 2400 for each pixel."""
CONSTANT = 10**8
"""Parameters of a model that is built as usual but for random numbers, for which it gets a constant: they are
nine tenths of the time, and no key, shape or buffer depends on them."""
ALONE = 10**9
"""Parameters of a model that is built while no other is: 4 GB."""
HALVED = 3 * 10**9
"""Parameters of a model both of whose builds are made of bfloat16, or they would take 12 GB and more."""

_SPARE_BYTES = 10**9


@dataclass(frozen=True, slots=True)
class Row:
    """What is known of an architecture; the table's columns.

    Attributes:
        architecture: FAMILY/NAME.
        module: of the library, where its builder is.
        params: as built for 9 classes and 4 channels.
        result: "pass", "refused: CODE" or "failed: REASON".
        forward: "yes", or "no: REASON".
        seconds: that all of it took.
    """

    architecture: str
    module: str = ""
    params: int = 0
    result: str = "pass"
    forward: str = ""
    seconds: float = 0.0


def checked(architecture: str, *, alone: bool = True) -> Row | None:
    """Build and compare one architecture; what goes wrong is in the row.

    Args:
        architecture: FAMILY/NAME.
        alone: no other is being built.

    Returns:
        None when it has to be alone, and is not.
    """
    begun = time.perf_counter()
    module, params, forward = "", 0, "no: it was not built"
    try:
        module = module_of(architecture)
        fast, counts, refusals = _adapted(architecture)
        params = sum(tensor.numel() for tensor in fast.parameters())
        if params > ALONE and not alone:
            return None
        problems = _place_problems(architecture, counts, fast)
        normal, found = _compared(architecture, counts, fast, params)
        forward, problem = _answer(normal, architecture, counts, params)
        problems += [*found, *filter(None, [problem])]
        result = f"failed: {'; '.join(problems[:3])}" if problems else refusals or "pass"
    except Exception as error:  # noqa: BLE001 (one that does not work must not end the sweep)
        result = f"failed: {type(error).__name__}: {error}"
    line = " ".join(result.split())[:300]
    return Row(architecture, module, params, line, forward, round(time.perf_counter() - begun, 1))


def module_of(architecture: str) -> str:
    """The module of its builder, without what all have in common."""
    family, _, name = architecture.partition("/")
    if family == "timm":
        from timm.models import model_entrypoint

        return str(model_entrypoint(name).__module__).removeprefix("timm.models.")
    from torchvision.models import get_model_builder

    return str(get_model_builder(name).__module__).removeprefix("torchvision.models.")


def row_of(architecture: str) -> Mapping[str, Any]:
    """The catalogue's row."""
    family, _, name = architecture.partition("/")
    shipped = TIMM.shipped["architectures"] if family == "timm" else TORCHVISION.shipped["models"]
    row: Mapping[str, Any] = shipped[name]
    return row


# -- building ------------------------------------------------------------------------------------------------


def built(architecture: str, counts: Mapping[str, int], *, fast: bool) -> nn.Module:
    """The module in eval mode; quantizable ones as float."""
    family, _, name = architecture.partition("/")
    more: dict[str, Any] = {"quantize": False} if name.startswith("quantized_") else {}
    with skip_init() if fast else nullcontext():
        return FAMILIES[family].build(name, **counts, **more).eval()


def _adapted(architecture: str) -> tuple[nn.Module, dict[str, int], str]:
    """The module with the counts that it takes, those, and which of the others it refuses."""
    counts = {"num_classes": NUM_CLASSES, "in_ch": IN_CH}
    if row_of(architecture).get("task") == "optical-flow":
        del counts["num_classes"]
    refused: list[str] = []
    while True:
        try:
            model = built(architecture, counts, fast=True)
        except (CannotAdaptHeadError, CannotAdaptStemError) as error:
            del counts["num_classes" if isinstance(error, CannotAdaptHeadError) else "in_ch"]
            refused.append(error.code)
        else:
            return model, counts, f"refused: {', '.join(refused)}" if refused else ""


def _compared(
    architecture: str, counts: Mapping[str, int], fast: nn.Module, params: int
) -> tuple[nn.Module, list[str]]:
    """The module as it is usually built, and where the fast one differs.

    Raises:
        MemoryError: there is too little for it now.
    """
    needed = params * (2 if params > HALVED else 4) + _SPARE_BYTES
    if (available := _available_bytes()) < needed:
        raise MemoryError(f"it takes {needed / 10**9:.1f} GB, {available / 10**9:.1f} are available")
    with _halved(params > HALVED):
        fast = built(architecture, counts, fast=True) if params > HALVED else fast
        with _constant_for_random() if params > CONSTANT else nullcontext():
            normal = built(architecture, counts, fast=False)
    return normal, differences(fast, normal)


def _available_bytes() -> float:
    """Memory that can be had without swapping; without limit where the system does not say."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return math.inf
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))


@contextmanager
def _halved(really: bool) -> Iterator[None]:
    """Let modules be made of bfloat16."""
    import torch

    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.bfloat16 if really else before)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


@contextmanager
def _constant_for_random() -> Iterator[None]:
    """Fill parameters with a constant instead of random numbers; all else is done."""
    from torch import nn
    from torch.overrides import TorchFunctionMode

    class Constant(TorchFunctionMode):
        def __torch_function__(
            self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
        ) -> Any:
            if args and isinstance(args[0], nn.Parameter):
                match getattr(func, "__name__", ""):
                    case "uniform_" | "normal_":
                        return args[0].fill_(0.01)
                    case "erfinv_":
                        return args[0]
            return func(*args, **(kwargs or {}))

    with Constant():
        yield


# -- comparing -----------------------------------------------------------------------------------------------


def differences(fast: nn.Module, normal: nn.Module) -> list[str]:
    """Where a model that was built fast is another one than that which was built as usual."""
    ours, theirs = fast.state_dict(), normal.state_dict()
    buffers, expected = (dict(model.named_buffers(remove_duplicate=False)) for model in (fast, normal))
    return [
        *(f"only one build has {name}" for name in ours.keys() ^ theirs.keys()),
        *(f"only one build has {name}" for name in buffers.keys() ^ expected.keys()),
        *(
            f"{name} is {(*ours[name].shape, ours[name].dtype)}, not {(*value.shape, value.dtype)}"
            for name, value in theirs.items()
            if name in ours and (ours[name].shape, ours[name].dtype) != (value.shape, value.dtype)
        ),
        *(
            f"{name} has other values"
            for name, value in expected.items()
            if name in buffers and not _same(buffers[name], value)
        ),
    ]


def _same(one: Tensor, other: Tensor) -> bool:
    """Whether two tensors hold the same values; NaN is equal to NaN."""
    import torch

    if one.shape != other.shape or one.dtype != other.dtype:
        return False
    return torch.equal(one, other) or bool(((one == other) | (one.isnan() & other.isnan())).all())


def _place_problems(architecture: str, counts: Mapping[str, int], model: nn.Module) -> list[str]:
    """Where the layers that other counts change are not those that the catalogue declares."""
    others = {count: _OTHER_COUNTS[count] for count in counts}
    other = built(architecture, others, fast=True)
    shapes = {name: tensor.shape for name, tensor in other.named_parameters()}
    changed: dict[str, list[tuple[int, int]]] = {}
    for name, tensor in model.named_parameters():
        if axes := [both for both in zip(tensor.shape, shapes[name], strict=True) if both[0] != both[1]]:
            changed.setdefault(name.rpartition(".")[0], axes)
    row = row_of(architecture)
    declared = {
        place.path: [(place.size(counts[count]), place.size(others[count]))]
        for key, count in (("head", "num_classes"), ("stem", "in_ch"))
        for place in map(Place.parse, row.get(key, ()))
        if count in counts and not place.count
    }
    return [
        f"{path} changes by {changed.get(path)}, declared is {declared.get(path)}"
        for path in sorted(changed.keys() | declared.keys())
        if changed.get(path) != declared.get(path)
    ]


# -- a picture -----------------------------------------------------------------------------------------------


def _answer(model: Any, architecture: str, counts: Mapping[str, int], params: int) -> tuple[str, str]:
    """What the column "forward" says, and what is wrong; many take only pictures of their own size."""
    import torch

    sides = _sides(architecture)
    needed = sum(tensor.nbytes for tensor in model.parameters()) + _BYTES_A_PIXEL * sides[-1] ** 2
    if params > HALVED or needed > FORWARD_BYTES:
        return f"no: it takes about {max(needed, 4 * params) / 10**9:.1f} GB", ""
    problem = ""
    for side in sides:
        try:
            if hasattr(model, "set_input_size") and len(sides) > 1:
                model.set_input_size(img_size=(side, side))
            with torch.no_grad():
                answer = model(*_inputs(model, architecture, counts.get("in_ch", 3), side))
        except Exception as error:  # noqa: BLE001 (a wrong size shows in many ways)
            problem = f"no picture goes through: {type(error).__name__}: {error}"
        else:
            is_classifier = row_of(architecture).get("task", "classification") in {"classification", "video"}
            if is_classifier and "num_classes" in counts and answer.shape != (1, NUM_CLASSES):
                return "yes", f"it answers with {tuple(answer.shape)}"
            return "yes", ""
    return "no: it fails", problem


def _sides(architecture: str) -> tuple[int, ...]:
    """Sides of pictures to try, in pixels: small ones, and the one that the architecture is made for."""
    family, _, name = architecture.partition("/")
    if family == "timm":
        from timm.models import get_pretrained_cfg

        own = int(get_pretrained_cfg(name).input_size[-1])
    else:
        own = int(row_of(architecture).get("build_args", {}).get("image_size", 224))
    return (*(side for side in (64, 112, 128) if side < own), own)


def _inputs(model: Any, architecture: str, in_ch: int, side: int) -> tuple[Any, ...]:
    """Noise of the form that the model takes."""
    import torch

    match row_of(architecture).get("task"):
        case "detection" | "keypoints":
            model.transform.min_size, model.transform.max_size = (side,), 2 * side
            if hasattr(model, "rpn"):  # untrained, it would find a thousand things
                model.rpn._post_nms_top_n["testing"] = 10  # noqa: SLF001 (an argument of the builder otherwise)
            return ([torch.rand(in_ch, side, side)],)
        case "video":
            return (torch.rand(1, in_ch, 16, side, side),)
        case "optical-flow":
            return torch.rand(1, in_ch, side, side), torch.rand(1, in_ch, side, side)
        case _:
            return (torch.rand(1, in_ch, side, side),)
