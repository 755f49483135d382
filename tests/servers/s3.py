"""A real S3 endpoint on a free loopback port (moto's server), for what lies in buckets."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest
import requests
from moto.server import ThreadedMotoServer

_SIGNED = {"Authorization": "AWS4-HMAC-SHA256 Credential=testing/20261122/us-east-1/s3/aws4_request"}


@dataclass(frozen=True, slots=True)
class S3:
    """A running endpoint.

    Attributes:
        url: its base, without a slash at the end.
    """

    url: str

    def put(self, bucket: str, key: str, content: bytes) -> None:
        """Make the bucket unless it is there, and put an object into it."""
        for url, data in ((f"{self.url}/{bucket}", b""), (f"{self.url}/{bucket}/{key}", content)):
            requests.put(url, data=data, headers=_SIGNED, timeout=30).raise_for_status()


@contextmanager
def s3_endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[S3]:
    """Be an endpoint, and the one that the environment names, until the context ends."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    endpoint = S3(f"http://{host}:{port}")
    for name, text in {
        "AWS_ENDPOINT_URL": endpoint.url,
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }.items():
        monkeypatch.setenv(name, text)
    try:
        yield endpoint
    finally:
        requests.post(f"{endpoint.url}/moto-api/reset", timeout=30)
        server.stop()
