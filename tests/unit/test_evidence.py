"""What a filled network computes is held against the network, or the pictures, that its weights come from."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path

import pytest
import torch
from torch import nn

import zoomgr
from zoomgr.errors import InvalidSettingError
from zoomgr.records import Evidence


def trained() -> nn.Sequential:
    """A small classifier whose norms have statistics of real inputs, each other ones."""
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 8, 3), nn.BatchNorm2d(8), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 5),
    )  # fmt: skip
    nn.init.constant_(model[0].get_parameter("bias"), 5.0)
    nn.init.constant_(model[3].get_parameter("bias"), -5.0)
    for _ in range(60):
        model(pictures(16))
    return model


def pictures(count: int) -> torch.Tensor:
    """All of one kind: the statistics of the norms come about on such."""
    return torch.randn(count, 3, 16, 16) * 2 + 1


def test_equal_outputs_are_a_proof() -> None:
    """And a single other value is none."""
    source = trained()
    model = copy.deepcopy(source)

    same = zoomgr.check(model, source, pictures=pictures(2))
    with torch.no_grad():
        model[3].get_parameter("weight")[0, 0, 0, 0] += 1
    other = zoomgr.check(model, source, pictures=pictures(2))

    assert (same.verdict, same.parity) == ("proven", 0.0)
    assert other.verdict == "contradicted"
    assert "contradicted: outputs differ from the source's by" in str(other)


def test_statistics_that_fit_the_pictures_are_plausible_and_no_more() -> None:
    """Nothing speaks against the weights; a proof takes the network that they come from."""
    evidence = zoomgr.check(trained(), pictures(8))

    assert evidence.verdict == "plausible"
    assert evidence.deviation is not None
    assert evidence.deviation < 1
    assert evidence.confidence is not None
    assert 0.2 <= evidence.confidence <= 1


def test_norms_that_were_exchanged_are_named() -> None:
    """Their statistics are of other inputs than they get."""
    model = trained()
    first, second = model[1].state_dict(), copy.deepcopy(model[4].state_dict())
    model[4].load_state_dict(first)
    model[1].load_state_dict(second)

    evidence = zoomgr.check(model, pictures(8))

    assert evidence.verdict == "contradicted"
    assert evidence.layer in {"1", "4"}
    assert f"the inputs of {evidence.layer} lie" in str(evidence)


def test_a_network_without_statistics_says_nothing() -> None:
    """Unknown is not plausible."""
    evidence = zoomgr.check(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()), pictures(2))

    assert (evidence.verdict, str(evidence)) == ("unknown", "unknown: nothing to check it by")


def test_modes_buffers_and_hooks_are_as_before() -> None:
    """A check in train mode must not move the statistics that it reads."""
    model = trained().train()
    model[4].eval()
    before = copy.deepcopy(model.state_dict())

    zoomgr.check(model, pictures(4))

    assert (model.training, model[1].training, model[4].training) == (True, True, False)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert not any(layer._forward_pre_hooks for layer in model.modules())


def test_pictures_that_the_network_does_not_take_are_an_error() -> None:
    """With the network's own reason, and everything as before."""
    model = trained().train()

    with pytest.raises(InvalidSettingError, match="does not take them"):
        zoomgr.check(model, torch.zeros(1, 4, 16, 16))

    assert model.training


def test_a_load_carries_its_evidence(tmp_path: Path) -> None:
    """In the report, which says it and pickles."""
    source = trained()
    torch.save(source.state_dict(), tmp_path / "trained.pth")

    report = zoomgr.load_into(trained(), tmp_path / "trained.pth", check=pictures(8))

    assert report.evidence is not None
    assert report.evidence.verdict == "plausible"
    assert str(report).endswith(str(report.evidence))
    assert pickle.loads(pickle.dumps(report)).evidence == report.evidence  # noqa: S301 [our own bytes]


@pytest.mark.parametrize(("parity", "expected"), [(0.0, "proven"), (9e-5, "proven"), (1e-3, "contradicted")])
def test_parity_outweighs_statistics(parity: float, expected: str) -> None:
    """It is the stronger of the two."""
    assert Evidence(parity=parity, deviation=99.0, layer="norm").verdict == expected
