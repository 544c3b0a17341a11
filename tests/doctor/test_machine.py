"""The clock, the limit of open files and the disk."""

import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from portico.doctor import machine
from portico.doctor.machine import DiskFacts, disk_facts, judge_clock, judge_disk, judge_files
from tests.contract.answers import ANSWERS_WITHIN_SECS
from tests.doctor.conftest import MakeSubject
from tests.doctor.findings import levels

FAST = DiskFacts(Path("/data"), free=10**11, total=10**12, free_inodes=10**6, file_system="ext4", sync=0.001)
FILES = """
import asyncio
from portico.config.settings import load
from portico.doctor.machine import check_files
from portico.doctor.subject import Subject
print(*asyncio.run(check_files(Subject(load()))))
"""


@pytest.mark.parametrize(("state", "level"), [(0, "ok"), (4, "ok"), (5, "warning"), (None, "note")])
def test_a_clock_that_no_program_keeps_right_is_warned_of(state: int | None, level: str) -> None:
    assert levels([judge_clock(state)]) == [level]


async def test_the_clock_of_this_machine_is_read(subject: MakeSubject) -> None:
    (found,) = await machine.check_clock(subject())
    assert "synchronised" in found.text


@pytest.mark.parametrize(
    ("limit", "level"), [(256, "problem"), (1024, "warning"), (4096, "note"), (20_000, "note"), (65_536, "ok")]
)
def test_few_open_files_are_reported_with_the_number_of_participants(limit: int, level: str) -> None:
    found = judge_files(limit, 20_000, is_running=False)
    assert levels([found]) == [level]
    assert f"may open {limit} files" in found.text
    assert f"{(limit - min(256, limit // 4)) // 2} participants" in found.text


@pytest.mark.skipif(shutil.which("prlimit") is None, reason="needs prlimit")
def test_the_limit_of_the_shell_is_the_limit_of_a_server_that_it_starts(tmp_path: Path) -> None:
    command = ["prlimit", "--nofile=300:300", "--", sys.executable, "-c", FILES]
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, cwd=tmp_path, timeout=ANSWERS_WITHIN_SECS
    )
    assert "level='problem'" in done.stdout
    assert "may open 300 files" in done.stdout


@pytest.mark.skipif(shutil.which("prlimit") is None, reason="needs prlimit")
async def test_the_limit_of_a_running_server_counts(subject: MakeSubject) -> None:
    settings = subject().settings
    sleep = "import sys; sys.stdin.read()"
    command = ["prlimit", "--nofile=350:350", "--", sys.executable, "-c", sleep, "portico"]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
        assert settings.sqlite_file is not None
        settings.sqlite_file.with_name("portico.db.lock").write_text(str(process.pid))
        shown = Path(f"/proc/{process.pid}/cmdline")
        while not shown.read_bytes().startswith(os.fsencode(sys.executable)):  # until prlimit has become the program
            assert process.poll() is None
        (found,) = await machine.check_files(subject())
        process.communicate()
    assert "The running server may open 350 files" in found.text
    assert levels([found]) == ["problem"]


def test_a_good_disk_is_good() -> None:
    assert levels(judge_disk(FAST, 500)) == ["ok", "ok"]


@pytest.mark.parametrize(
    ("facts", "level", "word"),
    [
        (replace(FAST, free=400 * 10**6), "problem", "recording pauses"),
        (replace(FAST, free=10**9), "warning", "a few recordings"),
        (replace(FAST, free_inodes=10), "problem", "inodes"),
        (replace(FAST, free_inodes=None), "ok", "durable"),
        (replace(FAST, sync=0.05), "warning", "50.0 ms"),
        (replace(FAST, sync=0.8), "problem", "800.0 ms"),
        (replace(FAST, file_system="nfs4"), "warning", "network"),
        (replace(FAST, file_system="fuse.sshfs"), "warning", "network"),
    ],
)
def test_a_full_slow_or_distant_disk_is_reported(facts: DiskFacts, level: str, word: str) -> None:
    found = judge_disk(facts, 500)
    levels(found)
    assert [each.level for each in found if word in each.text] == [level]


def test_a_folder_in_memory_is_warned_of() -> None:
    if not Path("/dev/shm").is_dir():
        pytest.skip("needs /dev/shm")
    found = judge_disk(disk_facts(Path("/dev/shm")), 0)
    assert [each.level for each in found if "in memory (tmpfs)" in each.text] == ["warning"]


def test_a_folder_that_cannot_be_written_is_a_problem() -> None:
    """Not even root makes a file there."""
    found = judge_disk(disk_facts(Path("/proc")), 0)
    assert [each.level for each in found if "cannot be written" in each.text] == ["problem"]


async def test_a_folder_that_is_not_there_yet_is_measured_where_it_will_be(
    subject: MakeSubject, tmp_path: Path
) -> None:
    found = await machine.check_disk(subject(data_dir=str(tmp_path / "later" / "data")))
    assert found[0].text.startswith(f"{tmp_path} has ")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data"]
