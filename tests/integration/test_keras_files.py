"""Files that Keras itself writes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from zoomgr.checkpoint import read
from zoomgr_formats import zoomgr_formats

pytestmark = [
    pytest.mark.slow,  # Keras alone takes seconds to import
    pytest.mark.filterwarnings("ignore"),  # its own, and those of what it imports
]
FORMATS = tuple(zoomgr_formats())


@pytest.fixture
def keras(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Keras with torch below it, and nothing kept in the developer's home."""
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    import keras

    keras.utils.set_random_seed(0)
    return keras


def _network(keras: Any) -> Any:
    """A network in a network, and layers whose names do not sort as they were made."""
    layers = keras.layers
    given = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, name="z_conv", use_bias=False)(given)
    x = layers.BatchNormalization(name="y_bn", epsilon=1.001e-5)(x)
    x = layers.BatchNormalization(name="x_bn", scale=False)(x)
    x = layers.DepthwiseConv2D(3, name="w_depth")(x)
    x = layers.SeparableConv2D(2, 1, name="v_apart")(x)
    inner = [keras.Input((4, 4, 2)), layers.Conv2D(2, 1, name="b"), layers.Conv2D(2, 1, name="a")]
    x = keras.Sequential(inner, name="inner")(x)
    x = layers.LayerNormalization(name="norm")(x)
    x = layers.Dense(5, name="predictions")(layers.GlobalAveragePooling2D()(x))
    model = keras.Model(given, x)
    model.set_weights([keras.random.normal(weight.shape) for weight in model.weights])
    return model


NUMBERED = {"x_bn.beta": "x_bn.0", "x_bn.moving_mean": "x_bn.1", "x_bn.moving_variance": "x_bn.2"}
"""A file of Keras 3 does not say which of the four variables a layer of three has."""


def _weights(model: Any) -> dict[str, torch.Tensor]:
    return {weight.path.replace("/", "."): weight.value.detach() for weight in model.weights}


def _equal(found: Any, expected: dict[str, torch.Tensor]) -> bool:
    same = all(torch.equal(tensor, found[name]) for name, tensor in expected.items())
    return set(found) == set(expected) and same


def test_the_three_formats_give_one_network_the_same_names(keras: Any, tmp_path: Path) -> None:
    """So that one translation understands all of them; `.h5` and `.keras` keep the order of the layers."""
    model = _network(keras)
    expected = _weights(model)
    numbered = {NUMBERED.get(name, name): tensor for name, tensor in expected.items()}
    model.save(tmp_path / "whole.h5")
    model.save(tmp_path / "whole.keras")
    model.save_weights(tmp_path / "w.weights.h5")

    for mapped in (True, False):
        whole, new, weights = (
            read(tmp_path / name, FORMATS, mapped=mapped)
            for name in ("whole.h5", "whole.keras", "w.weights.h5")
        )

        assert list(whole.tensors) == list(expected)
        assert list(new.tensors) == list(numbered)
        assert _equal(whole.tensors, expected)
        assert _equal(new.tensors, numbered)
        assert _equal(weights.tensors, numbered)
    assert new.metadata["beside"] == ("metadata.json",)
    assert all("Functional" in one.metadata["config"] for one in (new, whole))


def test_the_state_of_training_lies_beside(keras: Any, tmp_path: Path) -> None:
    """Momenta have the shapes of weights, and are none."""
    model = _network(keras)
    model.compile("adam", "mse")
    model.optimizer.build(model.trainable_variables)
    model.save(tmp_path / "whole.keras")
    model.save(tmp_path / "whole.h5")

    new, whole = read(tmp_path / "whole.keras", FORMATS), read(tmp_path / "whole.h5", FORMATS)

    assert len(new.tensors) == len(whole.tensors) == len(model.weights)
    assert any(name.startswith("optimizer") for name in new.metadata["beside"])
    assert any(name.startswith("optimizer") for name in whole.metadata["beside"])


def test_bfloat16_is_read(keras: Any, tmp_path: Path) -> None:
    """HDF5 has no such type; Keras writes two bytes without a meaning."""
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(4, name="d", dtype="bfloat16")], name="s")
    model.save_weights(tmp_path / "w.weights.h5")
    model.save(tmp_path / "w.h5")

    for name in ("w.weights.h5", "w.h5"):
        found = read(tmp_path / name, FORMATS).tensors

        assert _equal(found, {"d.kernel": model.weights[0].value, "d.bias": model.weights[1].value})
