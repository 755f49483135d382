"""SSH servers are trusted by the keys that the user, or the system, knows; fsspec alone would trust any."""

from __future__ import annotations

from pathlib import Path
from typing import Any

_FILES = ("~/.ssh/known_hosts", "/etc/ssh/ssh_known_hosts")


def known_hosts_policy() -> Any:
    """A policy of paramiko: refuse what no known_hosts file has, as ssh with `StrictHostKeyChecking yes`."""
    import paramiko

    class KnownHosts(paramiko.MissingHostKeyPolicy):  # type: ignore[misc] # [paramiko has no types]
        def missing_host_key(self, client: Any, hostname: str, key: Any) -> None:  # noqa: ARG002 [given]
            """Called before any credential is sent."""
            for path in map(Path.expanduser, map(Path, _FILES)):
                if path.is_file() and paramiko.HostKeys(str(path)).check(hostname, key):
                    return
            raise paramiko.SSHException(f"the host key of {hostname} is not in {_FILES[0]} (see ssh-keyscan)")

    return KnownHosts()
