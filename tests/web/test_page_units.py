"""The pure parts of the meeting page under Node, and the one table that page and server have in common."""

import re
import subprocess
from pathlib import Path

from portico.signaling.effects import CloseCode

ROOT = Path(__file__).parents[2]
ENDS_WITHIN_SECS = 120
RUN = """
. script/lib/apt.sh
. script/lib/node.sh
find_node >&2
exec "${npm[@]}" --prefix frontend run --silent test
"""
"""With the Node that script/setup has found or installed."""


def test_pure_parts_of_the_pages() -> None:
    done = subprocess.run(
        ["bash", "-euc", RUN], cwd=ROOT, capture_output=True, text=True, timeout=ENDS_WITHIN_SECS, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    passed = re.search(r"^# pass (\d+)$", done.stdout, re.MULTILINE)
    assert passed is not None, done.stdout
    assert int(passed[1]) > 0


def test_page_and_server_have_the_same_close_codes() -> None:
    source = (ROOT / "frontend/src/meeting/call/close_code.ts").read_text()
    page = {name: int(code) for name, code in re.findall(r"^  ([A-Z_]+): (\d+),$", source, re.MULTILINE)}
    assert page == {code.name: int(code) for code in CloseCode}


def test_the_pages_read_no_close_reason() -> None:
    """They decide by close_code.ts. One function of ending.ts reads the sentence of a refusal, to show it."""
    sources = {
        str(path.relative_to(ROOT / "frontend")): path.read_text()
        for folder in ("src", "public")
        for path in (ROOT / "frontend" / folder).rglob("*")
        if path.suffix in (".ts", ".tsx", ".js")
    }
    assert [name for name, text in sources.items() if re.search(r"\.reason\b", text)] == []
    readers = [name for name, text in sources.items() if re.search(r"refusal\??\.sentence", text)]
    assert readers == ["src/meeting/call/ending.ts"]
