"""Telling weights from the web page that a server or a proxy gives in their place."""

from __future__ import annotations

from collections.abc import Iterator

_HEAD_BYTES = 512
_WEB_PAGES = frozenset({"text/html", "application/xhtml+xml"})
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def is_web_page(head: bytes, content_type: str) -> bool:
    """Whether a body is HTML: by what the server calls it, or by how it begins."""
    start = head.removeprefix(_BYTE_ORDER_MARK).lstrip().lower()
    return content_type in _WEB_PAGES or start.startswith((b"<!doctype html", b"<html"))


def head_of(chunks: Iterator[bytes]) -> bytes:
    """The first chunks joined, until there is enough to recognise a web page by."""
    head = b""
    for chunk in chunks:
        head += chunk
        if len(head) >= _HEAD_BYTES:
            break
    return head
