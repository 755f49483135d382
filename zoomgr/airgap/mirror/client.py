"""How a repository of an OCI registry is written to, through oras (OCI distribution specification 1.1)."""

from __future__ import annotations

import functools
import hashlib
import itertools
import json
import os
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urljoin

from zoomgr.cache.patience import Patience
from zoomgr.errors import HttpStatusError, MissingPackageError, ZoomgrError
from zoomgr.http.faults import fault_of
from zoomgr.http.hops import may_carry_token
from zoomgr.http.trust import authorities, system_trusting_adapter

if TYPE_CHECKING:
    from oras.provider import Registry
    from requests import Response, Session

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_TIMEOUT_S = (10.0, 60.0)  # as `HttpClient` has them
_NOT_FOUND, _UNAUTHORIZED = 404, 401
_NO_LOGIN = "no login for it is known, or it is refused (docker login)"
_DONE = frozenset({200, 201, 202})
_BUSY = frozenset({400, 409, 500, 502, 503, 504})
"""What a registry may answer while another writer is at the same blob or tag: docker-registry reads links
that are half written, and then finds that a digest is none (400)."""
_UPLOADS = "blobs/uploads/"
_PATIENCE = Patience(retries=4, first_s=0.1)

T = TypeVar("T")

Descriptor = dict[str, Any]
"""What names a blob: mediaType, digest, size, perhaps annotations (OCI image specification)."""


class Host:
    """A registry.

    Args:
        name: perhaps with a port; one of this machine is asked without TLS, as docker does.
        login: user and password; empty for what docker's config has.
    """

    def __init__(self, name: str, login: tuple[str, str] | tuple[()] = ()) -> None:
        self.name = name
        self.login = login
        self.is_plain = may_carry_token(f"http://{name}/")
        self.url = f"{'http' if self.is_plain else 'https'}://{name}/v2/"

    @functools.cached_property
    def session(self) -> Session:
        """What asks it: trusts whom we trust, waits no longer than we do."""
        import requests

        session = requests.Session()
        session.verify = authorities(os.environ, "")
        session.mount("https://", system_trusting_adapter())
        session.request = functools.partial(session.request, timeout=_TIMEOUT_S)  # type: ignore[method-assign]
        return session

    @functools.cached_property
    def backend(self) -> str:
        """How it wants to know who we are, in oras' words."""
        asked = self.session.get(self.url).headers.get("WWW-Authenticate", "")
        return "basic" if asked.lower().startswith("basic") else "token"


class Repository:
    """A repository; what it raises is a `NetworkError`, or `MissingPackageError` for oras.

    Args:
        host: of it.
        name: of it.
    """

    def __init__(self, host: Host, name: str) -> None:
        self.name = name
        self._host = host
        self._url = f"{host.url}{name}"

    # -- blobs -----------------------------------------------------------------------------------------------

    def has(self, digest: str) -> bool:
        """Whether it has a blob."""
        return self._ask("HEAD", f"blobs/{digest}", may_lack=True) is not None

    def get(self, digest: str) -> bytes:
        """A small blob; empty when there is none."""
        response = self._ask("GET", f"blobs/{digest}", may_lack=True)
        return b"" if response is None else response.content

    def put(self, content: bytes, media_type: str, **annotations: str) -> Descriptor:
        """See to it that it has a small blob."""
        descriptor = described(f"sha256:{hashlib.sha256(content).hexdigest()}", len(content), media_type)
        if not self.has(descriptor["digest"]):
            _patiently(lambda: self._upload(content, descriptor["digest"]))
        return descriptor | ({"annotations": annotations} if annotations else {})

    def _upload(self, content: bytes, digest: str) -> None:
        from oras.utils import append_url_params

        begun = self._ask("POST", _UPLOADS, headers={"Content-Length": "0"})
        with self._faults():
            there = self._oras._get_location(begun, self._container)  # noqa: SLF001 [oras has no other way]
        target = append_url_params(there, {"digest": digest})
        self._ask("PUT", target, data=content, headers={"Content-Type": "application/octet-stream"})

    def put_file(self, path: Path, digest: str, size_bytes: int) -> None:
        """Bring a large blob, in pieces; the registry takes it only if the digest is right."""
        layer = described(digest, size_bytes, "")
        try:
            with self._faults():
                self._renew()
                self._checked(self._oras.chunked_upload(str(path), self._container, layer))
        except HttpStatusError as error:
            if error.status not in _BUSY or not self.has(digest):  # else another writer has brought it
                raise

    # -- manifests -------------------------------------------------------------------------------------------

    def manifest(self, tag: str) -> dict[str, Any]:
        """The manifest of a tag; empty when there is none."""
        response = self._ask("GET", f"manifests/{tag}", may_lack=True, headers={"Accept": MANIFEST})
        try:
            known = json.loads(response.content) if response is not None else {}
        except ValueError:
            return {}
        return known if isinstance(known, dict) else {}

    def tags(self) -> list[str]:
        """All tags."""
        found: list[str] = []
        page = "tags/list"
        while page:
            response = self._ask("GET", page, may_lack=True)
            if response is None:
                break
            found += response.json().get("tags") or []
            link = response.links.get("next", {}).get("url", "")
            page = urljoin(response.url, link) if link else ""
        return found

    def tag(self, tag: str, kind: str, config: Descriptor, layers: list[Descriptor], **about: str) -> None:
        """Make blobs that are there the artifact of a tag."""
        manifest = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "artifactType": kind,
            "config": config,
            "layers": layers,
            "annotations": about,
        }
        content = json.dumps(manifest, sort_keys=True).encode()
        self._ask("PUT", f"manifests/{tag}", data=content, headers={"Content-Type": MANIFEST})

    # -- asking ----------------------------------------------------------------------------------------------

    def _ask(self, method: str, what: str, *, may_lack: bool = False, **how: Any) -> Any:
        """What the registry answers; None for what it does not have."""
        url = what if "://" in what else f"{self._url}/{what}"

        def once() -> Any:
            with self._faults():
                if method not in {"GET", "HEAD"}:
                    self._renew()
                response = self._oras.do_request(url, method, **how)
                if may_lack and response.status_code == _NOT_FOUND:
                    return None
                return self._checked(response)

        return once() if _UPLOADS in url else _patiently(once)  # of an upload all steps are made again

    def _checked(self, response: Response) -> Response:
        if response.status_code not in _DONE:
            reason = _NO_LOGIN if response.status_code == _UNAUTHORIZED else response.reason or ""
            raise HttpStatusError(self._url, response.status_code, reason)
        return response

    def _renew(self) -> None:
        """Forget a token: one to read does not write, and oras would ask with it again."""
        if hasattr(self._oras.auth, "token"):
            self._oras.auth.token = None

    @contextmanager
    def _faults(self) -> Iterator[None]:
        try:
            yield
        except ZoomgrError:
            raise
        except ImportError as error:
            raise MissingPackageError("oci://", "zoomgr[oci]") from error
        except OSError as error:  # all of requests' are
            raise fault_of(error, self._url, self._host.login[1:]) from error
        except Exception as error:  # oras raises ValueError and AttributeError where there is no login
            raise HttpStatusError(self._url, _UNAUTHORIZED, _NO_LOGIN) from error

    @functools.cached_property
    def _container(self) -> Any:
        from oras.container import Container

        return Container(f"{self._host.name}/{self.name}")

    @functools.cached_property
    def _oras(self) -> Registry:
        """A client of its own, for a token is for one repository; it tries nothing twice."""
        from oras.provider import Registry

        class Client(Registry):  # type: ignore[misc] # [oras has no types]
            do_request = Registry.do_request.__wrapped__  # its retries wait for two minutes, also for a login

        host = self._host
        client = Client(
            host.name, insecure=host.is_plain, tls_verify=host.session.verify, auth_backend=host.backend
        )
        client.session = client.auth.session = host.session
        if host.login:
            client.auth.set_basic_auth(*host.login)
        else:
            folder = os.environ.get("DOCKER_CONFIG")  # oras itself looks into the home folder alone
            client.auth.load_configs(self._container, [f"{folder}/config.json"] if folder else None)
        return client


def _patiently(act: Callable[[], T]) -> T:
    """What is asked or written; again, where the registry may have been busy: twice is the same as once."""
    for failures in itertools.count(1):
        try:
            return act()
        except HttpStatusError as error:
            pause = _PATIENCE.pause(failures, None, random.random())  # noqa: S311 [no secret]
            if error.status not in _BUSY or pause is None:
                raise
            time.sleep(pause)
    raise AssertionError  # `count` does not end


def described(digest: str, size_bytes: int, media_type: str) -> Descriptor:
    """A descriptor."""
    return {"mediaType": media_type, "digest": digest, "size": size_bytes}
