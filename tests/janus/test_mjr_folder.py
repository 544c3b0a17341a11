"""A node's folder of mjr files and its id, which is made once and stays."""

import subprocess
import sys
from pathlib import Path

import pytest

from portico.janus.mjr_folder import open_mjr_folder


def test_a_folder_gets_one_name_and_keeps_it(tmp_path: Path) -> None:
    made = open_mjr_folder(tmp_path / "one")
    assert made.path.is_dir() and len(made.node_id) == 8
    assert open_mjr_folder(tmp_path / "one") == made
    assert open_mjr_folder(tmp_path / "other").node_id != made.node_id
    assert sorted(path.name for path in (tmp_path / "one").iterdir()) == ["dumps", "place"]


@pytest.mark.parametrize("left", ["", "\n"])
def test_a_name_that_a_crash_left_empty_is_none(tmp_path: Path, left: str) -> None:
    (tmp_path / "place").write_text(left)
    made = open_mjr_folder(tmp_path)
    assert len(made.node_id) == 8
    assert open_mjr_folder(tmp_path) == made


def test_the_name_is_on_disk_before_anything_is_called_by_it(tmp_path: Path) -> None:
    trace, folder = tmp_path / "trace", tmp_path / "data"
    program = f"""import pathlib
from portico.janus.mjr_folder import open_mjr_folder
open_mjr_folder(pathlib.Path({str(folder)!r}))
"""
    command = ["strace", "-f", "-y", "-o", str(trace), "-e", "trace=fsync,rename", sys.executable, "-c", program]
    subprocess.run(command, check=True)
    calls = [line.split(maxsplit=1)[1] for line in trace.read_text().splitlines() if str(folder) in line]
    assert [call.partition("(")[0] for call in calls] == ["fsync", "rename", "fsync"]
