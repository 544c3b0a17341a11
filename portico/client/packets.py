"""From packets of RTP to frames: their order, lost ones, and where a picture begins. Pure."""

from collections.abc import Callable
from typing import Any

REORDER_MAX = 3
"""Later packets of audio that are held while one is missing: 60 ms."""
LATE_MAX = 1000
"""A packet with a number so far from the expected one is not late: the numbers begin anew."""
PICTURE_WAIT_SECS = 0.4
"""How long later packets of video are held while one is missing. The server can send a packet again for about 0.2 s."""
HELD_MAX = 512
"""Later packets of video that are held at most."""


class Reorder:
    """Sorts packets: holds up to REORDER_MAX later packets while one is missing. Pure.

    aiortc's own buffer waits for 16 packets, which is 320 ms without sound for each lost one.
    """

    def __init__(self) -> None:
        self._next: int | None = None
        self._held: dict[int, Any] = {}

    def add(self, number: int, packet: Any) -> list[Any]:
        """The packets that are next, when the packet with this 16-bit sequence number arrives."""
        if self._next is None:
            self._next = number
        ahead = (number - self._next) & 0xFFFF
        if ahead >= 0x8000:
            if 0x10000 - ahead < 1000:
                return []  # late or repeated
            self._held.clear()
            self._next, ahead = number, 0
        elif ahead > 1000:
            self._held.clear()
            self._next = number
        self._held[number] = packet
        if len(self._held) > REORDER_MAX:
            missing = self._next
            self._next = min(self._held, key=lambda one: (one - missing) & 0xFFFF)
        ready = []
        while (packet := self._held.pop(self._next, None)) is not None:
            ready.append(packet)
            self._next = (self._next + 1) & 0xFFFF
        return ready


class PictureBuffer:
    """Puts packets of video into pictures. One that lacks a packet is given up after PICTURE_WAIT_SECS. Pure.

    A packet has `sequence_number`, `timestamp`, `marker`, and the data of the codec in `_data`.
    """

    def __init__(self, begins: Callable[[Any], bool]) -> None:
        """`begins` says whether a packet is the first of a picture."""
        self._begins = begins
        self._next: int | None = None
        self._held: dict[int, Any] = {}
        self._parts: list[Any] = []
        self._is_whole = False  # whether the packets from the begin of a picture on are known
        self._has_gap = False
        self._waits_since: float | None = None

    def add(self, packet: Any, now: float) -> list[tuple[bytes, int, bool]]:
        """The pictures that are complete now: data, timestamp, and whether earlier ones are lost."""
        number = packet.sequence_number
        ahead = 0 if self._next is None else (number - self._next) & 0xFFFF
        if 0x10000 - ahead < LATE_MAX:
            return []  # late or repeated
        if self._next is None or ahead > LATE_MAX:
            self._held.clear()
            self._lose(number, is_first=self._next is None)
        self._held[number] = packet
        before = self._next
        pictures = self._take()
        if self._next != before:
            self._waits_since = None
        if self._held:
            self._waits_since = since = now if self._waits_since is None else self._waits_since
            if now - since > PICTURE_WAIT_SECS or len(self._held) > HELD_MAX:
                missing = self._next or 0
                self._lose(min(self._held, key=lambda one: (one - missing) & 0xFFFF))
                pictures += self._take()
                self._waits_since = now
        return pictures

    def _lose(self, number: int, *, is_first: bool = False) -> None:
        """Go on with the first picture that begins at this number or later."""
        self._next = number
        self._parts.clear()
        self._is_whole = False
        self._has_gap = self._has_gap or not is_first

    def _take(self) -> list[tuple[bytes, int, bool]]:
        done = []
        while self._next is not None and (packet := self._held.pop(self._next, None)) is not None:
            self._next = (self._next + 1) & 0xFFFF
            if self._parts and packet.timestamp != self._parts[0].timestamp:
                done.append(self._picture())
            if not packet._data:
                continue  # padding, which measures the network
            self._is_whole = self._is_whole or self._begins(packet)
            if self._is_whole:
                self._parts.append(packet)
                if packet.marker:
                    done.append(self._picture())
        return done

    def _picture(self) -> tuple[bytes, int, bool]:
        data, timestamp = b"".join(one._data for one in self._parts), self._parts[0].timestamp
        gap, self._has_gap = self._has_gap, False
        self._parts.clear()
        return data, timestamp, gap


def begins_picture(codec: str, payload: bytes) -> bool:
    """Whether a packet with this payload may be the first of a picture (RFC 7741, RFC 6184)."""
    if codec == "vp8":
        return bool(payload) and payload[0] & 0x17 == 0x10
    if codec == "h264":
        is_fragment = bool(payload) and payload[0] & 31 == 28
        return not is_fragment or (len(payload) > 1 and payload[1] & 0x80 != 0)
    return True


def is_keyframe(codec: str, data: bytes) -> bool:
    """Whether a picture can be decoded without earlier ones."""
    if codec == "vp8":
        return bool(data) and not data[0] & 1
    if codec == "h264":
        return any(data[at + 4] & 31 in (5, 7) for at in _starts(data) if at + 4 < len(data))
    return True


def _starts(data: bytes) -> list[int]:
    found, at = [], data.find(b"\0\0\0\1")
    while at >= 0:
        found.append(at)
        at = data.find(b"\0\0\0\1", at + 4)
    return found
