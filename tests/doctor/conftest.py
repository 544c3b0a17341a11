"""Settings without those of the environment, as the thing that a check examines."""

import os
import sys
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
