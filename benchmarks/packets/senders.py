"""What sends packets that were encoded ahead, each at its time."""

import secrets
import time
from collections.abc import Sequence

from benchmarks.packets.path import Path
from benchmarks.packets.rtp import audio_packet, video_packet, video_payload

FRAME_SECS = 0.02
FRAMES_PER_SEC = 50
PICTURES_PER_SEC = 30
SILENT = 127
VIDEO_PACKET_BYTES = 1100
"""Of payload, about what Chromium sends."""


class Sender:
    """One outgoing stream; `due` is the time of its next packet by time.monotonic()."""

    due = 0.0

    def __init__(self, path: Path) -> None:
        self.path = path
        self.ssrc = secrets.randbits(31) | 1
        self._sequence = secrets.randbits(15)

    @property
    def secs(self) -> float:
        """From one packet to the next."""
        raise NotImplementedError

    def start(self, now: float) -> float:
        """Begin; returns the time of the first packet, somewhere in the first interval."""
        self.due = now + secrets.randbelow(1000) / 1000 * self.secs
        return self.due

    def send_next(self) -> None:
        """Send the packet that is due."""
        raise NotImplementedError

    def skip(self, now: float) -> int:
        """Go on with the present, leaving out what is too late; returns the number of packets."""
        missed = int((now - self.due) / self.secs) + 1
        self.due += missed * self.secs
        return missed


class AudioSender(Sender):
    """Sound: frames of 20 ms, again and again."""

    def __init__(self, path: Path, frames: Sequence[bytes], level: int = SILENT) -> None:
        """`level` in -dBov is what Janus takes for who speaks: 0 is loud, 127 silent."""
        super().__init__(path)
        self.frames, self.level = frames, level
        self.index = 0
        self.begun_at: list[float] = []
        """When each second of the sound began to be sent, by time.monotonic()."""

    @property
    def secs(self) -> float:
        return FRAME_SECS

    def send_next(self) -> None:
        payload = self.frames[self.index % len(self.frames)]
        if self.index % FRAMES_PER_SEC == 0:
            self.begun_at.append(time.monotonic())
        self.path.send(audio_packet(self._sequence, self.index * 960, self.ssrc, self.level, payload))
        self._sequence += 1
        self.index += 1
        self.due += FRAME_SECS

    def skip(self, now: float) -> int:
        missed = super().skip(now)
        self.index += missed
        return missed


class VideoSender(Sender):
    """Pictures: as many packets a second as `rate` says, evenly spread, as a browser's pacer does."""

    def __init__(self, path: Path, rate: float) -> None:
        super().__init__(path)
        self.rate = rate
        self._filler = secrets.token_bytes(VIDEO_PACKET_BYTES - 9)
        self._sent = 0
        self._timestamp = 0

    @property
    def secs(self) -> float:
        return 1 / self.rate

    def send_next(self) -> None:
        self._sent += 1
        is_last = self._sent % max(1, round(self.rate / PICTURES_PER_SEC)) == 0
        payload = video_payload(time.monotonic_ns(), self._filler)
        self.path.send(video_packet(self._sequence, self._timestamp, self.ssrc, marker=is_last, payload=payload))
        self._sequence += 1
        self._timestamp += 90000 // PICTURES_PER_SEC if is_last else 0
        self.due += self.secs
