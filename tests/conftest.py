"""Every test has a cache of its own and reaches nothing but this machine."""

from __future__ import annotations

import os
import shutil
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import zoomgr
from zoomgr.settings import Settings
from zoomgr.zoo import Zoo

if TYPE_CHECKING:
    from stock import Stock

DATA = Path(__file__).parent / "data"


class SocketRefusedError(BaseException):
    """Not an Exception, so that no code under test can take it for a network fault and go on."""


@pytest.fixture(autouse=True)
def own_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """No setting of the developer's reaches a test; what a test writes goes with it."""
    for name in list(os.environ):
        if name.startswith(("ZOOMGR_", "HF_", "HUGGINGFACE_", "TORCH_HOME")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("ZOOMGR_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))  # those of other tools are adopted from
    if "index" not in request.keywords:  # these ask the index that pip, by its files, is set up for
        monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


@pytest.fixture(autouse=True)
def loopback_only(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Bytes and names go to this machine; a test marked `index` may reach the package index."""
    if "index" in request.keywords:
        return

    def guard(owner: Any, name: str, host_of: Callable[..., Any]) -> None:
        really = getattr(owner, name)

        def guarded(*args: Any, **kwargs: Any) -> Any:
            host = host_of(*args, **kwargs)
            if host not in _HERE:
                raise SocketRefusedError(f"a test wanted to {name} {host!r}")
            return really(*args, **kwargs)

        monkeypatch.setattr(owner, name, guarded)

    for name in ("connect", "connect_ex"):
        guard(socket.socket, name, _host_of_address)
    guard(socket.socket, "sendto", lambda self, *args: _host_of_address(self, args[-1]))
    guard(
        socket.socket, "sendmsg", lambda self, _, *rest: _host_of_address(self, rest[2] if rest[2:] else None)
    )
    for name in ("getaddrinfo", "gethostbyname", "gethostbyname_ex", "gethostbyaddr"):
        guard(socket, name, lambda host, *_, **__: host)


_HERE = frozenset({None, "", b"", "127.0.0.1", b"127.0.0.1", "::1", b"::1", "localhost", b"localhost"})
"""What names this machine; None and the empty name are for servers, or for a socket that is connected."""


def _host_of_address(sock: socket.socket, address: Any) -> Any:
    return None if sock.family == socket.AF_UNIX or address is None else address[0]


@pytest.fixture
def no_sockets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even a socket of this machine can be made, and no name be looked up."""

    def refuse(*args: object, **kwargs: object) -> None:
        raise SocketRefusedError("a socket was opened while offline")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.fixture
def acme(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A third party's plugin is installed, also for the functions of the package, whose Zoo is kept."""
    monkeypatch.syspath_prepend(DATA / "acme")
    zoomgr._default_zoo.cache_clear()
    yield
    zoomgr._default_zoo.cache_clear()
    sys.modules.pop("acme_zoo", None)


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Plugins that do not load, clash, misspell a hook or return nonsense are installed."""
    monkeypatch.syspath_prepend(DATA / "broken")
    yield
    for name in ("broken_zoo", "misspelt_zoo", "twin_zoo", "wrong_zoo"):
        sys.modules.pop(name, None)


@pytest.fixture
def make_zoo(tmp_path: Path) -> Callable[..., Zoo]:
    """Makes a Zoo with the test's own cache, and a registry when its text is given."""

    def make(registry: str = "", **settings: Any) -> Zoo:
        files: tuple[Path, ...] = ()
        if registry:
            (tmp_path / "registry.toml").write_text(registry)
            files = (tmp_path / "registry.toml",)
        return Zoo(Settings(cache_dir=tmp_path / "cache", registry_files=files, **settings))

    return make


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Sums are made in one order, as in another process that has one thread (OMP_NUM_THREADS=1)."""
    import torch  # few tests need it

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def stock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stock]:
    """Random weights under published names; VGG-16 alone is half a gigabyte, so they go at the end."""
    from stock import Stock  # and torch, which few tests need

    folder = tmp_path_factory.mktemp("stock")
    yield Stock(folder)
    shutil.rmtree(folder)


@pytest.fixture
def reader(stock: Stock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where the reader of a page of the docs works, with the stock at hand; nothing is fetched.

    What large weights leave there and in the cache goes; pytest would keep it for three runs.
    """
    folder = tmp_path / "reader"
    folder.mkdir()
    stock.hold()
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setenv("ZOOMGR_CACHE_LAYERS", str(stock.cache))
    monkeypatch.setenv("ZOOMGR_REGISTRY", str(stock.registry))
    monkeypatch.setenv("ZOOMGR_OFFLINE", "1")
    yield folder
    for path in (folder, tmp_path / "cache"):
        shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def graphviz() -> None:
    """The program `dot`, as Debian has it."""
    if shutil.which("dot") is None:
        give_up = pytest.fail if os.environ.get("CI") else pytest.skip
        give_up("Graphviz is not installed (apt install graphviz)")
