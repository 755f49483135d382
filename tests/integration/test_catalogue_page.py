"""The catalogue page in a browser: 1,900 models, one of them hostile, found, filtered, sorted and copied."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from hashlib import sha256
from typing import Any
from urllib.parse import unquote

import pytest
from playwright.sync_api import Browser, Page
from servers.chromium import browsing, colour, contrast, serving_static, visiting

from zoomgr.airgap.index import IndexEntry
from zoomgr.airgap.page import pages
from zoomgr.records import Digest, ModelCard, ModelRef
from zoomgr.settings import Settings
from zoomgr.zoo import Zoo

COUNT, MANY = 300, 1900
HERE, LARGE = "zoo%20&%20co/", "large/"  # a shell would read the first one's name
EVIL = (
    "</script></textarea>'\"><img src=http://192.0.2.1/x onerror=window.evil=1><script>window.evil=1</script>"
)
HOSTILE = IndexEntry(
    f"./{EVIL}",
    Digest("ef" * 32),
    1,
    EVIL,
    f"javascript:{EVIL}",
    None,
    EVIL,
    ModelCard(ModelRef(f"./{EVIL}"), arch=f"x/{EVIL}", task=EVIL, notes=EVIL, metrics={EVIL: 1.0}),
)

NOT_PUBLISHED = "\N{EN DASH}"
TIMM = "timm/vgg16@tv_in1k"
VGG = "models/torchvision~vgg16~imagenet1k_v1.html"
COMMAND = "zoomgr pull torchvision/vgg16@imagenet1k_v1"


def entry_of(card: ModelCard) -> IndexEntry:
    """As if it had been fetched; its digest is of its name, and so is its size where none is published."""
    assert card.artifact
    ref, digest = str(card.ref), Digest(sha256(str(card.ref).encode()).hexdigest())
    size_bytes = card.artifact.size_bytes or int(digest.hex[:7], 16)
    url = card.artifact.urls[0]
    return IndexEntry(ref, digest, size_bytes, card.artifact.filename, url, None, card.license, card)


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> list[IndexEntry]:
    """Of the real catalogues, torchvision's whole; and the hostile one first."""
    cards = Zoo(Settings(tmp_path_factory.mktemp("cache"))).available()
    fetched = sorted(
        (card for card in cards if card.artifact), key=lambda card: card.ref.source != "torchvision"
    )
    return [HOSTILE, *map(entry_of, fetched[: MANY - 1])]


@pytest.fixture(scope="module")
def entries(many: list[IndexEntry]) -> list[IndexEntry]:
    """As many of them as every test can wait for."""
    return many[:COUNT]


@pytest.fixture(scope="module")
def address(
    entries: list[IndexEntry], many: list[IndexEntry], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """Of a server that has a mirror with some models, and one with many."""
    folder = tmp_path_factory.mktemp("sites")
    for site, held in ((HERE, entries), (LARGE, many)):
        for name, content in pages(held):
            path = folder / unquote(site) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    with serving_static(folder) as started:
        yield f"{started}/"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One for all tests; each test has a session of its own."""
    with browsing() as started:
        yield started


@pytest.fixture
def visit(browser: Browser, address: str) -> Iterator[Callable[..., Page]]:
    """Opens a page of a mirror; no page may complain, run what is hostile, or ask anybody but the mirror."""
    with visiting(browser) as (visit, asked):

        def open_page(name: str = "index.html", site: str = HERE, **settings: Any) -> Page:
            return visit(address + site + name, **settings)

        yield open_page
    assert [url for url in asked if not url.startswith(address)] == []


def shown(page: Page) -> list[str]:
    """References of the rows, as they are read."""
    return page.locator("#models tbody th a").all_inner_texts()


def count(page: Page) -> str:
    """What the page says of how many there are."""
    return page.locator("#count").inner_text()


def cells(page: Page, place: int) -> list[str]:
    """A column of the rows."""
    return page.locator(f"#models tbody tr > :nth-child({place})").all_inner_texts()


def test_a_search_shows_what_has_all_words(visit: Callable[..., Page]) -> None:
    """As one types, in any case and order; what begins with the first word comes first."""
    page = visit(site=LARGE)
    assert count(page) == "1,900 models"

    page.get_by_label("Search").press_sequentially("VGG16")

    names = shown(page)
    assert count(page) == f"{len(names)} of 1,900 models"
    assert names[0] == TIMM
    assert names[-1] == "torchvision/ssd300_vgg16@coco_v1"
    assert all("vgg16" in name for name in names)

    page.get_by_label("Search").fill("detection vgg16")
    assert shown(page) == ["torchvision/ssd300_vgg16@coco_v1"]

    page.get_by_label("Search").fill("no such model")
    assert page.get_by_text("No model fits.").is_visible()
    page.get_by_role("button", name="Reset the filters").click()
    assert count(page) == "1,900 models"


@pytest.mark.parametrize(
    ("field", "value", "fits"),
    [
        ("family", "vgg", lambda entry: re.search(r"/vgg\d", entry.ref)),
        ("licence", "apache-2.0", lambda entry: entry.license.lower() == "apache-2.0"),
        ("size", "25", lambda entry: entry.size_bytes <= 25e6),
        ("params", "5.5", lambda entry: entry.card.params and entry.card.params <= 5.5e6),
        ("accuracy", "84.5", lambda entry: entry.card.metrics.get("ImageNet-1K acc@1", 0) >= 84.5),
    ],
)
def test_a_filter_keeps_what_fits(
    visit: Callable[..., Page],
    entries: list[IndexEntry],
    field: str,
    value: str,
    fits: Callable[[IndexEntry], Any],
) -> None:
    """By family, licence, size of the file, parameters and accuracy; models that do not say are counted."""
    expected = {entry.ref for entry in entries if fits(entry)}
    assert 0 < len(expected) < COUNT
    page = visit()

    control = page.locator(f"[name={field}]")
    (control.select_option if field in {"family", "licence"} else control.fill)(value)

    assert count(page).startswith(f"{len(expected):,} of 300 models")
    assert ("do not say and are left out" in count(page)) == (field in {"params", "accuracy"})
    assert set(shown(page)) <= expected
    page.get_by_role("button", name="Reset", exact=True).click()
    assert count(page) == "300 models"


def test_an_error_is_filtered_from_above(visit: Callable[..., Page]) -> None:
    """Of an endpoint error, less is better."""
    page = visit()

    page.get_by_label("Accuracy").select_option("Kitti-Train fl_all")
    page.get_by_label("of at most").fill("20")

    assert 0 < len(shown(page)) < 10
    assert all(float(text) <= 20 for text in cells(page, 6))


def test_filters_work_together_and_stay_in_the_address(visit: Callable[..., Page], address: str) -> None:
    """So that a list can be sent to others, and is there again on the way back from a model."""
    page = visit()
    page.get_by_label("Family").select_option("resnet")
    page.get_by_label("File fits in (MB)").fill("50")
    page.get_by_label("Search").fill("torchvision quantized")
    page.get_by_label("Sort by").select_option("-size")
    names = shown(page)
    assert len(names) > 1
    page.wait_for_url("**/index.html#*")
    kept = page.url

    page.get_by_role("link", name=names[0]).click()
    page.wait_for_url("**/models/*")
    page.go_back()

    assert (page.url, shown(page)) == (kept, names)
    assert shown(visit(kept.removeprefix(address + HERE))) == names


@pytest.mark.parametrize(
    ("title", "place", "value"),
    [
        ("Parameters", 4, lambda text: float(text.replace(",", "").removesuffix(" M"))),
        ("Family", 2, lambda text: text),
        ("Accuracy", 6, lambda text: -float(text)),
    ],
)
def test_a_column_sorts_both_ways(
    visit: Callable[..., Page], title: str, place: int, value: Callable[[str], Any]
) -> None:
    """By mouse or keyboard, told to screen readers; the best accuracy first; what has no value comes last."""
    page = visit(site=LARGE)
    page.get_by_label("Search").fill("vgg classification")
    head = page.locator("#models thead th").nth(place - 1)

    page.get_by_role("button", name=title, exact=True).press("Enter")
    first = [value(text) for text in cells(page, place) if text != NOT_PUBLISHED]
    way = head.get_attribute("aria-sort")
    page.get_by_role("button", name=title, exact=True).click()
    second = [value(text) for text in cells(page, place) if text != NOT_PUBLISHED]

    assert len(set(first)) > 1
    assert first == sorted(first)
    assert second == sorted(first, reverse=True)
    assert {way, head.get_attribute("aria-sort")} == {"ascending", "descending"}
    texts = cells(page, place)
    assert texts == sorted(texts, key=lambda text: text == NOT_PUBLISHED)
    assert (NOT_PUBLISHED in texts) == (title != "Family")


def test_rows_come_as_one_scrolls(visit: Callable[..., Page]) -> None:
    """A page of 1,900 rows is slow to lay out; the button is for the keyboard."""
    page = visit()
    at_first = len(shown(page))

    page.get_by_role("button", name="Show more").press("Enter")

    assert at_first < len(shown(page)) < COUNT


def test_a_line_is_copied(visit: Callable[..., Page], address: str) -> None:
    """Whole, with the address of the site as a shell takes it."""
    page = visit(VGG, permissions=["clipboard-read", "clipboard-write"])

    page.get_by_role("button", name="Copy: From this site").click()
    page.wait_for_function("document.querySelector('#said').textContent")

    assert page.locator("#said").inner_text() == "Copied"
    assert clipboard(page) == f"ZOOMGR_MIRROR='{address}{HERE.removesuffix('/')}' {COMMAND}"
    page.get_by_role("button", name="Copy: sha256").click()
    assert clipboard(page) == sha256(b"torchvision/vgg16@imagenet1k_v1").hexdigest()


def clipboard(page: Page) -> str:
    """What it holds."""
    text: str = page.evaluate("navigator.clipboard.readText()")
    return text


@pytest.mark.parametrize("works", [True, False])
def test_a_line_is_copied_without_https(visit: Callable[..., Page], works: bool) -> None:
    """There is no clipboard for pages of plain http: the older way copies, or the line is selected."""
    page = visit(VGG)
    page.evaluate(
        f"""Object.defineProperty(navigator, "clipboard", {{ value: undefined }});
            document.execCommand = () => {str(works).lower()}"""
    )

    page.get_by_role("button", name="Copy: Fetch").click()

    assert page.locator("#said").inner_text() == ("Copied" if works else "Selected: press Ctrl+C")
    assert page.evaluate("getSelection().toString()") == COMMAND


def test_a_model_has_a_page(visit: Callable[..., Page]) -> None:
    """With its card, its digest, its licence and the lines to copy; reached from the list."""
    page = visit(site=LARGE)
    page.get_by_label("Search").fill(TIMM)

    page.get_by_role("link", name=TIMM).click()

    page.wait_for_url("**/models/*")
    assert page.get_by_role("heading", level=1).inner_text() == TIMM
    said = page.locator("main").inner_text()
    for text in (
        "224\N{MULTIPLICATION SIGN}224",
        "imagenet-1k",
        sha256(TIMM.encode()).hexdigest(),
        "bsd-3-clause",
    ):
        assert text in said
    assert page.locator("code").first.inner_text() == f'zoomgr.load("{TIMM}")'
    page.get_by_text("Read the whole text").click()
    assert "Neither the name" in page.locator("pre.text").inner_text()
    page.get_by_role("link", name="All models").click()
    page.wait_for_url("**/index.html")
    assert count(page) == "1,900 models"


def test_a_hostile_model_is_a_model(visit: Callable[..., Page]) -> None:
    """It is found, filtered and read, and runs nothing (`visit` asks)."""
    page = visit()
    page.get_by_label("Licence").select_option(EVIL)
    page.get_by_label("Accuracy").select_option(EVIL)
    assert shown(page) == [HOSTILE.ref]

    page.locator("#models tbody a").click()

    page.wait_for_url("**/models/*")
    assert page.get_by_role("heading", level=1).inner_text() == HOSTILE.ref
    assert page.evaluate("window.evil") is None


def test_it_is_read_without_javascript(visit: Callable[..., Page]) -> None:
    """A table of all models with links; nothing is there that would not work."""
    page = visit(java_script_enabled=False)

    assert page.locator("#models tbody tr").count() == COUNT
    assert not page.locator("button:visible, input:visible, select:visible").count()
    assert page.get_by_text("ZOOMGR_MIRROR=https://this-site.example").is_visible()
    page.get_by_role("link", name="torchvision/vgg16@imagenet1k_v1").click()
    page.wait_for_url("**/models/*")
    assert page.get_by_text(f"ZOOMGR_MIRROR=https://this-site.example {COMMAND}").is_visible()


@pytest.mark.parametrize("name", ["index.html", VGG])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_is_wider_than_a_phone_or_too_pale(
    visit: Callable[..., Page], name: str, scheme: str
) -> None:
    """WCAG 2.2: text differs from its ground by 4.5 (1.4.3); at 320 pixels nothing scrolls sideways."""
    page = visit(name, viewport={"width": 320, "height": 700}, color_scheme=scheme)

    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    for one in ("--ink", "--quiet", "--accent"):
        for ground in ("--ground", "--paper", "--wash"):
            assert contrast(colour(page, one), colour(page, ground)) >= 4.5, (one, ground)
    assert contrast(colour(page, "--accent-ink"), colour(page, "--accent")) >= 4.5


def test_every_control_has_a_name(visit: Callable[..., Page]) -> None:
    """For screen readers; and the tab key reaches the content first."""
    page = visit()

    tree = page.locator("body").aria_snapshot()

    for role in ("textbox", "searchbox", "combobox", "button", "spinbutton", "link"):
        assert f"- {role}\n" not in tree
        assert f"- {role}:" not in tree
    page.keyboard.press("Tab")
    assert page.locator(":focus").inner_text() == "Skip to the content"


def test_who_wants_no_motion_gets_none(visit: Callable[..., Page]) -> None:
    """As the system is set."""
    page = visit(reduced_motion="reduce")

    assert page.evaluate("getComputedStyle(document.querySelector('button')).transitionDuration") == "0s"
