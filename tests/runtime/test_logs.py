"""What must never be in the log: the values that functions had in their hands when something failed."""

import subprocess
import sys

import pytest

PROGRAM = """
import sys, structlog
from portico.runtime import logs
logs.configure("info", sys.argv[1])
def fail(api_key):
    raise RuntimeError("it failed")
try:
    fail("portico_SECRET" + "KEY")
except RuntimeError:
    structlog.get_logger().exception("unexpected")
"""


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_traceback_shows_no_values(form: str) -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM, form], capture_output=True, text=True, check=True, timeout=30)
    assert "it failed" in done.stderr
    assert "SECRETKEY" not in done.stderr
