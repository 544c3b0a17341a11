"""Starts programs that read data of clients with as few rights as possible: a user and folders of their own.

Janus, the converter and the composer start through `confined`. Where the server is root, a child runs as the user
`portico` (script/setup makes it; else as a number that no account has) and has mounts of its own, in which DATA_DIR is
empty but for what it works on. Where the kernel has Landlock, as root or not, it opens no file but those and the
system's. Everywhere it has no capabilities, gains none, and ends with its parent.
"""

import os
import pwd
import resource
import shutil
import stat
import subprocess
import sys
import sysconfig
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

import msgspec
import structlog

log = structlog.get_logger(__name__)

USER = "portico"
NUMBER_WITHOUT_USER = 64163
"""User and group where no user `portico` exists: no distribution gives this number to an account."""
OPEN_FILES_MAX = 65536
"""Not simply the hard limit: where that is a thousand million, libwebsockets reserves a table of that length."""
PROCESSES_MAX = 16384
"""Processes and threads of the children's user together. Janus has about three threads per participant."""
_PROBE_SECS = 10
_PROGRAM = str(Path(__file__).with_name("confine.py"))


@dataclass(frozen=True)
class Protection:
    """The protections that this machine offers against a child process."""

    own_view: bool = False
    """Whether children get mounts and a user of their own: this process is root and may mount."""
    drop_capabilities: bool = False
    landlock: int = 0
    """Version of Landlock; 0 where the kernel has none that serves."""
    why: str = ""
    """The reason for which `own_view` is False; empty if it is True."""

    @property
    def owner(self) -> tuple[int, int] | None:
        """User and group of children; None for our own."""
        return _portico_user() if self.own_view else None

    @property
    def missing(self) -> list[str]:
        """Clauses for an operator that name what a child could still reach."""
        lacks = []
        if os.geteuid() == 0 and not self.own_view:
            lacks.append(f"a user of their own (root may not mount here: {self.why})")
        if not self.landlock:
            lacks.append("a limit to their own files (the kernel has no Landlock of version 2)")
        return lacks


@dataclass(frozen=True)
class Confinement:
    """The files, network and limits of one child. All other files are denied as far as the machine allows."""

    write: Sequence[Path]
    """Folders that the child may change; call `give` for them first."""
    read: Sequence[Path] = ()
    """Folders and files that it may read, beside the system's own."""
    hide: Sequence[Path] = ()
    """Folders that look empty but for what `read` and `write` name in them: DATA_DIR."""
    runs_python: bool = False
    """Whether it is a Python program of ours, which runs ffmpeg: it may read our code, the interpreter and ffmpeg."""
    network: bool = True
    """False for a program that needs no network: it gets none where we are root."""
    low_ports: bool = False
    """Whether it may listen on ports below 1024, by the one capability that it keeps."""
    limits: Mapping[str, int] = field(default_factory=dict)
    """By the names of resource.RLIMIT_*, such as {"AS": bytes}."""


def confined(command: Sequence[str], rules: Confinement, protection: Protection | None = None) -> list[str]:
    """The command that reduces its privileges and then becomes `command`, in the same process.

    Start it from this process, whose end ends it. `protection` is what this machine allows, if nothing less is wanted.
    """
    protection = protection or protect()
    owner = protection.owner
    limits = {"CORE": 0, "NOFILE": OPEN_FILES_MAX, **({"NPROC": PROCESSES_MAX} if owner else {}), **rules.limits}
    read = [*rules.read, *(_python_folders() if rules.runs_python else ())]
    spec = {
        "write": [str(path.absolute()) for path in rules.write],
        "read": [str(path.absolute()) for path in read],
        "hide": [str(path.absolute()) for path in rules.hide],
        # Where Python looks for our package.
        "list": [str(Path(__file__).parents[2])] if rules.runs_python else [],
        "network": rules.network,
        "low_ports": rules.low_ports,
        "limits": {name: _within_hard(name, limit) for name, limit in limits.items()},
        "own_view": protection.own_view,
        "landlock": protection.landlock,
        "drop_capabilities": protection.drop_capabilities,
        "uid": owner[0] if owner else None,
        "gid": owner[1] if owner else None,
        "parent": os.getpid(),
    }
    return [*_python(), _PROGRAM, msgspec.json.encode(spec).decode(), *command]


def environment() -> dict[str, str]:
    """The environment for a child: without PORTICO_* variables and other programs' credentials, which hold secrets."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("PORTICO_", "AWS_", "PG"))}


def give(folder: Path) -> None:
    """Make a folder belong to the children's user, where they have one; no other user may enter it.

    So do the files in it that an earlier start wrote whose children had another user.
    """
    owner = protect().owner
    if owner is None:
        return
    if folder.lstat().st_uid != owner[0]:
        _give_content(folder, owner)
    _change(folder, *owner, 0o700)


def take_back(folder: Path) -> None:
    """Make a folder ours again: what is in it is now neither renamed nor replaced by a child."""
    if protect().owner is not None:
        _change(folder, os.geteuid(), os.getegid(), 0o700)


def let_read(path: Path) -> None:
    """Let the children's group read a folder or file of ours that no other user may read."""
    owner = protect().owner
    if owner is not None:
        _change(path, -1, owner[1], 0o750 if path.is_dir() else 0o640)


def share(folder: Path) -> None:
    """Let children write files into a folder of ours; those of others in it they can neither rename nor delete."""
    owner = protect().owner
    if owner is not None:
        _change(folder, -1, owner[1], 0o1770)


@cache
def protect() -> Protection:
    """The protections of this machine, probed once in a short-lived child process."""
    try:
        uid, gid = _portico_user()
        spec = msgspec.json.encode({"probe": True, "uid": uid, "gid": gid}).decode()
        command = [*_python(), _PROGRAM, spec]
        probe = subprocess.run(command, capture_output=True, check=True, text=True, timeout=_PROBE_SECS)
        found = replace(msgspec.json.decode(probe.stdout, type=Protection), why=probe.stderr.strip())
    except (OSError, subprocess.SubprocessError, msgspec.MsgspecError) as error:
        found = Protection(why=str(error))
    return found


def report() -> None:
    """Log the protections against children, and a warning for those that are missing."""
    found = protect()
    if found.missing:
        log.warning("children.less_protected", missing="; ".join(found.missing))
    else:
        log.debug("children.protected", landlock=found.landlock, owner=found.owner)


@cache
def _portico_user() -> tuple[int, int]:
    try:
        entry = pwd.getpwnam(USER)
    except KeyError:
        return NUMBER_WITHOUT_USER, NUMBER_WITHOUT_USER
    return entry.pw_uid, entry.pw_gid


def _python_folders() -> list[Path]:
    named = {sys.prefix, sys.base_prefix, *(sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib"))}
    tools = [Path(found).resolve() for name in ("ffmpeg", "ffprobe") if (found := shutil.which(name))]
    return [Path(__file__).parents[1], *map(Path, sorted(named - {"/usr"})), *tools]


def _python() -> tuple[str, ...]:
    return sys.executable, "-I", "-S"


def _change(path: Path, uid: int, gid: int, mode: int) -> None:
    # A child may have put a symbolic link or a pipe instead of its file: neither is followed, nor waited for.
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        os.fchown(descriptor, uid, gid)
        os.fchmod(descriptor, mode)
    finally:
        os.close(descriptor)


def _give_content(folder: Path, owner: tuple[int, int]) -> None:
    # Children may have written this: links are not followed, and a file that has a name elsewhere too is kept.
    for _, folders, files, descriptor in os.fwalk(folder, follow_symlinks=False):
        for name in (*folders, *files):
            found = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
            if stat.S_ISDIR(found.st_mode) or found.st_nlink == 1:
                os.chown(name, *owner, dir_fd=descriptor, follow_symlinks=False)


def _within_hard(name: str, limit: int) -> int:
    _, hard = resource.getrlimit(getattr(resource, f"RLIMIT_{name}"))
    return limit if hard == resource.RLIM_INFINITY else min(limit, hard)
