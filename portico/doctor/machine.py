"""The machine: its clock, its limit of open files, the disk of DATA_DIR and how fast it makes writes durable."""

import ctypes
import os
import pwd
import re
import resource
import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from portico.doctor.finding import Finding, note, ok, problem, warning
from portico.doctor.probes import in_thread, reason
from portico.doctor.subject import Subject, running_pid
from portico.listener.descriptors import OPEN_FILES_MAX

CLOCK, FILES, DISK = "clock", "open files", "disk"
_UNSYNCHRONISED = 5
"""What adjtimex(2) returns (TIME_ERROR) while no program keeps the clock right."""
FEW_FILES, SOME_FILES = 1024, 4096
SLOW_SYNC_SECS, VERY_SLOW_SYNC_SECS = 0.03, 0.5
_SYNCS, _SYNC_SECS = 20, 1.5
_IN_MEMORY = {"tmpfs", "ramfs"}
_OF_A_NETWORK = re.compile(r"nfs\d?|cifs|smb3?|9p|fuse\.(sshfs|s3fs|glusterfs|rclone)|ceph|glusterfs|afs")


async def check_clock(subject: Subject) -> list[Finding]:
    """Examine whether a program keeps the clock right. database.py compares it with the database's clock."""
    return [judge_clock(_clock_state())]


def judge_clock(state: int | None) -> Finding:
    """The finding about the clock. `state` is what adjtimex(2) returns; None where the call is not allowed."""
    if state is None:
        return note(CLOCK, "Whether the clock is kept right cannot be read here.")
    if state == _UNSYNCHRONISED:
        return warning(
            CLOCK,
            "The clock is not synchronised: tokens, certificates and links to files depend on it.",
            "Install chrony, or run `timedatectl set-ntp true`; in a container do it on the host.",
        )
    return ok(CLOCK, "The clock is synchronised.")


def _clock_state() -> int | None:
    buffer = ctypes.create_string_buffer(512)  # struct timex, all zero: nothing is set
    try:
        state = ctypes.CDLL(None, use_errno=True).adjtimex(buffer)
    except (OSError, AttributeError):
        return None
    return None if state < 0 else int(state)


async def check_files(subject: Subject) -> list[Finding]:
    """Examine the limit of open files of the running server, or that of a server started from here."""
    pid = running_pid(subject.settings)
    limit = await in_thread(lambda: _limit_of(pid))
    return [judge_files(limit, subject.settings.sockets_max, is_running=pid is not None)]


def judge_files(limit: int, sockets_max: int, *, is_running: bool) -> Finding:
    """The finding about the limit. A participant takes two sockets: one of the browser, one to Janus."""
    subject = "The running server" if is_running else "A server started from here"
    reserve = min(256, limit // 4)  # of listener/descriptors.py
    participants = (limit - reserve) // 2
    wanted = min(OPEN_FILES_MAX, 2 * sockets_max + 256)
    text = f"{subject} may open {limit} files, enough for {participants} participants at once."
    remedy = f"Raise the hard limit to {OPEN_FILES_MAX}: LimitNOFILE= in systemd, `ulimit -Hn` in a shell."
    if limit < FEW_FILES:
        return problem(FILES, text, remedy)
    if limit < wanted:
        text = f"{text[:-1]}; PORTICO_SOCKETS_MAX admits {sockets_max} connections."
        return warning(FILES, text, remedy) if limit < SOME_FILES else note(FILES, text, remedy)
    return ok(FILES, text)


def _limit_of(pid: int | None) -> int:
    """The soft limit of a process; without one the limit to which `portico serve` raises its own."""
    if pid is not None:
        try:
            found = re.search(r"^Max open files\s+(\d+)", Path(f"/proc/{pid}/limits").read_text(), re.MULTILINE)
        except OSError:
            found = None
        if found is not None:
            return int(found[1])
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return OPEN_FILES_MAX if hard == resource.RLIM_INFINITY else min(hard, OPEN_FILES_MAX)


@dataclass(frozen=True, slots=True)
class DiskFacts:
    """The disk of a folder. Sizes in bytes, times in seconds."""

    folder: Path
    free: int
    total: int
    free_inodes: int | None
    """The number of free inodes; None where the file system has no fixed number."""
    file_system: str
    """The type of the file system, such as ext4; empty where it is not known."""
    sync: float | None
    """Median time of a write of 4 kB with fsync; None when it failed."""
    error: str = ""
    """Why no file could be written."""


async def check_disk(subject: Subject) -> list[Finding]:
    """Examine space and speed of the disk of DATA_DIR. A file without a name is written, of which nothing is left."""
    owner = subject.data_dir_owner
    facts = await in_thread(lambda: disk_facts(subject.existing_folder))
    findings = judge_disk(facts, subject.settings.recording_min_free_mb)
    if owner is not None:
        findings.append(
            warning(
                DISK,
                f"DATA_DIR belongs to the user {_name_of(owner)}, and this command runs as {_name_of(os.geteuid())}: "
                "what would leave files of the wrong user in it was not tried.",
                f"Run the examination as the user of the server: `sudo -u {_name_of(owner)} portico doctor`.",
            )
        )
    return findings


def judge_disk(facts: DiskFacts, min_free_mb: int) -> list[Finding]:
    """Findings about space, kind and speed."""
    return [_judge_space(facts, min_free_mb), *_judge_kind(facts), _judge_speed(facts)]


def _judge_space(facts: DiskFacts, min_free_mb: int) -> Finding:
    free = facts.free / 1e9
    text = f"{facts.folder} has {free:.1f} GB of {facts.total / 1e9:.0f} GB free."
    remedy = "Free space on this disk, move PORTICO_DATA_DIR, or keep recordings for a time (PORTICO_RECORDING_DAYS)."
    if facts.free < min_free_mb * 1_000_000:
        return problem(
            DISK, f"{text[:-1]}, less than PORTICO_RECORDING_MIN_FREE_MB ({min_free_mb}): recording pauses.", remedy
        )
    if facts.free_inodes is not None and facts.free_inodes < 1000:
        return problem(DISK, f"{facts.folder} has only {facts.free_inodes} inodes left.", "Delete files on this disk.")
    if facts.free < 4 * min_free_mb * 1_000_000:
        return warning(DISK, f"{text[:-1]}, which a few recordings fill.", remedy)
    return ok(DISK, text)


def _judge_kind(facts: DiskFacts) -> list[Finding]:
    if facts.file_system in _IN_MEMORY:
        remedy = "Set PORTICO_DATA_DIR to a folder on a disk; in a container mount a volume there."
        return [warning(DISK, f"{facts.folder} is in memory ({facts.file_system}): a restart loses all data.", remedy)]
    if _OF_A_NETWORK.fullmatch(facts.file_system):
        return [
            warning(
                DISK,
                f"{facts.folder} is on a network file system ({facts.file_system}), on which SQLite may lose data.",
                "Set PORTICO_DATA_DIR to a folder on a local disk, or use PostgreSQL and an S3 store.",
            )
        ]
    return []


def _judge_speed(facts: DiskFacts) -> Finding:
    if facts.sync is None:
        return problem(
            DISK,
            f"{facts.folder} cannot be written: {facts.error}.",
            "Give the server's user the right to write there, or choose another PORTICO_DATA_DIR.",
        )
    text = f"A durable write takes {facts.sync * 1000:.1f} ms."
    remedy = "Use a disk with less latency (SSD, no network disk): every join waits for one such write."
    if facts.sync >= VERY_SLOW_SYNC_SECS:
        return problem(DISK, text, remedy)
    return warning(DISK, text, remedy) if facts.sync >= SLOW_SYNC_SECS else ok(DISK, text)


def disk_facts(folder: Path) -> DiskFacts:
    """Read the facts, and measure for _SYNC_SECS at most, or as long as one write takes."""
    space = os.statvfs(folder)
    inodes = space.f_favail if space.f_files else None
    sync, error = None, ""
    try:
        sync = _sync_secs(folder)
    except OSError as failure:
        error = reason(failure)
    free, total = space.f_bavail * space.f_frsize, space.f_blocks * space.f_frsize
    return DiskFacts(folder, free, total, inodes, _file_system(folder), sync, error)


def _sync_secs(folder: Path) -> float:
    took: list[float] = []
    began = time.monotonic()
    with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
        while len(took) < _SYNCS and time.monotonic() - began < _SYNC_SECS:
            start = time.monotonic()
            file.write(b"portico " * 512)
            os.fsync(file.fileno())
            took.append(time.monotonic() - start)
    return statistics.median(took)


def _file_system(folder: Path) -> str:
    """The type of the file system that a folder is on, by proc(5)'s mountinfo."""
    best, kind = Path("/"), ""
    resolved = folder.resolve()
    try:
        lines = Path("/proc/self/mountinfo").read_text().splitlines()
    except OSError:
        return ""
    for line in lines:
        before, _, after = line.partition(" - ")
        at = Path(re.sub(r"\\(\d{3})", lambda octal: chr(int(octal[1], 8)), before.split()[4]))
        if resolved.is_relative_to(at) and len(at.parts) >= len(best.parts):
            best, kind = at, after.split()[0]
    return kind


def _name_of(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
