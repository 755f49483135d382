"""The catalogue page: no text of a card becomes markup, a link or a command; equal entries, equal bytes."""

from __future__ import annotations

import ast
import math
import shlex
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any
from urllib.parse import unquote

import pytest

from zoomgr.airgap.index import IndexEntry
from zoomgr.airgap.page import pages
from zoomgr.airgap.page.names import slug_of
from zoomgr.airgap.page.shown import Shown, size
from zoomgr.records import Artifact, Digest, ModelCard, ModelRef, Preprocess

CARD = ModelCard(
    ModelRef("vgg16", "torchvision", "imagenet1k_v1"),
    arch="torchvision/vgg16",
    schema="caffe",
    artifact=Artifact(("https://h/v.pth",), "vgg16.pth"),
    is_default=True,
    num_classes=2,
    stem=("features.0",),
    head=("classifier.6",),
    preprocess=Preprocess((224, 224), (256,)),
    labels=("cat", "dog"),
    license="mit",
    metrics={"ImageNet-1K acc@1": 71.592, "ImageNet-1K acc@5": 90.382},
    params=138_357_544,
    provenance="https://h/recipe",
    notes="Trained on pictures.",
)
VGG = IndexEntry(
    "torchvision/vgg16@imagenet1k_v1",
    Digest("ab" * 32),
    553_433_881,
    "vgg16.pth",
    "https://h/v.pth",
    Digest("ab" * 4),
    "mit",
    CARD,
)
UNKNOWN = IndexEntry("own/net", Digest("cd" * 32), 9, "net.pth", "", None, "", None)

HOSTILE = (
    "</script><script>alert(1)</script>",
    "\"><img src=x onload='alert(1)'>",
    "' onmouseover=alert(1) x='",
    "javascript:alert(1)//{{ 7 * 7 }}{% raw %}",
    "]]>--><!-- </textarea></title></option></code>",
    "\x00\x1b[201~\r\n\u202egpj.exe\ud800",
)


def poisoned(text: str) -> IndexEntry:
    """An entry with that text wherever its maker may write one."""
    card = replace(
        CARD,
        ref=ModelRef(text),
        arch=text,
        schema=text,
        artifact=Artifact((text,), text),
        stem=(text,),
        head=(text,),
        task=text,
        preprocess=Preprocess((224, 224), (256,), interpolation=text, crop=text, channels=text),
        labels=(text, text),
        license=text,
        metrics={f"1{text}": 71.592, f"2{text}": 90.382},
        provenance=text,
        notes=text,
    )
    return replace(VGG, ref=text, filename=text, url=text, license=text, card=card)


class Markup(HTMLParser):
    """The elements of a page, with the names of their attributes; their values and the text beside them."""

    def __init__(self, content: bytes) -> None:
        super().__init__()
        self.elements: list[tuple[str, tuple[str, ...]]] = []
        self.links: list[str] = []
        self.texts: list[str] = []
        self.feed(content.decode())
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """An element begins."""
        self.elements.append((tag, tuple(name for name, _ in attrs)))
        self.links += [value or "" for name, value in attrs if name in {"href", "src"}]

    def handle_data(self, data: str) -> None:
        """A text."""
        self.texts.append(data)

    def handle_comment(self, data: str) -> None:
        """A comment, of which the pages have none."""
        self.elements.append(("comment", ()))


def rendered(*entries: IndexEntry) -> dict[str, bytes]:
    """The pages by their names."""
    made = list(pages(entries))
    assert len(made) == len(dict(made))
    return dict(made)


def page_of(entry: IndexEntry) -> str:
    """The page of a model."""
    return rendered(entry)[f"models/{slug_of(entry.ref)}.html"].decode()


@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
def test_no_text_of_a_card_becomes_markup(text: str) -> None:
    """Pages of hostile texts have the elements and attributes of pages of plain ones, one by one."""
    plain = "https://h/plain" if text.isprintable() else "https://h/\x07"  # that have commands, or none
    expected, given = rendered(poisoned(plain)), rendered(poisoned(text))

    for (_, one), (name, other) in zip(expected.items(), given.items(), strict=True):
        if name.endswith(".html"):
            assert Markup(one).elements == Markup(other).elements


@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
def test_what_a_text_says_can_be_read(text: str) -> None:
    """It is escaped, not dropped; what would turn or cut the line is written as its escape."""
    content = rendered(poisoned(text))[f"models/{slug_of(text)}.html"]

    said = text.encode("unicode_escape").decode() if not text.isprintable() else text
    assert said in "".join(Markup(content).texts)
    assert not any(c in content.decode() for c in "\x00\x1b\u202e")


def test_links_stay_in_the_mirror() -> None:
    """To pages, blobs and assets that there are; no text of a card is a link, nor a file of another site."""
    made = rendered(VGG, UNKNOWN, *map(poisoned, HOSTILE))

    for name in made:
        if name.endswith(".html"):
            for link in Markup(made[name]).links:
                target = unquote(link.partition("?")[0])
                if target.startswith("#"):
                    continue
                place = target.removeprefix("../") if name.startswith("models/") else target
                assert place in made or place in {entry.place for entry in (VGG, UNKNOWN)}, link


def test_pages_forbid_all_but_their_own_files() -> None:
    """Before anything is loaded; inline scripts and styles are not even written."""
    for name, content in rendered(VGG).items():
        if name.endswith(".html"):
            text = content.decode()
            assert "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'" in text
            assert text.index("Content-Security-Policy") < text.index("<script")
            assert "<style" not in text
            assert " style=" not in text


def test_equal_entries_give_equal_bytes() -> None:
    """In whatever order entries and metrics come; the start page comes after all that it links to."""
    turned = replace(CARD, metrics=dict(reversed(list(CARD.metrics.items()))))
    assert turned == CARD

    made = list(pages([VGG, UNKNOWN]))

    assert made == list(pages(iter([UNKNOWN, replace(VGG, card=turned)])))
    assert made[-1][0] == "index.html"


def test_a_page_tells_all_that_the_card_does() -> None:
    """Also the whole digest, and the text of the licence."""
    text = page_of(VGG)

    for said in (
        "ab" * 32,
        "sha256:abababab (8 of 64 digits)",
        "138,357,544 (553 MB as float32, 277 MB as float16)",
        "553,433,881 bytes",
        "resized to 256, bilinear, cut from the middle, RGB",
        "0.485, 0.456, 0.406",
        "71.592",
        "translated by the adapter caffe",
        "https://h/recipe",
        "Trained on pictures.",
        "<li>dog</li>",
        "Permission is hereby granted",
        "zoomgr pull torchvision/vgg16@imagenet1k_v1",
        'href="../v1/blobs/sha256/ab/' + "ab" * 32 + '"',
    ):
        assert said in text, said


def test_a_reference_without_a_card_has_a_page() -> None:
    """Of what the mirror itself knows."""
    text = page_of(UNKNOWN)

    assert "cd" * 32 in text
    assert "nobody says what they may be used for" in text


def test_secrets_of_a_url_are_not_shown() -> None:
    """As everywhere in zoomgr."""
    entry = replace(VGG, url="https://me:secret@h/v.pth?token=secret", card=None)

    assert "secret" not in page_of(entry)


def test_a_mirror_without_models_has_a_page() -> None:
    """It says so."""
    assert b"0 sets of weights" in rendered()["index.html"]


NAMES = (
    "torchvision/vgg16@imagenet1k_v1",
    "torchvision/vgg16",
    "torchvision/vgg16_imagenet1k_v1",
    "Torchvision/vgg16",
    "vgg16",
    "a/b@c",
    "a/b/c",
    "a~b~c",
    "../../etc/passwd",
    "/etc/passwd",
    "..",
    ".",
    "~",
    "con",
    "https://h/x.pth",
    "https://h/X.pth",
    "https://h/x.pth#sha256=ab",
    "./weights/*.pth",
    "a/" + "b" * 5000,
    "a/" + "b" * 5001,
    "é",
    "e\u0301",
    "\ud800",
    "\x00",
    "<b>",
    " ",
    "\n",
)


def test_no_two_references_share_a_page() -> None:
    """Nor where capitals do not count; none leaves its folder, and any file system has it."""
    slugs = [slug_of(name) for name in NAMES]

    assert len(NAMES) == len({slug.lower() for slug in slugs})
    for slug in slugs:
        assert set(slug) <= set("abcdefghijklmnopqrstuvwxyz0123456789_-.~")
        assert not slug.startswith(".")
        assert len(slug) <= 150
    assert slugs[0] == "torchvision~vgg16~imagenet1k_v1"


@pytest.mark.parametrize("ref", ["a b/$(x)", "x';rm -rf /'", "-x/y", "--cache=/x", 'a"b\\', "😀/`x`"])
def test_a_command_to_copy_is_one_argument(ref: str) -> None:
    """Whatever the name is, the shell and Python take it as it stands."""
    shown = Shown.of(replace(UNKNOWN, ref=ref))

    words = shlex.split(shown.pull)

    assert [word for word in words if word != "--"] == ["zoomgr", "pull", ref]
    assert ("--" in words) == ref.startswith("-")
    assert ast.literal_eval(shown.load.removeprefix("zoomgr.load")) == ref


@pytest.mark.parametrize("ref", ["a\x1b[201~\nrm", "a\u202eb", "a\nb", "\ud800"], ids=ascii)
def test_a_name_that_commands_the_terminal_is_not_offered_for_it(ref: str) -> None:
    """Pasted, it would end the paste and begin a command."""
    shown = Shown.of(replace(UNKNOWN, ref=ref))

    assert (shown.pull, shown.load) == ("", "")
    assert "do not belong on a command line" in page_of(shown.entry)


@pytest.mark.parametrize(
    "change",
    [
        {"params": 10**4000},
        {"params": -1},
        {"params": 0},
        {"metrics": {"x": math.nan, "y": math.inf, "__proto__": 1.0, "": 2.0}},
        {"preprocess": Preprocess((-1, 0), (), (math.nan,), ())},
        {"num_classes": -5},
        {"labels": ("",)},
        {"ref": ModelRef("9" * 10_000)},
    ],
    ids=lambda change: str(change)[:40],
)
def test_numbers_that_are_none_break_no_page(change: dict[str, Any]) -> None:
    """One card must not cost a site its catalogue."""
    card = replace(CARD, **change)
    entries = replace(VGG, ref=str(card.ref), card=card, size_bytes=10**4000), UNKNOWN

    made = rendered(*entries)

    assert b"NaN" not in made["index.html"]
    assert b"Infinity" not in made["index.html"]


@pytest.mark.parametrize(
    ("arch", "family"),
    [
        ("torchvision/vgg16_bn", "vgg"),
        ("timm/resnet50d", "resnet"),
        ("timm/resnet26t", "resnet"),
        ("timm/vit_base_patch16_224", "vit"),
        ("timm/tf_efficientnet_lite0", "efficientnet"),
        ("timm/mobilenetv3_large_100", "mobilenet"),
        ("timm/cs3darknet_l", "cs3darknet"),
        ("torchvision/quantized_resnet50", "resnet"),
        ("torchvision/wide_resnet50_2", "resnet"),
        ("cadene/se_resnet101", "se_resnet"),
        ("timm/nf_regnet_b1", "nf_regnet"),
        ("torchvision/s3d", "s3d"),
        ("", ""),
    ],
)
def test_a_family_is_the_name_without_its_size(arch: str, family: str) -> None:
    """What people filter by."""
    assert family == Shown.of(replace(VGG, card=replace(CARD, arch=arch))).family


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1000, "1.0 kB"),
        (999_999, "1.0 MB"),
        (21_400_000, "21.4 MB"),
        (553_433_881, "553 MB"),
        (1_234_567_890, "1.23 GB"),
        (906 * 10**9, "906 GB"),
    ],
)
def test_sizes_are_decimal(count: int, text: str) -> None:
    """As disks, and "fits in N MB", count."""
    assert text == size(count)


def test_models_are_in_the_order_of_their_numbers() -> None:
    """resnet18, resnet50, resnet101, from whatever source they come."""

    def entries() -> Iterator[IndexEntry]:
        for ref in ("timm/resnet101", "timm/resnet18", "a/resnet50", "timm/resnet", "timm/9", "timm/Resnet2"):
            yield replace(UNKNOWN, ref=ref)

    assert [model.name.name for model in sorted(map(Shown.of, entries()), key=lambda model: model.order)] == [
        "9",
        "resnet",
        "Resnet2",
        "resnet18",
        "resnet50",
        "resnet101",
    ]
