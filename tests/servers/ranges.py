"""A file on a server that gives parts of it, as a web server does; tests bend its answers."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace

from servers.faulty import Answer

_RANGE = re.compile(r"bytes=(\d+)-(\d*)")

Asked = Mapping[str, str]
"""Headers of a request, names in lower case."""


def start_of(asked: Asked) -> int:
    """The offset that a request asks for; 0 when it asks for the whole file."""
    found = _RANGE.fullmatch(asked.get("range", ""))
    return int(found[1]) if found else 0


def file_of(content: bytes, etag: str = '"v1"') -> Callable[[Asked], Answer]:
    """Answers with the part that is asked for; with all of it when If-Range names another version."""

    def answer(asked: Asked) -> Answer:
        headers = {"Accept-Ranges": "bytes", **({"ETag": etag} if etag else {})}
        found = _RANGE.fullmatch(asked.get("range", ""))
        if not found or asked.get("if-range", etag) != etag:
            return Answer(content, headers=headers)
        start, stop = int(found[1]), int(found[2]) + 1 if found[2] else len(content)
        if start >= len(content):
            return Answer(status=416, headers={"Content-Range": f"bytes */{len(content)}"})
        headers["Content-Range"] = f"bytes {start}-{stop - 1}/{len(content)}"
        return Answer(content[start:stop], 206, headers)

    return answer


def cut(answer: Answer, count: int) -> Answer:
    """The same answer, but the connection ends after so many bytes."""
    return replace(answer, body=answer.body[:count], announced_bytes=len(answer.body))
