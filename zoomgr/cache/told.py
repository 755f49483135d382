"""What a mirror tells beside files: which file a reference means, and cards of weights of one's own.

Small records, laid out as in a cache. Of the first kind nothing but the digest is used, and that must be what
was promised.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import cast

from zoomgr.cache.mirrors import below
from zoomgr.cache.refs import blob_in, cards_in, ref_in
from zoomgr.cards import read_card
from zoomgr.errors import HttpStatusError, NotFoundError, redacted
from zoomgr.hookspecs import Body, Transport
from zoomgr.records import Artifact, Digest, ModelCard

_MOST_BYTES = 1 << 20  # a card with 21,000 labels has 600 KB
_ABSENT = frozenset({404, 410})


class Teller:
    """Asks mirrors, once and without patience: whatever is asked of them next has that.

    Args:
        transports: by URL scheme.
        offline: those that need the network are not asked.
    """

    def __init__(self, transports: Mapping[str, Transport], *, offline: bool) -> None:
        self._transports = transports
        self._offline = offline

    def digest(self, mirror: str, ref: str) -> Digest | None:
        """The whole digest of the file that a mirror has for a reference; None when it tells none.

        Raises:
            NetworkError, PluginError: it cannot be asked.
        """
        content = self._read(below(mirror, ref_in(Path(), ref).as_posix()))
        try:
            known = json.loads(content)
            digest = Digest.parse(known["digest"])
            return digest if known["ref"] == ref and not digest.is_weak else None
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return None

    def card(self, mirror: str, ref: str) -> ModelCard | None:
        """The card that a mirror has for weights of one's own, with the mirror as the place of its file.

        None when it tells none; also when that would give arguments to a builder, which `zoomgr add` never
        writes. Raises as `digest`.
        """
        place = cards_in(Path()) / ref_in(Path(), ref).name
        try:
            card = read_card(self._read(below(mirror, place.as_posix())))
        except ValueError:
            return None
        file = card.artifact
        if str(card.ref) != ref or card.build_args or file is None:
            return None
        if file.digest is None or file.digest.is_weak:
            return None
        return replace(card, artifact=_at(mirror, file, file.digest))

    def _read(self, url: str) -> bytes:
        """A small file; empty when there is none."""
        transport = self._transports.get(url.partition(":")[0].lower())
        if transport is None or (self._offline and transport.needs_network):
            return b""
        try:
            opened = transport.open(url)
            if not hasattr(opened, "__enter__"):
                return b""
            with cast("AbstractContextManager[Body]", opened) as body:
                return _bounded(body)
        except NotFoundError:
            return b""
        except HttpStatusError as error:
            if error.status in _ABSENT:
                return b""
            raise


def _bounded(body: Body) -> bytes:
    content = b""
    for chunk in body:
        content += chunk
        if len(content) > _MOST_BYTES:
            return b""
    return content


def _at(mirror: str, file: Artifact, digest: Digest) -> Artifact:
    """The file as the mirror has it, without the login of its URL: the card is kept."""
    url = redacted(blob_at(mirror, digest))
    return replace(file, urls=(url,), promised_by=f"the card of {redacted(mirror)}")


def blob_at(mirror: str, digest: Digest) -> str:
    """The URL of the file of a whole digest at a mirror."""
    return below(mirror, blob_in(Path(), digest).as_posix())
