"""A certificate by ACME from start to end: Caddy asks an authority in a network of the test's own, which checks it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.mounts import lacking
from tests.servers import READY_WITHIN_SECS

_IN_NAMESPACE = Path(__file__).with_name("acme_network.py")


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root for a network with ports 80 and 443 of its own")
@pytest.mark.one_janus
@pytest.mark.parametrize("turn_domain", ["", "turn.example.org"])
def test_a_certificate_is_obtained_from_an_authority(tmp_path: Path, janus_binary: Path, turn_domain: str) -> None:
    """The authority is Caddy's own ACME server in Let's Encrypt's stead; it comes to port 80 or 443 of the domain."""
    separated = ["unshare", "--net", "--mount"]
    if subprocess.run([*separated, "true"], check=False, capture_output=True).returncode != 0:
        lacking("This test needs a network namespace of its own, and this machine refuses it.")
    done = subprocess.run(
        [*separated, sys.executable, _IN_NAMESPACE, tmp_path, janus_binary, turn_domain],
        capture_output=True,
        text=True,
        check=False,
        timeout=2 * READY_WITHIN_SECS,
        cwd=Path(__file__).parents[2],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == "video.example.org: Caddy Local Authority - ECC Intermediate"
