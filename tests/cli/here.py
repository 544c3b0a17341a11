"""The command line in the process of the test, for what needs none of its own: a start takes half a second."""

import os
from pathlib import Path

import pytest

from portico.cli.main import main


def run_here(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], cwd: Path, *arguments: str, **settings: str
) -> tuple[int, str, str]:
    """Exit status, standard output and standard error of `portico ARGUMENTS` in `cwd`, with these settings only."""
    for name in [name for name in os.environ if name.upper().startswith("PORTICO_")]:
        monkeypatch.delenv(name)
    for name, value in settings.items():
        monkeypatch.setenv(f"PORTICO_{name}", value)
    monkeypatch.chdir(cwd)
    monkeypatch.setattr("sys.argv", ["portico", *arguments])
    umask = os.umask(0o077)
    try:
        with pytest.raises(SystemExit) as ended:
            main()
    finally:
        os.umask(umask)
    status = ended.value.code
    assert isinstance(status, int)
    return status, *capsys.readouterr()
