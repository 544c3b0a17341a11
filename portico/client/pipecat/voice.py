"""The audio of a bot in real time: what the pipeline writes, and silence while it writes nothing."""

import asyncio
from collections.abc import AsyncIterator

from portico.client.frames import FRAME_BYTES, FRAME_SECS, AudioFrame

LEAD_BYTES = 3 * FRAME_BYTES
"""Audio that waits to be sent while the pipeline writes more: 60 ms. It may be late by that much without a gap."""
LATE_MAX_SECS = 0.5
"""When the program is later than this, the clock of the frames is moved; otherwise it sends faster to catch up."""


class Voice:
    """A source for `Room.publish`: frames of 20 ms without end, so that a silent bot goes on publishing."""

    def __init__(self) -> None:
        self._pcm = bytearray()
        self._taken = asyncio.Event()
        self._is_closed = False

    async def play(self, pcm: bytes) -> bool:
        """Add samples of 16 bits, 48 kHz, mono; return True when more may be added, False when the source is closed."""
        self._pcm += pcm
        while len(self._pcm) > LEAD_BYTES and not self._is_closed:
            self._taken.clear()
            await self._taken.wait()
        return not self._is_closed

    def clear(self) -> None:
        """Drop the audio that is not sent yet, because the bot was interrupted."""
        self._pcm.clear()
        self._taken.set()

    def close(self) -> None:
        """End the source; a waiting `play` returns False."""
        self._is_closed = True
        self.clear()

    async def audio_frames(self) -> AsyncIterator[AudioFrame]:
        """The frames, one every 20 ms; each is filled when it is due, so audio that is added now is in the next one."""
        loop = asyncio.get_running_loop()
        began, count = loop.time(), 0
        while not self._is_closed:
            late = loop.time() - began - count * FRAME_SECS
            if late < 0:
                await asyncio.sleep(-late)
            elif late > LATE_MAX_SECS:
                began += late
            pcm = bytes(self._pcm[:FRAME_BYTES])
            del self._pcm[:FRAME_BYTES]
            self._taken.set()
            yield AudioFrame(pcm.ljust(FRAME_BYTES, b"\0"), count * FRAME_SECS)
            count += 1
