"""The wall clock of whole processes, set while they run by Debian's libfaketime; the monotonic one stays real."""

import sys
from pathlib import Path

import pytest

from tests.servers import PorticoServer


def displaced(by: int) -> dict[str, str]:
    """Variables of a program whose wall clock is ahead by so many seconds, or behind; the monotonic one stays real."""
    found = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
    if not found:
        pytest.fail("libfaketime is not installed: apt-get install faketime")
    return {
        "LD_PRELOAD": str(found[0]),
        "FAKETIME": f"{by:+d}",
        "DONT_FAKE_MONOTONIC": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }


class SetClock:
    """Sets the wall clock of processes."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.offset = 0
        self.set(0)
        self.environment = displaced(0) | {
            "PYTHONPATH": str(Path(__file__).parents[1]),
            "FAKETIME_TIMESTAMP_FILE": str(file),
            "FAKETIME_NO_CACHE": "1",
        }
        del self.environment["FAKETIME"]

    def rule(self, server: PorticoServer, role: str = "serve") -> PorticoServer:
        """Have the server, once started, take its wall clock from here; the monotonic one stays real."""
        server.command = (sys.executable, "-m", "tests.gateway.disturbed_server", role)
        server.environment = self.environment
        return server

    def set(self, by: int) -> None:
        """Set it forward, or back, by so many seconds."""
        self.offset += by
        new = self._file.with_suffix(".new")
        new.write_text(f"{self.offset:+d}")
        new.replace(self._file)
