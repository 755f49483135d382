"""What is in the cache is not asked for again, not even whether it has changed."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import pytest
from cli.saying import Say
from servers.faulty import Answer, answering

CAT = Path(__file__).parents[2] / "examples" / "cat.png"

pytestmark = pytest.mark.usefixtures("acme")


@pytest.mark.parametrize("promised", [True, False])
def test_a_second_run_makes_no_request_while_it_could(
    zoomgr: Say, tmp_path: Path, request: pytest.FixtureRequest, promised: bool
) -> None:
    """Online: no name is looked up, no socket is opened, nothing is revalidated."""
    zoomgr("show", "tiny")  # loads the plugin
    weights: bytes = sys.modules["acme_zoo"].FILE
    answers = {"/net.acme": Answer(weights, headers={"ETag": '"1"', "Cache-Control": "no-cache"})}
    with answering(answers) as server:
        pin = f'sha256 = "{hashlib.sha256(weights).hexdigest()}"\n' if promised else ""
        (tmp_path / "registry.toml").write_text(
            f'version = 1\n[models.net]\narch = "acme/tiny"\nurl = "{server.url}/net.acme"\n{pin}'
            'adapter = "acme-keys"\n'
        )
        registry = ("--registry", tmp_path / "registry.toml")
        first = [zoomgr("pull", "net", *registry), zoomgr("pull", f"{server.url}/net.acme")]
        assert [told.code for told in first] == [0, 0]
        asked = len(server.asked)
        assert 1 <= asked <= 2
        request.getfixturevalue("no_sockets")

        assert zoomgr("pull", "net", *registry).out == first[0].out
        assert zoomgr("pull", f"{server.url}/net.acme").out == first[1].out
        assert zoomgr("predict", "net", CAT, *registry).code == 0
        assert zoomgr("inspect", "net", *registry).code == 0

        assert len(server.asked) == asked
