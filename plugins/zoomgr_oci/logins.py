"""What a registry wants to know of us, and what docker's config knows (docker login, podman login)."""

from __future__ import annotations

import base64
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from zoomgr.api import MissingPackageError


@dataclass(frozen=True, slots=True)
class Challenge:
    """A `WWW-Authenticate` header (RFC 9110, section 11.6.1).

    Attributes:
        scheme: "basic", "bearer", or what else it says, lower case.
        realm: where a token is to be had.
        asked: what is to be said there.
    """

    scheme: str
    realm: str
    asked: dict[str, str]

    @classmethod
    def parse(cls, text: str) -> Self:
        """What a header says."""
        said = dict(re.findall(r'(\w+)="([^"]*)"', text))
        asked = {name: said.get(name, "") for name in ("service", "scope")}
        return cls(text.partition(" ")[0].lower(), said.get("realm", ""), asked)


def docker_login(host: str) -> tuple[str, str] | None:
    """User and password for a registry, from docker's config or the helper that it names; None without one.

    Raises:
        MissingPackageError: there is a config, and oras, which reads it, is not installed.
    """
    config = Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker") / "config.json"
    if not config.is_file():
        return None
    try:
        from oras.auth.token import TokenAuth
        from oras.container import Container
    except ImportError as error:
        raise MissingPackageError("a login of docker's", "zoomgr[oci]") from error
    known = TokenAuth()
    known.load_configs(Container(f"{host}/x"), [str(config)])
    encoded = getattr(known, "_basic_auth", "")
    user, _, password = base64.b64decode(encoded).decode().partition(":")
    return (user, password) if user else None
