"""File systems that only one command sees, as root and as a user, in containers and in a chroot."""

import os
import pty
import subprocess
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import NoReturn

import pytest

_WAYS = (
    ("unshare", "--mount"),
    # In a chroot whose / is not a mount nothing can be made private: where the outer mounts are shared, and only there,
    # the outside sees a test's disk as well.
    ("unshare", "--mount", "--propagation=unchanged"),
    ("unshare", "--mount", "--map-root-user"),  # for a user who is not root; refused in every chroot
)


def lacking(what: str) -> NoReturn:
    """End the test, because the machine lacks this: as failed in CI, where nothing is skipped, as skipped elsewhere."""
    if os.environ.get("CI"):
        pytest.fail(what)
    pytest.skip(what)


def with_disk(folder: Path, size: str, command: Sequence[str]) -> list[str]:
    """The command that becomes this one, for which an empty disk of that size, such as "20m", is in the folder."""
    return [
        *_own_mounts(),
        "sh",
        "-c",
        'mount -t tmpfs -o "size=$0" none "$1" && shift && exec "$@"',
        size,
        str(folder),
        *command,
    ]


def with_file(shown: Path, file: Path, command: Sequence[str]) -> list[str]:
    """The command that becomes this one, which finds `shown` where `file` is."""
    return [*_own_mounts(), "sh", "-c", 'mount --bind "$0" "$1" && shift && exec "$@"', str(shown), str(file), *command]


def pseudo_terminal() -> tuple[int, int]:
    """The two ends of a new pseudo terminal: that of the person, and that of the program."""
    try:
        return pty.openpty()
    except OSError as error:
        lacking(f"This test needs a pseudo terminal, and there is none ({error}): mount -t devpts devpts /dev/pts")


@cache
def _own_mounts() -> Sequence[str]:
    """The start of a command line that gives a command mounts of its own."""
    refusals = []
    for way in _WAYS:
        tried = subprocess.run([*way, "true"], check=False, capture_output=True, text=True)
        if tried.returncode == 0:
            return way
        refusals.append(tried.stderr.strip())
    lacking(f"This test needs mounts of its own, and this machine refuses them: {'; '.join(refusals)}")
