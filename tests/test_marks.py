"""The marks by which `script/test` chooses: a test has those of the real parts that it uses, wherever it is."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
STARTS = {"PorticoServer", "chromium", "inside", "postgres_server"}
"""Names that only fixtures may call, so that each test that uses them is marked."""

SAMPLE = """
import pytest

@pytest.fixture(scope="module")
def server(tmp_path_factory, portico):
    with portico(tmp_path_factory.mktemp("sample") / "data") as server:
        yield server

@pytest.fixture
def call(server, browser): ...

def test_nothing(tmp_path): ...
def test_server_of_its_own(tmp_path, portico): ...
def test_server_of_a_fixture(server): ...
def test_program(janus_binary): ...
def test_call(call): ...
def test_page(chromium_program): ...
def test_database(database): ...
def test_cluster(own_postgres): ...
def test_server_on_postgresql(server, postgres_url): ...
class TestClass:
    def test_method(self, server): ...
"""
PRINT = """
def pytest_collection_finish(session):
    for item in session.items:
        marks = {mark.name for mark in item.iter_markers()} & {"e2e", "janus", "postgres"}
        print("found", item.originalname, *sorted(marks))
"""


def test_a_mark_is_set_by_what_a_test_uses(tmp_path: Path) -> None:
    (tmp_path / "test_sample.py").write_text(SAMPLE)
    (tmp_path / "conftest.py").write_text(PRINT)
    options = ["-p", "tests.conftest", "-p", "no:cacheprovider", "-c", str(ROOT / "pyproject.toml"), "--collect-only"]
    command = [sys.executable, "-m", "pytest", *options, "-qq", str(tmp_path)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, check=False, cwd=tmp_path, env=environment, capture_output=True, text=True)
    found = {line.removeprefix("found ") for line in done.stdout.splitlines() if line.startswith("found ")}
    assert found == {
        "test_nothing",
        "test_server_of_its_own janus",
        "test_server_of_a_fixture janus",
        "test_program janus",
        "test_call e2e janus",
        "test_page e2e",
        "test_database",
        "test_database postgres",
        "test_cluster postgres",
        "test_server_on_postgresql janus postgres",
        "test_method janus",
    }, done.stdout + done.stderr


def test_no_test_starts_a_real_part_without_a_fixture() -> None:
    found = []
    for path in ROOT.glob("tests/**/test_*.py"):
        text = path.read_text()
        if not any(f"{name}(" in text for name in STARTS):
            continue  # parsing all of them takes a second
        calls = [node.func for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call)]
        found += [f"{path}:{each.lineno}" for each in calls if isinstance(each, ast.Name) and each.id in STARTS]
    assert found == []


def test_each_test_that_the_script_names_exists() -> None:
    named = re.findall(r"\b(tests/\w[\w/]*\.py)(?:::(\w+))?", (ROOT / "script/test").read_text())
    assert len(named) >= 7
    assert [
        f"{path}::{name}"
        for path, name in named
        if not (ROOT / path).is_file() or (name and f"def {name}(" not in (ROOT / path).read_text())
    ] == []
