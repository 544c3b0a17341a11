"""Puts Opus packets one after the other so that each stands at its time: an Ogg player plays without pause.

What is missing becomes silence. A sender's clock that runs fast or slow leaves too many packets or too few: one is
dropped or silence inserted now and then, in a quiet place if there is one before the error can be noticed.
"""

from collections.abc import Iterator
from typing import NamedTuple

from portico.converter import opus

QUIET_MS = 10
"""An error that is mended where a packet is quiet."""
LOUD_MS = 30
"""An error that is mended wherever it is."""
_QUIET_SHARE = 0.5
"""A packet is quiet if it has less than this share of the usual bytes: speech is large, pauses are small."""
_MEMORY = 250
"""Over how many packets the usual size is taken."""


class Piece(NamedTuple):
    """A packet of the converted file, and where it begins in samples since the first."""

    at: int
    samples: int
    packet: bytes


class AudioLine:
    """Takes packets with their times and gives the pieces of a line without holes."""

    def __init__(self) -> None:
        self.end = 0
        """Where the line ends, in samples since its beginning."""
        self._start_ms: float | None = None
        self._due_ticks = 0
        self._usual_size = 0.0

    def place(self, time_ms: float, ticks: int, packet: bytes) -> Iterator[Piece]:
        """The pieces that this packet adds; a packet that is no sound Opus adds none.

        Packets come in the order in which they were sent; the first one is the beginning of the line.
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
        self._usual_size += (len(packet) - self._usual_size) / _MEMORY
        return quiet

    def _add(self, packet: bytes, samples: int) -> Piece:
        piece = Piece(self.end, samples, packet)
        self.end += samples
        return piece
