"""The tests themselves reach nothing but this machine."""

from __future__ import annotations

import socket
from collections.abc import Callable

import pytest
import requests

FAR = ("192.0.2.1", 9)  # RFC 5737: for documentation, nobody has it


@pytest.mark.parametrize(
    "reach",
    [
        lambda udp: udp.connect(FAR),
        lambda udp: udp.connect_ex(FAR),
        lambda udp: udp.sendto(b"x", FAR),
        lambda udp: udp.sendto(b"x", 0, FAR),
        lambda udp: udp.sendmsg([b"x"], [], 0, FAR),
        lambda _: socket.create_connection(FAR),
        lambda _: socket.getaddrinfo("host.example", 80),
        lambda _: socket.getaddrinfo(b"host.example", None),
        lambda _: socket.gethostbyname("host.example"),
        lambda _: requests.get("http://host.example/x", timeout=1),
    ],
)
def test_another_machine_is_refused(reach: Callable[[socket.socket], object]) -> None:
    """By any call, and so that no code can take it for a network fault."""
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp,
        pytest.raises(BaseException, match=r"^a test wanted to ") as refused,
    ):
        reach(udp)
    assert not isinstance(refused.value, Exception)


def test_this_machine_is_reached() -> None:
    """Or the test above proves nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with socket.create_connection(("localhost", port)), socket.socket() as other:
            assert other.connect_ex(("127.0.0.1", port)) == 0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        assert udp.sendto(b"x", ("127.0.0.1", port)) == 1
