"""Rules of the code that neither import-linter nor ruff can hold: what has one name, and what is written once."""

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
SOURCES = {
    str(file.relative_to(ROOT / "portico")): file.read_text()
    for file in sorted((ROOT / "portico").rglob("*.py"))
    if not {"versions", "client", "simulator"} & set(file.parts)
}
"""What the server is made of. portico/client imports nothing else of portico, and portico/simulator only the client."""

ONE_MEANING = {
    "Message": "a decoded message in Janus' form; siblings of one layer do not import each other",
    "Receive": "ASGI's function; siblings of one layer do not import each other",
    "T": "a type variable",
    "S": "a type variable",
}
"""Public names of types that stand in several modules, and why that does not confuse."""

WRITTEN_ONCE = {
    "the pattern of a UUID": (r"\{8\}.*\{4\}.*\{12\}", {"core/casting.py"}),
    "fsync": (r"\bos\.(fsync|fdatasync)\(", {"runtime/durable.py", "doctor/machine.py"}),
    "the end of a child with its parent": (
        r"pdeathsig|_PR_SET_PDEATHSIG =|_PR_SET_PDEATHSIG,",
        {"runtime/child_limits.py", "runtime/confine.py", "composer/compose.py"},
    ),
    "starting a program": (
        r"create_subprocess_exec\(|create_subprocess_exec,|subprocess\.(Popen|run|check_output)\(|_exec\(\*",
        {
            "composer/ffmpeg.py",
            "composer/source_facts.py",
            "converter/convert.py",
            "doctor/probes.py",
            "edge/relay_filter.py",
            "edge/relay_library.py",
            "runtime/child.py",
            "runtime/child_process.py",
            "runtime/supervised.py",
            "worker/recordings/converter_process.py",
        },
    ),
    "the environment of a child": (r"os\.environ\.(copy|items)\(|dict\(os\.environ", {"runtime/child.py"}),
    "the row lock of a room": (r"ROOM_ROWS\.select\([^\n]*with_for_update", {"services/locks.py"}),
    "close codes of calls": (r"\b(3999|400\d)\b", {"signaling/effects.py"}),
    "names of Janus' plugins": (r"\"janus\.plugin\.\w+\"", {"signaling/control.py", "janus/config.py"}),
}
"""What would drift apart if it was written twice: a pattern, and the modules that may have it.

compose.py asks the kernel for SIGTERM from within, to end in good order; the others have a child killed. machine.py
measures fsync."""

LOOPS = {
    "cli/compositions.py": "a command that prints until the composition is made",
    "cli/listen.py": "a command that prints until Ctrl-C",
    "app/hosted_api.py": "tries again so many times",
    "gateway/admission.py": "tries again until its deadline",
    "worker/compositions/composer_process.py": "reads lines until the composer ends, each within a deadline",
    "gateway/registry.py": "ends once the database has taken the leave of a room",
    "gateway/connection.py": "ends with its connection, which a fault ends too",
    "janus/node.py": "supervision: each round waits for a loss",
    "janus/watch.py": "returns when Janus is lost",
    "runtime/periodic.py": "the loop that all others use",
    "runtime/supervised.py": "supervision: each round waits for a loss",
    "worker/runner.py": "returns when the lease of one job is lost",
    "db/sqlite.py": "tries again until its deadline",
}
"""Modules with a loop of their own that pauses, and why runtime/periodic.py does not serve."""


def _types_of(tree: ast.Module) -> Iterator[str]:
    """Public classes, and aliases of types: names in CamelCase that are assigned at the top."""
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield node.name
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            name = node.targets[0].id
            if re.fullmatch(r"[A-Z]\w*[a-z]\w*|[A-Z]", name):
                yield name


def test_no_two_modules_give_one_name_to_different_types() -> None:
    modules = defaultdict(list)
    for name, text in SOURCES.items():
        for each in _types_of(ast.parse(text)):
            modules[each].append(name)
    assert len(modules) > 300
    assert {each: where for each, where in modules.items() if len(where) > 1 and each not in ONE_MEANING} == {}


def test_what_is_written_once_is_not_written_again() -> None:
    elsewhere = [
        f"{name}: {what}"
        for what, (pattern, allowed) in WRITTEN_ONCE.items()
        for name, text in SOURCES.items()
        if re.search(pattern, text) and name not in allowed
    ]
    assert elsewhere == []
    unused = [
        f"{name}: {what}"
        for what, (pattern, allowed) in WRITTEN_ONCE.items()
        for name in sorted(allowed)
        if not re.search(pattern, SOURCES[name])
    ]
    assert unused == []


def test_loops_that_pause_use_the_one_that_goes_on_after_failures() -> None:
    own = {
        name
        for name, text in SOURCES.items()
        if "while" in text  # parsing all of them takes half a second
        for loop in ast.walk(ast.parse(text))
        if isinstance(loop, ast.While) and _is_endless(loop) and re.search(r"sleep\(|timeout\(", ast.unparse(loop))
    }
    assert own == set(LOOPS)


def _is_endless(loop: ast.While) -> bool:
    return isinstance(loop.test, ast.Constant) and loop.test.value is True


def test_rows_of_services_have_types() -> None:
    untyped = [name for name, text in SOURCES.items() if re.search(r"\bRow\[Any\]|sqlalchemy import .*\bRow\b", text)]
    assert untyped == []


def test_each_package_has_tests_in_a_folder_of_its_name() -> None:
    packages = {path.parent.name for path in (ROOT / "portico").glob("*/__init__.py")}
    folders = {path.name for path in (ROOT / "tests").iterdir() if path.is_dir()}
    assert packages - folders == set()
