"""Every installed plugin, bundled and third-party alike, keeps the promises of its protocol."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from zoomgr.hookspecs import Options
from zoomgr.host import PluginHost
from zoomgr.records import TensorSpec
from zoomgr.testing import check_adapter, check_family, check_source, check_transport

pytestmark = pytest.mark.usefixtures("acme")


@pytest.fixture
def host(acme: None) -> PluginHost:
    """Bundled plugins and Acme's."""
    return PluginHost(Options(offline=True, remember=lambda _, make: make()))


@pytest.mark.parametrize("name", ["torchvision", "timm", "cadene", "gluon", "resnest", "acme"])
def test_a_source_keeps_its_promises(host: PluginHost, name: str) -> None:
    """Cards of its own, one for each reference."""
    check_source(host.get_source(name))


@pytest.mark.parametrize("name", ["torchvision", "timm", "cadene", "gluon", "resnest", "acme"])
def test_a_family_keeps_its_promises(host: PluginHost, name: str) -> None:
    """Distinct names, and one error for a name that it does not have."""
    check_family(host.get_family(name))


def test_the_transport_of_a_third_party_keeps_its_promises(host: PluginHost) -> None:
    """Whole, and from an offset."""
    transport = host.transports.find("acme")

    assert transport
    check_transport(transport, "acme://shelf/tiny", sys.modules["acme_zoo"].FILE)


def test_the_transport_of_files_keeps_its_promises(host: PluginHost, tmp_path: Path) -> None:
    """Whole, and from an offset."""
    (tmp_path / "file name").write_bytes(b"0123456789")
    transport = host.transports.find("file")

    assert transport
    check_transport(transport, (tmp_path / "file name").as_uri(), b"0123456789")


def test_the_adapter_of_a_third_party_keeps_its_promises(host: PluginHost) -> None:
    """Its whole schema, in any order."""
    acme = sys.modules["acme_zoo"]
    source = [TensorSpec(key, shape, "float32") for key, shape in acme.SHAPES.items()]
    target = [TensorSpec(acme.NAMES[spec.name], spec.shape, "float32") for spec in source]

    check_adapter(host.get_adapter("acme-keys"), source, target)
