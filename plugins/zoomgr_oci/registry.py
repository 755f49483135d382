"""Asking a registry for blobs and manifests, with the login that it wants (OCI distribution spec)."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any
from urllib.parse import urlencode

from zoomgr.api import (
    WHOLE,
    Body,
    HttpClient,
    HttpStatusError,
    Span,
    UnreachableError,
    may_carry_token,
    redacted,
)
from zoomgr_oci.logins import Challenge, docker_login

_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_MOST_BYTES = 64 << 20  # of JSON; 2,000 models have 1.5 MB
_OK, _UNAUTHORIZED = 200, 401
_NO_LOGIN = "no login for it is known, or it is refused (docker login)"

Login = dict[str, Any]
"""Arguments of `HttpClient`."""


class Registry:
    """A registry; of this machine it is asked without TLS, as docker does. Threads may share it.

    Args:
        host: perhaps with a port.
        auth: user and password; None for what docker's config has.
        token: gives the bearer token that the user set for an origin.
    """

    def __init__(self, host: str, auth: tuple[str, str] | None, token: Callable[[str], str]) -> None:
        self.host = host
        self._base = f"{'http' if may_carry_token(f'http://{host}/') else 'https'}://{host}/v2"
        self._auth = auth
        given = token(self._base)
        self._given: Login = {"token": given} if given else {}
        self._logins: dict[str, Login] = {}
        self._client = HttpClient()

    @contextmanager
    def open(self, repository: str, what: str, span: Span = WHOLE) -> Iterator[Body]:
        """A part of a blob; raises as `HttpClient.open`."""
        url = f"{self._base}/{repository}/{what}"
        with self._asked(repository, url, lambda login: self._client.open(url, span, **login)) as body:
            yield body

    def json(self, repository: str, what: str) -> dict[str, Any]:
        """A manifest, or a blob that is one mapping; empty when it is something else. Raises as `open`."""
        url = f"{self._base}/{repository}/{what}"
        with self._asked(repository, url, lambda login: self._page(url, login)) as content:
            return _mapping(content)

    @contextmanager
    def _page(self, url: str, login: Login) -> Iterator[bytes]:
        headers = {"Accept": f"{_MANIFEST}, */*", "Accept-Encoding": "identity"}
        with self._client.answer(url, headers=headers, **login) as response:
            if response.status_code != _OK:
                raise HttpStatusError(redacted(url), response.status_code, response.reason or "")
            content = b"".join(response.iter_content(1 << 16)) if _is_small(response) else b""
            yield content

    @contextmanager
    def _asked(
        self, repository: str, url: str, ask: Callable[[Login], AbstractContextManager[Any]]
    ) -> Iterator[Any]:
        """Ask; where a login is wanted, or that of before is over, ask once more with a new one."""
        with ExitStack() as held:
            try:
                answer = held.enter_context(ask(self._logins.get(repository, self._given)))
            except HttpStatusError as error:
                if error.status != _UNAUTHORIZED:
                    raise
                self._logins[repository] = self._login(url)
                answer = held.enter_context(self._with_login(ask, self._logins[repository]))
            yield answer

    @contextmanager
    def _with_login(self, ask: Callable[[Login], AbstractContextManager[Any]], login: Login) -> Iterator[Any]:
        with ExitStack() as held:
            try:
                answer = held.enter_context(ask(login))
            except HttpStatusError as error:  # a token that anybody gets may open nothing
                if error.status != _UNAUTHORIZED:
                    raise
                raise HttpStatusError(error.url, error.status, _NO_LOGIN) from error
            yield answer

    def _login(self, url: str) -> Login:
        """What the registry wants: the user's password, or a token that another server gives for it."""
        with self._client.answer(url) as response:
            challenge = Challenge.parse(response.headers.get("WWW-Authenticate", ""))
        auth = self._auth or docker_login(self.host)
        if challenge.scheme == "basic" and auth:
            return {"auth": auth}
        if challenge.scheme == "bearer":
            return {"token": self._bearer(challenge, auth)}
        raise HttpStatusError(redacted(url), _UNAUTHORIZED, _NO_LOGIN)

    def _bearer(self, challenge: Challenge, auth: tuple[str, str] | None) -> str:
        """A token for a repository; without a login one that anybody gets."""
        realm = redacted(challenge.realm)
        if auth and not may_carry_token(realm):
            raise UnreachableError(realm, "a password is sent over https only, or to this machine")
        query = {name: text for name, text in challenge.asked.items() if text}
        with self._client.answer(f"{challenge.realm}?{urlencode(query)}", auth=auth) as response:
            if response.status_code != _OK:
                raise HttpStatusError(realm, response.status_code, response.reason or "")
            known = _mapping(response.content)
        return str(known.get("token") or known.get("access_token") or "")


def _is_small(response: Any) -> bool:
    length = response.headers.get("Content-Length", "")
    return length.isdecimal() and int(length) <= _MOST_BYTES


def _mapping(content: bytes) -> dict[str, Any]:
    try:
        known = json.loads(content)
    except (ValueError, RecursionError):
        return {}
    return known if isinstance(known, dict) else {}
