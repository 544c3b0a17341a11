"""The official Node SDK as a process of its own, whose calls are given by Python."""

import fcntl
import hashlib
import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import IO, Any

REPOSITORY = Path(__file__).parents[2]
PACKAGES = Path(__file__).parent / "node"
# npm writes the file that is looked for when everything else is there.
_INSTALL = """
set -euo pipefail
. script/lib/apt.sh
. script/lib/node.sh
find_node >&2
[ -e "$1/node_modules/.package-lock.json" ] || "${npm[@]}" --prefix "$1" ci --no-audit --no-fund >&2
command -v node
"""


class ApiError(Exception):
    """The SDK threw an error of this name and status, with the answer's body."""

    def __init__(self, name: str, status: int, body: dict[str, Any]) -> None:
        super().__init__(f"{name}: {status} {body}")
        self.name = name
        self.status = status
        self.body = body

    @property
    def code(self) -> str:
        """Of the first entry."""
        return str(self.body["errors"][0]["code"])


@dataclass(slots=True)
class NodeSdk:
    """Calls methods of a server, by their names in JavaScript, like `rooms.sessions.list0`."""

    to: IO[str]
    answers: IO[str]
    base_url: str
    key: str
    exchanges: list[tuple[str, str, int, int]] = field(default_factory=list)
    """Requests of the last call: method, path with query, bytes of the body, status of the answer."""

    def __call__(self, call: str, *arguments: Any, each: bool = False, key: str | None = None) -> Any:
        """What the promise gave, `undefined` as None; with `each` all items of all pages. Raises ApiError."""
        request = {"call": call, "arguments": arguments, "each": each, "key": key or self.key}
        request |= {"base_url": f"{self.base_url}/v2"}
        self.to.write(json.dumps(request) + "\n")
        self.to.flush()
        line = self.answers.readline()
        assert line, "the Node process has ended; its last words are on stderr"
        outcome = json.loads(line)
        self.exchanges = [(method, target, size, status) for method, target, size, status in outcome["exchanges"]]
        if error := outcome.get("error"):
            raise ApiError(error["name"], error["status"], error["body"])
        return outcome["value"]


def installed(cache: Path, packages: Path = PACKAGES, program: Path = PACKAGES / "call.mjs") -> tuple[str, Path]:
    """Node, and the program beside the installed packages, which are kept in this folder for the next run.

    One process at a time: those of a test run share the folder. What is there already others may be reading.
    """
    folder = cache / hashlib.sha256((packages / "package-lock.json").read_bytes()).hexdigest()[:12]
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for file in (packages / "package.json", packages / "package-lock.json", program):
            copy = folder / file.name
            if not copy.exists() or copy.read_bytes() != file.read_bytes():
                shutil.copy(file, copy)
        done = subprocess.run(
            ["bash", "-c", _INSTALL, "install", folder], cwd=REPOSITORY, check=True, stdout=subprocess.PIPE, text=True
        )
    return done.stdout.splitlines()[-1], folder / program.name


@contextmanager
def running(cache: Path) -> Iterator[Callable[[str, str], NodeSdk]]:
    """The SDK in one process, as callers that are made for the URL of a server and a key."""
    node, program = installed(cache)
    process = subprocess.Popen([node, program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdin is not None and process.stdout is not None
        yield partial(NodeSdk, process.stdin, process.stdout)
    finally:
        process.kill()
        process.communicate()
