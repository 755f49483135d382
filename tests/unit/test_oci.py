"""OCI registries: what weights are called there, and how a login is found."""

from __future__ import annotations

import base64
import json
import re
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from servers.faulty import Answer, answering

from zoomgr.airgap.mirror.client import Host, Repository
from zoomgr.airgap.mirror.registry import named
from zoomgr.api import HttpStatusError, NoSuchFileError
from zoomgr_oci.logins import Challenge, docker_login
from zoomgr_oci.registry import Registry
from zoomgr_oci.transport import RegistryTransport

# OCI distribution specification, "Pulling manifests".
_REPOSITORY = re.compile(r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*")
_TAG = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}")


@pytest.mark.parametrize(
    ("ref", "expected"),
    [
        ("torchvision/vgg16@imagenet1k_v1", "torchvision/vgg16:imagenet1k_v1"),
        ("timm/resnet10t@c3_in1k", "timm/resnet10t:c3_in1k"),
        ("own/tumour", "own/tumour:latest"),
        ("own/tumour@latest", "own/tumour:latest-"),
        ("own/Tumour", "own/tumour:latest-"),
        ("own/a___b@v1", "own/a-b:v1-"),
        ("https://host/a/net-0123abcd.pth", "files/net-0123abcd.pth:latest-"),
    ],
)
def test_weights_are_called_as_people_call_them(ref: str, expected: str) -> None:
    """Where a repository can have that name; else digits tell them apart."""
    found = ":".join(named(ref))

    assert (
        found == expected if not expected.endswith("-") else re.fullmatch(rf"{expected}[0-9a-f]{{8}}", found)
    )


_NAMES = st.from_regex(
    r"[A-Za-z0-9_-]{1,9}/[A-Za-z0-9_][A-Za-z0-9_.-]{0,20}(@[a-z0-9_.-]{1,20})?", fullmatch=True
)


@given(_NAMES | st.from_regex(r"https://h/[^/\n]{1,30}", fullmatch=True), _NAMES)
def test_every_name_is_one_that_registries_take(one: str, other: str) -> None:
    """And no two references have the same."""
    repository, tag = named(one)

    assert _REPOSITORY.fullmatch(repository), repository
    assert _TAG.fullmatch(tag), tag
    assert one == other or named(one) != named(other)


def test_a_challenge_is_read() -> None:
    """Of both kinds."""
    text = 'Bearer realm="https://auth.example/token",service="r",scope="repository:zoo:pull"'

    assert Challenge.parse(text) == Challenge(
        "bearer", "https://auth.example/token", {"service": "r", "scope": "repository:zoo:pull"}
    )
    assert Challenge.parse('Basic realm="zoo"').scheme == "basic"
    assert Challenge.parse("").scheme == ""


def test_a_token_is_fetched_where_the_registry_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the login of docker's config, which the registry itself is not told."""
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    with answering({}) as auth, answering({}) as server:
        host = server.url.partition("//")[2]
        realm = f'Bearer realm="{auth.url}/token",service="r",scope="repository:zoo:pull"'
        known = {"auths": {host: {"auth": base64.b64encode(b"me:hunter2").decode()}}}
        (tmp_path / "config.json").write_text(json.dumps(known))
        server.answers["/v2/zoo/manifests/index"] = lambda headers: (
            Answer(b'{"layers": []}')
            if headers.get("authorization") == "Bearer t0ken"
            else Answer(status=401, headers={"WWW-Authenticate": realm})
        )
        auth.answers["/token?service=r&scope=repository%3Azoo%3Apull"] = Answer(b'{"token": "t0ken"}')

        found = Registry(host, None, lambda _: "").json("zoo", "manifests/index")

        sent = [headers.get("authorization", "") for _, headers in auth.asked]
        told = [headers.get("authorization", "") for _, headers in server.asked]
    assert found == {"layers": []}
    assert sent == [f"Basic {base64.b64encode(b'me:hunter2').decode()}"]
    assert told == ["", "", "Bearer t0ken"]


def test_a_registry_that_wants_a_login_that_nobody_has_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With what to do."""
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    refused = Answer(status=401, headers={"WWW-Authenticate": 'Basic realm="zoo"'})
    with answering({"/v2/zoo/manifests/index": refused}) as server:
        host = server.url.partition("//")[2]

        with pytest.raises(HttpStatusError) as caught:
            Registry(host, None, lambda _: "").json("zoo", "manifests/index")

    assert (caught.value.status, "docker login" in caught.value.reason) == (401, True)
    assert docker_login(host) is None


def test_what_a_mirror_cannot_have_is_not_asked_for() -> None:
    """A registry has no tree of hosts and paths."""
    transport = RegistryTransport(lambda _: "")

    with pytest.raises(NoSuchFileError), transport.open("oci://127.0.0.1:9/zoo/host.example/x.pth"):
        pytest.fail("it was opened")


def test_a_registry_that_is_busy_with_another_writer_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """docker-registry reads links that are half written, and then says 400; what stays refused is told."""
    pauses: list[float] = []
    monkeypatch.setattr(time, "sleep", pauses.append)
    said = iter((Answer(status=400), Answer(status=503), Answer(b"{}")))
    with answering({}) as server:
        host = Host(server.url.partition("//")[2])
        server.answers["/v2/"] = Answer()
        server.answers["/v2/zoo/manifests/index"] = lambda _: next(said)
        server.answers["/v2/zoo/manifests/never"] = Answer(status=400)

        found = Repository(host, "zoo").manifest("index")
        with pytest.raises(HttpStatusError):
            Repository(host, "zoo").manifest("never")

    assert found == {}
    assert next(said, None) is None
    assert len(pauses) == 2 + 4
    assert all(pause > 0 for pause in pauses)
