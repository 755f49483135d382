"""zoo.lock: what is written is read, and nothing else is."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from zoomgr.errors import CannotLockError, FileUnwritableError, InvalidLockError, LockDiffersError
from zoomgr.lockfile import Lock, LockEntry
from zoomgr.lockfile.reading import locked_refs, parse_lock, read_lock
from zoomgr.lockfile.writing import dump_lock, write_lock
from zoomgr.records import Artifact, Digest, ModelCard, ModelRef, Preprocess

WORDS = st.from_regex(r"[a-z0-9_][a-z0-9_.-]{0,5}", fullmatch=True)
TEXT = st.text(max_size=6)
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
COUNTS = st.integers(0, 2**40)
REFS = st.builds(ModelRef, WORDS, WORDS.map(lambda text: text.replace(".", "_")), WORDS).filter(
    lambda ref: ModelRef.parse(str(ref)) == ref
) | WORDS.map(lambda text: ModelRef(f"https://host.example/{text}?id=1", scheme="https"))
FILES = st.builds(
    Artifact,
    urls=st.lists(TEXT, min_size=1, max_size=3).map(tuple),
    filename=TEXT.filter(lambda text: text not in {"", ".", ".."} and not {"/", "\\"} & {*text}),
    size_bytes=COUNTS,
    digest=st.text("0123456789abcdef", min_size=64, max_size=64).map(Digest),
)
PLAIN: st.SearchStrategy[Any] = st.recursive(
    st.booleans() | COUNTS | NUMBERS | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
)
CARDS = st.builds(
    ModelCard,
    ref=REFS,
    arch=TEXT,
    schema=TEXT,
    artifact=FILES,
    is_default=st.booleans(),
    num_classes=st.none() | COUNTS,
    in_ch=COUNTS,
    stem=st.lists(TEXT, max_size=2).map(tuple),
    head=st.lists(TEXT, max_size=2).map(tuple),
    task=TEXT,
    preprocess=st.none()
    | st.builds(Preprocess, size=st.tuples(COUNTS, COUNTS), mean=st.lists(NUMBERS, max_size=4).map(tuple)),
    labels=TEXT | st.lists(TEXT, max_size=3).map(tuple),
    license=TEXT,
    metrics=st.dictionaries(TEXT, NUMBERS, max_size=3),
    params=st.none() | COUNTS,
    provenance=TEXT,
    notes=TEXT,
    build_args=st.dictionaries(TEXT, PLAIN, max_size=3),
)


def entry_of(card: ModelCard, dist: str, version: str) -> LockEntry:
    """An entry of a card, called as its reference is."""
    provider = (dist, version) if card.schema else ("", "")
    return LockEntry((str(card.ref),), card, *provider)


ENTRIES = st.lists(st.builds(entry_of, CARDS, TEXT, TEXT), max_size=3).map(
    lambda entries: {entry.ref: entry for entry in entries}
)
LOCKS = st.builds(Lock, ENTRIES, st.lists(TEXT, max_size=2).map(sorted).map(tuple))

CARD = ModelCard(
    ModelRef("vgg16", source="torchvision", tag="imagenet1k_v1"),
    arch="torchvision/vgg16",
    schema="acme-keys",
    artifact=Artifact(("https://host.example/vgg16.pth",), "vgg16.pth", 12, Digest("ab" * 32)),
    num_classes=1000,
    preprocess=Preprocess(size=(224, 224), resize=(256,)),
    license="BSD-3-Clause",
    metrics={"ImageNet-1K acc@1": 71.592},
)
LOCK = Lock(
    {str(CARD.ref): LockEntry((str(CARD.ref), "vgg16"), CARD, "acme-zoo", "1.0")}, ("src", "train.py")
)
TEXT_OF_IT = f"""\
# The weights that this project uses. `zoomgr lock` writes this file, `zoomgr sync` brings what it names.
# Keep it with the code (docs/lock.md).
version = 1
scripts = ["src", "train.py"]

[models."torchvision/vgg16@imagenet1k_v1"]
names = ["torchvision/vgg16@imagenet1k_v1", "vgg16"]
source = "torchvision"
filename = "vgg16.pth"
urls = ["https://host.example/vgg16.pth"]
size_bytes = 12
sha256 = "{"ab" * 32}"
license = "BSD-3-Clause"

[models."torchvision/vgg16@imagenet1k_v1".adapter]
name = "acme-keys"
distribution = "acme-zoo"
version = "1.0"

[models."torchvision/vgg16@imagenet1k_v1".card]
arch = "torchvision/vgg16"
num_classes = 1000

[models."torchvision/vgg16@imagenet1k_v1".card.preprocess]
resize = [256]
size = [224, 224]

[models."torchvision/vgg16@imagenet1k_v1".card.metrics]
"ImageNet-1K acc@1" = 71.592
"""


@given(LOCKS)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_lock_is_read_as_it_was_written(lock: Lock) -> None:
    """Whatever a card says; and written again it is the same text."""
    text = dump_lock(lock)

    again = parse_lock(text, "zoo.lock")

    assert again == lock
    assert dump_lock(again) == text


def test_it_is_text_that_people_can_read_and_compare() -> None:
    """A table for each set of weights; to the letter, for other tools may read it too."""
    assert dump_lock(LOCK) == TEXT_OF_IT
    assert parse_lock(TEXT_OF_IT, "zoo.lock") == LOCK


def test_the_order_in_which_weights_were_named_does_not_show() -> None:
    """Two people who lock the same get the same file."""
    other = replace(CARD, ref=ModelRef("alexnet", source="torchvision", tag="v1"))
    entries = [LockEntry((str(card.ref),), card) for card in (CARD, other)]
    forth, back = ({entry.ref: entry for entry in some} for some in (entries, entries[::-1]))

    assert dump_lock(Lock(forth)) == dump_lock(Lock(back))


# -- strict --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "line", "problem"),
    [
        ("version = 1\n", "version = 2\n", 3, "it is of version 2, and this zoomgr reads 1"),
        ("version = 1\n", "", 0, "it says no version; this zoomgr reads 1"),
        ("scripts =", "script =", 4, "a lock has no key 'script'"),
        ('["src", "train.py"]', '"train.py"', 4, "scripts: must be a list of strings"),
        ("urls", "url", 10, "has no key 'url'"),
        ("size_bytes = 12", "size_bytes = -1", 11, "size_bytes: must be 0 or more"),
        ("size_bytes = 12", 'size_bytes = "12"', 11, "size_bytes has the wrong type, str"),
        ("size_bytes = 12", "size_bytes = true", 11, "size_bytes has the wrong type, bool"),
        ("size_bytes = 12\n", "", 6, "lacks size_bytes"),
        ("ab" * 32, "ab" * 5, 12, "sha256: a lock needs all 64 digits"),
        ("ab" * 32, "xy" * 32, 12, "is not a sha256"),
        (f'"{"ab" * 32}"', f'"md5:{"ab" * 16}"', 12, "'md5' is not supported, only sha256"),
        ('source = "torchvision"', 'source = "timm"', 8, "is of the source 'torchvision'"),
        ('"vgg16.pth"', '"../vgg16.pth"', 9, "is no name of a file"),
        ('["https://host.example/vgg16.pth"]', "[]", 10, "urls: there must be one at least"),
        ('"vgg16"]', '"VGG16@A"]', 7, "names: VGG16@A is written VGG16@a"),
        ('"vgg16"]', '"a b"]', 7, "names: 'a b' is not a reference"),
        ('name = "acme-keys"', 'nom = "acme-keys"', 16, "has no key 'nom'"),
        ('name = "acme-keys"\n', "", 6, "adapter.name must be a text"),
        ('name = "acme-keys"', 'name = ""', 6, "adapter.name is empty"),
        ("num_classes = 1000", 'num_classes = "1000"', 6, "num_classes has the wrong type, str"),
        ("num_classes = 1000", "classes = 1000", 6, "its card: a card has no key 'classes'"),
        ("num_classes = 1000", "num_classes = 1979-05-27", 6, "its card: "),
        ("num_classes = 1000", 'license = "MIT"', 13, "a card in a lock has no key 'license'"),
        ("71.592", "nan", 6, "its card: "),
        ("num_classes = 1000", "num_classes = ", 22, "no TOML"),
        ("@imagenet1k_v1", "@IMAGENET1K_V1", 6, "a lock names weights as SOURCE/NAME@TAG, or by a URL"),
        ("torchvision/vgg16@imagenet1k_v1", "./vgg16.pth", 6, "a lock names weights as SOURCE/NAME@TAG"),
        (
            'models."torchvision/vgg16@imagenet1k_v1"',
            "models.vgg16",
            6,
            "a lock names weights as SOURCE/NAME",
        ),
    ],
)
def test_what_means_nothing_is_an_error_with_its_line(old: str, new: str, line: int, problem: str) -> None:
    """Left out, it would be a promise that nobody keeps."""
    assert old in TEXT_OF_IT

    with pytest.raises(InvalidLockError, match=re.escape(problem)) as raised:
        parse_lock(TEXT_OF_IT.replace(old, new), "zoo.lock")

    assert (raised.value.path, raised.value.line) == ("zoo.lock", line)


@pytest.mark.parametrize(
    "text", ["version = 1\nmodels = 1\n", 'version = 1\n[models]\n"a/b@c" = 1\n', "x" * 9, "[" * 5000]
)
def test_a_file_that_is_something_else_is_an_error(text: str) -> None:
    """One clear one."""
    with pytest.raises(InvalidLockError):
        parse_lock(text, "zoo.lock")


def test_a_name_that_stands_for_two_entries_is_an_error() -> None:
    """A merge of two branches makes such files."""
    second = TEXT_OF_IT[TEXT_OF_IT.index("[models") :].replace("@imagenet1k_v1", "@imagenet1k_v2")

    with pytest.raises(InvalidLockError, match="vgg16 stands for torchvision/vgg16@imagenet1k_v1 and for"):
        parse_lock(TEXT_OF_IT + second, "zoo.lock")


def test_a_misspelt_key_is_answered_by_the_right_one() -> None:
    """As in registry.toml."""
    with pytest.raises(InvalidLockError, match="did you mean sha256"):
        parse_lock(TEXT_OF_IT.replace("sha256 =", "sha265 ="), "zoo.lock")


@pytest.mark.parametrize("weak", [None, Digest("ab" * 4)])
def test_an_entry_without_a_whole_digest_cannot_be_made(weak: Digest | None) -> None:
    """It would prove nothing."""
    artifact = replace(CARD.artifact or Artifact((), ""), digest=weak)

    with pytest.raises(ValueError, match="whole digest"):
        LockEntry(("vgg16",), replace(CARD, artifact=artifact))


def test_a_card_that_toml_has_no_words_for_is_an_error() -> None:
    """TOML knows no None."""
    card = replace(CARD, build_args={"depth": None})

    with pytest.raises(CannotLockError, match="vgg16@imagenet1k_v1 cannot be locked"):
        dump_lock(Lock({str(card.ref): LockEntry(("vgg16",), card)}))


# -- asking it -----------------------------------------------------------------------------------------------


def test_a_name_and_a_reference_mean_the_entry() -> None:
    """As it was written, and as the cache calls it; and it is the lock that promises its digest."""
    lock = parse_lock(TEXT_OF_IT, "sub/zoo.lock")
    entry = lock.find("vgg16")

    assert entry is not None
    assert entry == lock.find("torchvision/vgg16@imagenet1k_v1")
    assert lock.find("vgg19") is None
    assert lock.card_of(entry) == CARD.with_digest(Digest("ab" * 32), "zoo.lock:6")


def test_another_file_is_an_error_that_names_the_line() -> None:
    """And one of the same beginning, or whose digest nobody knows, is none."""
    lock = parse_lock(TEXT_OF_IT, "sub/zoo.lock")
    ref = str(CARD.ref)
    for fine in (Digest("ab" * 32), Digest("ab" * 4), None):
        lock.check(ref, fine, "the cache")
    lock.check("timm/vgg16", Digest("cd" * 32), "the cache")

    with pytest.raises(LockDiffersError) as raised:
        lock.check(ref, Digest("cd" * 32), "the cache")

    assert raised.value.where == "zoo.lock:6"
    assert "cd" * 32 in str(raised.value)
    assert "ab" * 32 in str(raised.value)


# -- files ---------------------------------------------------------------------------------------------------


def test_a_lock_is_written_only_when_it_changes(tmp_path: Path) -> None:
    """So that nothing is built anew for it; and it is whole, or not there."""
    path = tmp_path / "zoo.lock"

    assert write_lock(LOCK, path)
    before = path.stat()
    assert not write_lock(read_lock(path), path)
    assert path.stat() == before
    assert [path] == list(tmp_path.iterdir())
    assert locked_refs(path) == {str(CARD.ref): Digest("ab" * 32)}


def test_a_link_to_a_lock_stays_a_link(tmp_path: Path) -> None:
    """What it leads to is written."""
    (tmp_path / "link").symlink_to(tmp_path / "zoo.lock")

    write_lock(LOCK, tmp_path / "link")

    assert (tmp_path / "link").is_symlink()
    assert read_lock(tmp_path / "zoo.lock") == LOCK


def test_a_lock_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    """Nothing is left behind."""
    with pytest.raises(FileUnwritableError):
        write_lock(LOCK, tmp_path / "missing" / "zoo.lock")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [None, b"\xff\xfe"])
def test_a_lock_that_cannot_be_read_is_an_error(tmp_path: Path, content: bytes | None) -> None:
    """It is no empty lock."""
    if content:
        (tmp_path / "zoo.lock").write_bytes(content)

    with pytest.raises(InvalidLockError):
        read_lock(tmp_path / "zoo.lock")
