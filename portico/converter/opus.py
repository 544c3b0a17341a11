"""Opus packets (RFC 6716): their length, whether they are valid, and silence of any length."""

from collections.abc import Iterator

SAMPLES_PER_MS = 48
PRE_SKIP = 312
"""Samples at 48 kHz that libopus, the encoder of all browsers, adds before the first one of its input: 6.5 ms."""
SHORTEST = 120
"""Samples of the shortest frame, 2.5 ms: the length of each packet is a multiple of it."""
_LONGEST = 5760  # samples of a packet, 120 ms (RFC 6716 section 3.4)
_LONGEST_FRAME = 1275  # bytes
# Samples of a frame by the lowest bits of the configuration number (RFC 6716 section 3.1, table 2).
_SILK = (480, 960, 1920, 2880)
_HYBRID = (480, 960)
_CELT = (120, 240, 480, 960)
# (Samples, TOC byte) of CELT at full band with frames of 20, 10, 5 and 2.5 ms: the configurations 31 to 28.
_SILENT_FRAMES = ((960, 0xF8), (480, 0xF0), (240, 0xE8), (120, 0xE0))
_SILENT = b"\xff\xfe"  # a CELT frame that begins with the flag for silence; valid for each length of a frame


def samples_of(packet: bytes) -> int:
    """How many samples at 48 kHz the packet holds; 0 if a decoder would refuse it (RFC 6716 section 3.4)."""
    if not packet:
        return 0
    body = packet[1:]
    match packet[0] & 3:
        case 0:
            count, valid = 1, len(body) <= _LONGEST_FRAME
        case 1:
            count, valid = 2, len(body) % 2 == 0 and len(body) // 2 <= _LONGEST_FRAME
        case 2:
            first, rest = _frame_length(body)
            count, valid = 2, 0 <= first <= len(rest) and len(rest) - first <= _LONGEST_FRAME
        case _:
            count, valid = _many(body)
    samples = count * _frame_samples(packet[0])
    return samples if valid and samples <= _LONGEST else 0


def is_stereo(packet: bytes) -> bool:
    """Whether the packet has two channels (RFC 6716 section 3.1)."""
    return packet[0] & 4 != 0


def head(channels: int) -> bytes:
    """The identification header (RFC 7845 section 5.1)."""
    rate, gain, family = 48000, 0, 0
    return (
        b"OpusHead\x01"
        + bytes([channels])
        + PRE_SKIP.to_bytes(2, "little")
        + rate.to_bytes(4, "little")
        + gain.to_bytes(2, "little")
        + bytes([family])
    )


def silence(samples: int, *, stereo: bool) -> Iterator[bytes]:
    """As few packets of silence as possible that have `samples` together, a multiple of SHORTEST."""
    channels = 4 if stereo else 0
    while samples >= 2 * 960:
        count = min(samples // 960, _LONGEST // 960)
        yield bytes([0xF8 | channels | 3, count]) + _SILENT * count
        samples -= count * 960
    for length, config in _SILENT_FRAMES:
        if samples >= length:
            yield bytes([config | channels]) + _SILENT
            samples -= length


def _frame_samples(toc: int) -> int:
    config = toc >> 3
    if config < 12:
        return _SILK[config & 3]
    return _HYBRID[config & 1] if config < 16 else _CELT[config & 3]


def _frame_length(body: bytes) -> tuple[int, bytes]:
    """(Length of a frame, bytes after the length) (RFC 6716 section 3.2.1); the length is -1 if it is cut off."""
    if not body:
        return -1, b""
    if body[0] < 252:
        return body[0], body[1:]
    return (4 * body[1] + body[0], body[2:]) if len(body) > 1 else (-1, b"")


def _many(body: bytes) -> tuple[int, bool]:
    """(Number of frames, whether they fit) of a packet of code 3 without its TOC byte (RFC 6716 section 3.2.5)."""
    if not body or not body[0] & 63:
        return 0, False
    flags, count = body[0], body[0] & 63
    rest = _without_padding(body[1:]) if flags & 0x40 else body[1:]
    if rest is None:
        return count, False
    if not flags & 0x80:
        return count, len(rest) % count == 0 and len(rest) // count <= _LONGEST_FRAME
    total = 0
    for _ in range(count - 1):
        length, rest = _frame_length(rest)
        if length < 0:
            return count, False
        total += length
    return count, total <= len(rest) and len(rest) - total <= _LONGEST_FRAME


def _without_padding(body: bytes) -> bytes | None:
    """The frames of a packet of code 3 whose padding flag is set; None if there is more padding than packet."""
    padding = at = 0
    while at < len(body) and body[at] == 255:
        padding += 254
        at += 1
    end = len(body) - padding - (body[at] if at < len(body) else 0)
    return body[at + 1 : end] if at + 1 <= end else None
