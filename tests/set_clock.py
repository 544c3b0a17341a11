"""The wall clock of whole processes, set while they run by Debian's libfaketime; the monotonic one stays real."""

import sys
from pathlib import Path

import pytest

from tests.servers import PorticoServer


class SetClock:
    """Sets the wall clock of processes."""

    def __init__(self, file: Path) -> None:
        found = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
        if not found:
            pytest.fail("libfaketime is not installed: apt-get install faketime")
        self._file = file
        self.offset = 0
        self.set(0)
        self.environment = {
            "PYTHONPATH": str(Path(__file__).parents[1]),
            "LD_PRELOAD": str(found[0]),
            "FAKETIME_TIMESTAMP_FILE": str(file),
            "FAKETIME_NO_CACHE": "1",
            "DONT_FAKE_MONOTONIC": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }

    def rule(self, server: PorticoServer) -> PorticoServer:
        """Have the server, once started, take its wall clock from here; the monotonic one stays real."""
        server.command = (sys.executable, "-m", "tests.gateway.disturbed_server", "serve")
        server.environment = self.environment
        return server

    def set(self, by: int) -> None:
        """Set it forward, or back, by so many seconds."""
        self.offset += by
        new = self._file.with_suffix(".new")
        new.write_text(f"{self.offset:+d}")
        new.replace(self._file)
