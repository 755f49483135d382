"""The page of a load plan in a browser: what went where, found and filtered; a hostile plan is a plan."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page
from servers.chromium import browsing, colour, contrast, visiting

from zoomgr.look.page import plan_page, save_page
from zoomgr.records import Copy, Fresh, LoadPlan, Move, SetAttribute, StemExpand, TensorSpec, Unused

EVIL = (
    "</script></style></title>'\"><img src=http://192.0.2.1/x onerror=window.evil=1>"
    "<script>window.evil=1</script>"
)


def spec(name: str, *shape: int) -> TensorSpec:
    """A tensor."""
    return TensorSpec(name, shape, "float32")


PLAN = LoadPlan(
    source=(spec("a.weight", 8, 3, 3, 3), spec("b.weight", 8), spec(EVIL, 2), spec("old.bias", 5)),
    target=(
        spec("stem.weight", 8, 4, 3, 3),
        spec("norm.weight", 8),
        spec("hostile", 2),
        spec("head.weight", 9, 8),
    ),
    moves=(
        Move("norm.weight", ("b.weight",), Copy()),
        Move("hostile", (EVIL,), Copy()),
        Move("stem.weight", ("a.weight",), StemExpand(4, "zero")),
    ),
    fresh=(Fresh("head.weight", f"head for 9 classes {EVIL}"),),
    unused=(Unused("old.bias", "replaced head"),),
    attributes=(SetAttribute("norm", "eps", 0.001),),
    adapter=EVIL,
    notes=(EVIL,),
)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One for all tests; each page has a session of its own."""
    with browsing() as started:
        yield started


@pytest.fixture
def visit(browser: Browser, tmp_path: Path) -> Iterator[Callable[..., Page]]:
    """Opens the page as a file; it may not complain, run what is hostile, or ask anybody for anything."""
    file = tmp_path / "plan.html"
    save_page(PLAN, file, f"resnet18 {EVIL}")
    with visiting(browser) as (visit, asked):
        yield partial(visit, file.as_uri())
    assert {url for url in asked if not url.startswith("data:")} == {file.as_uri()}


def shown(page: Page) -> list[str]:
    """Networks' and checkpoints' names of the rows that are seen."""
    rows = page.locator("#tensors tbody tr:visible")
    return [" ".join(rows.nth(place).locator("code").all_inner_texts()) for place in range(rows.count())]


def test_every_tensor_is_there_in_the_network_s_order(visit: Callable[..., Page]) -> None:
    """With its kind in words and in colour; what is unused comes last."""
    page = visit()

    assert shown(page) == [
        "stem.weight a.weight",
        "norm.weight b.weight",
        f"hostile {EVIL}",
        "head.weight",
        "old.bias",
    ]
    kinds = page.locator("#tensors tbody tr > :first-child")
    assert kinds.all_inner_texts() == ["~ adapted", "= copied", "= copied", "+ fresh", "- unused"]
    colours = {kind.evaluate("one => getComputedStyle(one).color") for kind in kinds.all()}
    assert len(colours) == 4
    assert page.get_by_role("heading", level=1).inner_text() == f"resnet18 {EVIL}"
    assert page.get_by_text("2 tensors, 10 values, 2.7%").is_visible()
    assert page.get_by_text("norm.eps").is_visible()
    widths = [float(part.get_attribute("width") or 0) for part in page.locator(".bar rect").all()]
    assert widths == pytest.approx([1000 * share / 370 for share in (10, 288, 72)], abs=1e-2)


def test_it_is_searched_and_filtered(visit: Callable[..., Page]) -> None:
    """By all words, of names, kinds and reasons; by kind, and both together."""
    page = visit()
    search = page.get_by_label("Search")

    search.press_sequentially("WEIGHT stem")
    assert shown(page) == ["stem.weight a.weight"]
    assert page.locator("#count").inner_text() == "1 of 5 tensors"
    search.fill("fresh")
    assert shown(page) == ["head.weight"]
    search.fill("weight")
    page.get_by_label("= copied").uncheck()
    assert shown(page) == ["stem.weight a.weight", "head.weight"]
    search.fill("no such tensor")
    assert page.get_by_text("No tensor fits.").is_visible()
    page.get_by_label("= copied").check()
    search.fill("")
    assert page.locator("#count").inner_text() == "5 tensors"


def test_it_is_read_without_javascript(visit: Callable[..., Page]) -> None:
    """A table of all tensors; nothing is there that would not work."""
    page = visit(java_script_enabled=False)

    assert len(shown(page)) == 5
    assert not page.locator("input:visible:enabled").count()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_is_wider_than_a_phone_or_too_pale(visit: Callable[..., Page], scheme: str) -> None:
    """WCAG 2.2: text differs from its ground by 4.5 (1.4.3); at 320 pixels nothing scrolls sideways."""
    page = visit(viewport={"width": 320, "height": 700}, color_scheme=scheme)

    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    for one in ("--ink", "--quiet", "--copied", "--adapted", "--fresh", "--unused"):
        for ground in ("--ground", "--paper", "--wash"):
            assert contrast(colour(page, one), colour(page, ground)) >= 4.5, (one, ground)


def test_equal_plans_give_equal_pages() -> None:
    """So that two can be compared, and one kept under version control."""
    assert plan_page(PLAN, "x") == plan_page(PLAN, "x")
