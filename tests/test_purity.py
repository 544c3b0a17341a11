"""The pure layers stay pure: their syntax trees name no clock, chance, file, socket, thread, log or database."""

import ast
from pathlib import Path

import pytest

import portico

PACKAGE = Path(portico.__file__).parent
FORBIDDEN_MODULES = {
    "aiohttp",
    "asyncio",
    "io",
    "logging",
    "multiprocessing",
    "os",
    "pathlib",
    "random",
    "secrets",
    "select",
    "socket",
    "sqlalchemy",
    "sqlite3",
    "structlog",
    "subprocess",
    "tempfile",
    "threading",
    "time",
}
FORBIDDEN_CALLS = {"now", "utcnow", "today", "uuid1", "uuid4", "open", "print", "input", "exec", "eval", "__import__"}
"""The last name of what is called: `datetime.now()`, `dt.datetime.now()` and `now()` after an import are the same."""
PURE = sorted(path for layer in ("core", "signaling") for path in (PACKAGE / layer).rglob("*.py"))


@pytest.mark.parametrize("path", PURE, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_pure_module_does_nothing_but_think(path: Path) -> None:
    assert impurities(path.read_text()) == []


def test_the_layers_were_found() -> None:
    assert {path.parent.name for path in PURE} >= {"core", "signaling"}
    assert len(PURE) > 10


@pytest.mark.parametrize(
    "source",
    [
        "import asyncio",
        "import os.path",
        "import os as harmless",
        "from os import path",
        "from time import monotonic",
        "from pathlib import Path",
        "from sqlalchemy.engine import Engine",
        "def later():\n    import random",
        "from datetime import datetime\ndatetime.now()",
        "import datetime as dt\ndt.datetime.now(dt.UTC)",
        "from datetime import datetime\ndatetime.utcnow()",
        "from datetime import date\ndate.today()",
        "import uuid\nuuid.uuid4()",
        "from uuid import uuid4\nx = [uuid4() for _ in range(3)]",
        "from uuid import uuid4\nfield(default_factory=uuid4)",
        "from uuid import uuid4 as harmless\nharmless()",
        "print('x')",
        "with open('f') as f: pass",
        "clock = datetime.now",
    ],
)
def test_the_check_can_fail(source: str) -> None:
    assert impurities(source)


@pytest.mark.parametrize(
    "source",
    [
        "from datetime import UTC, datetime\ndatetime.fromtimestamp(0, UTC)",
        "from uuid import UUID\nUUID('x')",
        "def act(now):\n    return now",
        "from portico.core.timeline import time_of",
        "x.opened()",
    ],
)
def test_the_check_can_pass(source: str) -> None:
    assert impurities(source) == []


def impurities(source: str) -> list[str]:
    """What a module of the pure layers must not contain, with line numbers."""
    nodes = ast.walk(ast.parse(source))
    return [f"line {getattr(node, 'lineno', 0)}: {name}" for node in nodes for name in _impure_names(node)]


def _impure_names(node: ast.AST) -> list[str]:
    match node:
        case ast.Import(names=names):
            return [each.name for each in names if each.name.split(".")[0] in FORBIDDEN_MODULES]
        case ast.ImportFrom(module=str(module)) if module.split(".")[0] in FORBIDDEN_MODULES:
            return [module]
        case ast.ImportFrom(names=names):
            return [each.name for each in names if each.name in FORBIDDEN_CALLS]
        case ast.Call(func=ast.Name(id=name)) if name in FORBIDDEN_CALLS:
            return [name]
        case ast.Attribute(value=ast.Name() | ast.Attribute(), attr=name) if name in FORBIDDEN_CALLS:
            return [name]
    return []
