"""RTP and RTCP packets, and what arrives of one stream. Pure. Source: RFC 3550, 6464 (audio level), 7741 (VP8)."""

from array import array
from struct import Struct

OPUS, VP8 = 111, 96
"""Payload types that our SDP names."""
AUDIO_LEVEL_ID = 1
"""Of the header extension with the level of the sound."""
LATE_SECS = 0.06
"""A packet of sound that is later than the earliest one by more than this is a gap for a player with a short buffer."""
SAMPLE_EVERY = 64
"""Of the packets of a video stream, one in so many is decrypted, which shows its delay."""

_PLAIN = Struct("!BBHII")
_LEVEL = Struct("!BBHIIHHBBH")
_REPORT = Struct("!BBHIIIIIII")
_VP8_FIRST = Struct("!BQ")
_ONE_BYTE = 0xBEDE


def audio_packet(sequence: int, timestamp: int, ssrc: int, level: int, payload: bytes) -> bytes:
    """A packet with its level in -dBov: 0 is loud, 127 silent."""
    ours = 0x80 | level if level < 127 else 127  # the first bit says that it is a voice
    return (
        _LEVEL.pack(
            0x90, OPUS, sequence & 0xFFFF, timestamp & 0xFFFFFFFF, ssrc, _ONE_BYTE, 1, AUDIO_LEVEL_ID << 4, ours, 0
        )
        + payload
    )


def video_packet(sequence: int, timestamp: int, ssrc: int, *, marker: bool, payload: bytes) -> bytes:
    """A packet of VP8; the marker is on the last one of a picture."""
    second = VP8 | 0x80 if marker else VP8
    return _PLAIN.pack(0x80, second, sequence & 0xFFFF, timestamp & 0xFFFFFFFF, ssrc) + payload


def video_payload(now_ns: int, filler: bytes) -> bytes:
    """A payload with the form of VP8's, and the time at which it was sent."""
    return _VP8_FIRST.pack(0x10, now_ns) + filler


def sent_ns(packet: bytes) -> int:
    """The time in a decrypted packet of `video_payload`, whose header may have extensions; 0 if it has none."""
    offset = 12 + 4 * (packet[0] & 15)
    if packet[0] & 16:
        offset += 4 + 4 * int.from_bytes(packet[offset + 2 : offset + 4], "big")
    first, nanoseconds = _VP8_FIRST.unpack_from(packet, offset)
    return nanoseconds if first == 0x10 else 0


def payload_of(packet: bytes) -> bytes:
    """What a decrypted packet carries."""
    offset = 12 + 4 * (packet[0] & 15)
    if packet[0] & 16:
        offset += 4 + 4 * int.from_bytes(packet[offset + 2 : offset + 4], "big")
    return packet[offset:]


def receiver_report(ours: int, theirs: int, lost: int, highest: int) -> bytes:
    """A receiver report about one stream."""
    return _REPORT.pack(0x81, 201, 7, ours, theirs, min(lost, 0xFFFFFF), highest & 0xFFFFFFFF, 0, 0, 0)


class Received:
    """What arrived of one stream since `begin`. Lost are those packets before the newest one that did not arrive."""

    __slots__ = ("_first", "_highest", "clock", "count", "delays", "kept", "size", "ssrc", "transits")

    def __init__(self, ssrc: int, clock: int) -> None:
        """`clock` is the rate of its timestamps: 48,000 of sound, 90,000 of pictures."""
        self.ssrc = ssrc
        self.clock = clock
        self.kept: list[tuple[float, bytes]] | None = None
        """Time of arrival and encrypted bytes of each packet, of a stream that is looked at afterwards."""
        self.begin()

    def begin(self) -> None:
        """Forget what arrived."""
        self.count = 0
        self.size = 0
        self._first = self._highest = -1
        self.transits = array("d")
        """Seconds from its timestamp to its arrival, plus a constant, of each packet of sound."""
        self.delays = array("d")
        """Seconds from sender to receiver, of samples."""

    def take(self, sequence: int, timestamp: int, size: int, now: float) -> None:
        """Count a packet. Times are in seconds of one monotonic clock."""
        if self.count == 0:
            self._first = self._highest = sequence
        else:
            ahead = (sequence - self._highest) & 0xFFFF
            if ahead < 0x8000:
                self._highest += ahead
        self.count += 1
        self.size += size
        if self.clock == 48000:
            self.transits.append(now - timestamp / 48000)

    @property
    def highest(self) -> int:
        """The newest sequence number, with its rounds."""
        return max(self._highest, 0)

    @property
    def lost(self) -> int:
        """Packets that did not arrive. One that arrived twice hides one that did not."""
        return max(0, self._highest - self._first + 1 - self.count) if self.count else 0

    @property
    def late(self) -> int:
        """Packets of sound that were LATE_SECS later than the earliest one."""
        if not self.transits:
            return 0
        earliest = min(self.transits)
        return sum(1 for transit in self.transits if transit - earliest > LATE_SECS)
