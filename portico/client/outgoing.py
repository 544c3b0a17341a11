"""The tracks that a client sends: queues of encoded frames, each with the time at which it is due."""

import asyncio
from fractions import Fraction
from typing import Any

from aiortc import MediaStreamTrack
from aiortc.mediastreams import MediaStreamError
from av import Packet

from portico.client.frames import FRAME_SECS, EncodedFrame
from portico.client.queues import DroppingQueue

WAITING_MAX = {"audio": 50, "video": 60}
"""The lengths of the queues in encoded frames: 1 s of audio and 2 s of video."""
FILL_SECS = 0.4
"""An audio track without frames sends silence this often: the server ends a stream that sends nothing, and a connection
from which no packet arrives. Opus itself sends as rarely in pauses (DTX)."""
_RATES = {"audio": 48_000, "video": 90_000}
_TIME_BASES = {kind: Fraction(1, rate) for kind, rate in _RATES.items()}
_SILENCE = b"\xf8\xff\xfe"
"""An Opus packet with 20 ms of silence, which any decoder accepts."""


class OutgoingTrack(MediaStreamTrack):
    """A track of encoded frames, which aiortc sends as they are."""

    def __init__(self, kind: str, epoch: float) -> None:
        """`epoch` is the event loop's time at which the track's clock is 0. Tracks with one epoch are synchronous."""
        super().__init__()
        self.kind = kind
        self._epoch = epoch
        self._packets: DroppingQueue[tuple[bytes, float]] = DroppingQueue(WAITING_MAX[kind])
        self._last = -1.0
        self._step = FRAME_SECS if kind == "audio" else 0.001

    def send(self, frame: EncodedFrame, due: float) -> None:
        """Queue a frame that is due at this time of the event loop; a full queue drops its oldest frame."""
        self._last = max(due - self._epoch, self._last + self._step)
        self._packets.put((frame.data, self._last))

    def fill(self, now: float) -> None:
        """Queue one frame of silence if this is an audio track that got no frame for FILL_SECS."""
        if self.kind == "audio" and now - self._epoch - self._last >= FILL_SECS:
            self.send(EncodedFrame(_SILENCE, 0.0, "opus"), now)

    async def recv(self) -> Any:
        """Wait for the next frame; aiortc's sender calls this. Raises MediaStreamError once the track is stopped."""
        queued = await self._packets.get()
        if queued is None:
            raise MediaStreamError
        packet: Any = Packet(queued[0])
        packet.pts, packet.time_base = round(queued[1] * _RATES[self.kind]), _TIME_BASES[self.kind]
        return packet

    def stop(self) -> None:
        """End the track: aiortc's sender stops waiting for frames."""
        self._packets.close()
        super().stop()


async def fill(tracks: "set[OutgoingTrack]") -> None:
    """Fill all tracks of this set with silence where needed, until cancelled."""
    loop = asyncio.get_running_loop()
    while True:
        for track in tracks:
            track.fill(loop.time())
        await asyncio.sleep(FILL_SECS)
