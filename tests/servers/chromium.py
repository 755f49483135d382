"""Debian's headless Chromium, driven by playwright: what a person sees of a page, and what it asks for."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

_PROGRAMS = ("chromium-headless-shell", "chromium")


@contextmanager
def browsing() -> Iterator[Browser]:
    """A browser, until the context ends."""
    program = next(filter(None, map(shutil.which, _PROGRAMS)), None)
    if program is None:
        give_up = pytest.fail if os.environ.get("CI") else pytest.skip
        give_up("Chromium is not installed (apt install chromium-headless-shell)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program)
        yield browser
        browser.close()


@contextmanager
def visiting(browser: Browser) -> Iterator[tuple[Callable[..., Page], list[str]]]:
    """What opens an address in a session of its own, and what pages ask for meanwhile.

    At the end no page may have complained, failed to get what it asked for, or run what is hostile.
    """
    complaints: list[str] = []
    asked: list[str] = []
    opened: list[Page] = []

    def visit(address: str, **settings: Any) -> Page:
        page = browser.new_context(**settings).new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("requestfailed", lambda request: complaints.append(f"{request.url} {request.failure}"))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(address)
        opened.append(page)
        return page

    yield visit, asked
    evil = {page.evaluate("window.evil") for page in opened}
    for page in opened:
        page.context.close()
    assert complaints == []
    assert evil == {None}


@contextmanager
def serving_static(folder: Path) -> Iterator[str]:
    """The address, without a slash at its end, at which the files of a folder are served meanwhile."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder)))
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def colour(page: Page, name: str) -> str:
    """Of the stylesheet, as it is in the page's scheme."""
    text: str = page.evaluate(f"getComputedStyle(document.documentElement).getPropertyValue('{name}').trim()")
    return text


def contrast(one: str, other: str) -> float:
    """Of two colours, by WCAG's definition."""
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: str) -> float:
    """Of `#rrggbb`, by WCAG's definition."""
    parts = (int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5))
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *arguments: object) -> None:
        """Nothing: the browser tells of what fails."""
