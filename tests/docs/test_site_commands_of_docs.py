"""Commands on pages about caches and sites do what they say there, at a site of this machine."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from pages import DOCS, ROOT, blocks, shell
from servers.nginx import serving
from servers.registry import registry_serving
from servers.s3 import s3_endpoint
from stock import Stock

pytestmark = pytest.mark.slow

_PROMPT = re.compile(r"(near|far|)([$#]) +(.*)")
_FAR = "( export ZOOMGR_CACHE=$PWD/far; unset ZOOMGR_CACHE_LAYERS; {} )"


def commands(page: str) -> Iterator[str]:
    """Of a page, in their order; what is shown below them is not theirs."""
    for block in blocks(DOCS / page, "bash", "console"):
        if block.language == "bash":
            yield block.text
            continue
        for told in filter(None, map(_PROMPT.match, block.text.splitlines())):
            yield _FAR.format(told[3].partition("   #")[0]) if told[1] == "far" else told[3]


TRAIN = """
import timm
import torchvision

torchvision.models.resnet18(weights="DEFAULT")
timm.create_model("resnet50.a1_in1k", pretrained=True)
"""


def project() -> None:
    """A repository with scripts that load what they name."""
    Path("src").mkdir()
    Path("train.py").write_text(TRAIN)
    Path("src/more.py").write_text('import zoomgr\n\nzoomgr.load("resnet18")\n')
    shell("git init -q . && zoomgr lock resnet18 timm/resnet50@a1_in1k")


def keys() -> None:
    """The same, with keys to sign by."""
    project()
    shell(
        "openssl genpkey -algorithm ed25519 -out release.pem"
        " && openssl pkey -in release.pem -pubout -out release.pub"
    )


def carried() -> None:
    """The same, and a bundle, whose weights are cached."""
    project()
    shell("zoomgr export --lock zoo.lock -o zoo.tar && ZOOMGR_CACHE_LAYERS= zoomgr import zoo.tar")


def site() -> None:
    """The same, with weights of a team, and a folder that is served."""
    carried()
    shell(
        'zoomgr add "$(zoomgr path resnet18)" --name team/tumour@v2 --arch torchvision/resnet18'
        " && mkdir -p srv"
    )


def cluster() -> None:
    """The same, and what Slurm would start: a node of this machine, and two processes for each of four."""
    keys()
    Path("bin").mkdir()
    Path("bin/srun").write_text('#!/bin/bash\nwhile [[ $1 == --* ]]; do shift; done\nexec "$@"\n')
    Path("bin/srun").chmod(0o755)
    Path("train.py").write_text(
        "import zoomgr\n\nzoomgr.load('resnet18')\nzoomgr.load('timm/resnet50@a1_in1k')\n"
    )


_NODE = "unset ZOOMGR_CACHE_LAYERS; export ZOOMGR_CACHE=$PWD/site"
PAGES: dict[str, tuple[Callable[[], None], Mapping[str, str]]] = {
    "adopt.md": (project, {}),
    "airgap.md": (
        cluster,
        {
            "export ZOOMGR_CACHE=/site/zoo": _NODE,
            "/site/zoo": "$PWD/site",
            "proc-per-node=4": "proc-per-node=2",
        },
    ),
    "bundles.md": (keys, {}),
    "care.md": (
        carried,
        {"/group/zoo": "$PWD/group", "/site/zoo": "$PWD/site", "chgrp vision": f"chgrp {os.getgid()}"},
    ),
    "doctor.md": (carried, {}),
    "expose.md": (carried, {"/site/homes": "homes"}),
    "lock.md": (project, {}),
    "mirrors.md": (
        site,
        {
            "/srv/zoo ": "$PWD/srv ",
            "export ZOOMGR_MIRROR=": f"{_NODE} ZOOMGR_MIRROR=",
            "sha256sum vgg16-397923af.pth": 'sha256sum "$(zoomgr path resnet18)"',
        },
    ),
    "references.md": (project, {}),
    "registry.md": (project, {}),
}
"""What a page takes as given, and what here stands for a place or a thing of its site."""

ELSEWHERE = {
    "index.md": "docs/test_docs_site.py",
    "loading.md": "integration/test_load_benchmark.py",
    "plugin-tutorial.md": "docs/test_plugin_tutorial.py",
    **dict.fromkeys(
        ("checkpoints.md", "looking.md", "mapping.md", "own-weights.md"), "docs/test_commands_of_docs.py"
    ),
}
"""Pages whose commands another test runs; tests/recipes has those of docs/howto."""


def test_no_page_with_commands_is_forgotten() -> None:
    """Each is run here, or by the test that is named, which is there."""
    pages = {page.name for page in DOCS.glob("*.md") if any(blocks(page, "bash", "console"))}

    assert pages == {*PAGES, *ELSEWHERE}
    assert all((ROOT / "tests" / test).is_file() for test in ELSEWHERE.values())


@pytest.fixture
def servers(reader: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    """What a site has, here: a bucket, a registry, a web server of a folder; by the names of the docs."""
    monkeypatch.setenv("HOME", str(tmp_path))
    with (
        s3_endpoint(monkeypatch) as bucket,
        registry_serving(tmp_path / "registry") as registry,
        serving(reader / "srv", tmp_path / "nginx") as web,
    ):
        bucket.put("bucket", "other", b"x")
        yield {"registry.site.example": registry.host, "https://zoo.site.example": web.url}


@pytest.mark.parametrize("page", [*PAGES])
def test_the_commands_of_a_page_do_what_it_says(
    page: str, stock: Stock, servers: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One after the other, in one shell, with a smaller network than VGG-16."""
    prepare, here = PAGES[page]
    stock.hold("resnet18", "timm/resnet50@a1_in1k")
    monkeypatch.setenv("ZOOMGR_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("ZOOMGR_OFFLINE")
    monkeypatch.setenv("SLURM_NNODES", "1")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setenv("PATH", f"{Path('bin').resolve()}{os.pathsep}{os.environ['PATH']}")
    prepare()
    script = "\n".join(commands(page))
    assert all(word in script for word in here)
    for word, stands_for in {**here, **servers, "vgg16": "resnet18"}.items():
        script = script.replace(word, stands_for)

    shell(script)
