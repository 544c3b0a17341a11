"""Writes a minimal Matroska stream of one track (RFC 9559), by which ffmpeg gets media with exact times.

Pure: every function returns bytes. The segment has no length, so that the stream can be written to a pipe.
"""

from collections.abc import Iterator
from dataclasses import dataclass

LONGEST_CLUSTER = 30_000
"""In units of the track. A block's time has 16 bits with a sign, and counts from the time of its cluster."""
_LARGEST_CLUSTER = 1 << 20  # bytes, which are held in memory

_UNKNOWN_SIZE = b"\x01" + b"\xff" * 7
_KEYFRAME = 0x80


@dataclass(frozen=True)
class Track:
    """The TrackEntry: what a player must know before the first block."""

    codec_id: str
    """As in RFC 9559's codec mappings: "A_OPUS", "V_VP8"."""
    unit_ns: int
    """The unit of all times of the stream, in nanoseconds."""
    private: bytes = b""
    width: int = 0
    height: int = 0
    channels: int = 0
    """0 for video."""
    delay_ns: int = 0
    """CodecDelay: how much of the decoder's first output is discarded. The times of blocks include it."""
    seek_preroll_ns: int = 0


class Writer:
    """Collects blocks in clusters and yields each cluster when it is complete."""

    def __init__(self, track: Track) -> None:
        self._track = track
        self._at = 0
        self._blocks: list[bytes] = []
        self._size = 0

    def head(self) -> bytes:
        """The bytes before the first cluster."""
        info = _uint(b"\x2a\xd7\xb1", self._track.unit_ns) + _element(b"\x4d\x80", b"portico")
        info += _element(b"\x57\x41", b"portico")
        segment = _element(b"\x15\x49\xa9\x66", info)
        segment += _element(b"\x16\x54\xae\x6b", _element(b"\xae", _track(self._track)))
        return _ebml_head() + b"\x18\x53\x80\x67" + _UNKNOWN_SIZE + segment

    def block(self, at: int, frame: bytes, *, keyframe: bool, duration: int) -> Iterator[bytes]:
        """Add a frame; yield the cluster before it if that is complete.

        `at` and `duration` count in the track's unit; `at` must not be less than that of the frame before.
        """
        if self._blocks and (at - self._at > LONGEST_CLUSTER or self._size > _LARGEST_CLUSTER):
            yield self.flush()
        if not self._blocks:
            self._at = at
        head = b"\x81" + (at - self._at).to_bytes(2, "big", signed=True)
        if duration:
            # Only a BlockGroup can have a duration. It has no keyframe flag: a ReferenceBlock says "no keyframe".
            group = _element(b"\xa1", head + b"\x00" + frame) + _uint(b"\x9b", duration)
            added = _element(b"\xa0", group if keyframe else group + _element(b"\xfb", b"\xff"))
        else:
            added = _element(b"\xa3", head + bytes([_KEYFRAME if keyframe else 0]) + frame)
        self._blocks.append(added)
        self._size += len(added)

    def flush(self) -> bytes:
        """The cluster of the blocks that were not yielded yet; empty if there are none."""
        if not self._blocks:
            return b""
        cluster = _element(b"\x1f\x43\xb6\x75", _uint(b"\xe7", self._at) + b"".join(self._blocks))
        self._blocks, self._size = [], 0
        return cluster


def _ebml_head() -> bytes:
    versions = ((b"\x42\x86", 1), (b"\x42\xf7", 1), (b"\x42\xf2", 4), (b"\x42\xf3", 8))
    members = b"".join(_uint(name, value) for name, value in versions)
    members += _element(b"\x42\x82", b"matroska") + _uint(b"\x42\x87", 4) + _uint(b"\x42\x85", 2)
    return _element(b"\x1a\x45\xdf\xa3", members)


def _track(track: Track) -> bytes:
    entry = _uint(b"\xd7", 1) + _uint(b"\x73\xc5", 1) + _uint(b"\x83", 2 if track.channels else 1) + _uint(b"\x9c", 0)
    entry += _element(b"\x86", track.codec_id.encode())
    if track.private:
        entry += _element(b"\x63\xa2", track.private)
    if track.channels:
        entry += _uint(b"\x56\xaa", track.delay_ns) + _uint(b"\x56\xbb", track.seek_preroll_ns)
        sampling = b"\xb5\x84\x47\x3b\x80\x00"  # SamplingFrequency: 48000.0
        return entry + _element(b"\xe1", sampling + _uint(b"\x9f", track.channels))
    return entry + _element(b"\xe0", _uint(b"\xb0", track.width) + _uint(b"\xba", track.height))


def _uint(name: bytes, value: int) -> bytes:
    return _element(name, value.to_bytes(max(1, (value.bit_length() + 7) // 8), "big"))


def _element(name: bytes, content: bytes) -> bytes:
    size = len(content)
    # The sizes of all ones are reserved (RFC 8794 section 4.4).
    width = next(width for width in range(1, 9) if size < (1 << 7 * width) - 1)
    return name + (size | 1 << 7 * width).to_bytes(width, "big") + content
