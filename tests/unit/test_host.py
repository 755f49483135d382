"""The plugin host: everybody on equal footing, a broken plugin costs only itself."""

from __future__ import annotations

import importlib

import pytest

from zoomgr.errors import (
    PluginConflictError,
    PluginLoadError,
    UnknownAdapterError,
    UnknownArchitectureError,
    UnknownModelError,
    UnknownSourceError,
)
from zoomgr.hookspecs import Options
from zoomgr.host import PluginHost

BUNDLED = {"torchvision", "timm", "url", "local", "pypi", "hf", "keymaps"}


def make_host(*disabled: str) -> PluginHost:
    """A host of what is installed."""
    return PluginHost(Options(offline=True, remember=lambda _, make: make()), disabled=frozenset(disabled))


def test_bundled_plugins_come_through_entry_points() -> None:
    """In the very group that third parties use; the core names none of them."""
    infos = {info.name: info for info in make_host().plugins()}

    assert set(infos) >= BUNDLED
    for name in BUNDLED:
        assert infos[name].dist == "zoomgr"
        assert infos[name].status == "ok"
        assert infos[name].provides


@pytest.mark.usefixtures("acme")
def test_a_third_party_stands_on_equal_footing() -> None:
    """Whatever a bundled plugin can provide, another distribution's can."""
    host = make_host()

    assert host.get_source("acme").name == "acme"
    assert host.transports.find("acme")
    assert host.get_family("acme").name == "acme"
    assert host.get_adapter("acme-keys").name == "acme-keys"
    assert host.formats.find("acme")
    assert [str(card.ref) for card in host.cards("acme")] == ["acme/tiny@v1"]
    info = next(info for info in host.plugins() if info.name == "acme")
    assert (info.dist, info.version, info.status) == ("acme-zoo", "1.0", "ok")


@pytest.mark.usefixtures("acme")
def test_a_plugin_adds_its_hint_to_an_error() -> None:
    """A site can tell its users whom to ask."""
    hints = make_host().hints(UnknownModelError("x"))

    assert hints == ("Acme's models are listed at zoo.acme.example",)


@pytest.mark.usefixtures("broken", "acme")
def test_broken_misspelt_wrong_and_clashing_plugins_are_isolated_and_shown() -> None:
    """The others work, and each failure is told with its reason."""
    host = make_host()

    infos = {info.name: info for info in host.plugins()}

    assert infos["broken"].status == "failed"
    assert "RuntimeError: operator acme::nms does not exist" in infos["broken"].error
    assert infos["misspelt"].status == "failed"
    assert "zoomgr_sorces" in infos["misspelt"].error
    assert infos["wrong"].status == "failed"
    assert "'not a source', which is no Source" in infos["wrong"].error
    assert infos["exiting"].error == "SystemExit: 3"
    assert infos["half"].status == "failed"
    assert infos["twin_one"].status == infos["twin_two"].status == "conflict"
    assert "twin-one 1.0 (twin_one) and twin-two 1.1 (twin_two)" in infos["twin_one"].error
    assert infos["acme"].status == "ok"
    assert host.get_source("torchvision")


@pytest.mark.usefixtures("broken")
def test_what_was_asked_for_by_name_and_failed_raises_its_stored_error() -> None:
    """Not "unknown": the user has it installed."""
    host = make_host()

    with pytest.raises(PluginLoadError, match=r"broken-zoo 0\.3") as caught:
        host.get_source("broken")

    assert "acme::nms" in str(caught.value)
    with pytest.raises(PluginConflictError, match=r"twin-one 1\.0 \(twin_one\), twin-two 1\.1"):
        host.get_source("twin")


@pytest.mark.usefixtures("acme")
def test_two_transports_of_one_scheme_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither opens anything: one of them might be somebody else's."""
    acme = importlib.import_module("acme_zoo")
    monkeypatch.setattr(acme.AcmeTransport, "schemes", frozenset({"https"}))

    with pytest.raises(PluginConflictError, match=r"the transport 'https', so neither is used"):
        make_host().transports.find("https")


@pytest.mark.usefixtures("acme")
def test_a_disabled_plugin_is_not_loaded_but_shown() -> None:
    """ZOOMGR_DISABLE_PLUGINS, for diagnosis."""
    host = make_host("acme")

    assert next(info for info in host.plugins() if info.name == "acme").status == "disabled"
    with pytest.raises(UnknownSourceError):
        host.get_source("acme")


def test_unknown_names_get_close_matches() -> None:
    """Each kind has its own error."""
    host = make_host()

    with pytest.raises(UnknownSourceError, match="did you mean torchvision"):
        host.get_source("torchvison")
    with pytest.raises(UnknownArchitectureError, match="did you mean timm"):
        host.get_family("tim")
    with pytest.raises(UnknownAdapterError, match="did you mean efficientnet-pytorch"):
        host.get_adapter("efficientnet_pytorch")


@pytest.mark.usefixtures("acme")
def test_a_catalogue_that_fails_or_lies_lists_nothing_and_is_reported(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A card of somebody else's source would decide what a name means."""
    acme_zoo = importlib.import_module("acme_zoo")
    honest = next(iter(acme_zoo.AcmeSource().cards()))
    object.__setattr__(honest.ref, "source", "torchvision")
    monkeypatch.setattr(acme_zoo.AcmeSource, "cards", lambda _self: [honest])
    host = make_host()

    assert host.cards("acme") == ()
    info = next(info for info in host.plugins() if info.name == "acme")
    assert info.status == "failed"
    assert "no card of its own" in info.error
