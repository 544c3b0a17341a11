"""Settings without those of the environment, as the thing that a check examines."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import pytest

from portico.config.settings import load
from portico.doctor.subject import Subject


class MakeSubject(Protocol):
    """Settings by their names in lower case."""

    def __call__(self, **settings: object) -> Subject: ...


@pytest.fixture
def subject(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> MakeSubject:
    """Makes what is examined; DATA_DIR is there and empty unless another one is named. Any program does for Janus."""
    for name in [name for name in os.environ if name.upper().startswith("PORTICO_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()

    def make(**settings: object) -> Subject:
        return Subject(load(**{"data_dir": str(tmp_path / "data"), "janus_bin": sys.executable} | settings))

    return make


@contextmanager
def a_server_process(data_dir: Path) -> Iterator[int]:
    """A process that holds DATA_DIR as `portico serve` does, as far as its lock file and its command say; its id."""
    with subprocess.Popen(["sh", "-c", "read line", "portico"], stdin=subprocess.PIPE) as process:
        while b"portico" not in Path(f"/proc/{process.pid}/cmdline").read_bytes():
            assert process.poll() is None  # the kernel shows the command a moment after the program was started
        (data_dir / "portico.db.lock").write_text(str(process.pid))
        try:
            yield process.pid
        finally:
            process.communicate()
            (data_dir / "portico.db.lock").unlink()
