"""H.264 inside RTP (RFC 6184) and the little of its bitstream that a container must know (ITU-T H.264)."""

from collections.abc import Sequence

IDR, SPS, PPS = 5, 7, 8
_STAP_A, _FU_A = 24, 28
# Profiles whose parameters begin with the format of the colours (ITU-T H.264 section 7.3.2.1.1).
_HIGH = frozenset({100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135})
_LARGEST_SIDE = 16_384
_LONGEST_UNIT_IN_HEAD = 0xFFFF


class Bits:
    """Reads numbers out of bytes; beyond the end it reads zeros and says so."""

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
        code = self.golomb()
        return (code + 1) // 2 if code & 1 else -(code // 2)


def units_of(payloads: Sequence[bytes]) -> list[bytes] | None:
    """The NAL units of one picture; None if a fragment is missing or the payloads are of no known kind."""
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
    """One more fragment of a unit (RFC 6184 section 5.8); a complete unit goes to `units`.

    Returns the fragments that wait for the rest, or None if this one follows no beginning.
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
    """The units of a packet of several (RFC 6184 section 5.7.1)."""
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
    """AVCDecoderConfigurationRecord (ISO/IEC 14496-15 section 5.3.3.1), for units with lengths of four bytes."""
    head = bytes([1, *sps[1:4], 0xFF, 0xE1])
    return head + len(sps).to_bytes(2, "big") + sps + b"\x01" + len(pps).to_bytes(2, "big") + pps


def size_of(sps: bytes) -> tuple[int, int] | None:
    """Width and height in pixels that a sequence parameter set announces; None if it is none."""
    if len(sps) < 5 or len(sps) > _LONGEST_UNIT_IN_HEAD:
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
    last = following = 8
    for _ in range(size):
        if following:
            following = (last + bits.signed_golomb()) % 256
        last = following or last


def _skip_order(bits: Bits) -> None:
    """How the order of pictures is counted."""
    kind = bits.golomb()
    if kind == 0:
        bits.golomb()
    elif kind == 1:
        bits.skip(1)
        bits.golomb()
        bits.golomb()
        for _ in range(min(bits.golomb(), 255)):
            bits.golomb()
