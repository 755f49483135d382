"""What happens beyond the air gap, for tests/integration/test_airgap.py; run in a network of its own.

It has the bundle, the lock and the project on its disk, and a loopback interface.
"""

from __future__ import annotations

import fcntl
import os
import socket
import struct
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from servers.authorities import new_authority
from servers.nginx import serving
from servers.registry import registry_serving
from servers.s3 import s3_endpoint

NODES = 4

NODE = """
import sys

def refuse(event, _):
    if event in {"socket.__new__", "socket.connect", "socket.getaddrinfo", "socket.gethostbyname"}:
        raise BaseException(event)

sys.addaudithook(refuse)

import torch
import zoomgr

pictures = torch.load(sys.argv[1])
names = ("torchvision/squeezenet1_1", "timm/lcnet_050")
torch.save([zoomgr.load(name).eval()(pictures) for name in names], sys.argv[2])
"""
"""What a node runs: no socket at all may be opened."""

UNCHANGED = """
import sys
import timm, torch, torchvision

pictures = torch.load(sys.argv[1])
models = torchvision.models.squeezenet1_1(weights="DEFAULT"), timm.create_model("lcnet_050", pretrained=True)
torch.save([model.eval()(pictures) for model in models], sys.argv[2])
assert not [name for name in sys.modules if name.startswith("zoomgr")]
"""
"""Code that knows no zoomgr."""


def main(folder: Path, connected_port: int) -> None:
    """The whole way on this side of the gap."""
    raise_loopback()
    assert not reaches(connected_port), "the other side can be reached"
    site = folder / "site"
    zoomgr(folder, "import", "zoo.tar", "--require-signature", "key.pub", cache=site)
    load_on_nodes(folder, site)
    expose(folder, site)
    over_a_server(folder, site)
    over_a_bucket(folder, site)
    over_a_registry(folder, site)


def load_on_nodes(folder: Path, site: Path) -> None:
    """Four at once, each with a cache of its own above the site's, which is read-only."""
    make_writable(site, yes=False)
    before = listing(site)
    running = []
    for number in range(NODES):
        own = {**offline(folder / f"node{number}"), "ZOOMGR_CACHE_LAYERS": str(site)}
        zoomgr(folder, "doctor", "--offline", "--lock", "zoo.lock", env=own)
        command = [sys.executable, "-c", NODE, "pictures", f"outputs-node{number}"]
        running.append(subprocess.Popen(command, cwd=folder, env=own))
    assert [process.wait() for process in running] == [0] * NODES
    assert listing(site) == before
    make_writable(site, yes=True)


def expose(folder: Path, site: Path) -> None:
    """Unchanged code of torchvision and timm."""
    own = {**offline(site), "HF_HUB_OFFLINE": "1"}
    for tool, variable in (("torch-hub", "TORCH_HOME"), ("huggingface", "HF_HOME")):
        zoomgr(folder, "expose", tool, "--to", str(folder / tool), env=own)
        own[variable] = str(folder / tool)
    command = [sys.executable, "-c", UNCHANGED, "pictures", "outputs-unchanged"]
    subprocess.run(command, cwd=folder, env=own, check=True)


def over_a_server(folder: Path, site: Path) -> None:
    """A web server with a certificate of the site's own authority, and a password."""
    zoomgr(folder, "mirror", "sync", str(folder / "www"), cache=site)
    authority = new_authority(folder / "ca.pem")
    (folder / "users").write_text("node:{PLAIN}secret\n")
    rule = f'auth_basic "zoo"; auth_basic_user_file {folder / "users"};'
    with serving(folder / "www", folder / "nginx", rule, authority.server_pem) as server:
        own = {
            "REQUESTS_CA_BUNDLE": str(authority.ca_file),
            "ZOOMGR_MIRROR": server.url.replace("://", "://node:secret@"),
        }
        fetch(folder, "server", own)
        refused = zoomgr(folder, "pull", "torchvision/squeezenet1_1", cache=folder / "nobody", check=False,
                         env={**own, "ZOOMGR_MIRROR": server.url, "ZOOMGR_RETRIES": "0"})  # fmt: skip
        assert refused.returncode == 5, refused.stderr
    assert (folder / "www" / "index.html").exists()


def over_a_bucket(folder: Path, site: Path) -> None:
    """An S3 endpoint."""
    with pytest.MonkeyPatch.context() as patch, s3_endpoint(patch) as s3:
        s3.put("zoo", "made", b"")
        zoomgr(folder, "mirror", "sync", "s3://zoo/mirror", cache=site)
        fetch(folder, "bucket", {"ZOOMGR_MIRROR": "s3://zoo/mirror"})


def over_a_registry(folder: Path, site: Path) -> None:
    """Debian's docker-registry."""
    with registry_serving(folder / "registry") as registry:
        zoomgr(folder, "mirror", "sync", f"oci://{registry.host}/zoo", cache=site)
        fetch(folder, "registry", {"ZOOMGR_MIRROR": f"oci://{registry.host}/zoo"})


def fetch(folder: Path, name: str, own: Mapping[str, str]) -> None:
    """A node that has nothing gets what the lock says from the mirror alone, and loads it offline."""
    cache = folder / f"cache-{name}"
    missing = zoomgr(folder, "doctor", "--offline", "--lock", "zoo.lock", env=offline(cache), check=False)
    assert missing.returncode, missing.stdout
    zoomgr(folder, "sync", "--frozen", "zoo.lock", cache=cache, env=own)
    command = [sys.executable, "-c", NODE, "pictures", f"outputs-{name}"]
    subprocess.run(command, cwd=folder, env=offline(cache), check=True)


# -- means ---------------------------------------------------------------------------------------------------


def zoomgr(
    folder: Path, *arguments: str, cache: Path | None = None, env: Mapping[str, str] | None = None,
    check: bool = True,
) -> subprocess.CompletedProcess[str]:  # fmt: skip
    """The command, as a user of the project runs it."""
    own = {**os.environ, **({"ZOOMGR_CACHE": str(cache)} if cache else {}), **(env or {})}
    command = [str(Path(sys.executable).with_name("zoomgr")), *arguments]
    done = subprocess.run(command, cwd=folder, env=own, text=True, capture_output=True, check=False)
    assert not check or done.returncode == 0, f"{' '.join(arguments)}: {done.stdout}{done.stderr}"
    return done


def offline(cache: Path) -> dict[str, str]:
    """The environment of a node with such a cache."""
    return {**os.environ, "ZOOMGR_CACHE": str(cache), "ZOOMGR_OFFLINE": "1"}


def listing(folder: Path) -> dict[str, tuple[int, int]]:
    """Every file with its size and time."""
    return {
        str(path): (path.stat().st_size, path.stat().st_mtime_ns)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def make_writable(folder: Path, *, yes: bool) -> None:
    """Modes of all folders; root is not kept out by them, so what was written is looked at too."""
    for path in [folder, *(each for each in folder.rglob("*") if each.is_dir())]:
        path.chmod(0o755 if yes else 0o555)


def reaches(port: int) -> bool:
    """Whether the connected side's server answers."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except OSError:
        return False
    return True


def raise_loopback() -> None:
    """Switch on the only interface of a new network namespace, unless it is on."""
    get, put, up = 0x8913, 0x8914, 0x1  # SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP: netdevice(7)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        request = struct.pack("16sH14x", b"lo", 0)
        flags = struct.unpack("16sH14x", fcntl.ioctl(any_socket, get, request))[1]
        if not flags & up:
            fcntl.ioctl(any_socket, put, struct.pack("16sH14x", b"lo", flags | up))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
