"""What a person, and a program, sees of each verb."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli.saying import Say

from zoomgr.cli.main import VERBS

pytestmark = pytest.mark.usefixtures("acme")


def test_help_names_every_verb_and_the_exit_codes(zoomgr: Say) -> None:
    """The first thing that a newcomer sees."""
    told = zoomgr("--help")

    assert told.code == 0
    assert all(f"  {verb} " in told.out for verb in VERBS)
    assert "4 integrity" in " ".join(told.out.split())


@pytest.mark.parametrize("verb", list(VERBS))
def test_every_verb_explains_itself_and_has_the_common_options(zoomgr: Say, verb: str) -> None:
    """`--offline`, `--cache`, `--quiet` and `--json` everywhere."""
    told = zoomgr(*{"mirror": ("mirror", "sync")}.get(verb, (verb,)), "--help")

    assert told.code == 0
    for option in ("--offline", "--cache", "--registry", "--quiet", "--json"):
        assert option in told.out


def test_a_misspelt_verb_or_option_is_a_usage_error(zoomgr: Say) -> None:
    """Exit code 2, as click has it."""
    misspelt = zoomgr("pul", "vgg16")
    assert (misspelt.code, "did you mean pull" in misspelt.err) == (2, True)
    assert zoomgr("fetch", "vgg16").code == 2
    assert zoomgr("pull").code == 2
    assert zoomgr("pull", "vgg16", "--nope").code == 2


def test_pull_proves_stores_and_says_so(zoomgr: Say) -> None:
    """Data on stdout, remarks on stderr; a second time nothing is fetched."""
    told = zoomgr("pull", "tiny")

    assert told.code == 0
    ref, digest, size, path = told.out.strip().split("\t")
    assert ref == "acme/tiny@v1"
    assert digest.startswith("sha256:")
    assert size == "985 B"
    assert Path(path).is_file()
    assert told.err == "tiny is acme/tiny@v1\n"
    assert zoomgr("pull", "tiny", "--offline").code == 0


def test_json_is_the_whole_stdout(zoomgr: Say) -> None:
    """A program needs no parsing."""
    pulled = zoomgr("pull", "acme/tiny", "--json").json

    assert pulled[0]["ref"] == "acme/tiny@v1"
    assert pulled[0]["digest"] == pulled[0]["promised"]
    assert zoomgr("list", "--cached", "--json").json == pulled
    assert zoomgr("path", "tiny", "--json").json == {"path": pulled[0]["path"]}
    assert zoomgr("show", "tiny", "--json").json["labels"] == ["cat", "dog"]
    assert zoomgr("which", "tiny", "--json").json[0]["arch"] == "acme/tiny"
    assert zoomgr("list", "tiny", "--json").json[0]["num_classes"] == 2
    assert zoomgr("verify", "--json").json == [
        {"ref": "acme/tiny@v1", "status": "ok", "detail": "", "moved_to": None}
    ]
    assert {info["name"] for info in zoomgr("plugins", "--json").json} > {"acme", "torchvision"}


def test_quiet_leaves_only_the_data(zoomgr: Say) -> None:
    """For scripts."""
    assert zoomgr("pull", "tiny", "-q").err == ""


def test_pull_says_who_won_and_who_else_has_the_name(zoomgr: Say) -> None:
    """23 of 35 shared names mean different weights."""
    told = zoomgr("show", "resnet50")

    assert "resnet50 is torchvision/resnet50@imagenet1k_v2 (also in cadene, gluon, timm: " in told.err
    assert "sha256:11ad3fa6 (8 of 64 digits), torchvision catalogue" in told.out
    assert "25,557,032" in told.out


def test_who_names_a_source_is_not_told_of_others(zoomgr: Say) -> None:
    """Nothing had to win; only the tag is news."""
    told = zoomgr("show", "torchvision/resnet50")

    assert told.err == "torchvision/resnet50 is torchvision/resnet50@imagenet1k_v2\n"


def test_show_does_not_guess_what_a_lone_file_is(zoomgr: Say) -> None:
    """Of a file without an architecture neither task nor channels are known."""
    shown = zoomgr("show", "https://host/x.pth").out

    assert "task" not in shown
    assert "channels" not in shown


def test_a_file_of_ones_own_may_change(zoomgr: Say, tmp_path: Path) -> None:
    """So nothing is said of a digest that is demanded from now on."""
    (tmp_path / "x.pth").write_bytes(b"one")
    told = zoomgr("pull", tmp_path / "x.pth")
    (tmp_path / "x.pth").write_bytes(b"other")

    assert (told.code, told.err) == (0, "")
    assert zoomgr("pull", tmp_path / "x.pth").code == 0


def test_list_shows_what_is_cached(zoomgr: Say) -> None:
    """By glob, of one source, or of the cache."""
    zoomgr("pull", "tiny")

    rows = zoomgr("list", "t[hi]ny").out.splitlines()
    assert rows == ["acme/tiny@v1\tcached\tdefault\t\t\t\tMIT"]
    assert zoomgr("list", "tiny", "--cached").out.startswith("acme/tiny@v1\t")
    assert zoomgr("list", "--cached", "--source", "timm").out == ""
    assert zoomgr("list", "TI*", "--cached").out == zoomgr("list", "ACME/*", "--cached").out != ""
    misspelt = zoomgr("list", "--cached", "--source", "tim")
    assert (misspelt.code, "did you mean timm" in misspelt.err) == (3, True)
    assert len(zoomgr("list", "vgg16*", "--source", "torchvision").out.splitlines()) >= 3
    assert "nothing matches" in zoomgr("list", "nope*").err


def test_rm_and_pull_do_nothing_when_a_name_is_unknown(zoomgr: Say) -> None:
    """A slip of the hand in the last of several costs nothing."""
    assert zoomgr("pull", "tiny", "tinny").code == 3
    assert zoomgr("path", "tiny").code == 3
    path = Path(zoomgr("pull", "tiny", "--json").json[0]["path"])

    assert zoomgr("rm", "tiny", "tinny").code == 3
    assert zoomgr("rm", "tiny", "vgg16").code == 3
    assert path.exists()
    assert zoomgr("rm", "tiny", "acme/tiny").out == "acme/tiny@v1\t985 B\n"


def test_what_was_pulled_is_told_when_a_later_one_fails(zoomgr: Say, tmp_path: Path) -> None:
    """Each when it is there; as JSON they are one list, and stderr and the exit code tell of the error."""
    gone = (tmp_path / "gone.pth").as_uri()

    told = zoomgr("pull", "tiny", gone)
    assert (told.code, told.out.startswith("acme/tiny@v1\t")) == (3, True)
    told = zoomgr("pull", "tiny", gone, "--json")
    assert (told.code, [entry["ref"] for entry in told.json]) == (3, ["acme/tiny@v1"])
    assert "error[" in told.err


def test_rm_frees_the_file(zoomgr: Say) -> None:
    """And a second rm says that it is gone."""
    path = Path(zoomgr("pull", "tiny", "--json").json[0]["path"])

    assert zoomgr("rm", "tiny").code == 0
    assert not path.exists()
    gone = zoomgr("rm", "tiny")
    assert (gone.code, "error[not-cached]" in gone.err) == (3, True)
    assert zoomgr("path", "tiny").code == 3


def test_an_error_has_its_code_its_hints_and_its_json(zoomgr: Say) -> None:
    """A site's plugin adds its own hint."""
    told = zoomgr("show", "tinny", "--json")

    assert told.code == 3
    assert told.err.startswith("error[unknown-model]: no model is called 'tinny'\n")
    assert "hint: did you mean tiny" in told.err
    assert "hint: Acme's models are listed at zoo.acme.example" in told.err
    assert told.json["error"]["code"] == "unknown-model"
    assert told.json["error"]["site_hints"] == ["Acme's models are listed at zoo.acme.example"]


def test_a_corrupt_registry_is_one_clear_error(zoomgr: Say, tmp_path: Path) -> None:
    """Before anything else is tried."""
    (tmp_path / "registry.toml").write_text("version = 1\n[models.x\n")

    told = zoomgr("list", "--registry", tmp_path / "registry.toml")

    assert told.code == 2
    assert told.err.startswith("error[invalid-registry]: ")
    assert "registry.toml:2" in told.err


def test_verify_repairs_from_where_pull_finds_it(zoomgr: Say) -> None:
    """The right file is there again, the bad one aside."""
    path = Path(zoomgr("pull", "tiny").out.strip().split("\t")[3])
    path.chmod(0o644)
    path.write_text("something else")

    told = zoomgr("verify", "--repair", "--json")

    assert told.code == 0
    assert [verdict["status"] for verdict in told.json] == ["repaired"]
    assert Path(told.json[0]["moved_to"]).read_text() == "something else"
    assert zoomgr("verify").code == 0


def test_verify_finds_an_altered_file_and_moves_it_aside(zoomgr: Say) -> None:
    """Exit code 4; what is left is proven."""
    path = Path(zoomgr("pull", "tiny", "--json").json[0]["path"])
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:-1] + b"?")

    told = zoomgr("verify")

    assert told.code == 4
    assert told.out.startswith("altered\tacme/tiny@v1\t")
    assert "error[verify-failed]" in told.err
    assert not path.exists()
    assert zoomgr("pull", "tiny").code == 0


def test_json_is_one_document_also_when_a_verb_answers_and_then_fails(zoomgr: Say) -> None:
    """The verdicts are the answer; the exit code and stderr tell of the error."""
    path = Path(zoomgr("pull", "tiny", "--json").json[0]["path"])
    path.chmod(0o644)
    path.write_bytes(b"another file")

    told = zoomgr("verify", "--json")

    assert (told.code, [verdict["status"] for verdict in told.json]) == (4, ["altered"])
    assert "error[verify-failed]" in told.err


@pytest.mark.parametrize("wrong", [("pull",), ("pull", "vgg16", "--nope"), ("pul", "vgg16")])
def test_a_command_line_that_is_not_understood_is_json_too(zoomgr: Say, wrong: tuple[str, ...]) -> None:
    """A program reads stdout whatever it asked for."""
    told = zoomgr(*wrong, "--json")

    assert (told.code, told.json["error"]["code"]) == (2, "usage")
    assert told.err.startswith("Usage: zoomgr ")


@pytest.mark.parametrize("option", ["--in-ch", "--num-classes"])
@pytest.mark.parametrize("number", ["0", "-1", "10000000000", "nine"])
def test_an_absurd_number_is_a_usage_error(zoomgr: Say, option: str, number: str) -> None:
    """Before torch is asked for as much memory."""
    told = zoomgr("plan", "tiny", option, number)

    assert (told.code, option in told.err) == (2, True)


@pytest.mark.parametrize("verb", ["show", "which", "list", "pull", "path", "rm", "verify", "inspect", "plan"])
@pytest.mark.parametrize("how", [(), ("--json",)])
def test_no_verb_prints_the_secrets_of_a_url(
    zoomgr: Say, tmp_path: Path, verb: str, how: tuple[str, ...]
) -> None:
    """User, password and token; of a reference, and of a registry's model."""
    url = "http://user:s3cret@127.0.0.1:9/x.pth"
    (tmp_path / "registry.toml").write_text(f'version = 1\n[models.x]\narch = "acme/tiny"\nurl = "{url}"\n')

    for ref in (f"{url}?token=s3cret", "x"):
        told = zoomgr(verb, ref, "--registry", tmp_path / "registry.toml", *how)
        assert "s3cret" not in told.out + told.err
        assert (told.out + told.err).strip()


@pytest.mark.usefixtures("broken")
def test_plugins_shows_what_failed_and_why(zoomgr: Say) -> None:
    """The command itself works."""
    told = zoomgr("plugins")

    assert told.code == 0
    assert "failed    broken        broken-zoo 0.3" in told.out
    assert "operator acme::nms does not exist" in told.out
    assert "conflict  twin_one" in told.out
    assert "ok        torchvision   zoomgr" in told.out
    broken = zoomgr("pull", "broken/net")
    assert (broken.code, "error[plugin-load]" in broken.err) == (7, True)
    clash = zoomgr("pull", "twin/net")
    assert (clash.code, "error[plugin-conflict]" in clash.err) == (7, True)


def test_inspect_numbers_the_tensors(zoomgr: Say) -> None:
    """Of a file, or of a reference; a third party's format too."""
    zoomgr("pull", "tiny")

    told = zoomgr("inspect", "tiny")

    assert told.out.splitlines()[0] == "0\tfirst/w\t4x3x3x3\tfloat32\t108"
    assert "3 tensors, 118 values" in told.err
    assert zoomgr("inspect", "tiny", "--json").json["format"] == "acme"


def test_plan_shows_what_a_load_would_do(zoomgr: Say) -> None:
    """Moved, adapted, fresh and unused, each with its sign."""
    told = zoomgr("plan", "tiny", "--num-classes", "9", "--in-ch", "4")

    signs = [line.split("\t")[0] for line in told.out.splitlines()]
    assert told.code == 0
    assert signs == ["~", "+", "+", "-", "-"]
    assert told.err == (
        "0 of 3 tensors loaded, keys matched by acme-keys\n"
        "1 adapted (stem for 4 channels from three, zero): stem.weight\n"
        "2 fresh (head for 9 classes): head.weight, head.bias\n"
        "2 unused (replaced head): last/w, last/b\n"
    )
    moves = zoomgr("plan", "tiny", "--in-ch", "4", "--json").json["moves"]
    assert moves[0]["op"] == {
        "op": "StemExpand",
        "in_ch": 4,
        "policy": "zero",
        "order": [],
        "blocks": 1,
        "width": 1,
    }


def test_plan_saves_rules_that_give_the_plan_again(
    zoomgr: Say, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a new file, to be edited: another is not written over, and a wrong place is told first."""
    monkeypatch.chdir(tmp_path)

    told = zoomgr("plan", "tiny", "--save", "own.toml")
    again = zoomgr("plan", "tiny", "--match", "own.toml")

    assert (told.code, again.code) == (0, 0)
    assert told.err.endswith("\nrules: own.toml\n")
    assert Path("own.toml").read_text(encoding="utf-8") == (
        "# acme/tiny@v1 -> acme/tiny, by acme-keys\n"
        "rule = [\n"
        '  { from = "first/w", to = "stem.weight" },\n'
        '  { from = "last/w", to = "head.weight" },\n'
        '  { from = "last/b", to = "head.bias" },\n'
        "]\n"
    )
    assert again.out == told.out
    assert "keys matched by rules own.toml" in again.err
    for place, problem in (("own.toml", "it is there already"), ("own.json", "call it own.toml")):
        refused = zoomgr("plan", "nobody-has-this", "--save", place)
        assert (refused.code, problem in refused.err) == (2, True)


def test_plan_writes_a_page_over_an_older_one(
    zoomgr: Say, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """But over nothing that is no page, and a wrong place is told before anything is read."""
    monkeypatch.chdir(tmp_path)
    Path("plan.html").write_text("older")
    Path("net.pth").write_text("weights")

    told = zoomgr("plan", "tiny", "--num-classes", "9", "--html", "plan.html")

    assert told.code == 0
    assert told.err.endswith("\npage: plan.html\n")
    page = Path("plan.html").read_text(encoding="utf-8")
    assert "<title>Load plan: tiny</title>" in page
    assert "head for 9 classes" in page
    for place, problem in (("net.pth", "call it net.html"), ("gone/plan.html", "there is no folder gone")):
        refused = zoomgr("plan", "nobody-has-this", "--html", place)
        assert (refused.code, problem in refused.err) == ({"net.pth": 2}.get(place, 8), True)
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == ["net.pth", "plan.html"]


def test_plan_leaves_keys_out_and_demands_a_part(zoomgr: Say) -> None:
    """As `load` does; a part of a whole is between 0 and 1."""
    told = zoomgr("plan", "tiny", "--ignore", "last/*", "--partial", "--min-coverage", "0.9")
    refused = zoomgr("plan", "tiny", "--ignore", "last/*", "--partial", "--min-coverage", "0.95")

    assert [line.split("\t")[0] for line in told.out.splitlines()] == ["=", "+", "+", "-", "-"]
    assert refused.code == 6
    assert "error[low-coverage]" in refused.err
    assert zoomgr("plan", "tiny", "--min-coverage", "2").code == 2


def test_plan_shows_chosen_classes_and_bands(zoomgr: Say) -> None:
    """What a row and a channel come from, in words."""
    told = zoomgr("plan", "tiny", "--head", "Dog, 0", "--bands", "B8,B4,B3,B2", "--stem", "mean")

    assert told.code == 0
    assert told.out.splitlines() == [
        "~\tstem.weight\tfirst/w\tstem for 4 channels from mean, 0, 1, 2",
        "~\thead.weight\tlast/w\trows 1, 0",
        "~\thead.bias\tlast/b\trows 1, 0",
    ]
    assert "2 adapted (rows 1, 0): head.weight, head.bias" in told.err


@pytest.mark.parametrize(
    ("head", "signs"), [("fresh", "=++--"), ("keep", "==="), ("0,dog", "==="), ("cat", "=~~")]
)
def test_plan_takes_a_head_as_load_does(zoomgr: Say, head: str, signs: str) -> None:
    """New, the old one, or classes of it; all of them in their order is the old one."""
    told = zoomgr("plan", "tiny", "--head", head)

    assert "".join(line[0] for line in told.out.splitlines()) == signs


@pytest.mark.parametrize(
    ("options", "hint"),
    [
        (("--head", "dgo"), "did you mean dog?"),
        (("--head", "2"), "choose from 0 to 1"),
        (("--head", "cat,0"), "name each class once"),
        (("--bands", "nir,swir"), "or in_ch=2 without bands"),
        (("--bands", "B3,B2,B1"), 'write "red", "green" and "blue"'),
        (("--bands", "red,nir", "--in-ch", "3"), "leave in_ch out"),
    ],
)
def test_plan_refuses_classes_and_bands_that_are_not_there(
    zoomgr: Say, options: tuple[str, ...], hint: str
) -> None:
    """With what to write instead."""
    told = zoomgr("plan", "tiny", *options)

    assert (told.code, hint in told.err) == (2, True), told.err


def test_predict_prints_names_and_percentages(zoomgr: Say) -> None:
    """Of a picture of a cat, as far as two classes go."""
    cat = Path(__file__).parents[2] / "examples" / "cat.png"

    told = zoomgr("predict", "tiny", cat)

    assert told.code == 0
    assert sorted(line.split("%  ")[1] for line in told.out.splitlines()) == ["cat", "dog"]
    (only,) = zoomgr("predict", "tiny", cat, "--top", "1", "--json").json
    assert (only["image"], len(only["classes"])) == (str(cat), 1)
    assert 0.5 <= only["classes"][0]["probability"] <= 1


def test_predict_refuses_what_is_no_picture(zoomgr: Say, tmp_path: Path) -> None:
    """Missing, or a text."""
    (tmp_path / "x.png").write_text("no picture")

    for path in (tmp_path / "x.png", tmp_path / "gone.png"):
        told = zoomgr("predict", "tiny", path)
        assert (told.code, "error[unreadable-image]" in told.err) == (2, True)
