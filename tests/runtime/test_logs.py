"""Lines of the log: how they look, and that no value of a variable is in them when something failed."""

import subprocess
import sys
from typing import Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from portico.runtime.logs import PlainRenderer

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


_WORDS = st.text(st.sampled_from("ab/-=%'\" \\\t\x1bé"), max_size=5)
_VALUES = st.none() | st.booleans() | st.integers() | st.floats() | _WORDS | st.lists(_WORDS, max_size=2)


@given(
    _WORDS | st.just("a sentence that is longer than thirty characters"),
    st.dictionaries(st.sampled_from("abc"), _VALUES),
)
def test_lines_look_as_those_of_structlog(text: str, values: dict[str, Any]) -> None:
    console = structlog.dev.ConsoleRenderer(colors=False)
    for level in ("info", "warning"):
        event = {"event": text, "level": level, "timestamp": "2026-11-26T22:00:00.123456Z", **values}
        assert PlainRenderer(console)(None, level, dict(event)) == console(None, level, dict(event))
