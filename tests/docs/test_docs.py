"""The docs say what the code does."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from PIL import Image

import zoomgr
from zoomgr.cli.main import GROUPS, VERBS
from zoomgr.hookspecs import ZoomgrSpecs

ROOT = Path(__file__).parents[2]
HOOKS = [name for name in vars(ZoomgrSpecs) if name.startswith("zoomgr_")]
_HOST = r"(?:[^\s/@]+@)?(?!127\.|[\w.-]+\.(?:example|test|invalid)\b)[\w-]+(?:\.[\w-]+)+"
NOT_OURS = re.compile(
    rf"index[-_]url\W+https?://{_HOST}"
    rf"|https?://{_HOST}[^\s\"'<>]*/(?:simple\b|packages/[0-9a-f]{{2}}/)"
    r"|(?<![\w.])/(?:home/(?!me/)\w+|root|work)/",
    re.IGNORECASE,
)
"""An address of a package index, or a path of one machine; `/home/me` is anybody's."""
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/*.md")])


@pytest.mark.parametrize("hook", HOOKS)
def test_a_hook_is_documented_with_its_arguments(hook: str) -> None:
    """The heading shows the call to the letter."""
    signature = inspect.signature(getattr(ZoomgrSpecs, hook))
    arguments = ", ".join(name for name in signature.parameters if name != "self")

    heading = f"### `{hook}({arguments}) -> {signature.return_annotation}`"
    assert heading in (ROOT / "docs" / "plugins.md").read_text()


@pytest.mark.parametrize("hook", HOOKS)
def test_a_third_party_implements_every_hook_in_the_tests(hook: str) -> None:
    """So each is called by some test."""
    assert f"def {hook}(" in (ROOT / "tests/data/acme/acme_zoo.py").read_text()


@pytest.mark.parametrize("verb", list(VERBS))
def test_every_verb_is_in_the_readme(verb: str) -> None:
    """With its purpose."""
    assert f"| `{verb}` | " in (ROOT / "README.md").read_text()


def test_verbs_are_in_the_readme_as_help_has_them() -> None:
    """Under the same headings, in the same order."""
    lines = re.findall(r"^\*\*(.+)\*\*|^\| `([a-z]+)` \|", (ROOT / "README.md").read_text(), re.MULTILINE)
    told = [heading or verb for heading, verb in lines if heading in GROUPS or verb]

    assert told == [word for heading, verbs in GROUPS.items() for word in (heading, *verbs)]


@pytest.mark.parametrize("package", ["look", "tune"])
def test_the_reference_has_every_public_name(package: str) -> None:
    """Of the packages whose functions are not methods of a Zoo."""
    told = re.findall(rf"\n::: zoomgr\.{package}\.\w+\.(\w+)", (ROOT / "docs/reference.md").read_text())

    assert set(getattr(zoomgr, package).__all__) <= set(told)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    """Relative ones; the others cannot be asked here."""
    targets = re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text())

    gone = [target for target in targets if "://" not in target and not (page.parent / target).exists()]
    assert gone == []


def repository() -> Iterator[Path]:
    """The files that are, or would be, committed; all that lie here when this is no checkout."""
    told = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "-z"], cwd=ROOT, capture_output=True, check=False
    )
    names = [name.decode() for name in told.stdout.split(b"\0") if name]
    yield from (path for path in (map(ROOT.joinpath, names) if names else ROOT.rglob("*")) if path.is_file())


def test_no_file_of_the_repository_names_an_index_or_a_machine() -> None:
    """The index is pip's matter, and a path of somebody's home is nobody else's."""
    found = {
        str(path.relative_to(ROOT)): [hit[0] for hit in NOT_OURS.finditer(text)]
        for path in repository()
        if NOT_OURS.search(text := path.read_bytes().decode("utf-8", "replace"))
    }

    assert found == {}


# Spelt with a gap, or the test above would find this file.
@pytest.mark.parametrize(
    ("text", "is_ours"),
    [
        ("index-url = https:|//mirror.corp.com/x", False),
        ("--index-url=https:|//me:pw@mirror.corp.com/x", False),
        ("PIP_INDEX_URL=http:|//10.0.0.7:8081/repository/pypi", False),
        ("see https:|//pypi.org/simple/torch/", False),
        ('url = "http:|//nexus.corp.com:8081/repository/pypi/simple"', False),
        ("https:|//files.host.org/packages/ab/cd/x.whl", False),
        ("/home|/jane/zoomgr/x.py", False),
        ("File /root|/x.py", False),
        ('"/work|/x"', False),
        ("index-url = https:|//index.example/simple", True),
        ("http:|//127.0.0.1:8080/simple/", True),
        ("https:|//i/simple", True),
        ("https:|//mirror.example/packages/ab/", True),
        ("https:|//host.org/simplenet/x", True),
    ],
)
def test_an_address_is_known_when_it_is_seen(text: str, is_ours: bool) -> None:
    """Names that RFC 2606 keeps for examples, names without a dot and loopback are nobody's address."""
    assert bool(NOT_OURS.search(text.replace("|", ""))) is not is_ours


def readme_code() -> tuple[str, str]:
    """The README's Python: how to load, how to go on from there."""
    load, go_on = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    return load, go_on


@pytest.mark.usefixtures("acme")
def test_the_readme_s_python_runs() -> None:
    """With a tiny network where it has a real one, and without what fetches real weights."""
    scope: dict[str, Any] = {}
    ran = []
    zoomgr._default_zoo.cache_clear()
    for statement in ast.parse(readme_code()[0]).body:
        line = ast.unparse(statement)
        if any(
            word in line for word in ("import", "efficientnet_lite0", "report.", "weights=False", "prepare")
        ):
            exec(line.replace("efficientnet_lite0", "tiny"), scope)  # noqa: S102 [our own README]
            ran.append(line)
    zoomgr._default_zoo.cache_clear()

    assert len(ran) >= 7
    assert scope["report"].fresh == ("head.weight", "head.bias")
    assert scope["report"].adapted == ("stem.weight",)
    assert tuple(scope["prepare"](Image.new("RGBA", (300, 300))).shape) == (4, 224, 224)


def test_the_readme_goes_on_from_a_loaded_network() -> None:
    """With the real architecture, and random weights."""
    model = zoomgr.load("timm/efficientnet_lite0", weights=False, num_classes=9, in_ch=4)
    fresh = ("classifier.weight", "classifier.bias", "conv_stem.weight")
    scope: dict[str, Any] = {"model": model, "report": fresh, "torch": torch}

    exec(readme_code()[1], scope)  # noqa: S102 [our own README]

    assert {tuple(value.shape[2:]) for value in scope["outputs"].values()} == {(112, 112), (28, 28)}
    assert sum(len(group["params"]) for group in scope["groups"]) == 2
    assert len(scope["plan"].at(11)) > len(scope["plan"].at(0)) > 0


def test_the_readme_s_python_calls_what_exists_with_arguments_that_exist() -> None:
    """Also what is not run."""
    calls = [
        node
        for statement in ast.parse(readme_code()[0]).body
        for node in ast.walk(statement)
        if isinstance(node, ast.Call)
    ]

    for call in calls:
        assert isinstance(call.func, ast.Attribute)
        name = call.func.attr
        assert name in zoomgr.__all__
        called = "load_with_report" if name == "load" else name
        takes = inspect.signature(getattr(zoomgr.Zoo, called, None) or getattr(zoomgr, called))
        words = {word.arg for word in call.keywords}
        assert words <= set(takes.parameters), ast.unparse(call)
    assert len(calls) >= 8


def test_constraints_hold_names_and_versions_only() -> None:
    """No address, no hash; and nothing else pins versions."""
    lines = (ROOT / "constraints.txt").read_text().splitlines()

    assert all(re.fullmatch(r"[A-Za-z0-9_.-]+==[A-Za-z0-9_.+!-]+", line) for line in lines if line[:1] != "#")
    assert not (ROOT / "uv.lock").exists() or "/uv.lock" in (ROOT / ".gitignore").read_text()


# -- commands ------------------------------------------------------------------------------------------------

_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_COMMAND = re.compile(r"(?<![\w/.-])zoomgr ([a-z]+)((?: [^\s|&;#`)]+)*)")


def blocks(page: Path, *languages: str) -> Iterator[str]:
    """The code blocks of a page, in these languages."""
    return (found[2] for found in _BLOCK.finditer(page.read_text()) if found[1] in languages)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_have_verbs_and_options_that_exist(page: Path) -> None:
    """In every block of a shell, or of a container's recipe."""
    wrong = []
    for block in blocks(page, "bash", "console", "dockerfile"):
        for verb, rest in _COMMAND.findall(block):
            if verb in VERBS:
                known = options_of(verb, rest)
                named = [
                    word.partition("=")[0] for word in rest.split() if word.startswith("-") and word != "-"
                ]
                wrong += [f"{verb} {option}" for option in named if option not in known]
            else:
                wrong.append(verb)

    assert wrong == []


def options_of(verb: str, rest: str) -> set[str]:
    """What a verb takes, and what those below it do."""
    command: Any = importlib.import_module(f"zoomgr.cli.{verb}").command
    below = getattr(command, "commands", {}).get((rest.split() or [""])[0])
    return {option for each in (command, below) if each for param in each.params for option in param.opts}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_scripts_and_manifests_are_such(page: Path) -> None:
    """A shell parses the one, YAML the other."""
    for script in blocks(page, "bash"):
        subprocess.run(["bash", "-n"], input=script, text=True, check=True)
    for manifest in blocks(page, "yaml"):
        assert yaml.safe_load(manifest)["kind"]
