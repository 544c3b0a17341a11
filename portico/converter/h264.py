"""Reads NAL units from RTP (RFC 6184), and from them what a container announces: size and parameters (ITU-T H.264)."""

from collections.abc import Sequence

IDR, SPS, PPS = 5, 7, 8
_STAP_A, _FU_A = 24, 28
# profile_idc of those profiles whose SPS has chroma_format_idc (ITU-T H.264 section 7.3.2.1.1).
_HIGH = frozenset({100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135})
_LARGEST_SIDE = 16_384
_SPS_BYTES_MAX = 0xFFFF  # its length has 16 bits in the AVCDecoderConfigurationRecord


class Bits:
    """Reads numbers bit by bit, the highest bit first. Beyond the end it reads zeros and sets `overrun`."""

    def __init__(self, content: bytes) -> None:
        self._bits = int.from_bytes(content, "big")
        self._left = 8 * len(content)
        self.overrun = False

    def take(self, count: int) -> int:
        self._left -= count
        if self._left < 0:
            self.overrun = True
            return 0
        return self._bits >> self._left & (1 << count) - 1

    def skip(self, count: int) -> None:
        self.take(count)

    def golomb(self) -> int:
        """A number in Exp-Golomb code, ue(v) (ITU-T H.264 section 9.1)."""
        zeros = 0
        while not self.overrun and self.take(1) == 0:
            zeros += 1
            if zeros > 32:
                self.overrun = True
        return (1 << zeros) - 1 + self.take(zeros) if not self.overrun else 0

    def signed_golomb(self) -> int:
        """A number in signed Exp-Golomb code, se(v) (ITU-T H.264 section 9.1.1)."""
        code = self.golomb()
        return (code + 1) // 2 if code & 1 else -(code // 2)


def units_of(payloads: Sequence[bytes]) -> list[bytes] | None:
    """The NAL units of one picture. None if a fragment is missing, or a payload is neither FU-A, STAP-A nor a unit."""
    units: list[bytes] = []
    fragments: list[bytes] | None = None
    for payload in payloads:
        kind = payload[0] & 31 if payload else 0
        if kind == _FU_A and len(payload) > 2:
            fragments = _gather(payload, fragments, units)
            if fragments is None:
                return None
        elif fragments:
            return None
        elif kind == _STAP_A:
            units += _aggregated(payload)
        elif 1 <= kind <= 23:
            units.append(payload)
        else:
            return None
    return units if not fragments else None


def _gather(payload: bytes, fragments: list[bytes] | None, units: list[bytes]) -> list[bytes] | None:
    """Add one FU-A fragment (RFC 6184 section 5.8); the last fragment of a unit adds the whole unit to `units`.

    Returns the fragments so far, or None if this one does not continue them.
    """
    starts, ends = payload[1] & 0x80, payload[1] & 0x40
    if bool(starts) == bool(fragments):
        return None
    gathered = fragments or [bytes([payload[0] & 0xE0 | payload[1] & 0x1F])]
    gathered.append(payload[2:])
    if not ends:
        return gathered
    units.append(b"".join(gathered))
    return []


def _aggregated(payload: bytes) -> list[bytes]:
    """The NAL units of a STAP-A packet (RFC 6184 section 5.7.1), up to the first that is cut off."""
    units, at = [], 1
    while at + 2 < len(payload):
        length = int.from_bytes(payload[at : at + 2], "big")
        unit = payload[at + 2 : at + 2 + length]
        if len(unit) < length or not length:
            break
        units.append(unit)
        at += 2 + length
    return units


def configuration(sps: bytes, pps: bytes) -> bytes:
    """The AVCDecoderConfigurationRecord (ISO/IEC 14496-15 section 5.3.3.1) for units after lengths of four bytes."""
    head = bytes([1, *sps[1:4], 0xFF, 0xE1])
    return head + len(sps).to_bytes(2, "big") + sps + b"\x01" + len(pps).to_bytes(2, "big") + pps


def size_of(sps: bytes) -> tuple[int, int] | None:
    """Width and height in pixels that a sequence parameter set announces; None if it is not valid."""
    if len(sps) < 5 or len(sps) > _SPS_BYTES_MAX:
        return None
    bits = Bits(sps[:128].replace(b"\x00\x00\x03", b"\x00\x00")[4:])
    bits.golomb()  # seq_parameter_set_id
    chroma = _skip_colours(bits) if sps[1] in _HIGH else 1
    bits.golomb()  # log2_max_frame_num_minus4
    _skip_order(bits)
    bits.golomb()  # max_num_ref_frames
    bits.skip(1)
    across, down = bits.golomb() + 1, bits.golomb() + 1
    frames_only = bits.take(1)
    bits.skip(1 if frames_only else 2)
    width, height = 16 * across, 16 * down * (2 - frames_only)
    if bits.take(1):
        left, right, top, bottom = (bits.golomb() for _ in range(4))
        width -= (left + right) * (2 if chroma in {1, 2} else 1)
        height -= (top + bottom) * (2 if chroma == 1 else 1) * (2 - frames_only)
    possible = 0 < width <= _LARGEST_SIDE and 0 < height <= _LARGEST_SIDE
    return (width, height) if possible and not bits.overrun else None


def _skip_colours(bits: Bits) -> int:
    """Skip the SPS members from chroma_format_idc to the scaling lists; return chroma_format_idc."""
    chroma = bits.golomb()
    if chroma == 3:
        bits.skip(1)
    bits.golomb()  # bit_depth_luma_minus8
    bits.golomb()  # bit_depth_chroma_minus8
    bits.skip(1)
    if bits.take(1):
        for number in range(8 if chroma != 3 else 12):
            if bits.take(1):
                _skip_scaling(bits, 16 if number < 6 else 64)
    return chroma


def _skip_scaling(bits: Bits, size: int) -> None:
    """Skip one scaling list (ITU-T H.264 section 7.3.2.1.1.1)."""
    last = following = 8
    for _ in range(size):
        if following:
            following = (last + bits.signed_golomb()) % 256
        last = following or last


def _skip_order(bits: Bits) -> None:
    """Skip the SPS members that say how the order of pictures is counted (pic_order_cnt_type and its members)."""
    kind = bits.golomb()
    if kind == 0:
        bits.golomb()
    elif kind == 1:
        bits.skip(1)
        bits.golomb()
        bits.golomb()
        for _ in range(min(bits.golomb(), 255)):
            bits.golomb()
