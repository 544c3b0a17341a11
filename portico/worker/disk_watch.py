"""Watches the free space of the disk, so that recording stops before the disk is full."""

import asyncio
import shutil
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import structlog

from portico.db.outage import faults_logged
from portico.runtime.periodic import Periodic

log = structlog.get_logger()

LOOK_SECS = 1.0
LEAST_FREE_BYTES = 500_000_000
RESUME_AT = 1.2
"""Recording resumes when this many times the limit is free, so that it does not stop and start all the time."""


class DiskWatch:
    """Watches one folder's file system. `on_change` gets True when space gets low and False when it is enough again."""

    def __init__(
        self,
        folder: Path,
        on_change: Callable[[bool], Awaitable[None]],
        *,
        least_free_bytes: int = LEAST_FREE_BYTES,
    ) -> None:
        self._folder = folder
        self._on_change = on_change
        self._least = least_free_bytes
        guard = partial(faults_logged, "looking at the disk failed")
        self._loop = Periodic(self.look, LOOK_SECS, guard, pauses_first=True)
        self.is_low = False
        """Whether the last look found too little space. Nothing new may be recorded while it is true."""

    async def start(self) -> None:
        """Look once, then begin to look periodically."""
        await asyncio.to_thread(self._folder.mkdir, parents=True, exist_ok=True)
        await self.look()
        self._loop.start()

    async def stop(self) -> None:
        await self._loop.stop()

    async def look(self) -> None:
        """Compare the free space with the limit, and call `on_change` if the result is another one."""
        free = (await asyncio.to_thread(shutil.disk_usage, self._folder)).free
        is_low = free < self._least * (RESUME_AT if self.is_low else 1)
        if is_low == self.is_low:
            return
        self.is_low = is_low
        write = log.error if is_low else log.info
        write("disk is nearly full" if is_low else "disk has room again", folder=str(self._folder), free_bytes=free)
        await self._on_change(is_low)
