"""Joins RTP payloads to frames of video: VP8 (RFC 7741), VP9 (RFC 9628) and H.264 (RFC 6184).

Pure. The payloads may be hostile: for anything that is not a frame the result is None, and nothing is raised.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from portico.converter import h264

_VP9_SYNC = b"\x49\x83\x42"


class Picture(NamedTuple):
    """One coded frame as a container stores it."""

    frame: bytes
    keyframe: bool
    width: int
    """In pixels, as is `height`; both are 0 unless this is a keyframe."""
    height: int
    private: bytes = b""
    """Matroska's CodecPrivate for a file that begins with this keyframe; empty unless it is H.264."""


Depacketize = Callable[[Sequence[bytes]], Picture | None]
"""Takes the payloads of one RTP timestamp in order; returns the frame, or None if its beginning is missing."""


def vp8(payloads: Sequence[bytes]) -> Picture | None:
    """Join a frame of VP8. Its first packet starts partition 0 (RFC 7741 section 4.2)."""
    if not all(payloads) or not payloads or payloads[0][0] & 0x17 != 0x10:
        return None
    frame = b"".join(payload[_vp8_descriptor(payload) :] for payload in payloads)
    if len(frame) < 3:
        return None
    if frame[0] & 1:
        return Picture(frame, False, 0, 0)
    if len(frame) < 10 or frame[3:6] != b"\x9d\x01\x2a":  # RFC 6386 section 9.1
        return None
    width, height = (int.from_bytes(frame[at : at + 2], "little") & 0x3FFF for at in (6, 8))
    return Picture(frame, True, width, height) if width and height else None


def _vp8_descriptor(payload: bytes) -> int:
    """The length of the payload descriptor (RFC 7741 section 4.2); more than the payload's if it is cut off."""
    if not payload[0] & 0x80:
        return 1
    if len(payload) < 2:
        return 2
    flags, length = payload[1], 2
    if flags & 0x80:
        length += 2 if len(payload) > 2 and payload[2] & 0x80 else 1
    if flags & 0x40:
        length += 1
    return length + 1 if flags & 0x30 else length


def vp9(payloads: Sequence[bytes]) -> Picture | None:
    """Join a frame of VP9 with all its spatial layers. Its first packet has the flag B (RFC 9628 section 4.2)."""
    if not all(payloads) or not payloads or not payloads[0][0] & 0x08:
        return None
    frame = b"".join(payload[_vp9_descriptor(payload) :] for payload in payloads)
    if not frame or frame[0] >> 6 != 2:
        return None
    return _vp9_keyframe(frame) if _vp9_is_key(frame) else Picture(frame, False, 0, 0)


def _vp9_descriptor(payload: bytes) -> int:
    """The length of the payload descriptor (RFC 9628 section 4.2); more than the payload's if it is cut off."""
    flags, at = payload[0], 1
    padded = payload + bytes(8)  # a descriptor that is cut off continues with zeros
    if flags & 0x80:
        at += 2 if padded[at] & 0x80 else 1
    if flags & 0x20:
        at += 1 if flags & 0x10 else 2
    if flags & 0x50 == 0x50:
        at = _skip_references(payload, at)
    return _skip_structure(payload, at) if flags & 0x02 else at


def _skip_references(payload: bytes, at: int) -> int:
    """The position after the reference indices (P_DIFF) of flexible mode, at most three."""
    for _ in range(3):
        if at >= len(payload) or not payload[at] & 1:
            break
        at += 1
    return at + 1


def _skip_structure(payload: bytes, at: int) -> int:
    """The position after the scalability structure: sizes of the layers, then the pictures of a group."""
    if at >= len(payload):
        return at + 1
    flags = payload[at]
    at += 1
    if flags & 0x10:
        at += 4 * ((flags >> 5) + 1)
    if flags & 0x08 and at < len(payload):
        pictures = payload[at]
        at += 1
        for _ in range(pictures):
            if at >= len(payload):
                break
            at += 1 + (payload[at] >> 2 & 3)
    return at


def _vp9_profile(frame: bytes) -> int:
    return frame[0] >> 5 & 1 | frame[0] >> 3 & 2


def _vp9_is_key(frame: bytes) -> bool:
    """Whether the uncompressed header says: no existing frame is shown again (show_existing_frame), and a key frame."""
    reserved = 1 if _vp9_profile(frame) == 3 else 0
    return frame[0] << reserved & 0x0C == 0


def _vp9_keyframe(frame: bytes) -> Picture | None:
    """Read the size, which follows the sync code and the colours (VP9 bitstream specification, section 6.2)."""
    profile = _vp9_profile(frame)
    bits = h264.Bits(frame[:24])
    bits.skip(9 if profile == 3 else 8)
    if bits.take(24) != int.from_bytes(_VP9_SYNC, "big"):
        return None
    if profile >= 2:
        bits.skip(1)  # depth
    if bits.take(3) != 7:  # any colour space but RGB
        bits.skip(1)
        if profile & 1:
            bits.skip(3)
    elif profile & 1:
        bits.skip(1)
    width, height = bits.take(16) + 1, bits.take(16) + 1
    return None if bits.overrun else Picture(frame, True, width, height)


def h264_picture(payloads: Sequence[bytes]) -> Picture | None:
    """Join the NAL units of one H.264 picture, each after its length. A keyframe is an IDR picture with SPS and PPS."""
    units = h264.units_of(payloads)
    if not units or not any(1 <= unit[0] & 31 <= 5 for unit in units):
        return None
    frame = b"".join(len(unit).to_bytes(4, "big") + unit for unit in units)
    sps = next((unit for unit in units if unit[0] & 31 == h264.SPS), None)
    pps = next((unit for unit in units if unit[0] & 31 == h264.PPS), None)
    if sps is None or pps is None or not any(unit[0] & 31 == h264.IDR for unit in units):
        return Picture(frame, False, 0, 0)
    size = h264.size_of(sps)
    return Picture(frame, True, *size, h264.configuration(sps, pps)) if size else None


BY_CODEC: dict[str, Depacketize] = {"vp8": vp8, "vp9": vp9, "h264": h264_picture}
