"""How servers are asked here, and whether the site's mirrors answer. Offline it opens no socket."""

from __future__ import annotations

import os
import ssl
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from email.utils import parsedate_to_datetime
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import getproxies_environment

from zoomgr.airgap.doctor.facts import Mirror, Network
from zoomgr.airgap.index import FILENAME
from zoomgr.cache.mirrors import below
from zoomgr.errors import HttpStatusError, NoSuchFileError, ZoomgrError, redacted
from zoomgr.hookspecs import Transport
from zoomgr.http.trust import CA_VARIABLES
from zoomgr.zoo import Zoo

_CONNECT_S, _SILENCE_S = 5.0, 15.0
_REFUSED = frozenset({401, 403, 407})
_SERVER_FAULT = 500


def network_of(zoo: Zoo) -> Network:
    """What the settings and the environment say, and what the mirrors do."""
    return Network(
        offline=zoo.settings.offline,
        proxies={scheme: redacted(proxy) for scheme, proxy in sorted(getproxies_environment().items())},
        authorities=dict(_authorities(os.environ)),
        mirrors=tuple(_mirror(zoo, url) for url in zoo.settings.mirrors),
    )


def _authorities(environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for name in CA_VARIABLES:
        if path := environ.get(name):
            yield name, _why_no_authorities(Path(path))


def _why_no_authorities(path: Path) -> str:
    try:
        if path.is_dir():
            os.scandir(path).close()
        else:
            path.open("rb").close()
            ssl.create_default_context().load_verify_locations(path)
    except ssl.SSLError:
        return f"{path} holds no certificates"
    except OSError as error:
        return f"{path} cannot be read: {error.strerror}"
    return ""


def _mirror(zoo: Zoo, url: str) -> Mirror:
    shown, scheme = redacted(url), url.partition(":")[0].lower()
    transport = zoo.host.transports.items.get(scheme)
    if transport is None:
        return Mirror(shown, f"no plugin opens {scheme}:// URLs", "zoomgr plugins lists what they open")
    if transport.needs_network and zoo.settings.offline:
        return Mirror(shown, was_asked=False)
    if scheme in {"http", "https"}:
        return _web(zoo, url)
    if scheme == "file" and not Path(urlsplit(url).path).is_dir():
        return Mirror(shown, "there is no such folder", "mount it, or correct ZOOMGR_MIRROR")
    return Mirror(shown, *_fault(transport, url))


def _fault(transport: Transport, url: str) -> tuple[str, str]:
    """Why a mirror does not answer, and the next step; two empty texts when it does."""
    try:
        opened = transport.open(below(url, FILENAME))
        if isinstance(opened, AbstractContextManager):  # else it knows where the file is, so it was asked
            with opened:
                pass
    except NoSuchFileError:  # it answers; a tree of files by host and path has no index
        pass
    except ZoomgrError as error:
        return error.headline(), error.hint()
    return "", ""


def _web(zoo: Zoo, url: str) -> Mirror:
    from requests.utils import get_environ_proxies, select_proxy

    from zoomgr.http import HttpClient

    client = HttpClient(connect_timeout_s=_CONNECT_S, silence_timeout_s=_SILENCE_S)
    proxy = redacted(select_proxy(url, get_environ_proxies(url)) or "")
    token = zoo.registry.token_for(url, os.environ)
    try:
        with client.answer(below(url, FILENAME), token=token) as response:
            status, reason, date = response.status_code, response.reason or "", response.headers.get("Date")
    except ZoomgrError as error:
        return Mirror(redacted(url), error.headline(), error.hint(), proxy)
    finally:
        client.close()
    if status in _REFUSED or status >= _SERVER_FAULT:
        refused = HttpStatusError(redacted(url), status, reason)
        return Mirror(redacted(url), refused.headline(), refused.hint(), proxy, _skew_s(date))
    return Mirror(redacted(url), proxy=proxy, skew_s=_skew_s(date))


def _skew_s(date: str | None) -> float | None:
    """By how much this clock is ahead of one that has just said what time it is, to the second."""
    try:
        return time.time() - parsedate_to_datetime(date or "").timestamp()
    except ValueError:
        return None
