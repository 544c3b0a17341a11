"""Reads mjr files, which Janus writes of received RTP: a header, then every packet with the time of its arrival.

The format as Janus' recorder writes it, https://janus.conf.meetecho.com/docs/recordings.html: "MJR00002", the length
(16 bits) and text of a JSON object, then records of "MEET", milliseconds since the first packet (32 bits), length
(16 bits) and an RTP packet. All numbers are big-endian. If Janus is killed, the file ends anywhere; if the disk is full
for a while, pieces in the middle are missing.
"""

import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO, Literal, NamedTuple

_MAGIC = b"MJR00002"
_MARK = b"MEET"
_RECORD = struct.Struct(">4sIH")
_RTP = struct.Struct(">BBHI")

LONGEST_MJR_MS = 7 * 24 * 3600 * 1000
"""A record whose time is later than this, counted from the first packet, is damaged."""
MOST_REPAIRS = 10_000
"""How often the start of the next record is searched for in one file; a file with more damage is read up to there."""
_CHUNK = 1 << 16


class NotMjr(Exception):
    """The file is not an mjr file of one audio or video track; str() is a sentence that says why."""


@dataclass(frozen=True)
class MjrHeader:
    """The JSON object at the beginning of an mjr file."""

    type: Literal["audio", "video"]
    codec: str
    first_packet_us: int
    """When the first packet arrived: microseconds since 1970 on the clock of Janus' machine."""


class Packet(NamedTuple):
    """One RTP packet (RFC 3550) without extensions and padding; the payload is empty if it was all padding."""

    arrived_ms: int
    """Since the first packet of the mjr file."""
    seq: int
    timestamp: int
    marker: bool
    payload: bytes


def read_header(file: BinaryIO) -> MjrHeader | None:
    """Read up to the first record. None if the file ends before that, because Janus was killed. Raises NotMjr."""
    magic = file.read(len(_MAGIC))
    if magic != _MAGIC[: len(magic)]:
        raise NotMjr("The file does not begin with MJR00002, as mjr files do.")
    length = file.read(2)
    text = file.read(int.from_bytes(length, "big"))
    if len(length) < 2 or len(text) < int.from_bytes(length, "big"):
        return None
    try:
        members = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise NotMjr("The header of the mjr file is not JSON.") from error
    return _header(members)


def _header(members: Any) -> MjrHeader:
    match members:
        case {"t": "a" | "v" as type_, "c": str(codec), "u": int(first_packet_us)} if 0 <= first_packet_us < 1 << 55:
            if members.get("e"):
                raise NotMjr("The media of the mjr file is encrypted end to end and cannot be read here.")
            return MjrHeader("audio" if type_ == "a" else "video", codec.lower(), first_packet_us)
    raise NotMjr("The header of the mjr file names no track of audio or video with its codec and start.")


def packets(file: BinaryIO) -> Iterator[Packet]:
    """All intact RTP packets after the header, in order of arrival; `arrived_ms` never decreases.

    After a damaged record, reading continues with the next intact one.
    """
    for arrived_ms, rtp in _records(file):
        packet = parse_rtp(arrived_ms, rtp)
        if packet is not None:
            yield packet


def parse_rtp(arrived_ms: int, rtp: bytes) -> Packet | None:
    """Parse one RTP packet (RFC 3550 section 5.1). None if it is not valid."""
    if len(rtp) < 12 or rtp[0] >> 6 != 2:
        return None
    flags, kind, seq, timestamp = _RTP.unpack_from(rtp)
    begin, end = 12 + 4 * (flags & 0x0F), len(rtp)
    if flags & 0x10:
        if begin + 4 > end:
            return None
        begin += 4 + 4 * int.from_bytes(rtp[begin + 2 : begin + 4], "big")
    if flags & 0x20:
        if rtp[-1] == 0:
            return None
        end -= rtp[-1]
    if begin > end:
        return None
    return Packet(arrived_ms, seq, timestamp, kind & 0x80 != 0, rtp[begin:end])


def _records(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    latest = repairs = 0
    start = file.tell()
    head = file.read(_RECORD.size)
    while len(head) == _RECORD.size:
        mark, arrived_ms, length = _RECORD.unpack(head)
        whole = False
        if mark == _MARK and latest <= arrived_ms < LONGEST_MJR_MS:
            rest = file.read(length + _RECORD.size)
            if len(rest) < length:
                return  # the file ends within this record; a MEET in what is left may be a sender's own bytes
            whole = _may_precede(arrived_ms, rest[length:])
        if whole:
            yield arrived_ms, rest[:length]
            latest, head, start = arrived_ms, rest[length:], start + _RECORD.size + length
            continue
        repairs += 1
        found = _find_mark(file, start + 1) if repairs <= MOST_REPAIRS else None
        if found is None:
            return
        start = found
        file.seek(start)
        head = file.read(_RECORD.size)


def _may_precede(arrived_ms: int, following: bytes) -> bool:
    """Whether a record that ends here is intact: what follows is the end of the file, or a record that is not earlier.

    If bytes of the record are missing, something else follows; if its time is damaged, the next record is earlier.
    """
    if len(following) < _RECORD.size:
        return following[: len(_MARK)] == _MARK[: len(following)]
    mark, next_ms, _ = _RECORD.unpack(following)
    return bool(mark == _MARK and next_ms >= arrived_ms)


def _find_mark(file: BinaryIO, start: int) -> int | None:
    """The position of the next MEET in the file, at `start` or later; None if there is none."""
    file.seek(start)
    kept = b""
    while chunk := file.read(_CHUNK):
        text = kept + chunk
        at = text.find(_MARK)
        if at >= 0:
            return start + at
        kept = text[-(len(_MARK) - 1) :]
        start += len(text) - len(kept)
    return None
