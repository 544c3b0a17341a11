"""Reduces this process' privileges, then becomes another program: `python -I -S confine.py SPEC PROGRAM ARGUMENTS...`.

SPEC is JSON with the members of `portico.runtime.child.Confinement`. Only the standard library is imported, because the
file runs on its own. A step that fails ends the process with status 125 and a line on standard error: a child never
starts with more privileges than SPEC says. `{"probe": true, "uid": ..., "gid": ...}` prints which steps this machine
allows.
"""

import contextlib
import ctypes
import json
import os
import resource
import signal
import struct
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

_FAILED = 125

# Numbers from <linux/prctl.h>, <sched.h>, <sys/mount.h>.
_PR_SET_PDEATHSIG, _PR_SET_KEEPCAPS, _PR_CAPBSET_DROP, _PR_SET_NO_NEW_PRIVS, _PR_CAP_AMBIENT = 1, 8, 24, 38, 47
_PR_CAP_AMBIENT_RAISE, _PR_CAP_AMBIENT_LOWER = 2, 3
_CAP_NET_BIND_SERVICE, _CAPABILITY_VERSION_3 = 10, 0x20080522
_CLONE_NEWNS, _CLONE_NEWNET = 0x00020000, 0x40000000
_MS_RDONLY, _MS_NOSUID, _MS_NODEV, _MS_REMOUNT, _MS_BIND, _MS_REC, _MS_PRIVATE = 1, 2, 4, 32, 4096, 16384, 1 << 18

# Numbers from <linux/landlock.h>; the system call numbers are the same on every architecture but alpha.
_LANDLOCK_CREATE, _LANDLOCK_ADD, _LANDLOCK_RESTRICT = 444, 445, 446
_LEAST_LANDLOCK = 2
"""Version 1 forbids every rename from one folder to another."""
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR, _TRUNCATE = 1, 2, 4, 8, 1 << 14
_ALL_FS = {2: (1 << 14) - 1, 3: (1 << 15) - 1, 4: (1 << 15) - 1}
_ALL_FS_NEWEST = (1 << 16) - 1
_ALL_TCP = 3
_SCOPES = 3
"""No signals to processes outside, no connections to their abstract sockets; since version 6."""

_SYSTEM = ("/usr", "/lib", "/lib32", "/lib64", "/bin", "/sbin", "/etc", "/opt", "/nix/store", "/gnu/store", "/proc")
_DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")

_libc = ctypes.CDLL(None, use_errno=True)


def main() -> None:
    spec: dict[str, Any] = json.loads(sys.argv[1])
    if spec.get("probe"):
        sys.stdout.write(json.dumps(_probe(spec["uid"], spec["gid"])) + "\n")
        return
    try:
        _confine(spec)
        os.execvp(sys.argv[2], sys.argv[2:])  # noqa: S606  no shell is wanted
    except OSError as error:
        sys.stderr.write(f"[FATAL] {sys.argv[2]} cannot be started with fewer privileges: {error}\n")
        sys.exit(_FAILED)


def _confine(spec: dict[str, Any]) -> None:
    folder = Path.cwd()
    for name, limit in spec["limits"].items():
        resource.setrlimit(getattr(resource, f"RLIMIT_{name}"), (limit, limit))
    if spec["own_view"]:
        _unshare(_CLONE_NEWNS | (0 if spec["network"] else _CLONE_NEWNET))
        _show_only(spec["hide"], spec["read"], spec["write"])
        # The path in the new view: the inherited folder lies below a mount, or is not there.
        os.chdir(folder if folder.is_dir() else "/")
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)
    if spec["landlock"]:
        _landlock(spec["landlock"], spec["read"], spec["write"], spec["list"], network=spec["network"])
    kept = [_CAP_NET_BIND_SERVICE] if spec["low_ports"] else []
    _lower_ambient(but=kept)
    if spec["drop_capabilities"]:
        _drop_capabilities(but=kept)
    if spec["uid"] is not None:
        _prctl(_PR_SET_KEEPCAPS, int(spec["low_ports"]))  # until the next exec
        _become(spec["uid"], spec["gid"])
        if spec["low_ports"]:
            _keep_capability(_CAP_NET_BIND_SERVICE)
    os.umask(0o077)  # not before: the folders of the view have to be entered by another user
    # Last, because the kernel forgets it when the user changes.
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != spec["parent"]:
        os.kill(os.getpid(), signal.SIGKILL)


def _probe(uid: int, gid: int) -> dict[str, Any]:
    """The steps that this machine allows: own mounts with an own user, dropping capabilities, Landlock (0: none)."""
    found: dict[str, Any] = {"own_view": False, "drop_capabilities": False, "landlock": 0}
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)
    child = os.fork()  # because a view without a user, or the other way round, is no use
    if child == 0:
        try:
            _unshare(_CLONE_NEWNS | _CLONE_NEWNET)
            _show_only(["/mnt"], [], [])
            _become(uid, gid)
        except OSError as error:
            sys.stderr.write(str(error))
            sys.stderr.flush()  # os._exit does not
            os._exit(1)
        os._exit(0)
    found["own_view"] = os.waitpid(child, 0)[1] == 0
    with contextlib.suppress(OSError):
        version = _landlock_version()
        if version:
            _landlock(version, ["/"], [], [], network=True)
        found["landlock"] = version
    with contextlib.suppress(OSError):
        _drop_capabilities()
        found["drop_capabilities"] = True
    return found


def _become(uid: int, gid: int) -> None:
    os.setgroups([])
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)


def _show_only(hide: list[str], read: list[str], write: list[str]) -> None:
    """Cover folders with empty ones, and show below them only what the child may use, at the paths that it has.

    Covered is what `hide` names, and every folder above a path of `read` or `write` that other users cannot enter.
    """
    os.umask(0o022)
    _mount("none", "/", _MS_REC | _MS_PRIVATE)
    # At the path that was given, which the command line names, and where its symbolic links lead.
    there = [(path, path in write) for path in (*read, *write) if Path(path).exists()]
    wanted = {spelt: may for path, may in there for spelt in (path, os.path.realpath(path))}
    closed = [folder for path in wanted for folder in _closed_above(path)]
    covered = _topmost([*map(os.path.realpath, hide), *closed])
    below = {path: may for path, may in wanted.items() if any(_is_in(path, cover) for cover in covered)}
    opened = {path: os.open(path, os.O_PATH | os.O_CLOEXEC) for path in _topmost_first(below)}
    for cover in covered:
        _mount("none", cover, _MS_NOSUID | _MS_NODEV, kind="tmpfs", options="mode=0755,size=1m")
    for path, descriptor in opened.items():
        source = f"/proc/self/fd/{descriptor}"
        if not Path(path).exists():
            if Path(source).is_dir():
                Path(path).mkdir(parents=True)
            else:
                Path(path).parent.mkdir(parents=True, exist_ok=True)
                Path(path).touch()
        _mount(source, path, _MS_BIND | _MS_REC)
        access = 0 if below[path] else _MS_RDONLY
        _mount("none", path, _MS_REMOUNT | _MS_BIND | _MS_NOSUID | _MS_NODEV | access)


def _closed_above(path: str) -> list[str]:
    return [str(folder) for folder in Path(path).parents if not folder.stat().st_mode & 0o001]


def _topmost(paths: list[str]) -> list[str]:
    """The paths without those that lie below another of them."""
    return [path for path in dict.fromkeys(paths) if not any(path != other and _is_in(path, other) for other in paths)]


def _topmost_first(paths: dict[str, bool]) -> list[str]:
    return sorted(paths, key=lambda path: path.count("/"))


def _is_in(path: str, folder: str) -> bool:
    return Path(path).is_relative_to(folder)


def _landlock_version() -> int:
    version: int = _libc.syscall(_LANDLOCK_CREATE, None, ctypes.c_size_t(0), 1)
    return version if version >= _LEAST_LANDLOCK else 0


def _landlock(version: int, read: list[str], write: list[str], listed: list[str], *, network: bool) -> None:
    """Forbid every file but the system's programs and libraries, and those of `read` and `write` (landlock(7))."""
    every = _ALL_FS.get(version, _ALL_FS_NEWEST)
    tcp = 0 if network or version < 4 else _ALL_TCP
    scopes = _SCOPES if version >= 6 else 0
    attributes = struct.pack("QQQ", every, tcp, scopes)[: 24 if version >= 6 else 16 if version >= 4 else 8]
    rules = _call("landlock_create_ruleset", _LANDLOCK_CREATE, attributes, ctypes.c_size_t(len(attributes)), 0)
    for path in (*_SYSTEM, *read):
        _allow(rules, path, (_EXECUTE | _READ_FILE | _READ_DIR) & every)
    for path in _DEVICES:
        _allow(rules, path, (_READ_FILE | _WRITE_FILE | _TRUNCATE) & every)
    for path in listed:
        _allow(rules, path, _READ_DIR)
    for path in write:
        _allow(rules, path, every)
    _call("landlock_restrict_self", _LANDLOCK_RESTRICT, rules, 0)
    os.close(rules)


def _allow(rules: int, path: str, access: int) -> None:
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:
        return  # not every system has every folder
    if not Path(f"/proc/self/fd/{descriptor}").is_dir():
        access &= _EXECUTE | _READ_FILE | _WRITE_FILE | _TRUNCATE | 1 << 15
    rule = struct.pack("=Qi", access, descriptor)
    _call("landlock_add_rule", _LANDLOCK_ADD, rules, 1, rule, 0)
    os.close(descriptor)


def _drop_capabilities(but: Sequence[int] = ()) -> None:
    """Remove all capabilities but these from the bounding set: others cannot be gained by the next exec."""
    for capability in _capabilities() - {*but}:
        _prctl(_PR_CAPBSET_DROP, capability)


def _lower_ambient(but: Sequence[int]) -> None:
    """Drop ambient capabilities but these. A service manager may have given some, and they survive every exec."""
    for capability in _capabilities() - {*but}:
        _prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_LOWER, capability)


def _capabilities() -> set[int]:
    """The numbers of all capabilities of this kernel."""
    return {*range(int(Path("/proc/sys/kernel/cap_last_cap").read_text()) + 1)}


def _keep_capability(capability: int) -> None:
    """Have this capability alone, now and after the next exec as a user who is not root."""
    header, one = struct.pack("=Ii", _CAPABILITY_VERSION_3, 0), 1 << capability
    if _libc.capset(header, struct.pack("=6I", one, one, one, 0, 0, 0)) != 0:
        _fail("capset")
    _prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, capability)


def _unshare(flags: int) -> None:
    if _libc.unshare(flags) != 0:
        _fail("unshare")


def _mount(source: str, target: str, flags: int, *, kind: str = "none", options: str = "") -> None:
    arguments = source.encode(), os.fsencode(target), kind.encode()
    if _libc.mount(*arguments, ctypes.c_ulong(flags), options.encode()) != 0:
        _fail(f"mount {target}")


def _prctl(what: int, *values: int) -> None:
    if _libc.prctl(what, *map(ctypes.c_ulong, (*values, 0, 0, 0)[:4])) != 0:
        _fail(f"prctl {what}")


def _call(name: str, number: int, *arguments: Any) -> int:
    result: int = _libc.syscall(number, *arguments)
    if result < 0:
        _fail(name)
    return result


def _fail(what: str) -> None:
    number = ctypes.get_errno()
    raise OSError(number, f"{what}: {os.strerror(number)}")


if __name__ == "__main__":
    main()
