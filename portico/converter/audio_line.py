"""Lays Opus packets out without gaps so that each begins at its time, because an Ogg player plays without pauses.

Missing packets become silence. A sender whose clock runs fast or slow sends too many packets or too few: now and then
one is dropped or silence inserted, where the sound is quiet if possible.
"""

from collections.abc import Iterator
from typing import NamedTuple

from portico.converter import opus

QUIET_MS = 10
"""Milliseconds that a quiet packet may be early or late before a packet is dropped or silence inserted."""
LOUD_MS = 30
"""The same for any other packet: larger, because a correction is audible in speech."""
_QUIET_SHARE = 0.5
"""A packet with less than this share of the usual number of bytes is quiet: Opus codes pauses in fewer bytes."""
_USUAL_OVER = 250
"""Packets that the usual size is averaged over: 5 s of packets of 20 ms."""


class Piece(NamedTuple):
    """A packet of the converted file, and where it begins in samples since the first."""

    at: int
    samples: int
    packet: bytes


class AudioLine:
    """Turns packets with their times into pieces that follow each other without gaps."""

    def __init__(self) -> None:
        self.end = 0
        """Samples that the pieces so far have together: where the next one begins."""
        self._start_ms: float | None = None
        self._due_ticks = 0
        self._usual_size = 0.0

    def put(self, time_ms: float, ticks: int, packet: bytes) -> Iterator[Piece]:
        """The pieces that this packet adds; none if it is not valid Opus, or dropped.

        `time_ms` says when it was sent, by our clock; `ticks` is its RTP timestamp in samples. Packets come in the
        order in which they were sent; the first one begins at sample 0.
        """
        samples = opus.samples_of(packet)
        if samples == 0:
            return
        if self._start_ms is None:
            self._start_ms, self._due_ticks, self._usual_size = time_ms, ticks, len(packet)
        behind = round((time_ms - self._start_ms) * opus.SAMPLES_PER_MS) - self.end
        allowed = (QUIET_MS if self._is_quiet(packet) else LOUD_MS) * opus.SAMPLES_PER_MS
        gap = ticks != self._due_ticks
        self._due_ticks = ticks + samples
        if behind <= -max(allowed, samples // 2):
            return
        if behind >= (opus.SHORTEST if gap else allowed):
            missing = behind - behind % opus.SHORTEST
            for silent in opus.silence(missing, stereo=opus.is_stereo(packet)):
                yield self._add(silent, opus.samples_of(silent))
        yield self._add(packet, samples)

    def _is_quiet(self, packet: bytes) -> bool:
        quiet = len(packet) < _QUIET_SHARE * self._usual_size
        self._usual_size += (len(packet) - self._usual_size) / _USUAL_OVER
        return quiet

    def _add(self, packet: bytes, samples: int) -> Piece:
        piece = Piece(self.end, samples, packet)
        self.end += samples
        return piece
