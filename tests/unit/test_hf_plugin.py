"""References to files on the hub, and what the hub says of them (through a Zoo: test_hub.py)."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import huggingface_hub
import pytest
from huggingface_hub import constants
from servers.authorities import new_authority
from servers.caches import sha256
from servers.faulty import Answer, answering
from servers.hub import Hub, forget_own_hub, hub_serving

from zoomgr.api import (
    Artifact,
    Digest,
    HttpStatusError,
    InvalidRefError,
    InvalidSettingError,
    Locator,
    ModelCard,
    ModelRef,
    NoSuchFileError,
    OfflineError,
    Options,
    Span,
    Transport,
    UnreachableError,
    UntrustedServerError,
    ZoomgrError,
    plain_url,
)
from zoomgr_hf.endpoint import Hub as Asked
from zoomgr_hf.locator import HubFile, HubLocator
from zoomgr_hf.transport import HubTransport
from zoomgr_timm.source import TimmSource

WEIGHTS = b"weights" * 50_000
CONFIG = b'{"architecture": "resnet10t"}'
REPO = "acme/tiny-net"
TOKEN = "hf_s3cret"  # noqa: S105 [of no hub]
WHOLE = "ab" * 32


@pytest.fixture(autouse=True)
def own_hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing that this machine's huggingface_hub was told reaches a test."""
    forget_own_hub(monkeypatch, tmp_path)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub with one repository, which HF_ENDPOINT names."""
    with hub_serving() as server:
        server.publish(REPO, {"model.safetensors": WEIGHTS, "config.json": CONFIG})
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        yield server


@pytest.fixture
def default_client() -> Iterator[None]:
    """What a test changes of huggingface_hub's client is undone."""
    from huggingface_hub.utils import _http

    yield
    huggingface_hub.set_client_factory(_http.default_client_factory)


def card_of(text: str) -> ModelCard:
    """What the plugin makes of a reference."""
    return HubLocator().locate(ModelRef.parse(text))


def transport(token: Callable[[str], str] = lambda _: "") -> HubTransport:
    """The plugin's, with a token that the user set."""
    return HubTransport(token)


def found(ref: str = f"hf://{REPO}/model.safetensors", by: HubTransport | None = None) -> Artifact:
    """What the hub says of a reference."""
    answer = (by or transport()).open(ref)
    assert isinstance(answer, Artifact)
    return answer


def fetched(artifact: Artifact, span: Span | None = None, by: HubTransport | None = None) -> bytes:
    """The bytes of the only URL of an artifact."""
    (url,) = artifact.urls
    body = (by or transport()).open(url, span or Span())
    assert not isinstance(body, Artifact)
    with body as chunks:
        return b"".join(chunks)


def refusal(kind: type[ZoomgrError], ref: str = f"hf://{REPO}/model.safetensors") -> ZoomgrError:
    """The error of this class that a reference ends in."""
    with pytest.raises(kind) as caught:
        found(ref)
    return caught.value


# -- references ----------------------------------------------------------------------------------------------


def test_the_plugin_keeps_the_protocols() -> None:
    """The host refuses anything else; offline, it does not call the transport."""
    assert isinstance(HubLocator(), Locator)
    assert isinstance(transport(), Transport)
    assert transport().needs_network


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("hf://acme/net", HubFile("acme/net", "main", "model.safetensors")),
        ("hf://acme/net.v2_x", HubFile("acme/net.v2_x", "main", "model.safetensors")),
        ("HF://acme/net/b.pth", HubFile("acme/net", "main", "b.pth")),
        ("hf://acme/net@v1.0", HubFile("acme/net", "v1.0", "model.safetensors")),
        ("hf://acme/net@v1.0/sub/b.pth", HubFile("acme/net", "v1.0", "sub/b.pth")),
        ("hf://acme/net/a b@c.pth", HubFile("acme/net", "main", "a b@c.pth")),
        ("hf://acme/net@refs/pr/3/b.pth", HubFile("acme/net", "refs/pr/3", "b.pth")),
        ("hf://acme/net@a%2Fb/b.pth", HubFile("acme/net", "a/b", "b.pth")),
        ("hf://models/acme/net/b.pth", HubFile("acme/net", "main", "b.pth")),
        (f"hf://acme/net#sha256={WHOLE}", HubFile("acme/net", fragment=f"sha256={WHOLE}")),
    ],
)
def test_a_reference_names_repository_revision_and_file(text: str, expected: HubFile) -> None:
    """As huggingface_hub's own `hf://` URIs are written; a file that is left out is the usual one."""
    assert expected == HubFile.parse(text)


@pytest.mark.parametrize(
    "text",
    [
        "hf://acme/net@a%2Fb/sub/b.pth",
        "hf://acme/net@refs/pr/3/b.pth",
        "hf://models/acme/net@v1",
        "hf://acme/n",
    ],
)
def test_a_reference_means_what_the_library_takes_it_for(text: str) -> None:
    """huggingface_hub parses the same text, and our canonical one, into the same parts."""
    ours = HubFile.parse(text)

    for spelling in (text, str(ours)):
        theirs = huggingface_hub.parse_hf_uri(spelling)
        assert (theirs.id, theirs.revision or "main") == (ours.repo, ours.revision)
        assert theirs.path_in_repo in {ours.path, ""}


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("hf://acme/net", "hf://acme/net/model.safetensors"),
        ("hf://acme/net@main/b.pth", "hf://acme/net/b.pth"),
        ("HF://models/acme/net@v1", "hf://acme/net@v1/model.safetensors"),
        ("hf://acme/net@a%2Fb/b.pth#sha256=0123abcd", "hf://acme/net@a%2Fb/b.pth"),
    ],
)
def test_one_file_has_one_name(text: str, canonical: str) -> None:
    """The card's ref is canonical, and reads back as itself."""
    card = card_of(text)

    assert canonical == str(card.ref) == str(card_of(canonical).ref)
    assert card.artifact
    assert card.artifact.urls == (canonical,)


@pytest.mark.parametrize(
    "text",
    [
        "hf://",
        "hf://gpt2",
        "hf://gpt2/model.safetensors",
        "hf://datasets/acme/pets/x.pth",
        "hf://spaces/acme/app",
        "hf://models/acme",
        "hf://acme/net@",
        "hf://acme/net/",
        "hf://acme/net//x.pth",
        "hf://acme/net/../x.pth",
        "hf://acme/net/x.pth?download=true",
        "hf://ac me/net",
        "hf://acme/a--b",
        "hf://acme/a..b",
        "hf://acme/net#md5=0123abcd",
        "hf://acme/net#sha256=0123",
    ],
)
def test_other_spellings_are_refused(text: str) -> None:
    """Without an owner, of other things than models, or a fragment that must not be taken for no promise."""
    with pytest.raises(InvalidRefError):
        card_of(text)


@pytest.mark.parametrize(
    ("text", "digits", "promised_by"),
    [
        ("hf://acme/net", "", ""),
        ("hf://acme/net/b-0123abcd.pth", "0123abcd", "the file name"),
        (f"hf://acme/net/b-0123abcd.pth#sha256={WHOLE.upper()}", WHOLE, "the reference's fragment"),
    ],
)
def test_a_reference_promises_by_fragment_else_by_name(text: str, digits: str, promised_by: str) -> None:
    """As URLs do; the hub's own promise comes when it is asked."""
    artifact = card_of(text).artifact

    assert artifact
    assert (artifact.digest, artifact.promised_by) == (Digest(digits) if digits else None, promised_by)


def test_files_of_two_repositories_are_called_differently() -> None:
    """Nearly all of them are called model.safetensors where they lie."""
    names = [HubFile.parse(text).filename for text in ("hf://acme/net", "hf://acme/big/a/b.pth")]

    assert names == ["net-model.safetensors", "big-a-b.pth"]


@pytest.mark.parametrize(
    ("text", "arch"),
    [
        ("hf://timm/resnet10t.c3_in1k", "timm/resnet10t"),
        ("hf://timm/resnet10t", ""),
        ("hf://acme/net.v1", ""),
    ],
)
def test_only_timms_own_repositories_say_their_architecture(text: str, arch: str) -> None:
    """Nothing else is guessed."""
    assert arch == card_of(text).arch


def test_every_hub_url_of_timms_catalogue_is_a_reference() -> None:
    """And is written canonically, so that a mirror sees one spelling."""
    source = TimmSource(Options(offline=True, remember=lambda _, make: make()))
    urls = [card.artifact.urls[0] for card in source.cards() if card.artifact]
    on_hub = [url for url in urls if url.startswith("hf://")]

    assert len(on_hub) == 1807
    assert all(str(HubFile.parse(url)) == url for url in on_hub)


def test_a_reference_is_understood_without_the_library() -> None:
    """Listing, showing and which need no huggingface_hub; the transport imports it when it is asked."""
    code = (
        "import sys, zoomgr_hf as p; from zoomgr.api import ModelRef, Options;"
        "[locator] = p.zoomgr_sources();"
        "locator.locate(ModelRef.parse('hf://acme/net'));"
        "list(p.zoomgr_transports(Options(True, None)));"
        "print(sorted({'huggingface_hub', 'httpx2', 'requests', 'torch'} & set(sys.modules)))"
    )

    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout

    assert out == "[]\n"


# -- what the hub says ---------------------------------------------------------------------------------------


def test_the_hub_promises_a_large_file_of_a_commit(hub: Hub) -> None:
    """Commit in the URL, size, and the sha256 that it knows of a file in large-file storage."""
    (commit,) = hub.repositories[REPO].commits

    artifact = found()

    assert artifact == Artifact(
        urls=(f"hf+{hub.url}/{REPO}/resolve/{commit}/model.safetensors",),
        filename="tiny-net-model.safetensors",
        size_bytes=len(WEIGHTS),
        digest=Digest(sha256(WEIGHTS)),
        promised_by=f"the hub ({REPO} at {commit[:12]})",
    )
    assert fetched(artifact) == WEIGHTS


def test_the_hub_promises_nothing_of_a_small_file(hub: Hub) -> None:
    """Git's SHA-1 of it is no sha256 of its bytes."""
    artifact = found(f"hf://{REPO}/config.json")

    assert (artifact.digest, artifact.promised_by, artifact.size_bytes) == (None, "", len(CONFIG))
    assert fetched(artifact) == CONFIG


def test_a_part_of_a_file_can_be_asked_for(hub: Hub) -> None:
    """From the store behind the redirect."""
    assert fetched(found(), Span(100, 207)) == WEIGHTS[100:207]


def test_a_revision_is_looked_up_each_time(hub: Hub) -> None:
    """A branch that has moved gives the new commit; a commit stays what it was."""
    before = found()
    newer = hub.publish(REPO, {"model.safetensors": b"better" * 9})
    (old, new) = hub.repositories[REPO].commits

    assert new == newer
    assert fetched(found()) == b"better" * 9
    assert found(f"hf://{REPO}@{old}/model.safetensors") == before
    assert f"/resolve/{new}/" in found().urls[0]


@pytest.mark.parametrize("branch", ["v1.0", "refs/pr/3", "feature/x"])
def test_a_branch_of_any_name_is_found(hub: Hub, branch: str) -> None:
    """A slash in it is written %2F, but for the hub's own refs."""
    commit = hub.publish(REPO, {"model.safetensors": b"other"}, branch)
    written = branch if branch.startswith("refs/") else branch.replace("/", "%2F")

    assert f"/resolve/{commit}/" in found(f"hf://{REPO}@{written}/model.safetensors").urls[0]


@pytest.mark.parametrize("path", ["sub/b c.pth", "100%.pth", "ü.pth", "a+b.pth"])
def test_a_file_of_any_name_is_found(hub: Hub, path: str) -> None:
    """Quoted on the way, and found as it is called."""
    hub.publish(REPO, {path: b"other"})

    assert fetched(found(f"hf://{REPO}/{path}")) == b"other"


def test_a_repository_that_was_renamed_is_found(hub: Hub) -> None:
    """The hub redirects within itself, and the token goes along."""
    hub.moved["acme/old"] = REPO
    hub.repositories[REPO].readers = frozenset({TOKEN})
    mine = transport(lambda _: TOKEN)

    assert fetched(found("hf://acme/old", mine), by=mine) == WEIGHTS


def test_the_endpoint_may_have_a_path(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    """As artifact servers have it that mirror the hub."""
    monkeypatch.setenv("HF_ENDPOINT", f"{hub.url}/api/hub/")

    url = Asked.from_environment(lambda _: "", wanted="").url_of(HubFile(REPO), "main")

    assert url == f"{hub.url}/api/hub/{REPO}/resolve/main/model.safetensors"


def test_the_library_reports_nothing_about_its_user(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the file is asked for: no list of coding agents is fetched, and none is kept in a file."""
    monkeypatch.setattr("huggingface_hub.utils._detect_agent._registry", None)

    found()

    assert [asked.method for asked in hub.asked] == ["HEAD"]
    assert not Path(constants.AGENT_HARNESSES_PATH).exists()
    assert hub.asked[0].headers["user-agent"].startswith("zoomgr/")
    assert "torch" not in hub.asked[0].headers["user-agent"]


# -- the token -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["setting", "variable", "file"])
def test_the_token_goes_to_the_hub_and_nowhere_else(
    hub: Hub, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """The user's setting, HF_TOKEN, or the file of a login; the store behind the redirect does not get it."""
    hub.repositories[REPO].readers = frozenset({TOKEN})
    if where == "variable":
        monkeypatch.setenv("HF_TOKEN", TOKEN)
    elif where == "file":
        Path(constants.HF_TOKEN_PATH).parent.mkdir()
        Path(constants.HF_TOKEN_PATH).write_text(f"{TOKEN}\n")
    mine = transport(lambda url: TOKEN if where == "setting" and url == hub.url else "")

    artifact = found(by=mine)

    assert fetched(artifact, by=mine) == WEIGHTS
    assert [asked.headers["authorization"] for asked in hub.asked_of("hub")] == [f"Bearer {TOKEN}"] * 2
    assert [asked.path.partition("?")[0] for asked in hub.asked_of("store")] == [f"/large/{sha256(WEIGHTS)}"]
    assert all("authorization" not in asked.headers for asked in hub.asked_of("store"))
    assert TOKEN not in repr(artifact)


def test_the_users_setting_beats_the_librarys_token(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    """It was made for this very host."""
    monkeypatch.setenv("HF_TOKEN", "hf_other")

    found(by=transport(lambda _: TOKEN))

    assert hub.asked[0].headers["authorization"] == f"Bearer {TOKEN}"


def test_the_token_is_not_sent_to_another_origin(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    """A URL of another host, under this plugin's mark, gets none."""
    monkeypatch.setenv("HF_TOKEN", TOKEN)

    with answering({"/x.pth": Answer(b"x")}) as other:
        assert fetched(Artifact((f"hf+{other.url}/x.pth",), "x.pth")) == b"x"

    assert "authorization" not in other.asked[0][1]


@pytest.mark.parametrize(
    ("endpoint", "token"),
    [
        ("https://hub.example", TOKEN),
        ("http://localhost:8080", TOKEN),
        ("http://[::1]:8080", TOKEN),
        ("http://hub.example", ""),
        ("http://localhost.example", ""),
    ],
)
def test_nobody_on_the_way_can_read_the_token(
    monkeypatch: pytest.MonkeyPatch, endpoint: str, token: str
) -> None:
    """Over https, or to this machine; the rule of the host's own client."""
    monkeypatch.setenv("HF_ENDPOINT", endpoint)

    assert token == Asked.from_environment(lambda _: TOKEN, wanted="").token


def test_the_library_may_be_told_to_send_no_token(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    """HF_HUB_DISABLE_IMPLICIT_TOKEN."""
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_IMPLICIT_TOKEN", True)

    found()

    assert "authorization" not in hub.asked[0].headers


def test_a_token_file_that_cannot_be_read_is_named(hub: Hub) -> None:
    """Nothing of it is shown."""
    Path(constants.HF_TOKEN_PATH).mkdir(parents=True)

    error = refusal(InvalidSettingError)

    assert "HF_TOKEN" in str(error)
    assert "cannot be read" in str(error)


# -- refusals ------------------------------------------------------------------------------------------------


def test_a_gated_repository_says_what_to_do(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a token, and with one that has not been granted access; which is never shown."""
    hub.repositories[REPO].readers = frozenset()
    hub.repositories[REPO].is_gated = True

    before = refusal(HttpStatusError)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    after = refusal(HttpStatusError)

    assert isinstance(before, HttpStatusError)
    assert isinstance(after, HttpStatusError)
    assert (before.status, after.status) == (401, 403)
    assert f"{REPO} is gated; accept its terms and set HF_TOKEN ({hub.url}/{REPO})" in str(before)
    assert f"{REPO} is gated; ask for access as the token's owner ({hub.url}/{REPO})" in str(after)
    assert TOKEN not in f"{after} {after!r}"
    assert not after.is_transient


def test_a_repository_that_is_not_there_may_be_private(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    """The hub does not tell which."""
    hub.repositories[REPO].readers = frozenset()

    before = refusal(HttpStatusError)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    after = refusal(HttpStatusError)

    assert f"there is no repository {REPO}, or it is private and needs HF_TOKEN" in str(before)
    assert f"there is no repository {REPO}, or the token may not read it" in str(after)


def test_a_revision_that_is_not_there_is_named(hub: Hub) -> None:
    """With the repository."""
    error = refusal(HttpStatusError, f"hf://{REPO}@v9")

    assert isinstance(error, HttpStatusError)
    assert error.status == 404
    assert f"{REPO} has no revision 'v9'" in str(error)


def test_a_file_that_is_not_there_gets_close_matches(hub: Hub) -> None:
    """The repository's other weights, of the same revision: many have no safetensors file."""
    hub.publish(REPO, {"pytorch_model.bin": b"1", "README.md": b"2"}, "v1")

    error = refusal(NoSuchFileError, f"hf://{REPO}@v1")

    assert isinstance(error, NoSuchFileError)
    assert error.pattern == f"hf://{REPO}@v1/model.safetensors"
    assert error.close == (f"hf://{REPO}@v1/pytorch_model.bin",)


def test_a_server_that_is_no_hub_is_refused(hub: Hub) -> None:
    """It has the file, perhaps, but says of no commit: as a mirror it is welcome."""
    hub.instead = (200, {"ETag": '"1"'})

    error = refusal(HttpStatusError)

    assert isinstance(error, HttpStatusError)
    assert "no hub" in str(error)
    assert not error.is_transient


@pytest.mark.parametrize(("status", "wait", "expected"), [(503, "7", 7.0), (429, "soon", None)])
def test_a_hub_that_is_busy_is_asked_again_by_the_host(
    hub: Hub, status: int, wait: str, expected: float | None
) -> None:
    """Not by the library, whose budget nobody knows: the host has one for all servers."""
    hub.instead = (status, {"Retry-After": wait})

    error = refusal(HttpStatusError)

    assert isinstance(error, HttpStatusError)
    assert (error.is_transient, error.retry_after_s, len(hub.asked)) == (True, expected, 1)


def test_a_token_that_is_not_valid_is_called_so(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not shown."""
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    hub.instead = (401, {"X-Error-Message": "Invalid credentials in Authorization header"})

    error = refusal(HttpStatusError)

    assert "the token is not valid" in str(error)
    assert TOKEN not in str(error)


def test_no_connection_is_unreachable(monkeypatch: pytest.MonkeyPatch) -> None:
    """With what the system said, and the plain URL."""
    with hub_serving() as server:
        endpoint = server.url
    monkeypatch.setenv("HF_ENDPOINT", endpoint)

    error = refusal(UnreachableError)

    assert isinstance(error, UnreachableError)
    assert error.is_transient
    assert "refused" in error.reason
    assert error.url == f"{endpoint}/{REPO}/resolve/main/model.safetensors"


@pytest.mark.parametrize("endpoint", ["hub.example", "ftp://hub.example", "https://", "http://h:port"])
def test_an_endpoint_that_is_no_url_is_named(monkeypatch: pytest.MonkeyPatch, endpoint: str) -> None:
    """Before anything is asked."""
    monkeypatch.setenv("HF_ENDPOINT", endpoint)

    assert "HF_ENDPOINT" in str(refusal(InvalidSettingError))


@pytest.mark.usefixtures("no_sockets")
@pytest.mark.parametrize(
    "url", [f"hf://{REPO}", f"hf+https://hub.example/{REPO}/resolve/0/model.safetensors"]
)
def test_the_librarys_offline_mode_is_kept(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    """HF_HUB_OFFLINE: no socket, and it is named as the reason."""
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)

    with pytest.raises(OfflineError) as caught:
        transport().open(url)

    assert f"{plain_url(url)} (HF_HUB_OFFLINE is set)" in str(caught.value)


# -- networks as they are ------------------------------------------------------------------------------------


@pytest.mark.usefixtures("default_client")
@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"])
def test_a_private_authority_is_trusted_when_it_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, variable: str
) -> None:
    """By any of the variables that downloads follow; the look-up and the bytes need it both."""
    authority = new_authority(tmp_path / "ca.pem")
    with hub_serving(authority.tls) as server:
        server.publish(REPO, {"model.safetensors": WEIGHTS})
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        error = refusal(UntrustedServerError)
        monkeypatch.setenv(variable, str(authority.ca_file))

        assert fetched(found()) == WEIGHTS

    assert isinstance(error, UntrustedServerError)
    assert "certificate verify failed" in error.reason


@pytest.mark.usefixtures("default_client")
def test_an_applications_own_client_is_left_alone(hub: Hub) -> None:
    """huggingface_hub's client is changed for a server that it does not trust, and for no other."""
    made: list[object] = []

    def make() -> object:
        from huggingface_hub.utils import _http

        made.append(_http.default_client_factory())
        return made[-1]

    huggingface_hub.set_client_factory(make)  # type: ignore[arg-type] # [a client, and remembered]

    found()

    assert made == [huggingface_hub.get_session()]


def test_a_proxy_of_the_environment_is_used(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    """For the look-up and the bytes; the hub's own name is looked up by nobody here."""
    monkeypatch.setenv("http_proxy", hub.url)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("HF_ENDPOINT", "http://hub.example")

    artifact = found()

    assert artifact.urls[0].startswith(f"hf+http://hub.example/{REPO}/resolve/")
    assert fetched(artifact) == WEIGHTS
    assert {asked.path.partition(REPO)[0] for asked in hub.asked_of("hub")} == {"http://hub.example/"}
