"""Finds tones in the audio that a participant receives."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from portico.client import AudioFrame
from tests.gateway.media_peer import level
from tests.waiting import until

AUDIBLE = -35.0
"""Decibels from which a tone counts as present; the tests' tones have at least -20."""
GONE_SECS = 0.3
"""After this long without a frame a tone counts as ended: the server then passes nothing on."""
WITHIN_SECS = 30.0


class Ear:
    """Receives frames in its context, and finds some tones in them: `async with Ear(frames, 440) as ear`."""

    def __init__(self, frames: AsyncIterator[AudioFrame], *tones: int, window: int = 3) -> None:
        """`window` is the number of frames (20 ms) in which the tones are looked for."""
        self.last: dict[int, float] = dict.fromkeys(tones, 0.0)
        """When the last frame with each tone arrived, by the event loop's clock."""
        self._frames = frames
        self._recent: deque[NDArray[np.float64]] = deque(maxlen=window)
        self._arrived = 0.0
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._receive())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._task is not None
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def expect(self, *tones: int) -> float:
        """Wait until exactly these tones are received; returns when that is, by the event loop's clock."""
        began = asyncio.get_running_loop().time()
        await until(lambda: self._has(set(tones), began), WITHIN_SECS, f"exactly {tones} Hz are received")
        return asyncio.get_running_loop().time()

    async def expect_end(self, tone: int) -> float:
        """Wait until a tone has not been received for a second; returns when it was received last."""
        loop = asyncio.get_running_loop()
        await until(lambda: loop.time() - self.last[tone] > 1.0, WITHIN_SECS, f"the tone of {tone} Hz ends")
        return self.last[tone]

    async def continues(self, tone: int, secs: float = 0.3) -> None:
        """Wait until frames with the tone have arrived for so many seconds more."""
        end = asyncio.get_running_loop().time() + secs
        await until(lambda: self.last[tone] > end, WITHIN_SECS, f"the tone of {tone} Hz goes on")

    def _has(self, tones: set[int], began: float) -> bool:
        if asyncio.get_running_loop().time() - max(began, self._arrived) > GONE_SECS:
            return not tones
        if len(self._recent) < (self._recent.maxlen or 0):
            return False
        samples = np.concatenate(self._recent)
        return {tone for tone in self.last if level(samples, tone) > AUDIBLE} == tones

    async def _receive(self) -> None:
        async for frame in self._frames:
            samples = np.frombuffer(frame.pcm, "<i2") / 32768
            self._recent.append(samples)
            self._arrived = frame.arrived
            for tone in self.last:
                if level(samples, tone) > AUDIBLE:
                    self.last[tone] = frame.arrived
