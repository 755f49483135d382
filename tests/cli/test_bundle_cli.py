"""zoomgr export, import and inventory."""

from __future__ import annotations

import os
import subprocess
import tarfile
from pathlib import Path

import pytest
from cli.saying import Say, command, shell
from cli.test_startup import heavy_modules_after
from servers.bundles import add, machine, state
from servers.caches import sha256

ACME = Path(__file__).parents[1] / "data" / "acme"


@pytest.fixture
def near(tmp_path: Path) -> Path:
    """A cache with weights of one's own."""
    add(machine(tmp_path / "near"), "own/cells", b"cells " * 1000, license="apache-2.0")
    return tmp_path / "near"


@pytest.fixture
def far(tmp_path: Path) -> Path:
    """A cache that is not there yet."""
    return tmp_path / "far"


@pytest.fixture
def tar(zoomgr: Say, near: Path, tmp_path: Path) -> Path:
    """A bundle."""
    assert zoomgr("export", "cells", "-o", tmp_path / "zoo.tar", "--cache", near).code == 0
    return tmp_path / "zoo.tar"


# -- there and back ------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("acme")
def test_weights_are_pulled_exported_and_imported(zoomgr: Say, near: Path, far: Path, tmp_path: Path) -> None:
    """Both verbs say what they have carried: reference, digest, bytes."""
    out = zoomgr("export", "acme/tiny", "cells", "-o", tmp_path / "zoo.tar", "--cache", near)
    came = zoomgr("import", tmp_path / "zoo.tar", "--cache", far, "--offline")

    assert (out.code, came.code) == (0, 0)
    assert [line.split("\t")[0] for line in out.out.splitlines()] == ["acme/tiny@v1", "own/cells"]
    assert came.out == out.out.replace("\t\n", "\tnew\n")
    assert zoomgr("show", "cells", "--cache", far, "--offline").code == 0
    assert zoomgr("path", "acme/tiny", "--cache", far, "--offline").code == 0
    assert zoomgr("import", tmp_path / "zoo.tar", "--cache", far).out.count("there already") == 2


@pytest.mark.usefixtures("acme")
def test_a_lock_is_exported_whole(
    zoomgr: Say, far: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it names, with the digests that it names."""
    monkeypatch.chdir(tmp_path)
    assert zoomgr("lock", "acme/tiny").code == 0

    assert zoomgr("export", "--lock", "zoo.lock", "-o", "zoo.tar").code == 0
    assert zoomgr("import", "zoo.tar", "--cache", far, "--json").json[0]["ref"] == "acme/tiny@v1"


def test_json_says_the_same(zoomgr: Say, near: Path, far: Path, tmp_path: Path) -> None:
    """For programs."""
    out = zoomgr("export", "cells", "-o", tmp_path / "zoo.tar", "--cache", near, "--json").json
    came = zoomgr("import", tmp_path / "zoo.tar", "--cache", far, "--json").json

    digest = f"sha256:{sha256(b'cells ' * 1000)}"
    same = {"ref": "own/cells", "digest": digest, "size_bytes": 6000}
    assert out == [same | {"is_left_out": False}]
    assert came == [same | {"is_new": True}]


def test_a_dry_run_adds_nothing(zoomgr: Say, tar: Path, far: Path) -> None:
    """And says so."""
    told = zoomgr("import", tar, "--dry-run", "--cache", far)

    assert told.code == 0
    assert told.out.endswith("\tnew\n")
    assert "nothing was added" in told.err
    assert not far.exists()


def test_what_is_not_cached_cannot_be_exported_offline(zoomgr: Say, tmp_path: Path) -> None:
    """Nothing is written."""
    told = zoomgr("export", "vgg16", "-o", tmp_path / "zoo.tar", "--offline")

    assert told.code == 5
    assert "error[offline]" in told.err
    assert list(tmp_path.glob("*zoo.tar*")) == []


def test_an_inventory_leaves_out_what_is_there(zoomgr: Say, near: Path, far: Path, tmp_path: Path) -> None:
    """It is a file that goes the other way; the index of a bundle does as well."""
    zoomgr("export", "cells", "-o", tmp_path / "all.tar", "--cache", near)
    zoomgr("import", tmp_path / "all.tar", "--cache", far)
    (tmp_path / "have.json").write_text(zoomgr("inventory", "--cache", far).out)
    add(machine(near), "own/more", b"more")

    for have in ("have.json", "index.json"):
        with tarfile.open(tmp_path / "all.tar") as opened:
            opened.extract("index.json", tmp_path, filter="data")
        since = ("--since", tmp_path / have, "-o", tmp_path / "new.tar", "--cache", near)
        told = zoomgr("export", "cells", "more", *since)
        assert [line.rpartition("\t")[2] for line in told.out.splitlines()] == ["left out", ""]
    assert zoomgr("import", tmp_path / "new.tar", "--cache", far).code == 0
    assert zoomgr("path", "more", "--cache", far).code == 0
    assert zoomgr("inventory", "--cache", far, "--json").json["models"][1]["ref"] == "own/more"


def test_volumes_are_joined_by_cat(tar: Path, near: Path, far: Path, tmp_path: Path, zoomgr: Say) -> None:
    """And by import."""
    sizes = ("--volume-size", "4K", "-o", tmp_path / "split", "--cache", near)
    assert zoomgr("export", "cells", *sizes).code == 0

    cat = subprocess.run(["bash", "-c", f"cat {tmp_path}/split.*"], check=True, capture_output=True)
    assert cat.stdout == tar.read_bytes()
    assert {4096} == {path.stat().st_size for path in sorted(tmp_path.glob("split.*"))[:-1]}
    assert zoomgr("import", tmp_path / "split.001", "--cache", far).code == 0


def test_a_bundle_goes_through_a_pipe(tar: Path, near: Path) -> None:
    """Where ssh is the way; nothing else is on stdout."""
    run = subprocess.run(
        command("export", "cells", "-o", "-", "--cache", near), check=True, capture_output=True
    )

    assert run.stdout == tar.read_bytes()
    assert shell(f"zoomgr export cells -o - --cache {near} | head -c 100 > /dev/null").code == 141


def test_what_cannot_be_done_together_is_told(zoomgr: Say, near: Path, tmp_path: Path) -> None:
    """As is what is missing."""
    for arguments in (
        ("cells", "-o", "-", "--json"),
        ("cells", "-o", "-", "--volume-size", "1G"),
        ("-o", tmp_path / "x"),
        ("cells",),
        ("cells", "-o", tmp_path / "x", "--volume-size", "0"),
        ("cells", "-o", tmp_path / "x", "--volume-size", "many"),
        ("cells", "-o", tmp_path / "x", "--since", tmp_path / "nowhere.json"),
        ("cells", "-o", tmp_path / "x", "--sign", tmp_path / "nowhere.pem"),
    ):
        assert zoomgr("export", *arguments, "--cache", near).code == 2, arguments
    assert zoomgr("import", tmp_path / "nowhere.tar").code == 3
    assert not (tmp_path / "x").exists()


def test_export_and_import_need_no_torch(tar: Path, near: Path, far: Path, tmp_path: Path) -> None:
    """A login node without it does both."""
    assert (
        heavy_modules_after("export", "cells", "-o", str(tmp_path / "x.tar"), "--cache", str(near)) == set()
    )
    assert heavy_modules_after("import", str(tar), "--cache", str(far)) == set()


# -- signatures ----------------------------------------------------------------------------------------------

MAKE_KEYS = {
    "openssl": "openssl genpkey -algorithm ed25519 -out key 2>&1; openssl pkey -in key -pubout -out key.pub",
    "openssl, encrypted": "openssl genpkey -algorithm ed25519 -aes256 -pass pass:s3cret -out key 2>&1;"
    "openssl pkey -in key -passin pass:s3cret -pubout -out key.pub",
    "ssh-keygen": "ssh-keygen -q -t ed25519 -N '' -f key",
    "ssh-keygen, encrypted": "ssh-keygen -q -t ed25519 -N s3cret -f key",
}


def make_key(how: str, folder: Path) -> Path:
    """A key, as a manual says; its public half has the ending .pub."""
    folder.mkdir()
    subprocess.run(["bash", "-ec", MAKE_KEYS[how]], cwd=folder, check=True, capture_output=True)
    return folder / "key"


@pytest.mark.parametrize("how", MAKE_KEYS)
def test_a_bundle_is_signed_with_the_keys_that_people_have(
    how: str, zoomgr: Say, near: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And taken only when that key has signed it."""
    far = tmp_path / "far"
    key, other = make_key(how, tmp_path / "keys"), make_key("openssl", tmp_path / "others")
    monkeypatch.setenv("ZOOMGR_KEY_PASSPHRASE", "s3cret")
    tar = tmp_path / "zoo.tar"

    told = zoomgr("export", "cells", "-o", tar, "--sign", key, "--cache", near)
    refused = zoomgr("import", tar, "--require-signature", f"{other}.pub", "--cache", far)

    assert (told.code, refused.code) == (0, 4), told.err + refused.err
    assert "none of the keys" in refused.err
    assert not far.exists()
    both = ("--require-signature", f"{other}.pub", "--require-signature", f"{key}.pub")
    assert zoomgr("import", tar, *both, "--cache", far).code == 0


def test_openssl_checks_a_signature_by_itself(zoomgr: Say, near: Path, tmp_path: Path) -> None:
    """So nobody has to trust this program for it."""
    key = make_key("openssl", tmp_path / "keys")
    zoomgr("export", "cells", "-o", tmp_path / "zoo.tar", "--sign", key, "--cache", near)
    line = (
        "tar xf zoo.tar index.json index.json.sig && openssl pkeyutl -verify -pubin -inkey keys/key.pub"
        " -rawin -in index.json -sigfile index.json.sig"
    )

    told = subprocess.run(["bash", "-c", line], cwd=tmp_path, capture_output=True, text=True, check=True)

    assert "Verified Successfully" in told.stdout


def test_a_site_can_ask_for_its_keys_always(
    zoomgr: Say, tar: Path, near: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """$ZOOMGR_TRUSTED_KEYS holds for every import; a key that is not there is an error, not no rule."""
    key, other = make_key("ssh-keygen", tmp_path / "keys"), make_key("openssl", tmp_path / "others")
    zoomgr("export", "cells", "-o", tmp_path / "signed.tar", "--sign", key, "--cache", near)
    far = tmp_path / "far"
    monkeypatch.setenv("ZOOMGR_TRUSTED_KEYS", os.pathsep.join([f"{other}.pub", f"{key}.pub"]))

    told = zoomgr("import", tar, "--cache", far)

    assert told.code == 4
    assert "it is not signed" in told.err
    assert not far.exists()
    assert zoomgr("import", tmp_path / "signed.tar", "--cache", far).code == 0
    monkeypatch.setenv("ZOOMGR_TRUSTED_KEYS", str(tmp_path / "nowhere.pub"))
    assert "error[invalid-key]" in zoomgr("import", tmp_path / "signed.tar", "--cache", far).err


def test_a_signature_that_nobody_asks_for_is_mentioned(
    zoomgr: Say, near: Path, far: Path, tmp_path: Path
) -> None:
    """It proves nothing."""
    key = make_key("openssl", tmp_path / "keys")
    zoomgr("export", "cells", "-o", tmp_path / "zoo.tar", "--sign", key, "--cache", near)

    assert "--require-signature" in zoomgr("import", tmp_path / "zoo.tar", "--cache", far).err


def test_what_was_signed_cannot_be_changed(zoomgr: Say, near: Path, far: Path, tmp_path: Path) -> None:
    """Not the index, not the signature; and a file only so that its digest shows it."""
    key = make_key("openssl", tmp_path / "keys")
    tar, public = tmp_path / "zoo.tar", ("--require-signature", f"{key}.pub", "--cache", far)
    zoomgr("export", "cells", "-o", tar, "--sign", key, "--cache", near)
    good = tar.read_bytes()

    for place in (good.index(b"own/cells"), good.index(b"index.json.sig") + 512, good.index(b"cells cells")):
        tar.write_bytes(good[:place] + bytes([good[place] ^ 1]) + good[place + 1 :])
        assert zoomgr("import", tar, *public).code == 4
    assert state(machine(far).store) == {}


@pytest.fixture
def wrong_passphrase(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the environment says is of another key."""
    monkeypatch.setenv("ZOOMGR_KEY_PASSPHRASE", "wrong")


@pytest.mark.usefixtures("wrong_passphrase")
@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("", "no private key can be read"),
        ("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "no private key can be read"),
        ("-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n", "no private key can be read"),
        ("rsa", "of another kind"),
        ("public", "no private key can be read"),
        ("passphrase", "no private key can be read"),
    ],
)
def test_what_is_no_key_is_told(content: str, problem: str, zoomgr: Say, near: Path, tmp_path: Path) -> None:
    """With how one is made; also a key of another kind, a public one, a wrong passphrase."""
    (tmp_path / "key").write_text(content)
    if content == "rsa":
        subprocess.run(["ssh-keygen", "-q", "-t", "rsa", "-N", "", "-f", tmp_path / "rsa"], check=True)
        (tmp_path / "rsa").replace(tmp_path / "key")
    elif content == "public":
        (tmp_path / "key").write_bytes(make_key("openssl", tmp_path / "k").with_suffix(".pub").read_bytes())
    elif content == "passphrase":
        (tmp_path / "key").write_bytes(make_key("ssh-keygen, encrypted", tmp_path / "k").read_bytes())

    told = zoomgr("export", "cells", "-o", tmp_path / "x", "--sign", tmp_path / "key", "--cache", near)

    assert told.code == 2
    assert problem in told.err
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize("content", ["", "ssh-ed25519 AAAA", "ssh-rsa x", "private"])
def test_what_is_no_public_key_is_told(
    content: str, zoomgr: Say, tar: Path, far: Path, tmp_path: Path
) -> None:
    """Before the bundle is opened."""
    text = make_key("openssl", tmp_path / "k").read_text() if content == "private" else content
    (tmp_path / "key.pub").write_text(text)

    told = zoomgr("import", tar, "--require-signature", tmp_path / "key.pub", "--cache", far)

    assert (told.code, "error[invalid-key]" in told.err) == (2, True)
    assert not far.exists()


def test_without_the_library_it_says_what_to_install(
    zoomgr: Say, near: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Signatures are an extra."""
    key = make_key("openssl", tmp_path / "keys")
    monkeypatch.setitem(__import__("sys").modules, "cryptography.exceptions", None)

    told = zoomgr("export", "cells", "-o", tmp_path / "x", "--sign", key, "--cache", near)

    assert told.code == 7
    assert "pip install 'zoomgr[sign]'" in told.err
