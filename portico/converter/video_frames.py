"""Groups the packets of a video into whole frames, and marks those that a loss has damaged."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from portico.converter.depacketize import BY_CODEC, Picture
from portico.converter.sequence import Sent

LARGEST_FRAME = 16 << 20
MOST_PACKETS = 16 << 10
"""A frame with more bytes or packets is dropped: only a hostile sender has one."""


class VideoFrame(NamedTuple):
    """A frame of which every packet arrived."""

    seq: int
    """The sequence number of its first packet."""
    ticks: int
    arrived_ms: int
    """When its first packet arrived. Its other packets arrive later only because the sender spreads them out."""
    picture: Picture
    damaged: bool
    """Whether a packet was lost since the last keyframe: the decoded picture may have errors."""


class _Group:
    """The packets with one RTP timestamp so far."""

    def __init__(self, first: Sent, *, follows: bool) -> None:
        self.first = first
        self.last = first
        self.follows = follows
        """Whether the packet before the first one arrived, so that no part of this frame is missing before it."""
        self.complete = True
        self.ended = False
        """Whether the packet with the marker bit arrived, which ends a frame; padding may follow it."""
        self.payloads: list[bytes] = []
        self.size = 0
        self.add(first)

    def add(self, packet: Sent) -> None:
        if packet.seq > self.last.seq + 1:
            self.complete = False
        self.last = packet
        self.ended |= packet.marker
        # A packet without payload is padding (RFC 3550 section 5.1): it only takes a sequence number.
        if packet.payload and self.complete:
            self.size += len(packet.payload)
            self.payloads.append(packet.payload)
        if self.size > LARGEST_FRAME or len(self.payloads) > MOST_PACKETS:
            self.complete = False
            self.payloads.clear()


def frames(packets: Iterable[Sent], codec: str) -> Iterator[VideoFrame]:
    """All whole frames of a track of "vp8", "vp9" or "h264". The packets come in order of `seq`, each once."""
    damaged = True
    group: _Group | None = None
    for packet in packets:
        if group is not None and packet.ticks == group.first.ticks:
            group.add(packet)
            continue
        follows = group is None or packet.seq == group.last.seq + 1
        if group is not None:
            group.complete &= follows or group.ended
            frame = _frame(group, codec, damaged=damaged)
            damaged = _is_damaged_after(group, frame, damaged=damaged)
            if frame is not None:
                yield frame
        group = _Group(packet, follows=follows)
    if group is not None:
        group.complete &= group.ended
        frame = _frame(group, codec, damaged=damaged)
        if frame is not None:
            yield frame


def _frame(group: _Group, codec: str, *, damaged: bool) -> VideoFrame | None:
    """The frame of a group; None if packets are missing or the payloads are no frame."""
    if not group.complete or not group.payloads:
        return None
    picture = BY_CODEC[codec](group.payloads)
    if picture is None:
        return None
    damaged = (damaged or not group.follows) and not picture.keyframe
    return VideoFrame(group.first.seq, group.first.ticks, group.first.arrived_ms, picture, damaged)


def _is_damaged_after(group: _Group, frame: VideoFrame | None, *, damaged: bool) -> bool:
    """Whether the frames after this group are damaged until the next keyframe."""
    if frame is not None:
        return frame.damaged
    only_padding = group.complete and group.follows and not group.payloads
    return damaged or not only_padding
